"""The lists of the archive: a purge of all and its undo change a list, not its letters; many lists become few."""

from __future__ import annotations

import asyncio
import random

import pytest

from backends.connect import Servers
from backends.history import archive_lists
from backends.history.archive import Stretch
from backends.history.archive_trash import ArchiveTrash, sweep_trash
from backends.history.spill import Spill
from backends.model import from_ms, now_ms
from backends.queues.base import Pair
from tests.backends.test_history_archive import GROUPS, Moving, clock

LISTS = "select count(*) from cronsole.dead_archive_lists"
FAR = 1 << 45


@pytest.fixture
async def moving(connected: Servers) -> Moving:
    return Moving(connected, await connected.pool())


def trash_of(moving: Moving) -> ArchiveTrash:
    return ArchiveTrash(moving.pool, moving.namespace, moving.queue.name)


async def groups_of(moving: Moving) -> dict[str, int]:
    """Group → how many, as it is kept; and as its letters say."""
    told = {g.group: g.count for g in await moving.archive.groups(["q"])}
    counted = {group: await moving.archive.count("q", 0, FAR << 10, [group]) for group in GROUPS}
    assert told == {group: n for group, n in counted.items() if n}
    assert await moving.archive.count("q") == sum(told.values())
    return told


async def test_what_comes_after_a_purge_of_all_is_another_list(moving: Moving) -> None:
    """Letters above the purge stay; undone, all are one list again, and of each group the ends are known."""
    pairs = await moving.bury(12)
    trash = trash_of(moving)
    await moving.spill.leave(pairs[:6])
    assert await trash.take_all("one", FAR, pairs[3][1]) == 4
    assert await moving.cold() == pairs[4:6]
    assert await trash.take_all("one", FAR, pairs[3][1]) == 0
    await moving.spill.leave(pairs[6:9])
    assert await moving.cold() == pairs[4:9]
    assert await trash.take_all("two", FAR, pairs[8][1]) == 5
    assert (await moving.cold(), await groups_of(moving)) == ([], {})
    assert (await trash.size("one"), await trash.size("two")) == (4, 5)
    await moving.spill.leave(pairs[9:10])
    assert await trash.give_back("one") == (4, pairs[3][1])
    assert await trash.give_back("one") == (0, 0)
    assert await moving.cold() == [*pairs[:4], pairs[9]]
    assert await groups_of(moving) == {GROUPS[0]: 3, GROUPS[1]: 1, GROUPS[2]: 1}
    ends = (await moving.archive.ends([("q", GROUPS[0])]))["q", GROUPS[0]]
    assert [end.sequence for end in ends] == [pairs[0][1], pairs[9][1]]
    newest = await moving.archive.walk([Stretch("q", GROUPS[0])], 2)
    assert [letter.sequence for letter in newest] == [pairs[9][1], pairs[3][1]]
    assert await moving.spill.back([*pairs[:2], pairs[9], pairs[4]]) == [True, True, True, False]
    assert await trash.give_back("two") == (5, pairs[8][1])
    assert await moving.cold() == pairs[2:9]


async def test_what_can_not_be_asked_back_any_more_goes(moving: Moving) -> None:
    """In steps, and its lists with it; what is swept does not come back half."""
    pairs = await moving.bury(9)
    trash = trash_of(moving)
    await moving.spill.leave(pairs[:8])
    assert await trash.take("some", now_ms() - 1, pairs[:2]) == [True, True]
    assert await trash.take_all("all", now_ms() - 1, pairs[6][1]) == 5
    assert await sweep_trash(moving.pool, moving.namespace, from_ms(now_ms())) == 7
    assert await trash.give_back("all") == (0, 0)
    assert await sweep_trash(moving.pool, moving.namespace, from_ms(now_ms())) == 0
    assert await moving.rows(LISTS) == 1
    assert await moving.rows("select count(distinct list) from cronsole.dead_archive_groups") == 1
    assert await moving.cold() == pairs[7:8]


async def test_many_lists_become_few(moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_lists, "LISTS_MOST", 3)
    monkeypatch.setattr(archive_lists, "STEP", 2)
    pairs = await moving.bury(21)
    trash = trash_of(moving)
    for n in range(7):
        await moving.spill.leave(pairs[3 * n : 3 * n + 3])
        assert await trash.take_all(f"op{n}", FAR, FAR << 10) == 3
    for n in range(7):
        await trash.give_back(f"op{n}")
    before = await groups_of(moving)
    assert (await moving.rows(LISTS), await moving.cold()) == (7, pairs)
    while await moving.spill.merge():
        assert await moving.cold() == pairs
        assert await groups_of(moving) == before
    assert await moving.rows(LISTS) == 3
    assert await moving.spill.back(pairs) == [True] * 21
    assert await moving.hot() == pairs


@pytest.mark.parametrize("seed", range(8))
async def test_all_at_once(moving: Moving, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines and operators at the same time: each letter is in one place, and all counts agree."""
    monkeypatch.setattr(archive_lists, "LISTS_MOST", 1)
    monkeypatch.setattr(archive_lists, "STEP", 3)
    rnd = random.Random(seed)
    pairs = await moving.bury(40)
    trash, queue = trash_of(moving), moving.queue
    receipts = [f"op{n}" for n in range(6)]

    async def act() -> None:
        some = rnd.sample(pairs, rnd.randint(1, 12))
        spill = Spill(moving.pool, moving.namespace, queue, clock)
        match rnd.choice(("leave", "leave", "leave", "back", "take", "all", "give", "merge")):
            case "leave":
                await spill.leave(some)
            case "back":
                await spill.back(some)
            case "take":
                await queue.dead_counted(-sum(await trash.take(rnd.choice(receipts), FAR, some)))
            case "all":
                await queue.dead_counted(-await trash.take_all(rnd.choice(receipts), FAR, some[0][1]))
            case "give":
                await queue.dead_counted(*await trash.give_back(rnd.choice(receipts)))
            case _:
                await spill.merge()

    async def worker() -> None:
        for _ in range(25):
            await act()

    await asyncio.gather(*[worker() for _ in range(4)])
    hot, cold = await moving.hot(), await moving.cold()
    away: list[Pair] = []
    for receipt in receipts:
        size = await trash.size(receipt)
        back, _ = await trash.give_back(receipt)
        assert back == size
        now = await moving.cold()
        away += set(now) - set(cold) - set(away)
    assert sorted([*hot, *cold, *away]) == sorted(pairs)
    await queue.dead_counted(len(away), max((sequence for _, sequence in away), default=0))
    assert await moving.spill.recount() == 0
    count, top = await queue.dead_spilled()
    assert count == len(cold) + len(away)
    assert top >= max(s for _, s in [*cold, *away])
    assert sum((await groups_of(moving)).values()) == len(cold) + len(away) == await moving.rows()
    assert await queue.dead_marks() == {}
