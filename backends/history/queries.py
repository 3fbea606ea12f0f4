"""What the screens and the command line read from history. Keyset pages only: no OFFSET, no count over attempts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from sys import intern
from typing import Any
from uuid import UUID, uuid4

from backends.errors import BadInputError
from backends.history.store import store_actions
from backends.model import ActionRecord, LastRun, Page, RunRow, from_ms, now_ms, run_id_ms

_ROW = (
    "run_id::text, attempt, job, queue, outcome, trigger, scheduled_for, started_at, finished_at, duration_ms, worker,"
    " exit_code, error"
)
_BAD = "outcome = %s and outcome <> 'succeeded'"
"""The second half lets the planner take the partial indexes."""
_NEWEST = "order by a.run_id desc, a.attempt desc"  # without the "a." it would be by the text, which no index has
_OLDEST = "order by a.run_id, a.attempt"
_TABLES = ("cronsole.attempt", "cronsole.attempt_keep")
_LOGS = ("cronsole.run_log", "cronsole.run_log_keep")

LONGEST_LIFE = timedelta(days=1)
"""How long before an attempt its run may have begun (waiting, retries) to be found by the time of the attempt."""
ATTEMPTS_OF_REPLAY = 20
"""Attempts of a replay that are looked through for its newest."""
RECENT = 200
"""Attempts of a job that are looked through for successful ones."""


class History:
    """Reads (and a few small writes) over a pool of connections in autocommit mode."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def _all(self, sql: str, args: Sequence[Any] | dict[str, Any] = ()) -> list[Any]:
        async with self._pool.connection() as connection:
            return list(await (await connection.execute(sql, args)).fetchall())

    async def _page(self, sql: str, args: Sequence[Any]) -> list[Any]:
        """As `_all`, along indexes that have the order.

        Where two conditions come together (all failures are of one queue), the planner takes their product for the
        number of rows, so sorting all of them looks cheap to it, and is not.
        """
        async with self._pool.connection() as connection, connection.pipeline(), connection.transaction():
            await connection.execute("set local enable_sort = off")
            cursor = await connection.execute(sql, args)
            return list(await cursor.fetchall())

    async def runs(
        self,
        limit: int = 100,
        cursor: str | None = None,
        *,
        job: str | None = None,
        queue: str | None = None,
        outcomes: Sequence[str] = (),
        run_id: str | None = None,
        since: datetime | None = None,
        group: str | None = None,
        oldest: bool = False,
    ) -> Page[RunRow]:
        """Attempts, newest run first. `cursor`: `next_cursor` of the page before. `run_id`: one, or its beginning.

        `group`: those whose error has this fingerprint. `oldest`: read from the other end; each page is newest first
        all the same, and its `next_cursor` leads to what is newer.
        """
        args: list[Any] = []
        where = ["true"]
        for column, value in (("job", job), ("queue", queue), ("fingerprint", group)):
            if value:
                where.append(f"{column} = %s")
                args.append(value)
        if run_id:
            where.append("run_id between %s::uuid and %s::uuid")
            args += _range(run_id)
        if since:
            where.append("run_id >= cronsole.v7_floor(%s)")
            args.append(since)
        if cursor:
            last, attempt = _cursor(cursor)
            under, before = (">=", ">") if oldest else ("<=", "<")
            where.append(f"run_id {under} %s::uuid and (run_id, attempt) {before} (%s::uuid, %s)")
            args += [last, last, attempt]
        # An index keeps the order for one outcome, not for several: each has a walk of its own. A group has hardly more
        # than one.
        asked: list[tuple[str, list[Any]]] = [("true", [])]
        if set(outcomes) == {"succeeded"}:
            asked = [("outcome = %s", ["succeeded"])]
        elif outcomes and (group or "succeeded" in outcomes):
            asked = [("outcome = any(%s)", [list(outcomes)])]
        elif outcomes:
            asked = [(_BAD, [outcome]) for outcome in dict.fromkeys(outcomes)]
        parts: list[str] = []
        given: list[Any] = []
        for table in _TABLES:
            for condition, more_args in asked:
                parts.append(
                    f"(select {_ROW} from {table} a where {' and '.join([*where, condition])}"
                    f" {_OLDEST if oldest else _NEWEST} limit %s)"
                )
                given += [*args, *more_args, limit]
        # The ids are unique text of one length, so their order as text is their order as uuid.
        order = "1, 2" if oldest else "1 desc, 2 desc"
        rows = await self._page(
            f"select * from ({' union all '.join(parts)}) t order by {order} limit %s", [*given, limit]
        )
        items = [RunRow(*row) for row in rows]
        more = items[-1].cursor if len(items) == limit else None
        return Page(tuple(items[::-1] if oldest else items), more)

    async def run(self, run_id: str) -> list[dict[str, Any]]:
        """All attempts of a run, oldest first, every column, with the tail of the output."""
        from psycopg.rows import dict_row

        both = " union all ".join(
            "select a.*, l.output"
            f" from {table} a left join {log} l on l.run_id = %(id)s::uuid and l.attempt = a.attempt"
            f" where a.run_id = %(id)s::uuid"
            for table, log in zip(_TABLES, _LOGS, strict=True)
        )
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(f"select * from ({both}) t order by attempt", {"id": _uuid(run_id)})
            return [{**row, "run_id": str(row["run_id"])} for row in await cursor.fetchall()]

    async def replays_of(self, run_id: str, limit: int = 20) -> tuple[RunRow, ...]:
        """The newest finished attempt of each run that is a replay of this one, newest first."""
        each = (
            f"(select {_ROW} from {{}} a where replay_of = %s and run_id >= cronsole.v7_floor(%s) {_NEWEST} limit %s)"
        )
        run_id = _uuid(run_id)
        begun = from_ms(run_id_ms(run_id)) - LONGEST_LIFE  # clocks differ
        args = (run_id, begun, limit * ATTEMPTS_OF_REPLAY)
        rows = await self._page(
            f"select distinct on (1) * from ({' union all '.join(map(each.format, _TABLES))}) t order by 1 desc, 2 desc"
            " limit %s",
            (*args, *args, limit),
        )
        return tuple(RunRow(*row) for row in rows)

    async def envelope(self, run_id: str) -> bytes | None:
        """The envelope of a run that came to an end, as it came but for white space around it.

        None where none is stored: it was too large, or is too old.
        """
        rows = await self._all(
            "select envelope from ((select attempt, envelope from cronsole.run_envelope where run_id = %(id)s::uuid)"
            " union all (select attempt, envelope from cronsole.run_envelope_keep where run_id = %(id)s::uuid)) t"
            " order by attempt desc limit 1",
            {"id": _uuid(run_id)},
        )
        return bytes(rows[0][0]) if rows else None

    async def runs_between(
        self, start: datetime, end: datetime, limit: int = 2000, jobs: Sequence[str] | None = None
    ) -> list[RunRow]:
        """Attempts that were at work at some time from `start` up to `end`, newest run first: the time line.

        One whose run began more than LONGEST_LIFE before `start` is not found.
        """
        begun = await self._runs_begun(start, end, "coalesce(started_at, finished_at) < %s", end, limit, jobs)
        if len(begun) < limit:
            begun += await self._runs_begun(
                start - LONGEST_LIFE, start, "finished_at >= %s", start, limit - len(begun), jobs
            )
        return begun

    async def _runs_begun(
        self, start: datetime, end: datetime, condition: str, at: datetime, limit: int, jobs: Sequence[str] | None
    ) -> list[RunRow]:
        each = (
            f"select {_ROW} from {{}} a where run_id >= cronsole.v7_floor(%s) and run_id < cronsole.v7_floor(%s)"
            f" and {condition}{' and job = any(%s)' if jobs else ''} {_NEWEST} limit %s"
        )
        args = [start, end, at, *([list(jobs)] if jobs else []), limit]
        both = " union all ".join(f"({each.format(table)})" for table in _TABLES)
        rows = await self._all(f"select * from ({both}) t order by 1 desc, 2 desc limit %s", [*args, *args, limit])
        # the driver makes a new text for each row, and a time line is thousands of rows of the same few names
        return [
            RunRow(run_id, attempt, intern(job), intern(queue), intern(outcome), *rest)
            for run_id, attempt, job, queue, outcome, *rest in rows
        ]

    async def last_runs(self, jobs: Sequence[str]) -> dict[str, LastRun]:
        """The newest attempt of each job."""
        each = (
            "(select run_id::text, outcome, started_at, duration_ms, attempt from {} a where a.job = j"
            " order by a.run_id desc, a.attempt desc limit 1)"
        )
        both = " union all ".join(each.format(table) for table in _TABLES)
        rows = await self._all(
            f"select j, r.run_id, r.outcome, r.started_at, r.duration_ms from unnest(%s::text[]) j cross join lateral"
            f" (select * from ({both}) b order by b.run_id desc, b.attempt desc limit 1) r",
            (list(jobs),),
        )
        return {row[0]: LastRun(*row[1:]) for row in rows}

    async def usual_ms(self, jobs: Sequence[str], last: int = 20) -> dict[str, float]:
        """The median duration of each job's newest successful attempts, among its newest RECENT ones."""
        rows = await self._all(
            "select j, percentile_cont(0.5) within group (order by r.duration_ms) from unnest(%s::text[]) j"
            " cross join lateral (select n.duration_ms from (select a.run_id, a.outcome, a.duration_ms"
            " from cronsole.attempt a where a.job = j order by a.run_id desc limit %s) n"
            " where n.outcome = 'succeeded' order by n.run_id desc limit %s) r group by j",
            (list(jobs), RECENT, last),
        )
        return {row[0]: row[1] for row in rows if row[1] is not None}

    async def rollups(self, since: datetime, step_s: int = 60) -> list[tuple[datetime, str, str, int, float]]:
        """(start of the step, queue, outcome, attempts, sum of ms) since then, oldest first. Steps of whole minutes."""
        return await self._all(
            "select to_timestamp(floor(extract(epoch from at) / %(step)s) * %(step)s), queue, outcome, sum(n)::bigint,"
            " sum(sum_ms) from cronsole.rollup where at >= %(since)s group by 1, 2, 3 order by 1, 2, 3",
            {"step": step_s, "since": since},
        )

    async def marks(self) -> dict[str, int]:
        """The last decided fire of each job, in milliseconds."""
        rows = await self._all("select job, (extract(epoch from last_fire) * 1000)::bigint from cronsole.schedule_mark")
        return {job: int(ms) for job, ms in rows}

    async def fires(self, job: str, start: datetime, end: datetime) -> list[tuple[datetime, str, str | None]]:
        """(planned, result, reason) of a job's fires in a stretch of time."""
        return await self._all(
            "select planned_at, result, reason from cronsole.schedule_fire"
            " where job = %s and planned_at >= %s and planned_at < %s order by 1",
            (job, start, end),
        )

    async def fire_runs(self, job: str, start: datetime, end: datetime) -> dict[datetime, tuple[str, str | None, str]]:
        """Planned instant → (result, reason, run id or '') of a job's fires from `start` to `end`, both inclusive."""
        rows = await self._all(
            "select planned_at, result, reason, coalesce(run_id::text, '') from cronsole.schedule_fire"
            " where job = %s and planned_at between %s and %s",
            (job, start, end),
        )
        return {planned: (result, reason, run_id) for planned, result, reason, run_id in rows}

    async def outcomes(self, run_ids: Sequence[str]) -> dict[str, str | None]:
        """How each run ended, by its last attempt; None where that was not the final one. Unknown runs are left out."""
        each = "select run_id, attempt, outcome, final from {} where run_id = any(%(ids)s::uuid[])"
        both = " union all ".join(each.format(table) for table in _TABLES)
        rows = await self._all(
            f"select distinct on (run_id) run_id::text, outcome, final from ({both}) t order by run_id, attempt desc",
            {"ids": list(run_ids)},
        )
        return {run_id: outcome if final else None for run_id, outcome, final in rows}

    async def counts_by_job(self, since: datetime) -> dict[str, dict[str, int]]:
        """Since then, by job: runs, retries, dead, each outcome, and fires by result (as `fires_fired` …)."""
        found: dict[str, dict[str, int]] = {}
        for job, outcome, n, retries, dead in await self._all(
            "select job, outcome, count(*), count(*) filter (where not final),"
            " count(*) filter (where final and outcome in ('failed', 'timed_out', 'lost'))"
            " from cronsole.attempt where run_id >= cronsole.v7_floor(%s) and finished_at >= %s group by 1, 2",
            (since - LONGEST_LIFE, since),
        ):
            counts = found.setdefault(job, {})
            counts[outcome] = n
            counts["retries"] = counts.get("retries", 0) + retries
            counts["dead"] = counts.get("dead", 0) + dead
        for job, runs in await self._all(
            "select job, count(distinct run_id) from cronsole.attempt"
            " where run_id >= cronsole.v7_floor(%s) and finished_at >= %s group by 1",
            (since - LONGEST_LIFE, since),
        ):
            found.setdefault(job, {})["runs"] = runs
        for job, result, n in await self._all(
            "select job, result, count(*) from cronsole.schedule_fire where decided_at >= %s group by 1, 2", (since,)
        ):
            found.setdefault(job, {})[f"fires_{result}"] = n
        return found

    async def write_action(
        self,
        who: str,
        verb: str,
        target: Any,
        matched: int,
        changed: int,
        receipt: str | None = None,
        note: str = "",
        *,
        key: str = "",
        at_ms: int | None = None,
    ) -> None:
        """Note what an operator did. `key` (a UUID): noted once, however often it comes, also through an outbox."""
        action = ActionRecord(
            key=key or str(uuid4()), at_ms=now_ms() if at_ms is None else at_ms, who=who, verb=verb, target=target,
            matched=matched, changed=changed, receipt=receipt, note=note,
        )  # fmt: skip
        async with self._pool.connection() as connection:
            await store_actions(connection, [action])

    async def actions(
        self, limit: int = 100, cursor: int | None = None, *, oldest: bool = False
    ) -> list[tuple[Any, ...]]:
        """(id, at, who, verb, target, matched, changed, receipt, note), newest first; those before the id `cursor`.

        `oldest`: the oldest, or those next after `cursor`.
        """
        way = "id > %s order by id" if oldest else "id < %s order by id desc"
        rows = await self._all(
            "select id, at, who, verb, target, matched, changed, receipt, note from cronsole.action"
            f" where {way} limit %s",
            (cursor if cursor is not None else 0 if oldest else 2**62, limit),
        )
        return rows[::-1] if oldest else rows

    async def publish(self, specs: dict[str, bytes], by: str) -> None:
        """Put the declared jobs (name → JSON of the spec) where they can be seen; a change raises the revision.

        `by` names the job file: what it published before and has no longer is marked as removed, others' jobs stay.
        """
        async with self._pool.connection() as connection, connection.transaction():
            async with connection.cursor() as cursor:
                await cursor.executemany(
                    "insert into cronsole.schedule as s (job, spec, published_by) values (%s, %s::jsonb, %s)"
                    " on conflict (job) do update set spec = excluded.spec, revision = s.revision + 1,"
                    " published_by = excluded.published_by, published_at = now(), removed_at = null"
                    " where s.spec is distinct from excluded.spec or s.removed_at is not null",
                    [(job, spec.decode(), by) for job, spec in sorted(specs.items())],
                )
            await connection.execute(
                "update cronsole.schedule set removed_at = now()"
                " where removed_at is null and published_by = %s and not job = any(%s)",
                (by, list(specs)),
            )

    async def published(self) -> list[tuple[str, dict[str, Any], int, dict[str, Any], str, datetime]]:
        """(job, spec, revision, operator's overrides, published by, at) of the jobs that are declared now, by name."""
        return await self._all(
            "select job, spec, revision, override, published_by, published_at from cronsole.schedule"
            " where removed_at is null order by job"
        )


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as error:
        raise BadInputError(f"{text!r} is not a run id", "`cronsole runs` lists them") from error


def _cursor(text: str) -> tuple[str, int]:
    run_id, _, attempt = text.partition(".")
    if not attempt.isdecimal() or len(attempt) > 9:
        raise BadInputError(f"{text[:60]!r} is not a cursor", "take `next_cursor` of the page before")
    return _uuid(run_id), int(attempt)


def _range(beginning: str) -> tuple[str, str]:
    """The least and the greatest run id that begin so."""
    digits = beginning.replace("-", "").lower()
    if not re.fullmatch("[0-9a-f]{1,32}", digits):
        raise BadInputError(f"{beginning[:60]!r} is not the beginning of a run id", "`cronsole runs` lists them")
    return str(UUID(digits.ljust(32, "0"))), str(UUID(digits.ljust(32, "f")))
