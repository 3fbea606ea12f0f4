"""Which screens there are. A screen is made when it is first shown."""

from __future__ import annotations

from collections.abc import Mapping

from console.screens.audit import AuditScreen
from console.screens.base import ConsoleScreen
from console.screens.cronlab import CronLabScreen
from console.screens.dead import DeadScreen
from console.screens.engines import EnginesScreen
from console.screens.job import JobScreen
from console.screens.jobs import JobsScreen
from console.screens.letter import LetterScreen
from console.screens.queue import QueueScreen
from console.screens.queues import QueuesScreen
from console.screens.run import RunScreen
from console.screens.runs import RunsScreen
from console.screens.timeline import TimelineScreen

OVERVIEW = "overview"

SCREENS: Mapping[str, type[ConsoleScreen]] = {
    screen.NAME: screen
    for screen in (
        TimelineScreen,
        QueuesScreen,
        DeadScreen,
        RunsScreen,
        LetterScreen,
        QueueScreen,
        JobScreen,
        RunScreen,
        JobsScreen,
        CronLabScreen,
        EnginesScreen,
        AuditScreen,
    )
}
"""By name, as an operator calls them after ``:``. The overview is not among them: it is always there."""

NUMBERED: tuple[tuple[str, str, str], ...] = (
    ("1", OVERVIEW, "overview"),
    ("2", TimelineScreen.NAME, "timeline"),
    ("3", QueuesScreen.NAME, "queues"),
    ("4", DeadScreen.NAME, "dead letters"),
    ("5", RunsScreen.NAME, "runs"),
    ("6", JobsScreen.NAME, "jobs"),
    ("7", CronLabScreen.NAME, "cron lab"),
    ("8", EnginesScreen.NAME, "engines"),
    ("9", AuditScreen.NAME, "audit"),
)
"""(key, name, words) of the screens that have a number."""
