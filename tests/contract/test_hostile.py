"""Whatever bytes lie in Redis or are sent there: no script fails half-way, nothing vanishes, nothing is held up."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import count
from typing import Any

import msgspec
import pytest

from backends.connect import Servers
from backends.model import Pause, new_run_id, now_ms
from backends.queues.base import Delivery, OnFull, Op, Settle, Settled, Settlement
from backends.queues.dead_heads import dead_heads
from backends.queues.dead_index import DeadHeader
from backends.queues.streams import StreamQueue
from tests.contract.helpers import WORKER, dead, done, record, retry, run
from tests.contract.keyspace import keys_of, places

GOOD = DeadHeader(job="noop", attempts=1, error_class="E", error="boom", failed_ms=1, group="aaaa000011112222")
HEADS = [
    b"", b"\n", b"\n\n{}", b"not json", b"null", b"7", b"[]", b'"text"', b"{}", b"{", b"\x00\xff\xfe", b"[" * 5_000,
    b'{"a":' * 5_000, b"x" * 70_000, b"x" * 1_000_000, b'{"group":7}', b'{"group":null}', b'{"group":"a:b"}',
    b'{"group":"aaaa000011112222"}', msgspec.json.format(msgspec.json.encode(GOOD), indent=2),
    *[
        msgspec.json.encode(msgspec.to_builtins(GOOD) | change)
        for change in (
            {"error_class": "A" * 70_000}, {"error": "\x01" * 30_000}, {"job": "j" * 2_000_000}, {"job": None},
            {"job": {"a": [1]}}, {"attempts": "many"}, {"attempts": -1}, {"attempts": 1.5}, {"attempts": None},
            {"priority": 9}, {"priority": "high"}, {"slot": 7}, {"slot": "no limit"}, {"slot": "|"}, {"slot": "a|b|1"},
            {"slot": "s|99999999999999999999"}, {"failed_ms": "now"}, {"failed_ms": 10**18}, {"group": ""},
            {"group": "ä"}, {"group": "g" * 70_000}, {"worker": None}, {"error": 1e300}, {"group": "unreadable"},
        )
    ],
    b'{"job":"\xff","attempts":1,"error_class":"\xff","error":"\xff","failed_ms":1,"group":"aaaa000011112222"}',
    b'{"job":"j","attempts":1e999,"error_class":"E","error":"","failed_ms":1,"group":"aaaa000011112222"}',
]  # fmt: skip
NAMES = (b"i", b"a", b"f", b"k", b"p", b"j", b"e", b"c")
ENTRIES: list[list[tuple[bytes, bytes]]] = [
    [(b"x", b"y")],
    [(b"i", b"")],
    [(b"i", b"odd-1"), (b"a", b"one")],
    [(b"e", b"\xff\x00")] * 8,
    [(name, b"\xff") for name in NAMES],
    [(name, b"odd-2" if name == b"i" else b"-1") for name in NAMES],
]


@pytest.fixture
def queue(connected: Servers) -> StreamQueue:
    return StreamQueue(connected.redis, connected.settings.namespace, "contract")


async def taken(queue: StreamQueue, count: int, **more: Any) -> list[Delivery]:
    await queue.enqueue([run(**more) for _ in range(count)])
    found: list[Delivery] = []
    while len(found) < count:
        found += (await queue.take(WORKER, 200)).deliveries
    return found


def hostile(delivery: Delivery, head: bytes) -> Settlement:
    return Settlement(delivery, Settle.DEAD, record(delivery), header=head)


async def recorded(redis: Any, queue: StreamQueue) -> list[str]:
    rows = [msgspec.json.decode(fields[b"r"]) for _, fields in await redis.xrange(f"{queue.prefix}out")]
    return [each["run_id"] for row in rows for each in row]


async def whole(redis: Any, queue: StreamQueue, runs: Sequence[Delivery]) -> None:
    """All of them are dead letters, in every list there is, and all of them can be read."""
    ids = {d.run_id for d in runs}
    assert {r for r, w in places(await keys_of(queue, redis)).items() if w == "dead"} == ids
    letters = (await queue.dead_page(1000)).items
    assert {letter.id for letter in letters} == ids
    assert {letter.envelope for letter in letters} == {d.envelope for d in runs}
    heads = await dead_heads(redis, {queue.name: queue.prefix}, 1000)
    assert {letter.id for letter in heads.letters} == ids
    groups = await queue.dead_groups(1000)
    assert sum(g.count for g in groups) == len(ids)
    assert {g.group for g in groups} == set(await queue.dead_kinds())


async def test_one_hostile_head_costs_nobody_anything(redis: Any, queue: StreamQueue) -> None:
    """A class of 70,000 characters in a batch with runs that went well: those are recorded, and it is a dead letter."""
    good, bad = await taken(queue, 8), (await taken(queue, 1, slot="s"))[0]
    waits = run(slot="s", on_full=OnFull.WAIT)
    await queue.enqueue([waits])
    head = msgspec.json.encode(msgspec.to_builtins(GOOD) | {"error_class": "A" * 70_000})
    assert await queue.settle(WORKER, [*map(done, good), hostile(bad, head)]) == [Settled.OK] * 9
    assert sorted(await recorded(redis, queue)) == sorted([d.run_id for d in (*good, bad)])
    assert await queue.find(waits.run_id) == "ready", "its slot is free"
    assert [g.count for g in await queue.dead_groups()] == [1]
    pair = (bad.run_id, (await queue.dead_page(1)).items[0].sequence)
    assert await queue.dead_purge(Op("p", "purge", "me", now_ms() + 99_999), [pair]) == [True]
    assert (await queue.restore("p")).back == 1


@pytest.mark.parametrize("seed", range(4))
async def test_heads_that_are_settled(redis: Any, queue: StreamQueue, seed: int) -> None:
    """Retried, purged and given back they are as others are; what else was in the batch is not touched by them."""
    luck = random.Random(seed)
    deliveries = await taken(queue, len(HEADS) + 20)
    luck.shuffle(deliveries)
    bad, others = deliveries[: len(HEADS)], deliveries[len(HEADS) :]
    ways = [luck.choice((done, retry, dead)) for _ in others]
    items = [*map(hostile, bad, HEADS), *[way(d) for way, d in zip(ways, others, strict=True)]]
    luck.shuffle(items)
    assert await queue.settle(WORKER, items) == [Settled.OK] * len(items)
    assert sorted(await recorded(redis, queue)) == sorted(d.run_id for d in deliveries)
    died = [*bad, *[d for way, d in zip(ways, others, strict=True) if way is dead]]
    await whole(redis, queue, died)
    await there_and_back(redis, queue, died)


@pytest.mark.parametrize("seed", range(4))
async def test_heads_that_somebody_has_written(redis: Any, queue: StreamQueue, seed: int) -> None:
    """A record whose header was overwritten by hand is a letter still, under its group, whatever is done to it."""
    luck = random.Random(seed)
    deliveries = await taken(queue, len(HEADS))
    await queue.settle(WORKER, [dead(d, group=luck.choice("abc") * 16) for d in deliveries])
    heads = [head for head in HEADS if b'"group":"aaaa000011112222"' not in head and b'"unreadable"' not in head]
    envelope = deliveries[0].envelope
    for letter, head in zip((await queue.dead_page(1000)).items, heads, strict=False):
        await redis.set(f"{queue.prefix}dead:#{letter.sequence}", head.replace(b"\n", b" ") + b"\n" + envelope)
    assert len(await redis.keys(f"{queue.prefix}dead:#*")) == len(deliveries)
    await whole(redis, queue, deliveries)
    await there_and_back(redis, queue, deliveries)


async def there_and_back(redis: Any, queue: StreamQueue, died: Sequence[Delivery]) -> None:
    """Everything that can be done to letters, each with its undo."""
    ids, until, names = {d.run_id for d in died}, now_ms() + 999_999, count()

    async def pairs() -> list[tuple[str, int]]:
        return [(letter.id, letter.sequence) for letter in (await queue.dead_page(1000)).items]

    async def undo(name: str) -> None:
        while (await queue.restore(name)).more:
            pass
        await whole(redis, queue, died)

    for kind, act in (("retry", queue.dead_retry), ("purge", queue.dead_purge)):
        name = f"{kind}-{next(names)}"
        assert all(await act(Op(name, kind, "me", until), await pairs()))
        found = places(await keys_of(queue, redis))
        assert kind == "purge" or {r for r, w in found.items() if w in ("ready", "waiting") and r in ids} == ids
        await undo(name)
    assert await queue.dead_purge_all(Op("all", "purge", "me", until), await queue.dead_top()) == len(ids)
    await undo("all")
    gone = await pairs()
    packed = await queue.dead_packed(gone)
    assert all(await queue.dead_drop(gone, move="m"))
    back = [(*pair, text) for pair, text in zip(gone, packed, strict=True) if text is not None]
    assert all(await queue.dead_return(back, move="n"))
    await queue.dead_settled(dict.fromkeys([sequence for _, sequence in gone], "in n"))
    await whole(redis, queue, died)


async def test_entries_that_somebody_has_written(redis: Any, queue: StreamQueue) -> None:
    """They are taken with the others, and whatever can be done to a run can be done to them."""
    for place in ("1", "0"):
        for entry in ENTRIES:
            flat = [part for pair in entry for part in pair]
            await redis.execute_command("XADD", f"{queue.prefix}ready:{place}", "*", *flat)
    good = [run() for _ in range(5)]
    await queue.enqueue(good)
    deliveries = (await queue.take(WORKER, 100)).deliveries
    assert len(deliveries) == 2 * len(ENTRIES) + 5
    assert {d.run_id for d in deliveries} > {r.run_id for r in good}
    assert await queue.reap(0, 3) == len(deliveries), "each as after any crash"
    seen: list[Delivery] = []
    while batch := (await queue.take(WORKER, 100)).deliveries:
        seen += batch
    assert len(seen) == len(deliveries)
    assert await queue.settle(WORKER, [dead(d) for d in seen]) == [Settled.OK] * len(seen)
    assert {d.run_id for d in seen} >= {letter.id for letter in (await queue.dead_page(100)).items}


async def test_what_is_held_and_can_not_be_read(redis: Any, queue: StreamQueue) -> None:
    """Its bytes are the envelope of a run that no engine can run: they end as a dead letter; nobody waits for it."""
    soon = [run(due_ms=now_ms() + 60_000) for _ in range(4)]
    line = [run(slot="s", on_full=OnFull.WAIT) for _ in range(4)]
    await queue.enqueue([*soon, *line])
    packed: list[bytes] = [b"", b"\xff\xff", b"\x93\x01", b"\xc0", b"\x07", b"\x91\xc0"]
    for held, bytes_ in zip([*soon[:3], *line[1:]], packed, strict=True):
        await redis.hset(f"{queue.prefix}held", held.run_id, bytes_)
    assert await queue.bump(line[2].run_id) == "ok"
    assert await queue.bump(soon[0].run_id) == "ok"
    assert await queue.cancel(soon[1].run_id, "me", Op("c", "cancel", "me", now_ms() + 9_999)) == "cancelled"
    assert (await queue.restore("c")).back == 1
    for each in soon:
        await redis.zadd(f"{queue.prefix}later", {each.run_id: 1}, xx=True)
    await queue.promote()
    places(await keys_of(queue, redis))
    seen: list[str] = []
    while batch := (await queue.take(WORKER, 10)).deliveries:
        seen += [d.run_id for d in batch]
        await queue.settle(WORKER, [done(d) for d in batch])
    assert sorted(seen) == sorted(r.run_id for r in (*soon, *line))


async def test_settlements_of_anything(redis: Any, queue: StreamQueue) -> None:
    """Entry ids, slots and counts that are none; and an entry that was deleted while its run went on."""
    deliveries = await taken(queue, 6)
    odd = [
        msgspec.structs.replace(deliveries[0], entry_id="nonsense"),
        msgspec.structs.replace(deliveries[0], place="9"),
        msgspec.structs.replace(deliveries[0], slot="no limit"),
        msgspec.structs.replace(deliveries[1], slot="|"),
    ]
    ways = [retry, dead, done, dead]
    await redis.xdel(f"{queue.prefix}ready:1", deliveries[2].entry_id, deliveries[3].entry_id)
    items = [*[way(d) for way, d in zip(ways, odd, strict=True)], retry(deliveries[2]), dead(deliveries[3])]
    words = await queue.settle(WORKER, [*items, *map(done, deliveries[4:])])
    assert words[2:] == [Settled.OK] * 6
    assert len(await recorded(redis, queue)) == 6
    found = places(await keys_of(queue, redis))
    assert found == {deliveries[1].run_id: "dead", deliveries[2].run_id: "ready", deliveries[3].run_id: "dead"}


async def test_a_pause_that_can_not_be_read_holds_back_no_decision(redis: Any, queue: StreamQueue) -> None:
    """It counts as one; a script that asks goes on."""
    await queue.pause(Pause(by="me"), job="other")
    await redis.hset(f"{queue.prefix}ctl", "pausejob:noop", "for ever")
    await queue.enqueue([run(), run("other"), run("third")])
    taken = await queue.take(WORKER, 10)
    assert [d.job for d in taken.deliveries] == ["third"]
    assert await queue.promote() == 0


async def test_an_operation_whose_kind_is_gone_is_forgotten(redis: Any, queue: StreamQueue) -> None:
    """Else it would hold up all that come after it."""
    (delivery,) = await taken(queue, 1)
    await queue.settle(WORKER, [dead(delivery)])
    pair = (delivery.run_id, (await queue.dead_page(1)).items[0].sequence)
    assert await queue.dead_purge(Op("gone", "purge", "me", 1), [pair]) == [True]
    await redis.hdel(f"{queue.prefix}ops:what", "gone")
    while await queue.sweep(now_ms()):
        pass
    assert [k for k in await keys_of(queue, redis) if k.startswith(("ops", "trash", "dead:#"))] == []


async def test_a_move_that_can_not_be_read(redis: Any, queue: StreamQueue) -> None:
    """What was on its way comes back as an envelope that nobody can run."""
    run_id = new_run_id()
    await redis.hset(f"{queue.prefix}moving", run_id, "5 other")
    await redis.hset(f"{queue.prefix}live", run_id, "mother")
    await queue.move_back(await queue.moving([run_id]))
    assert places(await keys_of(queue, redis)) == {run_id: "ready"}
