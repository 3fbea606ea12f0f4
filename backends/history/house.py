"""Partitions ahead of time, and retention: days are dropped whole, failures are copied out first."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

AHEAD_DAYS = 7
LOCK = 0x63726F6F
PARENTS = (("attempt", True), ("run_log", True), ("schedule_fire", False))

_DAY = re.compile(r"_(\d{8})$")


async def keep_house(pool: Any, keep_days: int, keep_failures_days: int, today: date | None = None) -> dict[str, int]:
    """Make the partitions of the next days and drop those older than `keep_days`.

    Failures of dropped days live on in ``attempt_keep`` for `keep_failures_days`. One process at a time does it;
    another one finds the lock taken and returns zeros. Returns how many partitions were made and dropped, and rows
    kept.
    """
    day = today or datetime.now(UTC).date()
    done = {"made": 0, "dropped": 0, "kept": 0}
    async with pool.connection() as connection:
        cursor = await connection.execute("select pg_try_advisory_lock(%s)", (LOCK,))
        row = await cursor.fetchone()
        if not row[0]:
            return done
        try:
            for parent, by_run_id in PARENTS:
                for n in range(-1, AHEAD_DAYS + 1):
                    cursor = await connection.execute(
                        "select cronsole.add_partition(%s, %s, %s)", (parent, day + timedelta(days=n), by_run_id)
                    )
                    done["made"] += int((await cursor.fetchone())[0])
                for name, of in await _partitions(connection, parent):
                    if of < day - timedelta(days=keep_days):
                        done["kept"] += await _drop(connection, parent, name)
                        done["dropped"] += 1
            oldest = datetime.combine(day - timedelta(days=keep_failures_days), datetime.min.time(), UTC)
            await connection.execute(
                "delete from cronsole.attempt_keep where run_id < cronsole.v7_floor(%s)", (oldest,)
            )
            await connection.execute("delete from cronsole.rollup where at < %s", (oldest,))
        finally:
            await connection.execute("select pg_advisory_unlock(%s)", (LOCK,))
    return done


async def _partitions(connection: Any, parent: str) -> list[tuple[str, date]]:
    cursor = await connection.execute(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " where i.inhparent = ('cronsole.' || %s)::regclass order by 1",
        (parent,),
    )
    found = []
    for (name,) in await cursor.fetchall():
        match = _DAY.search(name)
        if match:
            found.append((name, datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC).date()))
    return found


async def _drop(connection: Any, parent: str, name: str) -> int:
    from psycopg import sql

    kept = 0
    async with connection.transaction():
        if parent == "attempt":
            cursor = await connection.execute(
                sql.SQL(
                    "insert into cronsole.attempt_keep select * from cronsole.{} where outcome <> 'succeeded'"
                    " on conflict do nothing"
                ).format(sql.Identifier(name))
            )
            kept = cursor.rowcount
        await connection.execute(sql.SQL("drop table cronsole.{}").format(sql.Identifier(name)))
    return kept
