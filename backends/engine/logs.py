"""Live output of runs: a capped stream a run, gone a day later. The tail that lasts goes into history."""

from __future__ import annotations

import asyncio
from typing import Any

FLUSH_S = 0.25
KEPT_CHUNKS = 500
CHUNK = 16_384
LIFE_S = 86_400


class LiveLogs:
    """Collects output and writes it a few times a second. Losing some of it never disturbs a run."""

    def __init__(self, client: Any, prefix_of: Any) -> None:
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

    async def run(self) -> None:
        """Flush until cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(FLUSH_S)
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
