"""Envelopes in history: any past run can be replayed, whatever its envelope was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from backends.connect import Servers
from backends.engine.executors.base import Ended
from backends.engine.settling import FLAT_BRACKETS, settle
from backends.engine.worker import _read
from backends.history import History
from backends.history.house import keep_house
from backends.jobs.spec import Backoff, JobSpec
from backends.model import ENVELOPE_MOST, Outcome, new_run_id, now_ms
from backends.queues.base import Delivery, NewRun
from backends.queues.streams import StreamQueue
from tests.backends.history_helpers import Outbox, record

ODD = {
    "plain": b'{"id":"7","type":"j","payload":{"to":"a@example.org"},"mine":[1,2]}',
    "spaces and lines": b' {\n "type": "j",\r\n "payload": {} }\n',
    "not ASCII": '{"type":"j","payload":{"n":"Zoë 🎉"}}'.encode(),
    "no UTF-8": b'{"type":"j","payload":{"n":"\xff\xfe"}}',
    "no UTF-8 at all": bytes(range(128, 256)),
    "NUL": b'{"type":"j","payload":{"n":"\\u0000\0"}}',
    "half a pair": b'{"type":"j","payload":{"n":"\\ud800"}}',
    "half a JSON": b'{"type":"j","payl',
    "not JSON": b"\x00\x01 \\ \" '",
    "a JSON string": b'"{}"',
    "a number": b"7",
    "nested as deep as it is read": b'{"type":"j","payload":{"n":' + b"[" * 900 + b"]" * 900 + b"}}",
    "nested deeper": b'{"type":"j","payload":{"n":' + b"[" * 20_000 + b"]" * 20_000 + b"}}",
    "many small ones": b'{"type":"j","payload":{"n":[' + b",".join([b"{}"] * 2 * FLAT_BRACKETS) + b"]}}",
    "as large as is kept": b'{"type":"j","payload":{"n":"%s"}}' % (b"x" * (ENVELOPE_MOST - 31)),
}


@pytest.fixture
async def outbox(connected: Servers) -> Outbox:
    return Outbox(connected, await connected.pool())


def settled(envelope: bytes, run_id: str, outcome: Outcome = Outcome.SUCCEEDED, attempts: int = 1) -> bytes:
    """The record that a worker writes of it."""
    delivery = Delivery("q", f"{now_ms()}-0", "1", run_id, 1, 0, 0, "j", envelope, "", "e", 1)
    spec = JobSpec(name="j", kind="task", task="m:f", attempts=attempts, backoff=Backoff(base_s=10, jitter=False))
    at = now_ms() * 1000
    return settle(delivery, spec, _read(envelope)[0], Ended(outcome, at - 1000, at), "w").record


async def test_every_envelope_comes_back_byte_for_byte(outbox: Outbox) -> None:
    runs = {new_run_id(): (name, envelope) for name, envelope in ODD.items()}
    records = [settled(envelope, run_id) for run_id, (_, envelope) in runs.items()]
    await outbox.put_raw(b"[" + b",".join(records) + b"]")
    assert await outbox.recorder.drain_once() == len(ODD)
    assert await outbox.parked() == []
    history = History(outbox.pool)
    for run_id, (name, envelope) in runs.items():
        assert await history.envelope(run_id) == envelope.strip(b" \r\n"), name


async def test_beside_records_that_are_stored_one_by_one(outbox: Outbox) -> None:
    runs = {new_run_id(): envelope for envelope in ODD.values()}
    records = [settled(envelope, run_id) for run_id, envelope in runs.items()]
    await outbox.put_raw(b"[" + b",".join([*records[:3], msgspec.json.encode(record("no run id"))]) + b"]")
    await outbox.put_raw(b"[" + b",".join([*records, *records[2:5]]) + b"]")
    assert await outbox.recorder.drain_once() == len(ODD)
    assert len(await outbox.parked()) == 1
    history = History(outbox.pool)
    for run_id, envelope in runs.items():
        assert (await history.envelope(run_id) or b"").strip(b" \r\n") == envelope.strip(b" \r\n")


async def test_what_is_not_kept(outbox: Outbox) -> None:
    large, goes_on = new_run_id(), new_run_id()
    await outbox.put_raw(b"[" + settled(b'{"type":"j","x":"%s"}' % (b"x" * ENVELOPE_MOST), large) + b"]")
    retried = settled(ODD["plain"], goes_on, Outcome.FAILED, attempts=2)
    assert b"envelope" not in retried
    await outbox.put_raw(b"[" + retried + b"]")
    assert await outbox.recorder.drain_once() == 2
    history = History(outbox.pool)
    assert await history.envelope(large) is None
    assert await history.envelope(goes_on) is None
    assert await history.envelope(new_run_id()) is None


async def test_of_runs_that_no_worker_ended(outbox: Outbox, connected: Servers) -> None:
    queue = StreamQueue(connected.redis, connected.settings.namespace, "q")
    runs = {new_run_id(): envelope for envelope in ODD.values()}
    await queue.enqueue([NewRun(run_id, "j", envelope) for run_id, envelope in runs.items()])
    for run_id in list(runs)[::3]:
        assert await queue.cancel(run_id, "me") == "cancelled"
    taken = (await queue.take("w", 100)).deliveries
    for delivery in taken[::2]:
        assert await queue.cancel(delivery.run_id, "me") == "asked"
    assert await queue.reap(0, 1) == len(taken)
    assert await outbox.recorder.drain_once() == len(ODD)
    assert await outbox.parked() == []
    assert await outbox.one("select array_agg(distinct outcome order by outcome) from cronsole.attempt") == [
        "cancelled", "lost",
    ]  # fmt: skip
    history = History(outbox.pool)
    for run_id, envelope in runs.items():
        assert (await history.envelope(run_id) or b"").strip(b" \r\n") == envelope.strip(b" \r\n")


async def test_a_run_that_ends_twice_has_its_last_one(outbox: Outbox) -> None:
    run_id = new_run_id()
    for attempt, text in ((1, b'{"n":1}'), (2, b'{"n":2}')):
        await outbox.put(record(run_id, attempt, outcome=Outcome.FAILED, envelope=msgspec.Raw(text)))
        await outbox.recorder.drain_once()
    assert await History(outbox.pool).envelope(run_id) == b'{"n":2}'


async def test_what_nobody_of_ours_wrote_stops_nothing(outbox: Outbox) -> None:
    run_id = new_run_id()
    raw = msgspec.json.encode([record(run_id, envelope=msgspec.Raw(b'"a\\qb"'))])
    await outbox.put_raw(raw)
    await outbox.put(record(envelope=msgspec.Raw(b"null")))
    stored = await outbox.recorder.drain_once()
    assert stored + len(await outbox.parked()) == 2
    assert await outbox.is_empty()


async def test_a_kept_failure_keeps_its_envelope(outbox: Outbox) -> None:
    today = datetime.now(UTC).date()
    at = now_ms() - 20 * 86_400_000
    bad, good = (
        record(new_run_id(at), outcome=outcome, envelope=msgspec.Raw(b'{"type":"j"}'))
        for outcome in (Outcome.FAILED, Outcome.SUCCEEDED)
    )
    await outbox.put(bad, good)
    await outbox.recorder.drain_once()
    await keep_house(outbox.pool, 30, 90, today=today)
    assert await outbox.one("select count(*) from cronsole.run_envelope_late") == 0
    history = History(outbox.pool)
    assert await history.envelope(good.run_id) == b'{"type":"j"}'
    await keep_house(outbox.pool, 10, 90, today=today)
    assert await history.envelope(good.run_id) is None
    assert await history.envelope(bad.run_id) == b'{"type":"j"}'
    await keep_house(outbox.pool, 10, 15, today=today + timedelta(days=1))
    assert await history.envelope(bad.run_id) is None


def test_the_short_way_is_the_common_one() -> None:
    assert b'"envelope":' + ODD["plain"] in settled(ODD["plain"], new_run_id())
