"""When a schedule fires. croniter iterates canonical lists on naive wall time; what clock changes mean is decided here.

The rules, which are Debian's: a job whose minute or hour field starts with ``*`` follows elapsed time: nothing is made
up for after a gap, and a repeated hour counts twice. Any other job is tied to the time on the wall: a time that a gap
swallowed fires once at the first instant after it (not after a gap of three hours or more), and a time that comes
twice fires the first time only (after a step back of more than three hours, again). Several fires at one instant are
one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from threading import Lock
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from backends.schedule.dialect import DAYS_IN, REBOOT
from backends.schedule.errors import ScheduleError
from backends.schedule.fields import Fields, normal, read
from backends.schedule.words import describe
from backends.schedule.zones import MAX_JUMP, Segment, backward, forward, zone

if TYPE_CHECKING:
    from croniter import croniter

MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_NEAR = timedelta(days=2)
"""Farther than any offset or clock change reaches."""
_TABLE_DAYS = 8
"""So far the days are looked at one by one: a weekly schedule is found in 10 µs, where croniter takes 50 to 100."""


class Walls:
    """The wall times of the five fields, without any time zone: naive datetimes on full minutes."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        # two bytes each: as a tuple, every minute of a thousand jobs would be 50 MB
        self.times = array("H", [hour * 60 + minute for hour in fields.hours for minute in fields.minutes])
        self._lock = Lock()

    @cached_property
    def _iterator(self) -> croniter[datetime]:
        from croniter import croniter  # most schedules are found in the tables and never need it

        fields = self.fields
        # croniter takes a full list for `*` and then forgets "either": say what is meant
        numberless = fields.days[0] > max(DAYS_IN[month] for month in fields.months)  # it would look for one for years
        days = "*" if fields.any_day or numberless else ",".join(map(str, fields.days))
        weekdays = "*" if fields.any_day else ",".join(map(str, fields.weekdays))
        lists = (",".join(map(str, values)) for values in (fields.minutes, fields.hours))
        canonical = " ".join([*lists, days, ",".join(map(str, fields.months)), weekdays])
        either = not (fields.day_and or numberless)
        return croniter(canonical, datetime(2000, 1, 1), ret_type=datetime, day_or=either)

    def next(self, wall: datetime) -> datetime | None:
        """The first one at or after `wall`."""
        first = _ceil(wall)
        minute, day = _minute(first), first.replace(hour=0, minute=0)
        for _ in range(_TABLE_DAYS):
            if minute <= self.times[-1] and self.fields.on(day):
                return day + timedelta(minutes=self.times[bisect_left(self.times, minute)])
            minute, day = 0, day + _DAY
        return self._step(max(first, day) - timedelta(seconds=1), forward=True)

    def prev(self, wall: datetime) -> datetime | None:
        """The last one before `wall`."""
        end = _ceil(wall)
        minute, day = _minute(end), end.replace(hour=0, minute=0)
        for _ in range(_TABLE_DAYS):
            if minute > self.times[0] and self.fields.on(day):
                return day + timedelta(minutes=self.times[bisect_left(self.times, minute) - 1])
            minute, day = 1440, day - _DAY
        return self._step(min(end, day + _DAY), forward=False)

    def _step(self, start: datetime, *, forward: bool) -> datetime | None:
        from croniter import CroniterBadDateError

        if self.fields.never:
            return None
        with self._lock:
            self._iterator.set_current(start, force=True)
            try:
                found: datetime = (self._iterator.get_next if forward else self._iterator.get_prev)(datetime)
            except CroniterBadDateError:
                return None
        return found

    def within(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """All in ``[begin, end)``, in order, from a table of the minutes of a day."""
        day = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        while day < end:
            if self.fields.on(day):
                low = bisect_left(self.times, -(-(begin - day) // MINUTE)) if day < begin else 0
                high = bisect_left(self.times, -(-(end - day) // MINUTE)) if end - day < _DAY else len(self.times)
                for minute in self.times[low:high]:
                    yield day + timedelta(minutes=minute)
            day += _DAY


def _minute(wall: datetime) -> int:
    return wall.hour * 60 + wall.minute


def _ceil(wall: datetime) -> datetime:
    floor = wall.replace(second=0, microsecond=0)
    return floor if floor == wall else floor + MINUTE


@lru_cache(maxsize=4096)
def _walls(fields: Fields) -> Walls:
    return Walls(fields)


class Schedule:
    """An expression in a time zone. Immutable; safe to share between threads.

    Fires are aware UTC datetimes from 1900 to 2199; ``@reboot`` has none. Arguments must be aware datetimes.
    """

    __slots__ = ("_tz", "_walls", "expression", "reboot", "timezone")

    def __init__(self, expression: str, timezone: str, tz: ZoneInfo, fields: Fields | None) -> None:
        self.expression = expression
        self.timezone = timezone
        self.reboot = fields is None
        self._tz = tz
        self._walls = None if fields is None else _walls(fields)

    def __repr__(self) -> str:
        return f"Schedule({self.expression!r}, {self.timezone!r})"

    @property
    def fields(self) -> Fields | None:
        """The parsed sets; None for ``@reboot``."""
        return None if self._walls is None else self._walls.fields

    @property
    def walls(self) -> Walls | None:
        """The wall times, the same object for equal fields; None for ``@reboot`` and where no day ever comes."""
        return None if self._walls is None or self._walls.fields.never else self._walls

    @property
    def tz(self) -> ZoneInfo:
        """The time zone itself."""
        return self._tz

    def makes_up(self, segment: Segment) -> bool:
        """Whether a fire that the gap before `segment` swallowed is made up for at its begin."""
        return self._walls is not None and self._caught_up(segment, self._walls)

    def describe(self) -> str:
        """What it means, in plain words: "At 03:00, Monday to Friday"."""
        return describe(self.fields)

    def after(self, at: datetime) -> datetime | None:
        """The first fire after `at`, exclusive; None where there is none."""
        walls, at = self._walls, _utc(at)
        if walls is None or walls.fields.never:
            return None
        found: datetime | None = None  # the next wall time, as long as walls only grow
        asked: datetime | None = None
        for segment in forward(self._tz, at):
            if segment.begin > at and self._caught_up(segment, walls):
                return segment.begin
            low = self._low(segment, walls, max(segment.begin, at + timedelta(microseconds=1)))
            if found is None or asked is None or low < asked or found < low:
                asked, found = low, walls.next(low)
                if found is None:
                    return None
            if found < _wall(segment.end, segment.offset):
                return _instant(found, segment.offset)
            leap = _instant(found, _NEAR)
            if at + _NEAR < segment.end < leap:  # nothing on any wall until then, and no repeated hour in the way
                return self.after(leap)
        return None

    def before(self, at: datetime) -> datetime | None:
        """The last fire before `at`, exclusive; None where there is none."""
        walls, at = self._walls, _utc(at)
        if walls is None or walls.fields.never:
            return None
        for segment in backward(self._tz, at):
            found = walls.prev(_wall(min(segment.end, at), segment.offset))
            if found is None:
                return None
            if found >= self._low(segment, walls, segment.begin):
                return _instant(found, segment.offset)
            if self._caught_up(segment, walls):
                return segment.begin
            leap = _instant(found, -_NEAR)
            if leap < segment.begin < at - _NEAR:
                return self.before(leap)
        return None

    def between(self, start: datetime, end: datetime, limit: int = 100_000) -> list[datetime]:
        """All fires from `start`, inclusive, to `end`, exclusive; the first `limit` of them."""
        result: list[datetime] = []
        for fire in self._between(_utc(start), _utc(end)):
            if len(result) >= limit:
                break
            result.append(fire)
        return result

    def _between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        walls = self._walls
        if walls is None or walls.fields.never or end <= start:
            return
        for segment in forward(self._tz, start):
            if segment.begin >= end:
                return
            if segment.begin >= start and self._caught_up(segment, walls):
                yield segment.begin
            low = self._low(segment, walls, max(segment.begin, start))
            for wall in walls.within(low, _wall(min(segment.end, end), segment.offset)):
                yield _instant(wall, segment.offset)

    @staticmethod
    def _low(segment: Segment, walls: Walls, at: datetime) -> datetime:
        """The wall time at `at`, or the first one that is new where a repeated one counts once."""
        low = _wall(at, segment.offset)
        return low if walls.fields.wildcard else max(low, segment.seen)

    @staticmethod
    def _caught_up(segment: Segment, walls: Walls) -> bool:
        """True where a fire that the gap before `segment` swallowed is made up for at its begin.

        A fire that is due at the begin anyway does not count: that one is found on the wall.
        """
        jump = segment.offset - segment.before
        if walls.fields.wildcard or not timedelta(0) < jump < MAX_JUMP:
            return False
        gap, end = _wall(segment.begin, segment.before), _wall(segment.begin, segment.offset)
        if any(wall == end for wall in walls.within(end, end + MINUTE)):
            return False
        return any(True for _ in walls.within(max(gap, segment.seen), end))


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a schedule needs aware datetimes")
    return at.astimezone(UTC)


def _wall(at: datetime, offset: timedelta) -> datetime:
    return (at + offset).replace(tzinfo=None)


def _instant(wall: datetime, offset: timedelta) -> datetime:
    return (wall - offset).replace(tzinfo=UTC)


@lru_cache(maxsize=16_384)
def _parse(expression: str, timezone: str) -> Schedule:
    tz = zone(timezone)
    return Schedule(expression, tz.key, tz, None if expression == REBOOT else read(expression))


def parse(expression: str, timezone: str = "UTC") -> Schedule:
    """The schedule of a cron expression in an IANA time zone. Raises ScheduleError: one line, with what to write."""
    if not isinstance(timezone, str):
        raise ScheduleError(
            f"a time zone must be text, not {type(timezone).__name__}", "write an IANA name such as Europe/Berlin"
        )
    text = normal(expression)
    try:
        return _parse(text, timezone)
    except ScheduleError as error:
        raise error.placed(expression) from None
