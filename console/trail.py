"""The screens an operator has been on: back and forward, as in a browser."""

from __future__ import annotations

from typing import NamedTuple

from console.screens.registry import OVERVIEW

LONGEST = 100


class Place(NamedTuple):
    """A screen, and the key of the one thing it was opened for."""

    screen: str
    subject: str | None = None


class Trail:
    """Places; it begins at the overview."""

    def __init__(self) -> None:
        self._places = [Place(OVERVIEW)]
        self._at = 0

    @property
    def here(self) -> Place:
        """What is shown."""
        return self._places[self._at]

    @property
    def past(self) -> list[Place]:
        """How the operator came here, with where he is at the end."""
        return self._places[: self._at + 1]

    def go(self, screen: str, subject: str | None = None) -> Place:
        """Somewhere else: what lay ahead is forgotten."""
        place = Place(screen, subject)
        if place != self.here:
            self._places = [*self._places[: self._at + 1], place][-LONGEST:]
            self._at = len(self._places) - 1
        return self.here

    def back(self) -> Place:
        """One step back; at the beginning it stays."""
        self._at = max(0, self._at - 1)
        return self.here

    def forward(self) -> Place:
        """One step forward; at the end it stays."""
        self._at = min(len(self._places) - 1, self._at + 1)
        return self.here
