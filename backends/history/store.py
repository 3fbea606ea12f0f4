"""One batch of records into Postgres, in one transaction, each attempt once however often it is delivered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from backends.history.rows import COLUMNS, attempt_row, clean, copy_data, rollup_rows
from backends.model import AttemptRecord, FireRecord, from_ms

_LIST = ", ".join(COLUMNS)
_COPY = f"copy cronsole.attempt ({_LIST}) from stdin (format binary)"
_STAGE = (
    "create temp table if not exists stage (like cronsole.attempt) on commit delete rows",
    f"copy stage ({_LIST}) from stdin (format binary)",
    f"insert into cronsole.attempt ({_LIST}) select distinct on (run_id, attempt) {_LIST} from stage s where not exists"
    " (select 1 from cronsole.attempt_keep k where (k.run_id, k.attempt) = (s.run_id, s.attempt))"
    " order by run_id, attempt on conflict do nothing returning run_id::text, attempt",
)
_ROLLUP = """
insert into cronsole.rollup as r (at, job, queue, outcome, n, sum_ms, max_ms, hist)
values (to_timestamp(%s), %s, %s, %s, %s, %s, %s, %s)
on conflict (at, job, queue, outcome) do update set n = r.n + excluded.n, sum_ms = r.sum_ms + excluded.sum_ms,
  max_ms = greatest(r.max_ms, excluded.max_ms),
  hist = array(select a + b from unnest(r.hist, excluded.hist) as t(a, b))
"""
_FIRE = """
insert into cronsole.schedule_fire (job, planned_at, result, reason, run_id, scheduler, decided_at)
values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing
"""
_MARK = """
insert into cronsole.schedule_mark as m (job, last_fire) values (%s, %s)
on conflict (job) do update set last_fire = greatest(m.last_fire, excluded.last_fire)
"""
_LOG = "insert into cronsole.run_log (run_id, attempt, output) values (%s, %s, %s) on conflict do nothing"


async def store(connection: Any, attempts: Sequence[AttemptRecord], fires: Sequence[FireRecord]) -> int:
    """Store a batch; returns how many attempts were new.

    The first try copies straight into the table, which costs half of going through a staging table; a redelivered
    attempt makes it fail on the primary key, and the batch goes through the staging table instead. The rollup is
    counted from the attempts that were really inserted. Raises psycopg.DataError and what `attempt_row` raises.
    """
    import psycopg

    data = copy_data(map(attempt_row, attempts)) if attempts else b""
    try:
        async with connection.transaction():
            if attempts:
                await _copy(connection, _COPY, data)
            await _rest(connection, attempts, fires)
        return len(attempts)
    except psycopg.errors.UniqueViolation:
        pass
    async with connection.transaction():
        await connection.execute(_STAGE[0])
        await _copy(connection, _STAGE[1], data)
        cursor = await connection.execute(_STAGE[2])
        new = {(run_id, attempt) for run_id, attempt in await cursor.fetchall()}
        fresh: dict[tuple[str, int], AttemptRecord] = {}
        for r in attempts:
            if (r.run_id, r.attempt) in new:
                fresh.setdefault((r.run_id, r.attempt), r)
        await _rest(connection, list(fresh.values()), fires)
    return len(fresh)


async def _copy(connection: Any, statement: str, data: bytes) -> None:
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(data)


async def _rest(connection: Any, attempts: Sequence[AttemptRecord], fires: Sequence[FireRecord]) -> None:
    async with connection.cursor() as cursor:
        logs = [(r.run_id, r.attempt, clean(r.output)) for r in attempts if r.output]
        if logs:
            await cursor.executemany(_LOG, logs)
        rollup = rollup_rows(attempts)
        if rollup:
            await cursor.executemany(_ROLLUP, rollup)
        if fires:
            await cursor.executemany(
                _FIRE,
                [
                    (clean(f.job), from_ms(f.planned_ms), f.result.value, f.reason and clean(f.reason), f.run_id,
                     clean(f.scheduler), from_ms(f.decided_ms))
                    for f in fires
                ],
            )  # fmt: skip
            marks: dict[str, int] = {}
            for f in fires:
                marks[f.job] = max(f.planned_ms, marks.get(f.job, f.planned_ms))
            await cursor.executemany(
                _MARK, [(clean(j), datetime.fromtimestamp(ms / 1000, UTC)) for j, ms in sorted(marks.items())]
            )


async def note_incident(connection: Any, kind: str, detail: str) -> None:
    """Write an incident."""
    await connection.execute(
        "insert into cronsole.incident (kind, detail) values (%s, %s)", (kind, clean(detail)[:4000])
    )
