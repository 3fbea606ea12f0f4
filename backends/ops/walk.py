"""Walks over selected dead letters: in steps from the oldest, to act on them; letter by letter, to list them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from backends.model import DeadLetter
from backends.ops.archived import WholeQueue
from backends.ops.letters import Part, Place
from backends.ops.matching import picked
from backends.queues.base import Pair
from backends.queues.dead_index import letter_from
from backends.queues.dead_walk import READ_MOST

STEP = 100
"""Letters a call that acts on them: a retry of so many keeps the server for less than 10 ms."""


@dataclass(frozen=True, slots=True)
class Step:
    """Some letters of a queue that are meant, at most STEP, and how many were looked at to find them."""

    queue: WholeQueue
    pairs: Sequence[Pair]
    scanned: int


async def steps(found: Sequence[Part]) -> AsyncIterator[Step]:
    """What is meant, queue by queue, the oldest first."""
    for part in found:
        reader = part.queue.reader()
        after = part.after
        while True:
            pairs = await part.queue.pairs_between(READ_MOST, after, part.upto + 1, part.groups)
            if not pairs:
                break
            after = pairs[-1][1]
            wanted: Sequence[Pair] = pairs
            if part.test:
                wanted = picked(part.test, pairs, await reader.read(pairs))
            for n in range(0, max(1, len(wanted)), STEP):
                some = wanted[n : n + STEP]
                looked = len(some) if part.test is None else len(pairs) if n == 0 else 0
                yield Step(part.queue, some, looked)
            if len(pairs) < READ_MOST:
                break


async def listed(found: Sequence[Part], start: Place | None, limit: int, *, newer: bool = False) -> list[DeadLetter]:
    """Up to `limit` letters of all queues as one list, newest first: those below `start`, or those next above it."""
    heads: list[tuple[DeadLetter, AsyncIterator[DeadLetter]]] = []
    for part in found:
        source = _letters(part, start, min(limit, READ_MOST), newer=newer)
        if first := await anext(source, None):
            heads.append((first, source))
    letters: list[DeadLetter] = []
    while heads and len(letters) < limit:
        heads.sort(key=lambda head: (-head[0].sequence, head[0].queue), reverse=newer)
        letter, source = heads.pop(0)
        letters.append(letter)
        if following := await anext(source, None):
            heads.append((following, source))
    return letters[::-1] if newer else letters


async def _letters(part: Part, start: Place | None, size: int, *, newer: bool) -> AsyncIterator[DeadLetter]:
    queue, reader = part.queue, part.queue.reader()
    after, before = part.after, part.upto + 1
    if start and newer:
        after = max(after, start.after(queue.name))
    elif start:
        before = min(before, start.before(queue.name))
    while True:
        pairs = await queue.pairs_between(size, after, before, part.groups, newest=not newer)
        for (run, sequence), record in zip(pairs, await reader.read(pairs), strict=True):
            if record is not None and (part.test is None or part.test.record(run, record)):
                head, _, envelope = record.partition(b"\n")
                yield letter_from(run, queue.name, sequence, head, envelope)
        if len(pairs) < size:
            return
        after, before = (pairs[-1][1], before) if newer else (after, pairs[-1][1])
        size = READ_MOST if part.test else size
