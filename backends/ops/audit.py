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


class AuditReads(Reads):
    """The audit."""

    async def actions(self, limit: int = 100, cursor: str | None = None) -> Page[Action]:
        """A page of the audit. Raises BadInputError for a cursor that is none."""
        if cursor and not (cursor.isdecimal() and len(cursor) <= 18):
            raise BadInputError(f"{cursor[:60]!r} is not a cursor", "take `next_cursor` of the page before")
        async with self.history() as history:
            rows = await history.actions(limit, int(cursor) if cursor else None)
        items = tuple(Action(*row) for row in rows)
        return Page(items, str(items[-1].id) if len(items) == limit else None)
