"""Dead letters go from Redis into the archive, and come back.

Neither server knows of the other's transactions, so a move is four steps, and each row says which move is at it:

1. the rows are written as ``leaving`` (back: marked as ``returning``), so no other move takes them;
2. one script in Redis drops (brings back) exactly the letters that are still there (not yet there) and marks them;
3. the rows become ``there`` or are deleted, as Redis said;
4. the marks are taken away.

Whoever finds rows that stand between for longer than STALE_S asks the marks what happened and goes on from there. Step
2 does nothing any more after WITHIN_MS, by the clock of Redis: so a driver that slept can't overtake that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import uuid4

import msgspec

from backends.history.archive_lists import DEAD, HOLD_DEAD, LOCK_COUNTS, TOP, changing, merge, open_list
from backends.history.rows import clean
from backends.model import UNREADABLE

BATCH = 200
SLACK = 200
"""Letters above the limit that are let be: what an operator has just brought back is not taken away again."""
WITHIN_MS = 30_000
STALE_S = 60

Pair = tuple[str, int]
Clock = Callable[[], Awaitable[int]]
"""The time of the Redis server, in milliseconds."""


class Hot(Protocol):
    """The dead letters of one queue in Redis."""

    name: str

    async def dead_count(self) -> int:
        """How many there are."""

    async def dead_top(self) -> int:
        """The highest sequence."""

    async def dead_pairs(self, limit: int, after: int, upto: int) -> list[Pair]:
        """The oldest."""

    async def dead_packed(self, pairs: Sequence[Pair]) -> list[bytes | None]:
        """Their records."""

    async def dead_drop(self, pairs: Sequence[Pair], until_ms: int, move: str) -> list[bool]:
        """Out of Redis."""

    async def dead_return(self, records: Sequence[tuple[str, int, bytes]], until_ms: int, move: str) -> list[bool]:
        """Back into Redis."""

    async def dead_moved(self, sequences: Sequence[int]) -> list[str]:
        """The marks of these."""

    async def dead_marks(self) -> dict[int, str]:
        """Some marks, or all."""

    async def dead_settled(self, marks: Mapping[int, str]) -> None:
        """Forget marks."""

    async def dead_spilled(self) -> tuple[int, int]:
        """How many are in the archive as Redis knows it, and the highest sequence that went there."""

    async def dead_counted(self, change: int, top: int) -> None:
        """Correct that."""


class _Head(msgspec.Struct):
    job: str = ""
    error_class: str = ""
    group: str = ""


_head = msgspec.json.Decoder(_Head)

_LEAVE = f"""
with {HOLD_DEAD}
insert into cronsole.dead_archive (list, sequence, run_id, fingerprint, state, move, head, envelope)
select (select max(list) from held), s, r, f, 'leaving', %(move)s, h, e
from unnest(%(sequences)s::bigint[], %(runs)s::text[], %(groups)s::text[], %(heads)s::bytea[], %(envelopes)s::bytea[])
  as t(s, r, f, h, e)
where exists (select from held)
  and not exists (
    select from cronsole.dead_archive o where o.list = any(array(select list from held)) and o.sequence = t.s)
on conflict do nothing returning run_id, sequence
"""
_CLAIM = f"""
with {HOLD_DEAD}
update cronsole.dead_archive a set state = 'returning', move = %(move)s, moved_at = now()
from unnest(%(runs)s::text[], %(sequences)s::bigint[]) as t(r, s)
where a.list = any(array(select list from held)) and a.sequence = t.s and a.run_id = t.r and a.state = 'there'
returning a.run_id, a.sequence, a.head, a.envelope
"""
_AT = f"list = any({DEAD}) and sequence = any(%(sequences)s) and state = %(state)s and move = %(move)s"
_STAY = f"update cronsole.dead_archive set state = 'there' where {_AT} returning list, fingerprint, head"
_FORGET = f"delete from cronsole.dead_archive where {_AT} returning list, fingerprint, head"
_COUNT = """
insert into cronsole.dead_archive_groups as g (list, fingerprint, job, error_class, n)
values (%s, %s, %s, %s, %s) on conflict (list, fingerprint) do update set n = g.n + excluded.n
"""
_STALE = f"""
select state, move, array_agg(sequence) from cronsole.dead_archive
where list = any({DEAD}) and state <> 'there' and moved_at < now() - make_interval(secs => %(stale)s)
group by state, move
"""
_STALE_QUEUES = """
select distinct l.queue from cronsole.dead_archive_lists l join cronsole.dead_archive a using (list)
where l.namespace = %s and a.state <> 'there' and a.moved_at < now() - make_interval(secs => %s)
"""
_COUNTED = f"""
select coalesce(sum(n), 0)::bigint,
  (select coalesce(max({TOP}), 0) from cronsole.dead_archive_lists l where list = any({DEAD}))
