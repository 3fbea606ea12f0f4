"""Runs that an operator puts in front or into another queue, and letters that go to the archive and come back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from backends.connect import Servers
from backends.model import now_ms
from backends.queues.base import Settle, Settlement
from backends.queues.moves import STALE_MS, carry
from backends.queues.streams import StreamQueue
from backends.queues.where import find_run
from tests.contract.helpers import WORKER, counts, dead, done, retry, run, take_one
from tests.contract.keyspace import keys_of, places, without
from tests.contract.test_dead_acts import FAR, STREAMS, bury, op, undone


@pytest.fixture
async def other(queue: StreamQueue, connected: Servers) -> StreamQueue:
    return StreamQueue(connected.redis, queue.namespace, "other")


@pytest.fixture(autouse=True)
async def _whole(queue: StreamQueue, other: StreamQueue, redis: Any) -> AsyncIterator[None]:
    """No key is unknown and each run is in one place, at the end of every test."""
    yield
    both = [places(await keys_of(q, redis)) for q in (queue, other)]
    assert not set(both[0]) & {r for r, w in both[1].items() if w != "moving"}


class TestFront:
    """Bumped runs."""

    async def test_served_before_all_priorities_in_their_order(self, queue: StreamQueue) -> None:
        runs = [run(priority=n % 3) for n in range(6)]
        await queue.enqueue(runs)
        for n in (5, 2):
            assert await queue.bump(runs[n].run_id) == "ok"
        assert await queue.bump(runs[5].run_id) == "ok", "it keeps its place in front"
        assert await queue.find(runs[5].run_id) == "ready"
        order = [(d.run_id, d.priority, d.place) for d in (await queue.take(WORKER, 9)).deliveries]
        assert order == [
            (runs[n].run_id, n % 3, place)
            for n, place in ((5, "front"), (2, "front"), (0, "0"), (3, "0"), (1, "1"), (4, "1"))
        ]

    async def test_one_that_crashed_still_goes_first_and_alone(self, queue: StreamQueue) -> None:
        poison, good = run(), run()
        await queue.enqueue([poison])
        await take_one(queue)
        await queue.reap(0, 3)
        await queue.enqueue([good])
        assert [await queue.bump(r.run_id) for r in (good, poison)] == ["ok", "ok"]
        assert [d.run_id for d in (await queue.take(WORKER, 9)).deliveries] == [poison.run_id]

    async def test_one_that_crashed_before_its_retry_comes_alone(self, queue: StreamQueue) -> None:
        await queue.enqueue([poison := run()])
        await take_one(queue)
        await queue.reap(0, 3)
        await queue.settle(WORKER, [retry(await take_one(queue), FAR)])
        assert await queue.bump(poison.run_id) == "ok"
        assert (await take_one(queue)).place == "solo"

    async def test_later_is_due_and_waiting_is_the_next(self, queue: StreamQueue) -> None:
        later = run(due_ms=FAR)
        holder, first, second = (run(slot="k") for _ in range(3))
        held = run(slot="k", due_ms=FAR)
        await queue.enqueue([later, holder, first, second, held])
        assert await queue.bump(later.run_id) == "ok"
        assert (await take_one(queue)).run_id == later.run_id
        d = await take_one(queue)
        for each in (second, held):
            assert await queue.bump(each.run_id) == "ok"
            assert await queue.bump(each.run_id) == "ok"
        served = []
        while d.run_id != first.run_id:
            await queue.settle(WORKER, [done(d)])
            d = await take_one(queue)
            served.append(d.run_id)
        assert served == [held.run_id, second.run_id, first.run_id]

    async def test_back_to_the_end_of_its_priority(self, queue: StreamQueue) -> None:
        runs = [run(), run(), run(due_ms=FAR)]
        await queue.enqueue(runs)
        assert await queue.unbump(runs[0].run_id) == "ok", "it is not in front: nothing changes"
        assert await queue.unbump(runs[2].run_id) == "ok"
        await queue.bump(runs[0].run_id)
        assert await queue.unbump(runs[0].run_id) == "ok"
        assert [d.run_id for d in (await queue.take(WORKER, 9)).deliveries] == [runs[1].run_id, runs[0].run_id]
        assert await queue.find(runs[2].run_id) == "later"

    async def test_running_and_unknown(self, queue: StreamQueue) -> None:
        await queue.enqueue([run()])
        d = await take_one(queue)
        for act in (queue.bump, queue.unbump):
            assert await act(d.run_id) == "running"
            assert await act("nobody") == "unknown"
        assert await queue.settle(WORKER, [done(d)])

    async def test_given_back_it_is_in_front_again_and_a_retry_is_not(self, queue: StreamQueue) -> None:
        bumped, others = run(), [run() for _ in range(2)]
        await queue.enqueue([*others, bumped])
        await queue.bump(bumped.run_id)
        d = await take_one(queue)
        await queue.settle(WORKER, [Settlement(d, Settle.BACK)])
        d = await take_one(queue)
        assert (d.run_id, d.place) == (bumped.run_id, "front")
        await queue.settle(WORKER, [retry(d)])
        assert [d.place for d in (await queue.take(WORKER, 9)).deliveries] == ["1", "1", "1"]

    async def test_a_bumped_run_that_crashes_is_reaped(self, queue: StreamQueue) -> None:
        await queue.enqueue([bumped := run()])
        await queue.bump(bumped.run_id)
        await take_one(queue)
        assert await queue.reap(0, 3) == 1
        d = await take_one(queue)
        assert (d.run_id, d.place, d.crashes) == (bumped.run_id, "solo", 1)

    async def test_a_wait_wakes_for_the_front(self, queue: StreamQueue) -> None:
        later = run(due_ms=FAR)
        await queue.enqueue([later])
        taken = await queue.take(WORKER, 1)
        await queue.bump(later.run_id)
        await queue.wait(taken.wake, 60_000)
        assert (await queue.status()).ready == 1


class TestMoves:
    """Runs that go to another queue."""

    async def move(self, queue: StreamQueue, other: StreamQueue, *ids: str) -> dict[str, bool]:
        await queue.move_out(ids, other.name)
        return await carry(queue, lambda _: other, await queue.moving(ids))

    async def test_they_are_there_as_they_were(self, queue: StreamQueue, other: StreamQueue) -> None:
        await queue.enqueue([first := run()])
        await queue.settle(WORKER, [retry(await take_one(queue))])
        ready, later, holder, waiting = run(priority=2), run(due_ms=FAR), run(slot="k"), run(slot="k")
        await queue.enqueue([ready, later, holder, waiting])
        ids = [first.run_id, ready.run_id, later.run_id, holder.run_id, waiting.run_id]
        assert all((await self.move(queue, other, *ids)).values())
        assert await counts(queue) == {}
        assert await counts(other) == {"ready": 3, "later": 1, "waiting": 1}
        taken = {d.run_id: d for d in (await other.take(WORKER, 9)).deliveries}
        d = taken[first.run_id]
        assert (d.attempt, d.failures, d.envelope) == (2, 1, first.envelope)
        assert taken[ready.run_id].priority == 2
        assert await other.find(waiting.run_id) == "waiting"

    async def test_a_slot_goes_with_all_who_share_it(self, queue: StreamQueue, other: StreamQueue) -> None:
        """It is one queue's: a run that left alone would run beside those that stay."""
        holder, waiting, late = run(slot="k"), run(slot="k"), run(slot="k")
        await queue.enqueue([holder, waiting])
        for ids in ([holder.run_id], [waiting.run_id], [waiting.run_id] * 2):
            assert set(await queue.move_out(ids, other.name)) == {"together"}
        await self.move(queue, other, waiting.run_id, holder.run_id)
        assert [await other.find(r.run_id) for r in (holder, waiting)] == ["waiting", "ready"]
        await queue.enqueue([late])
        assert await queue.find(late.run_id) == "ready", "the slot of the queue is free"

    async def test_running_ones_stay(self, queue: StreamQueue, other: StreamQueue) -> None:
        await queue.enqueue([run()])
        d = await take_one(queue)
        assert await queue.move_out([d.run_id, "nobody"], other.name) == ["running", "unknown"]
        assert await queue.moving() == []
        await queue.settle(WORKER, [done(d)])

    async def test_on_its_way_it_is_in_no_other_place(self, queue: StreamQueue, other: StreamQueue, redis: Any) -> None:
        await queue.enqueue([new := run()])
        assert await queue.move_out([new.run_id], other.name) == ["ok"]
        assert await queue.move_out([new.run_id], "third") == ["unknown"]
        assert await queue.find(new.run_id) == "moving"
        assert await queue.cancel(new.run_id, "me") == "unknown"
        assert await queue.bump(new.run_id) == "unknown"
        assert (await queue.enqueue([new]))[0].value == "duplicate"
        prefixes = {q.name: q.prefix for q in (queue, other)}
        place = await find_run(redis, prefixes, new.run_id)
        assert place is not None
        assert (place.state, place.waits_for) == ("moving", "other")
        await other.move_in(await queue.moving())
        place = await find_run(redis, prefixes, new.run_id)
        assert place is not None
        assert (place.queue, place.state) == ("other", "ready")
        await queue.move_done(await queue.moving())

    async def test_whoever_carries_it_it_arrives_once(self, queue: StreamQueue, other: StreamQueue) -> None:
        """Also where one of two who carry it is late: it has run there meanwhile."""
        await queue.enqueue([new := run()])
        await queue.move_out([new.run_id], other.name)
        seen = await queue.moving([new.run_id])
        assert await other.move_in(seen) == ["ok"]
        assert await other.move_in(seen) == ["ok"]
        assert await queue.move_done(seen) == 1
        await other.settle(WORKER, [done(await take_one(other))])
        assert await other.move_in(seen) == ["ok"]
        assert (await queue.move_done(seen), await queue.move_back(seen)) == (0, 0)
        assert (await counts(queue), await counts(other)) == ({}, {})

    async def test_there_and_back_and_there_again(self, queue: StreamQueue, other: StreamQueue) -> None:
        await queue.enqueue([new := run()])
        for a, b in ((queue, other), (other, queue), (queue, other)):
            assert await self.move(a, b, new.run_id) == {new.run_id: True}
            assert (await counts(a), await counts(b)) == ({}, {"ready": 1})

    async def test_one_that_is_not_taken_comes_back(self, queue: StreamQueue, other: StreamQueue, redis: Any) -> None:
        """A run of that id is there already."""
        new = run()
        await other.enqueue([new])
        await queue.enqueue([new])
        assert await self.move(queue, other, new.run_id) == {new.run_id: False}
        assert (await counts(queue), await counts(other)) == ({"ready": 1}, {"ready": 1})
        await queue.cancel(new.run_id, "me")
        assert "moving" not in await keys_of(queue, redis)

    @pytest.mark.parametrize("arrived", [False, True])
    async def test_a_move_that_stopped_half_way_is_finished(
        self, queue: StreamQueue, other: StreamQueue, redis: Any, arrived: bool
    ) -> None:
        await queue.enqueue([new := run()])
        await queue.move_out([new.run_id], other.name)
        if arrived:
            await other.move_in(await queue.moving())
        assert await queue.sweep(now_ms()) == 0, "whoever moves it may still be at it"
        assert await queue.sweep(now_ms() + STALE_MS + 1000) == 1
        assert (await counts(queue), await counts(other)) == ({}, {"ready": 1})
        assert "arrived" in await keys_of(other, redis)
        assert await other.sweep(now_ms() + 90_000_000) == 1
        assert "arrived" not in await keys_of(other, redis)


