"""Operations whose driver slept, or was killed between two of its calls: nothing is lost, and what is told is so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from backends.connect import Settings
from backends.errors import BadInputError
from backends.history.archive_trash import ArchiveTrash
from backends.model import now_ms
from backends.ops import Ops, Selection
from backends.ops.kinds import BEAT_MS
from backends.ops.record import Stored
from backends.queues.keys import ops_key
from backends.queues.streams import StreamQueue
from tests.backends.ops_helpers import bury_many, there, to_archive

BOOM = Selection(error="boom")


class Killed(BaseException):
    """As by kill -9: nothing is tidied up."""


@pytest.fixture
async def bob(settings: Settings, ops: Ops) -> AsyncIterator[Ops]:
    """Another operator over the same servers."""
    async with Ops.open(settings) as other:
        yield other


class Driver(Ops):
    """One that does something else after its first step, or is killed there."""

    killed = False

    async def _asked(self, op: Stored) -> bool:
        asked = await super()._asked(op)
        if op.changed >= self.after and not self.met:
            self.met = True
            await self.meanwhile(op)
        return asked

    after, met = 1, False

    async def meanwhile(self, op: Stored) -> None:
        """What happens there."""
        self.killed = True
        raise Killed

    async def _end(self, op: Stored) -> None:
        if not self.killed:
            await super()._end(op)


async def old(ops: Ops, receipt: str) -> None:
    """Nobody has heard of its driver for long."""
    for name, field in ((ops_key(ops.namespace), "beat_ms"), (f"{ops_key(ops.namespace)}:asked", "at_ms")):
        if found := await ops.servers.redis.hget(name, receipt):
            told = msgspec.json.decode(found) | {field: now_ms() - BEAT_MS - 1}
            await ops.servers.redis.hset(name, receipt, msgspec.json.encode(told))


async def killed(work: Any) -> None:
    with pytest.raises(Killed):
        await work


async def two_queues(ops: Ops, count: int) -> tuple[Any, ...]:
    for name in ("default", "mail"):
        await bury_many(ops.live.queue(name), count)
    return (await ops.dead_list(10 * count)).items


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("verb", ["dead_retry", "dead_purge"])
async def test_a_driver_that_slept_while_another_went_on_with_it(ops: Ops, bob: Ops, verb: str, after: int) -> None:
    """It writes nothing any more and says why; the record is of who went on, and the undo brings all of it back."""
    before = await two_queues(ops, 150)

    class Sleeper(Driver):
        async def meanwhile(self, op: Stored) -> None:
            await old(bob, op.id)
            assert (await bob.resume_operation(op.id)).changed == 300

    sleeper = Sleeper(ops.servers)
    sleeper.after = after
    result = await getattr(sleeper, verb)(BOOM)
    assert result.changed <= 100
    (op,) = await bob.operations()
    assert any(f"{op.id}: somebody else goes on with it" in told for told in sleeper.warnings)
    assert (op.state, op.changed) == ("done", 300)
    assert (await bob.undo(op.id)).changed == 300
    assert (await bob.dead_list(1000)).items == before
    verbs = [a.verb for a in (await bob.actions()).items]
    assert sorted(verbs) == sorted([verb, "undo"])


async def test_only_one_goes_on_with_what_was_left(ops: Ops, bob: Ops) -> None:
    """And only one takes it back."""
    await two_queues(ops, 150)
    driver = Driver(ops.servers)
    await killed(driver.dead_purge(BOOM))
    (op,) = await ops.operations()
    await old(ops, op.id)
    answers = await asyncio.gather(
        ops.resume_operation(op.id), bob.resume_operation(op.id), return_exceptions=True
    )  # fmt: skip
    assert sorted(type(answer).__name__ for answer in answers) == ["ActionResult", "BadInputError"]
    answers = await asyncio.gather(ops.undo(op.id), bob.undo(op.id), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["ActionResult", "BadInputError"]
    assert await ops.dead_count(BOOM) == 300
    assert [a.verb for a in (await ops.actions()).items].count("undo") == 1


async def test_an_undo_that_was_left_is_finished_by_an_engine(
    ops: Ops, bob: Ops, queue: StreamQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Redis and in the archive; it stands in the audit once, with who began it and all that came back."""
    await bury_many(queue, 500)
    await to_archive(ops, queue, 300)
    before = (await ops.dead_list(1000)).items
    receipt = (await ops.dead_purge(Selection(queue="mail"))).receipt or ""

    async def kill(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(ArchiveTrash, "give_back", kill)
        await killed(bob.undo(receipt))
    assert bob.warnings == [f"stopped half-way: an engine goes on with it, or `cronsole undo {receipt}`"]
    (op,) = await ops.operations(unfinished=True)
    assert op.state == "undoing"
    assert await ops.finish_undos() == 0, "it may still be at work"
    await old(ops, receipt)
    assert sum(await asyncio.gather(ops.finish_undos(), bob.finish_undos())) >= 1
    assert (await ops.dead_list(1000)).items == before
    assert await ops.operations(unfinished=True) == ()
    (told,) = await ops.operations()
    assert (told.state, told.undone) == ("undone", 500)
    undone = [(a.verb, a.matched, a.changed) for a in (await ops.actions()).items if a.verb == "undo"]
    assert undone == [("undo", 500, 500)]
    assert await ops.finish_undos() == 0


async def test_steps_that_an_engine_took_are_counted(ops: Ops, queue: StreamQueue) -> None:
    await bury_many(queue, 450)
    receipt = (await ops.dead_retry(BOOM)).receipt or ""
    hot = StreamQueue(ops.servers.redis, ops.namespace, "mail")
    engines: list[asyncio.Task[int]] = []
    result = await ops.undo(receipt, lambda _: engines.append(asyncio.ensure_future(hot.sweep(now_ms()))))
    assert sum(await asyncio.gather(*engines)) > 0
    assert (result.matched, result.changed, result.note) == (450, 450, "")


async def test_a_run_that_was_moved_can_be_taken_back_once_it_is_back(ops: Ops, queue: StreamQueue) -> None:
    """A refused undo destroys nothing, and says what is so."""
    (run_id,) = await bury_many(queue, 1)
    before = (await ops.dead_list()).items
    retry = (await ops.dead_retry([run_id], hold_s=3600)).receipt or ""
    moved = (await ops.move([run_id], "default")).receipt or ""
    for _ in range(2):
        with pytest.raises(BadInputError, match=r"nothing left to take back: 1 has ended, or been moved or cancelled"):
            await ops.undo(retry)
    await ops.undo(moved)
    assert (await ops.undo(retry)).changed == 1
    assert (await ops.dead_list()).items == before
    assert await there(queue) == {"dead": 1}


async def test_a_new_run_that_was_moved(ops: Ops) -> None:
    """The same."""
    new = await ops.trigger("send_email")
    moved = await ops.move([new.run_id], "default")
    with pytest.raises(BadInputError, match="nothing left to take back"):
        await ops.undo(new.receipt)
    await ops.undo(moved.receipt or "")
    assert (await ops.undo(new.receipt)).changed == 1
    assert await there(ops.live.queue("mail")) == {}


@pytest.mark.parametrize("verb", ["cancel", "bump"])
async def test_killed_after_its_only_call(ops: Ops, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record does not tell that it was done; the queue does."""
    runs = [(await ops.trigger("send_email")).run_id for _ in range(2)]
    driver = Driver(ops.servers)
    real = getattr(StreamQueue, verb)

    async def then_die(self: StreamQueue, run_id: str, *more: Any) -> Any:
        answer = await real(self, run_id, *more)
        if answer != "unknown":
            driver.killed = True
            raise Killed
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(StreamQueue, verb, then_die)
        await killed(getattr(driver, verb)(runs[1]))
    (op,) = [op for op in await ops.operations() if op.verb == verb]
    await old(ops, op.id)
    assert (await ops.undo(op.id)).changed == 1
    assert await there(ops.live.queue("mail")) == {"ready": 2}
    if verb == "bump":
        (taken,) = (await ops.live.queue("mail").take("w1", 1)).deliveries
        assert taken.run_id == runs[0]


async def test_a_bump_that_was_killed_before_it_began(ops: Ops) -> None:
    driver = Driver(ops.servers)

    async def kill(_: str) -> tuple[str, str]:
        driver.killed = True
        raise Killed

    driver._queued = kill  # type: ignore[method-assign]
    await killed(driver.bump("01900000-0000-7000-8000-000000000000"))
    (op,) = await ops.operations()
    await old(ops, op.id)
    with pytest.raises(BadInputError, match="interrupted before it began"):
        await ops.undo(op.id)


@pytest.mark.parametrize("how", ["stop", "undo"])
async def test_enqueue_hears_that_it_is_not_wanted_any_more(ops: Ops, bob: Ops, how: str) -> None:
    """It tells of those that are in, and of no other."""

    class Feeder(Driver):
        async def meanwhile(self, op: Stored) -> None:
            if how == "stop":
                await bob.stop_operation(op.id)
            else:
                await old(bob, op.id)
                assert (await bob.undo(op.id)).changed == 200

    feeder = Feeder(ops.servers)
    new = await feeder.enqueue("mail", "send_email", ({"n": n} for n in range(1000)))
    (op,) = await bob.operations()
    assert op.id == new.receipt
    entered = 0 if how == "undo" else len(new.run_ids)
    assert await there(ops.live.queue("mail")) == ({"ready": entered} if entered else {})
    assert len(new.run_ids) < 1000
    assert op.state == {"stop": "stopped", "undo": "undone"}[how]
    assert feeder.warnings


async def test_ids_are_taken_in_every_spelling(ops: Ops, queue: StreamQueue) -> None:
    """As history takes them: upper case, braces."""
    one, two, three = [(await ops.trigger("send_email")).run_id for _ in range(3)]
    assert (await ops.cancel(one.upper())).note == "cancelled"
    assert (await ops.bump(f"{{{two}}}")).changed == 1
    assert (await ops.move([three.upper()], "default")).changed == 1
    letter, *_ = await bury_many(ops.live.queue("default"), 1)
    assert (await ops.dead_purge([letter.upper()])).changed == 1
