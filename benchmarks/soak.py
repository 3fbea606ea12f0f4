"""A console left open over a busy system: its memory, its bytes to the terminal, its share of a core, and its log.

python benchmarks/soak.py [--minutes 60] [--rate 1000]

Embedded servers, 50 queues, 1,000 jobs of which 100 are due each minute, one engine, and a producer that enqueues
`rate` no-op runs a second; each is an event when it begins and one when it ends. Each line is a minute; the last ones
compare the second half with the first. Exits 1 where memory grew by more than 5 % from one half to the other, or where
the log has an exception.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from backends.connect import Servers, Settings  # noqa: E402
from backends.model import new_run_id  # noqa: E402
from backends.queues.base import NewRun  # noqa: E402
from backends.queues.streams import StreamQueue  # noqa: E402
from tests.support.terminal import Terminal  # noqa: E402

QUEUES, JOBS, MINUTELY = 50, 1000, 100


def job_file(folder: Path) -> Path:
    """1,000 jobs over 50 queues."""
    (folder / "soaked.py").write_text("def nothing() -> None:\n    pass\n")
    lines = []
    for n in range(JOBS):
        schedule = "* * * * *" if n < MINUTELY else f"{n % 60} {n % 24} * * *"
        lines.append(
            f'[jobs.job{n:04}]\ntask = "soaked:nothing"\nqueue = "q{n % QUEUES:02}"\nschedule = "{schedule}"\n'
        )
    path = folder / "jobs.toml"
    path.write_text("\n".join(lines))
    return path


async def produce(servers: Servers, namespace: str, rate: int) -> None:
    """Enqueue for ever, a tenth of a second's runs at a time, spread over the queues."""
    queues = [StreamQueue(servers.redis, namespace, f"q{n:02}") for n in range(QUEUES)]
    tick = 0
    while True:
        began = time.monotonic()
        here = queues[tick % QUEUES :][:5] or queues[:5]
        for queue in here:
            job = f"job{int(queue.name[1:]):04}"
            envelope = f'{{"type":"{job}","payload":{{}}}}'.encode()
            await queue.enqueue([NewRun(new_run_id(), job, envelope) for _ in range(rate // 10 // len(here))])
        tick += 5
        await asyncio.sleep(max(0.0, 0.1 - (time.monotonic() - began)))


def cpu_s(process: psutil.Process) -> float:
    """CPU so far."""
    times = process.cpu_times()
    return times.user + times.system


async def soak(folder: Path, minutes: int, rate: int) -> int:
    """Measure and print; the exit code."""
    jobs = job_file(folder)
    async with await Servers.open(Settings(None, None, "soak", folder / "data"), role="bench") as servers:
        env = {
            **os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "CRONSOLE_REDIS_URL": servers.redis_url,
            "CRONSOLE_POSTGRES_URL": servers.postgres_url, "CRONSOLE_NAMESPACE": "soak",
            "CRONSOLE_DATA_DIR": str(folder / "console"), "HOME": str(folder),
        }  # fmt: skip
        engine = subprocess.Popen(
            [sys.executable, "-m", "console", "engine", "-j", str(jobs)], env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        producer = asyncio.create_task(produce(servers, "soak", rate))
        terminal = Terminal([sys.executable, "-m", "console"], env, 140, 40)
        console = psutil.Process(terminal.process.pid)
        rows: list[tuple[float, float, float, int]] = []
        try:
            await asyncio.to_thread(terminal.until, ["1 engine", "q00"], 30)
            done_before = 0
            for minute in range(1, minutes + 1):
                cpu, sent, began = cpu_s(console), len(terminal.raw), time.monotonic()
                await asyncio.sleep(60)
                lasted = time.monotonic() - began
                if terminal.process.poll() is not None:
                    print(f"the console ended with {terminal.process.returncode}\n{terminal.text()}")
                    return 1
                done = await finished(servers)
                rss = console.memory_info().rss / 2**20
                share = 100 * (cpu_s(console) - cpu) / lasted
                kilobytes = (len(terminal.raw) - sent) / lasted / 1000
                rows.append((rss, share, kilobytes, done - done_before))
                print(
                    f"minute {minute:3}  {rss:6.1f} MB  {share:5.1f} % of a core  {kilobytes:6.2f} kB/s  "
                    f"{(done - done_before) / lasted:6.0f} runs/s in history",
                    flush=True,
                )
                done_before = done
            terminal.keys("q")
            code = await asyncio.to_thread(terminal.ended)
        finally:
            producer.cancel()
            terminal.close()
            engine.terminate()
            engine.wait(30)
    log = folder / "console" / "log" / "console.log"
    text = log.read_text("utf-8", "replace") if log.exists() else ""
    half = len(rows) // 2
    first, second = ([fmean(row[k] for row in part) for k in range(3)] for part in (rows[:half] or rows, rows[half:]))
    for name, unit, a, b in zip(("memory", "CPU", "sent"), ("MB", "%", "kB/s"), first, second, strict=True):
        print(f"{name:8} first half {a:7.2f} {unit:5} second half {b:7.2f} {unit:5} ratio {b / a:5.2f}")
    print(f"exceptions in the log: {text.count('Traceback')}; exit code of the console: {code}")
    return int(second[0] > 1.05 * first[0] or "Traceback" in text or code != 0)


async def finished(servers: Servers) -> int:
    """Attempts in history, from the rollups."""
    pool = await servers.pool()
    async with pool.connection() as connection:
        row = await (await connection.execute("select coalesce(sum(n), 0)::bigint from cronsole.rollup")).fetchone()
    return int(row[0]) if row else 0


def main() -> int:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--rate", type=int, default=1000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cs-soak-"))
    folder.chmod(0o711)
    try:
        return asyncio.run(soak(folder, options.minutes, options.rate))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
