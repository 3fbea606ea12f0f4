"""What an engine does on the side: reap, promote, drain inboxes, deliver cancels, beat, publish events, keep house."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import psutil

from backends import __version__
from backends.engine.settling import MAX_CRASHES
from backends.engine.tidying import RECONCILE_S, SPILL_S, SWEEP_S, Tidying
from backends.history.house import keep_house
from backends.model import EngineStatus
from backends.queues import live

if TYPE_CHECKING:
    from backends.engine.service import Engine

BEAT_S = 2.0
REAP_S = (2.0, 4.0)
PROMOTE_S = 0.25
INBOX_S = 0.2
CANCELS_S = 1.0
EVENTS_S = 0.25
HOUSE_S = 3600.0
CLOCK_S = 5.0
LAG_PROBE_S = 0.01
DROP_CONSUMERS_EVERY = 20

KEEP_DAYS = 30
KEEP_FAILURES_DAYS = 90

log = logging.getLogger("cronsole.engine")


class Chores:
    """The small loops of one engine. Each goes on after an error, with growing pauses."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._started_ms = engine.clock()
        self._lag_ms = 0.0
        self._reaps = 0
        self._process = psutil.Process()
        self._tidying = Tidying(engine)

    def parts(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """The loops, by name."""
        return [
            ("beat", self._every(BEAT_S, self.beat)),
            ("reap", self._every(REAP_S, self._reap)),
            ("promote", self._every(PROMOTE_S, self._promote)),
            ("inbox", self._every(INBOX_S, self._drain_inboxes)),
            ("cancels", self._every(CANCELS_S, self._deliver_cancels)),
            ("events", self._every(EVENTS_S, self._publish)),
            ("clock", self._every(CLOCK_S, self._engine.clock.probe)),
            ("house", self._every(HOUSE_S, self._keep_house)),
            ("sweep", self._every(SWEEP_S, self._tidying.sweep)),
            ("finish undos", self._every(SWEEP_S, self._tidying.finish_undos)),
            ("spill", self._every(SPILL_S, self._tidying.spill)),
            ("sweep archive", self._every(RECONCILE_S, self._tidying.sweep_archive)),
            ("reconcile", self._every(RECONCILE_S, self._tidying.reconcile)),
        ]

    async def _every(self, seconds: float | tuple[float, float], chore: Callable[[], Awaitable[None]]) -> None:
        stop = self._engine.parts_stopping
        errors = 0
        while not stop.is_set():
            try:
                await chore()
                errors = 0
            except Exception as error:
                errors += 1
                if errors in (1, 10) or errors % 100 == 0:
                    log.warning("%s failed: %s", chore.__name__.strip("_"), error, extra={"action": "chore_failed"})
            wait = random.uniform(*seconds) if isinstance(seconds, tuple) else seconds
            wait = min(wait * 2 ** min(errors, 6), max(wait, 15.0))
            try:
                await asyncio.wait_for(stop.wait(), wait)
            except TimeoutError:
                continue
        if chore == self.beat:
            await live.leave(self._engine.servers.redis, self._engine.namespace, self._engine.name)
        elif chore == self._publish:
            await self._publish()

    async def beat(self) -> None:
        """Tell that this engine lives, and what it does."""
        engine = self._engine
        began = time.monotonic()
        await asyncio.sleep(LAG_PROBE_S)
        self._lag_ms = max(0.0, 1000 * (time.monotonic() - began - LAG_PROBE_S))
        status = EngineStatus(
            id=engine.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            started_ms=self._started_ms,
            beat_ms=engine.clock(),
            slots=engine.options.slots,
            busy=engine.worker.capacity.busy,
            queues=tuple(engine.served()),
            running=engine.worker.running(),
            rss_mb=round(self._process.memory_info().rss / 2**20, 1),
            loop_lag_ms=round(self._lag_ms, 1),
            draining=engine.stop_asked.is_set(),
        )
        await live.beat(engine.servers.redis, engine.namespace, status)

    async def _reap(self) -> None:
        self._reaps += 1
        lease_ms = int(self._engine.options.lease_s * 1000)
        drop = self._reaps % DROP_CONSUMERS_EVERY == 0
        for name in self._engine.served():
            queue = self._engine.queue(name)
            while await queue.reap(lease_ms, MAX_CRASHES, drop_consumers=drop):
                drop = False

    async def _promote(self) -> None:
        for name in self._engine.served():
            queue = self._engine.queue(name)
            while await queue.promote():
                pass

    async def _drain_inboxes(self) -> None:
        inboxes = self._engine.inboxes()
        jobs = {name: spec.priority for name, spec in self._engine.file.jobs.items()} if inboxes else {}
        for inbox in inboxes:
            while await inbox.drain(jobs):
                pass

    async def _deliver_cancels(self) -> None:
        for name in self._engine.served():
            asked = await self._engine.queue(name).cancels()
            if asked:
                self._engine.worker.cancel(asked)

    async def _publish(self) -> None:
        for queue, counts in self._engine.worker.counts.take().items():
            await live.publish_event(self._engine.servers.redis, self._engine.namespace, queue, counts)

    async def _keep_house(self) -> None:
        pool = await self._engine.servers.pool()
        await keep_house(pool, KEEP_DAYS, KEEP_FAILURES_DAYS)
