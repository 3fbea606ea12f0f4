"""Operations through Ops: what they do, how they stop and go on, and how they are taken back."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from backends.connect import Settings
from backends.errors import BadInputError, RefusedError
from backends.model import now_ms
from backends.ops import Marked, Ops, Progress, Selection
from backends.ops.kinds import BEAT_MS, new_receipt, read_receipt
from backends.ops.record import KEPT_MS, Stored
from backends.queues.streams import StreamQueue
from tests.backends.ops_helpers import bury, bury_many, there
from tests.contract.helpers import dead, done, take_one

ALL = Selection(everything=True)


@pytest.fixture
async def bob(settings: Settings, ops: Ops) -> AsyncIterator[Ops]:
    """Another operator over the same servers."""
    async with Ops.open(settings) as other:
        yield other


class TestReceipts:
    """Short, typeable, sorted by time."""

    def test_they_sort_and_read_back(self) -> None:
        """However they are typed."""
        made = [new_receipt(at) for at in range(1_700_000_000_000, 1_700_000_000_400, 7)]
        assert made == sorted(made)
        assert len(set(made)) == len(made)
        for receipt in made:
            assert read_receipt(f" {receipt.upper()[:4]}-{receipt[4:].replace('1', 'l').replace('0', 'O')} ") == receipt

    @pytest.mark.parametrize("text", ["", "x", "0" * 12, "u" * 11, "\x1b" * 11])
    async def test_nonsense(self, ops: Ops, text: str) -> None:
        """Is bad input, wherever a receipt is taken."""
        for act in (ops.undo, ops.resume_operation, ops.stop_operation):
            with pytest.raises(BadInputError, match="is no receipt"):
                await act(text)

    async def test_unknown(self, ops: Ops) -> None:
        """One that nobody got."""
        with pytest.raises(BadInputError, match="no operation"):
            await ops.undo(new_receipt())


class TestRetry:
    """Held, spaced, taken back."""

    async def test_hold_and_undo(self, ops: Ops, queue: StreamQueue) -> None:
        """It waits, and is a letter again with its old sequence; the audit has both."""
        ids = await bury(queue, 3)
        before = (await ops.dead_list()).items
        result = await ops.dead_retry(ALL)
        assert (result.matched, result.changed, result.note) == (3, 3, "")
        assert await there(queue) == {"later": 3}
        assert result.receipt
        back = await ops.undo(result.receipt)
        assert (back.matched, back.changed, back.note) == (3, 3, "")
        assert (await ops.dead_list()).items == before
        assert await there(queue) == {"dead": 3}
        assert {d.id for d in before} == set(ids)
        async with ops.history() as history:
            assert [(r[3], r[5], r[6]) for r in await history.actions()] == [("undo", 3, 3), ("dead_retry", 3, 3)]

    async def test_rate(self, ops: Ops, queue: StreamQueue) -> None:
        """Oldest first, due so many a second, over the steps."""
        ids = await bury_many(queue, 450)
        at = now_ms()
        result = await ops.dead_retry(Selection(queue="mail"), rate=50, hold_s=2)
        due = await ops.servers.redis.zrange(f"{queue.prefix}later", 0, -1, withscores=True)
        assert [run_id.decode() for run_id, _ in due] == ids
        assert at + 2000 <= due[0][1] <= now_ms() + 2000
        gaps = [b[1] - a[1] for a, b in itertools.pairwise(due)]
        assert min(gaps) == max(gaps) == 20
        (op,) = await ops.operations()
        assert (op.id, op.rate, op.state, op.total) == (result.receipt, 50, "done", 450)
        assert op.until_ms >= due[-1][1] + 3_600_000

    async def test_started_ones_are_left_alone(self, ops: Ops, queue: StreamQueue) -> None:
        """And counted; when all have started there is nothing to take back."""
        await bury(queue, 3)
        receipt = (await ops.dead_retry(ALL, hold_s=0)).receipt or ""
        first = await take_one(queue)
        second = await take_one(queue)
        await queue.settle("w1", [done(second)])
        result = await ops.undo(receipt)
        assert (result.matched, result.changed, result.note) == (
            3, 1, "1 had started and goes on, 1 has ended, or been moved or cancelled"
        )  # fmt: skip
        (told,) = await ops.operations()
        assert (told.state, told.undone, told.changed) == ("undone", 1, 3)
        assert await there(queue) == {"running": 1, "dead": 1}
        await queue.settle("w1", [done(first)])
        receipt = (await ops.dead_retry(ALL, hold_s=0)).receipt or ""
        await take_one(queue)
        with pytest.raises(BadInputError, match="nothing left to take back: 1 had started"):
            await ops.undo(receipt)
        assert (await ops.operation(receipt)).state == "gone on"
        assert [a.verb for a in (await ops.actions()).items] == ["dead_retry", "undo", "dead_retry"]

    async def test_an_interrupt_at_the_end_does_not_hide_the_receipt(
        self, ops: Ops, queue: StreamQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All steps are over, the audit is being written."""
        await bury(queue, 3)

        async def interrupted(*_: Any, **__: Any) -> None:
            raise asyncio.CancelledError

        monkeypatch.setattr(ops, "_audit", interrupted)
        with pytest.raises(asyncio.CancelledError):
            await ops.dead_retry(ALL)
        (op,) = await ops.operations()
        assert ops.warnings[-1] == f"3 dead letters were put back; `cronsole undo {op.id}` takes it back"

    async def test_bad_rates_and_holds(self, ops: Ops) -> None:
        """Say what is right."""
        for bad in ({"rate": 0.0}, {"rate": -1.0}, {"rate": float("inf")}, {"hold_s": -1.0}, {"hold_s": 1e9}):
            with pytest.raises(BadInputError):
                await ops.dead_retry(ALL, **bad)

    async def test_an_id_that_died_again(self, ops: Ops, queue: StreamQueue) -> None:
        """A marked letter is one death; another one of the same run is not meant."""
        (run_id,) = await bury(queue, 1)
        (letter,) = (await ops.dead_list()).items
        await ops.dead_retry([run_id], hold_s=0)
        await queue.settle("w1", [dead(await take_one(queue))])
        result = await ops.dead_retry(Marked((("mail", run_id, letter.sequence),)))
        assert (result.matched, result.changed) == (0, 0)
        assert (await ops.dead_purge([run_id])).changed == 1


