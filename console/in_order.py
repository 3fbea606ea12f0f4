"""Keys are taken one after the other: each means what the one before it left in front, however quickly it follows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from textual.app import App
from textual.dom import DOMNode
from textual.events import Event, InputEvent, Key, MouseMove, Paste

PATIENCE_S = 1.0
"""A key that is not dealt with after so long keeps the next one waiting no longer."""
LOOKS = 20
"""So often it is looked within that time: none of it passes while the loop stands still or the process is stopped."""
INTERRUPT = "ctrl+c"


class InOrder(App[int]):
    """Mixin of the app.

    Textual hands a key to what has the focus when the key comes. A second one that comes together with it, as keys do
    over SSH, goes to the same widget, though the first opened a dialog that is not there yet: a letter for a filter
    pressed a key of the list, and a choice was made before the cursor was where it belongs. Clicks wait among the keys:
    what was typed before one means the row that was chosen then.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._typed: deque[Event] = deque()
        self._typed_since = 0.0
        self._turn = 0
        self._patience: asyncio.TimerHandle | None = None
        self._holds: set[object] = set()

    @property
    def keys_are_due(self) -> bool:
        """Whether a key is being dealt with, or waits."""
        return self._patience is not None or bool(self._typed)

    @contextmanager
    def keys_wait(self, most_s: float) -> Iterator[None]:
        """What is typed meanwhile is for what is there afterwards; it waits no longer than so many seconds."""
        hold = object()
        self._holds.add(hold)
        timer = asyncio.get_running_loop().call_later(most_s, self._release, hold)
        try:
            yield
        finally:
            timer.cancel()
            self._release(hold)

    def forget_typed(self) -> None:
        """Another program had the terminal: what was typed before was for that one."""
        self._typed_since = monotonic()

    async def on_event(self, event: Event) -> None:
        """What comes from the terminal waits for its turn; any other event, and a key that is on its way, passes."""
        if not isinstance(event, (InputEvent, Paste)) or isinstance(event, MouseMove) or event.is_forwarded:
            await super().on_event(event)
        elif isinstance(event, Key) and event.key == INTERRUPT:  # as in every terminal: what waits is dropped
            self._typed.clear()
            await super().on_event(event)
        else:
            self._typed.append(event)
            await self._take_next()

    async def on_ready(self) -> None:
        """There is a screen to type to."""
        await self._take_next()

    async def _take_next(self) -> None:
        while self._typed and self._typed[0].time < self._typed_since:
            self._typed.popleft()
        if self._patience is not None or self._holds or not self._typed or self._exit or not self.screen_stack:
            return
        self._turn += 1
        self._wait(self._turn, LOOKS)
        front = self._in_front()
        await super().on_event(self._typed.popleft())
        self._pass_by(self._turn, iter(front), None)

    def _wait(self, turn: int, looks: int) -> None:
        if not looks:
            self._done(turn)
        elif turn == self._turn:
            self._patience = asyncio.get_running_loop().call_later(PATIENCE_S / LOOKS, self._wait, turn, looks - 1)

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
        if turn == self._turn and self._patience is not None:
            self._patience.cancel()
            self._patience = None
            self.call_next(self._take_next)

    def _release(self, hold: object) -> None:
        self._holds.discard(hold)
        self.call_next(self._take_next)
