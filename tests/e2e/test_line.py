"""The console at the end of a line that is slow, that stalls, and that becomes quick again."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.engine import ROOT
from tests.support.terminal import Terminal

ASK = b"\x1b[6n"
PROGRAM = """
import os, sys
from backends.model import now_ms
from console.app import run_console
from tests.console.fake_ops import FakeOps, opener
os.chdir(os.environ["HOME"])
sys.exit(run_console(opener(FakeOps(now_ms)), "here"))
"""
Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    terminals: list[Terminal] = []

    def begin(config: str = "", kbit_s: float | None = None) -> Terminal:
        (tmp_path / "config.toml").write_text(config)
        env = {name: value for name, value in os.environ.items() if not name.startswith("CRONSOLE_")}
        env |= {"CRONSOLE_DATA_DIR": str(tmp_path), "CRONSOLE_CONFIG": str(tmp_path / "config.toml")}
        env |= {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
        terminals.append(Terminal([sys.executable, "-c", PROGRAM], env, 140, 40, kbit_s=kbit_s))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()


def visit(terminal: Terminal, until: Callable[[], bool]) -> None:
    """Go from screen to screen: each is some kB."""
    for key, words in (("5", "Runs"), ("8", "Engines"), ("4", "Dead letters"), ("1", "Time line")) * 10:
        terminal.keys(key)
        terminal.until(words, 60)
        terminal.quiet(0.2)
        if until():
            return


def test_a_slow_line_is_noticed_and_told_and_so_is_its_end(start: Start, tmp_path: Path) -> None:
    terminal = start(kbit_s=40)
    terminal.until("backup_history", 60)
    visit(terminal, lambda: "slow line" in terminal.text())
    assert "slow line" in terminal.text().splitlines()[0]
    terminal.kbit_s = None
    visit(terminal, lambda: "slow line" not in terminal.text())
    assert "slow line" not in terminal.text()
    terminal.until("the line is", gone=True)  # what was told goes away by itself
    log = tmp_path / "log" / "console.log"
    assert "never retrieved" not in (log.read_text() if log.exists() else "")
    assert terminal.raw.count(ASK) < 120


def test_the_configuration_decides_and_then_nothing_is_asked(start: Start) -> None:
    terminal = start("[console]\nlow_bandwidth = true\n")
    terminal.until(["backup_history", "slow line"])
    terminal.keys("8")
    terminal.until("Running here")
    assert ASK not in terminal.raw
    terminal = start("[console]\nlow_bandwidth = false\n")
    terminal.until("backup_history")
    assert ASK not in terminal.raw


def test_a_terminal_that_stalls_holds_up_no_key_and_shows_the_newest_when_it_reads_again(
    start: Start, tmp_path: Path
) -> None:
    terminal = start()
    terminal.until("backup_history")
    terminal.quiet()
    terminal.hold()
    read = len(terminal.raw)
    terminal.keys("54831" * 8 + "3w")  # more frames than Textual queues before it stands still
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("cronsole-queues-*.csv")):
        assert time.monotonic() < deadline, "the last key was not taken"
        time.sleep(0.05)
    terminal.go_on()
    terminal.until(["Queues", "rows in"])
    assert len(terminal.raw) - read < 60_000  # forty-two frames would be some 250,000
