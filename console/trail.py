"""The screens an operator has been on: back and forward, as in a browser."""

from __future__ import annotations

from console.screens.registry import OVERVIEW

LONGEST = 100


class Trail:
    """Names of screens; it begins at the overview."""

    def __init__(self) -> None:
        self._names = [OVERVIEW]
        self._at = 0

    @property
    def here(self) -> str:
        """The screen that is shown."""
        return self._names[self._at]

    def go(self, name: str) -> str:
        """Somewhere else: what lay ahead is forgotten."""
        if name != self.here:
            self._names = [*self._names[: self._at + 1], name][-LONGEST:]
            self._at = len(self._names) - 1
        return self.here

    def back(self) -> str:
        """One step back; at the beginning it stays."""
        self._at = max(0, self._at - 1)
        return self.here

    def forward(self) -> str:
        """One step forward; at the end it stays."""
        self._at = min(len(self._names) - 1, self._at + 1)
        return self.here
