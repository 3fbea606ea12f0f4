"""Fires schedules. Any number of schedulers run at once and none leads: a fire is a compare-and-set on the job's mark.

The next fire is always computed from the stored mark, never from "now", so that no fire falls between two schedulers or
into a restart; a clock that is set back finds the mark ahead of it and waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from backends.jobs.spec import JobSpec
from backends.model import (
    Catchup,
    FireRecord,
    FireResult,
    Trigger,
    fire_run_id,
    from_ms,
    now_ms,
    to_ms,
)
from backends.queues.base import NewRun
from backends.queues.streams import StreamQueue
from backends.schedule import Schedule, parse

LATE_S = 60.0
"""A fire later than this was missed, and the job's catch-up policy decides; earlier, it is just late."""
CATCHUP_MOST = 100
"""Fires that `catchup = "all"` runs at most; older ones are recorded as missed."""
LOOK_BACK_MOST = 10_000
"""Missed fires that are listed one by one; when there are more, the oldest are passed over with one log line."""
LONGEST_SLEEP_S = 30.0

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
    """A scheduled job and what is known of its mark."""

    __slots__ = ("mark_ms", "next_ms", "schedule", "spec")

    def __init__(self, spec: JobSpec, schedule: Schedule) -> None:
        self.spec = spec
        self.schedule = schedule
        self.mark_ms: int | None = None
        self.next_ms: int | None = None

    def advance(self, mark_ms: int | None) -> None:
        self.mark_ms = mark_ms
        after = self.schedule.after(from_ms(mark_ms)) if mark_ms is not None else None
        self.next_ms = to_ms(after) if after else None


