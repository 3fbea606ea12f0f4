"""How fast the recorder moves finished attempts from the outbox into Postgres: embedded servers, append-only file on.

python benchmarks/recorder.py [--rows 200000] [--jobs 5] [--output 0] [--envelope 150]

Prints rows/s, the CPU each side used a row, and the longest time the event loop was held. Beside it, in the same run,
the plain way: psycopg's executemany of an INSERT over the same columns and indexes, 5,000 rows a transaction, without
reading any queue, without a rollup and without output. Compare the ratio, not the absolute figures.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from backends.connect import Servers, Settings  # noqa: E402
from backends.embedded import status  # noqa: E402
from backends.history import migrate  # noqa: E402
from backends.history.house import keep_house  # noqa: E402
from backends.history.recorder import Recorder  # noqa: E402
from backends.history.rows import COLUMNS  # noqa: E402
from backends.model import NO_ENVELOPE, AttemptRecord, Outcome, new_run_id, now_ms  # noqa: E402

ENTRY = 200
KEY = "cronsole:{bench/bench}:out"


def record(n: int, jobs: int, output: int, envelope: int = 0) -> AttemptRecord:
    """What an engine writes of a run without trouble; one in fifty failed."""
    at = now_ms()
    failed = n % 50 == 0
    raw = b'{"id":"%d","type":"job","payload":{"x":"%s"}}' % (n, b"y" * max(0, envelope - 45)) if envelope else b""
    return AttemptRecord(
        run_id=new_run_id(at), attempt=1, job=f"job-{n % jobs}", queue="bench", finished_us=at * 1000 + 2500,
        outcome=Outcome.FAILED if failed else Outcome.SUCCEEDED, started_us=at * 1000 + n % 2000, enqueued_ms=at - 5,
        worker="host:1234", producer_id=str(n), output="x" * output or None,
        error="ValueError: no such address" if failed else None, error_class="ValueError" if failed else None,
        envelope=msgspec.Raw(raw) if raw else NO_ENVELOPE,
    )  # fmt: skip


class Meter:
    """CPU and wall time of a stretch: ours, and that of Postgres with all its children."""

    def __init__(self, postgres: psutil.Process) -> None:
        self._postgres = postgres
        self._began = time.perf_counter(), time.process_time(), self._server()

    def _server(self) -> float:
        total = 0.0
        for p in (self._postgres, *self._postgres.children(recursive=True)):
            try:
                t = p.cpu_times()
                total += t.user + t.system
            except psutil.NoSuchProcess:
                continue
        return total

    def tell(self, what: str, rows: int) -> float:
        """Print the line; returns rows/s."""
        wall, ours, server = (
            b - a for a, b in zip(self._began, (time.perf_counter(), time.process_time(), self._server()), strict=True)
        )
        print(f"{what:<24}{rows / wall:10,.0f} rows/s   CPU a row: Python {ours * 1e6 / rows:6.1f} µs,"
              f" PostgreSQL {server * 1e6 / rows:6.1f} µs")  # fmt: skip
        return rows / wall


async def plain(pool: Any, postgres: psutil.Process, rows: int, jobs: int) -> float:
    """The plain way, over a table of the same shape with the same indexes."""
    async with pool.connection() as c:
        await c.execute("create table public.plain (like cronsole.attempt including all)")
        values = []
        for n in range(rows):
            r = record(n, jobs, 0)
            values.append(
                (r.run_id, r.attempt, r.job, r.queue, r.outcome.value, r.final, r.orphan, r.trigger, None,
                 datetime.fromtimestamp((r.enqueued_ms or 0) / 1000, UTC),
                 datetime.fromtimestamp((r.started_us or 0) / 1e6, UTC),
                 datetime.fromtimestamp(r.finished_us / 1e6, UTC), 2.5, r.worker, r.exit_code, r.error_class, r.error,
                 r.fingerprint, r.result, r.producer_id, r.by, r.replay_of, r.max_rss_kb, r.cpu_ms)
            )  # fmt: skip
        sql = f"insert into public.plain ({', '.join(COLUMNS)}) values ({', '.join(['%s'] * len(COLUMNS))})"
        meter = Meter(postgres)
        async with c.cursor() as cursor:
            for n in range(0, rows, 5000):
                async with c.transaction():
                    await cursor.executemany(sql, values[n : n + 5000])
        return meter.tell("executemany INSERT", rows)


async def longest_hold(held: list[float]) -> None:
    """How late a short sleep wakes up, at most."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        held[0] = max(held[0], time.perf_counter() - began - 0.001)


async def bench(folder: Path, rows: int, jobs: int, output: int, envelope: int) -> None:
    settings = Settings(None, None, "bench", folder / "data")
    async with await Servers.open(settings, role="bench") as servers:
        pool = await servers.pool()
        await migrate(pool)
        await keep_house(pool, 30, 90)
        postgres = psutil.Process(status(settings.data_dir).postgres_pid)
        for n in range(0, rows, ENTRY):
            entry = msgspec.json.encode([record(k, jobs, output, envelope) for k in range(n, min(rows, n + ENTRY))])
            await servers.redis.xadd(KEY, {"r": entry})

        async def keys() -> list[str]:
            return [KEY]

        recorder = Recorder(servers.redis_client("recorder"), pool, keys, "bench")
        held = [0.0]
        watch = asyncio.create_task(longest_hold(held))
        meter = Meter(postgres)
        stored = await recorder.drain_once()
        fast = meter.tell("recorder", rows)
        watch.cancel()
        assert stored == rows, f"{stored} of {rows} stored"
        print(f"{'loop held at most':<24}{held[0] * 1000:10.0f} ms")
        slow = await plain(pool, postgres, min(rows, 30_000), jobs)
        print(f"{'ratio':<24}{fast / slow:10.1f}")


def main() -> None:
    """Run it in a directory of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--jobs", type=int, default=5)
    parser.add_argument("--output", type=int, default=0, help="bytes of output a run")
    parser.add_argument("--envelope", type=int, default=150, help="about so many bytes of envelope a run; 0: none")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cs-bench-"))
    folder.chmod(0o711)
    try:
        try:
            import uvloop

            run: Any = uvloop.run
        except ImportError:
            run = asyncio.run
        run(bench(folder, args.rows, args.jobs, args.output, args.envelope))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
