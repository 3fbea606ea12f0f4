"""Dead letters of a native queue: pages by sequence, groups by error fingerprint, retry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from backends.model import DeadGroup, DeadLetter, Page, from_ms
from backends.queues.base import BATCH
from backends.queues.scripts import script


class DeadHeader(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is known of a dead letter, besides its envelope. Stored as one line of JSON before the envelope's bytes."""

    job: str
    attempts: int
    error_class: str
    error: str
    failed_ms: int
    group: str
    priority: int = 1
    slot: str = ""
    worker: str = ""


_header = msgspec.json.Decoder(DeadHeader)


class DeadLetters:
    """The part of a queue that deals with its dead letters."""

    name: str
    prefix: str
    _redis: Any  # redis.asyncio.Redis: its stubs do not know that answers are bytes here

    async def dead_page(self, limit: int, before: int | None = None, group: str = "") -> Page[DeadLetter]:
        """Newest first, with a sequence strictly below `before`."""
        index = f"{self.prefix}dead:{group}" if group else f"{self.prefix}dead"
        top = "+inf" if before is None else f"({before}"
        found: list[tuple[bytes, float]] = await self._redis.zrange(
            index, top, "-inf", desc=True, byscore=True, offset=0, num=limit, withscores=True
        )
        letters = await self._load(found)
        cursor = str(int(found[-1][1])) if len(found) == limit else None
        return Page(tuple(letters), cursor, int(await self._redis.zcard(index)))

    async def dead_get(self, run_id: str) -> DeadLetter | None:
        """One dead letter, or None."""
        score = await self._redis.zscore(f"{self.prefix}dead", run_id)
        if score is None:
            return None
        return next(iter(await self._load([(run_id.encode(), score)])), None)

    async def dead_groups(self, limit: int = 100) -> list[DeadGroup]:
        """The largest groups first; the newest letter of each stands for it."""
        counts = {g.decode(): int(n) for g, n in (await self._redis.hgetall(f"{self.prefix}dead:groups")).items()}
        largest = sorted(counts, key=lambda g: -counts[g])[:limit]
        pipe = self._redis.pipeline(transaction=False)
        for group in largest:
            pipe.zrange(f"{self.prefix}dead:{group}", 0, 0, withscores=True)
            pipe.zrange(f"{self.prefix}dead:{group}", 0, 0, desc=True, withscores=True)
        ends: list[Any] = await pipe.execute() if largest else []
        groups = []
        for n, group in enumerate(largest):
            oldest, newest = ends[2 * n], ends[2 * n + 1]
            letters = await self._load(newest)
            if not letters:  # the group was emptied meanwhile
                continue
            groups.append(
                DeadGroup(
                    group, self.name, letters[0].job, letters[0].error_class, letters[0].error, counts[group],
                    from_ms(oldest[0][1] / 1000), letters[0].failed_at,
                )
            )  # fmt: skip
        return groups

    async def dead_retry(self, run_ids: Sequence[str]) -> list[bool]:
        """Back into ready; False where the letter is no longer there."""
        done: list[bool] = []
        for n in range(0, len(run_ids), BATCH):
            answers = await script("dead_retry")(self._redis, [self.prefix], list(run_ids[n : n + BATCH]))
            done += [bool(a) for a in answers]
        return done

    async def _load(self, found: Sequence[tuple[bytes, float]]) -> list[DeadLetter]:
        if not found:
            return []
        packed = await self._redis.mget([f"{self.prefix}dead:{run.decode()}" for run, _ in found])
        letters = []
        for (run, score), text in zip(found, packed, strict=True):
            if text is None:  # retried between the two reads
                continue
            head, _, envelope = text.partition(b"\n")
            letters.append(letter_from(run.decode(), self.name, int(score), head, envelope))
        return letters


def letter_from(run_id: str, queue: str, sequence: int, head: bytes, envelope: bytes = b"") -> DeadLetter:
    """A dead letter from what is stored of it."""
    h = _header.decode(head)
    return DeadLetter(
        run_id, queue, h.job, h.attempts, h.error, h.error_class, from_ms(h.failed_ms), h.group, sequence, envelope,
        h.worker,
    )  # fmt: skip
