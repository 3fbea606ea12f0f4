"""What lists show of the nouns."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backends.model import RunRow, from_ms
from console.screens.rows import engine_name, run_rows
from tests.console.fake_ops import T0


@pytest.mark.parametrize(
    ("engine", "shown"), [("web-1:4711:9f3c", "web-1:4711"), ("web-1:4711", "web-1:4711"), ("odd", "odd"), ("", "")]
)
def test_an_engine_is_told_by_host_and_pid(engine: str, shown: str) -> None:
    assert engine_name(engine) == shown


def test_what_ended_last_stands_first_however_long_it_waited() -> None:
    at = from_ms(T0)
    runs = [
        RunRow(f"run-{n}", 1, "job", "mail", "succeeded", "enqueue", None, at, at + timedelta(seconds=ended), 1.0)
        for n, ended in enumerate((3, 9, 5))
    ]
    assert [row.key for row in run_rows(runs, (), T0, None)] == ["run-1/1", "run-2/1", "run-0/1"]
