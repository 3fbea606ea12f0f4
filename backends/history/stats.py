"""What the screens of queues and jobs read: minutes of the rollup, the newest attempts of a job in numbers, fires."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

LAST = 50
"""Attempts of a job that its numbers are made from."""
STRIP = 20


@dataclass(frozen=True, slots=True)
class JobStats:
    """A job's newest attempts, at most `LAST`. `outcomes`: of the newest 20, oldest first; durations in milliseconds.

    `judged`: those that ended well or badly, not cancelled ones. The percentiles are of the attempts that succeeded;
    None where none did.
    """

    outcomes: tuple[str, ...] = ()
    attempts: int = 0
    judged: int = 0
    succeeded: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None

    @property
    def success(self) -> float | None:
        """The part of the judged ones that succeeded, 0 to 1."""
        return self.succeeded / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class JobFire:
    """What became of one planned instant. `result`: fired, skipped or missed."""

    planned_at: datetime
    result: str
    reason: str = ""
    run_id: str = ""
    decided_at: datetime | None = None

    @property
    def cursor(self) -> str:
        """Where the fires of a job go on from here, in either direction."""
        return self.planned_at.isoformat()


async def job_stats(pool: Any, jobs: Sequence[str], last: int = LAST) -> Mapping[str, JobStats]:
    """The numbers of each job; one without attempts is left out. By the index on (job, run id)."""
    rows = await _all(
        pool,
        "select j, r.* from unnest(%s::text[]) j cross join lateral (select (array_agg(n.outcome))[1:%s], count(*),"
        " count(*) filter (where n.outcome in ('succeeded', 'failed', 'timed_out', 'lost')),"
        " count(*) filter (where n.outcome = 'succeeded'),"
        " percentile_cont(array[0.5, 0.95]) within group (order by n.duration_ms)"
        " filter (where n.outcome = 'succeeded')"
        " from (select a.outcome, a.duration_ms from cronsole.attempt a where a.job = j"
        " order by a.run_id desc, a.attempt desc limit %s) n) r",
        (list(jobs), STRIP, last),
    )
    return {
        job: JobStats(tuple(reversed(outcomes)), n, judged, good, *(times or (None, None)))
        for job, outcomes, n, judged, good, times in rows
        if n
    }


async def queue_minutes(pool: Any, since: datetime) -> list[tuple[datetime, str, int, float]]:
    """(minute, queue, attempts that ended, sum of their milliseconds) since then, oldest first; from the rollup."""
    return await _all(
        pool,
        "select at, queue, sum(n)::bigint, sum(sum_ms) from cronsole.rollup where at >= %s group by at, queue"
        " order by at, queue",
        (since,),
    )


async def job_fires(
    pool: Any, job: str, limit: int, cursor: datetime | None = None, *, oldest: bool = False
) -> list[JobFire]:
    """A job's fires, the newest first, planned before `cursor`; `oldest`: the oldest, or those next after `cursor`."""
    beyond, way = (">", "") if oldest else ("<", " desc")
    rows = await _all(
        pool,
        "select planned_at, result, coalesce(reason, ''), coalesce(run_id::text, ''), decided_at"
        f" from cronsole.schedule_fire where job = %s{f' and planned_at {beyond} %s' if cursor else ''}"
        f" order by planned_at{way} limit %s",
        (job, *((cursor,) if cursor else ()), limit),
    )
    return [JobFire(*row) for row in (reversed(rows) if oldest else rows)]


async def _all(pool: Any, sql: str, args: Sequence[Any]) -> list[Any]:
    async with pool.connection() as connection:
        return list(await (await connection.execute(sql, args)).fetchall())
