"""What the time line reads of the past: attempts, or their number by column; fires that came to nothing; silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

MOST = 4000
"""Rows of one kind that are read at once."""
LATE_S = 60
"""A fire that was decided later than this says that no engine looked at its instant."""


_FIRED = (
    "planned_at >= %s and planned_at < %s and result = 'fired' and decided_at <= planned_at + make_interval(secs => %s)"
)


@dataclass(frozen=True, slots=True)
class Tally:
    """Attempts of a job that ended in one column, in one way. Epoch ms; the last one ended in the minute of `end_ms`.

    `took_ms`: the longest of them, with the start of its minute unknown among the others; of one, its own.
    """

    job: str
    outcome: str
    end_ms: int
    took_ms: float
    n: int


@dataclass(frozen=True, slots=True)
class PastFire:
    """A planned instant that came to nothing. `result`: skipped or missed."""

    job: str
    planned_ms: int
    result: str
    reason: str = ""


async def tallies(pool: Any, jobs: Sequence[str], start: datetime, end: datetime, step_ms: int) -> list[Tally]:
    """From the rollup, by columns of `step_ms` (counted from the epoch): oldest first, at most MOST."""
    rows = await _all(
        pool,
        "select job, outcome, (extract(epoch from max(at)) * 1000)::bigint, max(max_ms), sum(n)::bigint"
        " from cronsole.rollup where job = any(%s) and at >= %s and at < %s"
        " group by job, outcome, floor(extract(epoch from at) * 1000 / %s) order by 3 desc limit %s",
        (list(jobs), start, end, step_ms, MOST),
    )
    return [Tally(*row) for row in reversed(rows)]


async def lost_fires(pool: Any, jobs: Sequence[str], start: datetime, end: datetime) -> list[PastFire]:
    """Skipped and missed fires of some jobs, newest first, at most MOST."""
    rows = await _all(
        pool,
        "select job, (extract(epoch from planned_at) * 1000)::bigint, result, coalesce(reason, '')"
        " from cronsole.schedule_fire where job = any(%s) and planned_at >= %s and planned_at < %s"
        " and result <> 'fired' order by planned_at desc limit %s",
        (list(jobs), start, end, MOST),
    )
    return [PastFire(*row) for row in rows]


async def fired_minutes(pool: Any, start: datetime, end: datetime) -> dict[int, int]:
    """How many fires became runs in each minute (epoch ms), of those that were decided when they were due."""
    rows = await _all(
        pool,
        "select (floor(extract(epoch from planned_at) / 60) * 60000)::bigint, count(*) from cronsole.schedule_fire"
        f" where {_FIRED} group by 1",
        (start, end, LATE_S),
    )
    return {int(minute): int(n) for minute, n in rows}


async def fired_jobs(pool: Any, start: datetime, end: datetime, limit: int) -> tuple[list[tuple[str, int, int]], int]:
    """(job, its first fire in epoch ms, how many) of those fires, the first to fire on top; and of how many jobs."""
    rows = await _all(
        pool,
        "select job, (extract(epoch from min(planned_at)) * 1000)::bigint, count(*), count(*) over ()"
        f" from cronsole.schedule_fire where {_FIRED} group by job order by 2, 1 limit %s",
        (start, end, LATE_S, limit),
    )
    return [(job, int(at), int(n)) for job, at, n, _ in rows], int(rows[0][3]) if rows else 0


async def silences(pool: Any, jobs: Sequence[str], start: datetime, end: datetime) -> list[tuple[int, int]]:
    """When no engine decided the fires of these jobs: (planned, decided) in epoch ms, joined, oldest first.

    Known only where a fire was planned: a stretch may have begun up to a period of these jobs earlier.
    """
    rows = await _all(
        pool,
        "select (extract(epoch from min(planned_at)) * 1000)::bigint, (extract(epoch from decided_at) * 1000)::bigint"
        " from cronsole.schedule_fire where job = any(%s) and planned_at >= %s and planned_at < %s"
        " and decided_at > planned_at + make_interval(secs => %s) group by decided_at order by 1 limit %s",
        (list(jobs), start, end, LATE_S, MOST),
    )
    joined: list[tuple[int, int]] = []
    for planned, decided in rows:
        if joined and planned <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], decided))
        else:
            joined.append((planned, decided))
    return joined


async def _all(pool: Any, sql: str, args: Sequence[Any]) -> list[Any]:
    async with pool.connection() as connection:
        return list(await (await connection.execute(sql, args)).fetchall())
