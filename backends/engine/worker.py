"""The worker: takes attempts, hands them to executors, settles how they ended.

Guarantees: an attempt in hand is leased until it is settled; what has not started when the engine stops is given back
without leaving a trace; what was running then is given back as lost without counting as a crash.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from backends.engine.capacity import SLOT, Capacity
from backends.engine.dispatch import Executors
from backends.engine.executors.base import Attempt, Ended
from backends.engine.lease import LEASE_S, LeaseKeeper
from backends.engine.outcomes import OutcomeCounts
from backends.engine.settling import Header, settle
from backends.jobs.spec import JobSpec
from backends.model import Outcome, RunningRow, now_ms
from backends.queues.base import BATCH, Delivery, Settle, Settled, Settlement
from backends.queues.lists import read_envelope
from backends.queues.streams import StreamQueue

WAIT_MS = 1_000
UNSETTLED_MOST = 4 * BATCH
"""Ended attempts that wait to be settled; above it nothing more is taken."""

log = logging.getLogger("cronsole.worker")

_header = msgspec.json.Decoder(Header)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Hand:
    """An attempt in hand."""

    __slots__ = ("delivery", "header", "queue", "spec", "taken_ms", "weight")

    def __init__(
        self, queue: StreamQueue, delivery: Delivery, spec: JobSpec | None, header: Header | None, weight: int
    ) -> None:
        self.queue = queue
        self.delivery = delivery
        self.spec = spec
        self.header = header
        self.weight = weight
        self.taken_ms = now_ms()


class Worker:
    """Runs the attempts of a set of queues on one engine."""

    def __init__(
        self,
        name: str,
        slots: int,
        executors: Executors,
        lease_s: float = LEASE_S,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`clock_ms` says when retries are due."""
        self.name = name
        self._clock = clock_ms
        self.capacity = Capacity(slots)
        self.counts = OutcomeCounts()
        self.stale = 0
        self._executors = executors
        self._specs: dict[str, JobSpec] = {}
        self._hands: dict[str, Hand] = {}
        self._ended: dict[str, list[Settlement]] = {}
        self._unsettled = 0
        self._settle_now: dict[str, asyncio.Event] = {}
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._giving_back = False
        self._cancelled: set[str] = set()
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._queues: dict[str, StreamQueue] = {}
        self.keeper = LeaseKeeper(name, self._lost_from_thread, lease_s)
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to renew leases. Call inside the loop."""
        self._loop = asyncio.get_running_loop()
        self.keeper.start()

    def set_jobs(self, specs: Mapping[str, JobSpec]) -> None:
        """Take over a job file; what is in hand goes on as it was taken."""
        self._specs = dict(specs)

    def serve(self, queue: StreamQueue, concurrency: int | None = None) -> None:
        """Serve a queue from now on; a second call changes its limit."""
        self.capacity.limit_queue(queue.name, concurrency)
        if queue.name in self._queues:
            return
        self._queues[queue.name] = queue
        self._ended[queue.name] = []
        self._settle_now[queue.name] = asyncio.Event()
        self._tasks[queue.name] = [
            asyncio.create_task(self._take_loop(queue), name=f"take {queue.name}"),
            asyncio.create_task(self._settle_loop(queue), name=f"settle {queue.name}"),
        ]

    @property
    def in_hand(self) -> int:
        """Attempts taken and not settled."""
        return len(self._hands) + self._unsettled

    def running(self, most: int = 50) -> tuple[RunningRow, ...]:
        """What is in hand, longest first."""
        hands = sorted(self._hands.values(), key=lambda h: h.taken_ms)[:most]
        return tuple(
            RunningRow(h.delivery.run_id, h.delivery.attempt, h.delivery.job, h.delivery.queue, h.taken_ms)
            for h in hands
        )

    def place_of(self, run_id: str) -> tuple[str, int] | None:
        """(key prefix of its queue, attempt) of a run that is in hand."""
        hand = self._hands.get(run_id)
        return (hand.queue.prefix, hand.delivery.attempt) if hand else None

    async def idle(self) -> None:
        """Wait until nothing is in hand."""
        while self.in_hand:
            self._room.clear()
            await self._room.wait()

    async def stop(self, grace_s: float) -> None:
        """Stop taking, finish within the grace period, give back the rest."""
        self._stopping.set()
        self._room.set()
        takers = [tasks[0] for tasks in self._tasks.values()]
        await asyncio.gather(*takers, return_exceptions=True)
        try:
            await asyncio.wait_for(self.idle(), grace_s)
        except TimeoutError:
            log.warning(
                "giving back %d unfinished runs", len(self._hands),
                extra={"action": "give_back", "runs": len(self._hands)},
            )  # fmt: skip
            self._giving_back = True
            for run_id in list(self._hands):
                self._executors.cancel(run_id)
            try:
                await asyncio.wait_for(self.idle(), 15.0)
            except TimeoutError:
                log.error("%d runs did not end", self.in_hand, extra={"action": "stop_unclean"})
        for tasks in self._tasks.values():
            tasks[1].cancel()
        self.keeper.stop()
        for queue in self._queues.values():
            try:
                await queue.leave(self.name)
            except Exception as error:
                log.warning("consumer of %s not removed: %s", queue.name, error, extra={"action": "leave_failed"})

    # --- taking ---------------------------------------------------------------------------------------------

    async def _take_loop(self, queue: StreamQueue) -> None:
        pause = 0.2
        while not self._stopping.is_set():
            want = self.capacity.room(queue.name, self._specs) if self._unsettled < UNSETTLED_MOST else 0
            if want < 1:
                self._room.clear()
                await self._room.wait()
                continue
            try:
                taken = await queue.take(self.name, want)
                if taken.deliveries:
                    self._accept(queue, taken.deliveries)
                else:
                    await self._sleep_on(queue, taken.wake)
                pause = 0.2
            except Exception as error:
                log.warning(
                    "nothing taken from %s: %s", queue.name, error, extra={"action": "take_failed", "queue": queue.name}
                )
                await self._sleep(pause)
                pause = min(pause * 2, 10.0)

    async def _sleep_on(self, queue: StreamQueue, wake: tuple[str, ...]) -> None:
        """Wait for something to become ready, or for the stop. Only this wait is ever cancelled, never a take."""
        waiting = asyncio.ensure_future(queue.wait(wake, WAIT_MS))
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not waiting.done():
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        else:
            waiting.result()

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            pass

    def _accept(self, queue: StreamQueue, deliveries: Sequence[Delivery]) -> None:
        self.keeper.add(queue, deliveries)
        capacity, specs, name = self.capacity, self._specs, queue.name
        start: list[tuple[Attempt, int]] = []
        surplus: list[Delivery] = []
        for d in deliveries:
            spec = specs.get(d.job)
            header, problem = _read(d.envelope)
            if spec is None or problem:
                hand = Hand(queue, d, None, header, 0)
                self._hands[d.run_id] = hand
                self._finish(hand, _refused(d, spec, problem))
                continue
            weight = capacity.weight(spec)
            if weight >= SLOT and capacity.free(name) < SLOT:
                surplus.append(d)  # a heavier mix than the last batches: somebody else may have room
                continue
            capacity.acquire(name, weight)
            self._hands[d.run_id] = Hand(queue, d, spec, header, weight)
            assert header is not None
            start.append((_attempt(d, spec, header), weight))
        if surplus:
            self._give_back(queue, surplus)
        if start:
            self._executors.start(start, self._on_done, self._on_back)

    # --- ending ---------------------------------------------------------------------------------------------

    def _on_done(self, ended: Sequence[tuple[Attempt, Ended]]) -> None:
        hands, measured = self._hands, self.capacity.measured
        for attempt, end in ended:
            hand = hands.get(attempt.run_id)
            if hand is None or hand.delivery.attempt != attempt.attempt:
                continue
            if end.outcome is Outcome.SUCCEEDED:
                measured(hand.delivery.job, (end.finished_us - end.started_us) / 1e6)
            elif end.outcome is Outcome.CANCELLED and self._giving_back and attempt.run_id not in self._cancelled:
                end = Ended(
                    outcome=Outcome.LOST, started_us=end.started_us, finished_us=end.finished_us,
                    error_class="Shutdown", error="its engine was stopped", blamed=False, output=end.output,
                )  # fmt: skip
            self._finish(hand, end)

    def _on_back(self, attempts: Sequence[Attempt]) -> None:
        """Not started after all: its runner was busy for longer than thought, or is gone."""
        by_queue: dict[str, list[Hand]] = {}
        for attempt in attempts:
            hand = self._hands.get(attempt.run_id)
            if hand is not None and hand.delivery.attempt == attempt.attempt:
                by_queue.setdefault(hand.queue.name, []).append(hand)
        for hands in by_queue.values():
            again: list[tuple[Attempt, int]] = []
            for hand in hands:
                assert hand.spec is not None
                assert hand.header is not None
                self.capacity.release(hand.queue.name, hand.weight)
                self.capacity.came_back(hand.spec.name)
                hand.weight = self.capacity.weight(hand.spec)
                if not self._giving_back and self.capacity.free(hand.queue.name) >= hand.weight:
                    self.capacity.acquire(hand.queue.name, hand.weight)
                    again.append((_attempt(hand.delivery, hand.spec, hand.header), hand.weight))
                else:
                    del self._hands[hand.delivery.run_id]
                    self._give_back(hand.queue, [hand.delivery])
            if again:
                self._executors.start(again, self._on_done, self._on_back)

    def _give_back(self, queue: StreamQueue, deliveries: Sequence[Delivery]) -> None:
        self._to_settle(queue.name, [Settlement(d, Settle.BACK) for d in deliveries])

    def _finish(self, hand: Hand, ended: Ended) -> None:
        del self._hands[hand.delivery.run_id]
        self._cancelled.discard(hand.delivery.run_id)
        if hand.weight:
            self.capacity.release(hand.queue.name, hand.weight)
        settlement = settle(hand.delivery, hand.spec, hand.header, ended, self.name, clock_ms=self._clock)
        self.counts.add(hand.queue.name, ended.outcome, settlement.to)
        if ended.outcome is not Outcome.SUCCEEDED:
            log.info(
                "%s of %s: %s", ended.outcome.value, hand.delivery.job, ended.error or "",
                extra={
                    "action": "attempt_end", "job": hand.delivery.job, "run_id": hand.delivery.run_id,
                    "attempt": hand.delivery.attempt, "outcome": ended.outcome.value, "to": settlement.to.value,
                },
            )  # fmt: skip
        self._to_settle(hand.queue.name, [settlement])

    def _to_settle(self, queue: str, items: Sequence[Settlement]) -> None:
        self._ended[queue] += items
        self._unsettled += len(items)
        self._settle_now[queue].set()
        self._room.set()

    async def _settle_loop(self, queue: StreamQueue) -> None:
        """Settle in batches: what ends while one batch is on its way goes with the next."""
        ended, event = self._ended[queue.name], self._settle_now[queue.name]
        pause = 0.1
        while True:
            await event.wait()
            event.clear()
            while ended:
                items = ended[:BATCH]
                try:
                    answers = await queue.settle(self.name, items)
                    pause = 0.1
                except Exception as error:
                    log.warning(
                        "%d ended attempts of %s wait to be settled: %s", len(ended), queue.name, error,
                        extra={"action": "settle_failed", "queue": queue.name},
                    )  # fmt: skip
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 5.0)
                    continue
                del ended[: len(items)]
                self._unsettled -= len(items)
                for item, answer in zip(items, answers, strict=True):
                    self.keeper.remove(item.delivery)
                    if answer is not Settled.OK:
                        self._not_ours(item.delivery, answer)
                self._room.set()

    def _not_ours(self, delivery: Delivery, answer: Settled) -> None:
        self.stale += 1
        log.warning(
            "settled too late (%s): run %s of %s", answer.value, delivery.run_id, delivery.job,
            extra={"action": f"settle_{answer.value}", "job": delivery.job, "run_id": delivery.run_id},
        )  # fmt: skip

    # --- cancelling -----------------------------------------------------------------------------------------

    def cancel(self, run_ids: set[str]) -> None:
        """An operator asked for these to end; those that are not in hand here are ignored."""
        for run_id in run_ids & self._hands.keys():
            if run_id not in self._cancelled:
                self._cancelled.add(run_id)
                self._executors.cancel(run_id)

    def _lost_from_thread(self, deliveries: list[Delivery]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._lost, deliveries)

    def _lost(self, deliveries: list[Delivery]) -> None:
        """The lease of these is gone: somebody else has the run, so what runs here must end."""
        for delivery in deliveries:
            self.keeper.remove(delivery)
            hand = self._hands.get(delivery.run_id)
            if hand is not None and hand.delivery is delivery:
                log.error(
                    "lost the lease of run %s of %s", delivery.run_id, delivery.job,
                    extra={"action": "lease_lost", "job": delivery.job, "run_id": delivery.run_id},
                )  # fmt: skip
                self._executors.cancel(delivery.run_id)


def _read(envelope: bytes) -> tuple[Header | None, str]:
    problem = "payload is not a JSON object"
    try:
        header = _header.decode(envelope)
        if bytes(header.payload)[:1] == b"{":
            return header, ""
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        problem = str(error)
    said = read_envelope(envelope)  # as an inbox says it: a letter that is retried stays in its group
    return None, said if isinstance(said, str) else problem


def _refused(delivery: Delivery, spec: JobSpec | None, problem: str) -> Ended:
    at = now_ms() * 1000
    if problem:
        return Ended(outcome=Outcome.FAILED, started_us=at, finished_us=at, error_class="BadEnvelope", error=problem)
    return Ended(
        outcome=Outcome.FAILED, started_us=at, finished_us=at, error_class="UnknownJob",
        error=f"no job is called {delivery.job[:100]!r}",
    )  # fmt: skip


def _attempt(d: Delivery, spec: JobSpec, header: Header) -> Attempt:
    return Attempt(
        run_id=d.run_id, attempt=d.attempt, job=spec, payload_raw=bytes(header.payload), queue=d.queue,
        trigger=header.trigger, scheduled_for=header.scheduled_for, timeout_s=_timeout(spec, header),
        alone=d.crashes > 0,
    )  # fmt: skip


def _timeout(spec: JobSpec, header: Header) -> float | None:
    """The envelope may shorten the job's time limit, never lengthen it."""
    asked: Any = header.timeout
    if isinstance(asked, str):
        parts = _DURATION.findall(asked)
        asked = sum(float(n) * _SECONDS[unit] for n, unit in parts) if parts else None
    if not asked or asked < 0:
        return spec.timeout_s
    return min(asked, spec.timeout_s) if spec.timeout_s else float(asked)
