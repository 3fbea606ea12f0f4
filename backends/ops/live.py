"""The live part of an overview: one pipelined Redis read a look; what did not change is not fetched again."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from backends.errors import BadInputError
from backends.jobs.publish import decode_jobs, inboxes_key, revision_key
from backends.jobs.spec import JobSpec
from backends.model import (
    DeadLetter,
    JobStatus,
    LiveEvent,
    Pause,
    QueueStatus,
    ServerHealth,
    from_ms,
    now_ms,
)
from backends.ops.archived import WholeQueue
from backends.overview import Overview
from backends.queues.keys import events_key, jobs_key, queues_key, workers_key
from backends.queues.live import read_engines, server_ms
from backends.queues.scripts import script
from backends.queues.streams import StreamQueue
from backends.schedule import Schedule, next_fires, parse

DEAD_SHOWN = 50
EVENTS_SHOWN = 500
MANY_SCHEDULES = 200
"""From here on the next fires are looked for in a thread: the caller's loop may be drawing a screen."""

_counts = msgspec.json.Decoder(dict[str, int])
_FAR_MS = 1 << 62
_HEAD = 5
_PER_QUEUE = 3


class LiveView:
    """Looks at Redis again and again; keeps the last jobs, fires, dead letters and events to look cheaply."""

    def __init__(self, client: Any, namespace: str, version: str, make_queue: Callable[[str], WholeQueue]) -> None:
        self._redis = client
        self._namespace = namespace
        self.version = version
        self._make_queue = make_queue
        self.queues: dict[str, WholeQueue] = {}
        self.specs: dict[str, JobSpec] = {}
        self._inboxes: dict[str, str] = {}
        self._revision: bytes | None = None
        self._schedules: dict[str, Schedule] = {}
        self._next: dict[str, int | None] = {}
        self._job_rows: tuple[JobStatus, ...] = ()
        self._jobs_key: tuple[bytes | None, Mapping[str, Mapping[str, Pause]]] | None = None
        self._jobs_until = 0
        self._dead: dict[str, tuple[Sequence[Any], tuple[DeadLetter, ...]]] = {}
        self._events: deque[LiveEvent] = deque(maxlen=EVENTS_SHOWN)
        self._last_event = ""

    def queue(self, name: str) -> WholeQueue:
        """The queue of that name; one object a name."""
        return self.queues.get(name) or self._make_queue(name)

    async def look(self) -> Overview:
        """One look."""
        started = time.perf_counter()
        head, queues, lengths = await self._read()
        latency = (time.perf_counter() - started) * 1000
        at = now_ms()
        self._take_events(head[3])
        statuses: list[QueueStatus] = []
        pauses: dict[str, dict[str, Pause]] = {}
        letters: list[DeadLetter] = []
        for (name, queue), (status, ctl, newest) in zip(self.queues.items(), queues, strict=True):
            found = queue.status_from(status)
            statuses.append(replace(found, inbox=lengths[name]) if lengths.get(name) else found)
            pauses[name] = read_pauses(ctl, at)
            if found.paused:
                pauses[name][""] = found.paused
            letters += await self._newest_dead(queue, newest)
        letters.sort(key=lambda letter: (-letter.sequence, letter.queue))
        engines = read_engines(head[1], server_ms(head[4]))
        return Overview(
            at_ms=at,
            redis=ServerHealth(True, self.version, latency, at),
            engines=engines.alive,
            gone=engines.gone,
            queues=tuple(statuses),
            jobs=await self._jobs(at, pauses),
            schedules=self._schedules,
            dead=tuple(letters[:DEAD_SHOWN]),
            dead_total=sum(status.dead for status in statuses),
            events=tuple(self._events),
        )

    # --- reading --------------------------------------------------------------------------------------------

    async def _read(self) -> tuple[list[Any], list[list[Any]], dict[str, int]]:
        """(what is there once, what each queue has, list lengths). One round trip, more only after a change."""
        while True:
            answer = await self._pipelined()
            names = sorted(name.decode() for name in answer[0])
            changed = names != list(self.queues)
            if changed:
                self.queues = {name: self.queue(name) for name in names}
            if answer[2] != self._revision:
                await self._load_jobs(answer[2])
                changed = True
            if not changed:
                break
        middle = _HEAD + len(self.queues) * _PER_QUEUE
        queues = [answer[n : n + _PER_QUEUE] for n in range(_HEAD, middle, _PER_QUEUE)]
        lengths = [n if isinstance(n, int) else 0 for n in answer[middle:]]  # the key may be no list: then no length
        return answer[:_HEAD], queues, dict(zip(self._inboxes, lengths, strict=True))

    async def _pipelined(self) -> list[Any]:
        from redis.exceptions import NoScriptError, ResponseError

        status = script("status")
        for last in (False, True):
            pipe = self._redis.pipeline(transaction=False)
            pipe.smembers(queues_key(self._namespace))
            pipe.hgetall(workers_key(self._namespace))
            pipe.get(revision_key(self._namespace))
            if self._last_event:
                pipe.xrange(events_key(self._namespace), f"({self._last_event}", "+", count=EVENTS_SHOWN)
            else:
                pipe.xrevrange(events_key(self._namespace), "+", "-", count=EVENTS_SHOWN)
            pipe.time()
            for queue in self.queues.values():
                pipe.execute_command("EVALSHA", status.sha, 1, queue.prefix)
                pipe.hgetall(f"{queue.prefix}ctl")
                pipe.zrange(f"{queue.prefix}dead", 0, DEAD_SHOWN - 1, desc=True, withscores=True)
            for key in self._inboxes.values():
                pipe.llen(key)
            answer: list[Any] = await pipe.execute(raise_on_error=False)
            needed = answer[: _HEAD + len(self.queues) * _PER_QUEUE]
            if not last and any(isinstance(a, NoScriptError) for a in needed):
                await self._redis.script_load(status.text)
                continue
            for a in answer:
                if isinstance(a, Exception) and not (isinstance(a, ResponseError) and "WRONGTYPE" in str(a)):
                    raise a
            break
        return answer

    async def _load_jobs(self, revision: bytes | None) -> None:
        pipe = self._redis.pipeline(transaction=False)
        pipe.hgetall(jobs_key(self._namespace))
        pipe.hgetall(inboxes_key(self._namespace))
        jobs, inboxes = await pipe.execute()
        self.specs = decode_jobs(jobs)
        self._inboxes = {name.decode(): key.decode() for name, key in inboxes.items()}
        self._schedules = {}
        for name, spec in self.specs.items():
            if spec.schedule is not None:
                try:
                    self._schedules[name] = parse(spec.schedule, spec.timezone)
                except BadInputError:  # published by a newer release that knows more
                    continue
        self._next.clear()
        self._revision = revision

    def _take_events(self, found: Sequence[Any]) -> None:
        for key, fields in found if self._last_event else reversed(found):
            self._last_event = key.decode()
            at = int(self._last_event.partition("-")[0])
            self._events.append(LiveEvent(at, fields[b"q"].decode(), _counts.decode(fields[b"n"])))

    async def _newest_dead(self, queue: StreamQueue, newest: Sequence[Any]) -> tuple[DeadLetter, ...]:
        """The letters of an index that `look` has just read; fetched only if the index changed."""
        known = self._dead.get(queue.name)
        if known is None or known[0] != newest:
            page = await queue.dead_page(DEAD_SHOWN) if newest else None
            known = self._dead[queue.name] = (newest, page.items if page else ())
        return known[1]

    # --- what follows from it -------------------------------------------------------------------------------

    async def _jobs(self, at: int, pauses: Mapping[str, Mapping[str, Pause]]) -> tuple[JobStatus, ...]:
        """Made anew when a job fired, was paused or published; until then the same object."""
        key = (self._revision, pauses)
        if key == self._jobs_key and at < self._jobs_until:
            return self._job_rows
        known = ((name, schedule, self._next.get(name, 0)) for name, schedule in self._schedules.items())
        due = {name: schedule for name, schedule, fire in known if fire is not None and fire <= at}
        if len(due) > MANY_SCHEDULES:
            self._next |= await asyncio.to_thread(next_fires, due, at)
        else:
            self._next |= next_fires(due, at)
        self._job_rows = tuple(
            [
                JobStatus(
                    name, spec.schedule, spec.timezone, spec.queue, spec.kind, spec.description,
                    pauses.get(spec.queue, {}).get(name), from_ms(fire) if (fire := self._next.get(name)) else None,
                    queue_paused=pauses.get(spec.queue, {}).get(""),
                )
                for name, spec in self.specs.items()
            ]
        )  # fmt: skip
        self._jobs_key = key
        self._jobs_until = min((fire for fire in self._next.values() if fire), default=_FAR_MS)
        return self._job_rows


def read_pauses(ctl: Mapping[bytes, bytes], at_ms: int) -> dict[str, Pause]:
    """The job pauses in force, by job, from a queue's `ctl` hash."""
    found: dict[str, Pause] = {}
    for field, value in ctl.items():
        if field.startswith(b"pausejob:"):
            pause = msgspec.json.decode(value.partition(b" ")[2], type=Pause)
            if pause.until_ms is None or pause.until_ms > at_ms:
                found[field[9:].decode()] = pause
    return found
