"""The part of FakeOps that the screens of queues and jobs read."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from backends.errors import UnreachableError
from backends.forecast import Forecast, PlannedJob, forecast
from backends.history.stats import JobFire, JobStats
from backends.jobs.spec import JobSpec
from backends.model import Overlap, Page, QueueStatus, RunRow, from_ms, new_run_id
from backends.ops.queueing import QueueFlow
from backends.overview import Overview
from backends.queues.peek import QueuedRun
from tests.console.fake_pages import either_way


class FakeQueues:
    """Needs `clock`, `ended`, `redis_error` and `postgres_error`, which FakeOps has."""

    clock: Callable[[], int]
    ended: list[RunRow]
    redis_error: str
    postgres_error: str
    lying: dict[tuple[str, str], list[QueuedRun]]
    """(queue, state) → what lies there."""
    specs_of: dict[str, JobSpec]
    fires_of: dict[str, list[JobFire]]
    payloads: list[dict[str, Any] | None]
    """Of each trigger."""
    stats_asked: list[tuple[str, ...]]

    def make_queues(self, jobs: Sequence[Sequence[Any]], hostile: str = "") -> None:
        """What lies in the queues, and what the jobs are."""
        now, rng = self.clock(), random.Random(3)
        self.payloads, self.stats_asked = [], []
        self.specs_of = {
            name: JobSpec(
                name=name, kind=kind, schedule=schedule, timezone="Europe/Berlin", queue=queue, description=what,
                command=f"/srv/app/bin/{name} --quiet" if kind == "command" else None,
                payload={"to": "kunde@example.org", "n": 3} if name == "send_email" else {},
            )
            for name, schedule, _, _, queue, kind, _, what in jobs
        }  # fmt: skip
        self.fires_of = {
            name: [
                JobFire(from_ms(now // 60_000 * 60_000 - n * every * 1000), "skipped" if n % 5 == 3 else "fired",
                        "overlap: run 0193 is not finished" if n % 5 == 3 else "", new_run_id(now - n * every * 1000))
                for n in range(40)
            ]
            for name, schedule, every, *_ in jobs if schedule
        }  # fmt: skip
        self.lying = {("mail", "ready"): [
            QueuedRun(new_run_id(now - 9000 + n), "ready", "send_email", 1, payload='{"to":"kunde@example.org"}',
                      ready_ms=now - 9000 + n * 7) for n in range(250)
        ]}  # fmt: skip
        held = new_run_id(now - 190_000)
        self.lying["default", "waiting"] = [
            QueuedRun(new_run_id(now), "waiting", "slow_export", 1, slot="job:slow_export", waits_for="job:slow_export",
                      holder=held),
            QueuedRun(new_run_id(now), "waiting", "sync_prices", 1, waits_for="pause/sync_prices"),
        ]  # fmt: skip
        self.lying["default", "later"] = [
            QueuedRun(new_run_id(now), "later", "sync_prices", 2 + n, due_ms=now + 40_000 + n * rng.randrange(200_000))
            for n in range(3)
        ]
        self.lying["default", "running"] = [
            QueuedRun(new_run_id(now), "running", "sync_prices", 3, engine="web-1:4711", seen_ms=2000,
                      ready_ms=now - 8_000)
        ]  # fmt: skip
        self.lying["default", "ready"] = [
            QueuedRun(new_run_id(now), "ready", "disk_report", 1, ready_ms=now - 400, crashes=n) for n in range(2)
        ]
        if hostile:
            self.specs_of[hostile] = JobSpec(name=hostile, kind="command", command=hostile, description=hostile)
            self.fires_of[hostile] = [JobFire(from_ms(now), hostile, hostile, hostile)]
            for state in ("ready", "running", "later", "waiting"):
                self.lying[hostile, state] = [
                    QueuedRun(hostile, state, hostile, 1, payload=hostile, engine=hostile, waits_for=hostile,
                              holder=hostile, slot=hostile)
                ]  # fmt: skip

    async def queue_flows(self) -> Mapping[str, QueueFlow]:
        """The same every time."""
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        rng = random.Random(5)
        hour = () if self.postgres_error else tuple(max(0, round(rng.gauss(60, 25))) for _ in range(60))
        return {
            "mail": QueueFlow(118.0, 96.0, hour, None if self.postgres_error else 120.0),
            "default": QueueFlow(0.7, 0.9, tuple(int(n % 5 == 0) for n in range(60)) if hour else (), 9_000.0),
            "billing": QueueFlow(0.0, 0.0, tuple(int(n % 20 == 7) for n in range(60)) if hour else (), 290_000.0),
        }

    async def queue_runs(
        self, queue: str, state: str, limit: int = 100, cursor: str | None = None, jobs: Sequence[str] = (), *,
        last: bool = False,
    ) -> Page[QueuedRun]:  # fmt: skip
        """A page of `lying`; the cursor is a run's id."""
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        items = [replace(run, cursor=run.run_id) for run in self.lying.get((queue, state), [])]
        return either_way(items, limit, cursor, last)

    async def queue_forecast(self, status: QueueStatus, live: Overview, flow: QueueFlow | None) -> Forecast:
        """A forecast of made-up work."""
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        planned = [PlannedJob("disk_report", [int(n % 10 == 6) * 40 for n in range(60)], 9_000.0, Overlap.ALLOW)]
        return forecast(status.ready + status.inbox, planned=planned, other_per_min=30.0, slots=2.0, usual_ms=2_000.0,
                        paused_steps=60 if status.paused else 0)  # fmt: skip

    async def job_stats(self, jobs: Sequence[str]) -> Mapping[str, JobStats]:
        """From what ended."""
        if self.postgres_error:
            raise UnreachableError(self.postgres_error)
        self.stats_asked.append(tuple(jobs))
        found = {}
        for job in jobs:
            runs = [r for r in self.ended if r.job == job][:50]
            times = sorted(r.duration_ms or 0.0 for r in runs if r.outcome == "succeeded")
            if runs:
                found[job] = JobStats(
                    tuple(r.outcome for r in reversed(runs[:20])), len(runs),
                    sum(r.outcome in ("succeeded", "failed", "timed_out", "lost") for r in runs), len(times),
                    times[len(times) // 2] if times else None, times[len(times) * 95 // 100] if times else None,
                )  # fmt: skip
        return found

    async def job_fires(
        self, job: str, limit: int = 100, cursor: str | None = None, *, oldest: bool = False
    ) -> Page[JobFire]:
        """A page of `fires_of`."""
        if self.postgres_error:
            raise UnreachableError(self.postgres_error)
        return either_way(self.fires_of.get(job, []), limit, cursor, oldest)

    async def job_spec(self, job: str) -> JobSpec | None:
        """What is published."""
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        return self.specs_of.get(job)