class TestArchive:
    """Letters that go to the archive and come back."""

    async def test_out_and_in_with_the_same_sequence(self, queue: StreamQueue, redis: Any) -> None:
        pairs = await bury(queue, 5)
        before = await keys_of(queue, redis)
        packed = await queue.dead_packed([*pairs[:3], ("nobody", 4)])
        assert packed[3] is None
        assert await queue.dead_drop([*pairs[:3], (pairs[3][0], 1)], move="a") == [True, True, True, False]
        assert await queue.dead_spilled() == (3, pairs[2][1])
        assert await queue.dead_moved([pairs[0][1], pairs[3][1]]) == ["out a", ""]
        keys = await keys_of(queue, redis)
        assert set(places(keys)) == {pairs[3][0], pairs[4][0]}
        records = [(*pair, text or b"") for pair, text in zip(pairs[:3], packed[:3], strict=True)]
        assert await queue.dead_return(records[1:], move="b") == [True, True]
        assert await queue.dead_return(records, move="b") == [True, True, True], "asked again: the same"
        assert await queue.dead_return(records, move="c") == [False] * 3, "another move"
        marks = {sequence: "in b" for _, sequence in pairs[:3]}
        assert await queue.dead_marks() == marks
        await queue.dead_settled(dict.fromkeys(marks, "out a"))
        assert await queue.dead_marks() == marks, "what has moved since is not forgotten"
        await queue.dead_settled(marks)
        assert await queue.dead_spilled() == (0, 0)
        assert await keys_of(queue, redis) == before

    async def test_a_letter_is_dropped_and_returned_once(self, queue: StreamQueue) -> None:
        """A driver that slept finds the letter purged, or its run alive, and brings nothing back."""
        pairs = await bury(queue, 2)
        packed = await queue.dead_packed(pairs)
        records = [(*pair, text or b"") for pair, text in zip(pairs, packed, strict=True)]
        await queue.dead_drop(pairs)
        assert await queue.dead_drop(pairs) == [False, False]
        await queue.dead_return(records)
        await queue.dead_settled(await queue.dead_marks())
        await queue.dead_purge(op("purge"), pairs[:1])
        await queue.dead_retry(op("retry"), pairs[1:])
        assert await queue.dead_return(records) == [False, False]
        await undone(queue, "purge-1")
        assert await counts(queue) == {"dead": 1, "ready": 1}

    async def test_the_last_way_counts(self, queue: StreamQueue) -> None:
        """Out, in and out again before anybody noted it."""
        pairs = await bury(queue, 1)
        (packed,) = await queue.dead_packed(pairs)
        for _ in range(2):
            assert await queue.dead_drop(pairs) == [True]
            assert await queue.dead_moved([pairs[0][1]]) == ["out "]
            assert await queue.dead_return([(*pairs[0], packed or b"")]) == [True]
            assert await queue.dead_moved([pairs[0][1]]) == ["in "]

    async def test_after_its_time_nothing_moves(self, queue: StreamQueue, redis: Any) -> None:
        pairs = await bury(queue, 1)
        (packed,) = await queue.dead_packed(pairs)
        before = await keys_of(queue, redis)
        assert await queue.dead_drop(pairs, now_ms() - 1_000) == [False]
        assert await keys_of(queue, redis) == before
        assert await queue.dead_drop(pairs, now_ms() + 60_000) == [True]
        assert await queue.dead_return([(*pairs[0], packed or b"")], now_ms() - 1_000) == [False]
        assert (await queue.dead_count(), await counts(queue)) == (0, {"dead": 1}), "the archive counts"
        assert await queue.dead_return([(*pairs[0], packed or b"")], now_ms() + 60_000) == [True]
        await queue.dead_settled(await queue.dead_marks())
        assert without(await keys_of(queue, redis), *STREAMS) == without(before, *STREAMS)

    async def test_a_run_that_came_alive_keeps_its_place(self, queue: StreamQueue) -> None:
        pairs = await bury(queue, 2)
        packed = await queue.dead_packed(pairs)
        await queue.dead_drop(pairs)
        await queue.enqueue([run(run_id=run_id) for run_id, _ in pairs])
        await queue.settle(WORKER, [dead(await take_one(queue))])
        records = [(*pair, text or b"") for pair, text in zip(pairs, packed, strict=True)]
        assert await queue.dead_return(records) == [False, False]
        assert (await queue.dead_count(), (await counts(queue))["ready"]) == (1, 1)
