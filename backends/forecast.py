"""How deep a queue will be within the next hour, if things go on as they do. Plain arithmetic over plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STEPS = 60
STEP_MS = 60_000


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """The fires of one job in each step. `usual_ms`: how long a run takes, None where that is not known.

    `alone`: a fire that meets a run of its own job is skipped.
    """

    job: str
    fires: Sequence[int]
    usual_ms: float | None = None
    alone: bool = True


@dataclass(frozen=True, slots=True)
class Forecast:
    """`depth`: runs that wait to be taken at the end of each step; `runs`: those that come in during it.

    The rest is what it assumes: `planned` fires, `due` from later, `other_per_min` from elsewhere, `slots` that work
    (0: nothing is taken), `usual_ms` a run.
    """

    depth: tuple[float, ...] = ()
    runs: tuple[float, ...] = ()
    planned: int = 0
    due: int = 0
    other_per_min: float = 0.0
    slots: float = 0.0
    usual_ms: float | None = None
    paused_steps: int = 0

    @property
    def peak(self) -> tuple[float, int]:
        """(the greatest depth, after how many steps)."""
        best = max(range(len(self.depth)), key=lambda n: (self.depth[n], -n), default=0)
        return (self.depth[best], best + 1) if self.depth else (0.0, 0)

    @property
    def drained(self) -> int | None:
        """After how many steps nothing waits any more, to the end of the forecast; None where something does."""
        left = next((n + 1 for n in reversed(range(len(self.depth))) if self.depth[n] >= 0.5), 0)
        return left + 1 if left < len(self.depth) else None


def forecast(
    depth: float,
    *,
    planned: Sequence[PlannedJob] = (),
    due: Sequence[int] = (),
    other_per_min: float = 0.0,
    slots: float = 0.0,
    usual_ms: float | None = None,
    paused_steps: int = 0,
    steps: int = STEPS,
    step_ms: int = STEP_MS,
) -> Forecast:
    """The depth of a queue over the next `steps`.

    `depth` runs wait now; each step brings planned fires, what is `due` from later and `other_per_min` from elsewhere;
    `slots` work it off, a run in `usual_ms` (of a planned job in its own time; where neither is known, in a second).
    Nothing is taken during the first `paused_steps`.

    What waits is a fluid: of all that waits, each kind is worked off in proportion, so short runs don't wait for long
    ones any longer than long ones for them. That is right on average, not for one run.
    """
    usual = 1000.0 if usual_ms is None else usual_ms
    waiting, work = float(depth), depth * usual
    coming = [_taken(job, steps, step_ms, usual) for job in planned]
    depths: list[float] = []
    runs: list[float] = []
    for n in range(steps):
        come = other_per_min * step_ms / 60_000 + (due[n] if n < len(due) else 0)
        more = come * usual
        for job, fires in zip(planned, coming, strict=True):
            come += fires[n]
            more += fires[n] * (usual if job.usual_ms is None else job.usual_ms)
        waiting, work = waiting + come, work + more
        done = 0.0 if n < paused_steps else min(work, slots * step_ms)
        if work > 0:
            waiting -= waiting * done / work
        elif slots and n >= paused_steps:
            waiting = 0.0  # runs that take no time
        work -= done
        runs.append(come)
        depths.append(max(0.0, waiting))
    return Forecast(
        tuple(depths), tuple(runs), sum(sum(job.fires[:steps]) for job in planned), sum(due[:steps]), other_per_min,
        slots, usual_ms, paused_steps,
    )  # fmt: skip


def _taken(job: PlannedJob, steps: int, step_ms: int, usual: float) -> list[int]:
    """The fires of each step that become runs; a job that never overlaps itself skips those that meet its own run."""
    fires = [*job.fires[:steps], *([0] * (steps - len(job.fires)))]
    if not job.alone:
        return fires
    takes = usual if job.usual_ms is None else job.usual_ms
    free_at = 0.0
    for n, many in enumerate(fires):
        fires[n] = 0
        for k in range(many):
            at = (n + k / many) * step_ms
            if at >= free_at:
                free_at = at + takes
                fires[n] += 1
    return fires
