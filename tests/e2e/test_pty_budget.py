"""The console in a pty on data in memory: few bytes, a terminal given back, hostile text that does nothing."""

from __future__ import annotations

import base64
import os
import re
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tests.support.engine import ROOT
from tests.support.terminal import Terminal

PROGRAM = """
import sys
from backends.model import now_ms
from console.app import run_console
from tests.console.fake_ops import FakeOps, opener
class Still(FakeOps):
    def _queues(self):
        self.clock, clock = (lambda: 0), self.clock
        try:
            return super()._queues()
        finally:
            self.clock = clock
sys.exit(run_console(opener(Still(now_ms, hostile="hostile" in sys.argv)), "here"))
"""
GIVEN_BACK = (b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?1003l", b"\x1b[?2004l", b"\x1b[?25h", b"\x1b[?7h")
Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    terminals: list[Terminal] = []

    def begin(*arguments: str, program: Sequence[str] = ("-c", PROGRAM), emulate: bool = True) -> Terminal:
        env = {name: value for name, value in os.environ.items() if not name.startswith("CRONSOLE_")}
        env |= {"CRONSOLE_DATA_DIR": str(tmp_path), "CRONSOLE_CONFIG": str(tmp_path / "none.toml")}
        env |= {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
        terminals.append(Terminal([sys.executable, *program, *arguments], env, 140, 40, emulate=emulate))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()


CLOCK = 120
"""Bytes a second that the clock may take."""
WATCHED_S = 2


@pytest.mark.parametrize(
    ("changes", "screen", "most"),
    [
        ("still", ("1", "Latest runs"), 200),
        ("still", ("2", "job-29"), 2000),  # thirty jobs, and the window moves
        ("one", ("3", "Queues · 50"), 300 + CLOCK),
        ("spread", ("3", "Queues · 50"), 2000 + CLOCK),
    ],
)
def test_what_changes_by_itself_takes_few_bytes(start: Start, changes: str, screen: tuple[str, str], most: int) -> None:
    """The budgets of issue 4, on the data of the benchmark."""
    terminal = start("console", changes, program=(str(ROOT / "benchmarks" / "pty_apps.py"),))
    terminal.until(["queue-03", "2 engines", "succeeded"])
    key, words = screen
    terminal.keys(key)
    terminal.until(words)
    rates = []
    for _ in range(8):  # what was still arriving ends
        before = len(terminal.raw)
        time.sleep(WATCHED_S)
        rates.append((len(terminal.raw) - before) / WATCHED_S)
        if rates[-1] <= most:
            return
    pytest.fail(f"bytes a second: {rates}")


def test_a_cursor_move_takes_few_bytes(start: Start) -> None:
    """On a terminal that repeats characters; the same mark and the same data as in benchmarks/console.py."""
    terminal = start("console", "still", program=(str(ROOT / "benchmarks" / "pty_apps.py"),), emulate=False)
    terminal.until_raw(b"engines")
    terminal.quiet(0.5, 3)
    for key in "15346":
        terminal.keys(key)
        terminal.quiet(0.5, 3)
        terminal.keys("jj")
        frames = [terminal.frame("j", 0.15) for _ in range(7)]
        sizes = [len(frame) for frame in frames if key != "5" or b"Error: " not in frame]  # two rows of long errors
        assert statistics.median(sizes) <= 300, (key, sizes)
        assert not any(re.search(rb"H\x1b\[\?2026l$", frame) for frame in frames)  # nothing is typed into
    terminal.keys(":")
    terminal.quiet()
    assert re.search(rb"\x1b\[\d+;\d+H\x1b\[\?2026l$", terminal.raw[: terminal.raw.rindex(b"l") + 1])


def sent(terminal: Terminal, act: Callable[[], None]) -> int:
    """Bytes that follow upon `act`, till the terminal is quiet."""
    terminal.quiet()
    before = len(terminal.raw)
    act()
    time.sleep(0.3)
    terminal.quiet(0.3)
    return len(terminal.raw) - before


def test_what_an_operator_does_takes_few_bytes(start: Start) -> None:
    """Twice the budgets of benchmarks/console.py, which has the clock apart: it ticks in here too."""
    terminal = start()
    terminal.until(["backup_history", "2 engines", "succeeded"])
    terminal.quiet()
    assert len(terminal.raw) < 40_000
    assert any(sent(terminal, lambda: terminal.keys("j")) < 1200 for _ in range(5))  # what comes late may come with it
    moves = "".join(f"\x1b[<35;{20 + 3 * n};{8 + n}M" for n in range(20))
    assert sent(terminal, lambda: terminal.keys(moves)) < 3000
    for key, most in (("8", 10_000), ("3", 14_000), ("5", 14_000), ("6", 14_000), ("1", 14_000), ("4", 14_000)):
        sizes = []
        while not sizes or sizes[-1] >= most:
            assert len(sizes) < 4, (key, sizes)
            terminal.keys("9")
            sizes.append(sent(terminal, lambda key=key: terminal.keys(key)))  # type: ignore[misc]
    assert sent(terminal, lambda: terminal.keys(":")) < 4000
    assert sent(terminal, lambda: terminal.keys("q")) < 10_000


def test_a_line_that_is_cut_ends_the_console(start: Start) -> None:
    terminal = start()
    terminal.until("backup_history")
    terminal.hang_up()
    assert terminal.ended(20) == 129


def test_a_signal_to_go_on_starts_nothing_a_second_time(start: Start) -> None:
    """The kernel sends one with each hang-up. A second thread that reads the terminal would keep the process alive."""
    terminal = start()
    terminal.until("backup_history")
    process = psutil.Process(terminal.process.pid)
    threads, written = process.num_threads(), len(terminal.raw)
    terminal.process.send_signal(signal.SIGCONT)
    terminal.until_raw(b"cronsole", after=written)
    terminal.quiet()
    assert process.num_threads() == threads


def test_all_modes_are_reset_when_it_leaves(start: Start) -> None:
    terminal = start()
    terminal.until("backup_history")
    left = len(terminal.raw)
    terminal.keys("q")
    assert terminal.ended() == 0
    for mode in GIVEN_BACK:
        terminal.until_raw(mode, after=left)


def test_a_click_on_hostile_text_does_nothing_and_none_of_its_bytes_is_written(start: Start) -> None:
    terminal = start("hostile")
    terminal.until("[@click=app.quit]")
    y, line = next((y, line) for y, line in enumerate(terminal.text().split("\n")) if "[@click=app.quit]" in line)
    x = line.index("[@click") + 8
    for _ in range(2):
        terminal.keys(f"\x1b[<0;{x};{y + 1}M\x1b[<0;{x};{y + 1}m")
    terminal.keys("\x1b")
    terminal.quiet()
    assert terminal.process.poll() is None
    for bad in (b"\x1b]2;", b"\x1b]52;", "\x9b".encode(), "\u202e".encode(), "\u200b".encode(), b"PWNED\x07", b"\x00"):
        assert bad not in terminal.raw


def test_copying_asks_the_terminal_by_osc_52(start: Start) -> None:
    terminal = start()
    terminal.until("backup_history")
    terminal.keys("C")
    terminal.until("copied: backup_history")
    assert b"\x1b]52;c;" + base64.b64encode(b"backup_history") + b"\x07" in terminal.raw
