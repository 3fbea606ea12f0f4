"""The line that says how far something is: seldom enough, and never waited for by what it tells of."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backends.ops import Progress, Tell
from console.cli import progress
from console.cli.progress import Line, telling
from tests.console.cli_helpers import ROOT, Cli

STOP, GO = b"\x13", b"\x11"
"""Ctrl+S and Ctrl+Q."""


class Terminal:
    """A terminal of which this test has the other end."""

    def __init__(self) -> None:
        self.mine, self.its = pty.openpty()

    def press(self, keys: bytes) -> None:
        os.write(self.mine, keys)

    def shows(self, seconds: float = 0.3) -> str:
        """What comes until nothing more does."""
        shown = b""
        while select.select([self.mine], [], [], seconds)[0]:
            try:
                shown += os.read(self.mine, 4096)
            except OSError:  # nobody has its end any more
                break
        return shown.decode()

    @contextmanager
    def told(self) -> Iterator[Tell]:
        """`telling` where standard error is it."""
        with (
            pytest.MonkeyPatch.context() as patch,
            open(self.its, "w", encoding="utf-8", closefd=False) as stream,
        ):
            patch.setattr(sys, "stderr", stream)
            with telling() as tell:
                assert tell
                yield tell


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """For one test."""
    terminal = Terminal()
    yield terminal
    for fd in (terminal.mine, terminal.its):
        try:
            os.close(fd)
        except OSError:
            pass


def test_at_most_four_a_second_and_the_last(terminal: Terminal) -> None:
    """However many steps there are; what is left of a longer line goes away."""
    began = time.monotonic()
    with terminal.told() as tell:
        n = 0
        while time.monotonic() - began < 0.6:
            n += 100
            tell(Progress(None, 0, 10**9 if n == 100 else n, 0, 0.0, 0.0))
    shown = terminal.shows()
    assert shown.startswith("\r1,000,000,000\r")
    assert re.search(rf"\r{n:,} *\r\n$", shown), shown
    assert shown.count("\r") - shown.count("\r\n") <= 4
    assert "\x1b" not in shown


def test_nothing_is_told_where_nothing_was_done(terminal: Terminal) -> None:
    with terminal.told():
        pass
    assert terminal.shows() == ""


def test_a_stopped_terminal_holds_up_nobody(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the steps nor the end of a part: else it would never go on. The last line of each comes when it does."""
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    terminal.press(STOP)
    time.sleep(0.05)
    with terminal.told() as tell:
        with telling("counting: ") as count:
            assert count
            for n in range(1, 2_001):
                count(Progress(None, 0, n, 0, 0.0, 0.0))
        for n in range(1, 3_001):
            tell(Progress(None, 0, n, 0, 0.0, 0.0))
        assert terminal.shows() == ""
        terminal.press(GO)
    shown = terminal.shows()
    assert re.fullmatch(r"\rcounting: 1\rcounting: 2,000\r\n\r3,000\r\n", shown), shown


def test_a_line_that_is_taken_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a pipe that does not block: no piece is lost, and no line is torn."""
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    out, into = os.pipe()
    os.set_blocking(into, False)
    full = 0
    try:
        while True:
            full += os.write(into, b"x" * 4096)
    except BlockingIOError:
        pass
    line = Line(into)
    for n in range(50):
        line.show(f"first {n}")
    line.end()
    os.read(out, 10)
    line.show("second")
    line.end()
    while full > 10:
        full -= len(os.read(out, min(full - 10, 4096)))
    line.wait()
    assert os.read(out, 4096) == b"\rfirst 0\rfirst 49\n\rsecond\n"
    os.close(out)
    os.close(into)


def test_a_terminal_that_goes_away(terminal: Terminal) -> None:
    """Ends nothing and is not waited for."""
    with terminal.told() as tell:
        os.close(terminal.mine)
        for n in range(1, 4):
            tell(Progress(None, 0, n, 0, 0.0, 0.0))


def test_a_narrow_terminal(terminal: Terminal) -> None:
    """A line never takes two: the next one would not stand in its place."""
    import fcntl
    import struct
    import termios

    fcntl.ioctl(terminal.its, termios.TIOCSWINSZ, struct.pack("4H", 24, 12, 0, 0))
    with terminal.told() as tell:
        tell(Progress(None, 0, 123_456_789_012, 0, 0.0, 0.0))
    assert terminal.shows() == "\r123,456,789\r\n"


def test_no_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file and a pipe are told nothing on the way."""
    with (tmp_path / "err").open("w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        with telling() as tell:
            assert tell is None


def test_an_operation_is_done_though_its_terminal_takes_nothing(cli: Cli, world: list[str], tmp_path: Path) -> None:
    """Ctrl+S before it begins: the letter is gone all the same, and the rest is told after Ctrl+Q."""
    terminal = Terminal()
    terminal.press(STOP)
    process = subprocess.Popen(
        [sys.executable, "-c", "from console.cli import main; main()", "dead", "purge", "--error", "boom", "--yes"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=terminal.its, stdout=subprocess.PIPE, stderr=terminal.its,
        text=True,
    )  # fmt: skip
    os.close(terminal.its)
    try:
        deadline = time.monotonic() + 30
        while cli("dead", "--json").json["total"] != 1:
            assert time.monotonic() < deadline, "it waits for its terminal"
        assert process.poll() is None
        assert cli("ops", "--unfinished", "--json").json == []
        terminal.press(GO)
        assert process.communicate(timeout=30)[0] == "1 matched, 1 purged\n"
        shown = terminal.shows()
        assert "takes it back" in shown
        assert re.search(r"\r\n\r1 · 2 of 2 looked at[^\r\n]*\r\n", shown), shown
    finally:
        process.kill()
        process.communicate()
        os.close(terminal.mine)
