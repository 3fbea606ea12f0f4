"""A calendar of numbers: as many months as there is room for, each day with how often something happens on it."""

from __future__ import annotations

from calendar import monthcalendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from widgets.line import LineWidget

DAY = 7
"""Columns of a day: a mark, two for its number, another mark, three for a count."""
MONTH, GAP = 7 * DAY, 3
WEEKS = 6
MOST_MONTHS = 12
STEPS = (1, 4, 24, 144)
"""Days are shaded by their count from these on: a few, one every six hours, hourly, every ten minutes."""
NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
FIRST_YEAR, LAST_YEAR = 1901, 2198


@dataclass(frozen=True, slots=True)
class Month:
    """`counts`: of each day, the 1st first. `marked`: days of the month that get a ``!``."""

    counts: tuple[int, ...]
    marked: frozenset[int] = frozenset()


Counter = Callable[[int, int], Month]
"""What a month (year, month) has; called when it comes into sight, so it must be quick."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the months stand: side by side, one above the other; `lines` of a week; `titles`: each has its name on it."""

    across: int
    down: int
    lines: int
    titles: bool

    @property
    def months(self) -> int:
        """How many are in sight."""
        return self.across * self.down

    @property
    def block(self) -> int:
        """Lines of one month."""
        return int(self.titles) + 1 + WEEKS * self.lines


