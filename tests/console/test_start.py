"""What the first frame waits for: nothing that it does not show."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.engine import ROOT

CODE = """
import sys
import console.app, console.cli.screen, console.contexts, console.terminal_driver
heavy = {"click", "croniter", "hiredis", "httpx", "logging.handlers", "psycopg", "psycopg_pool", "redis", "tomllib"}
ours = {"backends.history", "backends.jobs", "backends.ops.core", "backends.queues", "backends.schedule"}
others = {f"console.screens.{place.partition(':')[0]}" for place in console.app.SCREENS._places.values()}
print(*sorted((heavy | ours | others) & set(sys.modules)))
"""


def test_no_driver_and_no_other_screen_is_loaded_before_it() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", CODE], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert answer.stdout.split() == []


def test_names_of_ops_are_found_where_they_are_and_others_are_not() -> None:
    import backends.ops as ops

    assert all(getattr(ops, name) is not None for name in ops.__all__)
    assert not hasattr(ops, "no_such_name")
