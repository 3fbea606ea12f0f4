"""The queues screen and a queue's page: what flows through, what lies there and why, what the next hour may bring."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from backends.connect import Servers
from backends.errors import UnreachableError
from backends.forecast import STEP_MS, STEPS, Forecast, PlannedJob, forecast
from backends.history.stats import job_stats, queue_minutes
from backends.model import Page, QueueStatus, from_ms, now_ms, to_ms
from backends.ops.reads import Reads
from backends.ops.talk import redis_talk
from backends.overview import Overview
from backends.queues.keys import queue_prefix
from backends.queues.peek import QueuedRun, due_counts, flows, held_slots, holders, peek, wait_sizes
from backends.queues.streams import overlap_slot
from backends.schedule import counts

HOUR = 60
RATE_MS = 60_000
"""Rates are measured over about so long."""
SAMPLE_MS = 900
WHOLE_HOUR_MS = 60_000
"""So often the whole hour is read again: history may have been behind. Else only its last minutes are."""
LAST_MINUTES = 2
USUAL_MS = 60_000
"""So long the usual durations of a queue's jobs are kept."""


class QueueFlow(msgspec.Struct, frozen=True):
    """What goes through a queue, in runs a minute; None where it is not measured yet. A retry counts again.

    `ended`: attempts that ended in each of the last 60 minutes, oldest first, the last one not over; empty where
    history can't be asked. `mean_ms`: how long they took.
    """

    in_per_min: float | None = None
    out_per_min: float | None = None
    ended: tuple[int, ...] = ()
    mean_ms: float | None = None


@dataclass
class _Meter:
    """Remembers what `flows` said, for about a minute."""

    samples: deque[tuple[int, int, int]] = field(default_factory=deque)

    def take(self, at_ms: int, added: int, there: int) -> None:
        if self.samples and (added < self.samples[-1][1] or at_ms - self.samples[-1][0] > 5 * RATE_MS):
            self.samples.clear()  # the data was flushed; or nobody looked for long
        if len(self.samples) < 2 or at_ms - self.samples[-2][0] >= SAMPLE_MS:
            self.samples.append((at_ms, added, there))
        else:
            self.samples[-1] = (at_ms, added, there)
        while len(self.samples) > 2 and at_ms - self.samples[1][0] >= RATE_MS:
            self.samples.popleft()

    @property
    def rates(self) -> tuple[float, float] | None:
        """(in, out) a minute."""
        if len(self.samples) < 2:
            return None
        (start, added, there), (end, more, left) = self.samples[0], self.samples[-1]
        minutes = (end - start) / 60_000
        return ((more - added) / minutes, (more - added - (left - there)) / minutes) if minutes > 0.01 else None


