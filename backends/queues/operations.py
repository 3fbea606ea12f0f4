"""Operations that can be taken back: their undo in steps, and forgetting them when their time is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backends.queues.base import STEP, NewRun, Op, Restored, chunks
from backends.queues.scripts import Arg, script


class Operations:
    """The part of a queue that keeps what operators did."""

    prefix: str
    _redis: Any

    async def note_entered(self, op: Op, run_ids: Sequence[str]) -> bool:
        """Runs that have entered, in that order, are the operation's."""
        noted = True
        for part in chunks(run_ids):
            args: list[Arg] = [op.id, op.by, op.expires_ms, *part]
            noted = bool(await script("note_entered")(self._redis, [self.prefix], args)) and noted
        return noted

    async def restore(self, op_id: str, limit: int = STEP) -> Restored:
        """One step of an undo; an operation that is not known, or is undone, gives nothing back."""
        return await self._restore(op_id, limit, "1")

    async def go_on(self, op_id: str) -> Restored:
        """One step of an undo that somebody has begun, or of what a purge of all has to put back."""
        return await self._restore(op_id, STEP, "")

    async def _restore(self, op_id: str, limit: int, begin: str) -> Restored:
        args: list[Arg] = [op_id, min(limit, STEP), begin]
        back, left, more, *sums = await script("restore")(self._redis, [self.prefix], args)
        return Restored(back, left, bool(more), *sums)

    async def undo_counted(self, op_id: str, back: int) -> None:
        """An undo has brought so many back elsewhere: they are in its sums, while the queue knows the operation."""
        if back and await self._redis.zscore(f"{self.prefix}ops", op_id) is not None:
            await self._redis.hincrby(f"{self.prefix}ops:told", op_id, back)

    async def op_size(self, op_id: str) -> int:
        """How many are in the operation's trash."""
        return int(await self._redis.zcard(f"{self.prefix}trash:{op_id}"))

    async def sweep(self, now_ms: int) -> int:
        """One step; undos that have begun go first."""
        for op_id in await self._redis.hkeys(f"{self.prefix}ops:restoring"):
            done = await self.go_on(op_id.decode())
            return max(1, done.back + done.left)
        return int(await script("sweep")(self._redis, [self.prefix], [now_ms, 2 * STEP]))


async def keepers(client: Any, prefixes: Mapping[str, str], op_id: str) -> list[str]:
    """The queues (of name → key prefix) that keep something of an operation, there or in the archive."""
    pipe = client.pipeline(transaction=False)
    for prefix in prefixes.values():
        pipe.exists(f"{prefix}trash:{op_id}")
        pipe.zscore(f"{prefix}dead:trashed", op_id)
    answers: list[Any] = await pipe.execute() if prefixes else []
    there = zip(prefixes, answers[::2], answers[1::2], strict=True)
    return [name for name, trash, archived in there if trash or archived is not None]


def run_args(runs: Sequence[NewRun]) -> list[Arg]:
    """What the scripts that let runs enter take, 9 values a run; each as its first attempt."""
    args: list[Arg] = []
    for r in runs:
        args += (r.run_id, r.priority, r.job, r.due_ms, r.slot, r.slots, r.on_full.value, r.envelope, 1)
    return args
