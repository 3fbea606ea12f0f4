"""A queue with all its dead letters, be they in Redis or in the archive: to whoever asks it is one list.

Postgres is asked only where something is in the archive, and not for what lies above the highest letter in there. What
is acted on comes back to Redis first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

from msgspec.structs import replace

from backends.history.archive import END, Archive, Archived, Stretch
from backends.history.archive_trash import ArchiveTrash
from backends.history.spill import Spill
from backends.model import DeadGroup, DeadLetter
from backends.queues.base import BATCH, NewRun, Op, Pair, Restored, chunks
from backends.queues.dead import Kind
from backends.queues.dead_index import letter_from
from backends.queues.dead_walk import RecordReader, pairs_between
from backends.queues.streams import StreamQueue

WAIT_S = 0.05
WAITS = 40
"""So often, that far apart, a letter that is on its way between Redis and the archive is tried again."""

Pool: TypeAlias = Callable[[], AbstractAsyncContextManager[Any]]


def as_letter(kept: Archived) -> DeadLetter:
    """A dead letter of the archive, as others are."""
    return letter_from(kept.run_id, kept.queue, kept.sequence, kept.head, kept.envelope)


class WholeQueue(StreamQueue):
    """One queue with its archive. `pool`: the connections to Postgres, once it is known to be usable."""

    def __init__(self, client: Any, namespace: str, name: str, pool: Pool) -> None:
        super().__init__(client, namespace, name)
        self._pool = pool

    @asynccontextmanager
    async def _archive(self) -> AsyncIterator[Archive]:
        async with self._pool() as pool:
            yield Archive(pool, self.namespace, lambda _, sequences: self.dead_moved(sequences))

    async def archived_top(self) -> int:
        """The highest sequence that ever was archived; 0 where nothing is in the archive."""
        count, top = await self.dead_spilled()
        return top if count else 0

    # --- reading --------------------------------------------------------------------------------------------

    async def pairs_between(
        self, limit: int, after: int, before: int, groups: Sequence[str] = (), *, newest: bool = False
    ) -> list[Pair]:
        """Up to `limit` letters with after < sequence < before, oldest or newest first; of these groups, if any."""
        hot = await pairs_between(self._redis, self.prefix, limit, after, before, groups, newest=newest)
        top = await self.archived_top()
        if top <= after or (newest and len(hot) >= limit and hot[-1][1] > top):
            return hot
        stretches = [Stretch(self.name, group, after, before) for group in dict.fromkeys(groups)]
        async with self._archive() as archive:
            cold = await archive.walk(stretches or [Stretch(self.name, "", after, before)], limit, oldest=not newest)
        both = {*hot, *((letter.run_id, letter.sequence) for letter in cold)}
        return sorted(both, key=lambda pair: pair[1], reverse=newest)[:limit]

    async def dead_pairs(self, limit: int, after: int, upto: int, groups: Sequence[str] = ()) -> list[Pair]:
        """Up to `limit` letters with after < sequence <= upto, oldest first."""
        return await self.pairs_between(limit, after, upto + 1, groups)

    async def dead_records(self, pairs: Sequence[Pair]) -> list[DeadLetter | None]:
        """Letters with their envelopes; None for a pair that is not dead any more."""
        found = await super().dead_records(pairs)
        kept = await self.kept([pair for pair, letter in zip(pairs, found, strict=True) if letter is None])
        return [letter or (as_letter(kept[p]) if p in kept else None) for p, letter in zip(pairs, found, strict=True)]

    async def dead_count(self, upto: int | None = None, since: int = 0, groups: Sequence[str] = ()) -> int:
        """How many letters there are with since <= sequence <= upto, of these groups, if any are given."""
        count, top = await super().dead_count(upto, since, groups), await self.archived_top()
        if top < since or not top:
            return count
        below = END if upto is None or upto >= top else upto + 1
        async with self._archive() as archive:
            return count + await archive.count(self.name, since - 1 if since > 1 else -1, below, groups)

    async def dead_top(self) -> int:
        """The highest sequence of a dead letter, 0 where there is none."""
        hot = await super().dead_top()
        if await self.archived_top() <= hot:
            return hot
        async with self._archive() as archive:
            newest = await archive.walk([Stretch(self.name, above=hot)], 1)  # the top itself may have been taken away
        return newest[0].sequence if newest else hot

    async def dead_there(self, run_ids: Sequence[str]) -> list[int]:
        """The sequence of each run's dead letter; 0 where it has none."""
        found: list[int] = []
        for part in chunks(run_ids):
            scores = await self._redis.zmscore(f"{self.prefix}dead", list(part))
            found += [int(score or 0) for score in scores]
        missing = [run for run, sequence in zip(run_ids, found, strict=True) if not sequence]
        if missing and await self.archived_top():
            async with self._archive() as archive:
                kept = {each.run_id: each.sequence for each in await archive.find(missing) if each.queue == self.name}
            found = [sequence or kept.get(run, 0) for run, sequence in zip(run_ids, found, strict=True)]
        return found

    async def dead_get(self, run_id: str) -> DeadLetter | None:
        """One dead letter, or None."""
        letter = await super().dead_get(run_id)
        if letter is None and (sequence := (await self.dead_there([run_id]))[0]):
            return (await self.dead_records([(run_id, sequence)]))[0]
        return letter

    async def dead_kinds(self) -> dict[str, Kind]:
        """Every group there is, with what its letters have in common."""
        kinds = await super().dead_kinds()
        if await self.archived_top():
            async with self._archive() as archive:
                for each in await archive.groups([self.name]):
                    kinds.setdefault(each.group, Kind(each.job, each.error_class))
        return kinds

    async def dead_groups(self, limit: int = 100) -> list[DeadGroup]:
        """The largest groups first."""
        found = await super().dead_groups(limit)
        if await self.archived_top():
            async with self._archive() as archive:
                found, _ = await add_archived(archive, [self], found, limit)
        return found

    async def hot_counts(self, groups: Sequence[str]) -> dict[str, int]:
        """How many letters of each group are in Redis."""
        found: dict[str, int] = {}
        for part in chunks(groups):
            counts = await self._redis.hmget(f"{self.prefix}dead:groups", list(part))
            found |= {group: int(n or 0) for group, n in zip(part, counts, strict=True)}
        return found

    async def newest_of(self, group: str) -> DeadLetter | None:
        """The newest letter of a group in Redis."""
        pairs = await pairs_between(self._redis, self.prefix, 1, -1, END, (group,), newest=True)
        return (await super().dead_records(pairs))[0] if pairs else None

    def reader(self) -> Reader:
        """What reads the bytes of letters."""
        return Reader(self, RecordReader(self._redis, self.prefix))

    async def kept(self, pairs: Sequence[Pair]) -> dict[Pair, Archived]:
        """Those of these letters that are in the archive."""
        if not pairs or not await self.archived_top():
            return {}
        async with self._archive() as archive:
            found = await archive.records(self.name, pairs)
        return {pair: letter for pair, letter in zip(pairs, found, strict=True) if letter}

    # --- acting ---------------------------------------------------------------------------------------------

    async def dead_retry(self, op: Op, pairs: Sequence[Pair], due_ms: Sequence[int] = ()) -> list[bool]:
        """Back into the queue, each when it is due; False where the pair is not dead any more."""
        dues = dict(zip(pairs, due_ms or [0] * len(pairs), strict=True))
        retry = super().dead_retry

        async def act(some: Sequence[Pair]) -> list[bool]:
            done = await retry(op, some, [dues[pair] for pair in some])
            back = await self._bring([pair for pair, did in zip(some, done, strict=True) if not did])
            again = await retry(op, back, [dues[pair] for pair in back]) if back else []
            return _either(some, done, back, again)

        return await self._act(act, pairs)

    async def dead_purge(self, op: Op, pairs: Sequence[Pair]) -> list[bool]:
        """Into the trash of the operation, here or there; False where the pair is not dead any more."""
        purge = super().dead_purge

        async def act(some: Sequence[Pair]) -> list[bool]:
            done = await purge(op, some)
            missing = [pair for pair, did in zip(some, done, strict=True) if not did]
            if not missing or not await self.archived_top():
                return done
            await self.dead_counted(0, op=op)
            async with self._pool() as pool:
                took = await ArchiveTrash(pool, self.namespace, self.name).take(op.id, op.expires_ms, missing)
            await self.dead_counted(-sum(took))
            return _either(some, done, missing, took)

        return await self._act(act, pairs)

    async def dead_replace(self, op: Op, pair: Pair, run: NewRun) -> str:
        """A new run in place of a letter: 'ok', 'gone', 'changed', or 'duplicate'."""

        async def bring(some: Sequence[Pair]) -> list[bool]:
            return [some[0] in await self._bring(some)]

        answer = await super().dead_replace(op, pair, run)
        if answer == "gone" and await self.archived_top():
            await self._act(bring, [pair])
            answer = await super().dead_replace(op, pair, run)
        return answer

    async def purge_archived(self, op: Op, upto: int) -> int:
        """What a purge of all leaves in the archive, at once; returns how many letters that were.

        Those that are on their way between Redis and the archive are waited for.
        """
        if not await self.archived_top():
            return 0
        await self.dead_counted(0, op=op)
        async with self._pool() as pool:
            trash, taken = ArchiveTrash(pool, self.namespace, self.name), 0
            for _ in range(WAITS):
                took = await trash.take_all(op.id, op.expires_ms, upto)
                await self.dead_counted(-took)
                taken += took
                if not await self._between(upto):
                    break
                await asyncio.sleep(WAIT_S)
        return taken

    async def _between(self, upto: int) -> bool:
        """Whether a letter up to there is in the archive, though it can't be taken just now."""
        async with self._archive() as archive:
            return bool(await archive.walk([Stretch(self.name, below=upto + 1)], 1))

    async def restore(self, op_id: str, limit: int = BATCH) -> Restored:
        """One step of an undo: first what is in Redis, then what is archived."""
        step = await super().restore(op_id, limit)
        if step.more or not await self.dead_trashed(op_id):
            return step
        async with self._pool() as pool:
            back, top = await ArchiveTrash(pool, self.namespace, self.name).give_back(op_id)
        await self.dead_counted(back, top)
        await self.undo_counted(op_id, back)
        return Restored(step.back + back, step.left, False, step.all_back + back, step.all_left, step.at_work)

    async def op_size(self, op_id: str) -> int:
        """How many are in the operation's trash."""
        count = await super().op_size(op_id)
        if not await self.dead_trashed(op_id):
            return count
        async with self._pool() as pool:
            return count + await ArchiveTrash(pool, self.namespace, self.name).size(op_id)

    async def _act(self, act: Callable[[Sequence[Pair]], Awaitable[list[bool]]], pairs: Sequence[Pair]) -> list[bool]:
        """Act on letters; once more on those that are on their way between Redis and the archive, when they are there.

        What a crash has left between is not waited for: engines take care of it.
        """
        done, rest = dict.fromkeys(pairs, False), list(pairs)
        for _ in range(WAITS):
            done |= zip(rest, await act(rest), strict=True)
            rest = list(await self.kept([pair for pair in rest if not done[pair]]))
            if not rest:
                break
            await asyncio.sleep(WAIT_S)
        return [done[pair] for pair in pairs]

    async def _bring(self, pairs: Sequence[Pair]) -> list[Pair]:
        """From the archive into Redis; which of them came."""
        if not pairs or not await self.archived_top():
            return []
        back: list[Pair] = []
        async with self._pool() as pool:
            spill = Spill(pool, self.namespace, self, self._server_ms)
            for part in chunks(pairs):
                back += [pair for pair, came in zip(part, await spill.back(part), strict=True) if came]
        return back

    async def _server_ms(self) -> int:
        seconds, micros = await self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000


