"""The timeline screen: the past of the jobs in sight, in one stretch of time, in so many rows as it has columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backends.connect import Servers
from backends.history import History
from backends.history.timeline import (
    MOST,
    PastFire,
    Tally,
    fired_jobs,
    fired_minutes,
    lost_fires,
    silences,
    tallies,
)
from backends.model import RunRow, from_ms, now_ms, run_id_ms
from backends.ops.reads import Reads

JOBS_MOST = 300
"""Jobs a call: a page of a screen."""
USUAL_MS, USUAL_MOST = 60_000, 5000
"""So long, and of so many jobs, usual durations are kept."""
TWO_DAYS_MS = 2 * 86_400_000
"""A longer stretch is read from the rollup alone."""


@dataclass(frozen=True, slots=True)
class TimelinePast:
    """What happened between `start_ms` and `end_ms` to some jobs.

    `runs`: attempts, newest first; `tallies`: where there are too many of them, their number by column. `lost`: fires
    that came to nothing. `silent`: when no engine decided what was due, as far as fires were planned. `usual_ms`: by
    job, how long its runs usually take.
    """

    start_ms: int
    end_ms: int
    step_ms: int
    runs: tuple[RunRow, ...] = ()
    tallies: tuple[Tally, ...] = ()
    lost: tuple[PastFire, ...] = ()
    silent: tuple[tuple[int, int], ...] = ()
    usual_ms: Mapping[str, float] = field(default_factory=dict)


class TimelineReads(Reads):
    """What the timeline screen asks for."""

    def __init__(self, servers: Servers, *, context_name: str = "default") -> None:
        super().__init__(servers, context_name=context_name)
        self._usual_ms_of: dict[str, tuple[int, float | None]] = {}

    async def timeline(
        self, jobs: Sequence[str], start_ms: int, end_ms: int, step_ms: int, witnesses: Sequence[str] = ()
    ) -> TimelinePast:
        """The past of these jobs (at most 300). `witnesses` fire often: their late decisions tell of silence."""
        jobs, start, end = list(jobs)[:JOBS_MOST], from_ms(start_ms), from_ms(end_ms)
        async with self.history() as history:
            pool = await self.servers.pool()
            runs: list[RunRow] = []
            counted_until = end
            if jobs and end_ms - start_ms <= TWO_DAYS_MS:
                runs = await history.runs_between(start, end, MOST, jobs)
                cut = len(runs) == MOST  # older ones are missing: of these the rollup tells
                counted_until = from_ms(run_id_ms(runs[-1].run_id)) if cut else start
            counted = await tallies(pool, jobs, start, counted_until, step_ms) if counted_until > start else []
            lost = await lost_fires(pool, jobs, start, end)
            silent = await silences(pool, [*jobs, *witnesses], start, end)
            usual = await self._usual_of(history, jobs)
        return TimelinePast(start_ms, end_ms, step_ms, tuple(runs), tuple(counted), tuple(lost), tuple(silent), usual)

    async def _usual_of(self, history: History, jobs: Sequence[str]) -> Mapping[str, float]:
        """What it was a minute ago is good enough."""
        known, at = self._usual_ms_of, now_ms()
        stale = [job for job in jobs if at - known.get(job, (0, None))[0] >= USUAL_MS]
        if stale:
            if len(known) > USUAL_MOST:
                known.clear()
            found = await history.usual_ms(stale)
            known.update((job, (at, found.get(job))) for job in stale)
        return {job: usual for job in jobs if (usual := known.get(job, (0, None))[1]) is not None}

    async def fired_minutes(self, start_ms: int, end_ms: int) -> Mapping[int, int]:
        """How many fires of all jobs became runs in each minute, when they were due."""
        async with self.history():
            return await fired_minutes(await self.servers.pool(), from_ms(start_ms), from_ms(end_ms))

    async def fired_jobs(self, start_ms: int, end_ms: int, limit: int) -> tuple[list[tuple[str, int, int]], int]:
        """(job, its first fire, how many) of such fires in a stretch of time; and of how many jobs."""
        async with self.history():
            return await fired_jobs(await self.servers.pool(), from_ms(start_ms), from_ms(end_ms), limit)

    async def timeline_runs(self, job: str, start_ms: int, end_ms: int, limit: int = 200) -> tuple[RunRow, ...]:
        """Attempts of a job that were at work in this stretch, newest run first."""
        async with self.history() as history:
            return tuple(await history.runs_between(from_ms(start_ms), from_ms(end_ms), limit, [job]))
