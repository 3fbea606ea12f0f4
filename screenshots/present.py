"""The shop as it is now, put into the embedded servers through the same doors that engines and operators use."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from clock import Clock
from company import (
    AUDIT,
    ENGINES,
    M1,
    MINUTE,
    NAMESPACE,
    NOW_MS,
    PAUSE_BILLING,
    PURGE_PUSHES,
    QUEUED,
    TALK,
    VIDEO,
    VIDEO_SINCE_S,
    W1,
    WAYS,
)  # fmt: skip
from past import PRICES, Dead, Past, Story

from backends.connect import Servers
from backends.history import History, migrate
from backends.history.house import keep_house
from backends.history.recorder import Recorder
from backends.history.store import store
from backends.jobs.load import load
from backends.jobs.publish import publish_jobs
from backends.model import (
    AttemptRecord,
    EngineStatus,
    Outcome,
    RunningRow,
    fire_run_id,
    from_ms,
    to_ms,
)  # fmt: skip
from backends.ops import Ops, Selection, acts, kinds, steering
from backends.ops.kinds import Marked
from backends.queues.base import Delivery, NewRun, OnFull, Settle, Settlement
from backends.queues.dead_index import DeadHeader
from backends.queues.live import beat, publish_event
from backends.queues.streams import StreamQueue
from backends.schedule import parse

RETRIED = 40
"""So many of the letters of the mail server's bad quarter of an hour were put back already."""
SLOTS = {"mail": 3, "media": 4}


def steady_receipt(ms: int | None = None, made: Callable[..., str] = kinds.new_receipt) -> str:
    """A receipt whose random part is always the same."""
    return made(ms)[:-3] + "k7m"


acts.new_receipt = steady_receipt


