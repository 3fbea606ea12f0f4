"""What an engine tidies up, in all queues: trash whose time is over, moves that nobody finished, too many dead letters.

In small steps with pauses, so that neither an engine nor a server is busy with it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backends.history.archive_trash import sweep_trash
from backends.history.spill import Spill, stale_queues
from backends.jobs.spec import HOT_MAX
from backends.model import from_ms
from backends.queues import live
from backends.queues.keys import ops_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backends.engine.service import Engine
    from backends.queues.streams import StreamQueue

SWEEP_S = (4.0, 6.0)
SPILL_S = (4.0, 6.0)
RECONCILE_S = (20.0, 40.0)
STEPS_MOST = 500
"""Steps for a queue at a time: the next one gets its turn."""
PAUSE_S = 0.02


class Tidying:
    """The slow chores of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def sweep(self) -> None:
        """Go on with undos, delete trash that can't be asked back any more, bring runs that are on their way to their
        queues."""
        async for queue in self._queues():
            for _ in range(STEPS_MOST):
                if self._engine.parts_stopping.is_set() or not await queue.sweep(self._engine.clock()):
                    break
                await asyncio.sleep(PAUSE_S)

    async def finish_undos(self) -> None:
        """Undos that an operator has begun and nobody goes on with: to their end, with their line in the audit."""
        servers = self._engine.servers
        if await servers.redis.scard(f"{ops_key(self._engine.namespace)}:open"):
            from backends.ops import Ops  # seldom needed

            await Ops(servers).finish_undos()

    async def sweep_archive(self) -> None:
        """Delete what was purged in the archive and can't be asked back any more."""
        pool, namespace = await self._engine.servers.pool(), self._engine.namespace
        for _ in range(STEPS_MOST):
            now = from_ms(self._engine.clock())
            if self._engine.parts_stopping.is_set() or not await sweep_trash(pool, namespace, now):
                break
            await asyncio.sleep(PAUSE_S)

    async def spill(self) -> None:
        """Put the oldest dead letters beyond `hot_max` into the archive."""
        async for queue in self._queues():
            spec = self._engine.file.queues.get(queue.name)
            most = spec.hot_max if spec else HOT_MAX
            if await queue.dead_count() <= most:
                continue
            spill = await self._spill(queue)
            for _ in range(STEPS_MOST):
                if self._engine.parts_stopping.is_set() or not await spill.step(most):
                    break
                await asyncio.sleep(PAUSE_S)

    async def reconcile(self) -> None:
        """Finish moves between Redis and the archive that a driver which died has left, put counts right, and merge
        lists of the archive where there are many."""
        stale = await stale_queues(await self._engine.servers.pool(), self._engine.namespace)
        async for queue in self._queues():
            spill = await self._spill(queue)
            if queue.name in stale or await queue.dead_marks():
                await spill.reconcile()
            await spill.recount()
            for _ in range(STEPS_MOST):
                if self._engine.parts_stopping.is_set() or not await spill.merge():
                    break
                await asyncio.sleep(PAUSE_S)

    async def _spill(self, queue: StreamQueue) -> Spill:
        return Spill(await self._engine.servers.pool(), self._engine.namespace, queue, self._clock)

    async def _clock(self) -> int:
        return self._engine.clock()

    async def _queues(self) -> AsyncIterator[StreamQueue]:
        for name in await live.queue_names(self._engine.servers.redis, self._engine.namespace):
            yield self._engine.queue(name)
