"""Dead letters in the archive: how fast they go there and come back, and pages, counts and a purge of all of them.

python benchmarks/archive.py [--letters 300000] [--moved 10000]

Embedded servers. `--moved` letters die in Redis and are moved by the engine's own code; the rest is filled in by
PostgreSQL itself, 300 error groups. Middle of 9 rounds, and worst.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from backends.connect import Servers, Settings  # noqa: E402
from backends.history import migrate  # noqa: E402
from backends.history.spill import Spill  # noqa: E402
from backends.model import new_run_id  # noqa: E402
from backends.ops import Ops, Selection  # noqa: E402
from backends.queues.base import NewRun  # noqa: E402
from backends.queues.streams import StreamQueue  # noqa: E402
from tests.contract.helpers import dead  # noqa: E402

GROUPS, ROUNDS, TOP = 300, 9, 1_700_000_000_000_000
LIST = "insert into cronsole.dead_archive_lists (namespace, queue, why) values ('bench', 'q', 'spilled') returning list"
FILL = """
insert into cronsole.dead_archive (list, sequence, run_id, fingerprint, state, move, head, envelope)
select %(list)s, %(top)s - n, '01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'),
  lpad(to_hex(n %% %(groups)s), 16, '0'), 'there', '', convert_to('{"job":"j' || n %% 30 || '","attempts":3,'
  || '"error_class":"OSError","error":"connection ' || n || ' closed","failed_ms":1700000000000,"group":"'
  || lpad(to_hex(n %% %(groups)s), 16, '0') || '"}', 'UTF8'),
  convert_to('{"id":"' || n || '","type":"j","payload":{"to":"a@example.org"}}', 'UTF8')
from generate_series(1, %(count)s) n;
"""
COUNT = """
insert into cronsole.dead_archive_groups (list, fingerprint, job, error_class, n)
select list, fingerprint, 'j', 'OSError', count(*) from cronsole.dead_archive where list = %s group by 1, 2
"""


async def rate(what: str, count: int, act: Awaitable[Any]) -> Any:
    """Do it, and print how many a second."""
    began = time.perf_counter()
    answer = await act
    took = time.perf_counter() - began
    print(f"  {what:34} {count / took:10,.0f} letters/s   {took:7.2f} s", flush=True)
    return answer


async def once(what: str, act: Awaitable[Any]) -> Any:
    """Do it, and print how long it took."""
    began = time.perf_counter()
    answer = await act
    print(f"  {what:34} {1000 * (time.perf_counter() - began):8.2f} ms", flush=True)
    return answer


async def timed(what: str, ask: Callable[[], Awaitable[Any]]) -> None:
    """Print the middle and the worst of some rounds."""
    await ask()
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await ask()
        took.append(1000 * (time.perf_counter() - began))
    print(f"  {what:34} {median(took):8.2f} ms   worst {max(took):8.2f}", flush=True)


async def bench(folder: Path, letters: int, moved: int) -> None:
    """Fill and measure."""
    async with await Servers.open(Settings(None, None, "bench", folder / "data"), role="bench") as servers:
        pool = await servers.pool()
        await migrate(pool)
        queue = StreamQueue(servers.redis, "bench", "q")
        for _ in range(0, moved, 200):
            await queue.enqueue([NewRun(new_run_id(), "j", b'{"type":"j","payload":{"x":1}}') for _ in range(200)])
            await queue.settle("w", [dead(d) for d in (await queue.take("w", 200)).deliveries])
        ops = Ops(servers)
        spill = Spill(pool, "bench", queue, ops.live.queue("q")._server_ms)  # noqa: SLF001
        pairs = await queue.dead_pairs(moved, 0, 1 << 53)
        parts = [pairs[n : n + 200] for n in range(0, moved, 200)]

        async def each(act: Callable[[Any], Awaitable[list[bool]]]) -> int:
            return sum([sum(await act(part)) for part in parts])

        assert await rate("to the archive", moved, each(spill.leave)) == moved
        assert await rate("back from it", moved, each(spill.back)) == moved
        async with pool.connection() as c:
            (into,) = await (await c.execute(LIST)).fetchone()
            await c.execute(FILL, {"list": into, "top": TOP, "groups": GROUPS, "count": letters})
            await c.execute(COUNT, (into,))
            await c.execute("vacuum analyze cronsole.dead_archive")
        await queue.dead_counted(letters, TOP)
        deep = f"{TOP - letters // 2}.q"
        await timed("page of 100, in Redis", lambda: ops.dead_heads(100))
        await timed("page of 100, from the middle", lambda: ops.dead_heads(100, deep))
        await timed("page of a group", lambda: ops.dead_heads(100, deep, group=f"{7:016x}"))
        await timed("page of 100 with envelopes", lambda: ops.dead_list(100, deep))
        await timed("groups", lambda: ops.dead_group_page())
        await timed("count of a group", lambda: ops.dead_count(Selection(group=f"{7:016x}", queue="q")))
        some = Selection(group=f"{8:016x}")
        count = await ops.dead_count(some)
        result = await rate("retry of a group", count, ops.dead_retry(some))
        assert result.changed == count
        other = Selection(group=f"{9:016x}")
        purged = await rate("purge of a group", await ops.dead_count(other), ops.dead_purge(other))
        await once("its undo", ops.undo(purged.receipt or ""))
        whole = await once("purge of all", ops.dead_purge(Selection(queue="q")))
        assert whole.changed == letters + moved - count
        undone = await once("its undo", ops.undo(whole.receipt or ""))
        assert undone.changed == whole.changed


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--letters", type=int, default=300_000)
    parser.add_argument("--moved", type=int, default=10_000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cs-archive-"))
    folder.chmod(0o711)
    try:
        asyncio.run(bench(folder, options.letters, options.moved))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
