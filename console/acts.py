"""What this console did in a context and can take back, and the long operation that it drives now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

import msgspec
from msgspec.structs import replace

from backends.ops.kinds import Progress

RECENT_MS = 60_000
"""So long after an act the foot says that it can be taken back, and one key does; later it is asked first."""
STARTS_MS = 20_000
"""As `RECENT_MS`, of a single run: soon it has started, and nothing is left to take back."""
HELD = 50


class Act(msgspec.Struct, frozen=True):
    """Something that can be taken back. `words`: what it was; times in milliseconds since the epoch.

    `receipts`: one, or for many that were done one after the other those of each, the newest last.

    `begins_ms`: when the first of what it set going may start; `until_ms`: when its undo ends, None while that is not
    known.
    """

    receipts: tuple[str, ...]
    words: str
    at_ms: int
    begins_ms: int = 0
    until_ms: int | None = None
    one_run: bool = False
    runs: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Runs that it sets going, as far as they are known → the attempts that each had before."""
    late: str = ""
    """What became of all of them, where that is known: it is too late to take anything back."""

    def is_recent(self, now_ms: int) -> bool:
        """Whether one key takes it back, and the foot says so."""
        return now_ms - max(self.at_ms, self.begins_ms) < (STARTS_MS if self.one_run else RECENT_MS)


@dataclass
class Driving:
    """A long operation under way. `doing`: what it does, as "retrying"; `cancel` ends what only reads."""

    doing: str
    cancel: Callable[[], None]
    progress: Progress = field(default_factory=Progress)
    stopping: bool = False


class Acts:
    """One a context: what was left is not taken back by accident from elsewhere."""

    def __init__(self) -> None:
        self._done: list[Act] = []
        self.driving: Driving | None = None
        self.asked: list[str] = []
        """What was asked for and is not answered, as `Act.words`; '' of what can't be taken back."""
        self.drafts: dict[str, str] = {}
        """Run id → what was typed in an editor and not sent."""
        self._shown = 0.0

    def add(self, act: Act) -> None:
        """The newest."""
        self.forget(*act.receipts)
        self._done = [*self._done, act][-HELD:]

    @contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """While an act is under way."""
        self.asked.append(what)
        try:
            yield
        finally:
            self.asked.remove(what)

    def until(self, receipt: str, until_ms: int) -> None:
        """When the undo of an act ends, now that it is known."""
        self._done = [replace(a, until_ms=until_ms) if receipt in a.receipts else a for a in self._done]

    def forget(self, *receipts: str) -> None:
        """They were taken back, or can't be any more."""
        left = [replace(a, receipts=tuple(r for r in a.receipts if r not in receipts)) for a in self._done]
        self._done = [a for a in left if a.receipts]

    def look(self, running: Collection[tuple[str, int]], ended: Collection[tuple[str, int]]) -> None:
        """(run id, attempt) of what runs and of what has ended lately: what has begun is not offered any more."""

        def late(act: Act) -> str:
            def begun(these: Collection[tuple[str, int]]) -> set[str]:
                return {run_id for run_id, attempt in these if attempt > act.runs.get(run_id, attempt)}

            over = begun(ended)
            if not act.runs or len(over | begun(running)) < len(act.runs):
                return ""
            return "has ended" if len(over) == len(act.runs) else "has begun"

        self._done = [replace(a, late=late(a) or a.late) if a.runs else a for a in self._done]

    def newest(self, now_ms: int) -> Act | None:
        """The newest act that can still be taken back."""
        self._done = [a for a in self._done if a.until_ms is None or a.until_ms > now_ms]
        return self._done[-1] if self._done else None

    def due(self, every_s: float = 0.25) -> bool:
        """Whether progress is to be drawn again: not at every step."""
        now = monotonic()
        if now - self._shown < every_s:
            return False
        self._shown = now
        return True
