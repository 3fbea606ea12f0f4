"""Backfill: a job is run for fires of the past, each once, whatever became of the fire itself.

A backfill run is a run of its own: its id is made from the namespace, the job and the planned instant, so that the same
backfill started again finds it; the record of the fire is not touched.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Literal, get_args

from backends.errors import BadInputError, RefusedError
from backends.jobs.spec import JobSpec
from backends.jobs.words import show
from backends.model import FireResult, Outcome, Overlap, backfill_run_id, new_run_id, to_ms
from backends.ops.talk import redis_talk, stop_if_cancelled
from backends.queues.base import chunks
from backends.queues.streams import StreamQueue, overlap_slot
from backends.schedule import Schedule, parse, zone

if TYPE_CHECKING:
    from backends.history import History
    from backends.ops.reads import Reads

MOST = 10_000
"""Fires a backfill at most: all of them wait in Redis at once."""
STEP = 2_000
"""Planned fires that are looked up in history at once."""
OUTBOX_PAGE = 100

Only = Literal["all", "missed", "skipped", "failed"]
ONLY: tuple[Only, ...] = get_args(Only)

_LOCK = 0x63726F62
_TICK = timedelta(microseconds=1)
_RUN_ID = re.compile(rb'"run_id":"([0-9a-f-]{36})"')


@dataclass(frozen=True, slots=True)
class PastFire:
    """A planned instant (aware, UTC) and what became of it.

    `result` and `reason` are those of the fire, None where there is no record; `outcome` is how its run ended, None as
    long as it has not. `backfill` is the same of an earlier backfill of it: 'queued' while that is not finished.
    """

    planned: datetime
    result: FireResult | None = None
    reason: str | None = None
    outcome: str | None = None
    backfill: str | None = None


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a backfill would run. `start` and `end` are aware; `fires` is what matched, oldest first."""

    spec: JobSpec
    schedule: Schedule
    start: datetime
    end: datetime
    only: Only
    fires: tuple[PastFire, ...]

    @property
    def fresh(self) -> int:
        """How many of the fires were not backfilled before."""
        return sum(fire.backfill is None for fire in self.fires)

    def row(self) -> dict[str, Any]:
        """What the audit keeps of it."""
        return {
            "job": self.spec.name, "from": self.start.isoformat(), "to": self.end.isoformat(), "only": self.only,
        }  # fmt: skip


def window_slot(spec: JobSpec, concurrency: int) -> tuple[str, int]:
    """The slot key of backfill runs of a job, and how many hold it at once.

    A job whose runs must not overlap (`skip`, `queue_one`, `queue_all`) has one slot for all its runs, and backfill
    runs stand in line for it. With `allow`, backfill runs have a slot of their own and the live ones none. So has
    `replace`: in the job's slot each live fire would cancel the whole backfill. Raises BadInputError where
    `concurrency` can't be.
    """
    if concurrency < 1:
        raise BadInputError("a backfill of no runs at once never ends", "give --concurrency 1 or more")
    if spec.overlap in (Overlap.ALLOW, Overlap.REPLACE):
        return f"backfill:{spec.name}", concurrency
    if concurrency > 1:
        raise BadInputError(
            f"{show(spec.name)} never runs twice at once (overlap = {spec.overlap.value!r})",
            "leave out --concurrency, or set overlap = 'allow' in the job file",
        )
    return overlap_slot(spec.name, spec.overlap)[0], 1


async def plan_backfill(
    reads: Reads, history: History, spec: JobSpec, start: datetime, end: datetime, only: Only, limit: int
) -> Backfill:
    """The fires of the job's present schedule in ``[start, end)`` that match, with what history says of each."""
    schedule = _schedule(spec)
    start, end = _range(start, end, zone(spec.timezone))
    found: list[PastFire] = []
    at = start
    while planned := schedule.between(at, end, STEP):
        stop_if_cancelled()
        fires = await _look_up(reads, history, spec.name, planned)
        found += [fire for fire in fires if _matches(fire, only)]
        if len(found) > limit:
            raise BadInputError(
                f"more than {limit:,} fires of {show(spec.name)} match",
                "take a shorter range and go on with the next one when that is done",
            )
        at = planned[-1] + _TICK
    return Backfill(spec, schedule, start, end, only, tuple(found))


