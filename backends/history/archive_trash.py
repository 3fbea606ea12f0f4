"""Archived dead letters that an operator took away: they stay here, so that a purge brings nothing back into Redis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from backends.model import from_ms

STEP = 2_000
"""Letters a statement at most."""

_TRASHED = "namespace = %(ns)s and queue = %(queue)s and why = 'trashed' and move = %(op)s"
_TO_TRASH = "update cronsole.dead_archive a set why = 'trashed', move = %(op)s, expires_at = %(until)s"
_HERE = "a.namespace = %(ns)s and a.queue = %(queue)s and a.why = 'spilled' and a.state = 'there'"
_COUNTED = """
with changed as ({change} returning a.run_id, a.sequence, a.fingerprint),
counts as (select fingerprint, count(*) as n from changed group by fingerprint),
noted as (update cronsole.dead_archive_groups g set n = g.n + {sign} counts.n from counts
  where g.namespace = %(ns)s and g.queue = %(queue)s and g.fingerprint = counts.fingerprint)
select run_id, sequence from changed
"""
_TAKE = _COUNTED.format(
    change=f"{_TO_TRASH} from unnest(%(runs)s::text[], %(sequences)s::bigint[]) as t(r, s)"
    f" where {_HERE} and a.sequence = t.s and a.run_id = t.r",
    sign="-",
)
# By ctid, for the planner knows nothing of rows that have just gone from one list to the other.
_TAKE_ALL = _COUNTED.format(
    change=f"{_TO_TRASH} where a.ctid = any(array(select r.ctid from cronsole.dead_archive r"
    " where r.namespace = %(ns)s and r.queue = %(queue)s and r.why = 'spilled' and r.state = 'there'"
    " and r.sequence <= %(upto)s and r.sequence > %(after)s order by r.sequence limit %(n)s for update))",
    sign="-",
)
_GIVE_BACK = _COUNTED.format(
    change="update cronsole.dead_archive a set why = 'spilled', expires_at = null"
    f" where a.ctid = any(array(select ctid from cronsole.dead_archive where {_TRASHED}"
    " and sequence > %(after)s order by sequence limit %(n)s for update))",
    sign="+",
)
_SWEEP = """
delete from cronsole.dead_archive where (namespace, queue, why, sequence) in (
  select namespace, queue, why, sequence from cronsole.dead_archive
  where namespace = %s and why = 'trashed' and expires_at < %s limit %s)
"""
LOCK_COUNTS = "select pg_advisory_xact_lock(hashtextextended('cronsole archive ' || %(ns)s || '/' || %(queue)s, 0))"
"""The counts of a queue's groups are changed by one at a time: two could lock them in different orders."""


class ArchiveTrash:
    """The trash of one queue's archive. An operation is known by its receipt."""

    def __init__(self, pool: Any, namespace: str, queue: str) -> None:
        self._pool = pool
        self._where = {"ns": namespace, "queue": queue}

    async def take(self, op: str, until_ms: int, pairs: Sequence[tuple[str, int]]) -> list[bool]:
        """Take letters away until then; False where one is not in the archive."""
        args = {"runs": [run for run, _ in pairs], "sequences": [sequence for _, sequence in pairs]}
        taken = set(await self._change(_TAKE, {"op": op, "until": from_ms(until_ms), **args}))
        return [pair in taken for pair in pairs]

    async def take_all(self, op: str, until_ms: int, upto: int, after: int = -1) -> tuple[int, int]:
        """Take some of the letters up to a sequence away: (how many, the last of them); (0, 0) where none is left.

        To go on above the last one spares a walk over the places of those that have gone.
        """
        until = from_ms(until_ms)
        return _last(await self._change(_TAKE_ALL, {"op": op, "until": until, "upto": upto, "after": after, "n": STEP}))

    async def give_back(self, op: str, after: int = -1) -> tuple[int, int]:
        """Give some of what an operation took back, as in `take_all`."""
        return _last(await self._change(_GIVE_BACK, {"op": op, "after": after, "n": STEP}))

    async def size(self, op: str) -> int:
        """How many an operation has taken."""
        sql = f"select count(*) from cronsole.dead_archive where {_TRASHED}"
        async with self._pool.connection() as connection:
            row = await (await connection.execute(sql, {**self._where, "op": op})).fetchone()
        return int(row[0])

    async def _change(self, sql: str, args: dict[str, Any]) -> list[tuple[str, int]]:
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(LOCK_COUNTS, self._where)
            await connection.execute("set local enable_sort = off")  # along an index that has the order
            return list(await (await connection.execute(sql, {**self._where, **args})).fetchall())


def _last(changed: Sequence[tuple[str, int]]) -> tuple[int, int]:
    return len(changed), max((sequence for _, sequence in changed), default=0)


async def sweep_trash(pool: Any, namespace: str, now: datetime) -> int:
    """Delete some letters that can't be asked back any more; returns how many."""
    async with pool.connection() as connection:
        return int((await connection.execute(_SWEEP, (namespace, now, STEP))).rowcount)
