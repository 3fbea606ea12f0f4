"""How fast a full queue is drained: no-op Python jobs, embedded servers, append-only file and history on.

python benchmarks/drain.py [--jobs 100000] [--payload 100]

Prints runs/s until Redis is drained and until history is complete, and the CPU each part used a run. Beside it, in the
same run, what the machine can do at all: a bare XREADGROUP + XACK + XDEL loop over the same entries in batches of the
same size, nothing executed and nothing recorded. Compare the ratio, not the absolute figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from backends.connect import Servers, Settings  # noqa: E402
from backends.history import migrate  # noqa: E402
from backends.model import new_run_id, now_ms  # noqa: E402
from backends.queues.base import BATCH, NewRun  # noqa: E402
from backends.queues.streams import StreamQueue  # noqa: E402

QUEUE = "bench"


def envelope(n: int, payload_bytes: int) -> bytes:
    """An envelope as any producer writes it."""
    payload = {"n": n, "x": "y" * max(0, payload_bytes - 20)}
    return json.dumps({"id": str(n), "type": "noop", "payload": payload, "createdAt": "2026-11-23T00:00:00Z"}).encode()


def cpu_s(process: psutil.Process, *, children: bool = False) -> float:
    """CPU seconds of a process, and of those below it."""
    total = 0.0
    for p in [process, *(process.children(recursive=True) if children else [])]:
        try:
            t = p.cpu_times()
            total += t.user + t.system
        except psutil.NoSuchProcess:
            continue
    return total


async def fill(queue: StreamQueue, jobs: int, payload: int) -> float:
    """Enqueue; returns the seconds it took."""
    began = time.perf_counter()
    for n in range(0, jobs, 5 * BATCH):
        ms = now_ms()
        await queue.enqueue(
            [NewRun(new_run_id(ms), "noop", envelope(k, payload)) for k in range(n, min(jobs, n + 5 * BATCH))]
        )
    return time.perf_counter() - began


async def baseline(servers: Servers, jobs: int, payload: int) -> float:
    """Runs/s of the bare loop."""
    r, key = servers.redis, "baseline"
    pipe = r.pipeline(transaction=False)
    for n in range(jobs):
        pipe.xadd(key, {"e": envelope(n, payload)})
        if n % 1000 == 999:
            await pipe.execute()
    await pipe.execute()
    await r.xgroup_create(key, "g", "0")
    began, done = time.perf_counter(), 0
    while done < jobs:
        got = await r.xreadgroup("g", "c", {key: ">"}, count=BATCH)
        entries = got[0][1] if isinstance(got, list) else next(iter(got.values()))[0]
        ids = [entry[0] for entry in entries]
        await r.xack(key, "g", *ids)
        await r.xdel(key, *ids)
        done += len(ids)
    took = time.perf_counter() - began
    await r.delete(key)
    return jobs / took


async def bench(folder: Path, jobs: int, payload: int) -> None:
    settings = Settings(None, None, "bench", folder / "data")
    (folder / "jobs.toml").write_text('[jobs.noop]\ntask = "noop:noop"\nqueue = "bench"\n')
    (folder / "noop.py").write_text("def noop(**_):\n    pass\n")
    async with await Servers.open(settings, role="bench") as servers:
        await migrate(await servers.pool())
        bare = await baseline(servers, min(jobs, 50_000), payload)
        queue = StreamQueue(servers.redis, "bench", QUEUE)
        took = await fill(queue, jobs, payload)
        print(f"enqueue                 {jobs / took:10,.0f} runs/s")
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CRONSOLE_REDIS_URL": servers.redis_url,
            "CRONSOLE_POSTGRES_URL": servers.postgres_url,
            "CRONSOLE_NAMESPACE": "bench",
        }
        program = (
            "import sys; from pathlib import Path; from backends.connect import settings_from_env;"
            "from backends.engine.service import EngineOptions, run_engine;"
            "sys.exit(run_engine(settings_from_env(), EngineOptions(jobs=Path(sys.argv[1]))))"
        )
        from backends.embedded import status

        pids = status(settings.data_dir)
        redis, postgres = psutil.Process(pids.valkey_pid), psutil.Process(pids.postgres_pid)
        redis0 = cpu_s(redis)
        log = (folder / "engine.log").open("wb")
        engine = subprocess.Popen([sys.executable, "-c", program, str(folder / "jobs.toml")], env=env, stderr=log)
        try:
            while (await queue.status()).running == 0:
                await asyncio.sleep(0.005)
            began = time.perf_counter()
            pg0 = cpu_s(postgres, children=True)
            drained = complete = None
            most = 0.0
            while complete is None:
                await asyncio.sleep(0.05)
                s = await queue.status()
                now = time.perf_counter() - began
                if now > 120:
                    raise SystemExit(f"not drained after {now:.0f} s: {s}")
                if drained is None and s.ready + s.running == 0:
                    drained = now
                if drained is not None and s.outbox == 0:
                    complete = now
                most = max(most, now)
            me = psutil.Process(engine.pid)
            runners = [p for p in me.children(recursive=True) if "runner.py" in " ".join(p.cmdline())]
            engine_us = cpu_s(me) * 1e6 / jobs
            runner_us = sum(cpu_s(p) for p in runners) * 1e6 / jobs
            redis_us = (cpu_s(redis) - redis0) * 1e6 / jobs
            pg_us = (cpu_s(postgres, children=True) - pg0) * 1e6 / jobs
        finally:
            engine.terminate()
            engine.wait(20)
        async with (await servers.pool()).connection() as c:
            row = await (
                await c.execute(
                    "select count(*), count(*) filter (where final and outcome = 'succeeded'), min(started_at),"
                    " max(finished_at) from cronsole.attempt"
                )
            ).fetchone()
            assert row is not None
            assert row[:2] == (jobs, jobs), f"history has {row[:2]}, not {jobs} succeeded"
        assert drained
        inside = (row[3] - row[2]).total_seconds()
        print(f"drained                 {jobs / drained:10,.0f} runs/s   ({drained:.2f} s)")
        print(
            f"history complete        {jobs / complete:10,.0f} runs/s   ({complete - drained:+.2f} s after the drain)"
        )
        print(f"first start to last end {jobs / inside:10,.0f} runs/s   (by the runs' own clocks)")
        print(f"bare read + ack + del   {bare:10,.0f} entries/s; drained / bare = {jobs / drained / bare:.2f}")
        print(f"CPU a run: engine {engine_us:.1f} µs (start-up included), {len(runners)} runners {runner_us:.1f} µs,"
              f" Valkey {redis_us:.1f} µs (from take on), PostgreSQL {pg_us:.1f} µs")  # fmt: skip


def main() -> None:
    """Run it in a directory of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--payload", type=int, default=100)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cs-bench-"))
    folder.chmod(0o711)
    try:
        asyncio.run(bench(folder, args.jobs, args.payload))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
