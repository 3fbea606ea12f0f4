"""What the console costs a terminal: time, bytes and memory, beside an empty Textual app and Textual's DataTable.

python benchmarks/console.py [--rounds 5] [--seconds 5] [--only start,bytes,keys]

A real pty of 140x40 that answers `?2026` as a modern terminal does. Start-up is measured on embedded servers with 30
jobs, 50 queues and some history; bytes and keys on data in memory that change in a known way (benchmarks/pty_apps.py).
Each figure stands beside its budget; a star marks one that is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
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

from backends.connect import Servers, Settings  # noqa: E402
from backends.history import migrate  # noqa: E402
from backends.history.store import store  # noqa: E402
from backends.jobs.load import load_text  # noqa: E402
from backends.jobs.publish import publish_jobs  # noqa: E402
from backends.model import AttemptRecord, Outcome, new_run_id, now_ms  # noqa: E402
from backends.queues.base import NewRun  # noqa: E402
from backends.queues.streams import StreamQueue  # noqa: E402
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
def running(args: list[str], env: dict[str, str], kbit_s: float | None = None) -> Iterator[Terminal]:
    """A program in a terminal, ended afterwards."""
    terminal = Terminal([sys.executable, *args], env, COLUMNS, ROWS, emulate=False, kbit_s=kbit_s)
    try:
        yield terminal
    finally:
        terminal.close()


def sent(terminal: Terminal, act: Callable[[], None]) -> int:
    """Bytes that the terminal gets because of `act`, until it is quiet again."""
    terminal.quiet()
    before = len(terminal.raw)
    act()
    time.sleep(0.15)
    terminal.quiet(0.3, 3)
    return len(terminal.raw) - before


def per_second(terminal: Terminal, seconds: float) -> tuple[float, float]:
    """(bytes a second, percent of a core)."""
    process = psutil.Process(terminal.process.pid)
    used, before = sum(process.cpu_times()[:2]), len(terminal.raw)
    time.sleep(seconds)
    return (len(terminal.raw) - before) / seconds, 100 * (sum(process.cpu_times()[:2]) - used) / seconds


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


# --- start-up ---


def start_up(env: dict[str, str], rounds: int) -> None:
    """First frame, usable data, memory; turn and turn about with an empty app. The first round only compiles."""
    first, data, base, size, memory, base_memory, weight = [], [], [], [], [], [], []
    for turn in range(rounds + 1):
        if turn == 1:
            for found in (first, data, base, size, memory, base_memory, weight):
                found.clear()
        with running([APPS, "empty"], env) as terminal:
            base.append(terminal.arrived(terminal.until_raw(b"READY")) - terminal.started)
            base_memory.append(psutil.Process(terminal.process.pid).memory_info().rss / 2**20)
        with running(["-m", "console"], env) as terminal:
            frame = terminal.until_raw(FRAME_END, after=terminal.until_raw(b"cronsole"))
            first.append(terminal.arrived(frame) - terminal.started)
            size.append(frame)
            shown = max(terminal.until_raw(b"job-0"), terminal.until_raw(b"succeeded"))
            data.append(terminal.arrived(shown) - terminal.started - first[-1])
            terminal.quiet()
            weight.append(len(terminal.raw))
            memory.append(psutil.Process(terminal.process.pid).memory_info().rss / 2**20)
    empty = min(base)
    told("empty Textual app, first frame", empty, "s")
    told("first frame", min(first), "s", 1.4 * empty, f"ratio {min(first) / empty:.2f}; medians "
         f"{statistics.median(first):.2f} / {statistics.median(base):.2f} s")  # fmt: skip
    told("first frame, bytes", max(size), "B", 40_000)
    told(
        "usable data, after the first frame",
        1000 * min(data),
        "ms",
        300,
        f"median {1000 * statistics.median(data):.0f}",
    )
    told("bytes until all is shown", max(weight), "B")
    told("memory", max(memory), "MiB", 60, f"empty app {max(base_memory):.0f} MiB")


# --- bytes ---


def steady(env: dict[str, str], seconds: float) -> None:
    """What changes by itself."""
    stock = {}
    for what in ("one", "spread"):
        with running([APPS, "table", what], env) as terminal:
            terminal.until_raw(b"queue-03")
            terminal.quiet(0.15, 2)
            stock[what] = per_second(terminal, seconds)
    for what, words, most in (
        ("still", "idle, the clock runs", 200),
        ("one", "one changed row a second", 500),
        ("spread", "50 row changes a second", 2200),
    ):
        with running([APPS, "console", what], env) as terminal:
            terminal.until_raw(b"engines")
            for screen, name in (("1", "overview"), ("3", "queues")):
                terminal.keys(screen)
                terminal.quiet(0.3, 2)
                rate, cpu = per_second(terminal, seconds)
                beside = f"{cpu:.1f} % of a core"
                if what in stock:
                    beside += f"; DataTable {stock[what][0]:,.0f} B/s, {stock[what][1]:.0f} %"
                told(f"{name}: {words}", rate, "B/s", most, beside)


def touches(env: dict[str, str]) -> None:
    """What an operator does."""
    with running([APPS, "console", "still"], env) as terminal:
        terminal.until_raw(b"engines")
        terminal.quiet(0.5, 3)
        clock = 120  # what the clock may add while one waits for quiet
        terminal.keys("jj")
        told("cursor move", sent(terminal, lambda: terminal.keys("j")), "B", 300 + clock)
        for key, name in (("5", "runs"), ("8", "engines"), ("3", "queues"), ("4", "dead letters"), ("1", "overview")):
            told(f"next screen: {name}", sent(terminal, lambda key=key: terminal.keys(key)), "B", 5000 + clock)

        def moves() -> None:
            for n in range(20):
                terminal.keys(f"\x1b[<35;{20 + 3 * n};{8 + n}M")
                time.sleep(0.02)

        told("20 mouse moves", sent(terminal, moves), "B", 3000 + clock)
        opened = sent(terminal, lambda: terminal.keys(":"))
        told("palette opened", opened, "B")
        told("a letter in the palette", sent(terminal, lambda: terminal.keys("q")), "B", 10_000 + clock)
        terminal.keys("\x1b")


def keys(env: dict[str, str], presses: int) -> None:
    """How long a key takes while 50 rows a second change."""
    for kbit_s, words, most in ((None, "unthrottled", 30.0), (256.0, "256 kbit/s", 60.0)):
        with running([APPS, "table", "spread"], env, kbit_s) as terminal:
            terminal.until_raw(b"queue-03")
            time.sleep(1.5)
            stock = latencies(terminal, max(5, presses // (4 if kbit_s else 1)))
        with running([APPS, "console", "spread"], env, kbit_s) as terminal:
            terminal.until_raw(b"engines")
            terminal.keys("3")
            terminal.quiet(0.3, 2)
            ours = latencies(terminal, presses)
        told(f"key to screen p95, {words}", p95(ours), "ms", most, f"median {statistics.median(ours):.0f} ms; "
             f"DataTable p95 {p95(stock):,.0f}, median {statistics.median(stock):,.0f} ms")  # fmt: skip


# --- servers ---


async def fill(servers: Servers, jobs: int) -> None:
    """Jobs, queues that hold something, dead letters and finished attempts."""
    text = "".join(
        f'[jobs.job-{n:02}]\nschedule = "{n}-59/{2 + n % 9} * * * *"\ncommand = "true"\nqueue = "q{n:02}"\n'
        for n in range(jobs)
    )
    await publish_jobs(servers.redis, servers.settings.namespace, load_text(text))
    records = []
    for n in range(50):
        queue = StreamQueue(servers.redis, servers.settings.namespace, f"q{n:02}")
        await queue.announce()
        await queue.enqueue([NewRun(new_run_id(), f"job-{n % jobs:02}", b'{"type":"x"}') for _ in range(n % 7)])
        for k in range(20):
            at = 1000 * (now_ms() - 60_000 * k - 1000 * n)
            records.append(
                AttemptRecord(
                    run_id=new_run_id(at // 1000), attempt=1, job=f"job-{n % jobs:02}", queue=f"q{n:02}",
                    outcome=Outcome.SUCCEEDED, started_us=at - 900_000, finished_us=at, worker="h:1:ab",
                )
            )  # fmt: skip
    pool = await servers.pool()
    await migrate(pool)
    async with pool.connection() as connection:
        await store(connection, records, [])


async def bench(folder: Path, args: argparse.Namespace) -> None:
    """Measure and print."""
    base = {name: value for name, value in os.environ.items() if not name.startswith(("CRONSOLE_", "PYTHON"))}
    base |= {"PYTHONPATH": str(ROOT), "HOME": str(folder), "CRONSOLE_CONFIG": str(folder / "none.toml")}
    base |= {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    base |= {"CRONSOLE_DATA_DIR": str(folder / "console")}
    parts = args.only.split(",")
    print(f"{'':44} {'measured':>10} {'':5} {'budget':>10}")
    async with await Servers.open(Settings(None, None, "bench", folder / "data"), role="bench") as servers:
        urls = {"CRONSOLE_REDIS_URL": servers.redis_url, "CRONSOLE_POSTGRES_URL": servers.postgres_url}
        if "start" in parts:
            await fill(servers, 30)
            await asyncio.to_thread(start_up, base | urls | {"CRONSOLE_NAMESPACE": "bench"}, args.rounds)
        if "bytes" in parts:
            await asyncio.to_thread(steady, base, args.seconds)
            await asyncio.to_thread(touches, base)
        if "keys" in parts:
            await asyncio.to_thread(keys, base, 60)
    print(f"missed: {', '.join(missed)}" if missed else "every budget is kept")


def main() -> None:
    """Run it in a directory of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--only", default="start,bytes,keys")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cs-con-"))
    folder.chmod(0o711)
    try:
        asyncio.run(bench(folder, args))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
