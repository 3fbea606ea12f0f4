"""Numbered SQL files, forward only, under an advisory lock: any number of processes may start at once."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from backends.errors import UnreachableError

LOCK = 0x63726F6E  # "cron"


def migrations() -> list[tuple[int, str, str]]:
    """(number, name, SQL) of every file, in order."""
    found = []
    for item in (files("backends.history") / "migrations").iterdir():
        if item.name.endswith(".sql"):
            number, _, name = item.name.removesuffix(".sql").partition("_")
            found.append((int(number), name, item.read_text("utf-8")))
    return sorted(found)


async def migrate(pool: Any) -> list[int]:
    """Bring the schema up to date; returns the numbers of the migrations that were applied."""
    import psycopg

    applied: list[int] = []
    try:
        async with pool.connection() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
            cursor = await connection.execute("select 1 from pg_namespace where nspname = 'cronsole'")
            if await cursor.fetchone() is None:
                await connection.execute("create schema cronsole")
            await connection.execute(
                "create table if not exists cronsole.schema_version"
                " (number int primary key, name text not null, at timestamptz not null default now())"
            )
            cursor = await connection.execute("select number from cronsole.schema_version")
            there = {row[0] for row in await cursor.fetchall()}
            for number, name, sql in migrations():
                if number not in there:
                    await connection.execute(sql)
                    await connection.execute(
                        "insert into cronsole.schema_version (number, name) values (%s, %s)", (number, name)
                    )
                    applied.append(number)
    except psycopg.errors.InsufficientPrivilege as error:
        raise UnreachableError(
            f"this Postgres user may not make the history tables: {error}",
            "run: GRANT CREATE ON DATABASE … TO … , or let an owner run the engine once",
        ) from error
    return applied
