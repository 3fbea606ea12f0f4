"""Who did what: the actions of operators, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from backends.errors import BadInputError
from backends.model import Page
from backends.ops.reads import Reads


class Action(msgspec.Struct, frozen=True):
    """One action: who, what, on what, how many were meant and how many were changed."""

    id: int
    at: datetime
    who: str
    verb: str
    target: Mapping[str, Any]
    matched: int
    changed: int
    receipt: str | None = None
    note: str = ""

    @property
    def cursor(self) -> str:
        """Where the audit goes on from here, in either direction."""
        return str(self.id)


class AuditReads(Reads):
    """The audit."""

    async def actions(self, limit: int = 100, cursor: str | None = None, *, oldest: bool = False) -> Page[Action]:
        """A page of the audit, newest first. Raises BadInputError for a cursor that is none.

        `oldest`: the last page; its cursor, and that of each such page, leads to the one above.
        """
        if cursor and not (cursor.isdecimal() and len(cursor) <= 18):
            raise BadInputError(f"{cursor[:60]!r} is not a cursor", "take `next_cursor` of the page before")
        async with self.history() as history:
            rows = await history.actions(limit, int(cursor) if cursor else None, oldest=oldest)
        items = tuple(Action(*row) for row in rows)
        return Page(items, items[0 if oldest else -1].cursor if len(items) == limit else None)
