"""The nouns of cronsole. Plain data; imports nothing of ours.

Times are UTC ``datetime`` at the edges and integers inside (suffix ``_ms`` or ``_us``: since the Unix epoch).
A ``run_id`` is always the canonical 36-character text of a UUIDv7 (RFC 9562): its order is time order.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

T = TypeVar("T")


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"  # the worker died
    SKIPPED = "skipped"
    MISSED = "missed"


class Trigger(StrEnum):
    """Why a run exists."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    REPLAY = "replay"
    CATCHUP = "catchup"
    BACKFILL = "backfill"
    ENQUEUE = "enqueue"


class Overlap(StrEnum):
    """What a fire does while an earlier run of its job is not finished."""

    SKIP = "skip"
    QUEUE_ONE = "queue_one"
    QUEUE_ALL = "queue_all"
    ALLOW = "allow"
    REPLACE = "replace"


class Catchup(StrEnum):
    """What happens to fires that were missed while no scheduler ran."""

    NONE = "none"
    LATEST = "latest"
    ALL = "all"


class FireResult(StrEnum):
    """What became of a planned instant."""

    FIRED = "fired"
    SKIPPED = "skipped"
    MISSED = "missed"


# --- ids and clocks -------------------------------------------------------------------------------------


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_FIRST_MS, _LAST_MS = (int(at.timestamp()) * 1000 for at in (_FIRST, _LAST))


def from_ms(ms: float) -> datetime:
    """UTC datetime of milliseconds since the epoch.

    What is beyond the calendar, with a day to spare for time zones, is its first or its last day: a time that somebody
    has written wrongly is shown, and hides nothing else.
    """
    if _FIRST_MS < ms < _LAST_MS:
        return datetime.fromtimestamp(ms / 1000, UTC)
    return _LAST if ms > 0 else _FIRST


def to_ms(at: datetime) -> int:
    """Milliseconds since the epoch of an aware datetime."""
    return round(at.timestamp() * 1000)


