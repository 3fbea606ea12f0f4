"""Both servers' truth, each told even where the other is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from backends.connect import Servers, Settings
from backends.errors import CronsoleError, UnreachableError
from backends.model import EngineStatus, QueueStatus, RunRow, ServerHealth, now_ms
from backends.ops.reads import Reads

LAST_RUNS = 5


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """Both servers' truth, and what runs."""

    redis: ServerHealth
    postgres: ServerHealth
    engines: tuple[EngineStatus, ...] = ()
    queues: tuple[QueueStatus, ...] = ()
    runs: tuple[RunRow, ...] = ()  # the newest few, newest first
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Both servers can be used."""
        return self.redis.ok and self.postgres.ok


async def system_status(settings: Settings) -> SystemStatus:
    """Look at both servers; one that can't be used is told of, not raised."""
    try:
        servers = await Servers.open(settings, role="status", need_postgres=False)
    except UnreachableError as error:
        return await _without_redis(settings, error)
    async with servers:
        reads = Reads(servers)
        try:
            view = await reads.overview()
        except UnreachableError as error:
            return await _without_redis(settings, error)
        postgres, runs = await _postgres(reads)
        return SystemStatus(view.redis, postgres, view.engines, view.queues, runs, tuple(reads.warnings))


async def _postgres(reads: Reads) -> tuple[ServerHealth, tuple[RunRow, ...]]:
    """How Postgres is, and the newest runs; a warning where it is fine but has no history yet."""
    started = perf_counter()
    try:
        await reads.servers.check_postgres()
    except CronsoleError as error:
        return ServerHealth(False, str(error)), ()
    health = ServerHealth(True, reads.servers.postgres_version, (perf_counter() - started) * 1000, now_ms())
    try:
        return health, (await reads.runs(LAST_RUNS)).items
    except UnreachableError as error:
        reads.warnings.append(f"the last runs are not known: {error}")
        return health, ()


async def _without_redis(settings: Settings, why: UnreachableError) -> SystemStatus:
    down = ServerHealth(False, str(why))
    try:
        async with _postgres_alone(settings) as servers:
            reads = Reads(servers)
            postgres, runs = await _postgres(reads)
            return SystemStatus(down, postgres, runs=runs, warnings=tuple(reads.warnings))
    except CronsoleError as error:
        return SystemStatus(down, ServerHealth(False, str(error)))


@asynccontextmanager
async def _postgres_alone(settings: Settings) -> AsyncIterator[Servers]:
    """Postgres without Redis: the way to it must not go through the server that is down."""
    import redis.asyncio

    holder = None
    if settings.postgres_url is None:
        from backends.embedded import acquire

        holder = await asyncio.to_thread(acquire, settings.data_dir, redis=False)
    try:
        url = settings.postgres_url or (holder and holder.postgres_url) or ""
        async with Servers(settings, "", url, "status", redis.asyncio.Redis()) as servers:  # it never connects
            yield servers
    finally:
        if holder is not None:
            holder.release()
