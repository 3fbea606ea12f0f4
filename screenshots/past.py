"""The shop's past: every attempt and every fire up to now, from a seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from company import (
    BACKUP_FAILED,
    BANK_PAUSE_MS,
    BUSY_MS,
    DAY,
    HANDLERS,
    HOSTS,
    HOUR,
    M1,
    MINUTE,
    NAMES,
    NAMESPACE,
    NO_PHONE,
    NO_PICTURE,
    NO_SUCH_USER,
    NOW_MS,
    OUTAGE,
    PICTURES,
    PRICES_FAILED,
    SMTP_DOWN,
    SMTP_FAILED,
    SUPPLIER_DOWN_MS,
    TEMPLATES,
    TRACES,
    W1,
    W2,
    WAYS,
    Way,
)  # fmt: skip

from backends.fingerprint import fingerprint
from backends.jobs.spec import JobFile, JobSpec
from backends.model import AttemptRecord, FireRecord, FireResult, Outcome, Trigger, fire_run_id, from_ms, to_ms
from backends.schedule import parse

PRICES = (": ".join(PRICES_FAILED), fingerprint("sync_prices", PRICES_FAILED[0], ["shop.sync_prices:sync"], ""))
"""(line, group) of the error that goes on while the pictures are taken."""
OFTEN = 300
"""A job with more fires than that in a month is told of the last three days only."""


@dataclass
class Dead:
    """A run that has died: what lies in the dead letters."""

    queue: str
    job: str
    run_id: str
    envelope: bytes
    attempts: int
    error_class: str
    error: str
    group: str
    worker: str
    failed_ms: int
    record: AttemptRecord
    """Its last attempt, which is not among the others: whoever buries it hands it in."""


@dataclass
class Past:
    """All of it."""

    attempts: list[AttemptRecord] = field(default_factory=list)
    fires: list[FireRecord] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    going: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    """Job → (run id, start, engine) of what is at work now."""


class Story:
    """Makes the past, job by job."""

    def __init__(self, file: JobFile, seed: int) -> None:
        self.file, self.seed, self.past = file, seed, Past()

    def tell(self) -> Past:
        """All jobs, in the order of their names."""
        for name, spec in sorted(self.file.jobs.items()):
            self.rng = random.Random(f"{self.seed}/{name}")
            if spec.schedule:
                self._scheduled(spec)
        for name, (busy, calm, since) in HANDLERS.items():
            self.rng = random.Random(f"{self.seed}/{name}")
            self._handler(self.file.jobs[name], busy, calm, since)
        self.past.attempts.sort(key=lambda a: a.finished_us)
        self.past.dead.sort(key=lambda d: d.failed_ms)
        return self.past

    # --- jobs with a schedule ---

    def _scheduled(self, spec: JobSpec) -> None:
        schedule = parse(spec.schedule or "", spec.timezone)
        month = schedule.between(from_ms(NOW_MS - 30 * DAY), from_ms(NOW_MS))
        instants = [to_ms(at) for at in month]
        if len(instants) > OFTEN:
            instants = [at for at in instants if at > NOW_MS - 3 * DAY]
        free = 0
        holder = ""
        for at, following in zip(instants, [*instants[1:], NOW_MS], strict=True):
            if spec.queue == "billing" and at >= BANK_PAUSE_MS:
                self._fire(spec, at, FireResult.FIRED, at + 40)  # it lies in the paused queue
                continue
            decided = at + self.rng.randrange(15, 60)
            if OUTAGE[0] <= at < OUTAGE[1]:
                decided = OUTAGE[1] + 900
                if following < OUTAGE[1]:
                    reason = 'no scheduler had it then; catchup = "latest"'
                    self._fire(spec, at, FireResult.MISSED, decided, reason)
                    continue
            if at < free:
                self._fire(spec, at, FireResult.SKIPPED, decided, f"overlap: run {holder} is not finished")
                continue
            self._fire(spec, at, FireResult.FIRED, decided)
            holder = fire_run_id(NAMESPACE, spec.name, at)
            trigger = Trigger.CATCHUP if decided > at + MINUTE else Trigger.SCHEDULE
            free = self._run(spec, holder, decided + self.rng.randrange(5, 90), at, trigger)

    def _fire(self, spec: JobSpec, at: int, result: FireResult, decided: int, reason: str | None = None) -> None:
        run_id = fire_run_id(NAMESPACE, spec.name, at) if result is FireResult.FIRED else None
        scheduler = (W1, W2)[at // MINUTE % 2]
        self.past.fires.append(FireRecord(job=spec.name, planned_ms=at, result=result, decided_ms=decided,
                                          scheduler=scheduler, reason=reason, run_id=run_id))  # fmt: skip

    def _run(self, spec: JobSpec, run_id: str, start: int, planned: int, trigger: Trigger) -> int:
        """All attempts of a run; when its job is free again."""
        way, queued = WAYS[spec.name], start - 12
        for attempt in range(1, spec.attempts + 1):
            error, says, takes = self._how(spec.name, way, planned, attempt)
            end = start + int(takes * 1000)
            worker = (W1, W2)[self.rng.randrange(2)]
            if end > NOW_MS:
                self.past.going[spec.name] = (run_id, start, worker)
                return end
            dead = bool(error[0]) and attempt == spec.attempts
            self._attempt(spec, run_id, attempt, queued, start, end, error, says, worker, trigger, planned)
            if not error[0]:
                break
            if dead:
                envelope = self._envelope(spec.name, run_id, queued, {}, trigger, planned)
                self._bury(spec, run_id, envelope, attempt, error, worker, end)
            queued = end + int(spec.backoff.delay_s(attempt, self.rng.random) * 1000)
            start = queued + self.rng.randrange(4, 40)
        return end

    def _how(self, job: str, way: Way, planned: int, attempt: int) -> tuple[tuple[str, str], str, float]:
        """(error, output, seconds) of an attempt."""
        takes = way.takes_s * max(0.3, self.rng.gauss(1, way.varies))
        if job == "nightly_backup" and planned > NOW_MS - 8 * HOUR:
            return ("Exit1", "exit code 1"), BACKUP_FAILED, (412.0, 397.0, 405.0)[attempt - 1]
        if job == "sync_prices" and planned >= SUPPLIER_DOWN_MS:
            return PRICES_FAILED, TRACES[job], 2.1 + self.rng.random()
        if way.fails and self.rng.random() < way.fails:
            return way.error, f"{way.error[0]}: {way.error[1]}\n", takes / 3
        day = datetime.fromtimestamp(planned / 1000).strftime("%Y-%m-%d")
        old = datetime.fromtimestamp((planned - 14 * DAY) / 1000).strftime("%Y-%m-%d")
        return ("", ""), way.says.replace("{day}", day).replace("{old}", old), takes

    # --- handlers ---

    def _handler(self, spec: JobSpec, busy: float, calm: float, since: int) -> None:
        for number, at in enumerate(self._instants(busy, calm, since)):
            run_id = fire_run_id(NAMESPACE, f"{spec.name}#{number}", at)
            payload = self.payload(spec.name, number, self.rng)
            error = self._trouble(spec.name, payload, at)
            start, way = at + self.rng.randrange(20, 900), WAYS[spec.name]
            worker = M1 if spec.queue == "media" else (W1, W2)[self.rng.randrange(2)]
            attempts = spec.attempts if error[0] else 1
            for attempt in range(1, attempts + 1):
                takes = way.takes_s * max(0.3, self.rng.gauss(1, way.varies))
                end = start + int(takes * 1000)
                if end > NOW_MS:
                    break
                trace = TRACES.get(spec.name, "").replace("{error}", ": ".join(error)) if error[0] else way.says
                self._attempt(spec, run_id, attempt, start - 15, start, end, error, trace, worker, Trigger.ENQUEUE,
                              None, str(at))  # fmt: skip
                if error[0] and attempt == attempts:
                    envelope = self._envelope(spec.name, str(at), at, payload, None, None)
                    self._bury(spec, run_id, envelope, attempt, error, worker, end)
                start = end + 10_000 * 2**attempt

    def _instants(self, busy: float, calm: float, since: int) -> Iterator[int]:
        at = NOW_MS - since
        while at < NOW_MS - 500:
            at += int(self.rng.expovariate(busy if at > NOW_MS - BUSY_MS else calm) * MINUTE)
            if not OUTAGE[0] <= at < OUTAGE[1] and at < NOW_MS - 500:
                yield at

    @staticmethod
    def payload(job: str, number: int, rng: random.Random) -> dict[str, object]:
        """What a producer sent."""
        order = 480_000 + number * 3
        to = f"{rng.choice(NAMES)}@{rng.choice(HOSTS)}"
        if job == "send_email":
            template = rng.choice(TEMPLATES)
            return {"to": to, "template": template, "language": rng.choice(("de", "de", "en", "fr")),
                    "order": {"number": f"N-{order}", "total": round(rng.uniform(19, 900), 2), "currency": "EUR"},
                    "attachments": ["invoice.pdf"] if template == "invoice" else []}  # fmt: skip
        if job == "send_push":
            return {"token": f"{rng.getrandbits(64):016x}", "title": "Your parcel is on its way", "order": f"N-{order}"}
        picture = f"{rng.choice(PICTURES)}-{rng.randrange(1, 40):02d}"
        if job == "resize_image":
            return {"source": f"uploads/{picture}.webp", "sizes": [96, 240, 480, 960, 1440, 1920]}
        return {"source": f"uploads/{picture}.mov", "preset": "phone-720p"}

    def _trouble(self, job: str, payload: dict[str, object], at: int) -> tuple[str, str]:
        luck = self.rng.random()
        if job == "send_email" and SMTP_DOWN[0] <= at < SMTP_DOWN[1]:
            return SMTP_FAILED
        if job == "send_email" and luck < 0.004:
            return NO_SUCH_USER[0], NO_SUCH_USER[1].format(to=payload["to"])
        if job == "resize_image" and luck < 0.01:
            return NO_PICTURE[0], NO_PICTURE[1].format(picture=str(payload["source"]).partition("/")[2][:-5])
        if job == "send_push" and luck < 0.012:
            return NO_PHONE
        return "", ""

    # --- records ---

    def _attempt(
        self, spec: JobSpec, run_id: str, attempt: int, queued: int, start: int, end: int, error: tuple[str, str],
        output: str, worker: str, trigger: Trigger, planned: int | None, producer: str | None = None,
    ) -> None:  # fmt: skip
        kind = error[0]
        failed = Outcome.TIMED_OUT if kind == "TimedOut" else Outcome.FAILED
        command = spec.kind == "command"
        self.past.attempts.append(
            AttemptRecord(
                run_id=run_id, attempt=attempt, job=spec.name, queue=spec.queue,
                outcome=failed if kind else Outcome.SUCCEEDED, finished_us=end * 1000,
                final=not kind or attempt == spec.attempts, started_us=start * 1000, enqueued_ms=queued,
                scheduled_ms=planned, trigger=trigger.value, worker=worker,
                exit_code=(1 if kind else 0) if command else None, error_class=kind or None,
                error=self._line(spec, error) if kind else None,
                fingerprint=self._group(spec, error) if kind else None, output=output or None, producer_id=producer,
                max_rss_kb=int(WAYS[spec.name].rss_mb * 1024 * self.rng.uniform(0.95, 1.05)),
                cpu_ms=int((end - start) * self.rng.uniform(0.2, 0.6)),
            )
        )  # fmt: skip

    def _bury(
        self, spec: JobSpec, run_id: str, envelope: bytes, attempts: int, error: tuple[str, str], worker: str,
        end: int,
    ) -> None:  # fmt: skip
        self.past.dead.append(Dead(spec.queue, spec.name, run_id, envelope, attempts, error[0], self._line(spec, error),
                                   self._group(spec, error), worker, end, self.past.attempts.pop()))  # fmt: skip

    @staticmethod
    def _line(spec: JobSpec, error: tuple[str, str]) -> str:
        return ": ".join(error) if spec.kind == "task" else error[1]

    @staticmethod
    def _group(spec: JobSpec, error: tuple[str, str]) -> str:
        frames = [f"shop.{spec.name}:sync"] if spec.kind == "task" else []
        return fingerprint(spec.name, error[0], frames, error[1])

    @staticmethod
    def _envelope(
        job: str, number: str, at: int, payload: dict[str, object], trigger: Trigger | None, planned: int | None
    ) -> bytes:
        created = from_ms(at).isoformat(timespec="milliseconds")
        fields: dict[str, object] = {"id": number, "type": job, "payload": payload, "createdAt": created, "attempts": 0}
        if trigger is not None and planned is not None:
            fields |= {"trigger": trigger.value, "scheduledFor": from_ms(planned).isoformat()}
        return msgspec.json.encode(fields)
