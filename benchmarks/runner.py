"""How fast a runner takes no-op Python jobs, and what a job costs: ``python benchmarks/runner.py [JOBS] [BATCH]``.

One runner process, 100-byte payloads, no queue and no database: the pool of the engine is fed batch after batch, two
of them under way at a time. CPU is user and system time of this process (engine) and of the runner.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import psutil
import uvloop

from backends.engine.executors.base import Attempt, Ended
from backends.engine.executors.python import RunnerPool
from backends.jobs.spec import JobSpec
from backends.model import Outcome, new_run_id

PAYLOAD = b'{"n": 1, "text": "' + b"x" * 78 + b'"}'


async def drain(folder: str, jobs: int, batch: int) -> None:
    """Run `jobs` no-ops in batches and print what they cost."""
    pool = RunnerPool(sys.executable, folder, {}, 1)
    spec = JobSpec(name="noop", kind="task", task="bench_noop:noop", cwd=folder)
    left, open_ = jobs, 0
    finished, started = asyncio.Event(), asyncio.Event()
    room = asyncio.Semaphore(2)

    def on_done(ended: list[tuple[Attempt, Ended]]) -> None:
        nonlocal left, open_
        bad = [e for _, e in ended if e.outcome is not Outcome.SUCCEEDED]
        if bad:
            raise SystemExit(f"a no-op failed: {bad[0]}")
        started.set()
        left -= len(ended)
        open_ -= len(ended)
        if open_ <= batch:
            room.release()
        if not left:
            finished.set()

    def on_back(attempts: list[Attempt]) -> None:
        pool.submit(attempts, on_done, on_back)

    open_ = 1
    left += 1
    pool.submit([Attempt(new_run_id(), 1, spec, PAYLOAD)], on_done, on_back)  # start the runner
    await started.wait()
    batches = [[Attempt(new_run_id(), 1, spec, PAYLOAD) for _ in range(batch)] for _ in range(jobs // batch)]
    left = len(batches) * batch
    child = next(p for p in psutil.Process().children() if "runner.py" in " ".join(p.cmdline()))
    child_before, mine_before, before = child.cpu_times(), os.times(), time.perf_counter()
    for one in batches:
        await room.acquire()
        open_ += batch
        pool.submit(one, on_done, on_back)
    await finished.wait()
    took, mine, runner = time.perf_counter() - before, os.times(), child.cpu_times()
    count = len(batches) * batch
    engine_us = (mine.user + mine.system - mine_before.user - mine_before.system) / count * 1e6
    runner_us = (runner.user + runner.system - child_before.user - child_before.system) / count * 1e6
    print(
        f"{count:,} no-ops in batches of {batch}: {count / took:,.0f} jobs/s;"
        f" CPU a job: engine {engine_us:.1f} µs, runner {runner_us:.1f} µs;"
        f" memory: engine {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB,"
        f" runner {child.memory_info().rss / 1e6:.0f} MB"
    )
    await pool.close(1.0)


def main() -> None:
    """Run the benchmark."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    sizes = [int(sys.argv[2])] if len(sys.argv) > 2 else [20, 50, 200]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bench_noop.py").write_text("def noop(**payload):\n    return None\n")
        for size in sizes:
            uvloop.run(drain(folder, jobs, size))


if __name__ == "__main__":
    main()
