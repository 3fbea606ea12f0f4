"""What the page of one run reads: its attempts without their output, and the output of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from backends.errors import BadInputError

ATTEMPTS_SHOWN = 200


class Attempt(msgspec.Struct, frozen=True):
    """One finished attempt, with all that history knows of it but its output."""

    attempt: int
    job: str
    queue: str
    outcome: str
    final: bool
    trigger: str | None
    scheduled_for: datetime | None
    enqueued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime
    duration_ms: float | None
    worker: str | None = None
    exit_code: int | None = None
    error_class: str | None = None
    error: str | None = None
    fingerprint: str | None = None
    result: str | None = None
    producer_id: str | None = None
    operator: str | None = None
    replay_of: str | None = None
    max_rss_kb: int | None = None
    cpu_ms: int | None = None
    orphan: bool = False


_COLUMNS = ", ".join(Attempt.__struct_fields__)
_ATTEMPTS = (
    f"select * from ((select {_COLUMNS} from cronsole.attempt where run_id = %(id)s"
    " order by run_id desc, attempt desc limit %(n)s) union all"
    f" (select {_COLUMNS} from cronsole.attempt_keep where run_id = %(id)s"
    " order by run_id desc, attempt desc limit %(n)s)) t order by attempt desc limit %(n)s"
)
_OUTPUT = (
    "select output from cronsole.run_log where run_id = %(id)s and attempt = %(n)s union all"
    " select output from cronsole.run_log_keep where run_id = %(id)s and attempt = %(n)s limit 1"
)


async def read_attempts(pool: Any, run_id: str, limit: int = ATTEMPTS_SHOWN) -> tuple[Attempt, ...]:
    """The newest attempts of a run, oldest first."""
    rows = await _all(pool, _ATTEMPTS, {"id": _uuid(run_id), "n": limit})
    return tuple(Attempt(*row) for row in reversed(rows))


async def read_output(pool: Any, run_id: str, attempt: int) -> str | None:
    """The tail of what an attempt printed; None where nothing is stored."""
    rows = await _all(pool, _OUTPUT, {"id": _uuid(run_id), "n": attempt})
    return rows[0][0] if rows else None


async def _all(pool: Any, sql: str, args: dict[str, Any]) -> Sequence[Any]:
    async with pool.connection() as connection:
        return list(await (await connection.execute(sql, args)).fetchall())


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise BadInputError(f"{text[:60]!r} is not a run id", "`cronsole runs list` lists them") from error
