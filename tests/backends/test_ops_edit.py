"""Edit and replay: of dead letters, of past runs; and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from backends.errors import BadInputError
from backends.model import new_run_id
from backends.ops import Ops
from backends.queues.streams import StreamQueue
from tests.backends.history_helpers import Outbox, record
from tests.backends.ops_helpers import bury, there
from tests.contract.helpers import dead, run, take_one


class TestEdit:
    """Edit and replay; replay from history."""

    async def test_edit_and_undo(self, ops: Ops, queue: StreamQueue) -> None:
        """A new run with the producer's other keys; the letter is back after an undo."""
        (run_id,) = await bury(queue, 1)
        (letter,) = (await ops.dead_list()).items
        new = await ops.dead_replay(letter, {"n": 2}, hold_s=0)
        assert await ops.dead_list() == replace(await ops.dead_list(), items=(), total=0)
        d = await take_one(queue)
        envelope = msgspec.json.decode(d.envelope)
        assert d.run_id == new.run_id != run_id
        assert {k: envelope[k] for k in ("id", "type", "payload", "trigger", "replayOf", "x-unknown", "attempts")} == {
            "id": "77", "type": "send_email", "payload": {"n": 2}, "trigger": "replay", "replayOf": run_id,
            "x-unknown": [1, 2], "attempts": 0,
        }  # fmt: skip
        with pytest.raises(BadInputError, match="nothing left"):
            await ops.undo(new.receipt)
        (run_id,) = await bury(queue, 1)
        (letter,) = (await ops.dead_list()).items
        held = await ops.dead_replay(letter, {"n": 3})
        assert (await ops.undo(held.receipt)).changed == 1
        assert (await ops.dead_list()).items == (letter,)

    @pytest.mark.parametrize("spelled", [str.upper, lambda r: r.replace("-", ""), "{{{}}}".format, " {} ".format])
    async def test_another_spelling_of_an_id(self, ops: Ops, queue: StreamQueue, spelled: Callable[[str], str]) -> None:
        """It is the same run, in whatever is asked or done: a replay of a dead letter takes it off the list."""
        (run_id,) = await bury(queue, 1)
        asked = spelled(run_id)
        assert (await ops.dead_show(asked)).id == run_id
        assert await ops.find(asked) == "dead"
        assert (await ops.run_page(asked)).run_id == run_id
        assert await ops.run_place(asked) == await ops.run_place(run_id) is not None
        assert "cronsole dead retry " + run_id in (await ops.why(asked)).reasons[0]
        assert await ops.run_envelope(asked) == await ops.run_envelope(run_id) is not None
        await ops.servers.redis.xadd(f"{queue.prefix}log:{run_id}", {"d": "hello"})
        assert (await ops.run_log("mail", asked)).chunks == (b"hello",)
        await ops.replay(asked)
        assert await there(queue) == {"later": 1}

    async def test_refused(self, ops: Ops, queue: StreamQueue) -> None:
        """It was retried, it died again, the payload is too large or can't travel."""
        (run_id,) = await bury(queue, 1)
        (letter,) = (await ops.dead_list()).items
        for payload in ({"x": "y" * 1_000_000}, {"x": "\0"}, {"x": float("nan")}):
            if payload["x"] == payload["x"]:
                with pytest.raises(BadInputError, match="payload can't be used"):
                    await ops.dead_replay(letter, payload)
        await ops.dead_retry([run_id], hold_s=0)
        with pytest.raises(BadInputError, match="is not dead any more"):
            await ops.dead_replay(letter, {})
        await queue.settle("w1", [dead(await take_one(queue))])
        with pytest.raises(BadInputError, match="has died again since"):
            await ops.dead_replay(letter, {})
        assert await there(queue) == {"dead": 1}
        assert len([op for op in await ops.operations() if op.verb == "dead_replay"]) == 0

    async def test_an_envelope_that_is_none(self, ops: Ops, queue: StreamQueue) -> None:
        """Can be replaced, not repeated."""
        await queue.enqueue([run("send_email", envelope=b"\xff no json")])
        await queue.settle("w1", [dead(await take_one(queue))])
        (letter,) = (await ops.dead_list()).items
        with pytest.raises(BadInputError, match="no payload"):
            await ops.replay(letter.id)
        new = await ops.replay(letter.id, {"to": "ada"})
        assert msgspec.json.decode(await queue_envelope(ops, queue, new.run_id))["payload"] == {"to": "ada"}

    async def test_replay_refuses_what_has_not_ended(self, ops: Ops) -> None:
        """And what nobody knows."""
        waiting = await ops.trigger("send_email")
        with pytest.raises(BadInputError, match="has not ended: it is ready"):
            await ops.replay(waiting.run_id)
        with pytest.raises(BadInputError, match="no run"):
            await ops.replay(new_run_id())


async def queue_envelope(ops: Ops, queue: StreamQueue, run_id: str) -> bytes:
    """Of a run that is held."""
    packed = await ops.servers.redis.hget(f"{queue.prefix}held", run_id)
    return str(msgspec.msgpack.decode(packed)[5]).encode()


class TestReplay:
    """Of a past run, from history."""

    async def test_as_it_was_and_with_another_payload(self, ops: Ops, queue: StreamQueue) -> None:
        """Also one that succeeded: a new run of its job, linked; its undo takes it out again."""
        envelope = b'{"id":"9","type":"send_email","payload":{"n":5},"x-unknown":[1]}'
        past = record(job="send_email", queue="mail", envelope=msgspec.Raw(envelope))
        outbox = Outbox(ops.servers, await ops.servers.pool())
        await outbox.put(past)
        await outbox.recorder.drain_once()
        assert await ops.run_envelope(past.run_id) == envelope
        first = await ops.replay(past.run_id)
        second = await ops.replay(past.run_id, {"n": 6})
        assert (await ops.undo(second.receipt)).changed == 1
        third = await ops.replay(past.run_id, {"n": 7})
        for new, n in ((first, 5), (third, 7)):
            d = await take_one(queue)
            told = msgspec.json.decode(d.envelope)
            assert (d.run_id, told["payload"], told["x-unknown"]) == (new.run_id, {"n": n}, [1])
            assert (told["replayOf"], told["trigger"], told["type"]) == (past.run_id, "replay", "send_email")
        assert [op.verb for op in await ops.operations()] == ["replay", "replay", "replay"]

    async def test_without_an_envelope(self, ops: Ops) -> None:
        """It says how else to start one."""
        past = record(job="send_email", queue="mail")
        outbox = Outbox(ops.servers, await ops.servers.pool())
        await outbox.put(past)
        await outbox.recorder.drain_once()
        assert await ops.run_envelope(past.run_id) is None
        with pytest.raises(BadInputError, match="was not kept; `cronsole trigger`"):
            await ops.replay(past.run_id)
