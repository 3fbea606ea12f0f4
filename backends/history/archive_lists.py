"""The lists in which archived letters lie: which are a queue's dead ones, and how letters go from one to another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

DEAD_LISTS = (
    "select list from cronsole.dead_archive_lists where namespace = %(ns)s and queue = %(queue)s and why = 'spilled'"
)
DEAD = f"array({DEAD_LISTS})"
"""The lists of a queue whose letters are dead."""
HOLD_DEAD = f"held as ({DEAD_LISTS} for share)"
"""The same, and none of them becomes trash before this is done."""
LOCK_COUNTS = "select pg_advisory_xact_lock(hashtextextended('cronsole archive ' || %(ns)s || '/' || %(queue)s, 0))"
"""Lists of a queue, and how many they have of each group, are changed by one at a time: two could lock them in
different orders."""

_OPEN = """
with found as (
  select list from cronsole.dead_archive_lists where namespace = %(ns)s and queue = %(queue)s and why = %(why)s
    and op is not distinct from %(op)s order by list desc limit 1),
new as (
  insert into cronsole.dead_archive_lists (namespace, queue, why, op)
  select %(ns)s, %(queue)s, %(why)s, %(op)s where not exists (select from found) returning list)
select list from found union all select list from new
"""
_MOVE = """
with picked as ({pick}),
moved as (
  update cronsole.dead_archive a set list = %(into)s from picked p where a.list = p.list and a.sequence = p.sequence
  returning p.list as was, a.run_id, a.sequence, a.fingerprint, a.state),
counts as (select was, fingerprint, count(*) as n from moved where state <> 'leaving' group by 1, 2),
less as (
  update cronsole.dead_archive_groups g set n = g.n - c.n from counts c
  where g.list = c.was and g.fingerprint = c.fingerprint returning g.fingerprint, g.job, g.error_class, c.n),
more as (
  insert into cronsole.dead_archive_groups as g (list, fingerprint, job, error_class, n)
  select %(into)s, fingerprint, min(job), min(error_class), sum(n) from less group by 2
  on conflict (list, fingerprint) do update set n = g.n + excluded.n)
select run_id, sequence from moved
"""

_SIZES = """
select l.list, coalesce(sum(g.n), 0)::bigint as there from cronsole.dead_archive_lists l
left join cronsole.dead_archive_groups g using (list) where l.list = any(%(lists)s) group by 1 order by there, 1
"""
_SOME = """
select list, sequence from cronsole.dead_archive where list = %(list)s and state = 'there' order by sequence limit %(n)s
for update
"""
_NO_MORE = """
with gone as (
  delete from cronsole.dead_archive_lists l where l.list = any(%(lists)s)
    and not exists (select from cronsole.dead_archive a where a.list = l.list) returning l.list)
delete from cronsole.dead_archive_groups where list in (select list from gone)
"""

STEP = 2_000
"""Letters that go from one list into another in one transaction."""
LISTS_MOST = 8
"""Each page looks into all lists of a queue."""

Where = Mapping[str, str]
"""ns, queue."""


@asynccontextmanager
async def changing(pool: Any, where: Where) -> AsyncIterator[Any]:
    """A transaction in which nobody else changes the lists of a queue, along indexes: the planner knows nothing of rows
    that have just gone from one list to another."""
    async with pool.connection() as connection, connection.transaction():
        await connection.execute("set local enable_sort = off")
        await connection.execute("set local enable_hashjoin = off")
        await connection.execute("set local enable_mergejoin = off")
        await connection.execute(LOCK_COUNTS, where)
        yield connection


async def open_list(connection: Any, where: Where, why: str, op: str | None = None) -> int:
    """The newest list of that kind, a new one where there is none; within `changing`."""
    cursor = await connection.execute(_OPEN, {**where, "why": why, "op": op})
    return int((await cursor.fetchone())[0])


async def move(connection: Any, pick: str, into: int, args: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Letters go into another list; within `changing`. `pick` selects their list and sequence."""
    return list(await (await connection.execute(_MOVE.format(pick=pick), {**args, "into": into})).fetchall())


async def held_lists(connection: Any, where: Where) -> list[int]:
    """The lists of a queue whose letters are dead; nobody puts letters into one of them or takes some out now."""
    return [row[0] for row in await (await connection.execute(f"{DEAD_LISTS} for update", where)).fetchall()]


async def drop_empty(connection: Any, lists: Sequence[int]) -> None:
    """Forget those of these lists that have no letters."""
    await connection.execute(_NO_MORE, {"lists": list(lists)})


async def merge(pool: Any, where: Where) -> int:
    """Where a queue has many lists of dead letters, some letters of the shortest go into the newest; how many."""
    async with changing(pool, where) as connection:
        lists = await held_lists(connection, where)
        if len(lists) <= LISTS_MOST:
            return 0
        newest = max(lists)
        sizes = await (await connection.execute(_SIZES, {"lists": [n for n in lists if n != newest]})).fetchall()
        shortest = sizes[0][0]
        moved = await move(connection, _SOME, newest, {"list": shortest, "n": STEP})
        if len(moved) < STEP:
            await drop_empty(connection, [shortest])
    return len(moved)


TOP = "(select max(sequence) from cronsole.dead_archive where list = l.list)"
"""The highest sequence of list `l`: of several at once PostgreSQL would look at all letters."""


async def top(connection: Any, lists: Sequence[int]) -> int:
    """The highest sequence in lists, 0 where they are empty."""
    cursor = await connection.execute(
        f"select coalesce(max({TOP}), 0) from cronsole.dead_archive_lists l where list = any(%s)", (list(lists),)
    )
    return int((await cursor.fetchone())[0])


async def count(connection: Any, lists: Sequence[int]) -> int:
    """How many letters there are in lists."""
    cursor = await connection.execute(
        "select coalesce(sum(n), 0)::bigint from cronsole.dead_archive_groups where list = any(%s)", (list(lists),)
    )
    return int((await cursor.fetchone())[0])
