"""Garbage is collected when nobody waits: to look through all that a console has loaded takes longer than a key may."""

from __future__ import annotations

import gc
from time import monotonic

from textual.app import App
from textual.events import Event, Key

SETTLED_S = 3.0
"""After so long nothing more is loaded."""
QUIET_S = 1.0
"""So long no key was pressed before everything is looked through, once."""
LONGEST_S = 60.0
"""Then it is done anyway."""


class Settles(App[int]):
    """Mixin of the app. The command line switches the collection off before it loads anything (`console.cli`)."""

    _pressed_at = 0.0
    _settles_by = 0.0

    async def on_event(self, event: Event) -> None:
        """Every event goes by here."""
        if isinstance(event, Key):
            self._pressed_at = monotonic()
        await super().on_event(event)

    def begin_to_settle(self) -> None:
        """The first frame is near."""
        self._settles_by = monotonic() + LONGEST_S
        self.set_timer(SETTLED_S, self.settle)

    def settle(self) -> None:
        """What is there now stays: no collection of garbage has to look through it again."""
        now = monotonic()
        if now - self._pressed_at < QUIET_S and now < self._settles_by:
            self.set_timer(QUIET_S, self.settle)
            return
        gc.collect()
        gc.freeze()
        gc.enable()
