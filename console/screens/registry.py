"""Which screens there are. A screen is imported and made when it is first shown: the first frame waits for none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.screens.base import ConsoleScreen

OVERVIEW = "overview"


class Screens(Mapping[str, "type[ConsoleScreen]"]):
    """The class of each screen by the name operators call it by after ``:``, imported when it is asked for."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> type[ConsoleScreen]:
        module, _, class_name = self._places[name].partition(":")
        found: type[ConsoleScreen] = getattr(import_module(f"console.screens.{module}"), class_name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places


SCREENS = Screens(
    {
        "timeline": "timeline:TimelineScreen",
        "queues": "queues:QueuesScreen",
        "dead": "dead:DeadScreen",
        "runs": "runs:RunsScreen",
        "letter": "letter:LetterScreen",
        "queue": "queue:QueueScreen",
        "job": "job:JobScreen",
        "run": "run:RunScreen",
        "jobs": "jobs:JobsScreen",
        "lab": "cronlab:CronLabScreen",
        "engines": "engines:EnginesScreen",
        "audit": "audit:AuditScreen",
    }
)
"""The overview is not among them: it is always there."""

NUMBERED: tuple[tuple[str, str, str], ...] = (
    ("1", OVERVIEW, "overview"),
    ("2", "timeline", "timeline"),
    ("3", "queues", "queues"),
    ("4", "dead", "dead letters"),
    ("5", "runs", "runs"),
    ("6", "jobs", "jobs"),
    ("7", "lab", "cron lab"),
    ("8", "engines", "engines"),
    ("9", "audit", "audit"),
)
"""(key, name, words) of the screens that have a number."""
