"""Dead letters that are too many for Redis: pages, counts and groups of what `spill` has put into Postgres.

Letters between Redis and here are listed by what Redis says of them, so none is listed twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.history.archive_lists import DEAD
from backends.history.rows import clean

_FIELDS = "x.queue, a.run_id, a.sequence, a.state, a.move, a.head"
_LETTERS = "cronsole.dead_archive_lists x join cronsole.dead_archive a on a.list = x.list and x.namespace = %(ns)s"
_WALK = (
    "select {fields} from unnest(%(queues)s::text[], %(groups)s::text[], %(above)s::bigint[], %(below)s::bigint[])"
    " as l(queue, fingerprint, above, below)"
    " join cronsole.dead_archive_lists x on x.namespace = %(ns)s and x.queue = l.queue and x.why = 'spilled'"
    " cross join lateral (select * from cronsole.dead_archive r where r.list = x.list {of_group}"
    " and r.sequence > l.above and r.sequence < l.below order by r.sequence {way} limit %(n)s) a"
    " order by a.sequence {way}, x.queue {other} limit %(n)s"
)
END = 1 << 53
"""Above every sequence."""

Moved = Callable[[str, Sequence[int]], Awaitable[Sequence[str]]]
"""What Redis says of letters of a queue: 'out <move>', 'in <move>' or ''."""


@dataclass(frozen=True, slots=True)
class Archived:
    """A dead letter of the archive. `head`: JSON; `envelope` is empty where it was not asked for."""

    queue: str
    run_id: str
    sequence: int
    head: bytes
    envelope: bytes = b""

    @property
    def record(self) -> bytes:
        """As Redis keeps it."""
        return self.head + b"\n" + self.envelope


@dataclass(frozen=True, slots=True)
class Stretch:
    """What of a queue is asked for: above < sequence < below, of a group if one is given."""

    queue: str
    group: str = ""
    above: int = -1
    below: int = END


@dataclass(frozen=True, slots=True)
class ArchivedGroup:
    """How many letters of an error group are in the archive."""

    queue: str
    group: str
    job: str
    error_class: str
    count: int


class Archive:
    """The archive of one namespace."""

    def __init__(self, pool: Any, namespace: str, moved: Moved) -> None:
        self._pool = pool
        self._namespace = namespace
        self._moved = moved

    async def walk(
        self, stretches: Sequence[Stretch], limit: int, *, oldest: bool = False, envelopes: bool = False
    ) -> list[Archived]:
        """Up to `limit` letters of all stretches as one list: the newest first, or the oldest first.

        Either all stretches name a group or none does.
        """
        found: list[Archived] = []
        rest = list(stretches)
        while rest:
            rows = await self._walk(rest, limit, oldest, envelopes)
            found += await self._here(rows)
            if len(rows) < limit or len(found) >= limit:
                break
            rest = [_on(stretch, rows[-1][2], rows[-1][0], oldest) for stretch in rest]
        return found[:limit]

    async def records(self, queue: str, pairs: Sequence[tuple[str, int]]) -> list[Archived | None]:
        """Letters with their envelopes; None for a pair that is not here."""
        rows = await self._all(
            f"select {_FIELDS}, a.envelope from {_LETTERS} where x.queue = %(queue)s and x.why = 'spilled'"
            " and a.sequence = any(%(sequences)s)",
            {"queue": queue, "sequences": [sequence for _, sequence in pairs]},
        )
        known = {(letter.run_id, letter.sequence): letter for letter in await self._here(rows)}
        return [known.get(pair) for pair in pairs]

    async def find(self, run_ids: Sequence[str]) -> list[Archived]:
        """The archived letters of these runs, without envelopes."""
        rows = await self._all(
            f"select {_FIELDS} from {_LETTERS} where x.why = 'spilled' and a.run_id = any(%(runs)s)"
            " order by a.sequence desc",
            {"runs": list(run_ids)},
        )
        return await self._here(rows)

    async def groups(self, queues: Sequence[str]) -> list[ArchivedGroup]:
        """Every group there is in these queues, the largest first."""
        rows = await self._all(
            "select x.queue, g.fingerprint, min(g.job), min(g.error_class), sum(g.n)::bigint as there"
            " from cronsole.dead_archive_lists x join cronsole.dead_archive_groups g using (list)"
            " where x.namespace = %(ns)s and x.queue = any(%(queues)s) and x.why = 'spilled' and g.n > 0"
            " group by 1, 2 order by there desc, 1, 2",
            {"queues": list(queues)},
        )
        return [ArchivedGroup(*row) for row in rows]

    async def ends(self, groups: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[Archived, Archived]]:
        """(queue, group) → its oldest and its newest letter here, without envelopes."""
        edge = (
            "(select r.* from cronsole.dead_archive r where r.list = x.list and r.fingerprint = l.fingerprint"
            " order by r.sequence {} limit 1)"
        )
        both = f"{edge.format('asc')} union all {edge.format('desc')}"
        rows = await self._all(
            f"select l.queue, l.fingerprint, {_FIELDS} from unnest(%(queues)s::text[], %(groups)s::text[])"
            " as l(queue, fingerprint) join cronsole.dead_archive_lists x on x.namespace = %(ns)s and x.queue = l.queue"
            f" and x.why = 'spilled' cross join lateral ({both}) a order by a.sequence",
            {"queues": [queue for queue, _ in groups], "groups": [group for _, group in groups]},
        )
        found: dict[tuple[str, str], tuple[Archived, Archived]] = {}
        for queue, group, *row in rows:
            letter = _letter(row)
            found[queue, group] = (found.get((queue, group), (letter,))[0], letter)
        return found

    async def count(self, queue: str, above: int = -1, below: int = END, groups: Sequence[str] = ()) -> int:
        """How many letters of a queue lie between two sequences, of these groups, if any are given.

        Counted one by one, unless all of the queue or of the groups is meant.
        """
        args: dict[str, Any] = {"queue": queue, "groups": list(groups), "above": above, "below": below}
        chosen = " and fingerprint = any(%(groups)s)" if groups else ""
        sql = f"select coalesce(sum(n), 0)::bigint from cronsole.dead_archive_groups where list = any({DEAD}){chosen}"
        if above >= 0 or below < END:
            sql = (
                f"select count(*) from cronsole.dead_archive where list = any({DEAD}) and state <> 'leaving'"
                f" and sequence > %(above)s and sequence < %(below)s{chosen}"
            )
        return int((await self._all(sql, args))[0][0])

    async def _walk(self, stretches: Sequence[Stretch], limit: int, oldest: bool, envelopes: bool) -> list[Any]:
        sql = _WALK.format(
            fields=_FIELDS + (", a.envelope" if envelopes else ""),
            of_group="and r.fingerprint = l.fingerprint" if stretches[0].group else "",
            way="asc" if oldest else "desc",
            other="desc" if oldest else "asc",
        )
        return await self._all(
            sql,
            {
                "queues": [s.queue for s in stretches],
                "groups": [clean(s.group) for s in stretches],
                "above": [s.above for s in stretches],
                "below": [s.below for s in stretches],
                "n": limit,
            },
        )

    async def _here(self, rows: Sequence[Any]) -> list[Archived]:
        """Those that are dead letters of the archive, and not of Redis."""
        between: dict[str, list[Any]] = {}
        for row in rows:
            if row[3] != "there":
                between.setdefault(row[0], []).append(row)
        elsewhere: set[tuple[str, int]] = set()
        for queue, those in between.items():
            marks = await self._moved(queue, [row[2] for row in those])
            states = {}
            if not all(marks):  # not moved, or meanwhile noted
                states = await self._states(queue, [row[2] for row, mark in zip(those, marks, strict=True) if not mark])
            for row, mark in zip(those, marks, strict=True):
                leaves = row[3] == "leaving"
                here = (mark == f"out {row[4]}") if leaves else (mark != f"in {row[4]}")
                if not mark:
                    here = states.get(row[2]) not in ((None, "leaving") if leaves else (None,))
                if not here:
                    elsewhere.add((queue, row[2]))
        return [_letter(row) for row in rows if (row[0], row[2]) not in elsewhere]

    async def _states(self, queue: str, sequences: Sequence[int]) -> dict[int, str]:
        where = f"list = any({DEAD}) and sequence = any(%(sequences)s)"
        sql = f"select sequence, state from cronsole.dead_archive where {where}"
        return dict(await self._all(sql, {"queue": queue, "sequences": sequences}))

    async def _all(self, sql: str, args: Mapping[str, Any]) -> list[Any]:
        """Along indexes that have the order: without statistics the planner takes few rows for granted and sorts."""
        async with self._pool.connection() as connection, connection.pipeline(), connection.transaction():
            await connection.execute("set local enable_sort = off")
            cursor = await connection.execute(sql, {"ns": self._namespace, **args})
            return list(await cursor.fetchall())


def _letter(row: Sequence[Any]) -> Archived:
    return Archived(row[0], row[1], row[2], bytes(row[5]), bytes(row[6]) if len(row) > 6 else b"")


def _on(stretch: Stretch, sequence: int, queue: str, oldest: bool) -> Stretch:
    """What of a stretch comes after a letter of the merged list."""
    if oldest:
        last = sequence - 1 if stretch.queue < queue else sequence
        return Stretch(stretch.queue, stretch.group, max(stretch.above, last), stretch.below)
    last = sequence + 1 if stretch.queue > queue else sequence
    return Stretch(stretch.queue, stretch.group, stretch.above, min(stretch.below, last))