class Scheduler:
    """Fires the schedules of a set of jobs into their queues."""

    def __init__(
        self,
        name: str,
        namespace: str,
        queue: Callable[[str], StreamQueue],
        known_marks: Callable[[], Awaitable[Mapping[str, int]]],
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`known_marks`: the marks that history has, for when Redis lost its own."""
        self._name = name
        self._namespace = namespace
        self._queue = queue
        self._known_marks = known_marks
        self._clock = clock_ms
        self._entries: dict[str, _Entry] = {}
        self._loaded: set[str] = set()
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
            if schedule.reboot:
                log.warning("%s: @reboot is not fired by this version", name, extra={"action": "schedule_unsupported"})
                continue
            entries[name] = _Entry(spec, schedule)
            self._loaded.discard(name)
        self._entries = entries
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Fire until `stop`. Redis that can't be reached is waited for; what was missed goes through catch-up."""
        pause = 0.5
        waiter = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                try:
                    await self._load_marks()
                    delay = await self.tick()
                    pause = 0.5
                except Exception as error:
                    log.warning("could not fire: %s", error, extra={"action": "fire_failed"})
                    delay, pause = pause, min(pause * 2, 30.0)
                self._wake.clear()
                waker = asyncio.ensure_future(self._wake.wait())
                await asyncio.wait({waiter, waker}, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
                waker.cancel()
        finally:
            waiter.cancel()

    async def _load_marks(self) -> None:
        missing = [e for n, e in self._entries.items() if n not in self._loaded]
        if not missing:
            return
        known: Mapping[str, int] = {}
        try:
            known = await self._known_marks()
        except Exception as error:
            log.warning("marks in history not read: %s", error, extra={"action": "marks_unread"})
        for entry in missing:
            queue, name = self._queue(entry.spec.queue), entry.spec.name
            mark = await queue.mark(name)
            if mark is None:
                await queue.set_mark(name, known.get(name, self._clock()))
                mark = await queue.mark(name)
            entry.advance(mark)
            self._loaded.add(name)

    async def tick(self) -> float:
        """Fire all that is due; returns the seconds until the next fire."""
        for entry in list(self._entries.values()):
            while entry.next_ms is not None and entry.next_ms <= self._clock():
                await self._due(entry)
        nexts = [e.next_ms for e in self._entries.values() if e.next_ms is not None]
        if not nexts:
            return LONGEST_SLEEP_S
        return min(LONGEST_SLEEP_S, max(0.0, (min(nexts) - self._clock()) / 1000))

    async def _due(self, entry: _Entry) -> None:
        assert entry.next_ms is not None
        now = self._clock()
        if now - entry.next_ms <= LATE_S * 1000:
            await self._fire(entry, entry.next_ms, Trigger.SCHEDULE)
            return
        run, missed = self._catch_up(entry, now)
        if missed:
            records = [
                FireRecord(
                    job=entry.spec.name, planned_ms=at, result=FireResult.MISSED, decided_ms=now, scheduler=self._name,
                    reason=why,
                )
                for at, why in missed
            ]  # fmt: skip
            answer = await self._queue(entry.spec.queue).account(records, entry.mark_ms)
            entry.advance(answer.last_ms)
            if answer.result is None:  # another scheduler was faster
                return
            log.warning(
                "%d fires of %s were missed", len(missed), entry.spec.name,
                extra={"action": "fires_missed", "job": entry.spec.name, "missed": len(missed)},
            )  # fmt: skip
        for at in run:
            if not await self._fire(entry, at, Trigger.CATCHUP):
                return

    def _catch_up(self, entry: _Entry, now: int) -> tuple[list[int], list[tuple[int, str]]]:
        """Split the missed fires into those to run and those to record, with the reason. All in order of time."""
        assert entry.next_ms is not None
        spec = entry.spec
        start = max(from_ms(entry.next_ms), from_ms(now) - timedelta(days=366))
        late = [to_ms(at) for at in _between(entry.schedule, start, from_ms(now + 1))]
        if not late:
            return [entry.next_ms], []
        window = now - int(spec.catchup_window_s * 1000)
        fresh = [at for at in late if at >= window]
        most = {Catchup.NONE: 0, Catchup.LATEST: 1, Catchup.ALL: CATCHUP_MOST}[spec.catchup]
        run = fresh[-most:] if most else []
        first = run[0] if run else now + 1
        why = f'catchup = "{spec.catchup.value}"'
        old = "older than the catch-up window"
        return run, [(at, why if at >= window else old) for at in late if at < first]

    async def _fire(self, entry: _Entry, at: int, trigger: Trigger) -> bool:
        """Fire one instant; False if another scheduler moved the mark first."""
        spec = entry.spec
        run_id = fire_run_id(self._namespace, spec.name, at)
        jitter = stable_jitter_ms(self._namespace, spec.name, spec.jitter_s)
        run = NewRun(
            run_id,
            spec.name,
            fire_envelope(spec, run_id, at, trigger, self._name),
            spec.priority,
            due_ms=at + jitter if jitter else 0,
        )
        record = FireRecord(
            job=spec.name, planned_ms=at, result=FireResult.FIRED, decided_ms=self._clock(), scheduler=self._name
        )
        answer = await self._queue(spec.queue).fire(record, entry.mark_ms, run, spec.overlap)
        entry.advance(answer.last_ms)
        extra: dict[str, Any] = {"action": "fire", "job": spec.name, "planned": from_ms(at).isoformat()}
        if answer.result is FireResult.FIRED:
            log.info("fired %s", spec.name, extra=extra | {"run_id": run_id})
        elif answer.result is FireResult.SKIPPED:
            log.info("skipped a fire of %s: %s", spec.name, answer.reason, extra=extra | {"reason": answer.reason})
        return answer.result is not None


def _between(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    found = schedule.between(start, end, limit=LOOK_BACK_MOST)
    if len(found) < LOOK_BACK_MOST:
        return found
    log.warning("more than %d fires were missed; the oldest are passed over", LOOK_BACK_MOST)
    newest: list[datetime] = []
    at = end
    while len(newest) < LOOK_BACK_MOST:
        before = schedule.before(at)
        if before is None or before < start:
            break
        newest.append(before)
        at = before
    return newest[::-1]
