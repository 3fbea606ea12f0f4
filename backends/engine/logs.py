"""Live output of runs: a capped stream a run, gone a day later. The tail that lasts goes into history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

FLUSH_S = 0.25
KEPT_CHUNKS = 500
CHUNK = 16_384
LIFE_S = 86_400


class LiveLogs:
    """Collects output and writes it a few times a second. Losing some of it never disturbs a run."""

    def __init__(self, client: Any, prefix_of: Callable[[str], str | None]) -> None:
        """`prefix_of`: run id → key prefix of its queue, or None when it is no longer in hand."""
        self._redis = client
        self._prefix_of = prefix_of
        self._buffers: dict[str, bytearray] = {}
        self._some = asyncio.Event()

    def write(self, run_id: str, chunk: bytes) -> None:
        """Output of a run; only the newest CHUNK bytes between two flushes are kept."""
        buffer = self._buffers.setdefault(run_id, bytearray())
        buffer += chunk
        if len(buffer) > CHUNK:
            del buffer[: len(buffer) - CHUNK]
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
        for run_id, data in buffers.items():
            prefix = self._prefix_of(run_id)
            if prefix is not None:
                key = f"{prefix}log:{run_id}"
                pipe.xadd(key, {"d": bytes(data)}, maxlen=KEPT_CHUNKS, approximate=True)
                pipe.expire(key, LIFE_S)
        try:
            await pipe.execute()
        except Exception:  # noqa: S110 - live output is a courtesy
            pass
