"""What the benchmarks of the console share: a program in a terminal, and what it sends, uses and answers."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.terminal import Terminal  # noqa: E402

COLUMNS, ROWS = 140, 40
APPS = str(ROOT / "benchmarks" / "pty_apps.py")
MARK = "▌".encode()
FRAME_END = b"\x1b[?2026l"
missed: list[str] = []


def told(what: str, value: float, unit: str, most: float | None = None, beside: str = "") -> None:
    """One line: a figure, its budget, what stands beside it."""
    over = most is not None and value > most
    if over:
        missed.append(what)
    budget = "" if most is None else f"≤ {most:,.4g}"
    digits = 2 if unit == "s" else 0 if value >= 20 else 1
    print(f"{what:44} {value:10,.{digits}f} {unit:5} {budget:>10} {'*' if over else ' '} {beside}", flush=True)


@contextmanager
def running(
    args: list[str], env: dict[str, str], kbit_s: float | None = None, *, emulate: bool = False
) -> Iterator[Terminal]:
    """A program in a terminal, ended afterwards. It remembers nothing of the one before."""
    env = env | {"CRONSOLE_DATA_DIR": tempfile.mkdtemp(dir=env["HOME"])}
    terminal = Terminal([sys.executable, *args], env, COLUMNS, ROWS, emulate=emulate, kbit_s=kbit_s)
    try:
        yield terminal
    finally:
        terminal.close()


def sent(terminal: Terminal, act: Callable[[], None], least: int = 0) -> int:
    """Bytes that the terminal gets because of `act`, `least` at least, until it is quiet again."""
    terminal.quiet()
    before = len(terminal.raw)
    act()
    time.sleep(0.15)
    deadline = time.monotonic() + 10
    while len(terminal.raw) < before + least and time.monotonic() < deadline:
        time.sleep(0.01)
    terminal.quiet(0.3, 3)
    return len(terminal.raw) - before


def per_second(terminal: Terminal, seconds: float) -> tuple[float, float]:
    """(bytes a second, percent of a core)."""
    process = psutil.Process(terminal.process.pid)
    used, before = sum(process.cpu_times()[:2]), len(terminal.raw)
    time.sleep(seconds)
    return (len(terminal.raw) - before) / seconds, 100 * (sum(process.cpu_times()[:2]) - used) / seconds


def spent(terminal: Terminal) -> float:
    """CPU of the program so far, seconds: tells more than the clock where others are at work."""
    return sum(psutil.Process(terminal.process.pid).cpu_times()[:2])


def latencies(terminal: Terminal, presses: int) -> list[float]:
    """Milliseconds from a key to the end of the frame that shows the cursor moved."""
    found = []
    for n in range(presses):
        before, began = len(terminal.raw), time.perf_counter()
        terminal.keys("\x1b[B" if n % 20 < 10 else "\x1b[A")
        end = terminal.until_raw(FRAME_END, after=terminal.until_raw(MARK, after=before))
        found.append(1000 * (terminal.arrived(end) - began))
        time.sleep(0.037 + 0.011 * (n % 7))
    return found


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20)[18]
