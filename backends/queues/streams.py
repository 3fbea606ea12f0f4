"""The native queue: Redis streams, one Lua script a transition (DESIGN.md §6).

The stream entry id is the fence. Running is what the consumer group has pending; its idle time is the lease.
The invariants each script keeps are told in ``lua/``; ``docs/reference/queue.md`` shows the states.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec

from backends.model import FireRecord, FireResult, Overlap, Pause, QueueStatus, now_ms
from backends.queues.base import (
    BATCH,
    Delivery,
    Entered,
    Fired,
    NewFire,
    NewRun,
    OnFull,
    Op,
    Settle,
    Settled,
    Settlement,
    Taken,
    chunks,
)
from backends.queues.dead_acts import DeadActs
from backends.queues.deliveries import deliveries_of
from backends.queues.keys import queue_prefix, queues_key
from backends.queues.moves import STALE_MS, Moves, Moving, carry
from backends.queues.operations import run_args
from backends.queues.scripts import Arg, script

if TYPE_CHECKING:
    import redis
    import redis.asyncio

PLACES = ("solo", "front", "0", "1", "2")
"""The ready streams in the order they are served: runs that crashed an engine (one at a time), those that an operator
put in front, then by priority."""

FIRES = 100
"""Fires a script call at most: each costs the server about as much as an enqueue and a mark."""

_ON_FULL = {
    Overlap.SKIP: OnFull.SKIP,
    Overlap.QUEUE_ONE: OnFull.WAIT_ONE,
    Overlap.QUEUE_ALL: OnFull.WAIT,
    Overlap.REPLACE: OnFull.REPLACE,
}


def overlap_slot(job: str, overlap: Overlap) -> tuple[str, OnFull]:
    """The slot a run of `job` needs under an overlap policy ('' where it needs none)."""
    if overlap is Overlap.ALLOW:
        return "", OnFull.WAIT
    return f"job:{job}", _ON_FULL[overlap]


class StreamQueue(DeadActs, Moves):
    """One native queue. Any number of these, in any number of processes, may serve the same one.

    `client` serves short calls; `blocking` (default: `client`) is used for `wait` alone, so that a sleeping wait never
    delays a settle; `sync_client` makes the lease thread's own connection.
    """

    kind = "native"

    def __init__(
        self,
        client: redis.asyncio.Redis,
        namespace: str,
        name: str,
        *,
        blocking: redis.asyncio.Redis | None = None,
        sync_client: Callable[[], redis.Redis] | None = None,
    ) -> None:
        self.name = name
        self.namespace = namespace
        self.prefix = queue_prefix(namespace, name)
        self._redis: Any = client
        self._blocking = blocking or client
        self._make_sync = sync_client
        self._sync: redis.Redis | None = None
        self._announced = False

    async def _call(self, name: str, *args: Arg, extra_keys: Sequence[str] = ()) -> Any:
        return await script(name)(self._redis, [self.prefix, *extra_keys], list(args))

    async def announce(self) -> None:
        """Put the queue's name where the console and the recorder look for it."""
        if not self._announced:
            await self._redis.sadd(queues_key(self.namespace), self.name)
            self._announced = True

    # --- in -------------------------------------------------------------------------------------------------

    async def enqueue(self, runs: Sequence[NewRun]) -> list[Entered]:
        """Put runs in, in order; idempotent by run id."""
        await self.announce()
        answers: list[Entered] = []
        for part in chunks(runs):
            words = await self._call("enqueue", *run_args(part))
            answers += [Entered(word.decode()) for word in words]
        return answers

    async def enter(self, op: Op, runs: Sequence[NewRun]) -> list[Entered]:
        """As `enqueue`, so that the operation can take out again what has not started."""
        await self.announce()
        answers: list[Entered] = []
        for part in chunks(runs):
            words = await self._call("enter", op.id, op.by, op.expires_ms, *run_args(part))
            answers += [Entered(word.decode()) for word in words]
        return answers

    async def promote(self) -> int:
        """Move due runs to ready; at most BATCH."""
        return int((await self._call("promote", BATCH))[0])

    async def fire(self, fires: Sequence[NewFire]) -> list[Fired]:
        """Decide planned instants, each once among all schedulers."""
        await self.announce()
        answers: list[Fired] = []
        for part in chunks(fires, FIRES):
            args: list[Arg] = []
            for f in part:
                slot, on_full = overlap_slot(f.run.job, f.overlap)
                args += (
                    f.field or f.run.job, f.run.job, _mark(f.expected_ms), f.planned_ms, f.scheduler, f.run.run_id,
                    f.run.priority, f.run.envelope, f.run.due_ms, slot, 1, on_full.value,
                )  # fmt: skip
            found = await self._call("fire", *args)
            answers += map(_fired, found[::3], found[1::3], found[2::3])
        return answers

    async def move_mark(self, field: str, expected_ms: int, at_ms: int) -> bool:
        """Set a mark forward without a fire; False where it was another one meanwhile."""
        word, _ = await self._call("account", field, expected_ms, at_ms)
        return bool(word == b"ok")

    async def account(self, records: Sequence[FireRecord], expected_ms: int | None) -> Fired:
        """Record fires of one job that will not run."""
        await self.announce()
        expected, answer = expected_ms, Fired(None, expected_ms)
        for part in chunks(records):
            encoded = [msgspec.json.encode(r) for r in part]
            word, mark = await self._call("account", part[0].job, _mark(expected), part[-1].planned_ms, *encoded)
            last = int(mark) if mark else None
            if word != b"ok":
                return Fired(None, last, early=word == b"early")
            expected, answer = last, Fired(part[-1].result, last)
        return answer

    async def adopt(self, rules: Mapping[str, str], known: Mapping[str, tuple[int, str]], at_ms: int) -> dict[str, int]:
        """Take over schedules: their marks, by job. `known`: marks from elsewhere, each with its rule or ''."""
        marks: dict[str, int] = {}
        for part in chunks(list(rules)):
            args: list[Arg] = [at_ms]
            for job in part:
                args += (job, rules[job], *known.get(job, ("", "")))
            marks |= zip(part, map(int, await self._call("adopt", *args)), strict=True)
        return marks

    async def marks(self, jobs: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Mark and rule of each of these jobs that this queue knows."""
        found: dict[str, tuple[int, str]] = {}
        for part in chunks(jobs):
            pipe = self._redis.pipeline(transaction=False)
            pipe.hmget(f"{self.prefix}marks", *part)
            pipe.hmget(f"{self.prefix}rules", *part)
            marks, rules = await pipe.execute()
            found |= {
                job: (int(mark), (rule or b"").decode())
                for job, mark, rule in zip(part, marks, rules, strict=True)
                if mark
            }
        return found

    async def mark(self, job: str) -> int | None:
        """The job's last decided instant."""
        value = await self._redis.hget(f"{self.prefix}marks", job)
        return int(value) if value else None

    async def set_mark(self, job: str, at_ms: int) -> None:
        """Set the mark where there is none."""
        await self._redis.hsetnx(f"{self.prefix}marks", job, at_ms)

    async def drop_mark(self, job: str) -> None:
        """Forget the mark: the schedule is as if never seen."""
        await self._redis.hdel(f"{self.prefix}marks", job)
        await self._redis.hdel(f"{self.prefix}rules", job)

    async def move_in(self, moving: Sequence[Moving]) -> list[str]:
        """Runs arrive from another queue."""
        await self.announce()
        return await super().move_in(moving)

    async def sweep(self, now_ms: int) -> int:
        """One step of forgetting operations, and of bringing runs to their queues that were left on their way."""
        done = await super().sweep(now_ms)
        if done:
            return done
        stale = [m for m in await self.moving() if m.left_us // 1000 < now_ms - STALE_MS]
        return len(await carry(self, lambda name: StreamQueue(self._redis, self.namespace, name), stale))

    # --- out ------------------------------------------------------------------------------------------------

    async def take(self, worker: str, count: int) -> Taken:
        """Up to `count` attempts, at most BATCH."""
        epoch, paused, wake, taken = await self._call("take", worker, min(count, BATCH), token_hex(8))
        epoch = epoch.decode()
        deliveries = deliveries_of(self.name, epoch, taken)
        return Taken(deliveries, epoch, tuple(w.decode() for w in wake), bool(paused))

    async def wait(self, wake: tuple[str, ...], timeout_ms: int) -> None:
        """Sleep on the ready streams; a pause (no `wake`) is simply slept through."""
        if len(wake) != len(PLACES):
            await asyncio.sleep(timeout_ms / 1000)
            return
        streams: dict[Any, Any] = {f"{self.prefix}ready:{p}": at for p, at in zip(PLACES, wake, strict=True)}
        await self._blocking.xread(streams, count=1, block=timeout_ms)

    async def settle(self, worker: str, items: Sequence[Settlement]) -> list[Settled]:
        """End attempts. One epoch a call is sent: items of different epochs are split."""
        answers: dict[tuple[str, str], Settled] = {}  # by place and entry id: two streams may have the same id
        by_epoch: dict[str, list[Settlement]] = {}
        for item in items:
            by_epoch.setdefault(item.delivery.epoch, []).append(item)
        for epoch, same in by_epoch.items():
            for part in chunks(same):
                await self._settle(epoch, part, answers)
        return [answers[item.delivery.place, item.delivery.entry_id] for item in items]

    async def _settle(self, epoch: str, items: Sequence[Settlement], answers: dict[tuple[str, str], Settled]) -> None:
        done = [i for i in items if i.to is Settle.DONE]
        rest = [i for i in items if i.to is not Settle.DONE]
        args: list[Arg] = [epoch, len(done)]
        for i in done:
            d = i.delivery
            args += (d.place, d.entry_id, d.run_id, d.slot, i.record)
        for i in rest:
            d = i.delivery
            args += (
                d.place, d.entry_id, d.run_id, d.slot, i.record, i.to.value, i.due_ms, i.failures, i.crashes,
                i.header,
            )  # fmt: skip
        words = await self._call("settle", *args)
        for i, word in zip([*done, *rest], words, strict=True):
            answers[i.delivery.place, i.delivery.entry_id] = Settled.OK if word == b"ok" else Settled(word.decode())

    def renew(self, worker: str, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Extend leases over the lease thread's own connection."""
        if self._sync is None:
            if self._make_sync is None:
                raise RuntimeError("this queue was opened without a blocking client")
            self._sync = self._make_sync()
        by_epoch: dict[str, list[Delivery]] = {}
        for d in deliveries:
            by_epoch.setdefault(d.epoch, []).append(d)
        lost: list[Delivery] = []
        for epoch, same in by_epoch.items():
            for part in chunks(same):
                args: list[Arg] = [worker, epoch]
                for d in part:
                    args += (d.place, d.entry_id)
                lost += [part[n] for n in script("renew").sync(self._sync, [self.prefix], args)]
        return lost

    async def reap(self, lease_ms: int, max_crashes: int, *, drop_consumers: bool = False) -> int:
        """Return attempts whose lease has ended; at most BATCH a stream."""
        return int(await self._call("reap", lease_ms, max_crashes, BATCH, int(drop_consumers)))

    async def leave(self, worker: str) -> None:
        """Remove the worker's consumers. Only one with nothing pending goes: DELCONSUMER would drop its runs."""
        from redis.exceptions import ResponseError

        for place in PLACES:
            key = f"{self.prefix}ready:{place}"
            try:
                pending = await self._redis.xpending_range(key, "engine", "-", "+", 1, consumername=worker)
                if not pending:
                    await self._redis.xgroup_delconsumer(key, "engine", worker)
            except ResponseError:  # no such stream or group
                continue

    # --- steering -------------------------------------------------------------------------------------------

    async def cancel(self, run_id: str, by: str, op: Op | None = None) -> str:
        """'cancelled' (had not started), 'asked' (running) or 'unknown'."""
        answer = await self._call("cancel", by, op.id if op else "", op.expires_ms if op else 0, run_id)
        return str(answer[0].decode())

    async def bump(self, run_id: str) -> str:
        """In front of all others: 'ok', 'running' or 'unknown'."""
        return str((await self._call("bump", run_id, "front")).decode())

    async def unbump(self, run_id: str) -> str:
        """From the front back to the end of its priority: 'ok', 'running' or 'unknown'."""
        return str((await self._call("bump", run_id, "back")).decode())

    async def cancels(self) -> set[str]:
        """Running run ids whose cancellation was asked for."""
        fields = await self._redis.hkeys(f"{self.prefix}ctl")
        return {f[7:].decode() for f in fields if f.startswith(b"cancel:")}

    async def pause(self, pause: Pause, job: str = "") -> None:
        """Stop handing out runs of the queue, or of one job."""
        await self._redis.hset(f"{self.prefix}ctl", _pause_field(job), _packed_pause(pause))

    async def resume(self, job: str = "") -> bool:
        """End a pause and put parked runs back."""
        return await self._resume(job, b"")

    async def pause_instead(self, there: Pause | None, pause: Pause | None, job: str = "") -> bool:
        """Pause (None: resume) where `there` is the pause in force (None: none is); False where it is not."""
        known = msgspec.json.encode(there) if there else b""
        if pause is not None:
            return bool(await self._call("pause_instead", _pause_field(job), known, _packed_pause(pause)))
        return there is not None and await self._resume(job, known)

    async def _resume(self, job: str, known: bytes) -> bool:
        was, moved = await self._call("resume", _pause_field(job), job, BATCH, known)
        while moved == BATCH:
            _, moved = await self._call("resume", _pause_field(job), job, BATCH, known)
        return bool(was)

    async def pauses(self) -> dict[str, Pause]:
        """The pauses in force, by job; '' is the queue's own."""
        found: dict[str, Pause] = {}
        for field, value in (await self._redis.hgetall(f"{self.prefix}ctl")).items():
            key = field.decode()
            if key == "pause" or key.startswith("pausejob:"):
                pause = _read_pause(value)
                if pause.until_ms is None or pause.until_ms > now_ms():
                    found[key[9:]] = pause
        return found

    # --- looking --------------------------------------------------------------------------------------------

    async def status(self) -> QueueStatus:
        """The queue in one line."""
        return self.status_from(await self._call("status"))

    def status_from(self, answer: Sequence[Any]) -> QueueStatus:
        """Read what the status script answers (the feed sends it for many queues in one pipeline)."""
        ready, running, later, waiting, dead, outbox, oldest, workers, pause = answer
        found = _read_pause(pause) if pause else None
        if found and found.until_ms is not None and found.until_ms <= now_ms():
            found = None
        age = max(0.0, (now_ms() - int(oldest)) / 1000) if oldest else None
        return QueueStatus(self.name, self.kind, ready, running, later, waiting, dead, found, age, workers, outbox)

    async def find(self, run_id: str) -> str | None:
        """Where a run is."""
        where = await self._redis.hget(f"{self.prefix}live", run_id)
        if not where:
            dead = await self._redis.zscore(f"{self.prefix}dead", run_id)
            return None if dead is None else "dead"
        text = where.decode()
        if text[0] != "r":
            return {"l": "later", "w": "waiting", "m": "moving"}[text[0]]
        place, _, sid = text[1:].partition(":")
        from redis.exceptions import ResponseError

        try:
            pending = await self._redis.xpending_range(f"{self.prefix}ready:{place}", "engine", sid, sid, 1)
        except ResponseError:  # nothing was ever taken: no group yet
            return "ready"
        return "running" if pending else "ready"


def _mark(value: int | None) -> Arg:
    return "" if value is None else value


def _fired(word: bytes, mark: bytes, reason: bytes) -> Fired:
    last = int(mark) if mark else None
    if word in (b"conflict", b"early"):
        return Fired(None, last, early=word == b"early")
    if word in (b"skipped", b"paused"):
        return Fired(FireResult.SKIPPED, last, reason.decode("utf-8", "replace"))
    return Fired(FireResult.FIRED, last)


def _pause_field(job: str) -> str:
    return f"pausejob:{job}" if job else "pause"


def _packed_pause(pause: Pause) -> bytes:
    return b"%d " % (pause.until_ms or 0) + msgspec.json.encode(pause)


def _read_pause(value: bytes) -> Pause:
    return msgspec.json.decode(value.partition(b" ")[2], type=Pause)