class TestPurge:
    """Gone, and back."""

    async def test_some_and_undo(self, ops: Ops, queue: StreamQueue) -> None:
        """By a filter: in steps."""
        await bury_many(queue, 250)
        (kept,) = await bury(queue, 1, error="other")
        before = (await ops.dead_list(1000)).items
        result = await ops.dead_purge(Selection(error="boom"))
        assert (result.matched, result.changed) == (250, 250)
        assert [d.id for d in (await ops.dead_list()).items] == [kept]
        assert (await ops.undo(result.receipt or "")).changed == 250
        assert (await ops.dead_list(1000)).items == before

    async def test_all_and_undo_after_new_deaths(self, ops: Ops, queue: StreamQueue) -> None:
        """Frozen: what died after the count stays; the undo puts the old ones below the new."""
        old = await bury(queue, 3) + await bury(ops.live.queue("default"), 2)
        frozen = await ops.freeze(ALL)
        late = await bury(queue, 2)
        assert await ops.dead_count(frozen) == 5
        result = await ops.dead_purge(frozen)
        assert (result.matched, result.changed) == (5, 5)
        assert {d.id for d in (await ops.dead_list()).items} == set(late)
        newest = await bury(queue, 1)
        assert (await ops.undo(result.receipt or "")).changed == 5
        assert {d.id for d in (await ops.dead_list()).items} == {*old, *late, *newest}
        with pytest.raises(BadInputError, match=r"was taken back already, by .*@.* at 20"):
            await ops.undo(result.receipt or "")

    async def test_of_one_queue(self, ops: Ops, queue: StreamQueue) -> None:
        """The other is left."""
        await bury(queue, 2)
        kept = await bury(ops.live.queue("default"), 2)
        assert (await ops.dead_purge(Selection(queue="mail"))).changed == 2
        assert {d.id for d in (await ops.dead_list()).items} == set(kept)

    async def test_the_time_of_an_undo_ends(self, ops: Ops, queue: StreamQueue) -> None:
        """Then it says since when; a day later it is not known any more."""
        await bury(queue, 1)
        receipt = (await ops.dead_purge(ALL)).receipt or ""
        op = await ops.records.get(receipt)
        assert op
        op.until_ms = now_ms() - 1
        await ops.records.save(op)
        assert (await ops.operations())[0].state == "expired"
        with pytest.raises(BadInputError, match=f"the time to take {receipt} back ended at 20"):
            await ops.undo(receipt)
        op.until_ms -= KEPT_MS
        await ops.records.save(op)
        await bury(queue, 1)
        await ops.dead_purge(ALL)
        with pytest.raises(BadInputError, match="no operation"):
            await ops.undo(receipt)


