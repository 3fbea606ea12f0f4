"""The cron lab: an expression and a time zone to type; what they mean, when they fire, and what others would do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.strip import Strip
from textual.widgets import Input

from backends.schedule import ScheduleError, zone
from console.screens import cronlab_looks as look
from console.screens.base import ConsoleScreen
from console.screens.cronlab_elsewhere import ElsewhereTable, elsewhere_lines
from console.screens.cronlab_layout import CSS, Layout, layout
from console.screens.cronlab_lines import Lines, put
from console.screens.cronlab_state import Lab
from console.screens.dialog import TextDialog
from console.screens.help import PanelKeys
from console.settings import local_zone_name
from widgets.calendar import NAMES, Calendar
from widgets.entry import Entry
from widgets.prose import Prose
from widgets.rowlist import RowList
from widgets.safe import cell, cells, safe_line
from widgets.statusline import StatusLine
from widgets.table import Table
from widgets.textpane import TextPane

FIRST = "*/15 9-17 * * 1-5"
"""What stands there where no job is in hand."""


class Own(NamedTuple):
    """What a job itself has."""

    name: str
    expression: str
    timezone: str


class Fields(Table):
    """The fields of the expression; it has no cursor and no head."""

    HEAD = 0
    can_focus = False

    def row_strip(self, index: int, over: str) -> Strip:
        """Never as chosen."""
        return super().row_strip(index, "")


class Fires(Table):
    """The next fires, in as many columns as there is room for."""

    @property
    def brief(self) -> bool:
        """Whether there is no room for more than where a fire is on the wall."""
        return self.size.width < look.BRIEF

    def widths(self) -> list[int]:
        """Column widths at the present size."""
        self.columns = look.BRIEF_FIRE_COLUMNS if self.brief else look.FIRE_COLUMNS
        return super().widths()


class CronLabScreen(ConsoleScreen):
    """Everything is computed here, without a server. What is wrong is told; the last good result stays, faint."""

    NAME = "lab"
    AUTO_FOCUS = "Fires"
    DEFAULT_CSS = CSS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "edit", "edit"),
        Binding("n", "new", "new"),
        Binding("z", "zone", "zone"),
        Binding("greater_than_sign", "page(1)", "next month"),
        Binding("less_than_sign", "page(-1)", "month before", show=False),
        Binding("pagedown", "page(1)", "next month, while typing", show=False),
        Binding("pageup", "page(-1)", "month before, while typing", show=False),
        Binding("o", "others", "elsewhere"),
        Binding("ctrl+o", "others", "elsewhere, also while typing", show=False),
        Binding("r", "reset", "the job's own", show=False),
        Binding("f1", "help", "help, also while typing", show=False),
        Binding("escape", "leave", "leave the line, or back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.lab = Lab()
        self._lines = Lines(self.lab, lambda: self.here)
        self._own: Own | None = None
        self._layout = Layout(5, True, True, 49)
        self._view = 0
        self._titles: dict[str, str] = {}

    def body(self) -> ComposeResult:
        """Top to bottom."""
        yield self._lines
        with Horizontal(id="meaning"):
            yield Fields(*look.FIELD_COLUMNS, empty=" ", id="fields", classes="panel")
            yield Prose(id="warnings")
        with Horizontal(id="ahead"):
            yield Fires(*look.FIRE_COLUMNS, empty="none", id="fires", classes="panel")
            yield Calendar(id="calendar", classes="panel")
        yield ElsewhereTable(id="elsewhere", classes="panel")

    def on_mount(self) -> None:
        """The first expression."""
        super().on_mount()
        self._fields, self._warnings = self.query_one(Fields), self.query_one("#warnings", Prose)
        self._list, self._calendar = self.query_one(Fires), self.query_one(Calendar)
        self._elsewhere = self.query_one(ElsewhereTable)
        self._warnings.add_class("panel")
        self._title("elsewhere", "Elsewhere · Enter tells more")
        for table in self.query(Table):
            table.set_unread("")  # nothing here is read from anywhere
        self._lines.fill(FIRST, self._local_zone())
        self._take_job()
        self.think()

    def _local_zone(self) -> str:
        try:
            return zone(self.shell.preferences.timezone or local_zone_name()).key
        except ScheduleError:
            return "UTC"

    # --- the job in hand ---

    def on_screen_resume(self) -> None:
        """It was opened for a job, or another one may have been chosen on another screen."""
        super().on_screen_resume()
        self._take_job()

    def _take_job(self) -> None:
        shell, live = self.shell, self.state.live
        fires = {job.name: job for job in live.jobs if job.schedule} if live else {}
        job = fires.get(self.subject or shell.hand or "")
        if job is None and self._own is None:
            job = fires.get(shell.overview.job_in_hand() or "")
        if job is None or job.schedule is None:
            return
        before, self._own = self._own, Own(job.name, job.schedule, job.timezone)
        if before is None or before.name != job.name or (before != self._own and self._lines.holds(*before[1:])):
            self.action_reset()

    def action_reset(self) -> None:
        """What the job in hand has."""
        if self._own is not None:
            self._lines.fill(self._own.expression, self._own.timezone)
            self.think()

    # --- thinking ---

    @property
    def here(self) -> datetime:
        """Now."""
        return datetime.fromtimestamp(self.now() / 1000, UTC)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.think()

    def think(self) -> None:
        """What stands in the lines now: a few milliseconds, but for the comparison, which a thread makes."""
        before = self.lab.counter
        if self.lab.read(self._lines.expression.value, self._lines.zone.value.strip(), self.here):
            self._find_fires()
        self._show()
        if self.lab.counter is not before:
            self._list.choose(0)

    def _find_fires(self) -> None:
        self.lab.find_fires(self.here, self._calendar.day if self._calendar.chosen else None)

    def _compare(self) -> None:
        if self.lab.good is not None and self._elsewhere.display:
            self._elsewhere.compare(self.lab.good.schedule, self.here, stale=self.lab.stale)

    # --- showing ---

    def show_time(self) -> None:
        """Fires that are past go; how far away the others are."""
        if self.lab.fires and not self._calendar.chosen and self.lab.fires[0].at <= self.here:
            self._find_fires()
        self._show_fires()
        self._show_marks()
        self._lines.show_verdict()

    def _show(self) -> None:
        good, stale = self.lab.good, self.lab.stale
        self._show_title()
        self._lines.show_verdict()
        self._lines.show_description()
        if good is None:
            self._show_marks()
            return
        dim = look.faint if stale else lambda content: content
        rows = look.field_rows(good.fields)
        self._fields.set_rows(look.faint_rows(rows) if stale else rows)
        self._title("fields", f"Fields · the same as {good.short_for}" if good.short_for else "Fields")
        self._warnings.show([dim(line) for line in look.hint_lines(good.hints)])
        self._title("warnings", f"Warnings · {len(good.hints)}" if good.hints else "Warnings")
        self._show_fires()
        self._show_marks()
        self._compare()

    def _show_title(self) -> None:
        text = "Cron lab"
        if self._own is not None:
            text += f" · {safe_line(self._own.name, 60)}"
            text += " · changed here only, r takes its own" if not self._lines.holds(*self._own[1:]) else ""
        self._title("lab", text)

    def _title(self, name: str, text: str) -> None:
        if self._titles.get(name) != text:
            self._titles[name] = text
            self.query_one(f"#{name}").border_title = Content(text)

    def _show_marks(self) -> None:
        chosen = self._list.cursor_index if self._list.has_focus else -1
        self._lines.show_marks(self.lab.fires[chosen] if 0 <= chosen < len(self.lab.fires) else None)

    def _show_fires(self) -> None:
        good, calendar = self.lab.good, self._calendar
        if good is None:
            return
        room = sum(self._list.widths()[-1:])
        rows = look.fire_rows(self.lab.fires, self.here, brief=self._list.brief, room=room)
        self._list.set_rows(look.faint_rows(rows) if self.lab.stale else rows)
        day = calendar.day
        self._title("fires", f"Fires from {day:%a} {day.day} {day:%b %Y}" if calendar.chosen else "Next fires")
        calendar.show(self.lab.counter, self.here.astimezone(good.schedule.tz).date(), dim=self.lab.stale)
        total = sum(calendar.month(day).counts)
        text = f"{NAMES[day.month - 1]} {day.year} · {total} fire{'' if total == 1 else 's'}"
        if calendar.chosen or calendar.has_focus:
            text += f" · {day:%a} {day.day}: {calendar.count(day)}"
        self._title("calendar", text)

    # --- keys ---

    def action_edit(self) -> None:
        """To the expression."""
        self._lines.expression.focus()

    def action_new(self) -> None:
        """An empty line."""
        self._lines.expression.value = ""
        self._lines.expression.focus()

    def action_zone(self) -> None:
        """To the time zone."""
        self._lines.zone.focus()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input is self._lines.zone and self.lab.meant:
            put(self._lines.zone, self.lab.meant)
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

    def panel_keys(self) -> PanelKeys:
        """Those of the calendar and of the warnings."""
        return (("In the calendar", Calendar.BINDINGS), ("In the warnings", TextPane.BINDINGS))

    @on(RowList.Opened, "#elsewhere")
    def _opened(self, event: RowList.Opened) -> None:
        found = self._elsewhere.comparison
        if found is not None:
            title = next((s.title for s in found.systems if s.system == event.key), "cronsole")
            self.app.push_screen(TextDialog(title, elsewhere_lines(found, event.key)))

    @on(RowList.Opened, "#fires")
    def _to_expression(self) -> None:
        self.action_edit()

    @on(RowList.Moved, "#fires")
    def _fire_chosen(self) -> None:
        self._show_marks()

    @on(Calendar.Moved)
    def _day_chosen(self) -> None:
        self._find_fires()
        self._show_fires()
        self._list.choose(0)
        self._show_marks()

    def on_descendant_focus(self) -> None:
        """The keys at the foot and the marks depend on where one types."""
        self.show_keys()
        self._show_marks()
        self._lines.show_verdict()
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
        self._lines.zone.styles.width = self._layout.zone_width
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
