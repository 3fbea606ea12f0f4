"""The panel of other schedulers in the cron lab: what each would do with the schedule on the next clock changes."""

from __future__ import annotations

import asyncio
from datetime import datetime

from backends.schedule import Schedule
from backends.schedule.compare import Answer, Change, Comparison, Elsewhere, compare
from console.screens.cronlab_looks import faint_rows
from console.times import walls
from widgets.safe import Cell, cell, cells
from widgets.table import Column, Row, Table

COLUMNS = (Column("", 15), Column("", 20, flex=1), Column("", 20, flex=1))
SHORT_TITLES = {"kubernetes": "Kubernetes", "eventbridge": "AWS EventBridge"}
VERDICTS = {"same": ("=", "ok"), "differs": ("!", "warn"), "unclear": ("?", "plan"), "no": ("x", "bad")}
"""What another scheduler does, as a sign; the word stands beside it."""
SLOW_S = 0.25
"""An older comparison than this is shown faint until the new one is there."""


class ElsewhereTable(Table):
    """Other schedulers, compared in a thread: up to 0.2 s. The heads of the columns are data."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(*COLUMNS, empty=" ", id=id, classes=classes)
        self.comparison: Comparison | None = None
        self._titles = ("", "", "")
        self._wanted: tuple[Schedule, datetime] | None = None
        self._comparing = self._late = self._stale = False

    def compare(self, schedule: Schedule, now: datetime, *, stale: bool) -> None:
        """Show this schedule, at once or soon; `stale` where it is not what stands in the lines."""
        self._wanted, self._stale = (schedule, now), stale
        if not self._comparing and self._other:
            self._comparing = True
            self.run_worker(self._keep_comparing(), group="compare")
            self.set_timer(SLOW_S, self._is_late)
        self._show()

    @property
    def _other(self) -> tuple[Schedule, datetime] | None:
        """What is wanted, where the comparison is one of another schedule."""
        wanted, found = self._wanted, self.comparison
        return None if wanted is None or (found is not None and found.schedule is wanted[0]) else wanted

    def _is_late(self) -> None:
        self._late = self._comparing
        self._show()

    async def _keep_comparing(self) -> None:
        """One at a time; what was typed meanwhile comes next, what lay between is left out."""
        try:
            while wanted := self._other:
                self.comparison = await asyncio.to_thread(compare, *wanted)
        finally:
            self._comparing = self._late = False
        self._show()

    def _show(self) -> None:
        found = self.comparison
        if found is None:
            return
        titles = change_titles(found)
        if titles != self._titles:
            self._titles = titles
            self.refresh_lines(0)
        rows = elsewhere_rows(found)
        old = self._stale or (self._late and self._other is not None)
        self.set_rows(faint_rows(rows) if old else rows)

    def head_content(self, line: int) -> Cell:
        """The clock changes."""
        return self._line([cell(title, "head") for title in self._titles], " ")


def elsewhere_rows(comparison: Comparison) -> tuple[Row, ...]:
    """A line for cronsole, one for each other system: what it does on the next clock changes."""
    tz = comparison.schedule.tz
    ours = [cell(walls(change.fires, change, tz)) for change in comparison.changes]
    rows = [Row("cronsole", (cell("cronsole", "key"), *ours, *[()] * (2 - len(ours))))]
    for number, system in enumerate(comparison.systems):
        said = [_said(change.answers[number]) for change in comparison.changes]
        if not said:
            said = [_always(system)]
        rows.append(
            Row(
                system.system,
                (cell(SHORT_TITLES.get(system.system, system.title), "strong"), *said, *[()] * (2 - len(said))),
            )
        )
    return tuple(rows)


def _said(answer: Answer) -> Cell:
    glyph, tone = VERDICTS[answer.verdict]
    return cells(cell(f"{glyph} {answer.verdict}", tone), cell(f": {answer.note}" if answer.note else "", ""))


def _always(system: Elsewhere) -> Cell:
    if system.takes == "no":
        return _said(Answer(system.system, "no", "can't express this schedule"))
    words = "takes it as it is" if system.takes == "as_typed" else "takes it in other words"
    return cells(cell(f"= {words}", "dim"))


def change_titles(comparison: Comparison) -> tuple[str, str, str]:
    """The heads of the columns."""
    changes = [change_title(change) for change in comparison.changes]
    if not changes:
        none = "" if comparison.schedule.reboot else f"{comparison.schedule.timezone} has no clock changes ahead"
        return ("at any time", none, "")
    return ("on the night of", changes[0], changes[1] if len(changes) > 1 else "")


def change_title(change: Change) -> str:
    """Day and jump: "Sun 28 Mar 2027, 02:00 → 03:00"."""
    before, after = change.clock.walls
    return f"{before:%a %d %b %Y}, {before:%H:%M} → {after:%H:%M}"


def elsewhere_lines(comparison: Comparison, key: str) -> list[Cell]:
    """Everything about one system."""
    tz = comparison.schedule.tz
    if key == "cronsole":
        told = [cells(cell(change_title(c), "head"), "  ", cell(walls(c.fires, c, tz))) for c in comparison.changes]
        rules = "the rules of Debian's cron: docs/reference/schedules.md"
        return [*told, (), cell(f"cronsole keeps {rules}", "dim")]
    number = next(n for n, system in enumerate(comparison.systems) if system.system == key)
    system = comparison.systems[number]
    lines: list[Cell] = []
    for change in comparison.changes:
        answer = change.answers[number]
        lines += [cell(change_title(change), "head"), cells("  ", _said(answer))]
        if answer.fires and answer.fires != change.fires:
            lines.append(cells("  ", cell(walls(answer.fires, change, tz), "dim")))
        lines.append(())
    lines.append(cell("How it stands there", "head"))
    lines += [cells("  ", cell(line, "key")) for line in system.written] or [cell("  not at all", "bad")]
    lines += [(), cell("At any time of the year", "head")]
    for found in system.differences:
        known = {"verified": "", "documented": " (documented)", "not_stated": " (not stated)"}[found.known]
        lines.append(cells("  ", cell(found.message), cell(known, "dim")))
    if not system.differences:
        lines.append(cell("  as here", "dim"))
    if system.known == "documented":
        lines += [(), cell("By its documents; the program itself was not asked.", "dim")]
    return lines
