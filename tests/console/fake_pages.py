"""The part of FakeOps that the pages of dead letters, of one run and of the audit read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from msgspec.structs import replace

from backends.errors import BadInputError, UnreachableError
from backends.history.attempts import Attempt
from backends.model import DeadGroup, DeadLetter, Page, RunRow, fire_run_id, from_ms, to_ms
from backends.ops.audit import Action
from backends.ops.letters import Selection
from backends.ops.output import RunPage
from backends.queues.where import LogPart, RunPlace

VERBS = (
    ("dead_retry", {"queue": "mail", "error": "SMTPServerDisconnected"}, 12, 12),
    ("pause", {"target": "queue:billing", "note": "until the invoice bug is fixed", "for_s": 1800.0}, 1, 1),
    ("trigger", {"job": "backup_history", "run_id": "0193"}, 1, 1),
    ("resume", {"target": "queue:billing"}, 1, 1),
    ("cancel", {"run_id": "0193", "answer": "unknown"}, 0, 0),
)


class FakePages:
    """Needs `dead`, `ended`, `clock`, `redis_error` and `postgres_error`, which FakeOps has."""

    clock: Callable[[], int]
    dead: list[DeadLetter]
    ended: list[RunRow]
    redis_error: str
    postgres_error: str
    places: dict[str, RunPlace]
    """Run id → where it is now."""
    logs: dict[str, list[bytes]]
    """Run id → what it has printed so far."""
    outputs: dict[tuple[str, int], str]
    """(run id, attempt) → the stored tail."""
    acts: list[Action]
    attempts: dict[str, list[Attempt]]
    """Run id → its attempts, where a test wants other ones than those of `ended`."""
    log_reads: list[str]
    printed: str
    """What every attempt has printed besides."""
    replays: dict[str, list[str]]
    """Run id → the runs that replay it."""

    def make_pages(self, hostile: str = "") -> None:
        """An audit, a run in hand with its output."""
        now = self.clock()
        self.printed = hostile
        self.logs, self.outputs, self.attempts, self.log_reads, self.replays = {}, {}, {}, [], {}
        self.places = {
            fire_run_id("fake", "a", now): RunPlace("billing", "running", "slow_export", 1, engine="web-1:4711"),
            fire_run_id("fake", "b", now): RunPlace("default", "running", "sync_prices", 3, engine="web-1:4711"),
        }
        self.acts = [
            Action(40 - n, from_ms(now - n * 1_700_000), ("ana@web-1 from 10.0.0.7", "root@web-2")[n % 3 == 2],
                   *VERBS[n % len(VERBS)])
            for n in range(40)
        ]  # fmt: skip
        if hostile:
            self.acts.insert(0, Action(99, from_ms(now), hostile, hostile, {hostile: [hostile]}, 1, 0))

    async def dead_heads(
        self, limit: int = 100, cursor: str | None = None, *, queue: str = "", group: str = "",
        groups: Sequence[tuple[str, str]] = (), oldest: bool = False,
    ) -> Page[DeadLetter]:  # fmt: skip
        """A page of the letters; the cursor is a sequence."""
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        found = [
            d for d in self.dead
            if queue in ("", d.queue) and group in ("", d.group) and (not groups or (d.queue, d.group) in groups)
        ]  # fmt: skip
        found.sort(key=lambda d: d.sequence if oldest else -d.sequence)
        at = None if cursor is None else int(cursor.partition(".")[0])
        left = [d for d in found if at is None or (d.sequence > at if oldest else d.sequence < at)]
        more = str(left[limit - 1].sequence) if len(left) > limit else None
        items = [replace(d, envelope=b"") for d in left[:limit]]
        return Page(tuple(items[::-1] if oldest else items), more, len(found))

    async def dead_list(
        self, limit: int = 50, cursor: str | None = None, selection: Selection | None = None
    ) -> Page[DeadLetter]:
        """Likewise, with the envelopes."""
        chosen = selection or Selection()
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        found = [
            d for d in sorted(self.dead, key=lambda d: -d.sequence)
            if chosen.queue in ("", d.queue) and chosen.group in ("", d.group) and chosen.matches(d)
        ]  # fmt: skip
        left = [d for d in found if cursor is None or d.sequence < int(cursor)]
        more = str(left[limit - 1].sequence) if len(left) > limit else None
        return Page(tuple(left[:limit]), more, None if chosen.filters else len(found))

    async def dead_group_page(self, limit: int = 200) -> Page[DeadGroup]:
        """The groups."""
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        groups = []
        for (queue, group), letters in groupby(
            sorted(self.dead, key=lambda d: (d.queue, d.group)), lambda d: (d.queue, d.group)
        ):
            held = sorted(letters, key=lambda d: d.failed_at)
            last = held[-1]
            groups.append(
                DeadGroup(group, queue, last.job, last.error_class, last.error, len(held), held[0].failed_at,
                          last.failed_at)
            )  # fmt: skip
        groups.sort(key=lambda g: (-g.count, g.queue, g.group))
        return Page(tuple(groups[:limit]), None, len(groups))

    async def run_page(self, run_id: str) -> RunPage:
        """A run; what `running` engines report is in hand."""
        if self.redis_error and self.postgres_error:
            raise UnreachableError(self.redis_error)
        place = None if self.redis_error else await self.run_place(run_id)
        if run_id in self.attempts:
            attempts = tuple(self.attempts[run_id])
        else:
            rows = sorted((r for r in self.ended if r.run_id == run_id), key=lambda r: r.attempt) or self._died(run_id)
            attempts = tuple(as_attempt(r, r is rows[-1] and place is None) for r in rows)
        if self.postgres_error:
            attempts = ()
        if not attempts and place is None:
            raise BadInputError("no such run", "`cronsole runs list` lists the finished ones")
        return RunPage(run_id, attempts, place, self.redis_error or self.postgres_error)

    async def run_replays(self, run_id: str) -> tuple[RunRow, ...]:
        """Those of `replays`."""
        if self.postgres_error:
            raise UnreachableError(self.postgres_error)
        return tuple(r for r in self.ended if r.run_id in self.replays.get(run_id, ()))

    async def run_place(self, run_id: str) -> RunPlace | None:
        """Where a run is now."""
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        if run_id in self.places:
            return self.places[run_id]
        for d in self.dead:
            if d.id == run_id:
                return RunPlace(d.queue, "dead", d.job, d.attempts, to_ms(d.failed_at), engine=d.worker)
        return None

    def _died(self, run_id: str) -> list[RunRow]:
        """The attempts of a dead letter: it failed each time."""
        found = [d for d in self.dead if d.id == run_id]
        return [
            RunRow(d.id, n, d.job, d.queue, "failed", "enqueue", None, from_ms(to_ms(d.failed_at) - 1200 - back),
                   from_ms(to_ms(d.failed_at) - back), 1200.0, d.worker, 1, d.error)
            for d in found for n, back in ((1, 190_000), (2, 120_000), (3, 0))
        ]  # fmt: skip

    async def run_output(self, run_id: str, attempt: int) -> str | None:
        """The stored tail."""
        if self.postgres_error:
            raise UnreachableError(self.postgres_error)
        return self.outputs.get((run_id, attempt), f"attempt {attempt} begins\nline two\n{self.printed}")

    async def run_log(self, queue: str, run_id: str, after: str = "", attempt: int | None = None) -> LogPart:
        """What was printed since `after`: the number of the chunk."""
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        self.log_reads.append(after)
        chunks = self.logs.get(run_id, [])
        start = int(after or 0)
        return LogPart(tuple(chunks[start : start + 64]), str(min(len(chunks), start + 64)) if chunks else after,
                       more=len(chunks) > start + 64)  # fmt: skip

    async def actions(self, limit: int = 100, cursor: str | None = None, *, oldest: bool = False) -> Page[Action]:
        """A page of the audit."""
        if self.postgres_error:
            raise UnreachableError(self.postgres_error)
        return either_way(self.acts, limit, cursor, oldest)


def either_way(found: Sequence[Any], limit: int, cursor: str | None, back: bool) -> Page[Any]:
    """A page of `found` behind the item of that cursor, or before it where the list is read from its other end."""
    at = next((n for n, item in enumerate(found) if item.cursor == cursor), len(found) if back else -1)
    if back:
        items = tuple(found[max(at - limit, 0) : at])
        return Page(items, items[0].cursor if at > limit else None)
    items = tuple(found[at + 1 : at + 1 + limit])
    return Page(items, items[-1].cursor if at + 1 + limit < len(found) else None)


def as_attempt(run: RunRow, final: bool, **more: Any) -> Attempt:
    """An attempt as its own page shows it."""
    start = run.started_at
    values: dict[str, Any] = {
        "attempt": run.attempt, "job": run.job, "queue": run.queue, "outcome": run.outcome, "final": final,
        "trigger": run.trigger, "scheduled_for": run.scheduled_for,
        "enqueued_at": from_ms(to_ms(start) - 800) if start else None, "started_at": start,
        "finished_at": run.finished_at or from_ms(0), "duration_ms": run.duration_ms, "worker": run.worker,
        "exit_code": run.exit_code, "error": run.error, "max_rss_kb": 84_000, "cpu_ms": 1_230,
    } | more  # fmt: skip
    return Attempt(**values)
