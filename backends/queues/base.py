"""The contract of a queue. Every adapter passes ``tests/contract/``.

A run is in exactly one place: ready, running, later, waiting (for a slot), moving (to another queue) or dead. Each
method that moves runs is one atomic transition per run. Methods are batched: one call carries up to :data:`BATCH`
items, because round trips are what costs. Errors of the server come out as :class:`backends.errors.UnreachableError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

import msgspec

from backends.model import (
    DeadGroup,
    DeadLetter,
    FireRecord,
    FireResult,
    Outcome,
    Overlap,
    Page,
    Pause,
    QueueStatus,
)

STEP = 50
"""Letters or runs a call at most where each is many commands: retry, undo, moves, the way to the archive and back.
Twice as many where it is few: purge, sweep. A call takes about 3 ms of a slow server."""

T = TypeVar("T")

Pair = tuple[str, int]
"""A dead letter: run id and sequence. Another death of the same run is another pair."""

BATCH = 200
"""Items a call at most: bounds the time a script holds the server and what Lua may unpack."""


def chunks(items: Sequence[T], size: int = BATCH) -> list[Sequence[T]]:
    """`items` in slices of at most `size`."""
    return [items[n : n + size] for n in range(0, len(items), size)]


class Entered(StrEnum):
    """Where an enqueued run went."""

    READY = "ready"
    LATER = "later"
    WAITING = "waiting"
    SKIPPED = "skipped"
    DUPLICATE = "duplicate"


class OnFull(StrEnum):
    """What happens to a run whose slot is taken."""

    WAIT = "wait"
    WAIT_ONE = "wait_one"
    SKIP = "skip"
    REPLACE = "replace"  # ask the holder to cancel, then wait


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run on its way into a queue. ``slot`` and ``slots`` limit how many runs of that key hold capacity at once."""

    run_id: str
    job: str
    envelope: bytes
    priority: int = 1  # 0 first, 2 last
    due_ms: int = 0  # in the future: waits in `later`
    slot: str = ""
    slots: int = 1
    on_full: OnFull = OnFull.WAIT


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One attempt in a worker's hand. ``entry_id`` is the fence: a settle counts only while it is pending.

    ``place`` is opaque to the caller: where in the queue the entry lies.
    """

    queue: str
    entry_id: str
    place: str
    run_id: str
    attempt: int
    failures: int  # counted in the present retry budget
    crashes: int
    job: str
    envelope: bytes
    slot: str
    epoch: str
    priority: int

    @property
    def ready_ms(self) -> int:
        """When this attempt became ready, in milliseconds since the epoch."""
        return int(self.entry_id.partition("-")[0])


class Settle(StrEnum):
    """Where a finished attempt goes."""

    DONE = "done"
    RETRY = "retry"
    DEAD = "dead"
    BACK = "back"  # not started: given back, same attempt number, nothing recorded


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """The end of one attempt. ``record`` is the JSON of an AttemptRecord (empty for BACK)."""

    delivery: Delivery
    to: Settle
    record: bytes = b""
    due_ms: int = 0  # RETRY: when to try again
    failures: int = 0  # RETRY: the new count
    crashes: int = 0  # RETRY: the new count
    header: bytes = b""  # DEAD: the JSON of a `dead.DeadHeader`


class Settled(StrEnum):
    """The answer to a settlement."""

    OK = "ok"
    STALE = "stale"  # the lease was lost; somebody else has the run; nothing changed
    ORPHAN = "orphan"  # the data was flushed meanwhile; the outcome was recorded and marked


@dataclass(frozen=True, slots=True)
class Taken:
    """What `take` brought. ``wake`` is opaque: pass it to `wait` to sleep until something newer is ready."""

    deliveries: tuple[Delivery, ...]
    epoch: str
    wake: tuple[str, ...]
    paused: bool = False


@dataclass(frozen=True, slots=True)
class NewFire:
    """One planned instant to be decided: `run` is enqueued if nothing forbids it.

    ``expected_ms`` is the mark that the scheduler knows. ``field`` names the mark ('': the job's own).
    """

    planned_ms: int
    expected_ms: int | None
    run: NewRun
    overlap: Overlap
    scheduler: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Fired:
    """The answer to a fire."""

    result: FireResult | None  # None: another scheduler was first, or it is too early
    last_ms: int | None  # the mark that now stands
    reason: str = ""
    early: bool = False  # by the server's clock the instant lies ahead


@dataclass(frozen=True, slots=True)
class Op:
    """An operation of an operator that can be taken back. `kind`: purge, retry, enter or cancel; an id is of one kind.

    `expires_ms`: when its undo ends; the latest that is given counts.
    """

    id: str
    kind: str
    by: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Restored:
    """One step of an undo: how many are back, how many were left alone as they had started or are not there, whether
    there are more. `all_…`: of all its steps, whoever took them; `at_work`: of those left, how many have not ended.
    """

    back: int
    left: int
    more: bool
    all_back: int = 0
    all_left: int = 0
    at_work: int = 0


class Queue(Protocol):
    """One queue of one namespace."""

    name: str
    kind: str

    async def enqueue(self, runs: Sequence[NewRun]) -> list[Entered]:
        """Put runs in; a run id that is already in the queue is answered DUPLICATE and changes nothing."""
        ...

    async def take(self, worker: str, count: int) -> Taken:
        """Up to `count` ready attempts, leased to `worker`. After a crash an attempt comes alone."""
        ...

    async def wait(self, wake: tuple[str, ...], timeout_ms: int) -> None:
        """Sleep until something became ready after `wake` was handed out, or the time is over."""
        ...

    async def settle(self, worker: str, items: Sequence[Settlement]) -> list[Settled]:
        """End attempts, in order; the outcome of each accepted one is in the outbox in the same step."""
        ...

    def renew(self, worker: str, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Extend leases; returns those that are no longer `worker`'s.

        Blocking, over a connection of its own: it is called from the lease thread.
        """
        ...

    async def reap(self, lease_ms: int, max_crashes: int) -> int:
        """Return attempts whose lease ended to ready, or to the dead letters after `max_crashes`."""
        ...

    async def promote(self) -> int:
        """Move runs that are due from later to ready; returns how many (at most BATCH)."""
        ...

    async def fire(self, fires: Sequence[NewFire]) -> list[Fired]:
        """For each, in order: set the mark from `expected_ms` to the planned instant and enqueue its run, or skip it.

        Whatever happens is put into the outbox as a FireRecord, in the same step. If the mark is not `expected_ms`, or
        the instant is more than a second ahead of the server's clock, nothing changes.
        """
        ...

    async def account(self, records: Sequence[FireRecord], expected_ms: int | None) -> Fired:
        """Set the mark to the last record's instant and record fires that will not run (missed, paused)."""
        ...

    async def adopt(self, rules: Mapping[str, str], known: Mapping[str, int], at_ms: int) -> dict[str, int]:
        """The marks of schedules, by job, in milliseconds; `rules` is each one's expression and zone as text.

        One without a mark begins at the `known` one, else at `at_ms`; one whose rule was changed begins at `at_ms`.
        """
        ...

    async def mark(self, job: str) -> int | None:
        """The instant of the job's last decided fire, in milliseconds."""
        ...

    async def cancel(self, run_id: str, by: str, op: Op | None = None) -> str:
        """'cancelled' (it had not started), 'asked' (it is running; its engine will be told) or 'unknown'.

        With an operation, one that had not started can come back.
        """
        ...

    async def bump(self, run_id: str) -> str:
        """Put a run that has not started in front of all others: 'ok', 'running' or 'unknown'.

        One that waits for a slot is the next to get it; one that is later is due now.
        """
        ...

    async def unbump(self, run_id: str) -> str:
        """From the front back to the end of its priority: 'ok', 'running' or 'unknown'."""
        ...

    async def cancels(self) -> set[str]:
        """Run ids whose cancellation was asked for."""
        ...

    async def pause(self, pause: Pause, job: str = "") -> None:
        """Stop handing out runs: of the queue, or of one job in it."""
        ...

    async def resume(self, job: str = "") -> bool:
        """End a pause; False where there was none."""
        ...

    async def pause_instead(self, there: Pause | None, pause: Pause | None, job: str = "") -> bool:
        """Pause (None: resume) where `there` is the pause in force (None: none is); False where it is not."""
        ...

    async def pauses(self) -> dict[str, Pause]:
        """The pauses in force: '' for the queue itself, else by job name."""
        ...

    async def status(self) -> QueueStatus:
        """Counts, the age of the oldest ready run, the pause."""
        ...

    async def find(self, run_id: str) -> str | None:
        """Where a run is: ready, running, later, waiting, moving, dead; None if it is not in this queue."""
        ...

    async def dead_page(
        self, limit: int, before: int | None = None, group: str = "", *, after: int | None = None
    ) -> Page[DeadLetter]:
        """Dead letters, newest first, with a sequence below `before`, or the page next above `after`.

        The cursor is the sequence to go on from in the same direction, as text.
        """
        ...

    async def dead_pairs(self, limit: int, after: int, upto: int, groups: Sequence[str] = ()) -> list[Pair]:
        """Letters with after < sequence <= upto, oldest first."""
        ...

    async def dead_records(self, pairs: Sequence[Pair]) -> list[DeadLetter | None]:
        """Letters by pair; None for one that is not dead any more."""
        ...

    async def dead_count(self, upto: int | None = None, since: int = 0, groups: Sequence[str] = ()) -> int:
        """How many letters there are with since <= sequence <= upto; exact."""
        ...

    async def dead_top(self) -> int:
        """The highest sequence of a letter, 0 where there is none."""
        ...

    async def dead_groups(self, limit: int = 100) -> list[DeadGroup]:
        """Dead letters grouped by error fingerprint, largest first."""
        ...

    async def dead_get(self, run_id: str) -> DeadLetter | None:
        """One dead letter."""
        ...

    async def dead_retry(self, op: Op, pairs: Sequence[Pair], due_ms: Sequence[int] = ()) -> list[bool]:
        """Put dead letters back into the queue with a fresh retry budget; the attempt number goes on rising.

        `due_ms`: when each is due, 0 or none for at once. False for a pair that is not dead any more.
        """
        ...

    async def dead_replace(self, op: Op, pair: Pair, run: NewRun) -> str:
        """A letter goes, `run` enters in its place: 'ok', 'gone', or 'changed' where it has died again since."""
        ...

    async def dead_purge(self, op: Op, pairs: Sequence[Pair]) -> list[bool]:
        """Take dead letters away; False for a pair that is not dead any more."""
        ...

    async def dead_purge_all(self, op: Op, upto: int) -> int:
        """Take all dead letters up to a sequence away, at once; how many that were. An operation begins with it."""
        ...

    async def enter(self, op: Op, runs: Sequence[NewRun]) -> list[Entered]:
        """As `enqueue`, by an operation."""
        ...

    async def note_entered(self, op: Op, run_ids: Sequence[str]) -> bool:
        """Make runs that have entered the operation's; False where it has been undone already."""
        ...

    async def restore(self, op_id: str, limit: int = STEP) -> Restored:
        """One step of an undo. From the first on it goes on by `sweep`, should nobody ask again.

        What was purged is back as it was. Of what was retried or entered, the runs that have not started are out again.
        What was cancelled before it started is queued again, as the next attempt.
        """
        ...

    async def op_size(self, op_id: str) -> int:
        """How many letters or runs an operation has changed and not given back."""
        ...

    async def sweep(self, now_ms: int) -> int:
        """One step of forgetting operations whose time is over and of going on with undos; 0: nothing to do."""
        ...


def outcome_goes(outcome: Outcome) -> bool:
    """True where an outcome uses up a try of the retry budget."""
    return outcome in (Outcome.FAILED, Outcome.TIMED_OUT)