class TestSteps:
    """Stop, go on, crash."""

    @pytest.mark.parametrize("verb", ["dead_retry", "dead_purge"])
    async def test_a_driver_that_is_cancelled_is_gone_on_with(self, ops: Ops, queue: StreamQueue, verb: str) -> None:
        """Nothing twice, nothing lost, the counts are those of the whole."""
        ids = await bury_many(queue, 450)
        act: Callable[..., Awaitable[Any]] = getattr(ops, verb)

        async def stopped() -> None:
            task = asyncio.current_task()
            assert task
            await act(Selection(error="boom"), progress=lambda _: task.cancel() and None)

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(stopped())
        (op,) = await ops.operations(unfinished=True)
        assert (op.state, op.changed, op.total) == ("stopped", 100, 450)
        late = await bury(queue, 2)
        told: list[Progress] = []
        result = await ops.resume_operation(op.id, told.append)
        assert (result.matched, result.changed, result.receipt) == (450, 450, op.id)
        assert (told[-1].changed, told[-1].receipt) == (450, op.id)
        assert {d.id for d in (await ops.dead_list()).items} == set(late)
        assert (await ops.operations())[0].state == "done"
        assert await ops.operations(unfinished=True) == ()
        rows = [(a.verb, a.receipt) for a in (await ops.actions()).items]
        assert rows == [("ops_resume", None), (verb, op.id)]  # one that can be taken back
        assert (await ops.undo(op.id)).changed == 450
        assert {d.id for d in (await ops.dead_list(1000)).items} == {*ids, *late}
        with pytest.raises(BadInputError, match=r"can't be gone on with: (retry|purge) dead is undone"):
            await ops.resume_operation(op.id)

    async def test_marked_ones_are_gone_on_with(self, ops: Ops, queue: StreamQueue) -> None:
        """Their list is kept as long as it is needed."""
        await bury_many(queue, 450)
        marked = Marked(tuple((d.queue, d.id, d.sequence) for d in (await ops.dead_list(1000)).items[::2]))

        def stop(_: Progress) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await ops.dead_retry(marked, progress=stop)
        (op,) = await ops.operations(unfinished=True)
        assert (await ops.resume_operation(op.id)).changed == 225
        assert await there(queue) == {"later": 225, "dead": 225}
        assert await ops.records.marked(op.id) is None

    async def test_stopped_by_another(self, ops: Ops, bob: Ops, queue: StreamQueue) -> None:
        """After a step; then it can be gone on with by anybody."""
        await bury_many(queue, 450)
        asked: list[asyncio.Task[Any]] = []

        def stop(p: Progress) -> None:
            if not asked:
                asked.append(asyncio.ensure_future(bob.stop_operation(p.receipt)))

        await ops.dead_retry(Selection(error="boom"), progress=stop)
        assert (await asked[0]).note == "it stops after its step"
        (op,) = await bob.operations()
        assert op.state == "stopped"
        assert 0 < op.changed < 450
        with pytest.raises(BadInputError, match="does not run: it is stopped"):
            await bob.stop_operation(op.id)
        assert (await bob.resume_operation(op.id)).changed == 450

    async def test_one_that_is_at_work_is_neither_driven_nor_undone_by_another(
        self, ops: Ops, bob: Ops, queue: StreamQueue
    ) -> None:
        """Until its driver was not heard of for long."""
        await bury(queue, 2)
        receipt = (await ops.dead_retry(ALL)).receipt or ""
        op = await ops.records.get(receipt)
        assert op
        op.state = "running"
        await ops.records.save(op)
        for act in (bob.undo, bob.resume_operation):
            with pytest.raises(BadInputError, match="is at work, driven by"):
                await act(receipt)
        await left_alone(ops, op)
        assert (await bob.resume_operation(receipt)).changed == 2
        assert (await bob.operations())[0].state == "done"

    async def test_a_driver_that_slept_through_an_undo_changes_nothing(
        self, ops: Ops, bob: Ops, queue: StreamQueue
    ) -> None:
        """It wakes, and everything is as the undo has left it."""
        await bury_many(queue, 450)
        undone: list[str] = []

        class Sleeper(Ops):
            async def _asked(self, op: Stored) -> bool:
                if await super()._asked(op):
                    return True
                if op.changed and not undone:  # between its look and its step
                    undone.append(op.id)
                    await left_alone(bob, op)
                    assert (await bob.undo(op.id)).changed == 100
                return False

        sleeper = Sleeper(ops.servers)
        result = await sleeper.dead_retry(Selection(error="boom"))
        assert undone
        assert result.changed == 100
        assert await there(queue) == {"dead": 450}
        assert (await bob.operations())[0].state == "undone"


