"""One batch of records into Postgres, in one transaction, each attempt once however often it is delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from backends.history.rows import (
    COLUMNS,
    attempt_row,
    clean,
    copy_data,
    envelope_of,
    envelope_row,
    log_row,
    rollup_rows,
)
from backends.model import ActionRecord, AttemptRecord, FireRecord, from_ms, now_ms, run_id_ms

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
select to_timestamp(at), job, queue, outcome, n, sum_ms, max_ms, hist::bigint[]
from unnest(%s::float8[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::float8[], %s::float8[], %s::text[])
  as t(at, job, queue, outcome, n, sum_ms, max_ms, hist)
on conflict (at, job, queue, outcome) do update set n = r.n + excluded.n, sum_ms = r.sum_ms + excluded.sum_ms,
  max_ms = greatest(r.max_ms, excluded.max_ms),
  hist = array(select coalesce(a, 0) + coalesce(b, 0) from unnest(r.hist, excluded.hist) as t(a, b))
"""
_KEPT = "select exists (select from cronsole.attempt_keep where run_id between %s and %s)"
_FIRE = """
insert into cronsole.schedule_fire (job, planned_at, result, reason, run_id, scheduler, decided_at)
values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing
"""
_MARK = """
insert into cronsole.schedule_mark as m (job, last_fire) values (%s, %s)
on conflict (job) do update set last_fire = greatest(m.last_fire, excluded.last_fire)
"""
_ACTION = """
insert into cronsole.action (key, at, who, verb, target, matched, changed, receipt, note)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (key) do nothing
"""
_COPY_LOG = "copy cronsole.run_log (run_id, attempt, output) from stdin (format binary)"
_LOG = "insert into cronsole.run_log (run_id, attempt, output) values (%s, %s, %s) on conflict do nothing"
_COPY_ENVELOPE = "copy cronsole.run_envelope (run_id, attempt, envelope) from stdin (format binary)"
_ENVELOPE = "insert into cronsole.run_envelope (run_id, attempt, envelope) values (%s, %s, %s) on conflict do nothing"

ENCODE_AT_ONCE = 500
"""Rows encoded before others in the event loop get their turn."""
FRESH_MS = 86_400_000
"""Runs begun since then can't be among the kept failures of dropped days."""


async def store(
    connection: Any,
    attempts: Sequence[AttemptRecord],
    fires: Sequence[FireRecord] = (),
    actions: Sequence[ActionRecord] = (),
) -> int:
    """Store a batch; returns how many attempts were new.

    The first try copies straight into the table, which costs half of going through a staging table; a redelivered
    attempt makes it fail on the primary key, and the batch goes through the staging table instead. The rollup is
    counted from the attempts that were really inserted. Raises psycopg.DataError and what `attempt_row` raises.
    """
    import psycopg

    data = await _encode(attempts) if attempts else b""
    oldest = min((r.run_id for r in attempts), default="")
    try:
        if not (attempts and await _may_be_kept(connection, oldest, attempts)):
            async with connection.transaction():
                if attempts:
                    await _copy(connection, _COPY, data)
                    if logs := [log_row(r) for r in attempts if r.output]:
                        await _copy(connection, _COPY_LOG, copy_data(logs))
                    if kept := [envelope_row(r) for r in attempts if r.envelope]:
                        await _copy(connection, _COPY_ENVELOPE, copy_data(kept))
                await _rest(connection, attempts, fires)
                await store_actions(connection, actions)
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
            key = (str(UUID(r.run_id)), r.attempt)
            if key in new:
                fresh.setdefault(key, r)
        outputs = [(r.run_id, r.attempt, clean(r.output)) for r in fresh.values() if r.output]
        envelopes = [(r.run_id, r.attempt, envelope_of(r)) for r in fresh.values() if r.envelope]
        for statement, rows in ((_LOG, outputs), (_ENVELOPE, envelopes)):
            if rows:
                async with connection.cursor() as cursor:
                    await cursor.executemany(statement, rows)
        await _rest(connection, list(fresh.values()), fires)
        await store_actions(connection, actions)
    return len(fresh)


async def _encode(attempts: Sequence[AttemptRecord]) -> bytes:
    parts = []
    for n in range(0, len(attempts), ENCODE_AT_ONCE):
        parts.append(b"".join(map(attempt_row, attempts[n : n + ENCODE_AT_ONCE])))
        await asyncio.sleep(0)
    return copy_data(parts)


async def _may_be_kept(connection: Any, oldest: str, attempts: Sequence[AttemptRecord]) -> bool:
    """Whether one of these may have been stored before its day was dropped."""
    if run_id_ms(oldest) > now_ms() - FRESH_MS:
        return False
    cursor = await connection.execute(_KEPT, (oldest, max(r.run_id for r in attempts)))
    return bool((await cursor.fetchone())[0])


async def _copy(connection: Any, statement: str, data: bytes) -> None:
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(data)


async def _rest(connection: Any, attempts: Sequence[AttemptRecord], fires: Sequence[FireRecord]) -> None:
    async with connection.cursor() as cursor:
        rollup = rollup_rows(attempts)
        if rollup:
            await cursor.execute(_ROLLUP, [list(column) for column in zip(*rollup, strict=True)])
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


async def store_actions(connection: Any, actions: Sequence[ActionRecord]) -> None:
    """Write what operators did, each action once."""
    from psycopg.types.json import Jsonb

    if actions:
        async with connection.cursor() as cursor:
            await cursor.executemany(
                _ACTION,
                [
                    (a.key, from_ms(a.at_ms), _clean(a.who), _clean(a.verb), Jsonb(_clean(a.target)), a.matched,
                     a.changed, _clean(a.receipt), _clean(a.note))
                    for a in actions
                ],
            )  # fmt: skip


def _clean(value: Any) -> Any:
    """JSON as jsonb takes it."""
    if isinstance(value, str):
        return clean(value).encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(k): _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    return value


async def note_incident(connection: Any, kind: str, detail: str) -> None:
    """Write an incident, unless there is that very one."""
    await connection.execute(
        "insert into cronsole.incident (kind, detail) select %(kind)s::text, %(detail)s::text where not exists"
        " (select from cronsole.incident where kind = %(kind)s and detail = %(detail)s)",
        {"kind": kind, "detail": clean(detail)[:4000]},
    )
