"""The console in a real pseudo-terminal: what it writes, and that it gives the terminal back."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os
import signal
import sys
import threading
from backends.model import now_ms
from console import terminal_guard
from console.app import run_console
from tests.console.fake_ops import FakeOps, opener
if "impatient" in sys.argv:
    terminal_guard.PATIENCE_S = 0.3
code = run_console(opener(FakeOps(now_ms, hostile=True)), "here")
if "lingers" in sys.argv:
    os.kill(os.getpid(), signal.SIGCONT)
    print([thread.name for thread in threading.enumerate()])
    os.kill(os.getpid(), signal.SIGHUP)
    print("cleaned up")
sys.exit(code)
"""
LEAVE = b"\x1b[?1049l"


class Run:
    """The program in a terminal of its own."""

    def __init__(self, env: dict[str, str], *arguments: str) -> None:
        self.data = b""
        self.status: int | None = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, "-c", PROGRAM, *arguments], env)

    def read(self) -> None:
        """Take what is there, wait a moment if nothing is."""
        if select.select([self.fd], [], [], 0.05)[0]:
            try:
                self.data += os.read(self.fd, 65536)
            except OSError:
                return

    def until(self, true: Callable[[], bool], seconds: float = 20.0) -> None:
        """Read until something holds; fails after a deadline."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, self.data[-500:]
            self.read()

    def ended(self) -> bool:
        """Whether the program is gone."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None


def unread(fd: int) -> int:
    """Bytes that were written to a terminal and wait there."""
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def begin(*arguments: str, **env: str) -> Run:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "NO_COLOR", "CRONSOLE_"))}
        base = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "CRONSOLE_DATA_DIR": str(tmp_path), "COLUMNS": "100"}
        runs.append(
            Run(kept | base | {"LINES": "30", "CRONSOLE_CONFIG": str(tmp_path / "none.toml")} | env, *arguments)
        )
        return runs[-1]

    yield begin
    for run in runs:
        if not run.ended():
            os.kill(run.pid, signal.SIGKILL)
            os.waitpid(run.pid, 0)
        os.close(run.fd)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_give_the_terminal_back(start: Callable[..., Run], number: signal.Signals, code: int) -> None:
    run = start()
    run.until(lambda: b"backup_history" in run.data)
    os.kill(run.pid, number)
    run.until(lambda: run.ended() and LEAVE in run.data)
    assert run.status == code


def test_once_left_it_reads_the_terminal_no_more_whatever_signal_comes(start: Callable[..., Run]) -> None:
    run = start("lingers")
    run.until(lambda: b"backup_history" in run.data)
    os.write(run.fd, b"q")
    run.until(run.ended)
    assert b"['MainThread'" in run.data
    assert b"textual-input" not in run.data
    assert b"cleaned up" in run.data
    assert run.status == 0


def test_a_terminal_that_reads_nothing_does_not_keep_the_process(start: Callable[..., Run]) -> None:
    run = start("impatient")
    run.until(lambda: b"backup_history" in run.data)
    for _ in range(60):  # nobody reads any more while the whole screen is drawn again and again
        os.write(run.fd, b"\x0c")
    waiting = -1
    while waiting != (waiting := unread(run.fd)) or waiting < 4000:
        select.select([], [], [], 0.5)
    os.kill(run.pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while not run.ended():
        assert time.monotonic() < deadline, "still there"
        select.select([], [], [], 0.02)
    assert run.status == 143


def test_no_foreign_byte_reaches_the_terminal_and_q_leaves(start: Callable[..., Run]) -> None:
    run = start()
    run.until(lambda: "␛]2;PWNED".encode() in run.data)
    os.write(run.fd, b"q")
    run.until(lambda: run.ended() and LEAVE in run.data)
    assert run.status == 0
    for bad in (b"\x1b]2;", "\x9b".encode(), "\u202e".encode(), "\u200b".encode(), b"PWNED\x07"):
        assert bad not in run.data


@pytest.mark.parametrize(
    "env",
    [
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"LANG": "C", "LC_ALL": "C"},
        {"LANG": "C"}, {"LANG": "C", "LC_CTYPE": "C.UTF-8"}, {"LC_ALL": "de_DE.ISO-8859-1"},
    ],
)  # fmt: skip
def test_a_terminal_without_utf8_gets_ascii(start: Callable[..., Run], env: dict[str, str]) -> None:
    run = start(**env)
    run.until(lambda: b"backup_history" in run.data)
    assert run.data.isascii()
    assert b"\\u" not in run.data


@pytest.mark.parametrize(
    "env", [{"LANG": ""}, {"LANG": "de_DE", "LC_CTYPE": "C.UTF-8"}, {"LANG": "C", "LC_ALL": "C.utf8"}]
)
def test_a_terminal_with_utf8_or_without_a_word_about_it_gets_utf8(
    start: Callable[..., Run], env: dict[str, str]
) -> None:
    run = start(**env)
    run.until(lambda: "↑".encode() in run.data or "╭".encode() in run.data or "●".encode() in run.data)


def test_a_dumb_terminal_gets_one_line(start: Callable[..., Run]) -> None:
    run = start(TERM="dumb")
    run.until(lambda: run.ended() and b"\n" in run.data)
    assert run.status == 2
    assert run.data.strip() == b"the console needs a terminal; `cronsole status` prints the same without one"
