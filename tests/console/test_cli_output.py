"""What is printed: made visible, aligned, coloured only where that is wanted; waiting for an outcome."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from backends.errors import UnreachableError
from console.cli import acts
from console.cli.output import coloured, print_json, span, table, visible


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output claims to be a terminal with colours."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.usefixtures("terminal")
def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known words in a terminal; never with NO_COLOR, on a dumb terminal, or for what came from outside."""
    assert coloured("failed") == "\x1b[31mfailed\x1b[0m"
    assert coloured("\x1b[31mfoo") == "\x1b[31mfoo"  # the caller makes text visible; nothing is added to it
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured("failed") == "failed"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert coloured("failed") == "failed"


def test_no_colour_in_a_pipe() -> None:
    """Standard output of this test is none of a terminal."""
    assert coloured("failed") == "failed"


def test_columns_of_a_table_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """Wide characters take two columns; numbers stand on the right; long cells are cut; empty ones are a dash."""
    table(("NAME", "N"), [("日本", 1), ("a", 100), ("x" * 99, None)], right=("N",))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "日本" + " " * 56 + "    1"
    assert lines[2] == "a" + " " * 59 + "  100"
    assert lines[3] == "x" * 59 + "…" + "    -"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("\u202e", "\\u202e"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u2003x", " x"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    """No character that moves the cursor, turns the direction or hides."""
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.25, "250ms"), (5, "5.0s"), (60, "1m"), (3_725, "1h2m"), (90_000, "1d1h"), (None, "")]
)
def test_span(seconds: float | None, text: str) -> None:
    """Two units at most."""
    assert span(seconds) == text


def test_json_is_never_what_no_parser_takes() -> None:
    """NaN is not JSON."""
    with pytest.raises(ValueError, match="JSON"):
        print_json({"a": float("nan")})


async def test_waiting_outlives_a_server_that_goes_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run goes on meanwhile: told once, then the outcome."""
    answers: list[Any] = [None, UnreachableError("gone", "check"), UnreachableError("gone", "check"), None, "failed"]

    class Away:
        async def final_outcome(self, run_id: str) -> str | None:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    monkeypatch.setattr(acts, "POLL_S", 0)
    assert await acts._outcome(Away(), "r1") == "failed"  # type: ignore[arg-type]
    assert capsys.readouterr().err.count("still waiting for r1") == 1
