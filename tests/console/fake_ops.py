"""An in-memory stand-in for Ops with seeded data and a given clock; some of it is hostile on purpose."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from backends.errors import BadInputError, UnreachableError
from backends.model import (
    DeadLetter,
    EngineStatus,
    JobStatus,
    LastRun,
    LiveEvent,
    Page,
    Pause,
    PlannedFire,
    QueueStatus,
    RunningRow,
    RunRow,
    ServerHealth,
    fire_run_id,
    from_ms,
    new_run_id,
    to_ms,
)
from backends.overview import HistoryOverview, Overview
from backends.queues.live import ENGINE_GONE_MS
from backends.schedule import parse
from tests.console.fake_acts import FakeActs
from tests.console.fake_pages import FakePages, either_way
from tests.console.fake_queues import FakeQueues
from tests.console.fake_timeline import FakeTimeline

VALKEY, POSTGRES = "Valkey 9.1.0", "PostgreSQL 18.1"
T0 = 1_795_473_790_000
"""2026-11-23 22:43:10 UTC."""
HOSTILE = (
    "\x1b]2;PWNED\x07\x1b[2J\x1b[31m\x9b31m[@click=app.quit]x[/] [red]r[/red] [/nope] "
    "\u202egnp.exe\u200b\x00\r\n日本語👨‍👩‍👧 Z" + "\u0301" * 30
)
JOBS = (
    # name, schedule, every s, takes s, queue, kind, how it goes, what for
    ("backup_history", "*/15 * * * *", 900, 42, "default", "command", "succeeded", "pg_dump of the history database"),
    ("cleanup_temp", "*/5 * * * *", 300, 4, "default", "command", "succeeded", "Delete old temporary files"),
    ("disk_report", "*/10 * * * *", 600, 9, "default", "command", "succeeded", "Disk usage of /srv by directory"),
    ("flaky_import", "*/10 * * * *", 600, 25, "default", "command", "flaky", "Import rates; fails twice, then works"),
    ("health_ping", "* * * * *", 60, 0.3, "http", "http", "succeeded", "GET /health of the web server"),
    ("nightly_invoices", "30 2 * * *", 86400, 1200, "billing", "task", "succeeded", "Make and mail the invoices"),
    ("send_email", None, 20, 0.12, "mail", "task", "mostly", "Handler of the e-mail queue"),
    ("slow_export", "*/2 * * * *", 120, 290, "billing", "task", "overlap", "Export that takes longer than its period"),
    ("sync_prices", "*/3 * * * *", 180, 31, "default", "task", "failed", "Prices from the supplier, who is down"),
)  # fmt: skip


def _page(seed: int, now: int) -> tuple[list[RunRow], list[PlannedFire]]:
    rng = random.Random(seed)
    runs: list[RunRow] = []
    fires: list[PlannedFire] = []
    for name, schedule, every, takes, queue, _, how, _ in JOBS:
        period = every * 1000
        first = (now // period + 1) * period
        if schedule and name != "nightly_invoices":
            fires += [PlannedFire(name, first + i * period) for i in range(int(4 * 3600 / every))]
        if name == "nightly_invoices":
            fires.append(PlannedFire(name, now // 86_400_000 * 86_400_000 + 26 * 3_600_000 + 1_800_000))
            continue
        for n in range(3_600_000 // period, -1, -1):
            at = first - period - n * period + (rng.randrange(period) if not schedule else 0)
            attempts = 3 if how in ("flaky", "failed") else 1
            for attempt in range(1, attempts + 1):
                took = takes * 1000 * rng.uniform(0.7, 1.3)
                start = at + int((attempt - 1) * (takes * 1.6 * 1000 + 4000))
                outcome = "succeeded"
                if how == "failed" or (how == "flaky" and attempt < 3):
                    outcome = "timed_out" if how == "failed" and n % 7 == 3 else "failed"
                if how == "mostly" and rng.random() < 0.03:
                    outcome = "failed"
                if how == "overlap" and n % 3:
                    outcome, took = "skipped", 0
                if start + took > now or start < now - 3_600_000:
                    continue
                error = {
                    "failed": "ConnectionError: connection refused by prices.example.net:443",
                    "timed_out": "no end within 40 s; process group terminated",
                    "skipped": "the run of 22:40:00 is not finished",
                }.get(outcome)
                runs.append(
                    RunRow(
                        fire_run_id("fake", name, at), attempt, name, queue, outcome,
                        "schedule" if schedule else "enqueue",
                        from_ms(at) if schedule else None, from_ms(start), from_ms(start + took), took,
                        "web-1:4711", 1 if outcome == "failed" else None, error,
                    )
                )  # fmt: skip
    return sorted(runs, key=lambda r: r.finished_at or from_ms(0), reverse=True), sorted(fires, key=lambda f: f.at_ms)


class FakeOps(FakeActs, FakePages, FakeQueues, FakeTimeline):
    """Answers like Ops. `redis_error` and `postgres_error` make a server unreachable; `calls` notes the actions."""

    def __init__(
        self, clock: Callable[[], int] = lambda: T0, *, seed: int = 7, hostile: bool = False, read_only: bool = False
    ) -> None:
        self.clock = clock
        self.context_name = "prod-eu" if not hostile else HOSTILE
        self.read_only = read_only
        self.redis_error = self.postgres_error = ""
        self.calls: list[tuple[str, Any]] = []
        self.paused: dict[str, Pause] = {}
        self.silence: dict[str, int] = {}
        """Engine → milliseconds since it was heard of."""
        self._rng = random.Random(seed)
        self._born = clock()
        self.ended, self.fires = _page(seed, self._born)
        self.schedules = {name: parse(schedule, "Europe/Berlin") for name, schedule, *_ in JOBS if schedule}
        self.dead = [self._dead(i) for i in range(37)]
        self.depth = 0
        self._hostile, self._empty = hostile, False
        self.make_acts()
        self.make_pages(HOSTILE if hostile else "")
        self.make_queues(JOBS, HOSTILE if hostile else "")
        self.make_timeline(HOSTILE if hostile else "")
        if hostile:
            self.schedules[HOSTILE] = parse("*/7 * * * *")
            self.dead.insert(0, replace(self.dead[0], id=new_run_id(self._born), job=HOSTILE, queue=HOSTILE,
                                        error=HOSTILE,
                                        envelope=HOSTILE.encode() + b"\xff\xfe", sequence=1000))  # fmt: skip
            self.ended.insert(0, replace(self.ended[0], job=HOSTILE, error=HOSTILE, worker=HOSTILE, queue=HOSTILE,
                                        run_id=new_run_id(self._born), outcome=HOSTILE, trigger=HOSTILE))  # fmt: skip

    def make_empty(self) -> None:
        """As on the first day: nothing was ever declared, ran or died."""
        self._empty = True
        self.ended, self.fires, self.dead, self.schedules = [], [], [], {}
        self.acts = []

    def _dead(self, i: int) -> DeadLetter:
        rng = random.Random(i)
        name, queue, error = (
            ("sync_prices", "default", "ConnectionError: connection refused by prices.example.net:443"),
            ("send_email", "mail", "SMTPRecipientsRefused: 550 5.1.1 no such user <kunde@example.org>"),
            ("send_email", "mail", "SMTPServerDisconnected: connection unexpectedly closed"),
            ("always_fails", "default", "exit 3: cannot open /mnt/archive: no such file or directory"),
        )[min(rng.randrange(7), 3)]
        at = self._born - i * 171_000 - rng.randrange(90_000)
        body = {"id": str(at), "type": name, "payload": {"to": "kunde@example.org", "template": "receipt", "n": i},
                "createdAt": from_ms(at).isoformat(), "attempts": 3}  # fmt: skip
        return DeadLetter(fire_run_id("dead", name, at), queue, name, 3, error, error.split(":")[0], from_ms(at),
                          f"{len(error):016x}", 1000 - i, json.dumps(body).encode(), "web-1:4711")  # fmt: skip

    def _queues(self) -> tuple[QueueStatus, ...]:
        ripple = (0, 3, 9, 31, 84, 140, 96, 41, 12, 4, 1, 0)[self.clock() // 2000 % 12]
        dead = {name: sum(d.queue == name for d in self.dead) for name in ("default", "mail")}
        return tuple(
            replace(q, paused=self.paused.get(f"queue:{q.name}"))
            for q in (
                QueueStatus("billing", ready=0, running=1, workers=2),
                QueueStatus("default", ready=2, running=1, later=3, dead=dead["default"], oldest_ready_seconds=0.4),
                QueueStatus("http", workers=2),
                QueueStatus("mail", ready=ripple + self.depth, running=2 if ripple else 0, later=1, dead=dead["mail"],
                            oldest_ready_seconds=3.0, outbox=ripple // 9, inbox=ripple * 4),
            )
        )  # fmt: skip

    async def answers(self) -> None:
        """Redis does, unless it can't be reached."""
        if self.redis_error:
            raise UnreachableError(self.redis_error)

    async def drop_connections(self) -> None:
        self.calls.append(("drop_connections", None))

    async def overview(self) -> Overview:
        """The live part."""
        now = self.clock()
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        running = (
            RunningRow(fire_run_id("fake", "a", self._born), 1, "slow_export", "billing", self._born - 190_000),
            RunningRow(fire_run_id("fake", "b", self._born), 3, "sync_prices", "default", self._born - 8_000),
        )
        engines = (
            EngineStatus("web-1:4711", "web-1", 4711, "0.1.0", now - 86_400_000, now, 16, 2,
                         queues=("billing", "default", "mail"), running=running),
            EngineStatus("web-2:991", "web-2", 991, "0.1.0", now - 80_000_000, now, 16, 1, queues=("billing", "mail")),
        )  # fmt: skip
        last: dict[str, LastRun] = (await self._last()) if not self.postgres_error else {}
        jobs = tuple(
            JobStatus(
                name, schedule, "Europe/Berlin", queue, kind, what, self.paused.get(f"job:{name}"),
                next((from_ms(f.at_ms) for f in self.fires if f.job == name and f.at_ms > now), None), last.get(name),
                queue_paused=self.paused.get(f"queue:{queue}"),
            )
            for name, schedule, _, _, queue, kind, _, what in JOBS
        )  # fmt: skip
        queues = self._queues()
        if self._hostile:
            pause = Pause(HOSTILE, HOSTILE, now)
            jobs = (JobStatus(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, pause, None,
                              LastRun(HOSTILE, HOSTILE, None, 1.0)), *jobs)  # fmt: skip
            queues = (replace(queues[0], name=HOSTILE, kind=HOSTILE, paused=pause), *queues)
            row = RunningRow(HOSTILE, 1, HOSTILE, HOSTILE, now - 9_000)
            engines = (replace(engines[0], id=HOSTILE, host=HOSTILE, running=(row, *running)), *engines[1:])
        if self._empty:
            queues, engines, jobs = (), (), ()
        engines = tuple(
            replace(e, silent_ms=ms, beat_ms=now - ms) if (ms := self.silence.get(e.id, 0)) else e for e in engines
        )
        gone = tuple(e for e in engines if e.silent_ms >= ENGINE_GONE_MS)
        engines = tuple(e for e in engines if e not in gone)
        health = ServerHealth(True, HOSTILE if self._hostile else VALKEY, 0.3, now)
        return Overview(now, health, engines, gone, queues, jobs,
                        self.schedules, tuple(self.dead[:50]), len(self.dead),
                        () if self._empty else (LiveEvent(now, "mail", {"succeeded": 3}),))  # fmt: skip

    async def _last(self) -> dict[str, LastRun]:
        last: dict[str, LastRun] = {}
        for r in self.ended:
            last.setdefault(r.job, LastRun(r.run_id, r.outcome, r.started_at, r.duration_ms))
        return last

    async def history_overview(self) -> HistoryOverview:
        """The recorded part."""
        if self.postgres_error:
            raise UnreachableError(self.postgres_error)
        now = self.clock()
        newest = tuple([r for r in self.ended[:100] if r.run_id not in self.waits])
        return HistoryOverview(now, ServerHealth(True, POSTGRES, 1.2, now), newest,
                               tuple(r for r in self.ended if r.finished_at and now - to_ms(r.finished_at) < 3_600_000),
                               await self._last())  # fmt: skip

    async def dead_show(self, letter_id: str, /) -> DeadLetter:
        """One dead letter."""
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        for letter in self.dead:
            if letter.id == letter_id:
                return letter
        raise BadInputError("no such dead letter", "it may have been retried")

    async def runs(
        self, limit: int = 50, cursor: str | None = None, *, job: str | None = None, queue: str | None = None,
        outcomes: Sequence[str] = (), since: datetime | None = None, oldest: bool = False,
    ) -> Page[RunRow]:  # fmt: skip
        """A page of the history; the cursor names a run, so that new ones change none."""
        if self.postgres_error:
            raise UnreachableError(self.postgres_error)
        found = [
            r for r in self.ended
            if (job in (None, r.job)) and (queue in (None, r.queue)) and (not outcomes or r.outcome in outcomes)
            and (since is None or (r.finished_at or since) >= since)
        ]  # fmt: skip
        return either_way(found, limit, cursor, oldest)


def opener(ops: FakeOps) -> Callable[[], Any]:
    """What `ConsoleApp` takes: opens at once."""

    @asynccontextmanager
    async def open_ops() -> AsyncIterator[FakeOps]:
        yield ops

    return open_ops