def plan(width: int, height: int) -> Plan:
    """The most months that fit; two lines a week where one month at least has room for that."""
    across = max(1, min(3, (width + GAP) // (MONTH + GAP)))
    for lines in (2, 1):
        down = (height + 1) // (1 + WEEKS * lines + 2)
        if across * down > 1:
            return Plan(across, min(down, MOST_MONTHS // across), lines, True)
        if across == 1 and height >= 1 + WEEKS * lines:
            return Plan(1, 1, lines, False)
    return Plan(1, 1, 1, False)


def later(day: date, months: int) -> date:
    """The first day of the month that is so many months on."""
    number = day.year * 12 + day.month - 1 + months
    number = max(FIRST_YEAR * 12, min(number, LAST_YEAR * 12 + 11))
    return date(number // 12, number % 12 + 1, 1)


def short(count: int) -> str:
    """A count in three columns."""
    return "·" if not count else str(count) if count < 1000 else f"{count // 1000}k+"


Run = tuple[str, str, str]
"""Text, tone, and the component class whose background it has."""


class Calendar(LineWidget, can_focus=True):
    """Today is in brackets, the chosen day has a bar; neither is told by colour alone."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"calendar--{step}" for step in range(1, len(STEPS) + 1)}
    DEFAULT_CSS = """
    Calendar {
        & > .calendar--1 { background: $heat-1; }
        & > .calendar--2 { background: $heat-2; }
        & > .calendar--3 { background: $heat-3; }
        & > .calendar--4 { background: $heat-4; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h,left", "move(-1)", "a day back", show=False),
        Binding("l,right", "move(1)", "a day on", show=False),
        Binding("k,up", "move(-7)", "a week back", show=False),
        Binding("j,down", "move(7)", "a week on", show=False),
        Binding("pageup,ctrl+u", "page(-1)", "a month back", show=False),
        Binding("pagedown,ctrl+d", "page(1)", "a month on", show=False),
        Binding("g,home", "today", "today", show=False),
    ]

    class Moved(Message):
        """Another day is chosen; None is today, whichever day that is."""

        def __init__(self, calendar: Calendar, day: date | None) -> None:
            super().__init__()
            self.calendar = calendar
            self.day = day

        @property
        def control(self) -> Calendar:
            """The calendar it came from."""
            return self.calendar

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._counter: Counter | None = None
        self._months: dict[tuple[int, int], Month] = {}
        self._today = date(2000, 1, 1)
        self._day: date | None = None
        self._first = self._today
        self._dim = False

    @property
    def day(self) -> date:
        """The chosen day."""
        return self._day or self._today

    @property
    def chosen(self) -> bool:
        """Whether a day other than today was chosen."""
        return self._day is not None

    def show(self, counter: Counter | None, today: date, *, dim: bool = False) -> None:
        """From now on these counts; `dim` tells that they are not those of what stands above."""
        if counter is not self._counter:
            self._counter, self._months = counter, {}
        elif (today, dim) == (self._today, self._dim):
            return
        if today != self._today and self._day is None:
            self._first = later(today, 0)
        self._today, self._dim = today, dim
        self.refresh()

    def month(self, day: date) -> Month:
        """The month of a day."""
        key = (day.year, day.month)
        found = self._months.get(key)
        if found is None:
            found = self._counter(*key) if self._counter else Month(())
            self._months[key] = found
        return found

    def count(self, day: date) -> int:
        """The count of a day."""
        counts = self.month(day).counts
        return counts[day.day - 1] if counts else 0

    # --- choosing ---

    def choose(self, day: date) -> None:
        """Choose a day and bring it into sight."""
        day = max(date(FIRST_YEAR, 1, 1), min(day, date(LAST_YEAR, 12, 31)))
        before = self.day
        self._day = None if day == self._today else day
        if day == before:
            return
        ahead = (day.year - self._first.year) * 12 + day.month - self._first.month
        if not 0 <= ahead < self._plan().months:
            self._first = later(day, 0)
        self.refresh()
        self.post_message(self.Moved(self, self._day))

    def action_move(self, days: int) -> None:
        """By days."""
        self.choose(self.day + timedelta(days=days))

    def action_page(self, months: int) -> None:
        """To the first day of another month; in the present one, today."""
        first = later(self.day, months)
        self.choose(self._today if first == later(self._today, 0) else first)

    def action_today(self) -> None:
        """Back to now."""
        self._first = later(self._today, 0)
        self.choose(self._today)
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Choose the day under the mouse."""
        shape = self._plan()
        x, y = event.x - self.gutter.left, event.y - self.gutter.top
        across, column = divmod(x, MONTH + GAP)
        down, line = divmod(y, shape.block + 1)
        week, weekday = (line - 1 - int(shape.titles)) // shape.lines, column // DAY
        if across < shape.across and down < shape.down and weekday < 7 and week >= 0:
            first = later(self._first, down * shape.across + across)
            weeks = monthcalendar(first.year, first.month)
            if week < len(weeks) and weeks[week][weekday]:
                self.choose(first.replace(day=weeks[week][weekday]))

    # --- drawing ---

    def _plan(self) -> Plan:
        return plan(self.size.width, self.size.height)

    def on_focus(self) -> None:
        """The bar of the chosen day."""
        self.refresh()

    def on_blur(self) -> None:
        """As `on_focus`."""
        self.refresh()

    def on_resize(self) -> None:
        """The chosen day stays in sight."""
        ahead = (self.day.year - self._first.year) * 12 + self.day.month - self._first.month
        if not 0 <= ahead < self._plan().months:
            self._first = later(self.day, 0)

    def render_line(self, y: int) -> Strip:
        """One line of the content area."""
        shape = self._plan()
        down, line = divmod(y, shape.block + 1)
        runs: list[Run] = []
        if down < shape.down and self._counter is not None:
            for across in range(shape.across):
                runs += self._month_line(later(self._first, down * shape.across + across), line, shape)
                runs.append((" " * GAP, "", ""))
        segments = [Segment(text, self._style(tone, over)) for text, tone, over in runs]
        return Strip(segments, sum(len(text) for text, _, _ in runs)).adjust_cell_length(self.size.width, self.tone(""))

    def _style(self, tone: str, over: str) -> Style:
        return self.tone("faint" if self._dim else tone, "" if self._dim else over)

    def _month_line(self, first: date, line: int, shape: Plan) -> list[Run]:
        if shape.titles:
            if not line:
                total = sum(self.month(first).counts)
                name = f" {NAMES[first.month - 1]} {first.year}"
                return [(name, "strong", ""), (f" · {total}".ljust(MONTH - len(name)), "dim", "")]
            line -= 1
        if not line:
            return [(f" {name:<{DAY - 1}}", "head", "") for name in WEEKDAYS]
        week, part = divmod(line - 1, shape.lines)
        weeks = monthcalendar(first.year, first.month)
        if week >= len(weeks):
            return [(" " * MONTH, "", "")]
        found: list[Run] = []
        for number in weeks[week]:
            found += self._day_line(first.replace(day=number), part, shape.lines) if number else [(" " * DAY, "", "")]
        return found

    def _day_line(self, day: date, part: int, lines: int) -> list[Run]:
        count = self.count(day)
        step = sum(count >= least for least in STEPS)
        chosen = day == self.day and (self._day is not None or self.has_focus)
        over = f"calendar--{step}" if step else ""
        if chosen:
            over = "line--selected"
        past, today = day < self._today, day == self._today
        bar = ("▌", "accent", "")
        mark = bar if chosen else ("[", "strong", "") if today else (" ", "", "")
        tone = ("faint" if past else "dim") if not step else "dim" if past else "strong" if today else ""
        if part:
            text = str(count) if count else short(0)
            return [bar if chosen else (" ", "", ""), (f"{text:^6}", tone, over)]
        under = over if chosen else ""
        number = (f"{day.day:>2}", "strong" if today else "faint" if past else "dim", under)
        after = (" ", "", under)
        if day.day in self.month(day).marked:
            after = ("!", "warn", under)
        elif today:
            after = ("]", "strong", under)
        return [mark, number, after, (f"{short(count):<3}", tone, over) if lines == 1 else ("   ", "", under)]
