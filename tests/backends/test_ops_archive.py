"""Dead letters that are in the archive: listed, counted, retried, purged and edited as the others."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from backends.errors import UnreachableError
from backends.model import DeadLetter
from backends.ops import Marked, Ops, Selection
from backends.queues.streams import StreamQueue
from tests.backends.ops_helpers import bury, bury_many, to_archive

ALL = Selection(everything=True)


@pytest.fixture
async def letters(ops: Ops, queue: StreamQueue) -> tuple[DeadLetter, ...]:
    """Eleven letters, newest first: the oldest seven are in the archive, one of another queue is not."""
    for n in range(9):
        await bury(queue, 1, error=f"boom {n % 2}", group=f"{n % 3:016x}")
    await bury(ops.live.queue("default"), 2)
    whole = (await ops.dead_list()).items
    assert await to_archive(ops, queue, 7) == 7
    return whole


async def test_one_list_and_one_count(ops: Ops, queue: StreamQueue, letters: tuple[DeadLetter, ...]) -> None:
    """Whatever the page size and the direction; filters; groups; a letter and where its run is."""
    assert await ops.servers.redis.zcard(f"{queue.prefix}dead") == 2
    for limit in (1, 2, 3, 50):
        seen: list[DeadLetter] = []
        heads: list[DeadLetter] = []
        cursor = more = None
        while True:
            page, head = await ops.dead_list(limit, cursor), await ops.dead_heads(limit, more)
            assert page.total == head.total == 11
            seen, heads = [*seen, *page.items], [*heads, *head.items]
            cursor, more = page.next_cursor, head.next_cursor
            if cursor is None:
                break
        assert more is None
        assert seen == list(letters)
        assert heads == [replace(letter, envelope=b"") for letter in letters]
    for n, letter in enumerate(letters):
        cursor = f"{letter.sequence}.{letter.queue}"
        assert (await ops.dead_list(3, newer=cursor)).items == letters[max(0, n - 3) : n]
        assert await ops.dead_show(letter.id) == letter
        place = await ops.run_place(letter.id)
        assert place
        assert (place.state, place.queue) == ("dead", letter.queue)
    for selection in (
        Selection(error="boom 1"), Selection(payload="x-unknown", queue="mail"), Selection(group=f"{1:016x}"),
        Selection(job="send_email", error="0"), Selection(like={"group": "2"}), Selection(words=(letters[-1].id,)),
        Selection(since=letters[-3].failed_at),
    ):  # fmt: skip
        expected = [d for d in letters if selection.matches(d) and selection.queue in ("", d.queue)]
        assert list((await ops.dead_list(selection=selection)).items) == expected, selection
        assert await ops.dead_count(selection) == len(expected), selection
        assert (await ops.dead_retry(selection, dry_run=True)).matched == len(expected)
    groups = {(g.queue, g.group): g for g in (await ops.dead_group_page()).items}
    assert {key: g.count for key, g in groups.items() if key[0] == "mail"} == {
        ("mail", f"{n:016x}"): 3 for n in range(3)
    }
    assert (await ops.dead_group_page()).total == 4
    assert (await ops.dead_group_page(1, "mail")).items == (groups["mail", f"{0:016x}"],)


@pytest.mark.parametrize(
    "selection", [ALL, Selection(queue="mail"), Selection(error="boom 1"), Selection(job="send_email")]
)
@pytest.mark.parametrize("verb", ["dead_retry", "dead_purge"])
async def test_acts_and_undo(
    ops: Ops, queue: StreamQueue, letters: tuple[DeadLetter, ...], verb: str, selection: Selection
) -> None:
    """The dry run says what the act does; undone, all are dead again with their sequence."""
    count = (await getattr(ops, verb)(selection, dry_run=True)).matched
    result = await getattr(ops, verb)(selection)
    assert (result.matched, result.changed, result.note) == (count, count, "")
    left = (await ops.dead_list()).items
    assert len(left) == 11 - count
    assert await ops.dead_count(selection) == 0
    assert (await ops.undo(result.receipt)).changed == count
    assert (await ops.dead_list()).items == letters


async def test_ids_marks_and_an_edit(ops: Ops, queue: StreamQueue, letters: tuple[DeadLetter, ...]) -> None:
    """Those in the archive are brought back first; the original of an edited one is kept."""
    old, older, oldest = letters[-3:]
    assert (await ops.dead_retry([old.id, letters[0].id])).changed == 2
    assert (
        await ops.dead_purge(Marked((("mail", older.id, older.sequence), ("mail", old.id, old.sequence))))
    ).changed == 1
    new = await ops.dead_replay(oldest, {"n": 9})
    for run in (oldest.id, new.run_id):
        (kept,) = await ops.originals(run)
        assert (kept.letter, kept.receipt, kept.replaced_by) == (oldest, new.receipt, new.run_id)
    assert await ops.dead_count(ALL) == 7
    assert (await ops.undo(new.receipt)).changed == 1
    assert await ops.dead_show(oldest.id) == oldest
    assert await ops.originals(oldest.id) == (), "it is there again"
    again = await ops.dead_replay(oldest, {"n": 10})
    assert [kept.receipt for kept in await ops.originals(oldest.id)] == [again.receipt]


async def test_many_go_in_steps_while_an_engine_archives(ops: Ops, queue: StreamQueue) -> None:
    """What is put into the archive in the middle of a retry is not passed over."""
    ids = await bury_many(queue, 700)
    await to_archive(ops, queue, 250)

    class Busy(Ops):
        steps = 0

        async def _asked(self, op: object) -> bool:
            self.steps += 1
            if self.steps == 4:
                await to_archive(ops, queue, 200)
            return await super()._asked(op)  # type: ignore[arg-type]

    result = await Busy(ops.servers).dead_retry(ALL, rate=100)
    assert (result.matched, result.changed) == (700, 700)
    due = await ops.servers.redis.zrange(f"{queue.prefix}later", 0, -1)
    assert sorted(run_id.decode() for run_id in due) == sorted(ids)


async def test_without_postgres(ops: Ops, queue: StreamQueue, letters: tuple[DeadLetter, ...]) -> None:
    """What needs the archive says so; nothing is changed."""
    lame = replace(ops.servers.settings, postgres_url="postgresql://x@127.0.0.1:1/x")
    async with Ops.open(lame) as other:
        with pytest.raises(UnreachableError, match="Postgres"):
            await other.dead_retry(ALL)
    assert await ops.dead_count(ALL) == 11


async def test_a_purge_of_all_that_stops_in_the_archive(
    ops: Ops, queue: StreamQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is gone on with, and taken back whole."""
    await bury_many(queue, 500)
    await to_archive(ops, queue, 450)
    whole = (await ops.dead_list(1000)).items
    whole_queue = ops.live.queue("mail")
    real = whole_queue.purge_archived

    async def stop(op: Any, upto: int) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(whole_queue, "purge_archived", stop)
    ops.live.queues["mail"] = whole_queue
    with pytest.raises(KeyboardInterrupt):
        await ops.dead_purge(ALL)
    (op,) = await ops.operations(unfinished=True)
    assert (op.state, op.changed) == ("stopped", 50)
    monkeypatch.setattr(whole_queue, "purge_archived", real)
    assert (await ops.resume_operation(op.id)).changed == 500
    assert await ops.dead_count(ALL) == 0
    assert (await ops.undo(op.id)).changed == 500
    assert (await ops.dead_list(1000)).items == whole
