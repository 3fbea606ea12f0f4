"""Dead letters of a native queue: pages by sequence, groups by error fingerprint, counts."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from backends.model import DeadGroup, DeadLetter, Page
from backends.queues.base import BATCH, Pair
from backends.queues.dead_heads import dead_groups
from backends.queues.dead_index import ask_count, ask_page, letter_from, read_pairs, record_key

KINDS_STEP = 1_000
"""So many groups a read, where all are read."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the letters of a group have in common."""

    job: str
    error_class: str


_kind = msgspec.json.Decoder(Kind)


class DeadLetters:
    """The part of a queue that reads its dead letters."""

    name: str
    prefix: str
    _redis: Any  # redis.asyncio.Redis: its stubs do not know that answers are bytes here

    async def dead_page(
        self, limit: int, before: int | None = None, group: str = "", *, after: int | None = None
    ) -> Page[DeadLetter]:
        """Newest first, below `before`; with `after` the page next above it. Both are strict.

        The cursor is the sequence to go on from in the same direction, None at the end. `total`: of all pages.
        """
        pipe = self._redis.pipeline(transaction=False)
        ask_page(pipe, self.prefix, group, limit, before, after)
        ask_count(pipe, self.prefix, group)
        answer, total = await pipe.execute()
        pairs = read_pairs(answer, group)
        cursor = str(pairs[-1][1]) if len(pairs) == limit else None
        letters = await self._load(pairs if after is None else pairs[::-1])
        return Page(tuple([letter for letter in letters if letter]), cursor, int(total))

    async def dead_pairs(self, limit: int, after: int, upto: int, groups: Sequence[str] = ()) -> list[Pair]:
        """Up to `limit` letters with after < sequence <= upto, oldest first; of these groups, if any are given."""
        pipe = self._redis.pipeline(transaction=False)
        asked = list(dict.fromkeys(groups)) or [""]
        for group in asked:
            ask_page(pipe, self.prefix, group, limit, upto + 1, after)
        answers = await pipe.execute()
        lists = [read_pairs(answer, group) for group, answer in zip(asked, answers, strict=True)]
        return list(heapq.merge(*lists, key=_by_sequence))[:limit]

    async def dead_records(self, pairs: Sequence[Pair]) -> list[DeadLetter | None]:
        """Letters with their envelopes; None for a pair that is not dead any more."""
        found: list[DeadLetter | None] = []
        for n in range(0, len(pairs), BATCH):
            part = pairs[n : n + BATCH]
            scores = await self._redis.zmscore(f"{self.prefix}dead", [run for run, _ in part])
            letters = await self._load(part)
            found += [
                letter if score == sequence else None
                for (_, sequence), score, letter in zip(part, scores, letters, strict=True)
            ]
        return found

    async def dead_count(self, upto: int | None = None, since: int = 0, groups: Sequence[str] = ()) -> int:
        """How many letters there are with since <= sequence <= upto, of these groups, if any are given."""
        pipe = self._redis.pipeline(transaction=False)
        for group in dict.fromkeys(groups) or ("",):
            ask_count(pipe, self.prefix, group, None if upto is None else upto + 1, since - 1 if since else None)
        return sum(await pipe.execute())

    async def dead_top(self) -> int:
        """The highest sequence of a dead letter, 0 where there is none."""
        found = await self._redis.zrange(f"{self.prefix}dead", 0, 0, desc=True, withscores=True)
        return int(found[0][1]) if found else 0

    async def dead_get(self, run_id: str) -> DeadLetter | None:
        """One dead letter, or None."""
        sequence = await self._redis.zscore(f"{self.prefix}dead", run_id)
        return None if sequence is None else (await self._load([(run_id, int(sequence))]))[0]

    async def dead_groups(self, limit: int = 100) -> list[DeadGroup]:
        """The largest groups first; the newest letter of each stands for it."""
        return (await dead_groups(self._redis, {self.name: self.prefix}, limit))[0]

    async def dead_kinds(self) -> dict[str, Kind]:
        """Every group there is, with what its letters have in common."""
        kinds: dict[str, Kind] = {}
        cursor = 0
        while True:
            cursor, some = await self._redis.hscan(f"{self.prefix}dead:kinds", cursor, count=KINDS_STEP)
            kinds |= {group.decode(): _read_kind(value) for group, value in some.items()}
            if cursor == 0:
                return kinds

    async def _load(self, pairs: Sequence[Pair]) -> list[DeadLetter | None]:
        """The letters of these pairs, whether dead or taken away; None where the record is gone."""
        if not pairs:
            return []
        packed = await self._redis.mget([record_key(self.prefix, sequence) for _, sequence in pairs])
        letters: list[DeadLetter | None] = []
        for (run, sequence), text in zip(pairs, packed, strict=True):
            head, _, envelope = (text or b"").partition(b"\n")
            letters.append(letter_from(run, self.name, sequence, head, envelope) if text else None)
        return letters


def _read_kind(value: bytes) -> Kind:
    try:
        return _kind.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # a job's name may be any bytes
        return Kind("?", "?")


def _by_sequence(pair: Pair) -> int:
    return pair[1]
