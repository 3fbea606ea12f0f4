"""What a list that is read a page at a time is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from backends.model import Page
from console.console_ops import ConsoleOps

T = TypeVar("T")


def with_kept(fresh: list[T], before: Sequence[T], keeps: Callable[[T], bool], key: Callable[[T], str]) -> list[T]:
    """`fresh`, and of those `before` it what is kept, each where it stood."""
    out = list(fresh)
    for n, item in reversed(list(enumerate(before))):
        if not keeps(item):
            continue
        keys = [key(other) for other in out]
        if key(item) not in keys:
            below = (keys.index(k) for k in map(key, before[n + 1 :]) if k in keys)
            out.insert(next(below, len(out)), item)
    return out


@dataclass
class Part(Generic[T]):
    """What was read from the cursor `start` to the cursor `end` (None: the newest; nothing older), and fits."""

    start: str | None
    items: list[T]
    end: str | None


class Back(NamedTuple, Generic[T]):
    """How a list is read from its oldest end.

    `ask`: for the last page (None), or for the one above a cursor, newest first; its `next_cursor` leads further up.
    `cursor`: of an item, for either way. `may`: whether all that is read fits, so that the last page is the end.
    `grows`: whether that is where new items come, as in a queue, so that it is looked for them there.
    """

    ask: Callable[[ConsoleOps, str | None], Awaitable[Page[T]]]
    cursor: Callable[[T], str]
    may: Callable[[], bool] = lambda: True
    grows: bool = False
