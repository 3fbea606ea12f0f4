"""A schedule at a glance, made anew at every key an operator types: words, warnings, next fires, days of a month."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from backends.model import to_ms
from backends.schedule.cron import Schedule, parse
from backends.schedule.dialect import ALIASES
from backends.schedule.dst import Mark, mark
from backends.schedule.explain import FieldWords, explain
from backends.schedule.hints import Hint, hints
from backends.schedule.timeline import counts
from backends.schedule.zones import FIRST_YEAR, LAST_YEAR, forward

MOST = 40
FAR = timedelta(days=30 * 366)
"""A little more than one round of the calendar: farther fires are not looked for, each costs up to 0.2 ms."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a schedule means. `short_for`: the five fields that ``@daily`` stands for, else empty."""

    schedule: Schedule
    description: str
    short_for: str
    fields: tuple[FieldWords, ...]
    hints: tuple[Hint, ...]


@dataclass(frozen=True, slots=True)
class NextFire:
    """A fire: in UTC, on the wall of the schedule's zone, and what a clock change did to it."""

    at: datetime
    local: datetime
    mark: Mark | None


@dataclass(frozen=True, slots=True)
class MonthFires:
    """Fires of each day of a month, the 1st first, and the days on which the clock changes."""

    counts: tuple[int, ...]
    changes: frozenset[int]


def preview(expression: str, timezone: str, now: datetime) -> Preview:
    """All but the fires. Raises ScheduleError; one that never fires is no error here, but has a hint that says so."""
    schedule = parse(expression, timezone)
    fields = explain(expression)
    if len(fields) > 1:
        fields = fields[-5:]
    short_for = ALIASES.get(schedule.expression, "")
    return Preview(schedule, schedule.describe(), short_for, fields, hints(schedule, now))


def fires_from(schedule: Schedule, start: datetime, most: int = MOST) -> tuple[NextFire, ...]:
    """The first fires from `start` (aware) on, inclusive; beyond the first one only those within 30 years."""
    found: list[NextFire] = []
    at = schedule.after(start - timedelta(microseconds=1))
    while at is not None and len(found) < most:
        if found and at - start > FAR:
            break
        found.append(NextFire(at, at.astimezone(schedule.tz), mark(schedule, at)))
        at = schedule.after(at)
    return tuple(found)


def fires_within(schedule: Schedule, start: datetime, length: timedelta) -> int:
    """How many fires there are from `start` (aware) on."""
    return counts({"": schedule}, [to_ms(start), to_ms(start + length)]).total[0]


def month_fires(schedule: Schedule, year: int, month: int) -> MonthFires:
    """How often it fires on each day of a month of its zone. A day that the zone skips has no fires."""
    days = monthrange(year, month)[1]
    if not FIRST_YEAR < year < LAST_YEAR:
        return MonthFires((0,) * days, frozenset())
    first = datetime(year, month, 1)
    begins = [(first + _DAY * n).replace(tzinfo=schedule.tz).astimezone(UTC) for n in range(days + 1)]
    edges = list(accumulate(map(to_ms, begins), max))
    changes = set()
    for segment in forward(schedule.tz, begins[0]):
        if segment.begin >= begins[-1]:
            break
        if segment.begin >= begins[0] and segment.before != segment.offset:
            changes.add((segment.begin + segment.offset).day)
    return MonthFires(counts({"": schedule}, edges).total, frozenset(changes))
