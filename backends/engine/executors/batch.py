"""Attempts that go to one runner together, and whom to tell what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from backends.engine.executors.base import Attempt, Ended

OnDone = Callable[[list[tuple[Attempt, Ended]]], None]
OnBack = Callable[[list[Attempt]], None]


class Batch:
    """A batch. Answers go out in the loop's next turn, so that no callback runs inside a caller's own call."""

    __slots__ = ("alone", "attempts", "left", "on_back", "on_done", "sent")

    def __init__(self, attempts: list[Attempt], on_done: OnDone, on_back: OnBack) -> None:
        self.attempts = attempts
        self.on_done = on_done
        self.on_back = on_back
        self.alone = any(a.alone for a in attempts)
        self.left = len(attempts)  # not yet ended or given back
        self.sent = 0.0

    def done(self, ended: list[tuple[Attempt, Ended]]) -> None:
        """These have ended."""
        if ended:
            asyncio.get_running_loop().call_soon(self.on_done, ended)

    def back(self, attempts: list[Attempt]) -> None:
        """These have not started."""
        if attempts:
            asyncio.get_running_loop().call_soon(self.on_back, attempts)
