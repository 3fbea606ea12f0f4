"""What an engine tidies up on the side: trash, undos and moves that nobody finished, dead letters beyond hot_max."""

from __future__ import annotations

from typing import Any

import pytest

from backends.connect import Servers
from backends.engine import tidying
from backends.engine.service import Engine, EngineOptions
from backends.engine.tidying import Tidying
from backends.history import spill
from backends.history.archive_trash import ArchiveTrash
from backends.jobs.load import load_text
from backends.model import new_run_id, now_ms
from backends.ops import Ops, Selection
from backends.ops.kinds import BEAT_MS
from backends.ops.record import Asked
from backends.queues.base import NewRun, Op
from backends.queues.streams import StreamQueue
from tests.backends.test_history_archive import GROUPS, Moving, dead


@pytest.fixture
async def engine(connected: Servers) -> Engine:
    """One that was not started."""
    engine = Engine(connected, EngineOptions())
    engine.file = load_text('[jobs.j]\ncommand = "true"\nqueue = "q"\n[queues.q]\nhot_max = 10')
    return engine


@pytest.fixture
async def moving(connected: Servers) -> Moving:
    return Moving(connected, await connected.pool())


async def bury(queue: StreamQueue, count: int) -> list[Any]:
    """So many dead letters, in batches."""
    for first in range(0, count, 100):
        await queue.enqueue([NewRun(new_run_id(), "j", b"{}") for _ in range(min(100, count - first))])
        taken = (await queue.take("w", 100)).deliveries
        await queue.settle("w", [dead(d, GROUPS[0]) for d in taken])
    return await queue.dead_pairs(count, 0, 1 << 53)


async def test_the_oldest_dead_letters_go_to_the_archive(
    engine: Engine, moving: Moving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "BATCH", 7)
    monkeypatch.setattr(spill, "SLACK", 2)
    pairs = await bury(moving.queue, 40)
    other = engine.queue("not in the job file")
    await bury(other, 40)
    await Tidying(engine).spill()
    hot, cold = await moving.hot(), await moving.cold()
    assert cold + hot == pairs
    assert 10 <= len(hot) <= 12
    assert await other.dead_count() == 40, "others have the usual limit"


async def test_a_step_at_a_time(engine: Engine, moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidying, "STEPS_MOST", 2)
    monkeypatch.setattr(spill, "BATCH", 7)
    monkeypatch.setattr(spill, "SLACK", 2)
    await bury(moving.queue, 40)
    await Tidying(engine).spill()
    assert len(await moving.cold()) == 14
    engine.parts_stopping.set()
    await Tidying(engine).spill()
    assert len(await moving.cold()) == 14, "an engine that leaves begins nothing"


async def test_moves_that_nobody_finished(engine: Engine, moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = await bury(moving.queue, 4)

    async def die(*_: Any) -> list[bool]:
        raise ConnectionError("gone")

    monkeypatch.setattr(moving.queue, "dead_drop", die)
    with pytest.raises(ConnectionError):
        await moving.spill.leave(pairs)
    tidy = Tidying(engine)
    await tidy.reconcile()
    assert await moving.rows() == 4, "it may still be at work"
    await moving.rows("update cronsole.dead_archive set moved_at = moved_at - interval '2 minutes' returning 1")
    await tidy.reconcile()
    assert (await moving.hot(), await moving.rows()) == (pairs, 0)


async def test_what_was_purged_in_the_archive_goes_when_its_time_is_over(engine: Engine, moving: Moving) -> None:
    pairs = await bury(moving.queue, 5)
    await moving.spill.leave(pairs)
    trash = ArchiveTrash(moving.pool, moving.namespace, "q")
    assert await trash.take("over", now_ms() - 1000, [*pairs[:2], ("nobody", 7)]) == [True, True, False]
    assert await trash.take("kept", now_ms() + 60_000, pairs[1:4]) == [False, True, True]
    assert await moving.cold() == pairs[4:]
    assert sum(g.count for g in await moving.archive.groups(["q"])) == 1
    await Tidying(engine).sweep_archive()
    assert await moving.rows() == 3
    assert (await trash.size("over"), await trash.size("kept")) == (0, 2)
    assert await trash.give_back("kept") == (2, pairs[3][1])
    assert await trash.give_back("kept") == (0, 0)
    assert await moving.cold() == pairs[2:]
    assert sum(g.count for g in await moving.archive.groups(["q"])) == 3


async def test_trash_whose_time_is_over_and_undos_that_were_begun(engine: Engine, moving: Moving) -> None:
    pairs = await bury(moving.queue, 6)
    over, begun = Op("over", "purge", "me", now_ms() - 1000), Op("begun", "purge", "me", now_ms() + 60_000)
    await moving.queue.dead_purge(over, pairs[:2])
    await moving.queue.dead_purge(begun, pairs[2:5])
    assert (await moving.queue.restore("begun", 1)).back == 1
    await Tidying(engine).sweep()
    assert await moving.hot() == pairs[2:]
    assert await moving.queue.op_size("over") == 0
    assert not await moving.queue._redis.exists(f"{moving.queue.prefix}dead:#{pairs[0][1]}")


async def test_an_undo_that_was_left_is_finished_and_noted(engine: Engine, moving: Moving) -> None:
    """By who began it; without one, nothing is looked at."""
    await moving.queue.announce()
    await bury(moving.queue, 3)
    await Tidying(engine).finish_undos()
    ops = Ops(engine.servers)
    receipt = (await ops.dead_purge(Selection(queue="q", error="boom"))).receipt or ""
    await ops.records.ask(receipt, Asked("undo", "ann@host", now_ms() - BEAT_MS - 1))
    await Tidying(engine).finish_undos()
    assert len(await moving.hot()) == 3
    assert (await ops.operation(receipt)).state == "undone"
    line = (await ops.actions()).items[0]
    assert (line.verb, line.who, line.changed) == ("undo", "ann@host", 3)
