"""Backfill through Ops: which fires, which runs, each once, against real servers and a real engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from backends.connect import Settings
from backends.errors import BadInputError, RefusedError, UnreachableError
from backends.history.recorder import Recorder
from backends.history.store import store
from backends.jobs.load import load, load_text
from backends.jobs.publish import publish_jobs
from backends.model import (
    AttemptRecord,
    FireRecord,
    FireResult,
    Outcome,
    Overlap,
    Trigger,
    backfill_run_id,
    fire_run_id,
    now_ms,
    to_ms,
)
from backends.ops import Ops
from backends.ops.backfill import window_slot
from backends.queues.base import NewFire, NewRun
from backends.queues.streams import StreamQueue
from tests.contract.helpers import dead, done, run, take_one
from tests.support.engine import EngineProcess, until

JOBS = """
[jobs.hourly]
schedule = "0 * * * *"
timezone = "Europe/Berlin"
command = "true"
payload = { base = 1 }

[jobs.many]
schedule = "* * * * *"
command = "true"
overlap = "allow"

[jobs.newest]
schedule = "0 * * * *"
command = "true"
overlap = "replace"

[jobs.handler]
command = "true"

[jobs.boot]
schedule = "@reboot"
command = "true"
"""
DAY = datetime(2026, 6, 1, tzinfo=UTC)


def at(hour: int, minute: int = 0) -> datetime:
    """A time of the day that is backfilled."""
    return DAY + timedelta(hours=hour, minutes=minute)


@pytest.fixture
async def ops(settings: Settings) -> AsyncIterator[Ops]:
    """Ops over published jobs."""
    async with Ops.open(settings) as ops:
        file = load_text(JOBS)
        await publish_jobs(ops.servers.redis, settings.namespace, file)
        await ops.live.queue("default").announce()
        yield ops


@pytest.fixture
def queue(ops: Ops) -> StreamQueue:
    """The queue of the jobs."""
    return ops.live.queue("default")


async def record(
    ops: Ops, planned: datetime, result: FireResult, outcome: Outcome | None = None, final: bool = True
) -> None:
    """History of a fire of `hourly`, and of its run where there was one."""
    ms = to_ms(planned)
    run_id = fire_run_id(ops.namespace, "hourly", ms)
    fire = FireRecord(
        job="hourly", planned_ms=ms, result=result, decided_ms=ms, scheduler="s",
        reason=None if result is FireResult.FIRED else "why", run_id=run_id if result is FireResult.FIRED else None,
    )  # fmt: skip
    attempt = outcome and AttemptRecord(
        run_id=run_id, attempt=1, job="hourly", queue="default", outcome=outcome, finished_us=ms * 1000, final=final
    )
    async with ops.history(), (await ops.servers.pool()).connection() as connection:
        await store(connection, [attempt] if attempt else [], [fire])


async def drain(ops: Ops) -> None:
    """Store what is in the outbox."""

    async def keys() -> list[str]:
        return [f"{ops.live.queue('default').prefix}out"]

    await Recorder(ops.servers.redis_client("r"), await ops.servers.pool(), keys, "r").drain_once()


async def hours(ops: Ops, only: Any = "all") -> list[int]:
    """The planned hours, UTC, of a plan over six hours."""
    plan = await ops.backfill_plan("hourly", at(0), at(6), only)
    return [fire.planned.hour for fire in plan.fires]


async def plan_and_run(ops: Ops, job: str = "hourly", **more: Any) -> tuple[int, int]:
    """Backfill six hours; (matched, changed)."""
    result = await ops.backfill(await ops.backfill_plan(job, at(0), at(6)), **more)
    return result.matched, result.changed


class TestPlan:
    """Which fires, and what became of them."""

    async def test_by_history(self, ops: Ops) -> None:
        """Every fire with its record; --only picks by it."""
        await record(ops, at(0), FireResult.FIRED, Outcome.SUCCEEDED)
        await record(ops, at(1), FireResult.FIRED, Outcome.FAILED)
        await record(ops, at(2), FireResult.MISSED)
        await record(ops, at(3), FireResult.SKIPPED)
        await record(ops, at(4), FireResult.FIRED, Outcome.FAILED, final=False)  # it is tried again
        plan = await ops.backfill_plan("hourly", at(0), at(6))
        assert [(f.planned.hour, f.result, f.reason, f.outcome, f.backfill) for f in plan.fires] == [
            (0, "fired", None, "succeeded", None),
            (1, "fired", None, "failed", None),
            (2, "missed", "why", None, None),
            (3, "skipped", "why", None, None),
            (4, "fired", None, None, None),
            (5, None, None, None, None),
        ]
        assert (await hours(ops, "missed"), await hours(ops, "skipped"), await hours(ops, "failed")) == ([2], [3], [1])

    async def test_start_is_in_end_is_not_and_naive_times_are_the_zones(self, ops: Ops) -> None:
        """Berlin is two hours ahead of UTC in June."""
        plan = await ops.backfill_plan("hourly", datetime(2026, 6, 1, 2), datetime(2026, 6, 1, 4))
        assert [fire.planned for fire in plan.fires] == [at(0), at(1)]
        assert (plan.start, plan.end) == (at(0), at(2))

    async def test_more_than_one_page_of_history(self, ops: Ops) -> None:
        """2,000 at a look; none lost or twice where two looks meet."""
        plan = await ops.backfill_plan("many", DAY, DAY + timedelta(minutes=4_500))
        assert [fire.planned for fire in plan.fires] == [DAY + timedelta(minutes=n) for n in range(4_500)]

    async def test_the_limit_counts_what_matches(self, ops: Ops) -> None:
        """As many as the limit are taken, one more is refused."""
        assert len((await ops.backfill_plan("hourly", at(0), at(6), limit=6)).fires) == 6
        with pytest.raises(BadInputError, match="more than 5 fires of 'hourly' match; take a shorter range"):
            await ops.backfill_plan("hourly", at(0), at(6), limit=5)
        with pytest.raises(BadInputError, match="more than 10,000 fires"):
            await ops.backfill_plan("many", DAY, DAY + timedelta(days=30))
        await record(ops, at(2), FireResult.MISSED)
        assert len((await ops.backfill_plan("hourly", at(0), at(6), "missed", limit=1)).fires) == 1

    @pytest.mark.parametrize(
        ("job", "start", "end", "words"),
        [
            ("hourli", at(0), at(6), "no job 'hourli'; did you mean 'hourly'"),
            ("handler", at(0), at(6), "'handler' has no schedule"),
            ("boot", at(0), at(6), "@reboot"),
            ("hourly", at(6), at(6), "not before its end"),
            ("hourly", at(6), at(0), "not before its end"),
            ("hourly", at(6), datetime(2199, 1, 1), "not in the past"),
            ("hourly", datetime(1969, 1, 1), at(6), "before 1970"),
            ("hourly", datetime(1, 1, 1), at(6), "beyond the calendar"),
        ],
    )
    async def test_bad_input(self, ops: Ops, job: str, start: datetime, end: datetime, words: str) -> None:
        """One line with what to do."""
        with pytest.raises(BadInputError, match=words) as caught:
            await ops.backfill_plan(job, start, end)
        assert caught.value.remedy


class TestRuns:
    """What goes into the queue."""

    async def test_oldest_first_with_the_planned_time(self, ops: Ops, queue: StreamQueue) -> None:
        """One at a time; the envelope says why and for when; the audit has a row."""
        steps: list[tuple[int, int]] = []
        assert await plan_and_run(ops, progress=lambda p: steps.append((p.matched, p.changed))) == (6, 6)
        assert steps == [(6, 6)]
        status = await queue.status()
        assert (status.ready, status.waiting) == (1, 5)
        for hour in range(6):
            d = await take_one(queue)
            assert d.run_id == backfill_run_id(ops.namespace, "hourly", to_ms(at(hour)))
            assert d.run_id != fire_run_id(ops.namespace, "hourly", to_ms(at(hour)))
            envelope = msgspec.json.decode(d.envelope)
            assert envelope["trigger"] == Trigger.BACKFILL
            assert datetime.fromisoformat(envelope["scheduledFor"]) == at(hour)
            assert (envelope["type"], envelope["payload"], envelope["id"]) == ("hourly", {"base": 1}, d.run_id)
            assert not (await queue.take("w1", 5)).deliveries
            await queue.settle("w1", [done(d)])
        async with ops.history() as history:
            ((_, _, who, verb, target, matched, changed, *_),) = await history.actions()
        assert (verb, matched, changed) == ("backfill", 6, 6)
        assert who
        assert target == {
            "job": "hourly", "from": at(0).isoformat(), "to": at(6).isoformat(), "only": "all", "again": False,
        }  # fmt: skip

    async def test_a_payload_of_its_own(self, ops: Ops, queue: StreamQueue) -> None:
        """Instead of the job's; one that JSON can't carry puts nothing in."""
        plan = await ops.backfill_plan("hourly", at(0), at(1))
        with pytest.raises(BadInputError):
            await ops.backfill(plan, {"x": object()})
        await ops.backfill(plan, {"x": 2})
        assert msgspec.json.decode((await take_one(queue)).envelope)["payload"] == {"x": 2}

    async def test_steps_of_200(self, ops: Ops, queue: StreamQueue) -> None:
        """So that a script never holds the server for long, and it can be stopped."""
        steps: list[tuple[int, int]] = []
        plan = await ops.backfill_plan("many", DAY, DAY + timedelta(minutes=450))
        await ops.backfill(plan, concurrency=3, progress=lambda p: steps.append((p.matched, p.changed)))
        assert steps == [(450, 200), (450, 400), (450, 450)]
        status = await queue.status()
        assert (status.ready, status.waiting) == (3, 447)

    async def test_read_only_refuses_before_it_looks(self, settings: Settings, ops: Ops) -> None:
        """Exit 4; the list alone is a read."""
        async with Ops.open(replace(settings, read_only=True)) as reader:
            plan = await reader.backfill_plan("hourly", at(0), at(6), dry_run=True)
            assert len(plan.fires) == 6
            with pytest.raises(RefusedError):
                await reader.backfill_plan("no such job", at(0), at(6))
            with pytest.raises(RefusedError):
                await reader.backfill(plan)

    async def test_without_history_nothing_is_put_in(self, settings: Settings, ops: Ops, queue: StreamQueue) -> None:
        """What ran before could not be told."""
        plan = await ops.backfill_plan("hourly", at(0), at(6))
        broken = replace(settings, postgres_url="postgresql://x@127.0.0.1:1/x")
        async with Ops.open(broken) as blind:
            with pytest.raises(UnreachableError):
                await blind.backfill(plan)
        assert (await queue.status()).ready == 0


class TestOnce:
    """A fire is backfilled once, wherever its run is by now."""

    async def test_in_the_queue(self, ops: Ops, queue: StreamQueue) -> None:
        """Started twice: the second time nothing is put in."""
        assert await plan_and_run(ops) == (6, 6)
        assert await plan_and_run(ops) == (6, 0)
        assert {f.backfill for f in (await ops.backfill_plan("hourly", at(0), at(6))).fires} == {"queued"}
        status = await queue.status()
        assert status.ready + status.waiting == 6

    async def test_resumed(self, ops: Ops) -> None:
        """The first half is in, as after a crash of the command: the second half is put in."""
        await ops.backfill(await ops.backfill_plan("hourly", at(0), at(3)))
        assert await plan_and_run(ops) == (6, 3)

    async def test_in_the_outbox_history_and_dead_letters(self, ops: Ops, queue: StreamQueue) -> None:
        """Ended: not stored yet, stored, and buried."""
        await ops.backfill(await ops.backfill_plan("hourly", at(0), at(3)))
        await queue.settle("w1", [done(await take_one(queue))])
        await drain(ops)
        await queue.settle("w1", [dead(await take_one(queue))])
        last = await take_one(queue)
        await queue.settle("w1", [done(last)])
        assert (await queue.status()).outbox > 0
        plan = await ops.backfill_plan("hourly", at(0), at(3))
        assert [fire.backfill for fire in plan.fires] == ["succeeded", "queued", "queued"]
        assert (await ops.backfill(plan)).changed == 0
        await drain(ops)
        plan = await ops.backfill_plan("hourly", at(0), at(3))
        assert [fire.backfill for fire in plan.fires] == ["succeeded", "failed", "succeeded"]
        assert (plan.fresh, (await ops.backfill(plan)).changed) == (0, 0)

    async def test_an_old_plan_runs_nothing_that_ended_meanwhile(self, ops: Ops, queue: StreamQueue) -> None:
        """What is known is looked up again when it starts."""
        plan = await ops.backfill_plan("hourly", at(0), at(1))
        await ops.backfill(plan)
        await queue.settle("w1", [done(await take_one(queue))])
        assert plan.fresh == 1
        assert (await ops.backfill(plan)).changed == 0

    async def test_again(self, ops: Ops, queue: StreamQueue) -> None:
        """On purpose: new ids for those that were, the usual ids for the rest."""
        await ops.backfill(await ops.backfill_plan("hourly", at(0), at(1)))
        plan = await ops.backfill_plan("hourly", at(0), at(2))
        assert (await ops.backfill(plan, again=True)).changed == 2
        ids = []
        for _ in range(3):
            d = await take_one(queue)
            ids.append(d.run_id)
            await queue.settle("w1", [done(d)])
        usual = [backfill_run_id(ops.namespace, "hourly", to_ms(at(hour))) for hour in (0, 1)]
        assert (ids[0], ids[2]) == (usual[0], usual[1])
        assert ids[1] not in usual
        assert await queue.find(ids[1]) is None

    async def test_one_start_at_a_time(self, ops: Ops) -> None:
        """A second one of the job is refused while the first puts its runs in; another job's is not."""
        pool = await ops.servers.pool()
        first, second = [await ops.backfill_plan(job, at(0), at(1)) for job in ("hourly", "many")]
        async with pool.connection() as connection:
            await connection.execute("select pg_advisory_lock(%s, hashtext('hourly'))", (0x63726F62,))
            with pytest.raises(RefusedError, match="somebody else is starting a backfill of 'hourly'"):
                await ops.backfill(first)
            assert (await ops.backfill(second)).changed == 60
            await connection.execute("select pg_advisory_unlock(%s, hashtext('hourly'))", (0x63726F62,))
        assert (await ops.backfill(first)).changed == 1

    async def test_the_fires_own_record_stays(self, ops: Ops, queue: StreamQueue) -> None:
        """Missed is missed; the backfill is a run of its own in history."""
        await record(ops, at(0), FireResult.MISSED)
        await ops.backfill(await ops.backfill_plan("hourly", at(0), at(1), "missed"))
        await queue.settle("w1", [done(await take_one(queue))])
        await drain(ops)
        async with ops.history() as history:
            assert await history.fires("hourly", at(0), at(1)) == [(at(0), "missed", "why")]
        (fire,) = (await ops.backfill_plan("hourly", at(0), at(1))).fires
        assert (fire.result, fire.backfill) == (FireResult.MISSED, "succeeded")


