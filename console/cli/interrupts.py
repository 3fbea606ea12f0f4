"""Ctrl-C: asyncio cancels what a command is at; at once where that waits for something else than the event loop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_blocked = False


@contextmanager
def interruptible() -> Iterator[None]:
    """Within a task of `asyncio.run`: Ctrl-C cancels it, as asyncio does, or is a KeyboardInterrupt in `blocking`.

    Not everywhere: an exception at any place would meet calls that were made and are not awaited yet.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield  # told to ignore it, as a job in the background of a shell script is
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        if _blocked:
            raise KeyboardInterrupt
        usual(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


@contextmanager
def blocking(*, afterwards: bool = False) -> Iterator[None]:
    """Something blocks in here that notices no cancellation: a read, a question.

    It is not begun where Ctrl-C came before, unless it belongs to what is done `afterwards`.
    """
    global _blocked
    _blocked = True
    try:
        if not afterwards:
            _stop_if_cancelled()
        yield
    finally:
        _blocked = False


def _stop_if_cancelled() -> None:
    import asyncio

    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs
        return
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
