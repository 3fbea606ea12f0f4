"""What one look at the whole system returns: the fast part from Redis, the slower part from Postgres. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from backends.model import (
    DeadLetter,
    EngineStatus,
    JobStatus,
    LastRun,
    LiveEvent,
    QueueStatus,
    RunRow,
    ServerHealth,
)

if TYPE_CHECKING:
    from backends.schedule import Schedule


class Overview(msgspec.Struct, frozen=True):
    """The live part, read from Redis in one pipelined call. Times: milliseconds since the epoch, UTC."""

    at_ms: int
    redis: ServerHealth
    engines: tuple[EngineStatus, ...] = ()
    gone: tuple[EngineStatus, ...] = ()  # died without a word, the last one first
    queues: tuple[QueueStatus, ...] = ()
    jobs: tuple[JobStatus, ...] = ()
    schedules: Mapping[str, Schedule] = msgspec.field(default_factory=dict)  # by job; the same object until one changes
    dead: tuple[DeadLetter, ...] = ()  # the newest 50, newest first
    dead_total: int = 0
    events: tuple[LiveEvent, ...] = ()


class HistoryOverview(msgspec.Struct, frozen=True):
    """The recorded part, read from Postgres."""

    at_ms: int
    postgres: ServerHealth
    runs: tuple[RunRow, ...] = ()  # the newest 100, newest first
    timeline: tuple[RunRow, ...] = ()  # what ended within the last hour
    last_runs: Mapping[str, LastRun] = msgspec.field(default_factory=dict)  # job → its newest finished attempt
