"""Partitions ahead of time, and retention: days are dropped whole, failures are copied out first.

Making and dropping partitions needs a lock that everybody who reads or writes history waits behind. So nothing here
waits for a lock longer than LOCK_WAIT: while a long reader is at work (a pg_dump, say), the rest is left for next time.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from backends.history.originals import expire_originals

AHEAD_DAYS = 7
LOCK = 0x63726F6F
LOCK_WAIT = "1s"

log = logging.getLogger("cronsole.history")

PARENTS = ("attempt", "run_log", "run_envelope", "schedule_fire")  # in this order: what is kept belongs to attempts
_DAY_OF = dict.fromkeys(("attempt", "run_log", "run_envelope"), "cronsole.v7_day(run_id)")
_FIRE_DAY = "(planned_at at time zone 'UTC')::date"
_OF_KEPT = (
    "insert into cronsole.{parent}_keep select t.* from cronsole.{table} t join cronsole.attempt_keep"
    " using (run_id, attempt) where {days} on conflict do nothing"
)
_KEEP = {
    "attempt": "insert into cronsole.attempt_keep select * from cronsole.{table}"
    " where outcome <> 'succeeded' and {days} on conflict do nothing",
    "run_log": _OF_KEPT,
    "run_envelope": _OF_KEPT,
}
_PARTITION = re.compile(r"_(\d{8})$")


async def keep_house(pool: Any, keep_days: int, keep_failures_days: int, today: date | None = None) -> dict[str, int]:
    """Make the partitions of the next days and drop those older than `keep_days`.

    Failures of dropped days live on, with their output and envelope, in ``attempt_keep``, ``run_log_keep`` and
    ``run_envelope_keep`` for `keep_failures_days`; so do the originals of edited dead letters. Rows that came when
    there was no partition for them move into one. One process at a time does all this; another one finds the lock
    taken and returns zeros. Returns how many partitions were made and dropped, failures kept, and 1 as `blocked` if a
    lock was not to be had and something is left for the next time.
    """
    import psycopg

    day = today or datetime.now(UTC).date()
    done = {"made": 0, "dropped": 0, "kept": 0, "blocked": 0}
    async with pool.connection() as connection:
        cursor = await connection.execute("select pg_try_advisory_lock(%s)", (LOCK,))
        if not (await cursor.fetchone())[0]:
            return done
        try:
            for parent in PARENTS:
                await _make(connection, parent, day, day - timedelta(days=keep_days), done)
            for parent in PARENTS:
                await _retire(connection, parent, day - timedelta(days=keep_days), done)
        except psycopg.errors.LockNotAvailable:
            done["blocked"] = 1
            log.warning(
                "partitions of history wait: somebody reads it for long (a dump?)", extra={"action": "house_waits"}
            )
        finally:
            await connection.execute("select pg_advisory_unlock(%s)", (LOCK,))
        oldest = datetime.combine(day - timedelta(days=keep_failures_days), datetime.min.time(), UTC)
        for table in ("attempt_keep", "run_log_keep", "run_envelope_keep"):
            await connection.execute(f"delete from cronsole.{table} where run_id < cronsole.v7_floor(%s)", (oldest,))
        await expire_originals(connection, oldest)
        for table in ("rollup", "incident"):
            await connection.execute(f"delete from cronsole.{table} where at < %s", (oldest,))
    return done


def _day_of(parent: str) -> str:
    return _DAY_OF.get(parent, _FIRE_DAY)


async def _make(connection: Any, parent: str, today: date, oldest: date, done: dict[str, int]) -> None:
    """Partitions from yesterday on, and those that rows wait for in the default partition."""
    last = today + timedelta(days=AHEAD_DAYS)
    days = {today + timedelta(days=n) for n in range(-1, AHEAD_DAYS + 1)}
    cursor = await connection.execute(
        f"select distinct {_day_of(parent)} as day from cronsole.{parent}_late"
        f" where {_day_of(parent)} between %s and %s",
        (oldest, last),
    )
    days |= {row[0] for row in await cursor.fetchall()}
    for day in sorted(days):
        async with connection.transaction():
            await _be_quick(connection)
            cursor = await connection.execute(
                "select cronsole.add_partition(%s, %s, %s)", (parent, day, parent in _DAY_OF)
            )
            done["made"] += int((await cursor.fetchone())[0])


async def _retire(connection: Any, parent: str, oldest: date, done: dict[str, int]) -> None:
    """Drop the days before `oldest`, and what is older than that in the default partition."""
    cursor = await connection.execute(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " where i.inhparent = ('cronsole.' || %s)::regclass order by 1",
        (parent,),
    )
    for (name,) in await cursor.fetchall():
        match = _PARTITION.search(name)
        if match and datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC).date() < oldest:
            async with connection.transaction():
                await _be_quick(connection)
                await connection.execute(f"lock table cronsole.{name} in share row exclusive mode")
                done["kept"] += await _keep(connection, parent, name, "true", ())
                await connection.execute(f"drop table cronsole.{name}")
            done["dropped"] += 1
    old = f"{_day_of(parent)} < %s"
    cursor = await connection.execute(f"select exists (select from cronsole.{parent}_late where {old})", (oldest,))
    if not (await cursor.fetchone())[0]:
        return
    async with connection.transaction():
        await _be_quick(connection)
        await connection.execute(f"lock table cronsole.{parent}_late in share row exclusive mode")
        done["kept"] += await _keep(connection, parent, f"{parent}_late", old, (oldest,))
        await connection.execute(f"delete from cronsole.{parent}_late where {old}", (oldest,))


async def _keep(connection: Any, parent: str, table: str, days: str, args: tuple[Any, ...]) -> int:
    """Copy out what outlives its day; returns how many attempts that were."""
    if parent not in _KEEP:
        return 0
    cursor = await connection.execute(_KEEP[parent].format(parent=parent, table=table, days=days), args)
    return int(cursor.rowcount) if parent == "attempt" else 0


async def _be_quick(connection: Any) -> None:
    await connection.execute(f"set local lock_timeout = '{LOCK_WAIT}'")
