"""What an operator does to dead letters: retry, edit and replay, purge. Each act checks the pair in its script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.queues.base import BATCH, STEP, NewRun, Op, Pair, chunks
from backends.queues.dead import DeadLetters
from backends.queues.dead_index import record_key
from backends.queues.operations import Operations
from backends.queues.scripts import Arg, script


class DeadActs(DeadLetters, Operations):
    """The part of a queue that changes its dead letters."""

    async def dead_retry(self, op: Op, pairs: Sequence[Pair], due_ms: Sequence[int] = ()) -> list[bool]:
        """Back into the queue, each when it is due; False where the pair is not dead any more."""
        done: list[bool] = []
        dues = due_ms or [0] * len(pairs)
        for part in chunks(list(zip(pairs, dues, strict=True)), STEP):
            rest = part
            while rest:
                args: list[Arg] = [op.id, op.by, op.expires_ms]
                for (run_id, sequence), due in rest:
                    args += (run_id, sequence, due)
                answers = await script("dead_retry")(self._redis, [self.prefix], args)
                done += [bool(a) for a in answers]
                rest = rest[len(answers) :]
        return done

    async def dead_replace(self, op: Op, pair: Pair, run: NewRun) -> str:
        """A new run in place of a letter: 'ok', 'gone', 'changed', or 'duplicate' where there is such a run."""
        args: list[Arg] = [
            op.id, op.by, op.expires_ms, *pair, run.run_id, run.priority, run.job, run.due_ms, run.slot, run.slots,
            run.envelope,
        ]  # fmt: skip
        answer: bytes = await script("dead_replace")(self._redis, [self.prefix], args)
        return answer.decode()

    async def dead_purge(self, op: Op, pairs: Sequence[Pair]) -> list[bool]:
        """Into the trash of the operation; False where the pair is not dead any more."""
        done: list[bool] = []
        for part in chunks(pairs, 2 * STEP):
            args: list[Arg] = [op.id, op.by, op.expires_ms]
            for pair in part:
                args += pair
            done += [bool(a) for a in await script("dead_purge")(self._redis, [self.prefix], args)]
        return done

    async def dead_drop(self, pairs: Sequence[Pair], until_ms: int = 0, move: str = "") -> list[bool]:
        """Out of Redis, for they are in the archive; False where the pair is not dead any more.

        `until_ms`: by the server's clock, afterwards nothing is dropped (0: no end): so that whoever finds a move that
        nobody finished can take it back without being overtaken. `dead_moved` tells what happened; `move` is in it.
        """
        done: list[bool] = []
        for part in chunks(pairs, STEP):
            args: list[Arg] = [until_ms, move]
            for pair in part:
                args += pair
            done += [bool(a) for a in await script("dead_drop")(self._redis, [self.prefix], args)]
        return done

    async def dead_return(
        self, records: Sequence[tuple[str, int, bytes]], until_ms: int = 0, move: str = ""
    ) -> list[bool]:
        """Back from the archive: (run id, sequence, record as `dead_packed` gave it); the rest as in `dead_drop`.

        False where another move has brought it back, its run has come alive or died again, or the time is over.
        """
        done: list[bool] = []
        for part in chunks(records, STEP):
            args: list[Arg] = [until_ms, move]
            for record in part:
                args += record
            done += [bool(a) for a in await script("dead_return")(self._redis, [self.prefix], args)]
        return done

    async def dead_moved(self, sequences: Sequence[int]) -> list[str]:
        """Which way each letter last went: 'out <move>' (dropped), 'in <move>' (returned), '' where none is noted."""
        found: list[bytes | None] = []
        for part in chunks(sequences):
            found += await self._redis.hmget(f"{self.prefix}dead:moved", *part)
        return [(way or b"").decode() for way in found]

    async def dead_marks(self) -> dict[int, str]:
        """Some of the letters that `dead_moved` knows, or all."""
        _, some = await self._redis.hscan(f"{self.prefix}dead:moved", 0, count=BATCH)
        return {int(sequence): mark.decode() for sequence, mark in some.items()}

    async def dead_settled(self, marks: Mapping[int, str]) -> None:
        """The archive has noted which way these went: sequence → what `dead_moved` said."""
        for part in chunks(list(marks.items())):
            args: list[Arg] = [each for mark in part for each in mark]
            await script("dead_settled")(self._redis, [self.prefix], args)

    async def dead_spilled(self) -> tuple[int, int]:
        """(how many letters are in the archive, the highest sequence that ever went there); (0, 0) where none are."""
        count, top = await self._redis.hmget(f"{self.prefix}dead:spilled", "count", "top")
        return int(count or 0), int(top or 0)

    async def dead_counted(self, change: int, top: int = 0, op: Op | None = None) -> None:
        """The archive has gained or lost so many letters by an act of its own, or is about to, by the act of `op`."""
        args: list[Arg] = [change, top, op.id if op else "", op.expires_ms if op else 0]
        await script("dead_counted")(self._redis, [self.prefix], args)

    async def dead_trashed(self, op_id: str) -> bool:
        """Whether an operation may have taken letters away in the archive."""
        return await self._redis.zscore(f"{self.prefix}dead:trashed", op_id) is not None

    async def dead_packed(self, pairs: Sequence[Pair]) -> list[bytes | None]:
        """Records as they are kept: a header line of JSON, then the envelope; None for a pair that is not dead."""
        found: list[bytes | None] = []
        for part in chunks(pairs):
            scores = await self._redis.zmscore(f"{self.prefix}dead", [run for run, _ in part])
            packed = await self._redis.mget([record_key(self.prefix, sequence) for _, sequence in part])
            found += [
                text if score == sequence else None
                for (_, sequence), score, text in zip(part, scores, packed, strict=True)
            ]
        return found

    async def dead_purge_all(self, op: Op, upto: int) -> int:
        """All up to a sequence, at once; how many are in the trash of the operation. To ask again changes nothing."""
        args: list[Arg] = [op.id, op.by, op.expires_ms, upto, 2 * STEP]
        more = await script("dead_purge_all")(self._redis, [self.prefix], args)
        while more:
            more = (await self.go_on(op.id)).more
        return await self.op_size(op.id)
