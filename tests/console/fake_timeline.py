"""The part of FakeOps that the timeline reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from backends.errors import UnreachableError
from backends.history.timeline import PastFire
from backends.model import RunRow, from_ms, to_ms
from backends.ops.timeline import TimelinePast
from backends.schedule import Schedule, fires_between

MINUTE = 60_000


class FakeTimeline:
    """Needs `clock`, `ended` and `postgres_error`, which FakeOps has."""

    clock: Callable[[], int]
    ended: list[RunRow]
    postgres_error: str
    asked: list[tuple[tuple[str, ...], int, int, int]]
    """(jobs, start, end, step) of each read."""
    silent: tuple[tuple[int, int], ...]
    lost: tuple[PastFire, ...]
    usual: dict[str, float]
    schedules: dict[str, Schedule]
    fired_asked: list[tuple[int, int]]
    first_engine: int

    def make_timeline(self, hostile: str = "") -> None:
        """A silence of six minutes, what was missed in it, and how long the jobs usually take."""
        minute = self.clock() // MINUTE * MINUTE
        down, up = minute - 41 * MINUTE, minute - 35 * MINUTE
        self.asked, self.fired_asked, self.first_engine = [], [], 0
        self.silent = ((down, up),)
        self.lost = (
            *(PastFire("health_ping", down + n * MINUTE, "missed", "no engine was there") for n in range(6)),
            PastFire("sync_prices", minute - 40 * MINUTE, "missed", "no engine was there"),
            PastFire("slow_export", minute - 12 * MINUTE, "skipped", hostile or "the run before is not finished"),
            *((PastFire(hostile, minute - 7 * MINUTE, hostile, hostile),) if hostile else ()),
        )
        self.usual = {
            "backup_history": 42_000, "slow_export": 290_000, "nightly_invoices": 1_200_000, "flaky_import": 25_000,
            "sync_prices": 31_000, "disk_report": 9_000, "health_ping": 300, "cleanup_temp": 4_000,
        }  # fmt: skip

    async def timeline(
        self, jobs: Sequence[str], start_ms: int, end_ms: int, step_ms: int, witnesses: Sequence[str] = ()
    ) -> TimelinePast:
        """What `ended` says of these jobs."""
        if self.postgres_error:
            raise UnreachableError(self.postgres_error)
        self.asked.append((tuple(jobs), start_ms, end_ms, step_ms))
        runs = tuple(r for r in self.ended if r.job in jobs and _meets(r, start_ms, end_ms))
        lost = tuple(f for f in self.lost if f.job in jobs and start_ms <= f.planned_ms < end_ms)
        usual = {job: ms for job, ms in self.usual.items() if job in jobs}
        silent = self.silent if self.ended else ()
        return TimelinePast(start_ms, end_ms, step_ms, runs, (), lost, silent, usual)

    async def fired_minutes(self, start_ms: int, end_ms: int) -> Mapping[int, int]:
        """As planned, since an engine was there first."""
        if self.postgres_error:
            raise UnreachableError(self.postgres_error)
        self.fired_asked.append((start_ms, end_ms))
        start, end = max(start_ms, self.first_engine), min(end_ms, self.clock())
        found = fires_between(self.schedules, from_ms(start), from_ms(end)) if start < end else {}
        return Counter(at // MINUTE * MINUTE for fires in found.values() for at in fires)

    async def fired_jobs(self, start_ms: int, end_ms: int, limit: int) -> tuple[list[tuple[str, int, int]], int]:
        """Likewise."""
        start = max(start_ms, self.first_engine)
        found = fires_between(self.schedules, from_ms(start), from_ms(end_ms)) if start < end_ms else {}
        rows = sorted((job, fires[0], len(fires)) for job, fires in found.items() if fires)
        return rows[:limit], len(rows)

    async def timeline_runs(self, job: str, start_ms: int, end_ms: int, limit: int = 200) -> tuple[RunRow, ...]:
        """The runs of one job."""
        if self.postgres_error:
            raise UnreachableError(self.postgres_error)
        return tuple(r for r in self.ended if r.job == job and _meets(r, start_ms, end_ms))[:limit]


def _meets(run: RunRow, start_ms: int, end_ms: int) -> bool:
    begun, ended = run.started_at or run.finished_at, run.finished_at or run.started_at
    return begun is not None and ended is not None and to_ms(begun) < end_ms and to_ms(ended) >= start_ms