class QueueingReads(Reads):
    """What the screens of the queues ask for."""

    def __init__(self, servers: Servers, *, context_name: str = "default") -> None:
        super().__init__(servers, context_name=context_name)
        self._meters: dict[str, _Meter] = {}
        self._minutes: dict[tuple[int, str], tuple[int, float]] = {}
        self._hour_at = 0
        self._usual: dict[str, tuple[int, Mapping[str, float], set[str]]] = {}

    async def queue_flows(self) -> Mapping[str, QueueFlow]:
        """By queue: rates between this look and those before, and the last hour from the record where it is there."""
        at = now_ms()
        names = list(self.live.queues) or [q.name for q in await self.all_queues()]
        with redis_talk(self.servers.redis_url):
            seen = await flows(self.servers.redis, [queue_prefix(self.namespace, name) for name in names])
        meters = self._meters
        for name, (added, there) in zip(names, seen, strict=True):
            meters.setdefault(name, _Meter()).take(at, added, there)
        for name in meters.keys() - set(names):
            del meters[name]
        try:
            minutes = await self._hour(at)
        except UnreachableError:
            minutes = None
        return {name: _flow(meters[name], name, minutes, at) for name in names}

    async def _hour(self, at_ms: int) -> Mapping[tuple[int, str], tuple[int, float]]:
        """(minute, queue) → (attempts that ended, their milliseconds), of the last hour."""
        known = self._minutes
        whole = at_ms - self._hour_at >= WHOLE_HOUR_MS
        this = at_ms // 60_000
        since = from_ms((this - (HOUR - 1 if whole else LAST_MINUTES)) * 60_000)
        async with self.history():
            rows = await queue_minutes(await self.servers.pool(), since)
        if whole:
            known.clear()
            self._hour_at = at_ms
        for minute, queue, n, total in rows:
            known[to_ms(minute) // 60_000, queue] = (int(n), float(total))
        for key in [key for key in known if key[0] <= this - HOUR]:
            del known[key]
        return known

    async def queue_runs(
        self,
        queue: str,
        state: str,
        limit: int = 100,
        cursor: str | None = None,
        jobs: Sequence[str] = (),
        *,
        last: bool = False,
    ) -> Page[QueuedRun]:
        """A page of what lies in a queue, next to go first; `state`: ready, running, later or waiting.

        `jobs`: whose waiting runs are looked for, without any those of the jobs that live in this queue or are paused.
        `last`: the page of those that go last; its cursor, and that of each such page, leads to the one above.
        Raises BadInputError for a cursor that is none.
        """
        prefix, client = queue_prefix(self.namespace, queue), self.servers.redis
        with redis_talk(self.servers.redis_url):
            keys: list[str] = []
            if state == "waiting":
                names = jobs or [name for name, spec in self.live.specs.items() if spec.queue == queue]
                keys = sorted(await wait_sizes(client, prefix, names))
            items, more = await peek(client, prefix, state, limit, cursor, keys, last=last)
            if state == "waiting" and items:
                held_by = await holders(client, prefix, keys)
                items = [replace(item, holder=held_by.get(item.waits_for, "")) for item in items]
        return Page(tuple(items), more)

    async def queue_forecast(self, status: QueueStatus, live: Overview, flow: QueueFlow | None) -> Forecast:
        """The depth of a queue over the next hour. With history away, without usual durations.

        Where no engine takes the queue, none fires its jobs, and nothing comes back from later.
        """
        at = live.at_ms
        edges = [at + n * STEP_MS for n in range(STEPS + 1)]
        slots = _slots(status, live, flow)
        specs = {name: spec for name, spec in self.live.specs.items() if spec.queue == status.name}
        paused = {job.name for job in live.jobs if job.paused}
        schedules = {name: live.schedules[name] for name in specs if name in live.schedules and name not in paused}
        fires = counts(schedules, edges).jobs if slots else {}
        firing = [name for name in fires if sum(fires[name])]
        limited = {name: slot for name in firing if (slot := overlap_slot(name, specs[name].overlap)[0])}
        prefix = queue_prefix(self.namespace, status.name)
        with redis_talk(self.servers.redis_url):
            due = await due_counts(self.servers.redis, prefix, edges) if slots else []
            held = await held_slots(self.servers.redis, prefix, list(limited.values())) if _any_run(status) else {}
        usual = await self._usual_ms(status.name, firing, at)
        running = {run.run_id: run for engine in live.engines for run in engine.running}
        mean = flow.mean_ms if flow else None

        def planned(name: str) -> PlannedJob:
            job = PlannedJob(name, fires[name], usual.get(name), specs[name].overlap)
            slot = held.get(limited.get(name, ""))
            if slot is None:
                return job
            run = running.get(slot.run_id)
            if slot.due_ms is None and run is None and status.ready:
                return dataclasses.replace(job, queued=True, waiting=slot.waiting)
            takes = job.usual_ms or mean or 0.0
            ends = slot.due_ms + takes if slot.due_ms is not None else (run.started_ms if run else at) + takes
            return dataclasses.replace(job, free_in_ms=max(0.0, ends - at), waiting=slot.waiting)

        past = counts(schedules, [at - HOUR * 60_000, at]).jobs
        return forecast(
            status.ready + status.inbox, planned=[planned(name) for name in firing], due=due,
            other_per_min=_other(flow, sum(n for (n,) in past.values()) / HOUR),
            slots=slots, usual_ms=mean, paused_steps=_paused_steps(status, at),
        )  # fmt: skip

    async def _usual_ms(self, queue: str, jobs: Sequence[str], at_ms: int) -> Mapping[str, float]:
        known = self._usual.get(queue)
        if known is None or at_ms - known[0] >= USUAL_MS or not set(jobs) <= known[2]:
            try:
                async with self.history():
                    stats = await job_stats(await self.servers.pool(), jobs)
            except UnreachableError:
                return known[1] if known else {}
            times = {name: stat.p50_ms for name, stat in stats.items() if stat.p50_ms is not None}
            known = self._usual[queue] = (at_ms, times, set(jobs))
        return known[1]


def _any_run(status: QueueStatus) -> bool:
    """Whether a run is there that may hold a slot."""
    return bool(status.ready or status.running or status.later or status.waiting)


def _flow(
    meter: _Meter, queue: str, minutes: Mapping[tuple[int, str], tuple[int, float]] | None, at_ms: int
) -> QueueFlow:
    come, go = meter.rates or (None, None)
    if minutes is None:
        return QueueFlow(come, go)
    this = at_ms // 60_000
    found = [minutes.get((this - HOUR + 1 + n, queue), (0, 0.0)) for n in range(HOUR)]
    total = sum(n for n, _ in found)
    mean = sum(ms for _, ms in found) / total if total else None
    return QueueFlow(come, go, tuple(n for n, _ in found), mean)


def _other(flow: QueueFlow | None, planned_per_min: float) -> float:
    """What came within the last hour a minute and was no fire; within the last minute where history is away."""
    if flow is None:
        return 0.0
    over = sum(flow.ended) / len(flow.ended) if flow.ended else flow.in_per_min or 0.0
    return max(0.0, over - planned_per_min)


def _slots(status: QueueStatus, live: Overview, flow: QueueFlow | None) -> float:
    """Slots that work for this queue: those that are free, and those it has; one at least, where an engine takes it, as
    what is full now will not be for ever. Under a backlog, what it was seen to get.

    A backlog is more than its engines could take at once: then the rate out is all there is.
    """
    takers = [e for e in live.engines if status.name in e.queues and not (e.draining or e.silent_ms)]
    slots = min(sum(max(0, e.slots - e.busy) for e in takers) + status.running, sum(e.slots for e in takers))
    backlog = status.ready > sum(e.slots for e in takers)
    if takers and backlog and flow and flow.out_per_min and flow.mean_ms:
        return flow.out_per_min * flow.mean_ms / 60_000
    return float(max(slots, 1)) if takers else 0.0


def _paused_steps(status: QueueStatus, at_ms: int) -> int:
    if status.paused is None:
        return 0
    until = status.paused.until_ms
    return STEPS if until is None else max(0, min(STEPS, -(-(until - at_ms) // STEP_MS)))
