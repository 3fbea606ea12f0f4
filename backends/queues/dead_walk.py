"""Walks through the dead letters of a queue, from the oldest or from the newest: pairs, and their stored bytes."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from backends.queues.base import Pair
from backends.queues.dead_index import ask_page, read_pairs, record_key

READ_BYTES = 4_000_000
"""So many bytes of letters a read, about."""
READ_MOST = 1_000


async def pairs_between(
    client: Any, prefix: str, limit: int, after: int, before: int, groups: Sequence[str] = (), *, newest: bool = False
) -> list[Pair]:
    """Up to `limit` letters with after < sequence < before, oldest first, or newest first; of these groups, if any."""
    pipe = client.pipeline(transaction=False)
    asked = list(dict.fromkeys(groups)) or [""]
    for group in asked:
        ask_page(pipe, prefix, group, limit, before, None if newest else after)
    answers = await pipe.execute()
    lists = [read_pairs(answer, group) for group, answer in zip(asked, answers, strict=True)]
    if not newest:
        return lists[0] if len(lists) == 1 else list(heapq.merge(*lists, key=_sequence))[:limit]
    merged = lists[0] if len(lists) == 1 else list(heapq.merge(*lists, key=_sequence, reverse=True))[:limit]
    return [pair for pair in merged if pair[1] > after]


class RecordReader:
    """Reads stored letters, as many at once as their size allows."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._redis = client
        self._prefix = prefix
        self._at_once = 50

    async def read(self, pairs: Sequence[Pair]) -> list[bytes | None]:
        """Header line and envelope of each; None where it is gone."""
        found: list[bytes | None] = []
        while len(found) < len(pairs):
            part = pairs[len(found) : len(found) + self._at_once]
            records = await self._redis.mget([record_key(self._prefix, sequence) for _, sequence in part])
            size = sum([len(record) for record in records if record]) // len(part)
            self._at_once = max(10, min(READ_MOST, READ_BYTES // max(1, size)))
            found += records
        return found


def _sequence(pair: Pair) -> int:
    return pair[1]
