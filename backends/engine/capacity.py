"""How much to take: only what can start now. Pure bookkeeping.

A run that takes SLICE_S or longer weighs one slot. A shorter Python run weighs its share of a slice, so that a batch
for one runner is about SLICE_S of work: a 2 ms job is never stuck behind many others, and a no-op costs no round trip
of its own. Weights are whole thousandths of a slot: they add up exactly, however many are taken and given back.
What a job takes is measured as it runs; a task that has not run yet is guessed to be short, because a
runner gives back what it could not start within a moment.
"""

from __future__ import annotations

from backends.jobs.spec import JobSpec
from backends.queues.base import BATCH

SLICE_S = 0.05
SLOT = 1000
LIGHTEST = SLOT // BATCH
UNKNOWN_TASK = SLOT // 20
_FOLLOW = 0.2


class Capacity:
    """Slots of one engine, and how full they are."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.used = 0
        self._job: dict[str, float] = {}
        self._queue: dict[str, float] = {}
        self._queue_used: dict[str, int] = {}
        self._queue_slots: dict[str, int] = {}

    @property
    def busy(self) -> int:
        """Slots in use, one that is partly so as well."""
        return min(self.slots, -(-self.used // SLOT))

    def limit_queue(self, queue: str, slots: int | None) -> None:
        """At most `slots` of this engine's slots go to `queue`."""
        if slots is None:
            self._queue_slots.pop(queue, None)
        else:
            self._queue_slots[queue] = slots

    def weight(self, spec: JobSpec) -> int:
        """What a run of this job is expected to weigh."""
        if spec.kind != "task":
            return SLOT
        return round(self._job.get(spec.name, UNKNOWN_TASK))

    def measured(self, job: str, seconds: float) -> None:
        """A run of `job` took that long. Longer than expected counts at once, shorter is followed slowly."""
        weight = min(SLOT, max(LIGHTEST, seconds / SLICE_S * SLOT))
        old = self._job.get(job)
        self._job[job] = weight if old is None or weight > old else old + (weight - old) * _FOLLOW

    def came_back(self, job: str) -> None:
        """A run of `job` waited behind a slow one; until it is measured, it is not guessed short again."""
        self._job.setdefault(job, SLOT)

    def free(self, queue: str) -> int:
        """What `queue` may still fill, as a weight."""
        room = self.slots * SLOT - self.used
        limit = self._queue_slots.get(queue)
        if limit is not None:
            room = min(room, limit * SLOT - self._queue_used.get(queue, 0))
        return room

    def room(self, queue: str, specs: dict[str, JobSpec]) -> int:
        """How many attempts of `queue` to take now; 0: wait until something has ended."""
        usual = self._queue.get(queue)
        if usual is None:
            usual = max((self.weight(s) for s in specs.values() if s.queue == queue), default=SLOT)
        return max(0, min(BATCH, self.free(queue) // round(usual)))

    def acquire(self, queue: str, weight: int) -> None:
        """A run was taken."""
        self.used += weight
        self._queue_used[queue] = self._queue_used.get(queue, 0) + weight
        old = self._queue.get(queue, weight)
        self._queue[queue] = old + (weight - old) * _FOLLOW

    def release(self, queue: str, weight: int) -> None:
        """A run has ended or was given back."""
        self.used -= weight
        self._queue_used[queue] -= weight
