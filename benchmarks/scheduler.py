"""Schedulers: starting with 10,000 schedules, doing nothing with them, and how late fires are; peers beside it.

python benchmarks/scheduler.py [--seconds 20] [--rate 50] [--burst 500]          needs: pip install --group bench

Lateness is from the planned instant to the job's first line: of a Python function, or of a script for bash. Loads:

- "minute": `burst` jobs, all `* * * * *`, at one full minute, with the engine as it is shipped;
- "spread": `rate` jobs, each once a second, at its own part of it. Cron is minutes: here the engine runs with schedules
  that fire each second (only `parse` of the scheduler is replaced, in its process);
- "together": the same, all at the full second.

Ours goes through Redis to a worker and into history; Celery goes through the same Redis; APScheduler keeps all in one
process and nothing of it elsewhere. Celery beat's intervals fall on full seconds, so it has no "spread".
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from backends.connect import Servers, Settings  # noqa: E402
from backends.engine.scheduler import Scheduler  # noqa: E402
from backends.jobs.spec import JobSpec  # noqa: E402
from backends.queues.streams import StreamQueue  # noqa: E402
from benchmarks.scheduler_programs import (  # noqa: E402
    APS_IDLE,
    APSCHEDULER,
    BEAT_IDLE,
    CELERY,
    COMMAND,
    ENGINE,
    TASKS,
)

MANY = 10_000
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
BEFORE_S = 12
"""A program is started at least so long before the full minute that it is measured at."""
AFTER_S = 8
"""So long after the full minute the runs of a burst are waited for."""


def schedules(count: int) -> list[tuple[str, str]]:
    """Expressions that do not fire soon, so that nothing but the waiting is measured: far hours of far days."""
    rng = random.Random(1)
    month = (time.gmtime().tm_mon + 5) % 12 + 1
    return [
        (f"{rng.randrange(60)} {rng.randrange(24)} {rng.randint(1, 28)} {month} *", rng.choice(ZONES))
        for _ in range(count)
    ]  # fmt: skip


def mixed(count: int) -> list[tuple[str, str]]:
    """What a large installation has: some by the minute, many hourly and daily, few weekly, monthly and yearly."""
    rng = random.Random(2)
    found = []
    for n in range(count):
        m, h, d, w = rng.randrange(60), rng.randrange(24), rng.randint(1, 28), rng.randrange(7)
        expression = (
            "* * * * *" if n % 20 == 0
            else f"*/{rng.choice((2, 5, 10, 15, 20, 30))} * * * *" if n % 20 < 6
            else f"{m} * * * *" if n % 20 < 10
            else f"{m} {h} * * *" if n % 20 < 16
            else f"{m} {h} * * {w}" if n % 20 < 18
            else f"{m} {h} {d} * *" if n % 20 < 19
            else f"{m} {h} {d} {rng.randint(1, 12)} *"
        )  # fmt: skip
        found.append((expression, rng.choice(ZONES)))
    return found


def read(path: Path, period_s: int) -> list[float]:
    """Lateness in ms of each run in the file; a planned instant of `-` is the last multiple of the period."""
    late = []
    for line in path.read_text().splitlines() if path.exists() else ():
        now, text = line.split()
        at = float(now)
        if text == "-":
            planned = at - at % period_s
        else:
            planned = datetime.fromisoformat(text).timestamp() if "T" in text else float(text)
        late.append(1000 * (at - planned))
    return sorted(late)


def share(pid: int, seconds: float) -> float:
    """Percent of a core that a process and its children use."""
    group = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    before = sum(sum(p.cpu_times()[:2]) for p in group)
    time.sleep(seconds)
    return 100 * (sum(sum(p.cpu_times()[:2]) for p in group) - before) / seconds


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it politely."""
    process.terminate()
    process.wait(60)


