"""Dead letters that went from Redis into the archive: one list with the rest, none lost, none twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from backends.connect import Servers
from backends.history.archive import Archive, Stretch
from backends.history.originals import keep_original, read_originals
from backends.history.spill import BATCH, SLACK, Spill
from backends.model import new_run_id, now_ms
from backends.queues.base import NewRun, Op, Pair
from backends.queues.dead_index import DeadHeader
from backends.queues.streams import StreamQueue

GROUPS = ("aaaa000011112222", "bbbb000011112222", "cccc000011112222")


class Moving:
    """A queue, its archive, and what moves letters between them."""

    def __init__(self, servers: Servers, pool: Any, name: str = "q") -> None:
        self.pool = pool
        self.namespace = servers.settings.namespace
        self.queue = StreamQueue(servers.redis, self.namespace, name)
        self.archive = Archive(pool, self.namespace, lambda _, sequences: self.queue.dead_moved(sequences))
        self.spill = Spill(pool, self.namespace, self.queue, clock)

    async def bury(self, count: int) -> list[Pair]:
        """So many dead letters, by their sequence."""
        for n in range(count):
            run_id = new_run_id()
            await self.queue.enqueue([NewRun(run_id, "j", b'{"type":"j","n":%d}' % n)])
            (delivery,) = (await self.queue.take("w", 1)).deliveries
            await self.queue.settle("w", [dead(delivery, GROUPS[n % len(GROUPS)])])
        return await self.hot()

    async def hot(self) -> list[Pair]:
        return await self.queue.dead_pairs(100_000, 0, 1 << 53)

    async def cold(self) -> list[Pair]:
        letters = await self.archive.walk([Stretch(self.queue.name)], 100_000, oldest=True)
        return [(letter.run_id, letter.sequence) for letter in letters]

    async def rows(self, sql: str = "select count(*) from cronsole.dead_archive") -> Any:
        async with self.pool.connection() as c:
            return (await (await c.execute(sql)).fetchone())[0]


async def clock() -> int:
    return now_ms()


def dead(delivery: Any, group: str) -> Any:
    from tests.contract import helpers

    return helpers.dead(delivery, group)


def op(kind: str) -> Op:
    return Op(f"op{kind}", kind, "me", now_ms() + 3_600_000)


@pytest.fixture
async def moving(connected: Servers) -> Moving:
    return Moving(connected, await connected.pool())


async def test_the_oldest_go_and_come_back_as_they_were(moving: Moving) -> None:
    pairs = await moving.bury(12)
    packed = await moving.queue.dead_packed(pairs)
    groups = {g.group: g.count for g in await moving.queue.dead_groups()}
    assert await moving.spill.leave(pairs[:7]) == [True] * 7
    assert (await moving.hot(), await moving.cold()) == (pairs[7:], pairs[:7])
    assert await moving.queue.dead_spilled() == (7, pairs[6][1])
    assert await moving.queue.dead_marks() == {}
    records = await moving.archive.records("q", [*pairs[:7], pairs[8]])
    assert [letter.record if letter else None for letter in records] == [*packed[:7], None]
    counted = {g.group: g.count for g in await moving.archive.groups(["q"])}
    assert counted == {GROUPS[0]: 3, GROUPS[1]: 2, GROUPS[2]: 2}
    assert await moving.spill.back([*pairs[:7], pairs[8]]) == [*[True] * 7, False]
    assert (await moving.hot(), await moving.cold()) == (pairs, [])
    assert await moving.queue.dead_packed(pairs) == packed
    assert {g.group: g.count for g in await moving.queue.dead_groups()} == groups
    assert await moving.archive.groups(["q"]) == []
    assert await moving.queue.dead_spilled() == (0, 0)
    assert await moving.rows() == 0


async def test_only_what_is_clearly_too_much_goes(moving: Moving) -> None:
    pairs = await moving.bury(SLACK + 12)
    assert await moving.spill.step(12) == 0
    assert await moving.spill.step(10) == BATCH
    assert await moving.cold() == pairs[:BATCH]
    assert await moving.spill.step(10) == 0, "what is little too much stays"


async def test_an_envelope_is_any_bytes(moving: Moving) -> None:
    pairs = []
    for envelope in (b"\x00\xff\n\n", b"", b'{"type":"j"}'):
        await moving.queue.enqueue([NewRun(new_run_id(), "j\0", envelope)])
        (delivery,) = (await moving.queue.take("w", 1)).deliveries
        await moving.queue.settle("w", [dead(delivery, GROUPS[0])])
    pairs = await moving.hot()
    packed = await moving.queue.dead_packed(pairs)
    assert await moving.spill.leave(pairs) == [True] * 3
    assert [letter and letter.record for letter in await moving.archive.records("q", pairs)] == packed
    assert await moving.spill.back(pairs) == [True] * 3
    assert await moving.queue.dead_packed(pairs) == packed


async def test_what_somebody_took_meanwhile_is_not_kept(moving: Moving) -> None:
    pairs = await moving.bury(4)
    real = moving.queue.dead_drop

    async def late(wanted: Sequence[Pair], until_ms: int = 0, move: str = "") -> list[bool]:
        assert await moving.cold() == [], "it is listed where it is"
        await moving.queue.dead_purge(op("purge"), pairs[1:3])
        assert await moving.cold() == []
        return await real(wanted, until_ms, move)

    moving.queue.dead_drop = late  # type: ignore[method-assign]
    assert await moving.spill.leave(pairs) == [True, False, False, True]
    assert await moving.cold() == [pairs[0], pairs[3]]
    assert await moving.rows() == 2
    assert {g.group: g.count for g in await moving.archive.groups(["q"])} == {GROUPS[0]: 2}


async def test_two_bring_the_same_letter_back(moving: Moving) -> None:
    pairs = await moving.bury(3)
    await moving.spill.leave(pairs)
    real = moving.queue.dead_return
    other = Spill(moving.pool, moving.namespace, moving.queue, clock)

    async def meanwhile(records: Any, until_ms: int = 0, move: str = "") -> list[bool]:
        moving.queue.dead_return = real  # type: ignore[method-assign]
        assert await other.back(pairs) == [False] * 3
        return await real(records, until_ms, move)

    moving.queue.dead_return = meanwhile  # type: ignore[method-assign]
    assert await moving.spill.back(pairs) == [True] * 3
    await moving.queue.dead_retry(op("retry"), pairs)
    assert await moving.spill.back(pairs) == [False] * 3, "what was retried does not come back"
    assert (await moving.queue.status()).ready == 3
    assert (await moving.hot(), await moving.cold()) == ([], [])


async def test_a_run_that_came_alive_stays_in_the_archive(moving: Moving) -> None:
    pairs = await moving.bury(2)
    await moving.spill.leave(pairs)
    await moving.queue.enqueue([NewRun(pairs[0][0], "j", b"{}")])
    assert await moving.spill.back(pairs) == [False, True]
    assert await moving.cold() == pairs[:1]


async def test_pages_by_group_both_ways_over_queues(connected: Servers, moving: Moving) -> None:
    other = Moving(connected, moving.pool, "r")
    queues = {"q": moving, "r": other}
    for _ in range(5):
        for each in queues.values():
            await each.bury(6)
    everything = sorted(
        [(s, name, run) for name, each in queues.items() for run, s in await each.hot()],
        key=lambda letter: (-letter[0], letter[1]),
    )
    for each in queues.values():
        await each.spill.leave(await each.hot())
    archive = Archive(moving.pool, moving.namespace, lambda name, sequences: queues[name].queue.dead_moved(sequences))

    def shown(letters: Any) -> list[tuple[int, str, str]]:
        return [(letter.sequence, letter.queue, letter.run_id) for letter in letters]

    assert shown(await archive.walk([Stretch("q"), Stretch("r")], 1000)) == everything
    assert shown(await archive.walk([Stretch("q"), Stretch("r")], 7, oldest=True)) == everything[::-1][:7]
    middle = everything[30]
    below = [Stretch("q", below=middle[0]), Stretch("r", below=middle[0])]
    assert shown(await archive.walk(below, 9)) == everything[31:40]
    above = [Stretch("q", above=middle[0]), Stretch("r", above=middle[0])]
    assert shown(await archive.walk(above, 9, oldest=True)) == everything[21:30][::-1]
    heads = {(run, s): msgspec.json.decode(letter.head, type=DeadHeader).group
             for letter in await archive.walk([Stretch("q"), Stretch("r")], 1000)
             for run, s in [(letter.run_id, letter.sequence)]}  # fmt: skip
    wanted = [letter for letter in everything if heads[letter[2], letter[0]] == GROUPS[1]]
    of_group = [Stretch("q", GROUPS[1]), Stretch("r", GROUPS[1])]
    assert shown(await archive.walk(of_group, 1000)) == wanted
    assert shown(await archive.walk(of_group, 3, oldest=True)) == wanted[::-1][:3]
    assert await archive.count("q") == 30
    assert await archive.count("q", groups=GROUPS[:2]) == 20
    bound = everything[10][0]
    assert await archive.count("q", below=bound) == len([1 for s, name, _ in everything if name == "q" and s < bound])
    ends = await archive.ends([("q", GROUPS[1])])
    of_q = [letter for letter in wanted if letter[1] == "q"]
    assert [letter.sequence for letter in ends["q", GROUPS[1]]] == [of_q[-1][0], of_q[0][0]]
    found = await archive.find([everything[3][2], "nobody"])
    assert shown(found) == [everything[3]]
    assert all(letter.envelope == b"" for letter in found)


async def test_counts_are_put_right(moving: Moving) -> None:
    pairs = await moving.bury(5)
    await moving.spill.leave(pairs[:3])
    assert await moving.spill.recount() == 0
    for wrong in (-3, 2, -1):
        await moving.queue.dead_counted(wrong)
        assert await moving.spill.recount() == -wrong
        assert await moving.queue.dead_spilled() == (3, pairs[2][1])
    await moving.rows("update cronsole.dead_archive set state = 'returning' returning 1")
    await moving.queue.dead_counted(1)
    assert await moving.spill.recount() == 0, "not while something moves"


async def test_namespaces_do_not_meet(connected: Servers, moving: Moving) -> None:
    await moving.spill.leave(await moving.bury(2))
    strange = Archive(moving.pool, "another", lambda _, sequences: moving.queue.dead_moved(sequences))
    assert await strange.walk([Stretch("q")], 10) == []
    assert await strange.groups(["q"]) == []
    assert await strange.find([run for run, _ in await moving.cold()]) == []


async def test_the_original_of_an_edited_letter(moving: Moving) -> None:
    ((run_id, sequence),) = await moving.bury(1)
    (record,) = await moving.queue.dead_packed([(run_id, sequence)])
    assert record
    new, other = new_run_id(), new_run_id()
    for receipt, by in (("01RECEIPT", new), ("01RECEIPT", new), ("02RECEIPT", other)):  # the first was taken back
        await keep_original(moving.pool, "ns", "q", run_id, sequence, record, receipt, by)
    for run in (run_id, other):
        (kept,) = await read_originals(moving.pool, "ns", run)
        assert kept.head + b"\n" + kept.envelope == record
        assert (kept.queue, kept.run_id, kept.sequence) == ("q", run_id, sequence)
        assert (kept.receipt, kept.replaced_by) == ("02RECEIPT", other)
    assert await read_originals(moving.pool, "ns", new) == []
    assert await read_originals(moving.pool, "elsewhere", run_id) == []
    assert await moving.cold() == [], "not among the dead ones"
    assert await moving.spill.leave([(run_id, sequence)]) == [True]
    assert await moving.cold() == [(run_id, sequence)]


async def test_marks_of_a_move_at_work_are_let_be(moving: Moving) -> None:
    pairs = await moving.bury(3)
    real = moving.queue.dead_drop

    async def then_die(wanted: Sequence[Pair], until_ms: int = 0, move: str = "") -> list[bool]:
        await real(wanted, until_ms, move)
        assert await moving.spill.reconcile() == 0, "it may still be at work"
        raise CrashError

    moving.queue.dead_drop = then_die  # type: ignore[method-assign]
    with pytest.raises(CrashError):
        await moving.spill.leave(pairs)
    assert await moving.cold() == pairs
    assert await moving.spill.back(pairs) == [False] * 3
    assert await moving.spill.reconcile(0) == 3
    assert (await moving.hot(), await moving.cold()) == ([], pairs)
    assert await moving.queue.dead_marks() == {}


async def test_a_move_that_ends_while_a_page_is_read(moving: Moving) -> None:
    pairs = await moving.bury(2)
    noted = moving.spill._note

    async def read_then_note(*args: Any) -> None:
        async def moved(queue: str, sequences: Sequence[int]) -> list[str]:
            await noted(*args)
            return await moving.queue.dead_moved(sequences)

        page = await Archive(moving.pool, moving.namespace, moved).walk([Stretch("q")], 10, oldest=True)
        assert [(letter.run_id, letter.sequence) for letter in page] == shown

    moving.spill._note = read_then_note  # type: ignore[method-assign]
    shown = pairs
    assert await moving.spill.leave(pairs) == [True, True]
    shown = []
    assert await moving.spill.back(pairs) == [True, True]


class CrashError(Exception):
    """The driver dies here."""


def crashing(target: Any, name: str, when: Callable[[], bool], after: bool) -> None:
    real = getattr(target, name)

    async def call(*args: Any) -> Any:
        if not after and when():
            raise CrashError(name)
        answer = await real(*args)
        if after and when():
            raise CrashError(name)
        return answer

    setattr(target, name, call)


@pytest.mark.parametrize("seed", range(12))
async def test_drivers_die_anywhere_while_operators_act(moving: Moving, seed: int) -> None:
    """Whatever happens: each letter is in one place, and each run is started at most as often as it was retried."""
    rnd = random.Random(seed)
    await moving.bury(24)
    dead_ones: set[Pair] = set(await moving.hot())
    retried: set[Pair] = set()
    purged: set[Pair] = set()

    def driver() -> Spill:
        """One that may die before or after any of its calls, to either server."""
        queue = StreamQueue(moving.queue._redis, moving.namespace, "q")
        spill = Spill(moving.pool, moving.namespace, queue, clock)
        for name in ("dead_drop", "dead_return", "dead_settled", "dead_moved"):
            for after in (False, True):
                crashing(queue, name, lambda: rnd.random() < 0.15, after)
        for name in ("_write", "_note"):
            crashing(spill, name, lambda: rnd.random() < 0.1, True)
        return spill

    for turn in range(60):
        everywhere = sorted(dead_ones, key=lambda pair: pair[1])
        some = rnd.sample(everywhere, min(len(everywhere), rnd.randint(1, 6)))
        act = rnd.choice(("leave", "leave", "back", "back", "retry", "purge", "reconcile"))
        try:
            if act == "leave":
                await driver().leave(some)
            elif act == "back":
                await driver().back(some)
            elif act == "reconcile":
                await driver().reconcile(0)
            elif act == "retry" and turn % 4 == 0:
                done = await moving.queue.dead_retry(op("retry"), some)
                retried |= {pair for pair, did in zip(some, done, strict=True) if did}
            elif act == "purge" and turn % 4 == 0:
                done = await moving.queue.dead_purge(op("purge"), some)
                purged |= {pair for pair, did in zip(some, done, strict=True) if did}
        except CrashError:
            pass
        assert not retried & purged, "nothing is taken twice"
        dead_ones -= retried | purged
        shown = await moving.hot() + await moving.cold()
        assert len(shown) == len(set(shown))
        assert set(shown) == dead_ones, f"after {act}"
    await moving.spill.reconcile(0)
    hot, cold = await moving.hot(), await moving.cold()
    assert sorted(hot + cold) == sorted(dead_ones)
    assert await moving.rows("select count(*) from cronsole.dead_archive where state <> 'there'") == 0
    assert await moving.rows() == len(cold)
    assert await moving.queue.dead_marks() == {}
    assert (await moving.queue.dead_spilled())[0] == len(cold)
    assert sum(g.count for g in await moving.archive.groups(["q"])) == len(cold)
    await moving.spill.back(cold)
    assert await moving.hot() == sorted(dead_ones, key=lambda pair: pair[1])
    assert (await moving.queue.status()).ready == len(retried)
    await moving.queue.dead_retry(op("all"), await moving.hot())
    assert (await moving.queue.status()).ready == len(retried) + len(dead_ones)


async def test_a_driver_that_slept_does_nothing_any_more(moving: Moving) -> None:
    pairs = await moving.bury(2)

    async def long_ago() -> int:
        return now_ms() - 120_000

    sleeper = Spill(moving.pool, moving.namespace, moving.queue, long_ago)
    assert await sleeper.leave(pairs) == [False, False]
    assert (await moving.hot(), await moving.rows()) == (pairs, 0)
    await moving.spill.leave(pairs)
    assert await sleeper.back(pairs) == [False, False]
    assert await moving.cold() == pairs
    assert await moving.spill.back(pairs) == [True, True]