class Shop:
    """Two servers full of the shop, and the little engine that keeps it going while the pictures are taken."""

    def __init__(self, servers: Servers, clock: Clock, jobs: Path, seed: int) -> None:
        self.servers, self.clock = servers, clock
        self.file = load(jobs)
        self.rng = random.Random(seed)
        self.story = Story(self.file, seed)
        self.queues = {name: StreamQueue(servers.redis, NAMESPACE, name) for name in sorted(self.file.queues)}
        self.hands: dict[str, tuple[Delivery, str, int, int]] = {}
        """Run id → (what is in hand, engine, start, end)."""
        self.sent = 0
        self._stepped = NOW_MS
        self._said: dict[str, int] = {}

    async def fill(self, ops: Ops) -> None:
        """History, dead letters, the audit, and what lies in the queues."""
        past = self.story.tell()
        pool = await self.servers.pool()
        await migrate(pool)
        await keep_house(pool, 40, 40, from_ms(NOW_MS).date())
        self.history = History(pool)
        await self.history.publish({n: msgspec.json.encode(s.to_row()) for n, s in self.file.jobs.items()}, "git")
        await publish_jobs(self.servers.redis, NAMESPACE, self.file)
        retried = [d.record for d in past.dead if d.job == "send_email"][:RETRIED]
        async with pool.connection() as connection:
            await store(connection, [*past.attempts, *retried], past.fires)
        for queue in self.queues.values():
            await queue.announce()
        self.recorder = Recorder(self.servers.redis, pool, self._out_keys, W1)
        await self._bury([d for d in past.dead if d.record not in retried])
        for ago, who, verb, target, matched, changed in AUDIT:
            await self._at(NOW_MS - ago)
            acts.whoami = steering.whoami = lambda name=who: name
            if verb == PAUSE_BILLING:
                await ops.pause("queue:billing", str(target["note"]))
            elif verb == PURGE_PUSHES:
                letters = (await ops.dead_list(200, None, Selection(job="send_push"))).items[-matched:]
                await ops.dead_purge(Marked(tuple((d.queue, d.id, d.sequence) for d in letters)))
            else:
                await self.history.write_action(who, verb, target, matched, changed, at_ms=NOW_MS - ago)
        await self._bills()
        await self._at_work(past)
        await self._at(NOW_MS)
        await self.beat()
        while await self.recorder.drain_once():
            pass

    async def _at(self, ms: int) -> None:
        """Set the clock; the server may be just about to run a command by the time it read before."""
        self.clock.set(ms)
        while True:
            seconds, micros = await self.servers.redis.time()
            if seconds * 1000 + micros // 1000 == ms:
                return

    async def _out_keys(self) -> Sequence[str]:
        return [f"{queue.prefix}out" for queue in self.queues.values()]

    async def _bury(self, letters: Sequence[Dead]) -> None:
        for d in letters:
            queue = self.queues[d.queue]
            await self._at(d.failed_ms)
            await queue.enqueue([NewRun(d.run_id, d.job, d.envelope)])
            (delivery,) = (await queue.take(d.worker, 1)).deliveries
            header = DeadHeader(job=d.job, attempts=d.attempts, error_class=d.error_class, error=d.error,
                                failed_ms=d.failed_ms, group=d.group, worker=d.worker)  # fmt: skip
            record, head = msgspec.json.encode(d.record), msgspec.json.encode(header)
            await queue.settle(d.worker, [Settlement(delivery, Settle.DEAD, record, header=head)])

    async def _bills(self) -> None:
        billing = self.queues["billing"]
        hour = NOW_MS // (60 * MINUTE) * 60 * MINUTE
        for job in ("dunning", "settle_payments"):
            await self._at(hour + 40)
            await billing.enqueue([self._run(job, fire_run_id(NAMESPACE, job, hour), hour)])

    async def _at_work(self, past: Past) -> None:
        """What is running, what waits for it, what is due later."""
        begun = NOW_MS - VIDEO_SINCE_S * 1000
        video = fire_run_id(NAMESPACE, "video", begun)
        await self._at(begun)
        await self._start("media", self._sent("transcode_video", video), M1, begun, NOW_MS + 10 * MINUTE)
        log = f"{self.queues['media'].prefix}log:{video}"
        for after, text in VIDEO:
            if begun + after * 1000 < NOW_MS + 60_000:
                await self.servers.redis.xadd(log, {"d": text, "a": 1}, id=f"{begun + after * 1000}-0")
        for job, (run_id, start, engine) in sorted(past.going.items(), key=lambda item: item[1][1]):
            await self._at(start)
            run, end = self._run(job, run_id, start // MINUTE * MINUTE), start + int(WAYS[job].takes_s * 1000)
            await self._start(self.file.jobs[job].queue, run, engine, start, end)
        await self._at(NOW_MS - 50_000)
        feed = self._sent("product_feed", fire_run_id(NAMESPACE, "by hand", NOW_MS))
        await self.queues["search"].enqueue([NewRun(feed.run_id, feed.job, feed.envelope, slot="job:product_feed")])
        retries = [
            NewRun(run.run_id, run.job, run.envelope, due_ms=NOW_MS + 15_000 + n * 21_000)
            for n, run in enumerate(self._mails(7))
        ]
        await self.queues["mail"].enqueue(retries)
        for queue, depth in QUEUED.items():
            for n in range(depth):
                await self._at(NOW_MS - (depth - n) * (170 if queue == "mail" else 5_200))
                job = "resize_image" if queue == "media" else "send_email"
                await self.queues[queue].enqueue([self._sent(job)])

    async def _start(self, queue: str, run: NewRun, engine: str, start: int, end: int) -> None:
        await self.queues[queue].enqueue([run])
        (delivery,) = (await self.queues[queue].take(engine, 1)).deliveries
        self.hands[run.run_id] = (delivery, engine, start, end)

    # --- runs ---

    def _run(self, job: str, run_id: str, planned: int) -> NewRun:
        envelope = msgspec.json.encode({
            "id": run_id, "type": job, "payload": {}, "createdAt": from_ms(planned).isoformat(), "attempts": 0,
            "trigger": "schedule", "scheduledFor": from_ms(planned).isoformat(),
        })  # fmt: skip
        return NewRun(run_id, job, envelope, slot=f"job:{job}", on_full=OnFull.SKIP)

    def _sent(self, job: str, run_id: str = "") -> NewRun:
        self.sent += 1
        now = self.clock.ms
        envelope = msgspec.json.encode({
            "id": str(now), "type": job, "payload": self.story.payload(job, 30_000 + self.sent, self.rng),
            "createdAt": from_ms(now).isoformat(timespec="milliseconds"), "attempts": 0,
        })  # fmt: skip
        return NewRun(run_id or fire_run_id(NAMESPACE, f"{job}#now{self.sent}", now), job, envelope)

    def _mails(self, count: int) -> list[NewRun]:
        return [self._sent("send_email" if self.rng.random() < 0.7 else "send_push") for _ in range(count)]

    # --- time passes ---

    async def step(self, to_ms_: int, mails: int) -> None:
        """Go on to that moment: what is due ends, fires and is taken; so many mails come in."""
        before, now = self._stepped, to_ms_
        self._stepped = now
        if not self.clock.runs:
            await self._at(now)
        await self._talk(now)
        await self._end(now)
        for queue in self.queues.values():
            await queue.promote()
        for name, spec in self.file.jobs.items():
            if spec.schedule:
                for at in parse(spec.schedule, spec.timezone).between(from_ms(before + 1), from_ms(now + 1)):
                    await self.queues[spec.queue].enqueue(
                        [self._run(name, fire_run_id(NAMESPACE, name, to_ms(at)), to_ms(at))]
                    )
        await self.queues["mail"].enqueue(self._mails(mails))
        if now // 1000 % 8 == 0:
            await self.queues["media"].enqueue([self._sent("resize_image")])
        for engine, *_, queues in ENGINES:
            for queue in queues:
                busy = sum(d.queue == queue and e == engine for d, e, _, _ in self.hands.values())
                room = SLOTS.get(queue, 4) - busy
                for d in (await self.queues[queue].take(engine, room)).deliveries if room > 0 else ():
                    takes = WAYS[d.job].takes_s * max(0.3, self.rng.gauss(1, WAYS[d.job].varies))
                    takes = {"sync_prices": 2.4, "warm_cache": TALK[-1][0] + 0.4}.get(d.job, takes)
                    self.hands[d.run_id] = (d, engine, now, now + int(takes * 1000))
        await self.beat()
        while await self.recorder.drain_once():
            pass

    async def _talk(self, now: int) -> None:
        """What runs of `warm_cache` print."""
        for run_id, (d, _, start, _) in self.hands.items():
            if d.job == "warm_cache":
                due = [text for after, text in TALK if start + after * 1000 <= now]
                for text in due[self._said.get(run_id, 0) :]:
                    await self.servers.redis.xadd(
                        f"{self.queues[d.queue].prefix}log:{run_id}", {"d": text, "a": d.attempt}
                    )
                self._said[run_id] = len(due)

    async def _end(self, now: int) -> None:
        ended: dict[str, int] = {}
        for run_id, (d, engine, start, end) in list(self.hands.items()):
            if end > now:
                continue
            del self.hands[run_id]
            spec = self.file.jobs[d.job]
            wrong = d.job == "sync_prices"
            last = d.attempt >= spec.attempts
            line, group = PRICES if wrong else ("", "")
            record = AttemptRecord(
                run_id=run_id, attempt=d.attempt, job=d.job, queue=d.queue, started_us=start * 1000,
                outcome=Outcome.FAILED if wrong else Outcome.SUCCEEDED, finished_us=end * 1000, enqueued_ms=d.ready_ms,
                trigger="schedule" if spec.schedule else "enqueue", worker=engine, final=not wrong or last,
                error=line or None, error_class=line.partition(":")[0] or None, fingerprint=group or None,
                exit_code=0 if spec.kind == "command" else None,
                output="".join(text for _, text in TALK) if d.job == "warm_cache" else None,
            )  # fmt: skip
            encoded = msgspec.json.encode(record)
            if not wrong:
                item = Settlement(d, Settle.DONE, encoded)
            elif not last:
                item = Settlement(
                    d, Settle.RETRY, encoded, due_ms=now + 10_000 * 2 ** (d.attempt - 1), failures=d.attempt
                )
            else:
                header = DeadHeader(job=d.job, attempts=d.attempt, error_class="ConnectionError", error=line,
                                    failed_ms=end, group=group, slot=d.slot, worker=engine)  # fmt: skip
                item = Settlement(d, Settle.DEAD, encoded, header=msgspec.json.encode(header))
            await self.queues[d.queue].settle(engine, [item])
            ended[d.queue] = ended.get(d.queue, 0) + 1
        for queue, n in sorted(ended.items()):
            await publish_event(self.servers.redis, NAMESPACE, queue, {"succeeded": n})

    async def beat(self) -> None:
        """The heartbeats of all engines."""
        now = self.clock.ms
        for id_, host, pid, version, up, slots, rss, lag, queues in ENGINES:
            mine = [(d, start) for d, engine, start, _ in self.hands.values() if engine == id_]
            rows = tuple(RunningRow(d.run_id, d.attempt, d.job, d.queue, start) for d, start in mine)
            await beat(self.servers.redis, NAMESPACE, EngineStatus(
                id_, host, pid, version, now - up, now, slots, min(slots, len(mine)), queues, rows, rss, lag,
            ))  # fmt: skip
