"""What can be looked at: the live state from Redis, the record from Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any, TypeVar

from msgspec.structs import replace

from backends.connect import Servers
from backends.errors import BadInputError, UnreachableError
from backends.history import History, migrate
from backends.jobs.publish import read_jobs
from backends.jobs.spec import JobSpec
from backends.jobs.words import nearest, show
from backends.model import (
    DeadLetter,
    EngineStatus,
    JobStatus,
    Page,
    QueueStatus,
    RunRow,
    ServerHealth,
    as_run_id,
    from_ms,
    now_ms,
)
from backends.ops.archived import WholeQueue
from backends.ops.hot import HotQueue
from backends.ops.letters import Place, Selection, parts
from backends.ops.live import LiveView
from backends.ops.talk import postgres_talk, redis_talk
from backends.ops.walk import listed
from backends.overview import HistoryOverview, Overview
from backends.queues.live import queue_names

T = TypeVar("T")

RUNS_SHOWN = 100


class Reads:
    """The reading half of `Ops`. All methods raise UnreachableError where a server can't be used."""

    def __init__(self, servers: Servers, *, context_name: str = "default") -> None:
        self.servers = servers
        self.context_name = context_name
        self.read_only = servers.settings.read_only
        self.warnings: list[str] = list(servers.warnings)
        self.live = LiveView(servers.redis, self.namespace, servers.redis_version, self._make_queue)
        self._postgres_checked = False
        self._history_lock = asyncio.Lock()

    @property
    def namespace(self) -> str:
        """The namespace all this is about."""
        return self.servers.settings.namespace

    def warn_once(self, text: str) -> None:
        """Add a warning that is read again and again."""
        if text not in self.warnings:
            self.warnings.append(text)

    async def answers(self) -> None:
        """Return as soon as Redis answers; raises UnreachableError where it can't be reached.

        To be waited for before an action: what is sent to a server that hangs is done when it goes on, be it long after
        it was given up.
        """
        with redis_talk(self.servers.redis_url):
            await self.servers.redis.ping()

    async def drop_connections(self) -> None:
        """Connect to both servers anew."""
        await self.servers.drop_connections()

    # --- both at once ---------------------------------------------------------------------------------------

    async def overview(self) -> Overview:
        """The live state, in one round trip to Redis, which is checked when it is seen for the first time."""
        if not self.servers.redis_checked:
            await self.servers.check_redis()
            self.live.version = self.servers.redis_version
            for warning in self.servers.warnings:
                self.warn_once(warning)
        with redis_talk(self.servers.redis_url):
            return await self.live.look()

    async def history_overview(self) -> HistoryOverview:
        """The recorded state: newest runs, the last hour, the last run of each job."""
        async with self.history() as history:
            started = perf_counter()
            page = await history.runs(RUNS_SHOWN)
            latency = (perf_counter() - started) * 1000
            now = from_ms(now_ms())
            timeline = await history.runs_between(now - timedelta(hours=1), now + timedelta(minutes=1))
            last = await history.last_runs(list(self.live.specs) or sorted({run.job for run in page.items}))
        at = now_ms()
        health = ServerHealth(True, self.servers.postgres_version, latency, at)
        return HistoryOverview(at, health, page.items, tuple(timeline), last)

    # --- Redis ----------------------------------------------------------------------------------------------

    async def queues(self) -> tuple[QueueStatus, ...]:
        """All queues."""
        return (await self.overview()).queues

    async def engines(self) -> tuple[EngineStatus, ...]:
        """The engines that are alive."""
        return (await self.overview()).engines

    async def specs(self) -> dict[str, JobSpec]:
        """The published jobs."""
        with redis_talk(self.servers.redis_url):
            return await read_jobs(self.servers.redis, self.namespace)

    async def spec(self, job: str) -> JobSpec:
        """One published job. Raises BadInputError with the nearest names."""
        specs = await self.specs()
        if job not in specs:
            raise unknown("job", job, list(specs), "jobs")
        return specs[job]

    def _make_queue(self, name: str) -> WholeQueue:
        return WholeQueue(self.servers.redis, self.namespace, name, self._pool)

    @asynccontextmanager
    async def _pool(self) -> AsyncIterator[Any]:
        async with self.history():
            yield await self.servers.pool()

    async def all_queues(self) -> list[WholeQueue]:
        """Every queue there is, by name."""
        with redis_talk(self.servers.redis_url):
            return [self.live.queue(n) for n in await queue_names(self.servers.redis, self.namespace)]

    async def dead_list(
        self,
        limit: int = 50,
        cursor: str | None = None,
        selection: Selection | None = None,
        *,
        newer: str | None = None,
    ) -> Page[DeadLetter]:
        """Dead letters of all queues, newest first: those below `cursor`, or those next above `newer`.

        `total`: of all pages, where letters need not be looked at one by one to know it. The cursor is the one to go on
        from in the same direction. While Postgres is away, without those in the archive; a warning says so.
        """
        chosen = selection or Selection()
        start = Place.read(newer or cursor)

        async def page(queues: Sequence[WholeQueue]) -> Page[DeadLetter]:
            meant = await parts(queues, chosen)
            found = await listed(meant, start, limit + 1, newer=bool(newer))
            total = None if chosen.texts else sum([await part.size() for part in meant])
            more = len(found) > limit
            items = found[-limit:] if newer else found[:limit]
            return Page(tuple(items), Place.of(items[0] if newer else items[-1]) if more else None, total)

        queues = await self._chosen(chosen)
        found, missing = await self._whole_or_hot(queues, page, "listed")
        if not missing:
            return found
        return replace(found, total=found.total + missing if chosen.whole and found.total is not None else None)

    async def _whole_or_hot(
        self, queues: Sequence[WholeQueue], ask: Callable[[Sequence[WholeQueue]], Awaitable[T]], done: str
    ) -> tuple[T, int]:
        """(the answer of these queues, how many letters it leaves out because the archive can't be asked)."""
        with redis_talk(self.servers.redis_url):
            try:
                return await ask(queues), 0
            except UnreachableError as error:
                found = await ask(self.hot(queues))
                self.warn_once(f"dead letters in the archive are not {done}: {error}")
                return found, sum([(await queue.dead_spilled())[0] for queue in queues])

    def hot(self, queues: Sequence[WholeQueue]) -> list[WholeQueue]:
        """These without their archives."""
        return [HotQueue(self.servers.redis, self.namespace, queue.name, self._pool) for queue in queues]

    async def dead_show(self, run_id: str) -> DeadLetter:
        """One dead letter. Raises BadInputError where there is none."""
        letter = await self.dead_find(run_id)
        if letter is None:
            raise BadInputError(f"no dead letter {show(run_id)}", "`cronsole dead list` lists them")
        return letter

    async def dead_find(self, run_id: str) -> DeadLetter | None:
        """One dead letter with its envelope; None where there is none."""
        run_id = as_run_id(run_id)
        queues = await self.all_queues()
        for queue in (*self.hot(queues), *queues):  # the archives are asked only where Redis does not have it
            with redis_talk(self.servers.redis_url):
                letter = await queue.dead_get(run_id)
            if letter:
                return letter
        return None

    async def _chosen(self, selection: Selection) -> list[WholeQueue]:
        queues = await self.all_queues()
        if not selection.queue:
            return queues
        chosen = [q for q in queues if q.name == selection.queue]
        if not chosen:
            raise unknown("queue", selection.queue, [q.name for q in queues], "queues")
        return chosen

    # --- Postgres -------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def history(self) -> AsyncIterator[History]:
        """History, checked when first asked for and after every failure."""
        try:
            with postgres_talk(self.servers.postgres_url):
                async with self._history_lock:
                    if not self._postgres_checked:
                        await self._check_history()
                        self._postgres_checked = True
                yield History(await self.servers.pool())
        except UnreachableError:
            self._postgres_checked = False
            raise

    async def _check_history(self) -> None:
        await self.servers.check_postgres()
        pool = await self.servers.pool()
        async with pool.connection() as connection:
            cursor = await connection.execute("select to_regclass('cronsole.attempt')")
            row = await cursor.fetchone()
        if row is None or row[0] is None:
            if self.read_only:
                raise UnreachableError("there is no history in this database yet", "start an engine once")
            await migrate(pool)

    async def jobs(self) -> tuple[JobStatus, ...]:
        """The published jobs with their last runs; without Postgres the last runs are left out, with a warning."""
        jobs = (await self.overview()).jobs
        try:
            async with self.history() as history:
                names = [job.name for job in jobs]
                last, usual = await history.last_runs(names), await history.usual_ms(names)
        except UnreachableError as error:
            self.warnings.append(f"last runs are not known: {error}")
            return jobs
        return tuple([replace(j, last_run=last.get(j.name), usual_ms=usual.get(j.name)) for j in jobs])

    async def runs(
        self,
        limit: int = 50,
        cursor: str | None = None,
        *,
        job: str | None = None,
        queue: str | None = None,
        outcomes: Sequence[str] = (),
        since: datetime | None = None,
        oldest: bool = False,
    ) -> Page[RunRow]:
        """Finished attempts, newest run first; `outcomes`: only those that ended in one of these ways.

        `oldest`: the last page; its cursor, and that of each such page, leads to the one above.
        """
        async with self.history() as history:
            return await history.runs(
                limit, cursor, job=job, queue=queue, outcomes=outcomes, since=since, oldest=oldest
            )

    async def run_show(self, run_id: str) -> list[dict[str, Any]]:
        """All finished attempts of a run, every column. Raises BadInputError for an unknown run."""
        async with self.history() as history:
            attempts = await history.run(run_id)
        if not attempts:
            where = await self.find(run_id)
            if where is None:
                raise BadInputError(f"no run {show(run_id)}", "`cronsole runs list` lists the finished ones")
        return attempts

    async def find(self, run_id: str) -> str | None:
        """Where a run is now: 'ready', 'running', 'later', 'waiting' or 'dead'; None where it is in no queue."""
        run_id = as_run_id(run_id)
        for queue in await self.all_queues():
            with redis_talk(self.servers.redis_url):
                where = await queue.find(run_id)
            if where:
                return where
        return None

    async def final_outcome(self, run_id: str) -> str | None:
        """How a run ended for good; None as long as it has not, or history has not stored it yet."""
        async with self.history() as history:
            attempts = await history.run(run_id)
        return next((str(a["outcome"]) for a in reversed(attempts) if a["final"]), None)


def unknown(kind: str, name: str, known: list[str], command: str) -> BadInputError:
    """There is no such thing; with the nearest that there are."""
    close = nearest(name, known, count=3)
    if close:
        remedy = "did you mean " + " or ".join(f"'{c}'" for c in close) + "?"
    elif known:
        remedy = f"`cronsole {command}` lists the {len(known)} there are"
    else:
        remedy = "none are known yet: start `cronsole engine -j jobs.toml`"
    return BadInputError(f"no {kind} {show(name)}", remedy)
