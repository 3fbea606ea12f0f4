"""Fires schedules. Any number of schedulers run at once and none leads: a fire is a compare-and-set on the job's mark.

The next fire is always computed from the stored mark, never from "now", so that no fire falls between two schedulers or
into a restart; a clock that is set back finds the mark ahead of it and waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from heapq import heapify, heappop, heappush
from typing import Any

import msgspec

from backends.engine.catchup import catch_up
from backends.jobs.spec import JobSpec
from backends.model import FireRecord, FireResult, Trigger, fire_run_id, from_ms, now_ms, to_ms
from backends.queues.base import Fired, NewFire, NewRun
from backends.queues.streams import StreamQueue
from backends.schedule import Schedule, parse

LATE_S = 60.0
"""A fire later than this was missed, and the job's catch-up policy decides; earlier, it is just late."""
AHEAD_S = 3600.0
"""A mark so far in the future was set under a wrong clock; nothing fires until then, and the log says so."""
LONGEST_SLEEP_S = 5.0
"""A clock that was set, or a machine that slept, is noticed within this time."""
LONGEST_PAUSE_S = 5.0
YIELD_EVERY = 50
"""Next fires computed before other work of the process gets its turn."""

log = logging.getLogger("cronsole.scheduler")


def stable_jitter_ms(namespace: str, job: str, jitter_s: float) -> int:
    """The same delay for a job in every scheduler, below its jitter (systemd's FixedRandomDelay)."""
    if jitter_s <= 0:
        return 0
    share = int.from_bytes(sha256(f"{namespace}\0{job}".encode()).digest()[:8], "big") / 2**64
    return int(share * jitter_s * 1000)


def fire_envelope(spec: JobSpec, run_id: str, planned_ms: int, trigger: Trigger, scheduler: str) -> bytes:
    """The envelope of a fire."""
    return msgspec.json.encode(
        {
            "id": run_id,
            "type": spec.name,
            "payload": spec.payload,
            "createdAt": from_ms(now_ms()).isoformat(timespec="milliseconds"),
            "attempts": 0,
            "trigger": trigger.value,
            "scheduledFor": from_ms(planned_ms).isoformat(),
            "by": scheduler,
        }
    )


class _Entry:
    """A scheduled job and what is known of its mark; without one it waits to be adopted."""

    __slots__ = ("mark_ms", "next_ms", "schedule", "spec")

    def __init__(self, spec: JobSpec, schedule: Schedule) -> None:
        self.spec = spec
        self.schedule = schedule
        self.mark_ms: int | None = None
        self.next_ms: int | None = None


