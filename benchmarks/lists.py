"""Long lists: pages of 1,000,000 dead letters and of 10,000,000 runs, as Ops reads them and as the console shows them.

python benchmarks/lists.py [--letters 1000000] [--runs 10000000] [--rounds 9]

Embedded servers, filled by the servers themselves: 8 queues, 300 error groups in each; 1,000 jobs over 30 days, one
attempt in 100 not a success, one job with 20 runs in all, one queue with 200. Middle of the rounds, and worst; ratios
are to the first page of the same list. The console runs in this process, without a terminal: what a key costs until
the screen is drawn.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from backends.connect import Servers, Settings  # noqa: E402
from backends.history import History, migrate  # noqa: E402
from backends.history.house import keep_house  # noqa: E402
from backends.ops import Ops  # noqa: E402
from backends.queues.streams import StreamQueue  # noqa: E402
from console.app import ConsoleApp  # noqa: E402
from console.screens.dead import PAGE  # noqa: E402
from console.screens.pager import ROWS_HELD  # noqa: E402
from console.settings import Preferences  # noqa: E402
from widgets.table import Table  # noqa: E402

QUEUES, GROUPS, DAYS = 8, 300, 30
WRONG = ("failed", "timed_out", "lost")
FILL_LETTERS = """
local P, first, count, queue, at = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
for n = first, first + count - 1 do
  local fp = string.format('%016x', n % tonumber(ARGV[5]))
  local run = string.format('%012x-7000-8000-%012x', at / 1000 + n, n)
  run = string.sub(run, 1, 8) .. '-' .. string.sub(run, 9)
  local head = string.format(
    '{"job":"job%03d","attempts":3,"error_class":"SMTPServerDisconnected","error":"connection %d closed","failed_ms":%d,"group":"%s"}',
    n % 100, n, at / 1000 + n, fp)
  redis.call('SET', P .. string.format('dead:#%.0f', at + n), head .. '\\n{"id":"' .. n .. '","type":"job","payload":{"to":"a@example.org"}}')
  redis.call('ZADD', P .. 'dead', at + n, run)
  redis.call('ZADD', P .. 'dead:index', 0, string.format('%s:%016.0f:%s', fp, at + n, run))
  redis.call('HINCRBY', P .. 'dead:groups', fp, 1)
  redis.call('HSET', P .. 'dead:kinds', fp, string.format('{"job":"job%03d","error_class":"SMTPServerDisconnected"}', n % 100))
end
return count
"""  # noqa: E501
FILL_RUNS = """
insert into cronsole.attempt (run_id, attempt, job, queue, outcome, final, orphan, trigger, enqueued_at, started_at,
  finished_at, duration_ms, worker, error_class, error, fingerprint, replay_of)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n %% 4096), 3, '0')
    || '8' || substr(md5(n::text), 1, 15))::uuid,
  1, case when n %% 500000 = 7 then 'rare' else 'job' || lpad((n %% 1000)::text, 4, '0') end,
  case when n %% 50000 = 9 then 'seldom' else 'q' || n %% 50 end,
  case when n %% 100 = 3 then (array['failed', 'failed', 'timed_out', 'lost'])[1 + n / 100 %% 4] else 'succeeded' end,
  true, false, 'schedule', at, at, at + interval '90 ms', 90, 'web-1:4711',
  case when n %% 100 = 3 then 'OSError' end, case when n %% 100 = 3 then 'no space left on device' end,
  case when n %% 100 = 3 then lpad(to_hex(n / 100 %% 300), 16, '0') end,
  case when n %% 100000 = 5 then '01900000-0000-7000-8000-000000000000' end
from (select n, %(day)s::timestamptz + (n - %(first)s) * %(step)s::interval as at
  from generate_series(%(first)s::bigint, %(last)s::bigint) n) t
"""
FILL_DOWN = """
insert into cronsole.attempt (run_id, attempt, job, queue, outcome, final, orphan, trigger, enqueued_at, started_at,
  finished_at, duration_ms, worker, error_class, error, fingerprint)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7fff9' || substr(md5(n::text), 1, 15))::uuid,
  1, 'down', 'q1', case when n > 10000 then 'succeeded' else 'failed' end, true, false, 'schedule', at, at, at, 0,
  'web-1:4711', 'OSError', 'no space left on device', lpad(to_hex(7), 16, '0')
