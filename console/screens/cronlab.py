"""The cron lab: an expression and a time zone to type; what they mean, when they fire, and what others would do."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, time, timedelta
from typing import ClassVar
from zoneinfo import available_timezones

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.strip import Strip
from textual.suggester import SuggestFromList
from textual.widgets import Input

from backends.schedule import Schedule, ScheduleError, zone
from backends.schedule.compare import Comparison, compare
from backends.schedule.preview import NextFire, Preview, fires_from, fires_within, month_fires, preview
from console.screens import cronlab_looks as look
from console.screens.base import ConsoleScreen
from console.screens.cronlab_layout import CSS, LABEL, ZONE_LABEL, Layout, layout
from console.screens.dialog import TextDialog
from console.screens.help import HelpDialog
from console.settings import local_zone_name
from widgets.calendar import NAMES, Calendar, Month
from widgets.entry import Entry, printable
from widgets.prose import Prose
from widgets.rowlist import RowList
from widgets.safe import Cell, cell, cells, safe_line
from widgets.statusline import StatusLine
from widgets.table import Table

FIRST = "*/15 9-17 * * 1-5"
"""What stands there where no job is in hand."""
DAY = timedelta(days=1)
SLOW_S = 0.25
"""An older comparison than this is shown faint until the new one is there."""
_MEANT = re.compile(r"did you mean '([\w/+-]+)'", re.ASCII)


def fill(entry: Entry, text: str) -> None:
    """Another text, the cursor behind it."""
    entry.value = printable(text)
    entry.cursor_position = len(entry.value)


class Fields(Table):
    """The fields of the expression; it has no cursor and no head."""

    HEAD = 0
    can_focus = False

    def row_strip(self, index: int, over: str) -> Strip:
        """Never as chosen."""
        return super().row_strip(index, "")


class ElsewhereTable(Table):
    """Other schedulers; the heads of its columns are data."""

    titles: tuple[str, ...] = ("", "", "")

    def head_content(self, line: int) -> Cell:
        """The clock changes."""
        return self._line([cell(title, "head") for title in self.titles], " ")


class CronLabScreen(ConsoleScreen):
    """Everything is computed here, without a server. What is wrong is told; the last good result stays, faint."""

    NAME = "lab"
    DEFAULT_CSS = CSS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "edit", "edit"),
        Binding("n", "new", "new"),
        Binding("z", "zone", "zone"),
        Binding("greater_than_sign,pagedown", "page(1)", "next month"),
        Binding("less_than_sign,pageup", "page(-1)", "month before", show=False),
        Binding("o", "others", "elsewhere"),
        Binding("ctrl+o", "others", "elsewhere, also while typing", show=False),
        Binding("r", "reset", "the job's own", show=False),
        Binding("f1", "help", "help, also while typing", show=False),
        Binding("escape", "leave", "leave the line, or back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._good: Preview | None = None
        self._wrong: tuple[ScheduleError | None, ScheduleError | None] = (None, None)
        self._fires: tuple[NextFire, ...] = ()
        self._comparison: Comparison | None = None
        self._wanted: Schedule | None = None
        self._comparing = self._late = False
        self._job: tuple[str, str, str] | None = None
        self._counter = self._no_month
        self._layout = Layout(5, True, True, 49)
        self._view = 0
        self._titles: dict[str, str] = {}

    def body(self) -> ComposeResult:
        """Top to bottom."""
        with Vertical(id="lab", classes="panel"):
            with Horizontal(id="line"):
                yield StatusLine(id="expression-label")
                yield Entry(placeholder="minute hour day month weekday", id="expression")
                yield StatusLine(id="zone-label")
                yield Entry(placeholder="Europe/Berlin", id="zone")
            yield StatusLine(id="marks")
            yield StatusLine(id="verdict")
            yield StatusLine(id="description")
        with Horizontal(id="meaning"):
            yield Fields(*look.FIELD_COLUMNS, empty=" ", id="fields", classes="panel")
            yield Prose(id="warnings")
        with Horizontal(id="ahead"):
            yield Table(*look.FIRE_COLUMNS, empty="none", id="fires", classes="panel")
            yield Calendar(id="calendar", classes="panel")
        yield ElsewhereTable(*look.ELSEWHERE_COLUMNS, empty=" ", id="elsewhere", classes="panel")

    def on_mount(self) -> None:
        """Labels, names of zones, the first expression."""
        super().on_mount()
        self._expression, self._zone = self.query_one("#expression", Entry), self.query_one("#zone", Entry)
        self._fields, self._warnings = self.query_one(Fields), self.query_one("#warnings", Prose)
        self._list, self._calendar = self.query_one("#fires", Table), self.query_one(Calendar)
        self._elsewhere = self.query_one(ElsewhereTable)
        self._warnings.add_class("panel")
        self.query_one("#expression-label", StatusLine).show(cell(LABEL, "dim"))
        self.query_one("#zone-label", StatusLine).show(cell(ZONE_LABEL, "dim"))
        for name, title in (("fields", "Fields"), ("warnings", "Warnings"), ("elsewhere", "Elsewhere")):
            self._title(name, title)
        fill(self._expression, FIRST)
        fill(self._zone, self._local_zone())
        self.watch(self._expression, "selection", self._show_marks, init=False)
        self.run_worker(self._name_zones(), group="zones")
        self._list.focus()
        self._take_job()
        self.think()

    async def _name_zones(self) -> None:
        names = await asyncio.to_thread(lambda: sorted(available_timezones()))
        self._zone.suggester = SuggestFromList(names, case_sensitive=False)

    def _local_zone(self) -> str:
        try:
            return zone(self.shell.preferences.timezone or local_zone_name()).key
        except ScheduleError:
            return "UTC"

    # --- the job in hand ---

    def on_screen_resume(self) -> None:
        """Another job may have been chosen on the overview."""
        super().on_screen_resume()
        self._take_job()

    def _take_job(self) -> None:
        name, live = self.shell.overview.job_in_hand(), self.state.live
        job = next((j for j in live.jobs if j.name == name), None) if live else None
        if job is None or job.schedule is None or (self._job and self._job[0] == job.name):
            return
        self._job = (job.name, job.schedule, job.timezone)
        self.action_reset()

    def action_reset(self) -> None:
        """What the job in hand has."""
        if self._job is not None:
            _, expression, place = self._job
            fill(self._expression, expression)
            fill(self._zone, place)
            self.think()

    # --- thinking ---

    @property
    def here(self) -> datetime:
        """Now."""
        return datetime.fromtimestamp(self.now() / 1000, UTC)

    @property
    def _brief(self) -> bool:
        return self.size.width < 100

    @property
    def stale(self) -> bool:
        """Whether what is shown is not what stands in the lines."""
        return self._wrong != (None, None)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.think()

    def think(self) -> None:
        """What stands in the lines now: a few milliseconds, but for the comparison, which a thread makes."""
        typed, place = self._expression.value, self._zone.value.strip()
        found: Preview | None = None
        expression_error = zone_error = None
        try:
            zone(place)
        except ScheduleError as error:
            zone_error = error
        try:
            found = preview(typed, "UTC" if zone_error else place, self.here)
        except ScheduleError as error:
            expression_error = error
        self._wrong = (expression_error, zone_error)
        if found is not None and zone_error is None:
            same = self._good is not None and found.schedule is self._good.schedule
            self._good = found
            if not same:
                self._counter = self._month
            self._find_fires()
        self._show()

    def _find_fires(self) -> None:
        if self._good is None:
            return
        schedule, start = self._good.schedule, self.here
        if self._calendar.chosen:
            start = datetime.combine(self._calendar.day, time(), schedule.tz).astimezone(UTC)
        self._fires = fires_from(schedule, start)

    def _month(self, year: int, month: int) -> Month:
        if self._good is None:
            return Month(())
        found = month_fires(self._good.schedule, year, month)
        return Month(found.counts, found.changes)

    @staticmethod
    def _no_month(year: int, month: int) -> Month:
        return Month(())

    def _compare(self) -> None:
        if self._good is None or not self._elsewhere.display:
            return
        schedule = self._good.schedule
        if self._comparison is not None and self._comparison.schedule is schedule:
            self._show_elsewhere()
            return
        self._wanted = schedule
        if not self._comparing:
            self._comparing = True
            self.run_worker(self._keep_comparing(), group="compare")
            self.set_timer(SLOW_S, self._is_late)

    def _is_late(self) -> None:
        self._late = self._comparing
        self._show_elsewhere()

    async def _keep_comparing(self) -> None:
        """One at a time; what was typed meanwhile comes next, what lay between is left out."""
        try:
            while self._wanted is not None:
                wanted, self._wanted = self._wanted, None
                self._comparison = await asyncio.to_thread(compare, wanted, self.here)
        finally:
            self._comparing = self._late = False
        self._show_elsewhere()

    # --- showing ---

    def show_time(self) -> None:
        """Fires that are past go; how far away the others are."""
        if self._fires and not self._calendar.chosen and self._fires[0].at <= self.here:
            self._find_fires()
        self._show_fires()
        self._show_verdict()

    def _show(self) -> None:
        good, stale = self._good, self.stale
        self._show_title()
        self._show_marks()
        self._show_verdict()
        if good is None:
            return
        dim = look.faint if stale else lambda content: content
        self.query_one("#description", StatusLine).show(dim(cells(" ", cell(good.description, "strong"))))
        rows = look.field_rows(good.fields)
        self._fields.set_rows(look.faint_rows(rows) if stale else rows)
        self._title("fields", f"Fields · the same as {good.short_for}" if good.short_for else "Fields")
        lines = look.hint_lines(good.hints)
        self._warnings.show([dim(line) for line in lines])
        self._title("warnings", f"Warnings · {len(good.hints)}" if good.hints else "Warnings")
        self._show_fires()
        self._compare()
        self._show_elsewhere()

    def _show_title(self) -> None:
        text = "Cron lab"
        if self._job is not None:
            name, *own = self._job
            changed = [printable(text) for text in own] != [self._expression.value, self._zone.value]
            text += f" · {safe_line(name, 60)}" + (" · changed here only, r takes its own" if changed else "")
        self._title("lab", text)

    def _title(self, name: str, text: str) -> None:
        if self._titles.get(name) != text:
            self._titles[name] = text
            self.query_one(f"#{name}").border_title = Content(text)

    def _show_marks(self, *_: object) -> None:
        line = self.query_one("#marks", StatusLine)
        wrong, wrong_zone = self._wrong
        entry, typed = self._expression, self._expression.value
        left: Cell = ()
        if wrong is not None and (wrong_zone is None or not self._zone.has_focus):
            span = wrong.span or (0, max(1, len(typed)))
            left = look.marks(LABEL, typed, round(entry.scroll_offset.x), span, "bad")
        elif wrong_zone is not None:
            before = LABEL + " " * entry.size.width + ZONE_LABEL
            left = look.marks(before, self._zone.value, 0, (0, max(1, len(self._zone.value))), "bad")
        elif self._good is not None and entry.has_focus:
            field = look.field_at(self._good.fields, entry.cursor_position)
            if field is not None:
                left = cells(
                    look.marks(LABEL, typed, round(entry.scroll_offset.x), field.span, "accent"),
                    cell(f" {look.field_words(field)}", "dim"),
                )
        line.show(left)

    def _show_verdict(self) -> None:
        line = self.query_one("#verdict", StatusLine)
        wrong, wrong_zone = self._wrong
        told = wrong_zone if wrong_zone and (self._zone.has_focus or not wrong) else wrong
        if told is not None:
            more = " (Enter takes it)" if told is wrong_zone and self._zone.has_focus and self._meant() else ""
            line.show(cells(cell(" ✗ ", "bad"), cell(look.wrong_text(told), "warn"), cell(more, "dim")))
        elif self._good is not None:
            ahead = self._fires if not self._calendar.chosen else fires_from(self._good.schedule, self.here, 1)
            a_day = 0 if self._good.schedule.reboot else fires_within(self._good.schedule, self.here, DAY)
            line.show(cells(" ", look.summary(self._good, ahead, a_day, self.here)))

    def _show_fires(self) -> None:
        if self._good is None:
            return
        rows = look.fire_rows(self._fires, self.here, brief=self._brief)
        self._list.set_rows(look.faint_rows(rows) if self.stale else rows)
        day = self._calendar.day
        self._title("fires", f"Fires from {day:%a} {day.day} {day:%b %Y}" if self._calendar.chosen else "Next fires")
        self._calendar.show(self._counter, self.here.astimezone(self._good.schedule.tz).date(), dim=self.stale)
        month = self._calendar.month(day)
        total = sum(month.counts)
        text = f"{NAMES[day.month - 1]} {day.year} · {total} fire{'' if total == 1 else 's'}"
        if self._calendar.chosen or self._calendar.has_focus:
            text += f" · {day:%a} {day.day}: {self._calendar.count(day)}"
        self._title("calendar", text)

    def _show_elsewhere(self) -> None:
        found = self._comparison
        if found is None or self._good is None:
            return
        rows = look.elsewhere_rows(found)
        old = self.stale or (self._late and found.schedule is not self._good.schedule)
        titles = look.change_titles(found)
        if titles != self._elsewhere.titles:
            self._elsewhere.titles = titles
            self._elsewhere.refresh_lines(0)
        self._elsewhere.set_rows(look.faint_rows(rows) if old else rows)

    # --- keys ---

    def _meant(self) -> str | None:
        """The time zone that the error proposes."""
        error = self._wrong[1]
        found = _MEANT.match(error.remedy) if error else None
        return found[1] if found else None

    def action_edit(self) -> None:
        """To the expression."""
        self._expression.focus()

    def action_new(self) -> None:
        """An empty line."""
        self._expression.value = ""
        self._expression.focus()

    def action_zone(self) -> None:
        """To the time zone."""
        self._zone.focus()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        meant = self._meant()
        if event.input is self._zone and meant:
            fill(self._zone, meant)
        else:
            self._to_panel()

    def _to_panel(self) -> None:
        view = self._views()[self._view]
        (self._elsewhere if view == "elsewhere" else self._calendar if view == "calendar" else self._list).focus()

    def action_leave(self) -> None:
        """Esc: from a line to the fires; from there to the screen before."""
        if isinstance(self.focused, Entry):
            self._to_panel()
        else:
            self.shell.action_retreat()

    def action_page(self, months: int) -> None:
        """Another month."""
        self._calendar.action_page(months)

    def action_others(self) -> None:
        """Another view where not all have room; else to what others would do."""
        views = self._views()
        if len(views) == 1:
            self._elsewhere.focus()
            return
        typing = isinstance(self.focused, Entry)
        self._view = (self._view + 1) % len(views)
        self._lay_out()
        if not typing:
            self._to_panel()
        self._compare()

    def action_help(self) -> None:
        """All keys."""
        calendar = ("In the calendar", Calendar.BINDINGS)
        groups = (("Here", self.all_bindings()), calendar, ("In lists", RowList.BINDINGS))
        self.app.push_screen(HelpDialog((*groups, ("Screens", self.app.BINDINGS))))

    @on(RowList.Opened, "#elsewhere")
    def _opened(self, event: RowList.Opened) -> None:
        if self._comparison is not None:
            title = next((s.title for s in self._comparison.systems if s.system == event.key), "cronsole")
            self.app.push_screen(TextDialog(title, look.elsewhere_lines(self._comparison, event.key)))

    @on(RowList.Opened, "#fires")
    def _to_expression(self) -> None:
        self.action_edit()

    @on(Calendar.Moved)
    def _day_chosen(self) -> None:
        self._find_fires()
        self._show_fires()

    def on_descendant_focus(self) -> None:
        """The keys at the foot and the marks depend on where one types."""
        self.show_keys()
        self._show_marks()
        self._show_verdict()
        self._show_fires()

    def show_keys(self) -> None:
        """Keys that would be typed into a line are not shown while one types."""
        if not isinstance(self.focused, Entry):
            super().show_keys()
            return
        names = (("Enter", "done"), ("Tab", "next"), ("PgUp PgDn", "month"), ("Ctrl+O", "elsewhere"), ("F1", "help"))
        parts = [cells(cell(f" {key}", "key"), cell(f" {words} ", "dim")) for key, words in names]
        self.query_one("#keys", StatusLine).show(cells(*parts), self._notice)

    # --- layout ---

    def on_resize(self) -> None:
        """As much as there is room for."""
        super().on_resize()
        self._layout = layout(self.size.width, self.size.height, 1 if self.has_class("-short") else 2)
        self._view %= len(self._views())
        self._list.columns = look.BRIEF_FIRE_COLUMNS if self._brief else look.FIRE_COLUMNS
        self._lay_out()
        self.call_after_refresh(self._resized)

    def _resized(self) -> None:
        self._show_marks()
        self._show_fires()
        self._compare()

    def _views(self) -> tuple[str, ...]:
        shape = self._layout
        return ("ahead", *(() if shape.calendar else ("calendar",)), *(() if shape.elsewhere else ("elsewhere",)))

    def _lay_out(self) -> None:
        shape, view = self._layout, self._views()[self._view]
        self.query_one("#meaning").styles.height = shape.meaning
        self.query_one("#meaning").display = shape.meaning > 0
        calendar, fires = self.query_one("#calendar"), self.query_one("#fires")
        calendar.display = shape.calendar or view == "calendar"
        calendar.styles.width = shape.calendar_width if shape.calendar else "1fr"
        fires.display = view != "calendar"
        self.query_one("#ahead").display = view != "elsewhere"
        elsewhere = self.query_one("#elsewhere")
        elsewhere.display = shape.elsewhere or view == "elsewhere"
        elsewhere.styles.height = shape.elsewhere_height if shape.elsewhere else "1fr"
