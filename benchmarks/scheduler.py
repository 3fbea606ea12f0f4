"""Schedulers: starting with 10,000 schedules, doing nothing with them, and how late fires are; peers beside it.

python benchmarks/scheduler.py [--seconds 20] [--rate 50]          needs: pip install --group bench

Lateness is from the planned instant to the first line of the job. Cron is minutes; to see more than one instant a
minute the engine runs here with schedules that fire each second (only `parse` of the scheduler is replaced, in its
process): "spread": `rate` jobs, each at its own part of the second; "together": all of them at the full second, as at
a full minute. Celery beat's intervals fall on full seconds, so it has no "spread".
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
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from backends.connect import Servers, Settings  # noqa: E402
from backends.engine.scheduler import Scheduler  # noqa: E402
from backends.jobs.spec import JobSpec  # noqa: E402
from backends.queues.streams import StreamQueue  # noqa: E402

MANY = 10_000
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")

TASKS = """
import os, time
def tick():
    now = time.time()
    from datetime import datetime
    planned = datetime.fromisoformat(os.environ["CRONSOLE_SCHEDULED_FOR"]).timestamp()
    with open(os.environ["LATE_FILE"], "a") as f:
        f.write(f"{1000 * (now - planned):.3f}\\n")
"""
ENGINE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from backends.connect import settings_from_env
from backends.engine import scheduler
from backends.engine.service import EngineOptions, run_engine

class EachSecond:
    reboot = False
    def __init__(self, phase_ms):
        self.phase_ms = phase_ms
    def after(self, at):
        ms = int(at.timestamp() * 1000)
        ms += 1000 - (ms - self.phase_ms) % 1000
        return datetime.fromtimestamp(ms / 1000, UTC)

def parse(expression, timezone):  # "M H 1 1 *" carries the phase
    minute, hour = map(int, expression.split()[:2])
    return EachSecond((hour * 60 + minute) % 1000)

scheduler.parse = parse
sys.exit(run_engine(settings_from_env(), EngineOptions(jobs=Path(sys.argv[1]), slots=20), log_format="json"))
"""
APSCHEDULER = """
import sys, time
from datetime import UTC, datetime, timedelta
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.executors.pool import ThreadPoolExecutor
phases = [int(p) for p in sys.argv[1].split(",")]
out = open(sys.argv[2], "a", buffering=1)
def tick(phase):
    out.write(f"{(time.time() * 1000 - phase) % 1000:.3f}\\n")
s = BackgroundScheduler(executors={"default": ThreadPoolExecutor(20)}, timezone=UTC)
begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
for p in phases:
    s.add_job(tick, "interval", seconds=1, start_date=begin + timedelta(milliseconds=p), args=[p])
s.start()
time.sleep(float(sys.argv[3]))
"""
CELERY = """
import os, time
from celery import Celery
from celery.schedules import schedule
app = Celery("late", broker=os.environ["BENCH_BROKER"])
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)
@app.task
def tick():
    with open(os.environ["LATE_FILE"], "a") as f:
        f.write(f"{time.time() * 1000 % 1000:.3f}\\n")
app.conf.beat_schedule = {
    f"t{n}": {"task": "late.tick", "schedule": schedule(1.0, relative=True)} for n in range(int(os.environ["RATE"]))
}
"""
APS_START = """
import sys, time
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
began = time.perf_counter()
s = BackgroundScheduler(timezone="UTC")
for line in sys.stdin:
    expression, zone = line.rstrip().split("|")
    s.add_job(print, CronTrigger.from_crontab(expression, zone))
s.start()
print(f"{time.perf_counter() - began:.3f}", flush=True)
time.sleep(600)
"""


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