from (select n, %s::timestamptz - n * interval '1 s' as at from generate_series(1, 10100) n) t
"""
"""A job that failed 10,000 times in a row, and before that did not."""


async def fill(servers: Servers, letters: int, runs: int) -> None:
    """Both lists."""
    began = time.perf_counter()
    at = int(time.time() * 1e6) - letters * 2
    for n in range(QUEUES):
        queue = StreamQueue(servers.redis, "bench", f"q{n}")
        await queue.announce()
        count = letters // QUEUES
        for first in range(n * count, (n + 1) * count, 5000):
            step = min(5000, (n + 1) * count - first)
            await servers.redis.eval(FILL_LETTERS, 1, queue.prefix, first, step, queue.name, at, GROUPS)
    print(f"{letters:,} dead letters in {time.perf_counter() - began:.0f} s", flush=True)
    began = time.perf_counter()
    pool = await servers.pool()
    await migrate(pool)
    await keep_house(pool, DAYS + 1, 400)
    today = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC)
    each = runs // DAYS
    async with pool.connection() as connection:
        await connection.execute("set synchronous_commit = off")
        for day in range(DAYS):
            await connection.execute(
                "select cronsole.add_partition('attempt', %s, true)", ((today - timedelta(days=DAYS - day)).date(),)
            )
            await connection.execute(
                FILL_RUNS,
                {"day": today - timedelta(days=DAYS - day), "first": day * each, "last": (day + 1) * each - 1,
                 "step": timedelta(days=1) / each},
            )  # fmt: skip
        await connection.execute(FILL_DOWN, (today,))
        await connection.execute("analyze cronsole.attempt")
    print(f"{each * DAYS:,} runs in {time.perf_counter() - began:.0f} s", flush=True)


async def timed(rounds: int, ask: Callable[[], Awaitable[Any]]) -> tuple[float, float, Any]:
    """(middle ms, worst ms, the last answer)."""
    took = []
    answer: Any = None
    for _ in range(rounds):
        began = time.perf_counter()
        answer = await ask()
        took.append(1000 * (time.perf_counter() - began))
    return median(took), max(took), answer


async def reads(ops: Ops, letters: int, runs: int, rounds: int) -> None:
    """What Ops needs for a page."""
    now = datetime.now(UTC)
    history = History(await ops.servers.pool())
    first = await ops.dead_heads(100)
    low = await ops.dead_heads(100, f"{first.items[-1].sequence - letters // 2}.q0")
    middle = await ops.runs(100, since=now - timedelta(days=DAYS + 1))
    deep = uuid_at(now - timedelta(days=DAYS / 2))
    print(f"{first.total:,} letters; a page from the middle has {len(low.items)} letters; {len(middle.items)} runs")
    cases: list[tuple[str, Callable[[], Awaitable[Any]]]] = [
        ("letters: first page", lambda: ops.dead_heads(100)),
        ("letters: from the middle", lambda: ops.dead_heads(100, f"{first.items[-1].sequence - letters // 2}.q0")),
        ("letters: of a group", lambda: ops.dead_heads(100, group=f"{7:016x}")),
        ("letters: of a queue", lambda: ops.dead_heads(100, queue="q3")),
        ("groups", lambda: ops.dead_group_page()),
        ("runs: first page", lambda: ops.runs(100)),
        ("runs: from the middle", lambda: ops.runs(100, deep)),
        ("runs: of a job", lambda: ops.runs(100, job="job0042")),
        ("runs: of a job, middle", lambda: ops.runs(100, deep, job="job0042")),
        ("runs: of a rare job", lambda: ops.runs(100, job="rare")),
        ("runs: of a queue", lambda: ops.runs(100, queue="q7")),
        ("runs: of a rare queue", lambda: ops.runs(100, queue="seldom")),
        ("runs: failed", lambda: ops.runs(100, outcomes=["failed"])),
        ("runs: went wrong", lambda: ops.runs(100, outcomes=WRONG)),
        ("runs: lost, of a job", lambda: ops.runs(100, outcomes=["lost"], job="job0003")),
        ("runs: never such an outcome", lambda: ops.runs(100, outcomes=["cancelled"])),
        ("runs: since an hour", lambda: ops.runs(100, since=now - timedelta(hours=1))),
        ("runs: failed, of a queue", lambda: ops.runs(100, outcomes=["failed"], queue="q3")),
        ("runs: went wrong, of a job, middle", lambda: ops.runs(100, deep, outcomes=WRONG, job="job0003")),
        ("runs: succeeded, of a job", lambda: ops.runs(100, outcomes=["succeeded"], job="job0003")),
        ("runs: succeeded, of one that is down", lambda: ops.runs(100, outcomes=["succeeded"], job="down")),
        ("runs: of a job and a queue", lambda: ops.runs(100, job="job0042", queue="q42")),
        ("runs: of an error group", lambda: history.runs(100, group=f"{7:016x}")),
        ("runs: of a group, failed, middle", lambda: history.runs(100, deep, group=f"{7:016x}", outcomes=["failed"])),
        ("runs: by the beginning of an id", lambda: history.runs(100, run_id=deep[:8])),
        ("runs: by an id", lambda: history.runs(100, run_id=deep.partition(".")[0])),
    ]
    base: dict[str, float] = {}
    for name, ask in cases:
        await ask()
        middle_ms, worst, answer = await timed(rounds, ask)
        against = base.setdefault(name.split(":")[0], middle_ms)
        print(f"  {name:30} {middle_ms:8.2f} ms   worst {worst:8.2f}   ratio {middle_ms / against:6.2f}   "
              f"{len(answer.items)} rows", flush=True)  # fmt: skip


def uuid_at(at: datetime) -> str:
    """A cursor at that time."""
    digits = f"{int(at.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000.1"


async def screens(ops: Ops, rounds: int) -> None:
    """What the console needs, and its memory."""

    @asynccontextmanager
    async def opened() -> Any:
        yield ops

    app = ConsoleApp(opened, "bench", preferences=Preferences(timezone="UTC"))
    process = psutil.Process()
    async with app.run_test(size=(140, 40)) as pilot:

        async def until(true: Callable[[], object]) -> None:
            while not true():
                await asyncio.sleep(0.001)

        async def page_on(rows: Table) -> None:
            last = rows.rows[-1].key
            rows.choose(len(rows.rows) - 1)
            await until(lambda: rows.rows[-1].key != last)

        async def jump(rows: Table, side: int) -> None:
            at = 0 if side < 0 else -1
            edge = rows.rows[at].key
            rows.action_edge(side)
            await until(lambda: rows.rows[at].key != edge)

        await until(lambda: app.state.live and app.state.history)
        app.settle()
        for name, table in (("dead", "#letters"), ("runs", "#runs")):
            app.action_go("overview")
            await pilot.pause()
            began = time.perf_counter()
            app.action_go(name)
            await until(lambda table=table: app.screen.query(table) and app.screen.query_one(table, Table).rows)
            await pilot.pause(0)
            print(f"  {name}: open {1000 * (time.perf_counter() - began):8.1f} ms", flush=True)
            rows = app.screen.query_one(table, Table)
            for _ in range(ROWS_HELD // PAGE + 5):  # until as many rows are held as ever are
                await page_on(rows)
            before = process.memory_info().rss / 2**20
            steps = []
            for _ in range(rounds * 20):
                began = time.perf_counter()
                await page_on(rows)
                await pilot.pause(0)
                steps.append(1000 * (time.perf_counter() - began))
            print(
                f"  {name}: a page on {median(steps):8.1f} ms   worst {max(steps):8.1f}   {len(steps)} pages, "
                f"{len(rows.rows)} rows held, memory {before:.0f} → {process.memory_info().rss / 2**20:.0f} MB",
                flush=True,
            )
            jumps = []
            for n in range(rounds * 2):
                began = time.perf_counter()
                await jump(rows, 1 if n % 2 else -1)
                await pilot.pause(0)
                jumps.append(1000 * (time.perf_counter() - began))
            print(f"  {name}: to the newest {median(jumps[::2]):6.1f}, to the oldest {median(jumps[1::2]):6.1f} ms   "
                  f"worst {max(jumps):8.1f}", flush=True)  # fmt: skip
        app.exit()


async def bench(folder: Path, letters: int, runs: int, rounds: int) -> None:
    """Fill and measure."""
    settings = Settings(None, None, "bench", folder / "data")
    async with await Servers.open(settings, role="bench") as servers:
        await fill(servers, letters, runs)
        ops = Ops(servers)
        await reads(ops, letters, runs, rounds)
        await screens(ops, rounds)


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--letters", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cs-lists-"))
    folder.chmod(0o711)
    try:
        asyncio.run(bench(folder, options.letters, options.runs, options.rounds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
