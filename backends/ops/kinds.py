"""What operations speak in: what was chosen, how far an operation is, what is kept of it, why a run does not start."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from backends.errors import BadInputError
from backends.model import now_ms

if TYPE_CHECKING:
    from backends.ops.letters import Selection
    from backends.queues.where import RunPlace

BEAT_MS = 15_000
"""A driver that was not heard of for so long is gone."""

GONE_ON = "gone on"
"""State of an operation whose undo was refused, as all that it did has gone on since: nothing is left to take back."""
LEAST_RATE, MOST_RATE = 1 / 3600, 1_000_000.0
"""Letters a second that a retry may put back. What is slower is no plan: the last of a few would come in years."""

VERBS = {
    "dead_retry": "retry dead", "dead_purge": "purge dead", "dead_replay": "edit dead", "ops_resume": "go on"
}  # fmt: skip
"""Verbs as they are shown, where that is not as they are stored."""

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: none of its digits looks like another."""
_READ = {digit: n for n, digit in enumerate(_DIGITS)} | {"o": 0, "i": 1, "l": 1}
_LENGTH = 11
_RANDOM_BITS = 13
_TIME_BITS = 5 * _LENGTH - _RANDOM_BITS


def shown_verb(verb: str) -> str:
    """A verb as it is shown."""
    return VERBS.get(verb, verb)


def new_receipt(ms: int | None = None) -> str:
    """A fresh receipt: 11 characters that sort by time."""
    at = (now_ms() if ms is None else ms) & ((1 << _TIME_BITS) - 1)
    value = at << _RANDOM_BITS | int.from_bytes(os.urandom(2), "big") >> (16 - _RANDOM_BITS)
    return "".join(_DIGITS[value >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))


def read_receipt(text: str) -> str:
    """A receipt as it is kept, of one that was typed: case and look-alikes don't matter. Raises BadInputError."""
    low = text.strip().lower().replace("-", "")
    if len(low) != _LENGTH or not all(digit in _READ for digit in low):
        raise BadInputError(
            f"{text[:40]!r} is no receipt", "an operation prints its own; `cronsole ops` and `cronsole audit` show them"
        )
    return "".join(_DIGITS[_READ[digit]] for digit in low)


class Marked(msgspec.Struct, frozen=True):
    """Letters that were marked one by one, as (queue, run id, sequence): another death of the same run is not meant."""

    letters: tuple[tuple[str, str, int], ...]


Chosen: TypeAlias = "Sequence[str] | Marked | Selection"
"""Which dead letters are meant: run ids, marked ones, or a selection."""


class Progress(msgspec.Struct, frozen=True):
    """How far a bulk operation is. `total`: letters to look at, None where that is not known."""

    total: int | None = None
    scanned: int = 0
    matched: int = 0
    changed: int = 0
    began: float = msgspec.field(default_factory=time.monotonic)
    at: float = msgspec.field(default_factory=time.monotonic)
    receipt: str = ""  # of the operation, so that whoever is told can stop it

    @property
    def rate(self) -> float | None:
        """Letters looked at a second; None before that can be told."""
        spent = self.at - self.began
        return self.scanned / spent if spent > 0 and self.scanned else None

    @property
    def left_s(self) -> float | None:
        """Seconds to go; None where that can't be told."""
        rate = self.rate
        return None if rate is None or self.total is None else max(0.0, (self.total - self.scanned) / rate)


Tell: TypeAlias = Callable[[Progress], None]
"""Called after each step of a bulk operation."""


class Operation(msgspec.Struct, frozen=True):
    """One act of an operator, as it is kept until its undo ends. `id` is the receipt.

    `state`: running, stopping, stopped, done, undoing, undone, gone on or expired; a running one whose `beat_ms` is
    old was left by a crash, `resume_operation` goes on with it.
    """

    id: str
    verb: str
    by: str
    at_ms: int
    until_ms: int  # when its undo ends, if it has one, and it is forgotten soon after
    state: str
    target: Mapping[str, Any] = msgspec.field(default_factory=dict)
    matched: int = 0
    changed: int = 0
    total: int | None = None
    rate: float | None = None  # retries a second that were asked for
    note: str = ""
    beat_ms: int = 0
    undone_by: str = ""
    undone_ms: int | None = None
    undone: int = 0  # so many were taken back; 0 where that is not known

    @property
    def undo_until_ms(self) -> int | None:
        """When its undo ends; None where it never had one: a run that was cancelled while it ran stays so."""
        return None if self.verb == "cancel" and self.note == "asked" else self.until_ms

    def left(self, at_ms: int) -> bool:
        """Whether its driver is gone without having ended it."""
        return self.state in ("running", "stopping", "undoing") and at_ms - self.beat_ms > BEAT_MS


class Why(msgspec.Struct, frozen=True):
    """Where a run is, and why it does not run: one line a reason, the first is the one that holds it now."""

    place: RunPlace | None
    reasons: tuple[str, ...]
