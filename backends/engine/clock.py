"""One clock for all engines: Redis's. The host's own is used while it agrees with that one."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from backends.model import now_ms

AGREES_MS = 1_000
"""Hosts kept by NTP are milliseconds apart; a larger difference is a wrong clock."""
SLOWEST_S = 0.5
"""An answer that took longer says too little about the moment it was made."""

log = logging.getLogger("cronsole.clock")


class ServerClock:
    """Milliseconds since the epoch, by the host's clock, put right where that is wrong by more than a second.

    Scheduled fires and retries of engines with differing clocks then mean the same instant.
    """

    def __init__(self, server_ms: Callable[[], Awaitable[int]], host_ms: Callable[[], int] = now_ms) -> None:
        """`server_ms` asks the server for its time."""
        self._server_ms = server_ms
        self._host_ms = host_ms
        self.offset_ms = 0

    def __call__(self) -> int:
        return self._host_ms() + self.offset_ms

    async def probe(self) -> None:
        """Compare with the server; an unreachable one is the caller's error to handle."""
        began, host = monotonic(), self._host_ms()
        server = await self._server_ms()
        took = monotonic() - began
        if took > SLOWEST_S:
            return
        offset = round(server - host - took * 500)
        if abs(offset) <= AGREES_MS:
            offset = 0
        if abs(offset - self.offset_ms) > AGREES_MS:
            if offset:
                log.warning(
                    "this host's clock is %.1f s %s Redis's; Redis's is used: check NTP on both",
                    abs(offset) / 1000, "behind" if offset > 0 else "ahead of",
                    extra={"action": "clock_differs", "offset_ms": offset},
                )  # fmt: skip
            else:
                log.info("this host's clock agrees with Redis's again", extra={"action": "clock_agrees"})
        self.offset_ms = offset