async def start_cost(servers: Servers) -> tuple[float, float]:
    """Seconds until a scheduler with MANY schedules it never saw is ready, and until one that is started again is."""
    queue = StreamQueue(servers.redis, "start", "default")
    specs = {
        f"j{n}": JobSpec(name=f"j{n}", kind="command", command="true", schedule=e, timezone=z)
        for n, (e, z) in enumerate(mixed(MANY))
    }

    async def known(_: Sequence[str]) -> dict[str, tuple[int, str]]:
        return {}

    took = []
    for _ in range(2):
        scheduler = Scheduler("bench", "start", lambda _: queue, known)
        began = time.perf_counter()
        scheduler.set_jobs(specs)
        await scheduler.tick()
        took.append(time.perf_counter() - began)
    return took[0], took[1]


class Bench:
    """One run in a folder of its own."""

    def __init__(self, folder: Path, servers: Servers, seconds: float) -> None:
        self.folder, self.seconds = folder, seconds
        self.late = folder / "late"
        self.env = {
            **os.environ, "PYTHONPATH": f"{ROOT}:{folder}", "CRONSOLE_REDIS_URL": servers.redis_url,
            "CRONSOLE_POSTGRES_URL": servers.postgres_url, "LATE_FILE": str(self.late), "BENCH_COMMAND": COMMAND,
            "BENCH_BROKER": servers.redis_url.replace("unix://", "redis+socket://").split("?")[0],
        }  # fmt: skip
        (folder / "tasks.py").write_text(TASKS)
        (folder / "late.py").write_text(CELERY)

    # --- nothing due ---

    def idle_engine(self, name: str, which: Sequence[tuple[str, str]]) -> tuple[float, float]:
        """(seconds from starting the process until it is up, percent of a core while nothing is due)."""
        jobs = "".join(
            f'[jobs.j{n}]\nschedule = "{e}"\ntimezone = "{z}"\ncommand = "true"\n' for n, (e, z) in enumerate(which)
        )
        engine, took = self._engine(name, jobs, [sys.executable, "-m", "console", "engine", "-j"])
        time.sleep(5)
        used = share(engine.pid, self.seconds)
        stop(engine)
        return took, used

    def idle_peer(self, program: str) -> tuple[float, float]:
        """The same of APScheduler or Celery beat, without the start of Python and the import."""
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.env
        )
        assert process.stdin
        assert process.stdout
        process.stdin.write("".join(f"{e}|{z}\n" for e, z in schedules(MANY)).encode())
        process.stdin.close()
        took = float(process.stdout.readline())
        time.sleep(5)
        used = share(process.pid, self.seconds)
        stop(process)
        return took, used

    # --- lateness: `which` is minute, spread or together; `kind` is task or command ---

    def ours(self, which: str, kind: str, phases: Sequence[int]) -> list[float]:
        """A real engine with 20 slots. Job names are used once: history knows when a job of that name fired last."""
        what = 'task = "tasks:tick"' if kind == "task" else f"command = ['/bin/bash', '-c', '''{COMMAND}''']"
        every = ("* * * * *" for _ in phases) if which == "minute" else (f"{p % 60} {p // 60} 1 1 *" for p in phases)
        jobs = "".join(
            f'[jobs.{which}_{kind}_{n}]\nschedule = "{when}"\n{what}\noverlap = "allow"\n'
            for n, when in enumerate(every)
        )
        self._not_near(which)
        program = (
            [sys.executable, "-m", "console", "engine", "--concurrency", "20", "-j"]
            if which == "minute"
            else [sys.executable, "-c", ENGINE]
        )
        engine, _ = self._engine(f"{which}-{kind}", jobs, program)
        return self._measure(which, [engine])

    def apscheduler(self, which: str, kind: str, phases: Sequence[int]) -> list[float]:
        """BackgroundScheduler with 20 threads, in one process."""
        self._not_near(which)
        process = subprocess.Popen(
            [sys.executable, "-c", APSCHEDULER, which, kind, "600", ",".join(map(str, phases))],
            env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout
        process.stdout.readline()
        return self._measure(which, [process])

    def celery(self, which: str, kind: str, phases: Sequence[int]) -> list[float]:
        """Beat and one worker with two processes."""
        env = {**self.env, "BENCH_WHICH": which, "BENCH_KIND": kind, "BENCH_COUNT": str(len(phases))}
        self._not_near(which)
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "late", *more],
                env=env, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for more in (
                ["worker", "-c", "2", "--without-gossip", "--without-mingle"],
                ["beat", "-s", str(self.folder / f"beat-{which}-{kind}")],
            )
        ]  # fmt: skip
        time.sleep(6)
        return self._measure(which, started)

    def _not_near(self, which: str) -> None:
        """A burst is one: nothing is started so late that the programs come up after the full minute."""
        left = 60 - time.time() % 60
        if which == "minute" and left < BEFORE_S:
            time.sleep(left + 1)

    def _measure(self, which: str, processes: Sequence[subprocess.Popen[bytes]]) -> list[float]:
        if which == "minute":
            time.sleep(60 - time.time() % 60 + AFTER_S)
        else:
            time.sleep(3)
            self.late.unlink(missing_ok=True)
            time.sleep(self.seconds)
        found = read(self.late, 60 if which == "minute" else 1)
        for process in reversed(processes):
            stop(process)
        self.late.unlink(missing_ok=True)
        return found

    def _engine(self, name: str, jobs: str, program: Sequence[str]) -> tuple[subprocess.Popen[bytes], float]:
        path, log = self.folder / f"{name}.toml", self.folder / f"{name}.log"
        path.write_text(jobs)
        began = time.perf_counter()
        with log.open("wb") as out:
            engine = subprocess.Popen([*program, str(path)], env={**self.env, "CRONSOLE_NAMESPACE": name}, stderr=out)
        while b" is up" not in log.read_bytes():
            assert engine.poll() is None, log.read_text()
            time.sleep(0.02)
        return engine, time.perf_counter() - began


