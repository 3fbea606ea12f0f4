"""Notices that the machine slept, or that this process was stopped, and went on."""

from __future__ import annotations

import asyncio
import time

TICK_S = 0.5
SLEPT_S = 3.0
"""So much later than asked a nap has to end to count as a sleep: a busy machine is late, too, but by less."""


async def woken() -> float:
    """Wait until there was a sleep; its length in seconds. By the wall clock: the other one stands still meanwhile."""
    while True:
        before = time.time()
        await asyncio.sleep(TICK_S)
        late = time.time() - before - TICK_S
        if late >= SLEPT_S:
            return late
