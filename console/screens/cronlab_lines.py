"""The panel of the cron lab that is typed into: the two lines, and under them what is wrong or what is meant."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from zoneinfo import available_timezones

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.suggester import SuggestFromList

from backends.schedule.preview import NextFire
from console.screens import cronlab_looks as look
from console.screens.cronlab_layout import LABEL, ZONE_LABEL
from console.screens.cronlab_state import Lab
from widgets.entry import Entry, printable
from widgets.safe import Cell, cell, cells
from widgets.statusline import StatusLine


def put(entry: Entry, text: str) -> None:
    """Another text, the cursor behind it."""
    entry.value = printable(text)
    entry.cursor_position = len(entry.value)


class Lines(Vertical):
    """Expression and time zone; then a line of marks, one with a verdict, and the description."""

    def __init__(self, lab: Lab, now: Callable[[], datetime]) -> None:
        super().__init__(id="lab", classes="panel")
        self._lab, self._now = lab, now
        self.expression = Entry(placeholder="minute hour day month weekday", id="expression")
        self.zone = Entry(placeholder="Europe/Berlin", id="zone")
        self._marks, self._verdict = StatusLine(id="marks"), StatusLine(id="verdict")
        self._description = StatusLine(id="description")

    def compose(self) -> ComposeResult:
        """Top to bottom."""
        labels = StatusLine(id="expression-label"), StatusLine(id="zone-label")
        for label, text in zip(labels, (LABEL, ZONE_LABEL), strict=True):
            label.show(cell(text, "dim"))
        with Horizontal(id="line"):
            yield labels[0]
            yield self.expression
            yield labels[1]
            yield self.zone
        yield self._marks
        yield self._verdict
        yield self._description

    def on_mount(self) -> None:
        """The marks follow the cursor; the names of zones take a moment to find."""
        for moved in ("selection", "scroll_x"):
            self.watch(self.expression, moved, lambda: self.show_marks(), init=False)
        self.run_worker(self._name_zones(), group="zones")

    async def _name_zones(self) -> None:
        names = await asyncio.to_thread(lambda: sorted(available_timezones()))
        self.zone.suggester = SuggestFromList(names, case_sensitive=False)

    def fill(self, expression: str, timezone: str) -> None:
        """Other texts in both."""
        put(self.expression, expression)
        put(self.zone, timezone)

    def holds(self, expression: str, timezone: str) -> bool:
        """Whether these stand there."""
        return (self.expression.value, self.zone.value) == (printable(expression), printable(timezone))

    def show_marks(self, fire: NextFire | None = None) -> None:
        """Where the mistake is, or the field at the cursor; where nobody types, what is to say of a fire."""
        lab, entry, place = self._lab, self.expression, self.zone
        typed, view = entry.value, (round(entry.scroll_offset.x), entry.size.width)
        left: Cell = ()
        if lab.wrong is not None and (lab.wrong_zone is None or not place.has_focus):
            left = look.marks(LABEL, typed, view, lab.wrong.span or (0, max(1, len(typed))), "bad")
        elif lab.wrong_zone is not None:
            before = LABEL + " " * entry.size.width + ZONE_LABEL
            left = look.marks(before, place.value, (0, place.size.width), (0, max(1, len(place.value))), "bad")
        elif lab.good is not None and entry.has_focus:
            field = look.field_at(lab.good.fields, entry.cursor_position)
            if field is not None:
                under = look.marks(LABEL, typed, view, field.span, "accent")
                left = cells(under, cell(f" {look.field_words(field)}", "dim"))
        elif fire is not None:
            left = look.mark_line(fire)
        self._marks.show(left)

    def show_verdict(self) -> None:
        """What is wrong, or the next fire."""
        lab, now, in_zone = self._lab, self._now(), self.zone.has_focus
        told = lab.wrong_zone if lab.wrong_zone and (in_zone or not lab.wrong) else lab.wrong
        if told is not None:
            more = " (Enter takes it)" if told is lab.wrong_zone and in_zone and lab.meant else ""
            self._verdict.show(cells(cell(" ✗ ", "bad"), cell(look.wrong_text(told), "warn"), cell(more, "dim")))
        elif lab.good is not None:
            self._verdict.show(cells(" ", look.summary(lab.good, *lab.ahead(now), now)))

    def show_description(self) -> None:
        """Of the last that meant something."""
        if self._lab.good is None:
            return
        words = cell(self._lab.good.description, "strong")
        was = cells(cell("before: ", "faint"), look.faint(words)) if self._lab.stale else words
        self._description.show(cells(" ", was))