class TestOverlap:
    """The backfill and the live schedule."""

    @pytest.mark.parametrize(
        ("job", "slot"),
        [("hourly", "job:hourly"), ("many", "backfill:many"), ("newest", "backfill:newest")],
    )
    async def test_slots(self, ops: Ops, job: str, slot: str) -> None:
        """A job that never overlaps itself has one line for all; else backfills have one of their own."""
        assert window_slot(await ops.spec(job), 1) == (slot, 1)

    async def test_concurrency(self, ops: Ops) -> None:
        """More than one at a time only where runs may overlap."""
        assert window_slot(await ops.spec("many"), 7) == ("backfill:many", 7)
        for count, job in ((2, "hourly"), (0, "many")):
            with pytest.raises(BadInputError):
                window_slot(await ops.spec(job), count)

    async def fire(self, ops: Ops, queue: StreamQueue, job: str, overlap: Overlap) -> str | None:
        """A live fire of now."""
        ms = now_ms() - 5
        await queue.adopt({job: "x"}, {}, ms - 1000)
        (answer,) = await queue.fire([NewFire(ms, ms - 1000, run(job), overlap, "s")])
        return answer.result

    async def test_a_job_that_skips_skips_live_fires_meanwhile(self, ops: Ops, queue: StreamQueue) -> None:
        """Never two at once; nor is the backfill refused because a live run holds the slot."""
        await queue.enqueue([NewRun(run().run_id, "hourly", b'{"type":"hourly"}', slot="job:hourly")])
        live = await take_one(queue)
        assert await plan_and_run(ops) == (6, 6)
        assert not (await queue.take("w1", 5)).deliveries
        await queue.settle("w1", [done(live)])
        await take_one(queue)
        assert await self.fire(ops, queue, "hourly", Overlap.SKIP) is FireResult.SKIPPED

    @pytest.mark.parametrize(("job", "overlap"), [("many", Overlap.ALLOW), ("newest", Overlap.REPLACE)])
    async def test_live_fires_go_on_beside(self, ops: Ops, queue: StreamQueue, job: str, overlap: Overlap) -> None:
        """Neither delayed nor skipped by the backfill, which they don't cancel."""
        plan = await ops.backfill_plan(job, at(0), at(2))
        await ops.backfill(plan)
        await take_one(queue)
        assert await self.fire(ops, queue, job, overlap) is FireResult.FIRED
        await take_one(queue)
        status = await queue.status()
        assert (status.running, status.waiting) == (2, len(plan.fires) - 1)
        assert await queue.cancels() == set()


