"""Clock changes: when a zone has one, and which fires of a schedule one has touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from backends.schedule.cron import Schedule
from backends.schedule.fields import Fields
from backends.schedule.zones import LAST_YEAR, MAX_JUMP, Segment, forward, segments, zone

HORIZON = 28
"""Years that are searched for clock changes: one round of the calendar."""
_ZERO, _MINUTE, _DAY = timedelta(0), timedelta(minutes=1), timedelta(days=1)
_NEAR = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class ClockChange:
    """The instant `at` (aware, UTC) from which local time is UTC + `after`; it was UTC + `before`."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def jump(self) -> timedelta:
        """How far the clock goes forward; negative where it goes back."""
        return self.after - self.before

    @property
    def walls(self) -> tuple[datetime, datetime]:
        """The wall times, naive, from which and to which the clock goes."""
        at = self.at.replace(tzinfo=None)
        return at + self.before, at + self.after


@dataclass(frozen=True, slots=True)
class Mark:
    """What a clock change did to one fire. `text` says it in words.

    ``gap``: it stands for times that do not exist that day. ``first``, ``second``: its time comes twice that day, and
    this is the first or the second time.
    """

    kind: Literal["gap", "first", "second"]
    text: str


def clock_changes(timezone: str, start: datetime, count: int) -> list[ClockChange]:
    """The next `count` clock changes of the zone after `start` (aware), within 28 years; fewer where there are fewer.

    Raises ScheduleError where there is no such zone.
    """
    tz = zone(timezone)
    start = start.astimezone(UTC)
    found: list[ClockChange] = []
    if tz.utcoffset(None) is not None:  # a zone that has one offset for ever says so
        return found
    for segment in forward(tz, start):
        if len(found) >= count or segment.begin.year > start.year + HORIZON:
            break
        if segment.begin > start and segment.before != segment.offset:
            found.append(ClockChange(segment.begin, segment.before, segment.offset))
    return found


def swallowed(fields: Fields, change: ClockChange) -> list[datetime]:
    """The wall times, naive, that the schedule has in the gap of a clock going forward; empty where it goes back."""
    return walls_within(fields, *change.walls)


def walls_within(fields: Fields, begin: datetime, end: datetime) -> list[datetime]:
    """The wall times of the fields in ``[begin, end)``, naive: what the calendar says, without any time zone."""
    found = []
    day = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < end:
        if fields.on(day.date()):
            for hour in fields.hours:
                if day + timedelta(hours=hour + 1) > begin and day + timedelta(hours=hour) < end:
                    walls = (day + timedelta(hours=hour, minutes=minute) for minute in fields.minutes)
                    found += [wall for wall in walls if begin <= wall < end]
        day += _DAY
    return found


def mark(schedule: Schedule, at: datetime) -> Mark | None:
    """What a clock change did to the fire at `at` (aware), which must be one of the schedule's; mostly None."""
    fields = schedule.fields
    if fields is None:
        return None
    at = at.astimezone(UTC)
    tz = zone(schedule.timezone)
    year = segments(tz, at.year)
    place = len(year) - 1
    while year[place].begin > at:
        place -= 1
    segment = year[place]
    wall = (at + segment.offset).replace(tzinfo=None)
    if wall < segment.seen:
        return Mark("second", f"{wall:%H:%M} comes twice that {_part(wall)}, this is the second time")
    if at == segment.begin and _ZERO < segment.offset - segment.before < MAX_JUMP and not fields.wildcard:
        return _caught_up(fields, segment, wall)
    later = year[place + 1] if place + 1 < len(year) else _next_year(tz, segment, at)
    if later is not None and (later.begin + later.offset).replace(tzinfo=None) <= wall < later.seen:
        only = "this is the first time" if fields.wildcard else "it fires the first time only"
        return Mark("first", f"{wall:%H:%M} comes twice that {_part(wall)}, {only}")
    return None


def _next_year(tz: ZoneInfo, segment: Segment, at: datetime) -> Segment | None:
    """The segment after the last one of a year, where it is near enough to matter."""
    if segment.end - at > _NEAR or at.year >= LAST_YEAR:
        return None
    return segments(tz, at.year + 1)[0]


def _caught_up(fields: Fields, segment: Segment, wall: datetime) -> Mark | None:
    gap = swallowed(fields, ClockChange(segment.begin, segment.before, segment.offset))
    if not gap:
        return None
    text = f"{times(gap)} {'does' if len(gap) == 1 else 'do'} not exist that {_part(gap[0])}"
    if walls_within(fields, wall, wall + _MINUTE):
        text += f", the fire at {wall:%H:%M} stands for {'it' if len(gap) == 1 else 'them'} too"
    return Mark("gap", text)


def times(walls: Sequence[datetime]) -> str:
    """Wall times of one night in words: "02:00, 02:20 and 02:40"."""
    names = [f"{wall:%H:%M}" for wall in walls]
    if len(names) > 4:
        return f"{names[0]}, {names[1]} to {names[-1]} ({len(names)} times)"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _part(wall: datetime) -> str:
    return "day" if 6 <= wall.hour < 18 else "night"
