"""Dead letters are read in pages of both directions, by group and by range of sequence, and counted exactly."""

from __future__ import annotations

from typing import Any

import msgspec

from backends.model import to_ms
from backends.queues.base import Op
from backends.queues.dead import Kind
from backends.queues.dead_heads import dead_groups, dead_heads
from backends.queues.streams import StreamQueue
from tests.contract.helpers import RETRY, WORKER, dead, run, take_one

GROUPS = ("a" * 16, "b" * 16, "c" * 16)


async def bury(queue: StreamQueue, count: int, groups: tuple[str, ...] = GROUPS) -> list[tuple[str, int, str]]:
    """(run id, sequence, group) of new letters, oldest first; of a job for each group."""
    await queue.enqueue([run(f"job-{groups[n % len(groups)][0]}") for n in range(count)])
    taken = (await queue.take(WORKER, count)).deliveries
    await queue.settle(WORKER, [dead(d, groups[n % len(groups)]) for n, d in enumerate(taken)])
    letters = (await queue.dead_page(count)).items[::-1]
    return [(letter.id, letter.sequence, letter.group) for letter in letters]


async def test_pages_go_down_and_up_through_the_same_letters(queue: StreamQueue) -> None:
    made = await bury(queue, 31)
    for group in ("", GROUPS[1]):
        wanted = [run_id for run_id, _, g in made if group in ("", g)]
        down: list[str] = []
        before = None
        while True:
            page = await queue.dead_page(4, before, group)
            assert page.total == len(wanted)
            down += [d.id for d in page.items]
            if page.next_cursor is None:
                break
            before = int(page.next_cursor)
        assert down == wanted[::-1]
        up: list[str] = []
        after: int | None = 0
        while after is not None:
            page = await queue.dead_page(4, None, group, after=after)
            assert [d.sequence for d in page.items] == sorted([d.sequence for d in page.items], reverse=True)
            up += [d.id for d in page.items[::-1]]
            after = int(page.next_cursor) if page.next_cursor else None
        assert up == wanted


async def test_a_cursor_is_not_in_its_page(queue: StreamQueue) -> None:
    made = await bury(queue, 9)
    middle = made[4][1]
    for group in ("", made[4][2]):
        above = (await queue.dead_page(9, None, group, after=middle)).items
        below = (await queue.dead_page(9, middle, group)).items
        assert min(d.sequence for d in above) > middle > max(d.sequence for d in below)
        assert len(above) + len(below) + 1 == (await queue.dead_page(1, None, group)).total


async def test_pairs_and_counts_of_a_range(queue: StreamQueue) -> None:
    made = await bury(queue, 20)
    low, high = made[3][1], made[15][1]
    for groups in ((), GROUPS[:1], GROUPS[:2], (GROUPS[2], GROUPS[2]), ("f" * 16,)):
        wanted = [(r, s) for r, s, g in made if low < s <= high and (not groups or g in groups)]
        assert await queue.dead_pairs(100, low, high, groups) == wanted
        assert await queue.dead_pairs(3, low, high, groups) == wanted[:3]
        assert await queue.dead_count(high, low + 1, groups) == len(wanted)
    assert await queue.dead_count() == 20
    assert await queue.dead_top() == made[-1][1]


async def test_records_of_pairs_that_are_dead_and_of_others(queue: StreamQueue) -> None:
    made = await bury(queue, 3)
    first, second = made[0], made[1]
    found = await queue.dead_records([first[:2], (second[0], second[1] + 100), ("nobody", 1), second[:2]])
    assert [d and d.id for d in found] == [first[0], None, None, second[0]]
    assert found[0] is not None
    assert found[0].envelope == run("job-a").envelope


async def test_kinds_come_and_go_with_their_groups(queue: StreamQueue) -> None:
    made = await bury(queue, 4, GROUPS[:2])
    assert await queue.dead_kinds() == {
        GROUPS[0]: Kind("job-a", "ValueError"), GROUPS[1]: Kind("job-b", "ValueError")
    }  # fmt: skip
    await queue.dead_retry(RETRY, [made[0][:2], made[2][:2]])
    assert set(await queue.dead_kinds()) == {GROUPS[1]}
    assert [(g.group, g.count) for g in await queue.dead_groups()] == [(GROUPS[1], 2)]


async def test_when_a_group_failed_is_told_by_one_clock(queue: StreamQueue) -> None:
    """That of the engines, as letters tell it. These differ: the last one need not be the one that died last."""
    at = 1_700_000_000_000
    for times in ((0,), (0, -5), (0, 7)):
        op = Op(f"p{times}", "purge", "me", at * 2)
        for late in times:
            await queue.enqueue([run()])
            letter = dead(await take_one(queue), GROUPS[0])
            head = msgspec.json.decode(letter.header) | {"failed_ms": at + late}
            await queue.settle(WORKER, [msgspec.structs.replace(letter, header=msgspec.json.encode(head))])
        (group,) = await queue.dead_groups()
        assert (to_ms(group.first_failed_at), to_ms(group.last_failed_at)) == (at + min(times), at + max(times))
        await queue.dead_purge_all(op, await queue.dead_top())


async def test_heads_of_many_groups_are_one_list_in_both_directions(queue: StreamQueue, redis: Any) -> None:
    groups = tuple([f"{n:016x}" for n in range(12)])
    made = [(r, g) for r, _, g in await bury(queue, 30, groups)]
    made += [(r, g) for r, _, g in await bury(queue, 30, groups[:1])]
    prefixes = {queue.name: queue.prefix}
    chosen = [(queue.name, g) for g in groups[:10]]
    wanted = [r for r, g in made if g in groups[:10]]
    for size in (1, 5, 7, 100):
        down: list[str] = []
        place = None
        while True:
            heads = await dead_heads(redis, prefixes, size, place, chosen)
            assert heads.total == len(wanted)
            down += [d.id for d in heads.letters]
            if heads.last is None:
                break
            place = {queue.name: heads.last[0]}
        assert down == wanted[::-1]
        up: list[str] = []
        place = {queue.name: 0}
        while True:
            heads = await dead_heads(redis, prefixes, size, None, chosen, after=place)
            up += [d.id for d in heads.letters[::-1]]
            if heads.last is None:
                break
            place = {queue.name: heads.last[0]}
        assert up == wanted
    counted, total = await dead_groups(redis, prefixes, 5)
    assert (counted[0].count, total, len(counted)) == (33, 12, 5)


async def test_a_run_id_that_dies_again_is_one_letter(queue: StreamQueue, redis: Any) -> None:
    """An id that was given to another run while the first was dead: the newer letter stands alone."""
    (first,) = await bury(queue, 1)
    await queue.enqueue([run(run_id="again")])
    (d,) = (await queue.take(WORKER, 1)).deliveries
    await redis.rename(f"{queue.prefix}dead:#{first[1]}", f"{queue.prefix}dead:#1")
    await redis.delete(f"{queue.prefix}dead", f"{queue.prefix}dead:index")
    await redis.zadd(f"{queue.prefix}dead", {"again": 1})
    await redis.zadd(f"{queue.prefix}dead:index", {f"{GROUPS[0]}:{1:016}:again": 0})
    await queue.settle(WORKER, [dead(d, GROUPS[1])])
    (letter,) = (await queue.dead_page(5)).items
    assert (letter.id, letter.group) == ("again", GROUPS[1])
    assert await redis.hgetall(f"{queue.prefix}dead:groups") == {GROUPS[1].encode(): b"1"}
    assert await redis.zcard(f"{queue.prefix}dead:index") == 1
    assert not await redis.exists(f"{queue.prefix}dead:#1")
