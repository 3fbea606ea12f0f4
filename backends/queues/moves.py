"""Runs that go from one queue to another. Queues share no script, so it is three steps, each of them idempotent.

`move_out`: the run is in `moving` and in no other place of its queue. `move_in`: it enters the other queue, only once.
`move_done`: its queue forgets it. If whoever moves it dies in between, `carry` goes on, by whomever it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.queues.base import BATCH, STEP, chunks
from backends.queues.scripts import Arg, script


@dataclass(frozen=True, slots=True)
class Moving:
    """A run on its way to the queue `target`. `left_us`: when it left, in microseconds; `packed` is opaque."""

    run_id: str
    target: str
    left_us: int
    packed: bytes


class Moves:
    """The part of a queue that lets runs go and come."""

    name: str
    prefix: str
    _redis: Any

    async def move_out(self, run_ids: Sequence[str], target: str) -> list[str]:
        """Runs that have not started leave: 'ok', 'running', 'unknown' or 'together' for each.

        Together: runs that take turns for a slot leave in one call or not at all, at most BATCH of them: a slot is one
        queue's, so those that leave would overlap those that stay.
        """
        words: dict[str, str] = {}
        for size in (STEP, BATCH):
            asked = [run for run in run_ids if words.get(run, "together") == "together"]
            for part in chunks(asked, size) if size == STEP or len(run_ids) > STEP else ():
                answers = await script("move_out")(self._redis, [self.prefix], [target, *part])
                words |= {run: word.decode() for run, word in zip(part, answers, strict=True)}
        return [words[run] for run in run_ids]

    async def moving(self, run_ids: Sequence[str] = ()) -> list[Moving]:
        """These runs, as far as they are on their way, or some of all that are."""
        if run_ids:
            values = await self._redis.hmget(f"{self.prefix}moving", *run_ids)
            found = {run: value for run, value in zip(run_ids, values, strict=True) if value}
        else:
            _, some = await self._redis.hscan(f"{self.prefix}moving", 0, count=BATCH)
            found = {run.decode(): value for run, value in some.items()}
        return [_moving(run, value) for run, value in found.items()]

    async def move_in(self, moving: Sequence[Moving]) -> list[str]:
        """Runs arrive: 'ok', also where they have arrived before, or 'duplicate' where there is such a run here."""
        words: list[bytes] = []
        for part in chunks(moving, STEP):
            args: list[Arg] = []
            for m in part:
                args += (m.run_id, m.left_us, m.packed)
            words += await script("move_in")(self._redis, [self.prefix], args)
        return [word.decode() for word in words]

    async def move_done(self, moving: Sequence[Moving]) -> int:
        """Forget runs that the other queue has."""
        return await self._let_go("gone", moving)

    async def move_back(self, moving: Sequence[Moving]) -> int:
        """Take runs back that the other queue has not: behind those that wait here."""
        return await self._let_go("back", moving)

    async def _let_go(self, how: str, moving: Sequence[Moving]) -> int:
        count = 0
        for part in chunks(moving, STEP):
            args: list[Arg] = [how]
            for m in part:
                args += (m.run_id, m.left_us)
            count += int(await script("move_done")(self._redis, [self.prefix], args))
        return count


STALE_MS = 60_000
"""A run that is on its way for so long has been left alone by whoever moved it."""


async def carry(source: Moves, queue: Callable[[str], Moves], moving: Sequence[Moving]) -> dict[str, bool]:
    """Bring runs that have left `source` to their queues: run id → whether it is there. `queue`: the queue of a name.

    One that the other queue will not have, because it has a run of that id, is back in `source`.
    """
    there: dict[str, bool] = {}
    for target in dict.fromkeys(m.target for m in moving):
        those = [m for m in moving if m.target == target]
        words = await queue(target).move_in(those)
        for m, word in zip(those, words, strict=True):
            there[m.run_id] = word == "ok"
    await source.move_done([m for m in moving if there[m.run_id]])
    await source.move_back([m for m in moving if not there[m.run_id]])
    return there


def _moving(run_id: str, value: bytes) -> Moving:
    head, _, packed = value.partition(b"\n")
    left, _, target = head.decode().partition(" ")
    return Moving(run_id, target, int(left), packed)