class Scheduler:
    """Fires the schedules of a set of jobs into their queues. ``@reboot`` is fired by `reboot.fire_reboots`."""

    def __init__(
        self,
        name: str,
        namespace: str,
        queue: Callable[[str], StreamQueue],
        known_marks: Callable[[Sequence[str]], Awaitable[Mapping[str, tuple[int, str]]]],
        clock_ms: Callable[[], int] = now_ms,
        resync: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`known_marks`: see `marks.known_marks`. `resync` puts the clock right."""
        self._name = name
        self._namespace = namespace
        self._queue = queue
        self._known_marks = known_marks
        self._clock = clock_ms
        self._resync = resync
        self._entries: dict[str, _Entry] = {}
        self._orphans: set[str] = set()
        self._heap: list[tuple[int, str, _Entry]] = []  # entries that moved on meanwhile are passed over
        self._nexts: dict[tuple[Schedule, int], int | None] = {}
        self._wake = asyncio.Event()

    def set_jobs(self, specs: Mapping[str, JobSpec]) -> None:
        """Take over a job file (at start and on reload). A changed schedule counts from now on."""
        entries: dict[str, _Entry] = {}
        for name, spec in specs.items():
            if spec.schedule is None:
                continue
            old = self._entries.get(name)
            if old and (old.spec.schedule, old.spec.timezone, old.spec.queue) == (
                spec.schedule, spec.timezone, spec.queue
            ):  # fmt: skip
                old.spec = spec
                entries[name] = old
                continue
            schedule = parse(spec.schedule, spec.timezone)
            if not schedule.reboot:
                entries[name] = _Entry(spec, schedule)
        self._entries = entries
        self._orphans = {name for name, entry in entries.items() if entry.mark_ms is None}
        self._heap = [(e.next_ms, name, e) for name, e in entries.items() if e.next_ms is not None]
        heapify(self._heap)
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Fire until `stop`. Redis that can't be reached is waited for; what was missed goes through catch-up."""
        pause = 0.25
        waiter = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                self._wake.clear()
                try:
                    delay = await self.tick()
                    pause = 0.25
                except Exception as error:
                    log.warning("could not fire: %s", error, extra={"action": "fire_failed"})
                    delay, pause = pause, min(pause * 2, LONGEST_PAUSE_S)
                waker = asyncio.ensure_future(self._wake.wait())
                await asyncio.wait({waiter, waker}, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
                waker.cancel()
        finally:
            waiter.cancel()

    async def tick(self) -> float:
        """Fire all that is due; returns the seconds until the next fire."""
        await self._adopt()
        while due := self._due():
            try:
                early = await self._decide(due)
            except BaseException:
                self._put_back(due)
                raise
            if early:
                if self._resync:
                    await self._resync()
                return 1.0
            await self._adopt()
        if not self._heap:
            return LONGEST_SLEEP_S
        return min(LONGEST_SLEEP_S, max(0.0, (self._heap[0][0] - self._clock()) / 1000))

    # --- marks ----------------------------------------------------------------------------------------------

    async def _adopt(self) -> None:
        """Learn the marks of new schedules, and of those whose mark Redis lost."""
        if not self._orphans:
            return
        orphans = [self._entries[name] for name in self._orphans]
        known = await self._known_marks([entry.spec.name for entry in orphans])
        by_queue: dict[str, list[_Entry]] = {}
        for entry in orphans:
            by_queue.setdefault(entry.spec.queue, []).append(entry)
        for queue, entries in by_queue.items():
            rules = {e.spec.name: f"{e.spec.schedule} {e.spec.timezone}" for e in entries}
            marks = await self._queue(queue).adopt(rules, known, self._clock())
            for entry in entries:
                self._warn_of_future(entry, queue, marks[entry.spec.name])
            await self._advance([(entry, marks[entry.spec.name]) for entry in entries])

    def _warn_of_future(self, entry: _Entry, queue: str, mark_ms: int) -> None:
        if mark_ms - self._clock() > AHEAD_S * 1000:
            job = entry.spec.name
            log.warning(
                "%s fired last at %s, which is still to come: some clock was wrong then. It fires again after that;"
                " to let it fire sooner, remove the field %s of the hash %smarks and start the engines again",
                job, from_ms(mark_ms).isoformat(), job, self._queue(queue).prefix,
                extra={"action": "mark_ahead", "job": job},
            )  # fmt: skip

    async def _advance(self, moved: Sequence[tuple[_Entry, int | None]]) -> None:
        """Set the marks of entries and find their next fires; None: the mark is lost."""
        for n, (entry, mark_ms) in enumerate(moved):
            name = entry.spec.name
            if self._entries.get(name) is not entry:  # the job file was read again meanwhile
                continue
            entry.mark_ms, entry.next_ms = mark_ms, None
            if mark_ms is None:
                self._orphans.add(name)
                continue
            self._orphans.discard(name)
            entry.next_ms = self._next(entry.schedule, mark_ms)
            if entry.next_ms is not None:
                heappush(self._heap, (entry.next_ms, name, entry))
            if n % YIELD_EVERY == YIELD_EVERY - 1:
                await asyncio.sleep(0)
        self._nexts.clear()

    def _next(self, schedule: Schedule, mark_ms: int) -> int | None:
        """Equal schedules share one object, and their jobs fire together: most answers are known already."""
        key = (schedule, mark_ms)
        if key not in self._nexts:
            after = schedule.after(from_ms(mark_ms))
            self._nexts[key] = to_ms(after) if after else None
        return self._nexts[key]

    # --- fires ----------------------------------------------------------------------------------------------

    def _due(self) -> list[_Entry]:
        """The entries whose next fire has come, in order of time; they leave the heap."""
        now, due = self._clock(), []
        while self._heap and self._heap[0][0] <= now:
            at, name, entry = heappop(self._heap)
            if self._entries.get(name) is entry and entry.next_ms == at:
                due.append(entry)
        return due

    def _put_back(self, entries: Sequence[_Entry]) -> None:
        waiting = {id(item[2]) for item in self._heap}
        for entry in entries:
            if entry.next_ms is not None and id(entry) not in waiting:
                heappush(self._heap, (entry.next_ms, entry.spec.name, entry))

    async def _decide(self, due: Sequence[_Entry]) -> bool:
        """Fire what is due; True if the server says that it is too early for some of it."""
        now = self._clock()
        late = [e for e in due if e.next_ms is not None and now - e.next_ms > LATE_S * 1000]
        missed = set(map(id, late))
        by_queue: dict[str, list[_Entry]] = {}
        for entry in due:
            if id(entry) not in missed:
                by_queue.setdefault(entry.spec.queue, []).append(entry)
        moved: list[tuple[_Entry, int | None]] = []
        early: list[_Entry] = []
        try:
            for queue, entries in by_queue.items():
                fires = [self._new_fire(e.spec, e.next_ms or 0, e.mark_ms, Trigger.SCHEDULE) for e in entries]
                answers = await self._queue(queue).fire(fires)
                for entry, fire, answer in zip(entries, fires, answers, strict=True):
                    if answer.early:
                        early.append(entry)
                        continue
                    self._tell(fire, answer)
                    moved.append((entry, answer.last_ms))
        finally:
            await self._advance(moved)
        if late and self._resync:
            await self._resync()
        now = self._clock()
        for entry in late:
            past = entry.next_ms is not None and entry.next_ms <= now
            if not (past and await self._catch_up(entry, now)):
                early += [entry]
        self._put_back(early)
        return bool(early)

    async def _catch_up(self, entry: _Entry, now: int) -> bool:
        """Record the missed fires of a job, run those that its policy wants; False: too early, says the server."""
        assert entry.next_ms is not None
        spec, queue, mark = entry.spec, self._queue(entry.spec.queue), entry.mark_ms
        plan = catch_up(spec, entry.schedule, entry.next_ms, now)
        if plan.missed:
            records = [
                FireRecord(
                    job=spec.name, planned_ms=at, result=FireResult.MISSED, decided_ms=now, scheduler=self._name,
                    reason=why,
                )
                for at, why in plan.missed
            ]  # fmt: skip
            answer = await queue.account(records, mark)
            if answer.early:
                return False
            mark = answer.last_ms
            if answer.result is None:  # another scheduler was faster
                await self._advance([(entry, mark)])
                return True
            log.warning(
                "%d fires of %s were missed", len(records), spec.name,
                extra={"action": "fires_missed", "job": spec.name, "missed": len(records)},
            )  # fmt: skip
        fires = []
        for at in plan.run:
            fires.append(self._new_fire(spec, at, mark, Trigger.CATCHUP))
            mark = at
        early = False
        for fire, answer in zip(fires, await queue.fire(fires) if fires else [], strict=True):
            self._tell(fire, answer)
            mark, early = answer.last_ms, early or answer.early
        await self._advance([(entry, mark)])
        return not early

    def _new_fire(self, spec: JobSpec, at: int, mark_ms: int | None, trigger: Trigger) -> NewFire:
        run_id = fire_run_id(self._namespace, spec.name, at)
        jitter = stable_jitter_ms(self._namespace, spec.name, spec.jitter_s)
        envelope = fire_envelope(spec, run_id, at, trigger, self._name)
        run = NewRun(run_id, spec.name, envelope, spec.priority, due_ms=at + jitter if jitter else 0)
        return NewFire(at, mark_ms, run, spec.overlap, self._name)

    def _tell(self, fire: NewFire, answer: Fired) -> None:
        job = fire.run.job
        extra: dict[str, Any] = {"action": "fire", "job": job, "planned": from_ms(fire.planned_ms).isoformat()}
        if answer.result is FireResult.FIRED:
            log.info("fired %s", job, extra=extra | {"run_id": fire.run.run_id})
        elif answer.result is FireResult.SKIPPED:
            log.info("skipped a fire of %s: %s", job, answer.reason, extra=extra | {"reason": answer.reason})
