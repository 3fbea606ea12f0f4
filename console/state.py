"""What the console knows of its context right now: the newest truth the feed brought, for whichever screen is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from textual.message import Message

from backends.overview import HistoryOverview, Overview
from console.feed import Connected, HistoryArrived, Link, LinkChanged, OverviewArrived


@dataclass
class ConsoleState:
    """Written by the app alone, read by the screens. `depths`: recent depth of each queue, oldest first.

    `color`: what the context is shown in, one of `backends.contexts.COLORS`; empty: as other text.
    """

    context: str
    read_only: bool = False
    links: dict[str, Link] = field(default_factory=dict)
    live: Overview | None = None
    history: HistoryOverview | None = None
    depths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    color: str = ""

    def running(self) -> set[tuple[str, int]]:
        """(run id, attempt) of what is in hand."""
        return {(run.run_id, run.attempt) for e in (self.live.engines if self.live else ()) for run in e.running}

    def ended(self) -> set[tuple[str, int]]:
        """(run id, attempt) of what has ended lately."""
        return {(run.run_id, run.attempt) for run in (self.history.runs if self.history else ())}

    def take(self, message: Message) -> None:
        """Keep what a message of the feed says."""
        match message:
            case Connected():
                self.context, self.read_only = message.context_name, message.read_only
            case LinkChanged():
                self.links[message.link.name] = message.link
            case OverviewArrived():
                self.live, self.depths = message.data, message.depths
            case HistoryArrived():
                self.history = message.data