def centiles(late: Sequence[float]) -> str:
    """p50, p99 and the worst, in ms."""
    if not late:
        return "nothing ran"
    late = sorted(late)
    p50, p99 = late[len(late) // 2], late[int(len(late) * 0.99)]
    return f"p50 {p50:7.2f}  p99 {p99:7.2f}  worst {late[-1]:7.2f} ms   ({len(late)})"


def read(path: Path) -> list[float]:
    """What the jobs wrote, without the first second of each."""
    return [float(line) for line in path.read_text().splitlines()] if path.exists() else []


async def start_cost(servers: Servers) -> tuple[float, float]:
    """Seconds until a scheduler with MANY schedules it never saw is ready, and until one that is started again is."""
    queue = StreamQueue(servers.redis, "start", "default")
    specs = {
        f"j{n}": JobSpec(name=f"j{n}", kind="command", command="true", schedule=e, timezone=z)
        for n, (e, z) in enumerate(mixed(MANY))
    }

    async def known() -> dict[str, int]:
        return {}

    took = []
    for _ in range(2):
        scheduler = Scheduler("bench", "start", lambda _: queue, known)
        began = time.perf_counter()
        scheduler.set_jobs(specs)
        await scheduler.tick()
        took.append(time.perf_counter() - began)
    return took[0], took[1]


def share(pid: int, seconds: float) -> float:
    """Percent of a core that a process and its children use."""
    group = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    before = sum(sum(p.cpu_times()[:2]) for p in group)
    time.sleep(seconds)
    return 100 * (sum(sum(p.cpu_times()[:2]) for p in group) - before) / seconds


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it politely."""
    process.terminate()
    process.wait(30)


class Bench:
    """One run in a folder of its own."""

    def __init__(self, folder: Path, servers: Servers, seconds: float, rate: int) -> None:
        self.folder, self.servers, self.seconds, self.rate = folder, servers, seconds, rate
        self.late = folder / "late"
        self.env = {
            **os.environ, "PYTHONPATH": f"{ROOT}:{folder}", "CRONSOLE_REDIS_URL": servers.redis_url,
            "CRONSOLE_POSTGRES_URL": servers.postgres_url, "LATE_FILE": str(self.late), "RATE": str(rate),
            "BENCH_BROKER": servers.redis_url.replace("unix://", "redis+socket://").split("?")[0],
        }  # fmt: skip
        (folder / "tasks.py").write_text(TASKS)
        (folder / "late.py").write_text(CELERY)

    def idle(self) -> None:
        """An engine with MANY schedules and nothing due; APScheduler beside it."""
        few = self._engine_idle("few", schedules(20))
        many = self._engine_idle("many", schedules(MANY))
        print(f"idle engine            {many:6.2f} % of a core with {MANY} schedules, {few:.2f} % with 20")
        process = subprocess.Popen(
            [sys.executable, "-c", APS_START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.env
        )
        assert process.stdin
        assert process.stdout
        process.stdin.write("".join(f"{e}|{z}\n" for e, z in schedules(MANY)).encode())
        process.stdin.close()
        took = float(process.stdout.readline())
        print(
            f"APScheduler            {took:6.2f} s to start with {MANY}, {share(process.pid, self.seconds):.2f} % idle"
        )
        stop(process)

    def _engine_idle(self, name: str, which: Sequence[tuple[str, str]]) -> float:
        jobs = self.folder / f"{name}.toml"
        jobs.write_text(
            "".join(
                f'[jobs.j{n}]\nschedule = "{e}"\ntimezone = "{z}"\ncommand = "true"\n' for n, (e, z) in enumerate(which)
            )
        )
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            engine = subprocess.Popen(
                [sys.executable, "-m", "console", "engine", "-j", str(jobs)],
                env={**self.env, "CRONSOLE_NAMESPACE": name}, stderr=out,
            )  # fmt: skip
        while b" is up" not in log.read_bytes():
            assert engine.poll() is None, log.read_text()
            time.sleep(0.1)
        time.sleep(5)
        used = share(engine.pid, self.seconds)
        stop(engine)
        return used

    def ours(self, name: str, phases: Sequence[int]) -> list[float]:
        """A real engine with Python jobs."""
        jobs = self.folder / f"{name}.toml"
        jobs.write_text(
            "".join(
                f'[jobs.j{n}]\nschedule = "{p % 60} {p // 60} 1 1 *"\ntask = "tasks:tick"\noverlap = "allow"\n'
                for n, p in enumerate(phases)
            )
        )
        self.late.unlink(missing_ok=True)
        with (self.folder / f"{name}.log").open("wb") as log:
            engine = subprocess.Popen(
                [sys.executable, "-c", ENGINE, str(jobs)], env={**self.env, "CRONSOLE_NAMESPACE": name}, stderr=log
            )
        time.sleep(4)
        self.late.unlink(missing_ok=True)
        time.sleep(self.seconds)
        found = read(self.late)
        stop(engine)
        return found

    def apscheduler(self, phases: Sequence[int]) -> list[float]:
        """BackgroundScheduler with threads, in one process."""
        self.late.unlink(missing_ok=True)
        subprocess.run(
            [sys.executable, "-c", APSCHEDULER, ",".join(map(str, phases)), str(self.late), str(self.seconds + 3)],
            env=self.env, check=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return read(self.late)

    def celery(self) -> list[float]:
        """Beat and a worker with two processes."""
        base = [sys.executable, "-m", "celery", "-A", "late"]
        quiet = {"env": self.env, "cwd": self.folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        worker = subprocess.Popen([*base, "worker", "-c", "2", "--without-gossip", "--without-mingle"], **quiet)
        time.sleep(6)
        beat = subprocess.Popen([*base, "beat", "-s", str(self.folder / "beat.db")], **quiet)
        time.sleep(5)
        self.late.unlink(missing_ok=True)
        time.sleep(self.seconds)
        found = read(self.late)
        stop(beat)
        stop(worker)
        return found


async def bench(folder: Path, seconds: float, rate: int) -> None:
    """Measure and print."""
    async with await Servers.open(Settings(None, None, "bench", folder / "data"), role="bench") as servers:
        first, again = await start_cost(servers)
        print(f"scheduler, {MANY} schedules: ready in {first:.2f} s, again (parsed already) in {again:.2f} s")
        b = Bench(folder, servers, seconds, rate)
        await asyncio.to_thread(b.idle)
        spread, together = [n * 1000 // rate for n in range(rate)], [0] * rate
        print(f"\nlateness at {rate} fires/s                (planned instant to first line of the job)")
        print(f"cronsole, spread       {centiles(await asyncio.to_thread(b.ours, 'spread', spread))}")
        print(f"APScheduler, spread    {centiles(await asyncio.to_thread(b.apscheduler, spread))}")
        print(f"cronsole, together     {centiles(await asyncio.to_thread(b.ours, 'together', together))}")
        print(f"APScheduler, together  {centiles(await asyncio.to_thread(b.apscheduler, together))}")
        print(f"Celery beat, together  {centiles(await asyncio.to_thread(b.celery))}")


def main() -> None:
    """Run it in a directory of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=int, default=50)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cs-sched-"))
    folder.chmod(0o711)
    try:
        asyncio.run(bench(folder, args.seconds, args.rate))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
