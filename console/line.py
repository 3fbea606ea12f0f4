"""The line to the terminal: how fast it takes what is written, and a console that never waits for it.

Textual queues thirty writes and then stands still until the terminal reads on. Here a frame that the line can't take
yet is not drawn: when it can again, what is new since is drawn once. Over SSH nothing blocks, megabytes lie in buffers
on the way; so the terminal is asked where its cursor is (DSR 6, ECMA-48 8.3.35), which every terminal answers when it
comes to the question, as tmux, screen and mosh do for those behind them. How long that takes says how fast the line is.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from math import inf
from time import monotonic
from typing import IO, Any

from textual._compositor import CompositorUpdate
from textual.screen import Screen

from widgets.celldiff import CellDiff

PROBE, PROBED = "\x1b[1;1H─\x1b[3b\x1b[6n\x1b[1;1H\x1b[K", 4
"""A line of four columns if the terminal repeats characters (REP), with the cursor behind it; gone at once."""
FIRST, PLACES = 10, 60
"""Each question puts the (hidden) cursor into another column, so that its answer can be told from a late one."""
ASK_EACH_B = 2000
"""So many bytes are written before it is asked again; less tells nothing about a speed."""
ASK_EACH_S = 10.0
SMALL_B = 400
"""What takes no time to speak of: the answer behind it says how long the way there and back is."""
LONG_S = 0.25
"""Less is not felt, and may be a busy machine."""
LAG_EACH_S = 0.05
"""So often, while an answer is waited for, it is looked how late this process itself comes to its turn."""
SLOW_B_S = 16_000
FAST_B_S = 48_000
SLOW_AFTER, QUICK_AFTER = 4, 2
"""So many like judgements in a row: a machine that is busy for a moment makes no slow line."""
LATE_S = 0.5
"""So much later than usual, an answer keeps the next frame back: what is written meanwhile would only wait behind."""
LOST_S = 3.0
"""An answer that is not there by then may be lost (a paste may have swallowed it): one frame, and another question."""
DEAF_AFTER = 3
"""So many questions without any answer, and the terminal is asked no more."""
QUEUED_MOST = 3
"""Writes that wait for the terminal (a frame has three); more would be a past that nobody needs to see."""
LEAVING_S = 1.0
"""So long an answer is waited for before the terminal is given back: the shell would take it for typing."""


class LineSpeed:
    """Judges a line by what was answered; some like judgements in a row turn `slow`."""

    def __init__(self) -> None:
        self.slow = False
        self._ways: deque[float] = deque(maxlen=3)
        self._last: bool | None = None
        self._alike = 0

    @property
    def way_s(self) -> float | None:
        """The way there and back with nothing to carry; None: not known yet."""
        return min(self._ways, default=None)

    def answered(self, size: int, seconds: float) -> None:
        """A question behind `size` bytes was answered after so many seconds."""
        if size <= SMALL_B:
            self._ways.append(seconds)
        elif self.way_s is not None:
            took = seconds - self.way_s
            unsteady = max(self._ways) - self.way_s  # so much later an answer came that had nothing to carry
            if took >= LONG_S + unsteady and size / took < SLOW_B_S:
                self._judge(True)
            elif size >= ASK_EACH_B and took < size / FAST_B_S:
                self._judge(False)

    def _judge(self, slow: bool) -> None:
        self._alike = self._alike + 1 if self._last is slow else 1
        self._last = slow
        if self._alike >= (SLOW_AFTER if slow else QUICK_AFTER):
            self.slow = slow


class Watched:
    """A file for the thread that writes; tells when all is out."""

    def __init__(self, file: IO[str], out: Callable[[], None]) -> None:
        self._file, self._out = file, out
        self.write, self.fileno, self.isatty = file.write, file.fileno, file.isatty

    def flush(self) -> None:
        """Returns when the terminal has taken everything."""
        self._file.flush()
        self._out()


class Line:
    """What is on its way to the terminal. `changed` is called in the app's loop.

    `asks`: whether it may be asked; `utf8`: whether it takes UTF-8, without which no repeating is tried.
    """

    def __init__(self, *, asks: bool, utf8: bool = True, changed: Callable[[], None]) -> None:
        self.asks = asks
        self._first = PROBE if utf8 else ""
        self.speed = LineSpeed()
        self.written = 0
        self.repeats = False
        """Whether the terminal has shown that it repeats a character when told to; terminfo says so of too many."""
        self._probing = False
        self._changed = changed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._send: Callable[[str], None] | None = None
        self._queued: Callable[[], int] = lambda: 0
        self._answers = False
        self._unanswered = 0
        self._column = 0
        self._asked_at = 0.0
        self._asked_size = self._asked_upto = 0
        self._context = copy_context()
        self._lag_s, self._due = 0.0, inf
        self._lag_timer: asyncio.TimerHandle | None = None
        self._quiet = threading.Event()
        self._quiet.set()
        self._wanted = False

    def begin(self, send: Callable[[str], None], queued: Callable[[], int]) -> None:
        """The terminal is ours, again or for the first time."""
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()  # the threads that read and write know of no app
        self._send, self._queued = send, queued
        self._asked_upto = self.written
        self.repeats = False
        self._ask(self._first)

    def end(self) -> None:
        """The terminal is given back."""
        if self._answers:
            self._quiet.wait(LEAVING_S)
        self._send = None
        self._quiet.set()

    @property
    def busy(self) -> bool:
        """Whether what was written before has not arrived yet: another frame would only wait behind it."""
        late = monotonic() - self._asked_at - (self.speed.way_s or 0.0)
        behind = self._answers and not self._quiet.is_set() and LATE_S < late < LOST_S
        self._wanted = behind or self._queued() > QUEUED_MOST
        return self._wanted

    def frame_out(self) -> None:
        """A frame has been written: is it time to ask?"""
        since, size = monotonic() - self._asked_at, self.written - self._asked_upto
        if not self._quiet.is_set():
            if since < LOST_S:
                return
            self._unanswered += 1
            if self._answers and self._asked_size > SMALL_B:
                self.speed.answered(self._asked_size, since)  # if it is not lost, it takes longer still
            if self._unanswered >= DEAF_AFTER and not self._answers:
                self.asks = False
        unsure = self._asked_size > SMALL_B or self.speed.way_s is None
        lost = not self._quiet.is_set()
        if size >= ASK_EACH_B or (0 < size <= SMALL_B and unsure) or (size and (since > ASK_EACH_S or lost)):
            self._ask()

    def _ask(self, question: str = "") -> None:
        if self.asks and self._send is not None:
            self._column = FIRST + (self._column - FIRST + 1) % PLACES
            self._asked_size, self._asked_upto = self.written - self._asked_upto, self.written
            self._quiet.clear()
            self._asked_at = monotonic()
            self._watch_lag()
            self._probing = question == PROBE
            self._send(question or f"\x1b[1;{self._column + 1}H\x1b[6n")

    def _watch_lag(self) -> None:
        if self._lag_timer is not None:
            self._lag_timer.cancel()
        self._lag_s = 0.0
        self._look_later()

    def _look_later(self) -> None:
        assert self._loop is not None
        self._due = self._loop.time() + LAG_EACH_S
        self._lag_timer = self._loop.call_later(LAG_EACH_S, self._look_at_lag)

    def _look_at_lag(self) -> None:
        self._lag_s, self._due = self._lag(), inf
        if not self._quiet.is_set() and monotonic() - self._asked_at < LOST_S:
            self._look_later()

    def _lag(self) -> float:
        """So long this process was kept since the question: by no fault of the line, and maybe the terminal too."""
        return self._lag_s + max(0.0, self._loop.time() - self._due if self._loop else 0.0)

    def answer(self, column: int) -> None:
        """The terminal has come to the question; its cursor is there, from 0. In the thread that reads."""
        if not self._quiet.is_set() and (self._probing or column == self._column):
            if self._probing:
                self.repeats = column == PROBED
            before, self._answers = self.speed.slow, True
            self.speed.answered(self._asked_size, monotonic() - self._asked_at - self._lag())
            self._quiet.set()
            self._wanted |= self.speed.slow is not before
            self.free()

    def free(self) -> None:
        """The line takes something again. In the threads that read and write."""
        if self._wanted and self._loop is not None and not self._loop.is_closed():
            self._wanted = False
            self._loop.call_soon_threadsafe(self._changed, context=self._context)


class LineApp(CellDiff):
    """Mixin of the app: draws no frame that would only wait."""

    line: Line
    _behind = False

    @property
    def repeats(self) -> bool:  # type: ignore[override]
        """What the line found out."""
        return self.line.repeats

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        if not isinstance(renderable, CompositorUpdate) or self.is_headless:
            super()._display(screen, renderable)
        elif self.line.busy:
            self._behind = True
        else:
            super()._display(screen, renderable)
            self.line.frame_out()
            self.catch_up()

    def catch_up(self) -> None:
        """Draw what was not drawn while the line was busy."""
        if self._behind and not self.line.busy:
            self._behind = False
            self.refresh()
