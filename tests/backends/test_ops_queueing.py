"""What the screens of queues and jobs read, on real servers: pages of a queue, rates, the last hour, the forecast."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from backends.connect import Settings
from backends.errors import BadInputError
from backends.history.store import store
from backends.jobs.load import load_text
from backends.jobs.publish import publish_jobs
from backends.model import (
    AttemptRecord,
    EngineStatus,
    FireRecord,
    FireResult,
    Outcome,
    Pause,
    QueueStatus,
    RunningRow,
    fire_run_id,
    now_ms,
)
from backends.ops import Ops, queueing
from backends.ops.queueing import QueueFlow
from backends.overview import Overview
from backends.queues.peek import QueuedRun
from backends.queues.streams import PLACES, StreamQueue
from tests.contract.helpers import WORKER, dead, done, retry, run

JOBS = """
[jobs.noop]
schedule = "* * * * *"
command = "true"

[jobs.other]
command = "true"
overlap = "allow"
"""

ENGINE = EngineStatus("e1", "h", 1, "1", 0, 0, 8, 2, queues=("default",))


@pytest.fixture
async def ops(settings: Settings) -> AsyncIterator[Ops]:
    """Ops over published jobs."""
    async with Ops.open(settings) as ops:
        await publish_jobs(ops.servers.redis, settings.namespace, load_text(JOBS))
        await ops.live.queue("default").announce()
        await ops.overview()
        yield ops


@pytest.fixture
def queue(ops: Ops) -> StreamQueue:
    """The queue of these jobs."""
    return ops.live.queue("default")


async def every(ops: Ops, state: str, limit: int) -> list[QueuedRun]:
    """All pages of a state."""
    found: list[QueuedRun] = []
    cursor = None
    while True:
        page = await ops.queue_runs("default", state, limit, cursor)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_ready_runs_come_in_the_order_in_which_they_are_taken(ops: Ops, queue: StreamQueue) -> None:
    runs = [run(priority=n % 3) for n in range(13)]
    await queue.enqueue(runs)
    taken = (await queue.take(WORKER, 4)).deliveries
    gone = {d.run_id for d in taken}
    expected = [r.run_id for p in range(3) for r in runs if r.priority == p and r.run_id not in gone]
    for limit in (3, 100):
        found = await every(ops, "ready", limit)
        assert [r.run_id for r in found] == expected
    first = found[0]
    assert (first.job, first.attempt, first.state, first.payload) == ("noop", 1, "ready", '{"n":1}')
    assert first.ready_ms is not None
    assert abs(now_ms() - first.ready_ms) < 60_000
    running = await every(ops, "running", 3)
    assert {r.run_id for r in running} == gone
    assert {r.engine for r in running} == {WORKER}
    assert all(r.seen_ms is not None and r.seen_ms >= 0 for r in running)


async def test_what_comes_later_is_paged_also_where_many_are_due_at_once_and_some_leave(
    ops: Ops, queue: StreamQueue
) -> None:
    due = now_ms() + 3_600_000
    runs = [run(due_ms=due + n // 5) for n in range(15)]
    await queue.enqueue(runs)
    assert len(await every(ops, "later", 4)) == 15
    page = await ops.queue_runs("default", "later", 4)
    last = page.items[-1]
    assert last.due_ms == due
    await queue.cancel(last.run_id, "ana")
    rest = await ops.queue_runs("default", "later", 100, page.next_cursor)
    left = {r.run_id for r in runs} - {r.run_id for r in page.items}
    assert left <= {r.run_id for r in rest.items}, "none that is still there may be passed over"


async def test_waiting_runs_say_for_what_they_wait(ops: Ops, queue: StreamQueue) -> None:
    slotted = [run(slot="job:noop") for _ in range(4)]
    await queue.enqueue(slotted)
    await queue.pause(Pause("ana", "later"), "other")
    await queue.enqueue([run("other") for _ in range(3)])
    await queue.take(WORKER, 10)
    for limit in (2, 50):
        found = await every(ops, "waiting", limit)
        assert [(r.job, r.waits_for, r.holder) for r in found] == [
            *[("noop", "job:noop", slotted[0].run_id)] * 3, *[("other", "pause/other", "")] * 3,
        ]  # fmt: skip
    assert [r.run_id for r in found[:3]] == [r.run_id for r in slotted[1:]]


async def test_a_huge_envelope_is_not_read_whole(ops: Ops, queue: StreamQueue) -> None:
    body = b'{"type":"noop","payload": {"text":"' + b"x" * 500_000 + b'"}}'
    await queue.enqueue([run(envelope=body), run(envelope=b'{"a":"' + b"y" * 9_000 + b'","payload":{}}')])
    first, second = await every(ops, "ready", 10)
    assert first.payload.startswith('{"text":"xxx')
    assert len(first.payload) == 160
    assert second.payload == ""


@pytest.mark.parametrize("cursor", ["nonsense", "0|", "|-1", "|x"])
async def test_a_wrong_cursor_is_told(ops: Ops, cursor: str) -> None:
    with pytest.raises(BadInputError, match="not a cursor"):
        await ops.queue_runs("default", "ready", 10, cursor)


async def test_an_empty_queue_has_no_pages(ops: Ops) -> None:
    for state in ("ready", "running", "later", "waiting"):
        assert await every(ops, state, 10) == []


async def test_rates_count_what_came_and_what_went(
    ops: Ops, queue: StreamQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = now_ms() // 60_000 * 60_000 + 10_000
    monkeypatch.setattr(queueing, "now_ms", lambda: clock)
    await queue.enqueue([run() for _ in range(5)])
    assert (await ops.queue_flows())["default"].in_per_min is None
    await queue.enqueue([run() for _ in range(12)])
    taken = (await queue.take(WORKER, 8)).deliveries
    await queue.settle(WORKER, [*[done(d) for d in taken[:4]], retry(taken[4]), dead(taken[5])])
    clock += 30_000
    flow = (await ops.queue_flows())["default"]
    assert (flow.in_per_min, flow.out_per_min) == (26.0, 12.0), "a retry that is due at once comes in again"
    clock += 120_000
    flow = (await ops.queue_flows())["default"]
    assert (flow.in_per_min, flow.out_per_min) == (0.0, 0.0), "what was long ago is not a rate any more"


async def test_rates_survive_a_flush(ops: Ops, queue: StreamQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = now_ms()
    monkeypatch.setattr(queueing, "now_ms", lambda: clock)
    await queue.enqueue([run() for _ in range(5)])
    await ops.queue_flows()
    await ops.servers.redis.delete(*[f"{queue.prefix}ready:{p}" for p in PLACES])
    clock += 10_000
    assert (await ops.queue_flows())["default"].in_per_min is None


async def keep(ops: Ops, attempts: Sequence[AttemptRecord] = (), fires: Sequence[FireRecord] = ()) -> None:
    """Put records into history."""
    pool = await ops.servers.pool()
    async with pool.connection() as connection:
        await store(connection, list(attempts), list(fires))


def record(job: str, at_ms: int, n: int, outcome: Outcome = Outcome.SUCCEEDED, took_ms: float = 100) -> AttemptRecord:
    """An attempt that ended then."""
    return AttemptRecord(
        run_id=fire_run_id("t", f"{job}{n}", at_ms), attempt=1, job=job, queue="default", outcome=outcome,
        started_us=round((at_ms - took_ms) * 1000), finished_us=at_ms * 1000, scheduled_ms=at_ms,
    )  # fmt: skip


async def test_the_last_hour_comes_from_the_record_and_follows_it(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = now_ms() // 60_000 * 60_000 + 5_000
    monkeypatch.setattr(queueing, "now_ms", lambda: clock)
    await keep(ops, [record("noop", clock - 59 * 60_000, 0), record("noop", clock - 61 * 60_000, 1)])
    await keep(ops, [record("noop", clock, n, took_ms=300) for n in range(2, 5)])
    flow = (await ops.queue_flows())["default"]
    assert (len(flow.ended), flow.ended[0], flow.ended[-1], sum(flow.ended)) == (60, 1, 3, 4)
    assert flow.mean_ms == pytest.approx(250)
    await keep(ops, [record("noop", clock, 9), record("noop", clock - 30 * 60_000, 10)])
    clock += 2_000
    assert sum((await ops.queue_flows())["default"].ended) == 5, "between whole readings only the last minutes are read"
    clock += 60_000
    flow = (await ops.queue_flows())["default"]
    assert (flow.ended[-2], flow.ended[-1], sum(flow.ended)) == (4, 0, 5), "the hour moves on, and all of it is read"


async def seen(ops: Ops) -> tuple[QueueStatus, Overview]:
    """The queue, where an engine takes it."""
    live = replace(await ops.overview(), engines=(ENGINE,))
    return live.queues[0], live


async def test_the_forecast_knows_fires_what_is_due_and_the_pause(ops: Ops, queue: StreamQueue) -> None:
    await queue.enqueue([run("other", due_ms=now_ms() + 90_000) for _ in range(7)])
    await queue.enqueue([run("other") for _ in range(3)])
    await ops.pause("queue:default")
    found = await ops.queue_forecast(*await seen(ops), None)
    assert (found.planned, found.skipped, found.due, found.slots, len(found.depth)) == (60, 59, 7, 6, 60)
    assert found.depth[0] == 4
    assert found.depth[-1] == 3 + 1 + 7
    await ops.pause("queue:default", for_s=600)
    assert (await ops.queue_forecast(*await seen(ops), None)).paused_steps == 10
    await ops.pause("job:noop")
    assert (await ops.queue_forecast(*await seen(ops), None)).planned == 0


async def test_without_an_engine_nothing_fires_and_nothing_comes_back_from_later(ops: Ops, queue: StreamQueue) -> None:
    await queue.enqueue([run("other", due_ms=now_ms() + 90_000), run("other")])
    live = await ops.overview()
    found = await ops.queue_forecast(live.queues[0], live, None)
    assert (found.planned, found.due, set(found.depth)) == (0, 0, {1.0})


async def test_a_run_that_has_the_slot_of_its_job_keeps_its_fires_out(ops: Ops, queue: StreamQueue) -> None:
    await queue.enqueue([run("noop", slot="job:noop")])
    await ops.pause("queue:default")
    found = await ops.queue_forecast(*await seen(ops), None)
    assert (found.skipped, set(found.depth)) == (60, {1.0}), "it lies in a paused queue, so every fire is skipped"
    await ops.resume("queue:default")
    taken = (await queue.take(WORKER, 1)).deliveries[0]
    await queue.enqueue([run("other")])
    status, live = await seen(ops)
    row = RunningRow(taken.run_id, 1, "noop", "default", live.at_ms - 100_000)
    live = replace(live, engines=(replace(ENGINE, running=(row,)),))
    found = await ops.queue_forecast(status, live, QueueFlow(mean_ms=400_000.0))
    assert next(n for n, many in enumerate(found.runs) if many) == 5, "it has run for 100 s of the usual 400 s"
    await queue.settle(WORKER, [retry(taken, now_ms() + 600_000)])
    found = await ops.queue_forecast(*await seen(ops), None)
    assert [n for n, many in enumerate(found.runs) if many][:2] in ([9, 10], [10, 11]), "so long its retry has the slot"


@pytest.mark.parametrize(
    ("engines", "ready", "running", "slots"),
    [
        ((), 0, 0, 0),
        ((ENGINE,), 0, 0, 6),
        ((ENGINE, replace(ENGINE, id="e2")), 0, 2, 14),
        ((replace(ENGINE, busy=8),), 0, 0, 1),
        ((replace(ENGINE, queues=("other",)),), 0, 0, 0),
        ((replace(ENGINE, draining=True),), 0, 0, 0),
        ((ENGINE,), 9, 0, 3),
    ],
)
async def test_the_forecast_counts_the_slots_that_work(
    ops: Ops, engines: tuple[EngineStatus, ...], ready: int, running: int, slots: float
) -> None:
    live = replace(await ops.overview(), engines=engines)
    status = replace(live.queues[0], ready=ready, running=running)
    found = await ops.queue_forecast(status, live, QueueFlow(0.0, 90.0, (), 2000.0))
    assert found.slots == slots, "under a backlog it is what the queue was seen to get: 90 runs a minute of 2 s each"


async def test_numbers_of_jobs_come_from_their_newest_attempts(ops: Ops) -> None:
    at = now_ms()
    outcomes = [Outcome.SUCCEEDED] * 35 + [Outcome.CANCELLED] * 5 + [Outcome.FAILED] * 5 + [Outcome.SUCCEEDED] * 15
    await keep(
        ops,
        [record("noop", at - 1000 * (60 - n), n, o, 1000 if n == 59 else n) for n, o in enumerate(outcomes)],
    )
    stats = await ops.job_stats(["noop", "other"])
    assert list(stats) == ["noop"]
    found = stats["noop"]
    assert found.outcomes == (*["failed"] * 5, *["succeeded"] * 15)
    assert (found.attempts, found.judged, found.succeeded) == (50, 45, 40)
    assert found.success == 40 / 45
    assert found.p50_ms == pytest.approx(29.5)
    assert found.p95_ms == pytest.approx(57.05)
    assert (await ops.job_stats(["noop"]))["noop"].attempts == 50


async def test_fires_of_a_job_are_paged_newest_first(ops: Ops) -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    fires = [
        FireRecord(job=job, planned_ms=round((start + timedelta(minutes=n)).timestamp() * 1000),
                   result=FireResult.SKIPPED if n % 2 else FireResult.FIRED, decided_ms=1, scheduler="s",
                   reason="overlap" if n % 2 else None)
        for n in range(7) for job in ("noop", "other")
    ]  # fmt: skip
    await keep(ops, fires=fires)
    page = await ops.job_fires("noop", 4)
    assert [f.planned_at.minute for f in page.items] == [6, 5, 4, 3]
    assert [(f.result, f.reason) for f in page.items[:2]] == [("fired", ""), ("skipped", "overlap")]
    rest = await ops.job_fires("noop", 4, page.next_cursor)
    assert [f.planned_at.minute for f in rest.items] == [2, 1, 0]
    assert rest.next_cursor is None
    with pytest.raises(BadInputError):
        await ops.job_fires("noop", 4, "yesterday")


async def test_a_job_is_found_with_its_spec(ops: Ops) -> None:
    spec = await ops.job_spec("noop")
    assert spec is not None
    assert spec.schedule == "* * * * *"
    assert await ops.job_spec("nobody") is None


async def test_what_fired_is_counted_by_minute_and_by_job(ops: Ops) -> None:
    start = 1_800_000_000_000 // 60_000 * 60_000
    fired, skipped = FireResult.FIRED, FireResult.SKIPPED
    fires = [
        FireRecord(job=job, planned_ms=start + at, result=result, decided_ms=start + at + late, scheduler="s")
        for job, at, result, late in (
            ("noop", 0, fired, 40), ("other", 30_000, fired, 40), ("third", 30_000, skipped, 40),
            ("noop", 60_000, fired, 40), ("other", 60_000, fired, 3_600_000), ("noop", 120_000, fired, 40),
        )
    ]  # fmt: skip
    await keep(ops, fires=fires)
    assert await ops.fired_minutes(start, start + 120_000) == {start: 2, start + 60_000: 1}, "catch-up is no herd"
    assert await ops.fired_jobs(start, start + 120_000, 9) == ([("noop", start, 2), ("other", start + 30_000, 1)], 2)
    assert await ops.fired_jobs(start, start + 120_000, 1) == ([("noop", start, 2)], 2)
    assert await ops.fired_jobs(0, 60_000, 1) == ([], 0)
