"""The console in front of much: a busy system, 10,000 schedules, and a terminal that stops reading."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from backends.connect import Servers, Settings
from benchmarks.soak import job_file, produce
from benchmarks.terminals import APPS, FRAME_END, missed, p95, per_second, running, told

STALL_S = 30
RATE = 500
"""Runs a second; each is an event when it begins and one when it ends."""
WAITS = (
    "select count(*), percentile_cont(0.99) within group (order by extract(epoch from started_at - enqueued_at))"
    " from cronsole.attempt where finished_at >= %s and finished_at < %s"
)


async def busy(folder: Path, base: dict[str, str], seconds: float) -> None:
    """1,000 events a second, 50 queues, 1,000 jobs: what the overview sends and uses."""
    jobs = job_file(folder)
    async with await Servers.open(Settings(None, None, "busy", folder / "busy"), role="bench") as servers:
        env = base | {
            "CRONSOLE_REDIS_URL": servers.redis_url, "CRONSOLE_POSTGRES_URL": servers.postgres_url,
            "CRONSOLE_NAMESPACE": "busy", "PYTHONPATH": f"{base['PYTHONPATH']}{os.pathsep}{folder}",
        }  # fmt: skip
        engine = subprocess.Popen(
            [sys.executable, "-m", "console", "engine", "-j", str(jobs)], env={**os.environ, **env},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        producer = asyncio.create_task(produce(servers, "busy", RATE))
        try:
            with running(["-m", "console"], env) as terminal:
                await asyncio.to_thread(terminal.until_raw, b"q00", 30)
                await asyncio.sleep(5)
                rate, cpu = await asyncio.to_thread(per_second, terminal, max(10.0, seconds))
                times = [datetime.now(UTC)]
                await asyncio.sleep(STALL_S)
                times.append(datetime.now(UTC))
                terminal.hold()
                await asyncio.sleep(STALL_S)
                times.append(datetime.now(UTC))
                terminal.go_on()
                await asyncio.sleep(3)  # until what ended is recorded
                usual, stalled = [await ended(servers, *times[n : n + 2]) for n in range(2)]
        finally:
            producer.cancel()
            engine.terminate()
            engine.wait(30)
    told("overview of a busy system", rate, "B/s", 4000)
    told("overview of a busy system, of a core", cpu, "%", 15)
    waits = f"p99 until a run starts {stalled[1]:.1f} ms, {usual[1]:.1f} before"
    told(f"engine, terminal stalls for {STALL_S} s", stalled[0], "run/s", None, f"{usual[0]:.0f} before; {waits}")


async def ended(servers: Servers, since: datetime, until: datetime) -> tuple[float, float]:
    """(runs a second that ended in that time, 99th percentile of their wait in ms)."""
    pool = await servers.pool()
    async with pool.connection() as connection:
        found = await connection.execute(WAITS, (since, until))
        count, wait = await found.fetchone()
    return count / (until - since).total_seconds(), 1000 * float(wait or 0)


def many_schedules(env: dict[str, str], rounds: int) -> None:
    """The time line of 10,000 schedules over 24 hours: from a key to the end of the frame that shows it."""
    with running([APPS, "console", "many"], env) as terminal:
        terminal.until_raw(b"job-00", 60)
        terminal.keys("2")
        terminal.quiet(1, 20)
        for _ in range(4):
            terminal.keys("-")
            terminal.quiet(0.5, 10)
        for words, pair in (("zoom", "+-"), ("pan", "hl")):
            took = []
            for n in range(8 * rounds):
                before, began = len(terminal.raw), time.perf_counter()
                terminal.keys(pair[n % 2])
                while len(terminal.raw) < before + 300:  # more than the clock
                    time.sleep(0.001)
                took.append(1000 * (terminal.arrived(terminal.until_raw(FRAME_END, after=before + 300)) - began))
                terminal.quiet(0.2, 5)
            told(f"time line of 10,000 schedules, {words}, p95", p95(took), "ms", 100,
                 f"median {statistics.median(took):.0f}, worst {max(took):.0f}")  # fmt: skip


def cut_off(env: dict[str, str]) -> None:
    """A terminal that reads nothing for half a minute: how long until it shows what is true, and a key's effect."""
    with running([APPS, "console", "spread"], env, emulate=True) as terminal:
        terminal.until(["queue-03", "engines"])
        terminal.hold()
        time.sleep(STALL_S / 2)
        terminal.keys("8")
        time.sleep(STALL_S / 2)
        read, began = len(terminal.raw), time.perf_counter()
        terminal.go_on()
        while time.perf_counter() - began < 30:
            found = re.search(r"(\d\d):(\d\d):(\d\d)", terminal.text().partition("\n")[0])
            now = datetime.now().time()
            late = (now.hour * 3600 + now.minute * 60 + now.second) - (
                sum(int(part) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0
            )
            if late <= 1 and "Engines" in terminal.text():
                break
            time.sleep(0.005)
        else:
            missed.append("the console did not come back")
        told(f"after a stall of {STALL_S} s, the truth again", 1000 * (time.perf_counter() - began), "ms", 1000)
        told("bytes for that", len(terminal.raw) - read, "B")
