"""What the console costs a terminal: time, bytes and memory, beside an empty Textual app and Textual's DataTable.

python benchmarks/console.py [--rounds 5] [--seconds 5] [--only start,bytes,keys,busy,schedules,stall]

A real pty of 140x40 that answers `?2026` as a modern terminal does. Start-up is measured on embedded servers with 30
jobs, 50 queues and some history; `busy` on embedded servers with an engine and a producer; the rest on data in memory
that change in a known way (benchmarks/pty_apps.py). Each figure stands beside its budget; a star marks one that is
missed.
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
from benchmarks.console_hard import busy, cut_off, many_schedules  # noqa: E402
from benchmarks.terminals import (  # noqa: E402
    APPS,
    FRAME_END,
    latencies,
    missed,
    p95,
    per_second,
    running,
    sent,
    spent,
    told,
)
from tests.support.terminal import Terminal  # noqa: E402

SETTLED_S = 5
"""Until all that comes late has come, also on a busy machine."""
CLOCK = 120
"""Bytes that the clock may add: each second, and while one waits for quiet."""
SCREENS = (
    ("5", "runs"), ("8", "engines"), ("3", "queues"), ("4", "dead letters"), ("2", "time line"), ("6", "jobs"),
    ("9", "audit"), ("1", "overview"),
)  # fmt: skip

# --- start-up ---


def start_up(env: dict[str, str], rounds: int) -> None:
    """First frame, usable data, memory; turn and turn about with an empty app. The first round only compiles."""
    first, data, base, size, memory, base_memory, weight, cpu, base_cpu = ([] for _ in range(9))
    for turn in range(rounds + 1):
        if turn == 1:
            for found in (first, data, base, size, memory, base_memory, weight, cpu, base_cpu):
                found.clear()
        with running([APPS, "empty"], env) as terminal:
            base.append(terminal.arrived(terminal.until_raw(b"READY")) - terminal.started)
            base_cpu.append(spent(terminal))
            base_memory.append(psutil.Process(terminal.process.pid).memory_info().rss / 2**20)
        with running(["-m", "console"], env) as terminal:
            frame = terminal.until_raw(FRAME_END, after=terminal.until_raw(b"cronsole"))
            cpu.append(spent(terminal))
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
    told("CPU until then", 1000 * min(cpu), "ms", 1400 * min(base_cpu), f"ratio {min(cpu) / min(base_cpu):.2f}")
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
        ("one", "one changed row a second", 300 + CLOCK),
        ("spread", "50 row changes a second", 2000 + CLOCK),
    ):
        with running([APPS, "console", what], env) as terminal:
            terminal.until_raw(b"engines")
            for screen, name in (("1", "overview"), ("2", "time line"), ("3", "queues")):
                if screen == "2" and what != "still":
                    continue
                terminal.keys(screen)
                time.sleep(SETTLED_S)
                rate, cpu = per_second(terminal, seconds)
                beside = f"{cpu:.1f} % of a core"
                if what in stock:
                    beside += f"; DataTable {stock[what][0]:,.0f} B/s, {stock[what][1]:.0f} %"
                told(f"{name}: {words}", rate, "B/s", 2000 if screen == "2" else most, beside)


def touches(env: dict[str, str]) -> None:
    """What an operator does."""
    with running([APPS, "console", "still"], env) as terminal:
        terminal.until_raw(b"engines")
        terminal.quiet(0.5, 3)
        terminal.keys("jj")
        cursor_moves(terminal, "overview")
        for key, name in SCREENS:
            told(f"next screen: {name}", sent(terminal, lambda key=key: terminal.keys(key), 1500), "B", 5000 + CLOCK)
            if name in ("runs", "queues", "dead letters", "jobs"):
                terminal.keys("jj")
                cursor_moves(terminal, name)

        def moves() -> None:
            for n in range(20):
                terminal.keys(f"\x1b[<35;{20 + 3 * n};{8 + n}M")
                time.sleep(0.02)

        told("20 mouse moves", sent(terminal, moves), "B", 3000 + CLOCK)
        opened = sent(terminal, lambda: terminal.keys(":"))
        told("palette opened", opened, "B")
        told("a letter in the palette", sent(terminal, lambda: terminal.keys("q")), "B", 10_000 + CLOCK)
        terminal.keys("\x1b")


def cursor_moves(terminal: Terminal, name: str) -> None:
    """Bytes of the frame in which the cursor moves, the middle of nine: the clock's frames are others.

    Of the runs one in five has a long error, and two rows are sent: what that costs is told apart.
    """
    frames = [terminal.frame("j") for _ in range(9)]
    long = [len(frame) for frame in frames if name == "runs" and b"Error: " in frame]
    found = [len(frame) for frame in frames if name != "runs" or b"Error: " not in frame]
    beside = f"{min(found)} – {max(found)}"
    if long:
        beside += f"; with an error in a row {min(long)} – {max(long)}"
    told(f"cursor move: {name}", statistics.median(found), "B", 300, beside)


def keys(env: dict[str, str], presses: int) -> None:
    """How long a key takes while 50 rows a second change."""
    for kbit_s, words, most in ((None, "unthrottled", 30.0), (256.0, "256 kbit/s", 60.0)):
        with running([APPS, "table", "spread"], env, kbit_s) as terminal:
            terminal.until_raw(b"queue-03")
            terminal.quiet(0.05, 1.5)
            stock = latencies(terminal, max(5, presses // (4 if kbit_s else 1)))
        with running([APPS, "console", "spread"], env, kbit_s, emulate=True) as terminal:
            terminal.until("queue-03")
            terminal.keys("3")
            terminal.until("Queues · 50")
            terminal.keys("jjj")  # away from the first row, where a step up changes nothing
            terminal.quiet(0.3, 1)
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
    if "busy" in parts:
        await busy(folder, base, args.seconds)
    if "schedules" in parts:
        await asyncio.to_thread(many_schedules, base, args.rounds)
    if "stall" in parts:
        await asyncio.to_thread(cut_off, base)
    print(f"missed: {', '.join(missed)}" if missed else "every budget is kept")


def main() -> None:
    """Run it in a directory of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--only", default="start,bytes,keys,busy,schedules,stall")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cs-con-"))
    folder.chmod(0o711)
    try:
        asyncio.run(bench(folder, args))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
