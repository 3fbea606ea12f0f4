"""What the models of other schedulers share: a clock in whole seconds, what a model answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo

from backends.schedule.dialect import ALIASES
from backends.schedule.fields import Fields, read_words
from backends.schedule.zones import segments

Known = Literal["verified", "documented", "not_stated"]
"""Where a statement comes from: the program itself was asked, its documents say so, or they say nothing."""

Takes = Literal["as_typed", "rewritten", "no"]
"""Whether a system takes an expression as it is, in other words (`written`), or can't express it."""

DAY_RULES = {True: "both must fit", False: "one that fits is enough"}
MINUTE, HOUR, DAY = 60, 3600, 86_400
EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a system differs at any time of the year. `code` is stable."""

    code: str
    message: str
    known: Known


@dataclass(slots=True)
class Fires:
    """What a model answers for a stretch of time: POSIX seconds, sorted; one that runs twice stands twice.

    `unclear` are instants at which the system may or may not fire: its documents don't say. `stuck`: after the last of
    these fires it never finds another one.
    """

    sure: list[int] = field(default_factory=list)
    unclear: list[int] = field(default_factory=list)
    stuck: bool = False


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of constant offset; `before` is the offset of the one before it."""

    begin: int
    end: int
    offset: int
    before: int


class Clock:
    """The clock of a zone in POSIX seconds. A wall time is the number of seconds that UTC would have there."""

    def __init__(self, tz: ZoneInfo) -> None:
        self._tz = tz
        self._years = range(0)
        self._begins: list[int] = []
        self._spans: list[_Span] = []
        self._last = _Span(0, 0, 0, 0)

    def offset(self, at: int) -> int:
        """Local time minus UTC at an instant."""
        if not self._last.begin <= at < self._last.end:
            place = self._place(at)
            self._last = self._spans[place]
        return self._last.offset

    def wall(self, at: int) -> int:
        """What the wall shows at an instant."""
        return at + self.offset(at)

    def summer(self, at: int) -> bool:
        """Whether the zone calls its time at an instant summer time."""
        return bool(datetime.fromtimestamp(at, self._tz).dst())

    def instants(self, wall: int) -> list[int]:
        """The instants at which the wall shows this, in order: none in a gap, two in a repeated hour."""
        return [wall - span.offset for span in self._near(wall) if span.begin <= wall - span.offset < span.end]

    def gap(self, wall: int) -> int:
        """The length of the gap that swallowed a wall time; 0 where none did."""
        return next((span.offset - span.before for span in self._near(wall) if _swallows(span, wall)), 0)

    def after_gap(self, wall: int) -> int | None:
        """The first instant after the gap that swallowed a wall time; None where none did."""
        return next((span.begin for span in self._near(wall) if _swallows(span, wall)), None)

    def _near(self, wall: int) -> list[_Span]:
        """The stretches that a wall time may belong to; no offset is a day long."""
        self._place(wall - DAY)  # may load an earlier year, which moves the places
        high = self._place(wall + DAY)
        return self._spans[self._place(wall - DAY) : high + 1]

    def _place(self, at: int) -> int:
        """The place of the stretch that holds an instant; years are looked up as they are needed."""
        if not self._begins or not self._begins[0] <= at < self._spans[-1].end:
            year = datetime.fromtimestamp(at, UTC).year
            first, last = (self._years[0], self._years[-1]) if self._years else (year, year)
            self._years = range(min(first, year), max(last, year) + 1)
            found = [segment for year in self._years for segment in segments(self._tz, year)]
            self._spans = [
                _Span(int(s.begin.timestamp()), int(s.end.timestamp()), _whole(s.offset), _whole(s.before))
                for s in found
            ]
            self._begins = [span.begin for span in self._spans]
        return bisect_right(self._begins, at) - 1


def _swallows(span: _Span, wall: int) -> bool:
    return span.begin + span.before <= wall < span.begin + span.offset


def _whole(offset: timedelta) -> int:
    return int(offset.total_seconds())


class System(ABC):
    """What one system makes of one expression: a model of its own algorithm, not of ours."""

    key: ClassVar[str]
    title: ClassVar[str]
    known: ClassVar[Known]

    def __init__(self, expression: str, fields: Fields, timezone: str, clock: Clock) -> None:
        self.expression, self.fields, self.timezone, self.clock = expression, fields, timezone, clock
        self.alias = expression in ALIASES
        self.words = tuple(read_words(expression))
        self.on = self.days(both if fields.day_and else either)
        """Whether it fires on the day of a wall time, by this system's day rule."""

    def takes(self) -> Takes:
        """Whether the expression can be used there as it is."""
        return "as_typed"

    @abstractmethod
    def written(self) -> tuple[str, ...]:
        """How the job is written there, a line each; empty where it can't be."""

    @abstractmethod
    def differences(self) -> Iterator[Difference]:
        """What always differs from cronsole for this expression."""

    @abstractmethod
    def fires(self, start: int, end: int) -> Fires:
        """The fires in ``[start, end)``; asked only where `takes` isn't "no"."""

    def doubt(self, repeated: bool) -> str:
        """Why fires are unclear, some of them in a repeated hour or not; asked only of a system that has such fires."""
        raise NotImplementedError(self.title)

    def with_weekdays(self) -> str:
        """The expression with its weekdays as a plain list of numbers from 0 to 6, or * where it has that."""
        star = any(item.star and item.step == 1 for item in self.words[4].items)
        weekdays = "*" if star else ",".join(map(str, self.fields.weekdays))
        return " ".join([*(word.text for word in self.words[:4]), weekdays])

    @property
    def both_days(self) -> bool:
        """True where both day fields restrict something."""
        return not (self.fields.every_day_number or self.fields.every_weekday)

    def days(self, rule: Callable[[bool, bool], bool]) -> Callable[[int], bool]:
        """A test of wall times: month fits, and `rule` holds for (day of the month fits, weekday fits)."""
        months, numbers, weekdays = set(self.fields.months), set(self.fields.days), set(self.fields.weekdays)
        seen: dict[int, bool] = {}

        def on(wall: int) -> bool:
            day = wall // DAY
            if day not in seen:
                when = date.fromordinal(EPOCH + day)
                fits = rule(when.day in numbers, when.isoweekday() % 7 in weekdays)
                seen[day] = when.month in months and fits
            return seen[day]

        return on

    def walls(self, start: int, end: int, on: Callable[[int], bool]) -> Iterator[int]:
        """The wall times of the expression that may belong to ``[start, end)``, on days that `on` accepts."""
        times = [hour * HOUR + minute * MINUTE for hour in self.fields.hours for minute in self.fields.minutes]
        low, high = self.clock.wall(start) - DAY, self.clock.wall(end) + DAY
        for midnight in range(low // DAY * DAY, high, DAY):
            if on(midnight):
                for time in times:
                    if low <= midnight + time < high:
                        yield midnight + time


def both(number: bool, weekday: bool) -> bool:
    """The day rule that wants both."""
    return number and weekday


def either(number: bool, weekday: bool) -> bool:
    """The day rule that one is enough for."""
    return number or weekday
