"""What an operator does to dead letters: retry, edit and replay, purge. Each act checks the pair in its script."""

from __future__ import annotations

from collections.abc import Sequence

from backends.queues.base import BATCH, NewRun, Op, Pair, chunks
from backends.queues.dead import DeadLetters
from backends.queues.operations import Operations
from backends.queues.scripts import Arg, script


class DeadActs(DeadLetters, Operations):
    """The part of a queue that changes its dead letters."""

    async def dead_retry(self, op: Op, pairs: Sequence[Pair], due_ms: Sequence[int] = ()) -> list[bool]:
        """Back into the queue, each when it is due; False where the pair is not dead any more."""
        done: list[bool] = []
        dues = due_ms or [0] * len(pairs)
        for part in chunks(list(zip(pairs, dues, strict=True))):
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
        for part in chunks(pairs):
            args: list[Arg] = [op.id, op.by, op.expires_ms]
            for pair in part:
                args += pair
            done += [bool(a) for a in await script("dead_purge")(self._redis, [self.prefix], args)]
        return done

    async def dead_purge_all(self, op: Op, upto: int) -> int:
        """All up to a sequence, at once; how many are in the trash of the operation. To ask again changes nothing."""
        args: list[Arg] = [op.id, op.by, op.expires_ms, upto, BATCH]
        more = await script("dead_purge_all")(self._redis, [self.prefix], args)
        while more:
            more = (await self.go_on(op.id)).more
        return await self.op_size(op.id)