async def left_alone(ops: Ops, op: Stored) -> None:
    """As if its driver had not been heard of for long."""
    stored = {**msgspec.to_builtins(op), "beat_ms": now_ms() - BEAT_MS - 1}
    await ops.servers.redis.hset(f"cronsole:{{{ops.namespace}}}:ops", op.id, msgspec.json.encode(stored))


async def test_one_that_is_left_counts_what_its_queues_have(ops: Ops, queue: StreamQueue) -> None:
    """Its driver was killed before it could write how far it was."""
    await bury(queue, 3)
    receipt = (await ops.dead_purge(Selection(error="boom"))).receipt
    op = await ops.records.get(receipt or "")
    assert op
    op.state, op.changed = "running", 0
    await left_alone(ops, op)
    (told,) = await ops.operations()
    assert (told.left(now_ms()), told.changed) == (True, 3)


class TestTwo:
    """Two operators at once."""

    async def test_the_same_group(self, ops: Ops, bob: Ops, queue: StreamQueue) -> None:
        """Each letter goes once; each is told how many were there no more."""
        await bury_many(queue, 1000)
        frozen = [replace(await each.freeze(Selection(group="a" * 4 + "0000" + "1111" + "2222")), counted=1000)
                  for each in (ops, bob)]  # fmt: skip
        one, two = await asyncio.gather(ops.dead_retry(frozen[0]), bob.dead_purge(frozen[1]))
        assert one.matched == two.matched == 1000
        assert one.changed + two.changed == 1000
        assert {one.note, two.note} == {words(1000 - one.changed), words(1000 - two.changed)}
        assert await there(queue) == ({"later": one.changed} if one.changed else {})
        for each, result in ((ops, two), (bob, one)):
            if result.receipt:
                await each.undo(result.receipt)
        assert await there(queue) == {"dead": 1000}

    async def test_what_is_gone_already(self, ops: Ops, bob: Ops, queue: StreamQueue) -> None:
        """The second has nothing to do, and no receipt."""
        ids = await bury(queue, 3)
        frozen = replace(await bob.freeze(ALL), counted=3)
        await ops.dead_retry(ids[:2])
        two = await bob.dead_purge(frozen)
        assert (two.matched, two.changed, two.note) == (3, 1, "2 were there no more")
        three = await bob.dead_purge(frozen)
        assert (three.matched, three.changed, three.receipt, three.note) == (3, 0, None, "3 were there no more")


