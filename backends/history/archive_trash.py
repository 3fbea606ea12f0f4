"""Archived dead letters that an operator took away: they stay here, so that a purge brings nothing back into Redis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from backends.history.archive_lists import DEAD, STEP, changing, count, drop_empty, held_lists, move, open_list, top
from backends.model import from_ms

_PICK = f"""
select a.list, a.sequence from unnest(%(runs)s::text[], %(sequences)s::bigint[]) as t(r, s)
join cronsole.dead_archive a on a.list = any({DEAD}) and a.sequence = t.s
where a.run_id = t.r and a.state = 'there' for update of a
"""
_ANY = """
select 1 from cronsole.dead_archive where list = any(%(lists)s) and state = 'there' and sequence <= %(upto)s limit 1
"""
# what is between Redis and here, and what died since the purge was asked for
_NOT_MEANT = """
select list, sequence from cronsole.dead_archive where list = any(%(lists)s) and state <> 'there'
union all
select list, sequence from cronsole.dead_archive where list = any(%(lists)s) and state = 'there' and sequence > %(upto)s
"""
_TRASH = """
update cronsole.dead_archive_lists set why = 'trashed', op = %(op)s, expires_at = %(until)s where list = any(%(lists)s)
"""
_BACK = """
update cronsole.dead_archive_lists set why = 'spilled', op = null, expires_at = null
where namespace = %(ns)s and queue = %(queue)s and why = 'trashed' and op = %(op)s returning list
"""
_SIZE = """
select coalesce(sum(n), 0)::bigint from cronsole.dead_archive_groups where list in (
  select list from cronsole.dead_archive_lists
  where namespace = %(ns)s and queue = %(queue)s and why = 'trashed' and op = %(op)s)
"""
_EXPIRE = """
update cronsole.dead_archive_lists set why = 'expired'
where namespace = %(ns)s and why = 'trashed' and expires_at < %(now)s
"""
_EXPIRED = "select list from cronsole.dead_archive_lists where namespace = %(ns)s and why = 'expired'"
_SWEEP = """
delete from cronsole.dead_archive where ctid = any(array(
  select ctid from cronsole.dead_archive where list = any(%(lists)s) limit %(n)s for update skip locked))
"""


class ArchiveTrash:
    """The trash of one queue's archive. An operation is known by its receipt."""

    def __init__(self, pool: Any, namespace: str, queue: str) -> None:
        self._pool = pool
        self._where = {"ns": namespace, "queue": queue}

    async def take(self, op: str, until_ms: int, pairs: Sequence[tuple[str, int]]) -> list[bool]:
        """Take letters away until then; False where one is not in the archive."""
        args = {**self._where, "runs": [run for run, _ in pairs], "sequences": [sequence for _, sequence in pairs]}
        async with changing(self._pool, self._where) as connection:
            trash = await open_list(connection, self._where, "trashed", op)
            taken = set(await move(connection, _PICK, trash, args))
            await connection.execute(_TRASH, {"op": op, "until": from_ms(until_ms), "lists": [trash]})
        return [pair in taken for pair in pairs]

    async def take_all(self, op: str, until_ms: int, upto: int) -> int:
        """Take all letters up to a sequence away, however many; returns how many that were.

        Those that are between Redis and the archive just now are left.
        """
        async with changing(self._pool, self._where) as connection:
            lists = await held_lists(connection, self._where)
            args = {"op": op, "until": from_ms(until_ms), "lists": lists, "upto": upto}
            if not await (await connection.execute(_ANY, args)).fetchone():
                return 0
            await connection.execute(_TRASH, args)
            if await (await connection.execute(f"{_NOT_MEANT} limit 1", args)).fetchone():
                await move(connection, _NOT_MEANT, await open_list(connection, self._where, "spilled"), args)
            return await count(connection, lists)

    async def give_back(self, op: str) -> tuple[int, int]:
        """Give back what an operation took: (how many, the highest sequence of them), (0, 0) where there is nothing."""
        async with changing(self._pool, self._where) as connection:
            cursor = await connection.execute(_BACK, {**self._where, "op": op})
            lists = [row[0] for row in await cursor.fetchall()]
            return await count(connection, lists), await top(connection, lists)

    async def size(self, op: str) -> int:
        """How many an operation has taken."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_SIZE, {**self._where, "op": op})).fetchone()
        return int(row[0])


async def sweep_trash(pool: Any, namespace: str, now: datetime) -> int:
    """Delete some letters that can't be asked back any more; returns how many."""
    where = {"ns": namespace, "now": now}
    async with pool.connection() as connection:
        await connection.execute(_EXPIRE, where)
        lists = [row[0] for row in await (await connection.execute(_EXPIRED, where)).fetchall()]
        gone = (await connection.execute(_SWEEP, {"lists": lists, "n": STEP})).rowcount if lists else 0
        if lists and not gone:
            await drop_empty(connection, lists)
    return int(gone)