def _uuid7(ms: int, tail: bytes) -> str:
    value = (ms & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(tail[:10], "big")
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    h = f"{value:032x}"
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def new_run_id(ms: int | None = None) -> str:
    """A fresh UUIDv7, as text; `ms` is the time part (default: now)."""
    return _uuid7(now_ms() if ms is None else ms, os.urandom(10))


def as_run_id(text: str) -> str:
    """A run id that was typed or pasted, in the one spelling in which queues know it.

    What is no UUID stays as it is: it is looked for, and not found.
    """
    try:
        return str(UUID(text.strip()))
    except ValueError:
        return text


def fire_run_id(namespace: str, job: str, planned_ms: int) -> str:
    """The run id of a fire: the same in every scheduler, so that a second enqueue is seen as a duplicate."""
    return _uuid7(planned_ms, sha256(f"{namespace}\0{job}\0{planned_ms}".encode()).digest())


def backfill_run_id(namespace: str, job: str, planned_ms: int) -> str:
    """The run id of a backfill of a fire: not the fire's own, and the same whenever that fire is backfilled."""
    return _uuid7(planned_ms, sha256(f"{namespace}\0{job}\0{planned_ms}\0backfill".encode()).digest())


def run_id_ms(run_id: str) -> int:
    """The time part of a run id, in milliseconds since the epoch."""
    return UUID(run_id).int >> 80


# --- the envelope ---------------------------------------------------------------------------------------


class Envelope(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """What travels: a UTF-8 JSON object that any language can write with one ``RPUSH``.

    The queue keeps the producer's own bytes, so unknown keys survive; this struct is the engine's view of them.
    ``id`` is the producer's and need not be unique.
    """

    type: str
    id: str = ""
    payload: dict[str, Any] = {}
    created_at: str | None = None
    attempts: int = 0
    last_error: str | None = None
    trigger: Trigger = Trigger.ENQUEUE
    scheduled_for: str | None = None
    by: str | None = None
    replay_of: str | None = None
    timeout: str | float | None = None


# --- what goes through the outbox into history ----------------------------------------------------------

ENVELOPE_MOST = 65_536
"""Bytes of an envelope that history keeps; a run with a larger one can't be replayed from it."""
UNREADABLE = "unreadable"  # the group of dead letters whose header names none
NO_ENVELOPE = msgspec.Raw()  # one object, so that it is left out of the JSON


class AttemptRecord(
    msgspec.Struct, tag="attempt", tag_field="t", kw_only=True, omit_defaults=True, frozen=True, gc=False
):
    """One finished attempt, as it travels through the outbox (JSON) into the table ``attempt``.

    The same (run_id, attempt) may arrive more than once; history keeps it once.
    Unknown keys are ignored, so that an old recorder can read a new engine's records.
    """

    run_id: str
    attempt: int
    job: str
    queue: str
    outcome: Outcome
    finished_us: int
    final: bool = True  # nothing follows unless someone replays
    started_us: int | None = None
    enqueued_ms: int | None = None
    scheduled_ms: int | None = None
    trigger: str = "enqueue"
    worker: str | None = None
    exit_code: int | None = None  # command: code, negative for a signal; HTTP: status
    error_class: str | None = None
    error: str | None = None  # at most 4 kB
    fingerprint: str | None = None  # 16 hex digits, groups equal errors
    output: str | None = None  # tail, at most 64 kB
    result: str | None = None  # JSON, at most 8 kB
    producer_id: str | None = None
    by: str | None = None
    replay_of: str | None = None
    orphan: bool = False  # the queue was flushed while this ran
    max_rss_kb: int | None = None
    cpu_ms: int | None = None
    envelope: msgspec.Raw = NO_ENVELOPE
    """Of a final attempt: the JSON object as it came, or a JSON string of its text. Empty: too large, or not final."""


class FireRecord(msgspec.Struct, tag="fire", tag_field="t", kw_only=True, omit_defaults=True, frozen=True):
    """What became of one planned instant of a schedule; every fire is accounted for."""

    job: str
    planned_ms: int
    result: FireResult
    decided_ms: int
    scheduler: str
    reason: str | None = None
    run_id: str | None = None


class ActionRecord(msgspec.Struct, tag="action", tag_field="t", kw_only=True, omit_defaults=True, frozen=True):
    """What an operator did, on its way into history while that can't be reached.

    The same `key` (a UUID) may arrive more than once, also beside a direct write; history keeps it once.
    """

    key: str
    at_ms: int
    who: str
    verb: str
    target: Any
    matched: int
    changed: int
    receipt: str | None = None
    note: str = ""


OutboxRecord = AttemptRecord | FireRecord | ActionRecord


# --- what the screens and --json show -------------------------------------------------------------------


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a keyset-paged list. ``next_cursor`` is opaque; None at the end. ``total`` only where it is cheap."""

    items: tuple[T, ...]
    next_cursor: str | None = None
    total: int | None = None


class Pause(msgspec.Struct, frozen=True):
    """Who paused something, why and until when."""

    by: str = ""
    note: str = ""
    since_ms: int = 0
    until_ms: int | None = None


class QueueStatus(msgspec.Struct, frozen=True):
    """A queue in one line."""

    name: str
    kind: str = "native"
    ready: int = 0
    running: int = 0
    later: int = 0
    waiting: int = 0
    dead: int = 0
    paused: Pause | None = None
    oldest_ready_seconds: float | None = None
    workers: int = 0
    outbox: int = 0  # finished attempts that history has not stored yet
    inbox: int = 0  # entries of the plain list that feeds this queue


class RunRow(msgspec.Struct, frozen=True):
    """One attempt, as lists show it."""

    run_id: str
    attempt: int
    job: str
    queue: str
    outcome: str
    trigger: str
    scheduled_for: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: float | None
    worker: str | None = None
    exit_code: int | None = None
    error: str | None = None

    @property
    def cursor(self) -> str:
        """What leads on from it in a list of runs, either way."""
        return f"{self.run_id}.{self.attempt}"


class RunningRow(msgspec.Struct, frozen=True):
    """An attempt that is in hand right now, as its engine reports it."""

    run_id: str
    attempt: int
    job: str
    queue: str
    started_ms: int


class DeadLetter(msgspec.Struct, frozen=True):
    """A run that will not be tried again unless an operator says so."""

    id: str  # the run id
    queue: str
    job: str
    attempts: int
    error: str
    error_class: str
    failed_at: datetime
    group: str
    sequence: int  # unique, rising; the cursor of lists
    envelope: bytes = b""  # exactly as it came in
    worker: str = ""


class DeadGroup(msgspec.Struct, frozen=True):
    """Dead letters of one queue that share an error fingerprint."""

    group: str
    queue: str
    job: str
    error_class: str
    error: str
    count: int
    first_failed_at: datetime
    last_failed_at: datetime
    oldest: int = 0  # the lowest sequence


class EngineStatus(msgspec.Struct, frozen=True):
    """One engine process, from its heartbeat. `silent_ms`: set by who reads it, where it was not heard of for long."""

    id: str
    host: str
    pid: int
    version: str
    started_ms: int
    beat_ms: int
    slots: int
    busy: int
    queues: tuple[str, ...] = ()
    running: tuple[RunningRow, ...] = ()
    rss_mb: float = 0.0
    loop_lag_ms: float = 0.0
    draining: bool = False
    silent_ms: int = 0


class LastRun(msgspec.Struct, frozen=True):
    """The newest finished attempt of a job."""

    run_id: str
    outcome: str
    started_at: datetime | None
    duration_ms: float | None


class JobStatus(msgspec.Struct, frozen=True):
    """A declared job in one line."""

    name: str
    schedule: str | None
    timezone: str
    queue: str
    kind: str  # command, task, http
    description: str = ""
    paused: Pause | None = None
    next_fire: datetime | None = None
    last_run: LastRun | None = None
    usual_ms: float | None = None  # median of recent successful runs
    queue_paused: Pause | None = None

    @property
    def held(self) -> Pause | None:
        """The pause that keeps its runs from starting: its own, else that of its queue."""
        return self.paused or self.queue_paused


class PlannedFire(msgspec.Struct, frozen=True):
    """One planned instant."""

    job: str
    at_ms: int


class ServerHealth(msgspec.Struct, frozen=True):
    """The truth about one server: reachable or not, since when, and what it said."""

    ok: bool
    detail: str = ""  # version, or the one-line error
    latency_ms: float | None = None
    checked_ms: int = 0  # when this was last true


class LiveEvent(msgspec.Struct, frozen=True):
    """Something that just happened, from the live feed: counts are exact, details may be sampled."""

    at_ms: int
    queue: str
    counts: dict[str, int] = msgspec.field(default_factory=dict)  # outcome → how many


class ActionResult(msgspec.Struct, frozen=True):
    """What an operator's action did. ``receipt`` is what `undo` takes, where there is one."""

    matched: int
    changed: int
    receipt: str | None = None
    note: str = ""  # what else there is to say, in a word or a line


class NewRuns(msgspec.Struct, frozen=True):
    """Runs that were put into a queue, in order; ``receipt`` takes back those that have not started."""

    run_ids: tuple[str, ...]
    receipt: str

    @property
    def run_id(self) -> str:
        """The only one."""
        (run_id,) = self.run_ids
        return run_id
