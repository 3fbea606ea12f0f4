"""What the models of other schedulers share: a clock in whole seconds, what a model answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
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


class Clock:
    """The clock of a zone in POSIX seconds. A wall time is the number of seconds that UTC would have there."""

    def __init__(self, tz: ZoneInfo) -> None:
        self._tz = tz
        self._begin, self._end, self._offset, self._before = 0, 0, 0, 0

    def offset(self, at: int) -> int:
        """Local time minus UTC at an instant."""
        self._turn(at)
        return self._offset

    def wall(self, at: int) -> int:
        """What the wall shows at an instant."""
        return at + self.offset(at)

    def summer(self, at: int) -> bool:
        """Whether the zone calls its time at an instant summer time."""
        return bool(datetime.fromtimestamp(at, self._tz).dst())

    def instants(self, wall: int) -> list[int]:
        """The instants at which the wall shows this, in order: none in a gap, two in a repeated hour."""
        offsets = {self.offset(wall + shift) for shift in (-DAY, -DAY // 2, 0, DAY // 2, DAY)}
        return sorted(wall - offset for offset in offsets if self.offset(wall - offset) == offset)

    def gap(self, wall: int) -> int:
        """The length of the gap that swallowed a wall time; 0 where none did."""
        return self._swallowed(wall)[1]

    def after_gap(self, wall: int) -> int | None:
        """The first instant after the gap that swallowed a wall time; None where none did."""
        return self._swallowed(wall)[0]

    def _swallowed(self, wall: int) -> tuple[int | None, int]:
        low, high = wall - DAY, wall + DAY
        if self.offset(low) != self.offset(high):
            while low <= high:
                self._turn(low)
                if self._begin + self._before <= wall < self._begin + self._offset:
                    return self._begin, self._offset - self._before
                low = self._end
        return None, 0

    def _turn(self, at: int) -> None:
        """Make the stretch of constant offset that holds an instant the current one."""
        if self._begin <= at < self._end:
            return
        moment = datetime.fromtimestamp(at, UTC)
        for segment in segments(self._tz, moment.year):
            if moment < segment.end:
                self._begin, self._end = int(segment.begin.timestamp()), int(segment.end.timestamp())
                self._offset, self._before = int(segment.offset.total_seconds()), int(segment.before.total_seconds())
                return


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