async def test_an_engine_runs_them_in_order_one_at_a_time(settings: Settings, tmp_path: Path) -> None:
    """Each writes down its planned time when it begins and when it ends; the second start adds nothing."""
    path, log = tmp_path / "jobs.toml", tmp_path / "log"
    say = f"echo $CRONSOLE_SCHEDULED_FOR >> {log}"
    path.write_text(f'[jobs.report]\nschedule = "0 * * * *"\noverlap = "allow"\ncommand = "{say}; sleep 0.05; {say}"\n')
    async with Ops.open(settings) as ops:
        await publish_jobs(ops.servers.redis, settings.namespace, load(path))
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=9)
        end = start + timedelta(hours=8)
        planned = [start + timedelta(hours=n) for n in range(8)]
        engine = EngineProcess(settings, path)
        try:
            assert (await ops.backfill(await ops.backfill_plan("report", start, end))).changed == 8

            async def recorded() -> bool:
                plan = await ops.backfill_plan("report", start, end)
                return all(fire.backfill == "succeeded" for fire in plan.fires)

            await until(recorded, "all eight are recorded")
            again = await ops.backfill(await ops.backfill_plan("report", start, end))
            assert (again.matched, again.changed) == (8, 0)
            rows = [r for r in (await ops.runs(job="report")).items if r.trigger == "backfill"]
        finally:
            await engine.stop()
    said = [datetime.fromisoformat(line) for line in log.read_text().splitlines()]
    assert [when for when in said if when in planned] == [when for when in planned for _ in range(2)]
    assert sorted(r.scheduled_for for r in rows if r.scheduled_for) == planned
