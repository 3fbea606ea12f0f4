"""What a run has printed: live while an attempt runs and a day longer, and the tail that history keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.ops.output import RunPage

SEAMS = (400, 100, 25)
"""By so many characters the end of what came live is found in what is stored."""
TAIL_BYTES = 64_000
"""Stored output of this length is the tail of a longer one."""


def tail_of(stored: str) -> tuple[bool, str]:
    """Whether stored output is the tail of more, and the text with a sign where its first line was cut."""
    cut = len(stored.encode()) >= TAIL_BYTES
    return cut, f"… {stored}" if cut else stored


def is_live(page: RunPage, number: int) -> bool:
    """Whether an attempt is at work."""
    place = page.place
    return (
        place is not None and place.state == "running" and place.attempt == number
        and all(attempt.attempt != number for attempt in page.attempts)
    )  # fmt: skip


def after_tail(text: str, tail: str) -> str | None:
    """What of `text` follows `tail`; None where that is not in it."""
    at = text.rfind(tail)
    return text[at + len(tail) :] if tail and at >= 0 else None


def queue_of(page: RunPage) -> str:
    """The queue of a run."""
    return page.place.queue if page.place else page.attempts[-1].queue if page.attempts else ""


def newest(page: RunPage) -> int | None:
    """The attempt that runs, else the newest that ended; None where none has begun."""
    if page.place is not None and page.place.state == "running":
        return page.place.attempt
    return page.attempts[-1].attempt if page.attempts else None


def after_seam(stored: str, came: str) -> str | None:
    """What is stored beyond what came live; None where one does not go on with the other."""
    for size in SEAMS:
        if (rest := after_tail(stored, came[-size:])) is not None:
            return rest
    return None
