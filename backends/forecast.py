"""How deep a queue will be within the next hour, if things go on as they do. Plain arithmetic over plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from backends.model import Overlap

STEPS = 60
STEP_MS = 60_000


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """The fires of one job in each step. `usual_ms`: how long a run takes, None where that is not known.

    What its runs do now counts where they have one slot (any `overlap` but allow): `queued`, one lies among those that
    are ready; `free_in_ms`, one runs or is later, and has ended by then; so many are `waiting` for it.
    """

    job: str
    fires: Sequence[int]
    usual_ms: float | None = None
    overlap: Overlap = Overlap.SKIP
    queued: bool = False
    free_in_ms: float = 0.0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Forecast:
    """`depth`: runs that wait to be taken at the end of each step; `runs`: those that come in during it.

    The rest is what it assumes: `planned` fires, of which so many are `skipped` by a run of their job, `due`
    from later, `other_per_min` from elsewhere, `slots` that work (0: nothing is taken), `usual_ms` a run.
    """

    depth: tuple[float, ...] = ()
    runs: tuple[float, ...] = ()
    planned: int = 0
    skipped: int = 0
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
    Nothing is taken during the first `paused_steps`. A job with one slot keeps it from its fire on until that run has
    ended, so what can't be taken keeps its later fires out.

    What waits is a fluid: of all that waits, each kind is worked off in proportion, so short runs don't wait for long
    ones any longer than long ones for them. That is right on average, not for one run.
    """
    usual = 1000.0 if usual_ms is None else usual_ms
    waiting, work = float(depth), depth * usual
    paused_ms = paused_steps * step_ms
    before = max(0.0, work - usual) / slots if slots else math.inf  # one that lies there has the others before it
    turns = [_Turns(job, usual, paused_ms + before) for job in planned]
    depths: list[float] = []
    runs: list[float] = []
    for n in range(steps):
        come = other_per_min * step_ms / 60_000 + (due[n] if n < len(due) else 0)
        more = come * usual
        begins = max(n * step_ms, paused_ms) + (work / slots if slots else math.inf)
        for job in turns:
            some = job.come(n, step_ms, begins)
            come += some
            more += some * job.takes_ms
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
        tuple(depths), tuple(runs), sum(sum(job.fires[:steps]) for job in planned), sum(job.skipped for job in turns),
        sum(due[:steps]), other_per_min, slots, usual_ms, paused_steps,
    )  # fmt: skip


class _Turns:
    """The fires of one job that become ready runs, and who has its slot meanwhile."""

    def __init__(self, job: PlannedJob, usual_ms: float, begins_ms: float) -> None:
        self.takes_ms = usual_ms if job.usual_ms is None else job.usual_ms
        self.skipped = 0
        self._fires, self._overlap, self._waiting = job.fires, job.overlap, job.waiting
        self._begins = begins_ms if job.queued else 0.0
        self._free_at = begins_ms + self.takes_ms if job.queued else job.free_in_ms

    def come(self, step: int, step_ms: int, begins_ms: float) -> int:
        """How many become ready in that step; what becomes ready then begins to run at `begins_ms`."""
        many = self._fires[step] if step < len(self._fires) else 0
        if self._overlap is Overlap.ALLOW or not (many or self._waiting):
            return many
        come = 0
        for k in range(many):
            at = (step + k / many) * step_ms
            come += self._from_waiting(at, begins_ms) + self._fire(at, begins_ms)
        return come + self._from_waiting((step + 1) * step_ms, begins_ms)

    def _from_waiting(self, until: float, begins_ms: float) -> int:
        come = 0
        while self._waiting and self._free_at <= until:
            self._waiting -= 1
            come += self._enter(self._free_at, begins_ms)
        return come

    def _fire(self, at: float, begins_ms: float) -> int:
        if self._free_at <= at:
            return self._enter(at, begins_ms)
        if self._overlap is Overlap.REPLACE:  # one that has not begun goes as this one comes
            begun = int(at >= self._begins)
            self._enter(at, begins_ms)
            return begun
        if self._overlap is Overlap.QUEUE_ALL or (self._overlap is Overlap.QUEUE_ONE and not self._waiting):
            self._waiting += 1
        else:
            self.skipped += 1
        return 0

    def _enter(self, at: float, begins_ms: float) -> int:
        self._begins = max(at, begins_ms)
        self._free_at = self._begins + self.takes_ms
        return 1
