"""Embedded servers in a directory of their own, and other processes that hold them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from backends.embedded import status

ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join([str(ROOT), *(p for p in sys.path if p)])
"""Other processes find what this one finds."""
HOLD = """
import sys, time
from pathlib import Path
from backends.embedded import acquire
holder = acquire(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="cse-"))
    root.chmod(0o711)
    yield root / "d"
    for process in psutil.process_iter(["cmdline"]):
        if any(str(root) in word for word in process.info["cmdline"] or ()):
            process.kill()
    shutil.rmtree(root, ignore_errors=True)


def pids(folder: Path) -> tuple[int | None, int | None]:
    s = status(folder)
    return s.valkey_pid, s.postgres_pid


def until(condition: Callable[[], bool], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the servers until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": PATHS},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def kill_watcher(folder: Path) -> None:
    for p in psutil.process_iter(["cmdline"]):
        if p.info["cmdline"] and "backends.embedded_watch" in p.info["cmdline"] and str(folder) in p.info["cmdline"]:
            p.send_signal(signal.SIGKILL)
            p.wait(5)
            return
    raise AssertionError("there is no watcher")


def stopped(folder: Path) -> bool:
    return pids(folder) == (None, None)


def nothing_runs(folder: Path) -> bool:
    """Not by what the pid files say: no process at all names the directory."""
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(
            str(folder) in word for word in process.info["cmdline"] or ()
        ):
            return False
    return True