from cronsole.dead_archive_groups where list = any({DEAD})
having not exists (select from cronsole.dead_archive where list = any({DEAD}) and state <> 'there')
"""
_BETWEEN = f"""
select sequence, move from cronsole.dead_archive
where list = any({DEAD}) and state <> 'there' and sequence = any(%(sequences)s)
"""


async def stale_queues(pool: Any, namespace: str, stale_s: float = STALE_S) -> set[str]:
    """The queues with letters that somebody has left between Redis and the archive."""
    async with pool.connection() as connection:
        return {row[0] for row in await (await connection.execute(_STALE_QUEUES, (namespace, stale_s))).fetchall()}


class Spill:
    """Moves the letters of one queue. Any number of these may be at work on it, in any number of processes."""

    def __init__(self, pool: Any, namespace: str, queue: Hot, clock: Clock) -> None:
        self._pool = pool
        self._queue = queue
        self._clock = clock
        self._where = {"ns": namespace, "queue": queue.name}

    async def step(self, most: int) -> int:
        """If there are clearly more than `most` letters in Redis, some of the oldest go; returns how many went."""
        over = await self._queue.dead_count() - most
        if over <= SLACK:
            return 0
        pairs = await self._queue.dead_pairs(min(over, BATCH), 0, await self._queue.dead_top())
        return sum(await self.leave(pairs))

    async def leave(self, pairs: Sequence[Pair]) -> list[bool]:
        """Into the archive, at most BATCH; False where a letter is not dead any more, or another move has it."""
        until, move = await self._clock() + WITHIN_MS, uuid4().hex
        records = {
            pair: record for pair, record in zip(pairs, await self._queue.dead_packed(pairs), strict=True) if record
        }
        claimed = await self._write(records, move)
        gone = [pair for pair, went in zip(claimed, await self._drop(claimed, until, move), strict=True) if went]
        await self._note("leaving", move, [s for _, s in claimed], [s for _, s in gone])
        return [pair in set(gone) for pair in pairs]

    async def back(self, pairs: Sequence[Pair]) -> list[bool]:
        """Out of the archive, with the sequence they had; at most BATCH. False where a letter is not in the archive,
        another move has it, or its run has come alive or died again."""
        until, move = await self._clock() + WITHIN_MS, uuid4().hex
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                _CLAIM,
                {**self._where, "move": move, "runs": [r for r, _ in pairs], "sequences": [s for _, s in pairs]},
            )
            rows = await cursor.fetchall()
        records = [(run, sequence, bytes(head) + b"\n" + bytes(envelope)) for run, sequence, head, envelope in rows]
        answers = await self._queue.dead_return(records, until, move) if records else []
        came = {record[:2] for record, done in zip(records, answers, strict=True) if done}
        await self._note("returning", move, [s for _, s, _ in records], [s for _, s in came])
        return [pair in came for pair in pairs]

    async def reconcile(self, stale_s: float = STALE_S) -> int:
        """Finish what a driver that died has left between; returns how many letters that were."""
        finished = 0
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_STALE, {**self._where, "stale": stale_s})
            stale = await cursor.fetchall()
        for state, move, sequences in stale:
            for n in range(0, len(sequences), BATCH):
                part = sequences[n : n + BATCH]
                mark = _mark(state, move)
                marks = await self._queue.dead_moved(part)
                moved = [s for s, found in zip(part, marks, strict=True) if found == mark]
                await self._note(state, move, part, moved)
                finished += len(part)
        await self._forget_marks()
        return finished

    async def recount(self) -> int:
        """Put right how many letters Redis takes to be in the archive, after a crash between the two; by how many."""
        before = await self._queue.dead_spilled()
        async with self._pool.connection() as connection:
            found = await (await connection.execute(_COUNTED, self._where)).fetchone()
        if found is None or found[0] == before[0] or await self._queue.dead_spilled() != before:
            return 0  # it is changing now, or right
        count, top = found
        await self._queue.dead_counted(count - before[0], top)
        return int(count - before[0])

    async def merge(self) -> int:
        """One step of making few lists of many in the archive; returns how many letters that were."""
        return await merge(self._pool, self._where)

    async def _write(self, records: Mapping[Pair, bytes], move: str) -> list[Pair]:
        parts = [record.partition(b"\n") for record in records.values()]
        args = {
            **self._where, "move": move, "runs": [clean(run) for run, _ in records],
            "sequences": [sequence for _, sequence in records],
            "groups": [clean(_read(head).group) for head, _, _ in parts],
            "heads": [head for head, _, _ in parts], "envelopes": [envelope for _, _, envelope in parts],
        }  # fmt: skip
        for opened in (False, True):
            async with self._pool.connection() as connection:
                rows = await (await connection.execute(_LEAVE, args)).fetchall()
            if rows or opened or not records:
                break
            async with changing(self._pool, self._where) as connection:  # there may be no list to put them into
                await open_list(connection, self._where, "spilled")
        return [(run, sequence) for run, sequence in rows]

    async def _drop(self, pairs: Sequence[Pair], until: int, move: str) -> list[bool]:
        return await self._queue.dead_drop(pairs, until, move) if pairs else []

    async def _note(self, state: str, move: str, asked: Sequence[int], moved: Sequence[int]) -> None:
        """What Redis said of these rows: the third step, and the fourth."""
        there = set(moved) if state == "leaving" else set(asked) - set(moved)
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(LOCK_COUNTS, self._where)
            at = {**self._where, "state": state, "move": move}
            stay = await (await connection.execute(_STAY, {**at, "sequences": sorted(there)})).fetchall()
            gone = await (await connection.execute(_FORGET, {**at, "sequences": sorted(set(asked) - there)})).fetchall()
            await self._count(connection, stay if state == "leaving" else gone, 1 if state == "leaving" else -1)
        await self._queue.dead_settled(dict.fromkeys(moved, _mark(state, move)))

    async def _count(self, connection: Any, rows: Sequence[Any], sign: int) -> None:
        counts: dict[tuple[int, str, str, str], int] = {}
        for into, fingerprint, head in rows:
            told = _read(bytes(head))
            key = (into, fingerprint, clean(told.job), clean(told.error_class))
            counts[key] = counts.get(key, 0) + sign
        if counts:
            async with connection.cursor() as cursor:
                await cursor.executemany(_COUNT, [(*key, n) for key, n in sorted(counts.items())])

    async def _forget_marks(self) -> None:
        """Take away marks of moves that were noted."""
        marks = await self._queue.dead_marks()
        if not marks:
            return
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_BETWEEN, {**self._where, "sequences": list(marks)})
            between = dict(await cursor.fetchall())
        settled = {s: mark for s, mark in marks.items() if between.get(s) != mark.partition(" ")[2]}
        await self._queue.dead_settled(settled)


def _read(head: bytes) -> _Head:
    """What is indexed of a header; also of one that somebody has made unreadable, or nothing would leave any more."""
    try:
        return _head.decode(head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Head("?", "BadHeader", UNREADABLE)


def _mark(state: str, move: str) -> str:
    return f"{'out' if state == 'leaving' else 'in'} {move}"
