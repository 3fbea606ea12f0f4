"""Dead letters made by hand."""

from __future__ import annotations

from backends.history.spill import Spill
from backends.ops import Ops
from backends.queues.streams import StreamQueue
from tests.contract.helpers import dead, run, take_one


async def bury(queue: StreamQueue, count: int, **more: str) -> list[str]:
    """Make dead letters; their run ids, oldest first."""
    runs = [run(more.get("job", "send_email")) for _ in range(count)]
    await queue.enqueue(runs)
    taken = [await take_one(queue) for _ in runs]
    words = {k: v for k, v in more.items() if k != "job"}
    for d in taken:
        await queue.settle("w1", [dead(d, **words)])
    return [d.run_id for d in taken]


async def bury_many(queue: StreamQueue, count: int, **words: str) -> list[str]:
    """Make many dead letters, a batch at a time; their run ids, oldest first."""
    await queue.enqueue([run("send_email") for _ in range(count)])
    ids: list[str] = []
    while (taken := await queue.take("w1", 200)).deliveries:
        await queue.settle("w1", [dead(d, **words) for d in taken.deliveries])
        ids += [d.run_id for d in taken.deliveries]
    return ids


async def there(queue: StreamQueue) -> dict[str, int]:
    """Where the runs are."""
    s = await queue.status()
    return {k: n for k in ("ready", "running", "later", "waiting", "dead") if (n := getattr(s, k))}


async def to_archive(ops: Ops, queue: StreamQueue, count: int) -> int:
    """Put the oldest letters into the archive, as an engine does; how many went."""
    async with ops.history():
        hot = StreamQueue(ops.servers.redis, ops.namespace, queue.name)
        spill = Spill(await ops.servers.pool(), ops.namespace, hot, ops.live.queue(queue.name)._server_ms)
        pairs = await hot.dead_pairs(count, 0, 1 << 53)
        return sum([sum(await spill.leave(pairs[n : n + 200])) for n in range(0, len(pairs), 200)])
