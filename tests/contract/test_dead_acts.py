"""Retry, purge, edit and replay, and their undo: all keys are as they were, whatever happened in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.exceptions import ResponseError

from backends.model import Pause, now_ms
from backends.queues.base import BATCH, STEP, Entered, Op, Pair, Restored
from backends.queues.dead_index import record_key
from backends.queues.streams import StreamQueue
from tests.contract.helpers import WORKER, counts, dead, done, retry, run, take_one
from tests.contract.keyspace import Keys, keys_of, places, without

FAR = 4_000_000_000_000
GROUPS = ("a" * 16, "b" * 16)
STREAMS = ("ready:", "epoch", "ops", "out")
"""What an undo may leave changed: streams (emptied), and that the operation was."""


def op(kind: str, name: str = "", until_ms: int = FAR) -> Op:
    return Op(name or f"{kind}-1", kind, "me@host", until_ms)


async def bury(queue: StreamQueue, count: int, **more: Any) -> list[Pair]:
    """New letters of two groups, oldest first."""
    made: list[Pair] = []
    while len(made) < count:
        await queue.enqueue([run(**more) for _ in range(min(BATCH, count - len(made)))])
        while taken := (await queue.take(WORKER, BATCH)).deliveries:
            await queue.settle(WORKER, [dead(d, GROUPS[n % 2]) for n, d in enumerate(taken)])
            ids = {d.run_id for d in taken}
            made += [p for p in await queue.dead_pairs(10_000, 0, FAR * 1000) if p[0] in ids]
    return made


async def undone(queue: StreamQueue, op_id: str, limit: int = BATCH) -> tuple[int, int]:
    """Take an operation back whole: (back, left)."""
    back = left = 0
    more = True
    while more:
        step = await queue.restore(op_id, limit)
        back, left, more = back + step.back, left + step.left, step.more
    return back, left


async def forgotten(queue: StreamQueue, until_ms: int = FAR + 1) -> None:
    while await queue.sweep(until_ms):
        pass


@pytest.fixture
async def look(queue: StreamQueue, redis: Any) -> AsyncIterator[Any]:
    """All keys of the queue, checked; at the end again, and once all operations are forgotten no key is left over."""

    async def snapshot() -> Keys:
        keys = await keys_of(queue, redis)
        places(keys)
        return keys

    yield snapshot
    await snapshot()
    await forgotten(queue)
    left = await snapshot()
    assert not [k for k in left if k.startswith(("ops", "trash:"))]


@pytest.mark.parametrize("limit", [1, 3, BATCH])
async def test_purged_letters_come_back_as_they_were(queue: StreamQueue, look: Any, limit: int) -> None:
    pairs = await bury(queue, 9)
    before = await look()
    purge = op("purge")
    assert await queue.dead_purge(purge, [*pairs[2:6], ("nobody", 1), (pairs[7][0], 1)]) == [True] * 4 + [False] * 2
    assert await queue.dead_purge(purge, pairs[5:7]) == [False, True]
    assert await counts(queue) == {"dead": 4}
    assert await queue.op_size(purge.id) == 5
    await look()
    assert await undone(queue, purge.id, limit) == (5, 0)
    assert without(await look(), "ops") == before
    assert await queue.restore(purge.id) == Restored(0, 0, False, all_back=5)


async def test_a_purge_that_is_forgotten_leaves_no_key(queue: StreamQueue, look: Any) -> None:
    pairs = await bury(queue, 5)
    later = await bury(queue, 1)
    await queue.dead_purge(op("purge", until_ms=now_ms()), pairs[:3])
    await queue.dead_purge(op("purge", "still", FAR), pairs[3:])
    await forgotten(queue, now_ms())
    keys = await look()
    assert [k for k in keys if k.startswith("trash:")] == ["trash:still"]
    assert await undone(queue, "purge-1") == (0, 0)
    assert await undone(queue, "still") == (2, 0)
    assert [d.id for d in (await queue.dead_page(9)).items] == [p[0] for p in (*later, *pairs[:2:-1])]


async def test_sweep_works_in_steps(queue: StreamQueue, look: Any) -> None:
    await queue.dead_purge_all(op("purge"), (await bury(queue, 4 * STEP + 5))[-1][1])
    assert [await queue.sweep(FAR + 1) for _ in range(4)] == [2 * STEP + 1, 2 * STEP + 1, 6, 0]
    assert without(await look(), *STREAMS, "dead:seq") == {}


@pytest.mark.parametrize("newer", [0, 1, 30, BATCH + 30])
async def test_purge_all_leaves_what_died_later(queue: StreamQueue, look: Any, newer: int) -> None:
    old = await bury(queue, 40)
    new = await bury(queue, newer)
    before = await look()
    purge = op("purge")
    assert await queue.dead_purge_all(purge, old[-1][1]) == 40
    assert await queue.dead_purge_all(purge, old[-1][1]) == 40, "asked again: the same"
    assert await queue.dead_pairs(1000, 0, FAR * 1000) == new
    await look()
    assert await undone(queue, purge.id) == (40, 0)
    assert without(await look(), "ops") == before


async def test_a_purge_of_all_takes_more_letters(queue: StreamQueue, look: Any) -> None:
    """Those that come back from the archive, and a run of an id that it has already."""
    pairs = await bury(queue, 5)
    packed = await queue.dead_packed(pairs[:2])
    await queue.dead_drop(pairs[:2])
    await queue.dead_purge_all(op("purge"), pairs[-1][1])
    await queue.dead_return([(*pair, text or b"") for pair, text in zip(pairs, packed, strict=False)])
    assert await queue.dead_purge(op("purge"), pairs) == [True, True, False, False, False]
    await queue.enqueue([run(run_id=pairs[4][0])])
    await queue.settle(WORKER, [dead(await take_one(queue), GROUPS[1])])
    (again,) = await queue.dead_pairs(9, 0, FAR * 1000)
    assert await queue.dead_purge(op("purge"), [again]) == [True]
    await look()
    assert await queue.op_size("purge-1") == 5
    assert await undone(queue, "purge-1") == (5, 0)
    assert await queue.dead_pairs(9, 0, FAR * 1000) == [*pairs[:4], again]
    await queue.dead_settled({pair[1]: "in " for pair in pairs[:2]})


@pytest.mark.parametrize(("old", "new"), [(1, 0), (30, 1), (3, 30), (BATCH + 50, 20), (20, BATCH + 50)])
async def test_purge_all_is_undone_after_new_deaths(queue: StreamQueue, look: Any, old: int, new: int) -> None:
    gone = await bury(queue, old)
    await queue.dead_purge_all(op("purge"), gone[-1][1])
    more = await bury(queue, new)
    await look()
    first = await queue.restore("purge-1")
    if old >= new:
        assert first.back >= old - new, "the larger list is back at once"
    back, started = await undone(queue, "purge-1")
    assert (first.back + back, first.left + started) == (old, 0)
    await look()
    assert await queue.dead_pairs(1000, 0, FAR * 1000) == sorted([*gone, *more], key=lambda p: p[1])


async def test_an_undo_that_nobody_finishes_is_finished_by_the_sweep(queue: StreamQueue, look: Any) -> None:
    pairs = await bury(queue, BATCH + 20)
    before = await look()
    await queue.dead_purge(op("purge", until_ms=now_ms() - 1), pairs)
    assert (await queue.restore("purge-1", 10)).more
    await look()
    await forgotten(queue, now_ms())
    assert without(await look(), "ops") == before


async def test_a_driver_that_slept_changes_nothing_once_the_undo_began(queue: StreamQueue, look: Any) -> None:
    pairs = await bury(queue, 6)
    before = await look()
    await queue.dead_purge(op("purge"), pairs[:3])
    await queue.dead_retry(op("retry"), pairs[4:5])
    await queue.restore("purge-1", 1)
    assert await queue.dead_purge(op("purge"), pairs[3:]) == [False] * 3
    await undone(queue, "purge-1")
    await undone(queue, "retry-1")
    assert await queue.dead_purge(op("purge"), pairs) == [False] * 6
    assert await queue.dead_retry(op("retry"), pairs) == [False] * 6
    assert await queue.dead_replace(op("retry"), pairs[0], run()) == "gone"
    assert await queue.enter(op("enter", "retry-1"), [run()]) == [Entered.SKIPPED]
    assert without(await look(), *STREAMS) == without(before, *STREAMS)


async def test_on_a_full_server_letters_can_be_purged_and_come_back(queue: StreamQueue, look: Any, redis: Any) -> None:
    """Nothing else frees memory. What would take more of it is refused, and changes nothing."""
    pairs = await bury(queue, 6)
    await queue.dead_purge(op("purge", "old", now_ms()), pairs[:1])
    await queue.dead_retry(op("retry"), pairs[1:2], [FAR])
    before = await look()
    await redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(ResponseError, match="maxmemory"):
            await queue.dead_retry(op("retry", "more"), pairs[2:])
        assert await look() == before
        assert await queue.dead_purge(op("purge"), pairs[2:4]) == [True, True]
        assert await queue.dead_purge_all(op("purge", "all"), pairs[-1][1]) == 2
        for name, count in (("all", 2), ("purge-1", 2), ("retry-1", 1)):
            assert await undone(queue, name) == (count, 0)
        await forgotten(queue, now_ms())
        assert await queue.op_size("old") == 0
        assert await queue.dead_drop(pairs[1:2]) == [True]  # to the archive
    finally:
        await redis.config_set("maxmemory", 0)
    assert await queue.dead_pairs(9, 0, FAR * 1000) == pairs[2:]


@pytest.mark.parametrize("act", ["retry", "purge", "drop", "replace"])
async def test_a_record_that_is_gone_stops_no_other(queue: StreamQueue, look: Any, redis: Any, act: str) -> None:
    """Somebody has deleted its key: it leaves all indexes, is told as gone, and what else is meant is done."""
    pairs = await bury(queue, 4)
    await redis.delete(record_key(queue.prefix, pairs[1][1]))
    if act == "replace":
        assert await queue.dead_replace(op("retry"), pairs[1], run()) == "gone"
    else:
        acts = {"retry": lambda: queue.dead_retry(op("retry"), pairs, [FAR] * 4),
                "purge": lambda: queue.dead_purge(op("purge"), pairs),
                "drop": lambda: queue.dead_drop(pairs)}  # fmt: skip
        assert await acts[act]() == [True, False, True, True]
    assert pairs[1] not in await queue.dead_pairs(9, 0, FAR * 1000)
    await look()
    if act in ("retry", "purge"):
        assert await undone(queue, f"{act}-1") == (3, 0)
        assert await queue.dead_pairs(9, 0, FAR * 1000) == [pairs[0], *pairs[2:]]


@pytest.mark.parametrize("limit", [1, BATCH])
@pytest.mark.parametrize("whole", [True, False])
async def test_a_record_that_is_gone_from_a_trash(
    queue: StreamQueue, look: Any, redis: Any, limit: int, whole: bool
) -> None:
    """The others come back."""
    pairs = await bury(queue, 5)
    if whole:
        assert await queue.dead_purge_all(op("purge"), pairs[-1][1]) == 5
        pairs += await bury(queue, 6)  # so that these stay in the list, and the purged ones follow in steps
    else:
        await queue.dead_purge(op("purge"), pairs)
    await redis.delete(record_key(queue.prefix, pairs[1][1]))
    assert await undone(queue, "purge-1", limit) == (4, 1)
    assert await queue.dead_pairs(20, 0, FAR * 1000) == [pairs[0], *pairs[2:]]
    await look()


@pytest.mark.parametrize("missing", ["dead:index", "dead:groups", "dead:kinds"])
async def test_a_purge_of_all_where_an_index_is_missing(queue: StreamQueue, redis: Any, missing: str) -> None:
    """Somebody has deleted it: nothing fails half-way, and the letters come back."""
    pairs = await bury(queue, 5)
    await redis.delete(f"{queue.prefix}{missing}")
    assert await queue.dead_purge_all(op("purge"), pairs[-1][1]) == 5
    assert await counts(queue) == {}
    assert (await undone(queue, "purge-1"))[0] == 5
    assert await counts(queue) == {"dead": 5}


async def test_a_take_of_none_from_a_queue_that_was_never_used(queue: StreamQueue) -> None:
    taken = await queue.take(WORKER, 0)
    assert (taken.deliveries, len(taken.wake)) == ((), 5)


class TestRetry:
    """Letters that go on, and are taken back."""

    async def test_at_once_with_a_fresh_budget(self, queue: StreamQueue, look: Any) -> None:
        (pair,) = await bury(queue, 1)
        assert await queue.dead_retry(op("retry"), [pair, pair]) == [True, False]
        d = await take_one(queue)
        assert (d.run_id, d.attempt, d.failures, d.crashes) == (pair[0], 2, 0, 0)
        await queue.settle(WORKER, [done(d)])
        await forgotten(queue)
        assert without(await look(), *STREAMS, "dead:seq") == {}

    async def test_held_ones_are_due_one_after_the_other(self, queue: StreamQueue, look: Any) -> None:
        pairs = await bury(queue, 4)
        before = await look()
        dues = [now_ms() + 60_000 + 20 * n for n in range(4)]
        assert await queue.dead_retry(op("retry"), pairs, dues) == [True] * 4
        assert await counts(queue) == {"later": 4}
        keys = await look()
        assert keys["later"] == {p[0].encode(): float(due) for p, due in zip(pairs, dues, strict=True)}
        assert await undone(queue, "retry-1", 3) == (4, 0)
        assert without(await look(), *STREAMS) == without(before, *STREAMS)

    async def test_started_ones_are_left_alone(self, queue: StreamQueue, look: Any) -> None:
        """Running, failed and waiting to be retried, crashed, finished, dead again: all of these have started."""
        pairs = await bury(queue, 7)
        await queue.dead_retry(op("retry"), pairs)
        taken = (await queue.take(WORKER, 5)).deliveries
        await queue.settle(WORKER, [retry(taken[1], FAR), done(taken[2]), dead(taken[3], GROUPS[0])])
        await queue.reap(0, 3)
        (crashed,) = (await queue.take("w2", 1)).deliveries
        where = places(await look())
        assert await undone(queue, "retry-1") == (2, 5)
        after = places(await look())
        assert {r: w for r, w in after.items() if r in where and r not in (pairs[5][0], pairs[6][0])} == {
            r: w for r, w in where.items() if r not in (pairs[5][0], pairs[6][0])
        }
        assert after[pairs[5][0]] == after[pairs[6][0]] == "dead"
        assert crashed.run_id in (taken[0].run_id, taken[4].run_id)

    async def test_one_that_was_given_back_has_not_started(self, queue: StreamQueue, look: Any) -> None:
        from backends.queues.base import Settle, Settlement

        (pair,) = await bury(queue, 1)
        before = await look()
        await queue.dead_retry(op("retry"), [pair])
        await queue.settle(WORKER, [Settlement(await take_one(queue), Settle.BACK)])
        assert await undone(queue, "retry-1") == (1, 0)
        assert without(await look(), *STREAMS) == without(before, *STREAMS)

    async def test_two_retries_of_the_same_run(self, queue: StreamQueue, look: Any) -> None:
        """It died again in between: the older operation has nothing left to take back."""
        (pair,) = await bury(queue, 1)
        await queue.dead_retry(op("retry", "one"), [pair])
        await queue.settle(WORKER, [dead(await take_one(queue), GROUPS[1])])
        (again,) = await queue.dead_pairs(9, 0, FAR * 1000)
        assert await queue.dead_retry(op("retry", "two"), [pair, again]) == [False, True]
        assert await undone(queue, "one") == (0, 1)
        assert await undone(queue, "two") == (1, 0)
        assert await queue.dead_pairs(9, 0, FAR * 1000) == [again]
        await look()

    async def test_one_operation_that_retries_a_run_twice(self, queue: StreamQueue, look: Any) -> None:
        """It died again while the operation went on: only the newer letter can come back."""
        (pair,) = await bury(queue, 1)
        await queue.dead_retry(op("retry"), [pair])
        await queue.settle(WORKER, [dead(await take_one(queue), GROUPS[1])])
        (again,) = await queue.dead_pairs(9, 0, FAR * 1000)
        assert await queue.dead_retry(op("retry"), [again]) == [True]
        await look()
        assert await undone(queue, "retry-1") == (1, 0)
        assert await queue.dead_pairs(9, 0, FAR * 1000) == [again]

    async def test_slots_are_given_back_from_behind(self, queue: StreamQueue, look: Any) -> None:
        """Retried runs that wait for each other: none of them is started by taking them out."""
        pairs = await bury(queue, 5, slot="k")
        other = run(slot="k")
        before = await look()
        await queue.dead_retry(op("retry"), pairs)
        assert await counts(queue) == {"ready": 1, "waiting": 4}
        await queue.enqueue([other])
        entries = len((await look())["out"])
        assert await undone(queue, "retry-1") == (5, 0)
        keys = await look()
        assert places(keys)[other.run_id] == "ready"
        assert len(keys["out"]) == entries
        await queue.settle(WORKER, [done(await take_one(queue))])
        assert without(await look(), *STREAMS) == without(before, *STREAMS)

    async def test_one_that_gets_its_slot_before_it_is_due_waits_on(self, queue: StreamQueue, look: Any) -> None:
        """A hold is a hold, also where the slot was taken when it began."""
        (pair,) = await bury(queue, 1, slot="k")
        holder = run(slot="k")
        await queue.enqueue([holder])
        await queue.dead_retry(op("retry"), [pair], [FAR])
        assert await counts(queue) == {"ready": 1, "waiting": 1}
        await queue.settle(WORKER, [done(await take_one(queue))])
        assert await counts(queue) == {"later": 1}
        keys = await look()
        assert set(keys["slot:k"]) == {pair[0].encode()}
        assert await undone(queue, "retry-1") == (1, 0)
        assert "slot:k" not in await look()

    async def test_of_a_paused_job(self, queue: StreamQueue, look: Any) -> None:
        (pair,) = await bury(queue, 1)
        await queue.pause(Pause(by="me"), job="noop")
        before = await look()
        await queue.dead_retry(op("retry"), [pair])
        assert (await queue.take(WORKER, 1)).deliveries == ()
        assert await counts(queue) == {"waiting": 1}
        assert await undone(queue, "retry-1") == (1, 0)
        assert without(await look(), *STREAMS) == without(before, *STREAMS)

    async def test_large_envelopes_go_in_several_steps(self, queue: StreamQueue, look: Any) -> None:
        raw = b'{"type":"noop","payload":{"x":"' + b"x" * 900_000 + b'"}}'
        pairs = await bury(queue, 7, envelope=raw)
        before = await look()
        assert await queue.dead_retry(op("retry"), pairs) == [True] * 7
        assert (await queue.restore("retry-1")).more
        assert (await undone(queue, "retry-1"))[1] == 0
        assert without(await look(), *STREAMS) == without(before, *STREAMS)


class TestReplace:
    """Edit and replay."""

    async def test_the_new_run_enters_and_the_letter_goes(self, queue: StreamQueue, look: Any) -> None:
        (pair, other) = await bury(queue, 2)
        before = await look()
        new = run(envelope=b'{"type":"noop","payload":{"n":2}}')
        assert await queue.dead_replace(op("retry"), pair, new) == "ok"
        assert await queue.dead_replace(op("retry"), pair, run()) == "gone"
        assert await queue.dead_replace(op("retry", "x"), other, new) == "duplicate"
        keys = await look()
        assert places(keys) == {new.run_id: "ready", other[0]: "dead"}
        assert keys["trash:retry-1:as"] == {pair[0].encode(): new.run_id.encode()}
        assert await undone(queue, "retry-1") == (1, 0)
        assert without(await look(), *STREAMS) == without(before, *STREAMS)

    async def test_a_new_run_that_has_started_goes_on(self, queue: StreamQueue, look: Any) -> None:
        (pair,) = await bury(queue, 1)
        new = run(envelope=b'{"type":"noop"}')
        await queue.dead_replace(op("retry"), pair, new)
        d = await take_one(queue)
        assert (d.run_id, d.attempt, d.envelope) == (new.run_id, 1, b'{"type":"noop"}')
        assert await undone(queue, "retry-1") == (0, 1)
        assert places(await look()) == {new.run_id: "ready"}

    async def test_a_letter_that_died_again_is_not_replaced(self, queue: StreamQueue, look: Any) -> None:
        (pair,) = await bury(queue, 1)
        await queue.dead_retry(op("retry", "one"), [pair])
        await queue.settle(WORKER, [dead(await take_one(queue))])
        assert await queue.dead_replace(op("retry", "two"), pair, run()) == "changed"
        assert await counts(queue) == {"dead": 1}
        assert await queue.op_size("two") == 0
        await look()


class TestEnterAndCancel:
    """Runs that an operation let in, and runs that it cancelled."""

    async def test_entered_runs_are_taken_out_again(self, queue: StreamQueue, look: Any) -> None:
        before = await look()
        runs = [run(slot="k"), run(slot="k"), run(due_ms=FAR), run()]
        enter = op("enter")
        assert await queue.enter(enter, [*runs, runs[3]]) == [
            Entered.READY, Entered.WAITING, Entered.LATER, Entered.READY, Entered.DUPLICATE
        ]  # fmt: skip
        assert await queue.op_size(enter.id) == 4
        assert await undone(queue, enter.id, 3) == (4, 0)
        keys = await look()
        assert without(keys, *STREAMS) == without(before, *STREAMS)
        told = [dict(e)[b"r"] for e in keys["out"]]
        assert sum(t.count(b'"outcome":"cancelled"') for t in told) == 4
        assert all(b'"by":"undo of enter-1"' in t for t in told)

    async def test_started_ones_stay(self, queue: StreamQueue, look: Any) -> None:
        runs = [run(), run()]
        await queue.enqueue(runs)
        assert await queue.note_entered(op("enter"), [r.run_id for r in runs])
        await take_one(queue)
        assert await undone(queue, "enter-1") == (1, 1)
        assert places(await look()) == {runs[0].run_id: "ready"}
        assert not await queue.note_entered(op("enter"), [runs[0].run_id])

    async def test_cancelled_runs_come_back_as_the_next_attempt(self, queue: StreamQueue, look: Any) -> None:
        ready, waiting, later, other = run(slot="k"), run(slot="k"), run(due_ms=FAR), run(priority=2)
        await queue.enqueue([ready, waiting, later, other])
        cancel = op("cancel")
        for each in (waiting, ready, later, other):
            assert await queue.cancel(each.run_id, "me", cancel) == "cancelled"
        assert places(await look()) == {}
        assert await queue.op_size("cancel-1") == 4
        assert await undone(queue, "cancel-1") == (4, 0)
        keys = await look()
        assert places(keys) == {
            ready.run_id: "waiting", waiting.run_id: "ready", later.run_id: "later", other.run_id: "ready"
        }  # fmt: skip
        assert keys["later"] == {later.run_id.encode(): float(FAR)}
        first, second = (await queue.take(WORKER, 9)).deliveries
        assert (first.run_id, first.attempt, first.envelope) == (waiting.run_id, 2, waiting.envelope)
        assert (second.run_id, second.attempt, second.priority) == (other.run_id, 2, 2)

    async def test_what_was_asked_to_stop_can_not_come_back(self, queue: StreamQueue, look: Any) -> None:
        await queue.enqueue([run()])
        d = await take_one(queue)
        assert await queue.cancel(d.run_id, "me", op("cancel")) == "asked"
        assert await queue.cancel("nobody", "me", op("cancel")) == "unknown"
        assert await undone(queue, "cancel-1") == (0, 0)
        await look()

    async def test_a_retry_that_was_cancelled_is_not_given_back_twice(self, queue: StreamQueue, look: Any) -> None:
        """The undo of the retry finds nothing; the undo of the cancel has the run."""
        (pair,) = await bury(queue, 1)
        await queue.dead_retry(op("retry"), [pair], [FAR])
        await queue.cancel(pair[0], "me", op("cancel"))
        assert await undone(queue, "retry-1") == (0, 1)
        assert await undone(queue, "cancel-1") == (1, 0)
        assert places(await look()) == {pair[0]: "later"}


async def test_an_id_that_is_dead_can_not_be_enqueued(queue: StreamQueue, look: Any) -> None:
    """A run is in one place."""
    (pair,) = await bury(queue, 1)
    assert await queue.enqueue([run(run_id=pair[0])]) == [Entered.DUPLICATE]
    await look()


async def test_an_id_that_came_alive_keeps_its_place(queue: StreamQueue, look: Any) -> None:
    """Purged, and its id given to another run: the purged letter does not come back beside it."""
    pairs = await bury(queue, 2)
    await queue.dead_purge(op("purge"), pairs)
    await queue.enqueue([run(run_id=pairs[0][0])])
    assert await undone(queue, "purge-1") == (1, 1)
    assert places(await look()) == {pairs[0][0]: "ready", pairs[1][0]: "dead"}


async def test_what_died_anew_stands_after_a_purge_of_all_is_undone(queue: StreamQueue, look: Any) -> None:
    pairs: Sequence[Pair] = await bury(queue, 5)
    await queue.dead_purge_all(op("purge"), pairs[-1][1])
    await queue.enqueue([run(run_id=pairs[0][0])])
    await queue.settle(WORKER, [dead(await take_one(queue), GROUPS[0])])
    (again,) = await queue.dead_pairs(9, 0, FAR * 1000)
    await undone(queue, "purge-1")
    await look()
    assert await queue.dead_pairs(9, 0, FAR * 1000) == [*pairs[1:], again]
