"""Dead letters that are in the archive are listed, counted and acted on with the others, as if nothing had moved."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from backends.errors import BadInputError, UnreachableError
from backends.history.spill import Spill
from backends.model import new_run_id, now_ms
from backends.ops import Marked, Ops, Selection
from tests.backends.ops_helpers import bury, bury_many, there

GROUPS = ("aaaa000011112222", "bbbb000011112222", "cccc000011112222")


async def clock() -> int:
    return now_ms()


async def spill(ops: Ops, name: str, pick: Callable[[int], bool]) -> int:
    """Put letters of a queue into the archive: the n-th of them, the oldest first, if `pick` says so."""
    queue = ops.live.queue(name)
    pairs = [pair for n, pair in enumerate(await queue.dead_pairs(10_000, 0, 1 << 53)) if pick(n)]
    return sum(await Spill(await ops.servers.pool(), ops.namespace, queue, clock).leave(pairs))


async def fill(ops: Ops) -> None:
    for n in range(6):
        await bury(ops.live.queue("mail"), 4, group=GROUPS[n % 2], error=f"boom {n}")
        await bury(ops.live.queue("default"), 3, group=GROUPS[n % 3], job="tick", error=f"bang {n}")


async def pages(ask: Callable[[str | None], Awaitable[Any]]) -> list[Any]:
    """All pages of a list, one after the other."""
    found: list[Any] = []
    cursor = None
    while True:
        page = await ask(cursor)
        found.append((page.items, page.total))
        cursor = page.next_cursor
        if cursor is None:
            return found


async def everything(ops: Ops) -> dict[str, Any]:
    """Whatever can be asked about dead letters."""
    since = ops.live  # the same object, so that nothing is opened anew
    assert since
    found: dict[str, Any] = {}
    for queue in ("", "mail", "default"):
        found[f"heads {queue}"] = await pages(lambda c, q=queue: ops.dead_heads(5, c, queue=q))  # type: ignore[misc]
        chosen = Selection(queue=queue)
        found[f"list {queue}"] = await pages(lambda c, s=chosen: ops.dead_list(5, c, s))  # type: ignore[misc]
        up = await pages(lambda c, q=queue: ops.dead_heads(5, c, queue=q, oldest=True))  # type: ignore[misc]
        told = [letter for items, _ in found[f"heads {queue}"] for letter in items]
        assert [letter for items, _ in reversed(up) for letter in items] == told, "from either end the same"
        assert {total for _, total in up} == {len(told)}
        last = found[f"list {queue}"][-1][0][-1]
        start = f"{last.sequence}.{last.queue}"
        newer = await pages(lambda c, s=chosen, b=start: ops.dead_list(5, selection=s, newer=c or b))  # type: ignore[misc]
        found[f"newer {queue}"] = newer
        listed = [letter for items, _ in found[f"list {queue}"] for letter in items]
        assert [letter for items, _ in reversed(newer) for letter in items] == listed[:-1], "both ways the same"
    for group in GROUPS:
        found[f"heads of {group}"] = await pages(lambda c, g=group: ops.dead_heads(4, c, group=g))  # type: ignore[misc]
        up = await pages(lambda c, g=group: ops.dead_heads(4, c, group=g, oldest=True))  # type: ignore[misc]
        told = [letter for items, _ in found[f"heads of {group}"] for letter in items]
        assert [letter for items, _ in reversed(up) for letter in items] == told
    found["two groups"] = await pages(
        lambda c: ops.dead_heads(4, c, groups=[("mail", GROUPS[0]), ("default", GROUPS[2])])
    )
    for name, selection in {
        "group": Selection(group=GROUPS[1]), "job": Selection(job="tick"), "error": Selection(error="ang 2"),
        "payload": Selection(payload='"n":1'), "none": Selection(error="not there"), "all": Selection(everything=True),
    }.items():  # fmt: skip
        found[f"list {name}"] = await pages(lambda c, s=selection: ops.dead_list(5, c, s))  # type: ignore[misc]
        frozen = await ops.freeze(selection)
        found[f"count {name}"] = (frozen, await ops.dead_count(frozen))
        found[f"dry run {name}"] = await ops.dead_retry(frozen, dry_run=True)
    found["groups"] = await ops.dead_group_page()
    found["shown"] = [await ops.dead_show(letter.id) for items, _ in found["list "] for letter in items]
    found["ids"] = await ops.dead_count([letter.id for letter in found["shown"]])
    found["status"] = [(q.name, q.dead) for q in await ops.queues()]
    return found


@pytest.mark.parametrize(
    "pick",
    [lambda n: n < 9, lambda n: True, lambda n: n % 3 == 0, lambda n: random.Random(n).random() < 0.5, lambda n: n > 9],
    ids=["the oldest", "all", "every third", "some", "the newest"],
)
async def test_one_list_wherever_the_letters_are(ops: Ops, pick: Callable[[int], bool]) -> None:
    await fill(ops)
    before = await everything(ops)
    assert await spill(ops, "mail", pick)
    assert await spill(ops, "default", lambda n: pick(n + 1)) + 1
    after = await everything(ops)
    for name, found in before.items():
        assert after[name] == found, name
    assert ops.warnings == []


async def test_retry_of_all_of_it(ops: Ops) -> None:
    await fill(ops)
    await spill(ops, "mail", lambda n: n < 9)
    result = await ops.dead_retry(Selection(everything=True), hold_s=0)
    assert (result.matched, result.changed) == (42, 42)
    assert await there(ops.live.queue("mail")) == {"ready": 24}
    assert await ops.live.queue("mail").dead_spilled() == (0, 0)
    assert result.receipt
    assert (await ops.undo(result.receipt)).changed == 42
    assert await ops.dead_count(Selection(everything=True)) == 42


async def test_marked_letters_and_two_operators(ops: Ops) -> None:
    await fill(ops)
    letters = (await ops.dead_list(50, selection=Selection(queue="mail"))).items
    marked = Marked(tuple((letter.queue, letter.id, letter.sequence) for letter in letters[-8:]))
    await spill(ops, "mail", lambda n: n < 4)
    purged = await ops.dead_purge(marked)
    assert purged.changed == 8
    assert (await ops.dead_purge(marked)).changed == 0
    again = await ops.dead_retry(marked, hold_s=0)
    assert (again.changed, await there(ops.live.queue("mail"))) == (0, {"dead": 16})
    assert purged.receipt
    assert (await ops.undo(purged.receipt)).changed == 8
    assert (await ops.dead_list(50, selection=Selection(queue="mail"))).items == letters


async def test_purge_of_all_and_its_undo(ops: Ops) -> None:
    await bury_many(ops.live.queue("mail"), 450)
    before = (await ops.dead_list(500, selection=Selection(queue="mail"))).items
    for _ in range(2):
        await spill(ops, "mail", lambda n: n < 130)
    result = await ops.dead_purge(Selection(queue="mail"))
    assert (result.matched, result.changed) == (450, 450)
    assert await there(ops.live.queue("mail")) == {}
    assert (await ops.dead_heads(10)).items == ()
    assert result.receipt
    assert await ops.live.queue("mail").op_size(result.receipt) == 450
    await bury(ops.live.queue("mail"), 2)
    undone = await ops.undo(result.receipt)
    assert (undone.matched, undone.changed) == (450, 450)
    with pytest.raises(BadInputError):
        await ops.undo(result.receipt)
    assert await there(ops.live.queue("mail")) == {"dead": 452}
    assert (await ops.dead_list(500, selection=Selection(queue="mail"))).items[2:] == before
    assert [g.count for g in (await ops.dead_group_page()).items] == [452]


async def test_edit_and_replay_of_an_archived_letter(ops: Ops) -> None:
    await bury(ops.live.queue("mail"), 3)
    await spill(ops, "mail", lambda n: n < 2)
    letter = (await ops.dead_list(50)).items[-1]
    assert await ops.run_envelope(letter.id) == letter.envelope
    new = await ops.dead_replay(letter, {"n": 2}, hold_s=0)
    assert len(new.run_ids) == 1
    assert await there(ops.live.queue("mail")) == {"ready": 1, "dead": 2}
    assert (await ops.undo(new.receipt)).changed == 1
    assert (await ops.dead_list(50)).items[-1] == letter


async def test_without_postgres_the_list_ends_above_the_archive(ops: Ops) -> None:
    await fill(ops)
    before = (await ops.dead_heads(100)).items
    await spill(ops, "mail", lambda n: n < 9)
    await spill(ops, "default", lambda n: n < 9)
    settings = ops.servers.settings
    assert settings.postgres_url
    await ops.servers.drop_connections()
    ops.servers.settings = replace(settings, postgres_url=settings.postgres_url.replace("host=", "host=/nowhere"))
    async with Ops.open(replace(settings, postgres_url="postgresql://nobody@/x?host=/nowhere")) as cut_off:
        page = await cut_off.dead_heads(100)
        assert set(page.items) < set(before)
        assert len(page.items) == 24
        assert page.total == 42, "how many there are is known"
        groups = await cut_off.dead_group_page()
        assert sum(group.count for group in groups.items) == 24
        await cut_off.dead_heads(100)
        assert [w.partition(":")[0] for w in cut_off.warnings if "archive" in w] == [
            "dead letters in the archive are not listed", "dead letters in the archive are not counted",
        ]  # fmt: skip
        with pytest.raises(UnreachableError):
            await cut_off.dead_retry(Selection(everything=True))


@pytest.fixture
async def cut_off(ops: Ops) -> AsyncIterator[Ops]:
    """Postgres is away; all of `default` is in the archive, and the oldest of `mail`."""
    await fill(ops)
    await spill(ops, "default", lambda n: True)
    await spill(ops, "mail", lambda n: n < 4)
    settings = replace(ops.servers.settings, postgres_url="postgresql://nobody@/x?host=/nowhere")
    async with Ops.open(settings) as away:
        yield away


async def test_what_redis_has_is_listed_and_shown(ops: Ops, cut_off: Ops) -> None:
    """With a warning, and with the count of all where Redis knows it."""
    wanted = (await ops.dead_list(2, selection=Selection(queue="mail"))).items
    page = await cut_off.dead_list(2)
    assert (page.items, page.total) == (wanted, 42)
    assert page.next_cursor
    assert len((await cut_off.dead_list(50, page.next_cursor)).items) == 18
    filtered = await cut_off.dead_list(50, selection=Selection(job="send_email"))
    assert (len(filtered.items), filtered.total) == (20, None)
    assert (await cut_off.dead_list(50, selection=Selection(error="boom 5"))).items
    assert await cut_off.dead_show(wanted[0].id) == wanted[0]
    assert sum(group.count for group in (await cut_off.dead_group_page()).items) == 20
    assert [w.partition(":")[0] for w in cut_off.warnings] == [
        "dead letters in the archive are not listed", "dead letters in the archive are not counted",
    ]  # fmt: skip
    with pytest.raises(UnreachableError):
        await cut_off.dead_show("019aaaaa-0000-7000-8000-000000000000")


@pytest.mark.parametrize("verb", ["dead_retry", "dead_purge", "dead_replay"])
async def test_what_redis_has_is_acted_on(ops: Ops, cut_off: Ops, verb: str) -> None:
    """By id, and by queue where nothing of it is archived; what may be in the archive is refused."""
    letter = (await ops.dead_list(1, selection=Selection(queue="mail"))).items[0]
    if verb == "dead_replay":
        receipt = (await cut_off.dead_replay(letter, {"n": 2})).receipt
    else:
        act = getattr(cut_off, verb)
        done = await act([letter.id])
        assert (done.matched, done.changed) == (1, 1)
        receipt = done.receipt
        other = cut_off.live.queue("third")
        await bury(other, 2)
        assert (await act(Selection(queue="third"))).changed == 2
        for chosen in ([new_run_id()], Selection(queue="mail"), Selection(everything=True)):
            with pytest.raises(UnreachableError):
                await act(chosen)
    assert (await cut_off.undo(receipt)).changed == 1


@pytest.mark.parametrize("verb", ["dead_retry", "dead_purge", "purge of all"])
async def test_a_spill_meanwhile(ops: Ops, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on its way into the archive is waited for: none is told to have gone that is dead."""
    queue = ops.live.queue("mail")
    await bury_many(queue, 400)
    spill = Spill(await ops.servers.pool(), ops.namespace, queue, clock)
    drop, half_way, acted = spill._drop, asyncio.Event(), asyncio.Event()

    async def slowly(*args: Any) -> list[bool]:
        gone = await drop(*args)
        half_way.set()
        await acted.wait()
        await asyncio.sleep(0.2)
        return gone

    monkeypatch.setattr(spill, "_drop", slowly)
    leaving = asyncio.create_task(spill.leave(await queue.dead_pairs(100, 0, 1 << 53)))
    await half_way.wait()
    chosen = Selection(queue="mail") if verb == "purge of all" else Selection(queue="mail", error="boom")
    how: dict[str, Any] = {"hold_s": 0} if verb == "dead_retry" else {}
    acting = asyncio.create_task(getattr(ops, verb if verb in dir(ops) else "dead_purge")(chosen, **how))
    await asyncio.sleep(0.1)
    acted.set()
    result = await acting
    assert sum(await leaving) == 100
    assert (result.matched, result.changed, result.note) == (400, 400, "")
    assert await ops.dead_count(Selection(everything=True)) == 0
    assert (await ops.undo(result.receipt or "")).changed == 400
    assert await ops.dead_count(Selection(everything=True)) == 400
