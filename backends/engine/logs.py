"""Live output of runs: a capped stream a run, gone a day later. The tail that lasts goes into history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

FLUSH_S = 0.25
KEPT_CHUNKS = 500
CHUNK = 16_384
LIFE_S = 86_400


class _Buffer:
    """What an attempt has written since the last flush; its newest CHUNK bytes."""

    __slots__ = ("attempt", "data", "key", "left_out")

    def __init__(self, key: str, attempt: int) -> None:
        self.key, self.attempt = key, attempt
        self.data = bytearray()
        self.left_out = 0


class LiveLogs:
    """Collects output and writes it a few times a second. Losing some of it never disturbs a run.

    An entry has the fields `d` output, `a` attempt, and `s` bytes left out before it, where there were some.
    """

    def __init__(self, client: Any, place_of: Callable[[str], tuple[str, int] | None]) -> None:
        """`place_of`: run id → (key prefix of its queue, attempt), or None when it is no longer in hand."""
        self._redis = client
        self._place_of = place_of
        self._buffers: dict[tuple[str, int], _Buffer] = {}
        self._some = asyncio.Event()

    def write(self, run_id: str, chunk: bytes) -> None:
        """Output of a run that is in hand; only the newest CHUNK bytes between two flushes are kept."""
        place = self._place_of(run_id)
        if place is None:
            return
        prefix, attempt = place
        buffer = self._buffers.get((run_id, attempt))
        if buffer is None:
            buffer = self._buffers[run_id, attempt] = _Buffer(f"{prefix}log:{run_id}", attempt)
        buffer.data += chunk
        surplus = len(buffer.data) - CHUNK
        if surplus > 0:
            del buffer.data[:surplus]
            buffer.left_out += surplus
        self._some.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Flush a few times a second until `stop`, and once more then."""
        stopping = asyncio.ensure_future(stop.wait())
        while not stop.is_set():
            some = asyncio.ensure_future(self._some.wait())
            await asyncio.wait({some, stopping}, return_when=asyncio.FIRST_COMPLETED)
            some.cancel()
            await asyncio.wait({stopping}, timeout=FLUSH_S)
            await self._flush()

    async def _flush(self) -> None:
        self._some.clear()
        buffers, self._buffers = self._buffers, {}
        pipe = self._redis.pipeline(transaction=False)
        for buffer in buffers.values():
            fields: dict[str, bytes | int] = {"d": bytes(buffer.data), "a": buffer.attempt}
            if buffer.left_out:
                fields["s"] = buffer.left_out
            pipe.xadd(buffer.key, fields, maxlen=KEPT_CHUNKS, approximate=True)
            pipe.expire(buffer.key, LIFE_S)
        try:
            await pipe.execute()
        except Exception:  # noqa: S110 - live output is a courtesy
            pass
