"""How many runs go before one that is ready."""

from __future__ import annotations

from typing import Any

from backends.queues.scripts import script
from backends.queues.streams import PLACES

AHEAD_MOST = 100
"""More are not counted."""


async def ahead_of(client: Any, prefix: str, run_id: str) -> int | None:
    """Runs of the queue that are handed out before this one, at most AHEAD_MOST; None where it is not ready."""
    where = (await client.hget(f"{prefix}live", run_id) or b"").decode()
    if not where.startswith("r"):
        return None
    place, _, entry = where[1:].partition(":")
    before = PLACES[: PLACES.index(place)] if place in PLACES else ()
    return int(await script("ahead")(client, [prefix], [place, entry, *before, AHEAD_MOST]))


async def held_by(client: Any, prefix: str, slot: str) -> tuple[str, int] | None:
    """(the run that has held a slot longest, since when in milliseconds); None where nobody does."""
    found = await client.zrange(f"{prefix}slot:{slot}", 0, 0, withscores=True)
    return (found[0][0].decode(), int(found[0][1]) // 1000) if found else None