@asynccontextmanager
async def start_alone(reads: Reads, plan: Backfill, *, again: bool) -> AsyncIterator[list[tuple[str, datetime]]]:
    """The (run id, planned instant) to be put in, while nobody else starts a backfill of this job.

    What was backfilled is looked up only now, under a lock that goes with this process: between that look and the
    putting in, a run of the same id could else have come and ended. With `again` such a fire gets a run id of its own.
    """
    name = plan.spec.name
    async with reads.history() as history, (await reads.servers.pool()).connection() as connection:
        key = (_LOCK, name)
        cursor = await connection.execute("select pg_try_advisory_lock(%s, hashtext(%s))", key)
        if not (await cursor.fetchone())[0]:
            raise RefusedError(
                f"somebody else is starting a backfill of {show(name)}", "wait until that is done, then look again"
            )
        try:
            wanted: list[tuple[str, datetime]] = []
            for part in chunks([fire.planned for fire in plan.fires], STEP):
                ids = _ids(reads, name, part)
                known = await _known(reads, history, ids)
                for run_id, planned in zip(ids, part, strict=True):
                    if run_id not in known:
                        wanted.append((run_id, planned))
                    elif again:
                        wanted.append((new_run_id(), planned))
            yield wanted
        finally:
            if not connection.closed:
                await connection.execute("select pg_advisory_unlock(%s, hashtext(%s))", key)


def _schedule(spec: JobSpec) -> Schedule:
    if spec.schedule is None:
        raise BadInputError(
            f"{show(spec.name)} has no schedule, so there are no fires to run it for", "`cronsole trigger` runs it once"
        )
    schedule = parse(spec.schedule, spec.timezone)
    if schedule.reboot:
        raise BadInputError(
            f"{show(spec.name)} fires when a host starts (@reboot), not at planned times",
            "`cronsole trigger` runs it once",
        )
    return schedule


def _range(start: datetime, end: datetime, local: tzinfo) -> tuple[datetime, datetime]:
    try:
        start, end = ((at if at.tzinfo else at.replace(tzinfo=local)).astimezone(UTC) for at in (start, end))
    except OverflowError:
        raise BadInputError("the range is beyond the calendar", "write it as 2026-11-23T03:00") from None
    if start >= end:
        raise BadInputError(
            f"the range begins at {start:%Y-%m-%d %H:%M} UTC, which is not before its end, {end:%Y-%m-%d %H:%M} UTC",
            "give the earlier time as --from",
        )
    now = datetime.now(UTC)
    if end > now:
        raise BadInputError(
            f"the range ends at {end:%Y-%m-%d %H:%M} UTC, which is not in the past",
            f"write {now:%Y-%m-%dT%H:%M}Z or earlier; the schedule fires what is to come",
        )
    if start.year < 1970:
        raise BadInputError("the range begins before 1970, which no run id can say", "give a later --from")
    return start, end


def _ids(reads: Reads, job: str, planned: Sequence[datetime]) -> list[str]:
    return [backfill_run_id(reads.namespace, job, to_ms(at)) for at in planned]


async def _look_up(reads: Reads, history: History, job: str, planned: Sequence[datetime]) -> list[PastFire]:
    records = await history.fire_runs(job, planned[0], planned[-1])
    outcomes = await history.outcomes([run_id for _, _, run_id in records.values() if run_id])
    ids = _ids(reads, job, planned)
    known = await _known(reads, history, ids)
    fires = []
    for at, run_id in zip(planned, ids, strict=True):
        result, reason, own = records.get(at, (None, None, ""))
        fires.append(PastFire(at, FireResult(result) if result else None, reason, outcomes.get(own), known.get(run_id)))
    return fires


def _matches(fire: PastFire, only: Only) -> bool:
    match only:
        case "all":
            return True
        case "failed":
            return fire.result is FireResult.FIRED and fire.outcome not in (None, Outcome.SUCCEEDED)
    return fire.result is FireResult(only)


async def _known(reads: Reads, history: History, ids: Sequence[str]) -> dict[str, str]:
    """Those of the run ids that there are, with how they ended: 'queued' where that is not known yet.

    A run goes from the queue into the outbox and from there into history, and is looked for in this order: so it can't
    slip through between two looks.
    """
    queued: set[str] = set()
    queues = await reads.all_queues()
    with redis_talk(reads.servers.redis_url):
        for queue in queues:
            for part in chunks(ids):
                places = await reads.servers.redis.hmget(f"{queue.prefix}live", list(part))
                queued |= {run_id for run_id, place in zip(part, places, strict=True) if place}
        for queue in queues:
            queued |= await _in_outbox(reads, queue, set(ids))
    ended = await history.outcomes(ids)
    return dict.fromkeys(queued, "queued") | {run_id: outcome or "queued" for run_id, outcome in ended.items()}


async def _in_outbox(reads: Reads, queue: StreamQueue, ids: set[str]) -> set[str]:
    """Those whose end history has not stored yet."""
    redis: Any = reads.servers.redis
    found: set[str] = set()
    last = "-"
    while entries := await redis.xrange(f"{queue.prefix}out", last, "+", count=OUTBOX_PAGE):
        for _, fields in entries:
            found |= {text.decode() for text in _RUN_ID.findall(fields.get(b"r", b""))} & ids
        last = f"({entries[-1][0].decode()}"
    return found