def centiles(late: Sequence[float]) -> tuple[float, float, float]:
    """p50, p99 and the worst, in ms."""
    return late[len(late) // 2], late[int(len(late) * 0.99)], late[-1]


async def lateness(bench: Bench, which: str, kind: str, phases: Sequence[int]) -> None:
    """Ours, then the peers, with their ratios to ours."""
    print(f"\n{which}, {kind}s: {len(phases)} {'at a full minute' if which == 'minute' else 'a second'}")
    base: tuple[float, float, float] | None = None
    for name, run in (("cronsole", bench.ours), ("APScheduler", bench.apscheduler), ("Celery beat", bench.celery)):
        if name == "Celery beat" and which == "spread":
            continue
        late = await asyncio.to_thread(run, which, kind, phases)
        if not late:
            print(f"  {name:12} nothing ran")
            continue
        p50, p99, worst = centiles(late)
        base = base or (p50, p99, worst)
        beside = "" if name == "cronsole" else f"   x {p50 / base[0]:.2f}, x {p99 / base[1]:.2f}"
        figures = f"p50 {p50:8.2f}  p99 {p99:8.2f}  worst {worst:8.2f} ms  {len(late):6} runs"
        print(f"  {name:12} {figures}{beside}", flush=True)


async def bench(folder: Path, seconds: float, rate: int, burst: int) -> None:
    """Measure and print."""
    async with await Servers.open(Settings(None, None, "bench", folder / "data"), role="bench") as servers:
        first, again = await start_cost(servers)
        print(f"scheduler, {MANY} schedules: ready in {first:.2f} s, again (parsed already) in {again:.2f} s")
        b = Bench(folder, servers, seconds)
        for name, count in (("few", 20), ("many", MANY)):
            took, used = await asyncio.to_thread(b.idle_engine, name, schedules(count))
            print(f"engine, {count:6} schedules:  up {took:.2f} s after its process began, idle {used:.2f} % of a core")
        for name, program in (("APScheduler", APS_IDLE), ("Celery beat", BEAT_IDLE)):
            took, used = await asyncio.to_thread(b.idle_peer, program)
            print(f"{name}, {MANY} schedules: ready in {took:.2f} s, idle {used:.2f} % of a core", flush=True)
        spread, together = [n * 1000 // rate for n in range(rate)], [0] * rate
        for kind in ("task", "command"):
            await lateness(b, "spread", kind, spread)
            await lateness(b, "together", kind, together)
            await lateness(b, "minute", kind, [0] * burst)


def main() -> None:
    """Run it in a directory of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--burst", type=int, default=500)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cs-sched-"))
    folder.chmod(0o711)
    try:
        asyncio.run(bench(folder, args.seconds, args.rate, args.burst))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
