"""Lists that are read from either end: what lies in a queue, the audit, a job's fires. Both ways tell the same."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from backends.errors import BadInputError
from backends.history.store import store
from backends.model import FireRecord, FireResult, Pause, now_ms
from backends.ops import Ops
from backends.queues.peek import STATES
from backends.queues.streams import StreamQueue
from tests.contract.helpers import WORKER, done, retry, run

Ask = Callable[[int, str | None, bool], Awaitable[Any]]
"""For a page of at most so many items, from a cursor on, from the other end or not."""


async def down(ask: Ask, limit: int, cursor: str | None = None) -> list[Any]:
    """All items from there on, page by page."""
    found: list[Any] = []
    while True:
        page = await ask(limit, cursor, False)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def up(ask: Ask, limit: int, cursor: str | None = None) -> list[Any]:
    """All items before it, in the order of the list, read from the end."""
    found: list[Any] = []
    while True:
        page = await ask(limit, cursor, True)
        assert len(page.items) <= limit
        found[:0] = page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def check(ask: Ask, limits: tuple[int, ...]) -> list[Any]:
    """The list, which is the same from either end, and from each item on in either direction."""
    every = await down(ask, 100)
    for limit in limits:
        assert await down(ask, limit) == every
        assert await up(ask, limit) == every
    for n in range(0, len(every), max(1, len(every) // 7)):
        at = every[n].cursor
        assert list((await ask(3, at, False)).items) == every[n + 1 : n + 4]
        assert list((await ask(3, at, True)).items) == every[max(n - 3, 0) : n]
    return every


def of_queue(ops: Ops, state: str) -> Ask:
    """What lies in the queue `mail`; how long ago an engine was heard of is another one each time."""

    async def ask(limit: int, cursor: str | None, last: bool) -> Any:
        page = await ops.queue_runs("mail", state, limit, cursor, ("a", "b", "c"), last=last)
        return replace(page, items=tuple([replace(item, seen_ms=None) for item in page.items]))

    return ask


async def stir(queue: StreamQueue, rng: random.Random) -> None:
    """Some of what happens to runs."""
    due = now_ms() + 3_600_000
    for _ in range(12):
        await queue.enqueue([
            run(rng.choice("abc"), priority=rng.randrange(3), slot=rng.choice(("", "", "job:a", "job:b")),
                due_ms=rng.choice((0, 0, due + rng.randrange(3))))
            for _ in range(rng.randrange(9))
        ])  # fmt: skip
        taken = (await queue.take(WORKER, rng.randrange(1, 6))).deliveries
        ends = [rng.choice((done, retry, None)) for _ in taken]
        await queue.settle(WORKER, [end(d) for d, end in zip(taken, ends, strict=True) if end])
        await queue.promote()
    await queue.enqueue([run("a", priority=n % 3) for n in range(5)])


@pytest.mark.parametrize("seed", range(4))
async def test_what_lies_in_a_queue_is_the_same_from_either_end(ops: Ops, queue: StreamQueue, seed: int) -> None:
    rng = random.Random(seed)
    if seed % 2:
        await queue.pause(Pause("ana", "later"), "c")
    await stir(queue, rng)
    status = await queue.status()
    for state in STATES:
        found = await check(of_queue(ops, state), (1, 3, 8))
        assert len(found) == getattr(status, state)
    assert status.ready
    assert status.running
    assert status.later
    assert status.waiting


@pytest.mark.parametrize("state", STATES)
async def test_an_empty_queue_has_no_end(ops: Ops, state: str) -> None:
    page = await of_queue(ops, state)(10, None, True)
    assert (page.items, page.next_cursor) == ((), None)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    ("state", "cursor"),
    [("ready", "1|5x"), ("ready", "1|5 x"), ("running", "1|5-"), ("later", "|5"), ("later", "|5-1")],
)
async def test_what_is_no_cursor_is_no_fault_of_redis(ops: Ops, state: str, cursor: str, last: bool) -> None:
    with pytest.raises(BadInputError, match="is not a cursor"):
        await ops.queue_runs("mail", state, 3, cursor, last=last)


async def test_the_way_up_passes_over_nothing_that_is_there_though_some_leave(ops: Ops, queue: StreamQueue) -> None:
    due = now_ms() + 3_600_000
    await queue.enqueue([run(due_ms=due + n // 5) for n in range(15)])
    await queue.enqueue([run() for _ in range(15)])
    for state in ("later", "ready"):
        ask = of_queue(ops, state)
        every = await down(ask, 100)
        page = await ask(4, None, True)
        await queue.cancel(page.items[0].run_id, "ana")
        rest = await up(ask, 4, page.next_cursor)
        assert {r.run_id for r in every[:11]} <= {r.run_id for r in rest}
    taken = (await queue.take(WORKER, 14)).deliveries  # all that were ready
    assert await up(of_queue(ops, "ready"), 4, page.next_cursor) == []
    running = await up(of_queue(ops, "running"), 4)
    assert [r.run_id for r in running] == [d.run_id for d in taken]
    await queue.settle(WORKER, [done(d) for d in taken[5:9]])
    rest = await up(of_queue(ops, "running"), 3, running[8].cursor)
    assert [r.run_id for r in rest] == [d.run_id for d in taken[:5]]


async def test_the_audit_is_the_same_from_either_end(ops: Ops) -> None:
    async with ops.history() as history:
        for n in range(23):
            await history.write_action("ana", "pause", {"n": n}, n, n)

    async def ask(limit: int, cursor: str | None, oldest: bool) -> Any:
        return await ops.actions(limit, cursor, oldest=oldest)

    found = await check(ask, (1, 4, 23, 24))
    assert [a.target["n"] for a in found] == list(range(22, -1, -1))
    with pytest.raises(BadInputError, match="cursor"):
        await ops.actions(2, "x", oldest=True)


async def test_the_fires_of_a_job_are_the_same_from_either_end(ops: Ops) -> None:
    start = now_ms() // 60_000 * 60_000 - 40 * 3_600_000
    fires = [
        FireRecord(job=job, planned_ms=start + n * 3_600_000, result=FireResult.FIRED, decided_ms=1, scheduler="s")
        for n in range(40) for job in ("tick", "other")
    ]  # fmt: skip
    async with ops.history(), (await ops.servers.pool()).connection() as connection:
        await store(connection, [], fires)

    async def ask(limit: int, cursor: str | None, oldest: bool) -> Any:
        return await ops.job_fires("tick", limit, cursor, oldest=oldest)

    found = await check(ask, (1, 7, 40, 41))
    assert len(found) == 40
    assert (await ops.job_fires("nobody", oldest=True)).items == ()
    with pytest.raises(BadInputError):
        await ops.job_fires("tick", 4, "yesterday", oldest=True)
