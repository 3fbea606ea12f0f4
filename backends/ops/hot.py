"""A queue without its archive: what Redis alone can tell while Postgres is away."""

from __future__ import annotations

from backends.ops.archived import WholeQueue


class HotQueue(WholeQueue):
    """A queue whose archive is taken to be empty, and so is never asked."""

    async def archived_top(self) -> int:
        """Nothing is in there."""
        return 0
