"""Keys are taken one after the other: each means what the one before it left in front, however quickly it follows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Any

from textual.app import App
from textual.dom import DOMNode
from textual.events import Event, Key, Paste

PATIENCE_S = 1.0
"""A key that is not dealt with after so long keeps the next one waiting no longer."""


class InOrder(App[int]):
    """Mixin of the app.

    Textual hands a key to what has the focus when the key comes. A second one that comes together with it, as keys do
    over SSH, goes to the same widget, though the first opened a dialog that is not there yet: a letter for a filter
    pressed a key of the list, and a choice was made before the cursor was where it belongs.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._typed: deque[Event] = deque()
        self._turn = 0
        self._patience: asyncio.TimerHandle | None = None

    @property
    def keys_are_due(self) -> bool:
        """Whether a key is being dealt with."""
        return self._patience is not None

    async def on_event(self, event: Event) -> None:
        """A key from the terminal waits for its turn; any other event, and a key that is on its way, passes."""
        if not isinstance(event, (Key, Paste)) or event.is_forwarded:
            await super().on_event(event)
            return
        self._typed.append(event)
        if not self.keys_are_due:
            await self._take_next()

    async def _take_next(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if not self._typed:
            return
        self._turn += 1
        self._patience = asyncio.get_running_loop().call_later(PATIENCE_S, self._done, self._turn)
        front = self._in_front()
        await super().on_event(self._typed.popleft())
        self._pass_by(self._turn, iter(front), None)

    def _in_front(self) -> list[DOMNode]:
        """What has the focus and what it lies in, up to the app: the way that keys and messages take."""
        return (self.focused or self.screen).ancestors_with_self if self.screen_stack else [self]

    def _pass_by(self, turn: int, way: Iterator[DOMNode], last: list[DOMNode] | None) -> None:
        """Wait behind all that has come to whatever lies on the way; then again, until the front stays the same."""
        if turn != self._turn:
            return
        for node in way:
            if node.call_later(self._pass_by, turn, way, last):
                return
        front = self._in_front()
        if front == last:
            self._done(turn)
        else:
            self._pass_by(turn, iter(front), front)

    def _done(self, turn: int) -> None:
        if turn == self._turn:
            self._turn += 1
            self.call_next(self._take_next)