def _either(pairs: Sequence[Pair], done: Sequence[bool], others: Sequence[Pair], did: Sequence[bool]) -> list[bool]:
    """Whether each was done, at once or as one of the others."""
    later = {pair for pair, it_did in zip(others, did, strict=True) if it_did}
    return [was or pair in later for pair, was in zip(pairs, done, strict=True)]


class Reader:
    """Reads stored letters of a queue, as many at once as their size allows."""

    def __init__(self, queue: WholeQueue, hot: RecordReader) -> None:
        self._queue = queue
        self._hot = hot

    async def read(self, pairs: Sequence[Pair]) -> list[bytes | None]:
        """Header line and envelope of each; None where it is gone."""
        found = await self._hot.read(pairs)
        missing = [pair for pair, record in zip(pairs, found, strict=True) if record is None]
        if not missing:
            return found
        kept = await self._queue.kept(missing)
        return [r if r is not None or p not in kept else kept[p].record for p, r in zip(pairs, found, strict=True)]


async def read_spilled(client: Any, prefixes: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Of the queues that have letters in the archive: how many, and the highest sequence that went there."""
    pipe = client.pipeline(transaction=False)
    for prefix in prefixes.values():
        pipe.hmget(f"{prefix}dead:spilled", "count", "top")
    answers: list[Any] = await pipe.execute() if prefixes else []
    return {name: (int(n), int(top)) for name, (n, top) in zip(prefixes, answers, strict=True) if n}


async def add_archived(
    archive: Archive, queues: Sequence[WholeQueue], hot: Sequence[DeadGroup], limit: int
) -> tuple[list[DeadGroup], int]:
    """(groups with what of them is archived, the largest first; how many there are in the archive only)."""
    by_name = {queue.name: queue for queue in queues}
    merged = {(g.queue, g.group): g for g in hot}
    cold = await archive.groups(list(by_name))
    in_redis = {
        (queue.name, group): n
        for queue in queues
        for group, n in (await queue.hot_counts([g.group for g in cold if g.queue == queue.name])).items()
    }
    cold.sort(key=lambda g: -(g.count + in_redis[g.queue, g.group]))
    wanted = [g for n, g in enumerate(cold) if n < limit or (g.queue, g.group) in merged]
    ends = await archive.ends([(g.queue, g.group) for g in wanted])
    for each in wanted:
        key = each.queue, each.group
        if key not in ends:
            continue
        oldest, newest = (as_letter(end) for end in ends[key])
        known = merged.get(key)
        if in_redis[key] and (known is None or newest.sequence > known.oldest):
            hottest = await by_name[each.queue].newest_of(each.group)  # which of them is the newest is not clear
            newest = max(newest, hottest or newest, key=_sequence)
            known = None if known is None else replace(known, error=newest.error)
        first, last = sorted((oldest.failed_at, newest.failed_at))
        if known:
            merged[key] = replace(
                known, count=known.count + each.count, first_failed_at=min(first, known.first_failed_at),
                last_failed_at=max(last, known.last_failed_at), oldest=min(oldest.sequence, known.oldest),
            )  # fmt: skip
        else:
            merged[key] = DeadGroup(
                each.group, each.queue, each.job, each.error_class, newest.error, each.count + in_redis[key], first,
                last, oldest.sequence,
            )  # fmt: skip
    groups = sorted(merged.values(), key=lambda g: (-g.count, g.queue, g.group))[:limit]
    return groups, sum(not n for n in in_redis.values())


def _sequence(letter: DeadLetter) -> int:
    return letter.sequence
