"""What the native queue promises beyond the contract: transitions that take more than one call."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from backends.connect import Servers
from backends.model import AttemptRecord, Pause, fire_run_id, now_ms
from backends.queues.scripts import script
from backends.queues.streams import StreamQueue
from tests.contract.helpers import WORKER, run


@pytest.fixture
def queue(connected: Servers) -> StreamQueue:
    return StreamQueue(
        connected.redis, connected.settings.namespace, "default", sync_client=lambda: connected.redis_sync("lease")
    )


async def recorded(queue: StreamQueue) -> list[AttemptRecord]:
    """What went into the outbox."""
    entries = await queue._redis.xrange(f"{queue.prefix}out")
    return [r for _, fields in entries for r in msgspec.json.decode(fields[b"r"], type=list[AttemptRecord])]


async def test_a_resume_that_was_cut_off_is_finished(connected: Servers, queue: StreamQueue) -> None:
    await queue.pause(Pause(by="me"), job="a")
    await queue.enqueue([run("a") for _ in range(5)])
    assert (await queue.take(WORKER, 10)).deliveries == ()
    assert await script("resume")(connected.redis, [queue.prefix], ["pausejob:a", "a", 2, ""]) == [1, 2]
    assert len((await queue.take(WORKER, 10)).deliveries) == 2, "the pause is over at once"
    assert await queue.promote() == 3
    assert len((await queue.take(WORKER, 10)).deliveries) == 3
    assert await connected.redis.hkeys(f"{queue.prefix}ctl") == []


async def test_a_lost_attempt_tells_why_it_ran_and_since_when(queue: StreamQueue) -> None:
    planned = now_ms() - 5000
    run_id = fire_run_id("n", "noop", planned)
    envelope = b'{"id":"7","type":"noop","payload":{"trigger":"x"},"trigger":"schedule","scheduledFor":"now","by":"e1"}'
    odd = [b'{"type":"noop","trigger":"\xff","by":7,"id":null}', b"\xff", b"null", b"[" * 4000, b"7"]
    await queue.enqueue([run(run_id=run_id, envelope=envelope), *[run(envelope=e) for e in odd]])
    before = now_ms()
    taken = (await queue.take(WORKER, 10)).deliveries
    for _ in range(2):
        await asyncio.sleep(0.06)
        assert queue.renew(WORKER, taken) == []
    await asyncio.sleep(0.06)
    assert await queue.reap(0, 3) == 6
    found = {r.run_id: r for r in await recorded(queue)}
    lost = found.pop(run_id)
    assert (lost.outcome, lost.trigger, lost.scheduled_ms, lost.producer_id) == ("lost", "schedule", planned, "7")
    assert lost.by == "e1"
    assert lost.started_us is not None
    assert abs(lost.started_us / 1000 - before) < 50
    assert lost.finished_us - lost.started_us >= 180_000
    assert all(r.trigger == "enqueue" and r.started_us for r in found.values())


async def test_a_cancelled_run_tells_why_it_was_there_and_who_cancelled_it(queue: StreamQueue) -> None:
    new = run(envelope=b'{"type":"noop","trigger":"manual","by":"bo"}')
    await queue.enqueue([new])
    assert await queue.cancel(new.run_id, "ana") == "cancelled"
    (record,) = await recorded(queue)
    assert (record.trigger, record.by) == ("manual", "ana")
