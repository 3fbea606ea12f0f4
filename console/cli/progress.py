"""The last line of a terminal, which says how far something is. Who tells of it never waits for the terminal."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from console.cli.interrupts import blocking
from console.cli.output import span

if TYPE_CHECKING:
    from backends.ops import Progress, Tell

EVERY_S = 0.25
"""A line comes at most so often."""
WAIT_S = 0.05


class Line:
    """A line of a terminal that is written over and over, by a thread of its own.

    A terminal that is stopped (Ctrl+S), or at the other end of a line that stalls, takes nothing for as long as it
    likes; on no system can a write to it be given up without disturbing who shares it. So a thread waits, and what is
    newer takes the place of what it has not written yet. A line that has ended is never left out.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        self._changed = threading.Condition()
        self._wanted: deque[str] = deque()
        self._thread: threading.Thread | None = None
        self._latest = ""
        self._due = 0.0

    def show(self, text: str) -> None:
        """It says this now; what comes too soon after another is only remembered."""
        self._latest = text
        if (now := time.monotonic()) >= self._due:
            self._due = now + EVERY_S
            self._put(text)

    def end(self) -> None:
        """What was last said stays, and the next one begins below it."""
        if self._latest:
            self._put(self._latest + "\n")
            self._latest, self._due = "", 0.0

    def wait(self) -> None:
        """Until the terminal has taken everything, or is gone."""
        with self._changed:
            while self._wanted and self._thread is not None:
                self._changed.wait(1.0)  # without an end Windows would not hear Ctrl-C

    def _put(self, text: str) -> None:
        with self._changed:
            if len(self._wanted) > 1 and not self._wanted[-1].endswith("\n"):  # the first may be under way
                self._wanted.pop()
            self._wanted.append(text)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="progress", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _write(self) -> None:
        """Write what is wanted, as it comes, for as long as the process lives."""
        if hasattr(signal, "pthread_sigmask"):  # Ctrl-C is for the main thread, which may sleep meanwhile
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        stands = ""
        while True:
            with self._changed:
                while not self._wanted:
                    self._changed.wait()
                text = self._wanted[0]
            shown, end = text.removesuffix("\n")[: self._columns() - 1], text[len(text.removesuffix("\n")) :]
            gone = not self._write_all(("" if shown == stands else f"\r{shown.ljust(len(stands))}") + end)
            stands = "" if end else shown
            with self._changed:
                if gone:
                    self._wanted.clear()
                else:
                    self._wanted.popleft()
                self._changed.notify_all()

    def _write_all(self, text: str) -> bool:
        """False where there is no terminal any more. Unbuffered: no lock is held that the end of the process needs."""
        rest = memoryview(text.encode(self._encoding, "replace"))
        try:
            with open(self._fd, "wb", buffering=0, closefd=False) as terminal:
                while rest:
                    took = terminal.write(rest)
                    if took is None:  # it does not block, and takes nothing
                        time.sleep(WAIT_S)
                    rest = rest[took or 0 :]
        except OSError:
            return False
        return True

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._fd).columns or 80
        except OSError:
            return 80


_open: Line | None = None


@contextmanager
def telling(what: str = "") -> Iterator[Tell | None]:
    """What a long operation calls after each step: a line on stderr, where that is a terminal.

    The outermost one waits at its end until the line was taken; then the operation is over.
    """
    global _open
    if not sys.stderr.isatty():
        yield None
        return
    outer, line = _open, _open or Line(sys.stderr.fileno())
    _open = line
    try:
        yield lambda p: line.show(f"{what}{progress_words(p)}")
    finally:
        line.end()
        _open = outer
        if outer is None:
            with blocking(afterwards=True):
                line.wait()


def all_told() -> None:
    """Wait until the terminal has the line: what is asked next stands below it."""
    if _open is not None:
        _open.wait()


def progress_words(p: Progress) -> str:
    """How far something is: count, rate, time left."""
    parts = [f"{p.changed or p.matched:,}"]
    if p.total is not None and p.scanned != (p.changed or p.matched):
        parts.append(f"{p.scanned:,} of {p.total:,} looked at")
    elif p.total is not None:
        parts[0] += f" of {p.total:,}"
    if p.rate is not None:
        parts.append(f"{p.rate:,.0f}/s")
    if p.left_s is not None and p.left_s >= 1:
        parts.append(f"{span(p.left_s)} left")
    return " · ".join(parts)
