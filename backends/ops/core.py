"""`Ops`: the reads, and every action. An action is refused in a read-only context and leaves a line in the audit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from msgspec.structs import replace

from backends.connect import Servers, Settings
from backends.ops.audit import AuditReads
from backends.ops.bulk import BulkActs
from backends.ops.edit import EditActs
from backends.ops.jobs import JobReads
from backends.ops.queueing import QueueingReads
from backends.ops.timeline import TimelineReads
from backends.ops.undo import UndoActs
from backends.ops.why import WhyReads


class Ops(AuditReads, BulkActs, EditActs, UndoActs, WhyReads, QueueingReads, JobReads, TimelineReads):
    """Everything an operator can see and do in one context."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, *, role: str = "cli", need_redis: bool = True, need_postgres: bool = False,
        read_only: bool = False,
    ) -> AsyncIterator[Self]:  # fmt: skip
        """Connect. What is not needed yet is asked for, and checked, when it is: Redis by the first `overview`.

        With `read_only`, or where the settings say so, every action is refused.
        """
        settings = replace(settings, read_only=settings.read_only or read_only)
        async with await Servers.open(
            settings, role=role, need_redis=need_redis, need_postgres=need_postgres
        ) as servers:
            yield cls(servers, context_name=settings.context or settings.namespace)