def words(gone: int) -> str:
    """What is said of them."""
    return "" if not gone else "1 was there no more" if gone == 1 else f"{gone:,} were there no more"


class TestNewRunsAndSteering:
    """What else has a receipt."""

    async def test_trigger_and_enqueue(self, ops: Ops, queue: StreamQueue) -> None:
        """What has not started is out again; history is told."""
        first = await ops.trigger("send_email")
        many = await ops.enqueue("mail", "send_email", ({"n": n} for n in range(250)))
        started = await take_one(queue)
        assert started.run_id == first.run_id
        assert (await ops.undo(many.receipt)).changed == 250
        assert await there(queue) == {"running": 1}
        with pytest.raises(BadInputError, match="nothing left to take back: 1 had started"):
            await ops.undo(first.receipt)

    async def test_a_cancelled_run_comes_back(self, ops: Ops, queue: StreamQueue) -> None:
        """Not one that ran."""
        waiting = await ops.trigger("send_email")
        result = await ops.cancel(waiting.run_id)
        assert await there(queue) == {}
        assert (await ops.undo(result.receipt or "")).changed == 1
        assert (await take_one(queue)).run_id == waiting.run_id
        running = await ops.cancel(waiting.run_id)
        assert (running.note, running.receipt) == ("asked", None)
        (op,) = [op for op in await ops.operations() if op.note == "asked"]
        with pytest.raises(BadInputError, match=f"does not come back; .*replay {waiting.run_id}"):
            await ops.undo(op.id)

    async def test_pause_and_resume(self, ops: Ops, bob: Ops) -> None:
        """As it was before: none, or the former one; not where somebody has changed it since."""
        first = await ops.pause("job:tick", "deploy")
        second = await bob.pause("job:tick", "disk full", 3600)
        with pytest.raises(BadInputError, match=r"job:tick was paused by .* since"):
            await ops.undo(first.receipt or "")
        assert (await ops.undo(second.receipt or "")).note == "job:tick is paused, as before"
        resumed = await ops.resume("job:tick")
        assert (await ops.undo(resumed.receipt or "")).changed == 1
        paused = {j.name: j.paused for j in await ops.jobs()}["tick"]
        assert paused
        assert paused.note == "deploy"
        assert (await ops.undo(first.receipt or "")).note == "job:tick is not paused, as before"
        assert {j.name: j.paused for j in await ops.jobs()}["tick"] is None
        assert (await ops.resume("job:tick")).receipt is None
        third = await ops.pause("queue:mail")
        await bob.resume("queue:mail")
        with pytest.raises(BadInputError, match="queue:mail was resumed since"):
            await ops.undo(third.receipt or "")

    async def test_read_only(self, settings: Settings, ops: Ops) -> None:
        """Each action is refused, each look and each dry run is not."""
        async with Ops.open(settings, read_only=True) as closed:
            letter = (await bury(ops.live.queue("mail"), 1), (await ops.dead_list()).items[0])[1]
            for action in (
                closed.dead_purge(ALL), closed.dead_replay(letter, {}), closed.replay(letter.id),
                closed.undo(new_receipt()), closed.resume_operation(new_receipt()),
                closed.stop_operation(new_receipt()),
            ):  # fmt: skip
                with pytest.raises(RefusedError, match="read-only"):
                    await action
            assert (await closed.dead_purge(ALL, dry_run=True)).matched == await closed.dead_count(ALL) == 1
            assert await closed.operations() == ()
