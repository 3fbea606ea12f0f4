"""The audit in history: an action is noted once, whichever way it comes, whatever its words are."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from backends.connect import Servers
from backends.errors import BadInputError
from backends.history import History, streams
from backends.model import ActionRecord, Outcome, new_run_id, now_ms, to_ms
from tests.backends.history_helpers import Outbox, record


@pytest.fixture
async def outbox(connected: Servers) -> Outbox:
    return Outbox(connected, await connected.pool())


def action(**more: Any) -> ActionRecord:
    values: dict[str, Any] = {
        "key": str(uuid4()), "at_ms": 1_764_000_000_123, "who": "ana@web-1", "verb": "dead_purge",
        "target": {"queue": "q"}, "matched": 3, "changed": 2,
    }  # fmt: skip
    return ActionRecord(**(values | more))


async def test_an_action_that_waited_in_an_outbox(outbox: Outbox) -> None:
    noted = action(receipt="01ABC", note="two were gone")
    await streams.put(outbox.redis, outbox.key, [noted])
    await outbox.put(record(), action(), record(outcome=Outcome.FAILED))
    assert await outbox.recorder.drain_once() == 2
    second, first = await History(outbox.pool).actions()
    assert first[2:] == ("ana@web-1", "dead_purge", {"queue": "q"}, 3, 2, "01ABC", "two were gone")
    assert to_ms(first[1]) == noted.at_ms, "when it was done, not when it was noted"
    assert second[7:] == (None, "")
    assert await outbox.is_empty()


async def test_noted_once_however_often_it_comes(outbox: Outbox) -> None:
    noted, attempt = action(), record()
    history = History(outbox.pool)
    await history.write_action("ana", "dead_purge", {}, 3, 2, key=noted.key)
    await outbox.put(noted, noted, attempt)
    await outbox.recorder.drain_once()
    await outbox.put(attempt, noted)
    await outbox.recorder.drain_once()
    await history.write_action("ana", "dead_purge", {}, 3, 2, key=noted.key)
    assert [row[2] for row in await history.actions()] == ["ana"]
    await history.write_action("ana", "dead_purge", {}, 3, 2)
    await history.write_action("ana", "dead_purge", {}, 3, 2)
    assert len(await history.actions()) == 3, "without a key each call is an action"


async def test_words_that_jsonb_does_not_take(outbox: Outbox) -> None:
    target = {"error\0": ["a\0b", {"\0": 1}], "n": 2, "none": None}
    await outbox.put(action(target=target, note="c\0", who="d\0"), record())
    assert await outbox.recorder.drain_once() == 1
    await History(outbox.pool).write_action("e\ud800", "x", {"half": "\ud800"}, 1, 1, note="f")
    other, first = await History(outbox.pool).actions()
    assert (first[2], first[4], first[8]) == ("d␀", {"error␀": ["a␀b", {"␀": 1}], "n": 2, "none": None}, "c␀")
    assert (other[2], other[4]) == ("e?", {"half": "?"})


@pytest.mark.parametrize("bad", [{"key": "no uuid"}, {"matched": 2**40}])
async def test_one_that_can_not_be_stored_is_parked(outbox: Outbox, bad: dict[str, Any]) -> None:
    await outbox.put(record(), action(**bad), action(), record())
    assert await outbox.recorder.drain_once() == 2
    assert len(await outbox.parked()) == 1
    assert len(await History(outbox.pool).actions()) == 1


async def test_a_full_redis_takes_an_action(outbox: Outbox) -> None:
    await outbox.redis.config_set("maxmemory", 1)
    try:
        await streams.put(outbox.redis, outbox.key, [action()])
        await outbox.recorder.drain_once()
    finally:
        await outbox.redis.config_set("maxmemory", 0)
    assert len(await History(outbox.pool).actions()) == 1


async def test_replays_of_a_run(outbox: Outbox) -> None:
    history = History(outbox.pool)
    first = new_run_id(now_ms() - 60_000)
    again, third = new_run_id(now_ms() - 30_000), new_run_id()
    await outbox.put(
        record(first, outcome=Outcome.FAILED),
        *(record(again, n, outcome=Outcome.FAILED, final=n == 3, replay_of=first) for n in (1, 2, 3)),
        record(third, replay_of=first), record(replay_of=again), record(),
    )  # fmt: skip
    await outbox.recorder.drain_once()
    found = await history.replays_of(first.upper())
    assert [(row.run_id, row.attempt, row.outcome) for row in found] == [(third, 1, "succeeded"), (again, 3, "failed")]
    assert [row.run_id for row in await history.replays_of(first, limit=1)] == [third]
    assert await history.replays_of(third) == ()
    with pytest.raises(BadInputError):
        await history.replays_of("x")


async def test_runs_of_an_error_group(outbox: Outbox) -> None:
    groups = ("aaaa000011112222", "bbbb000011112222")
    await outbox.put(*(record(outcome=Outcome.FAILED, fingerprint=groups[n % 2], job=f"j{n}") for n in range(5)))
    await outbox.put(record())
    await outbox.recorder.drain_once()
    history = History(outbox.pool)
    assert {row.job for row in (await history.runs(group=groups[0])).items} == {"j0", "j2", "j4"}
    assert [row.job for row in (await history.runs(group=groups[1], job="j3", outcomes=["failed"])).items] == ["j3"]
    first = await history.runs(2, group=groups[0])
    assert len((await history.runs(2, first.next_cursor, group=groups[0])).items) == 1
