"""What may surprise about a schedule, said before it happens: hints for a preview and for `cronsole check`.

A hint is given only where it is true of this expression in this zone, with its own values. An everyday schedule has
none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise

from backends.schedule import hints_days, hints_dst, hints_steps
from backends.schedule.cron import Schedule, parse
from backends.schedule.errors import ScheduleError
from backends.schedule.hint import DAY, Facts, Hint
from backends.schedule.words import and_list, date_words
from backends.schedule.zones import zone

__all__ = ["CODES", "Hint", "entered", "herd", "hints"]

MOST = 5
"""Hints of one schedule; the least important ones are left out beyond."""
HERD = 10
"""So many jobs at one instant are worth a word, if it is also CROWD times what a minute of the week has on average."""
CROWD = 5

_KINDS = (
    hints_steps.every_minute,
    hints_days.day_or,
    hints_steps.uneven_step,
    hints_steps.step_too_big,
    hints_days.rare,
    hints_days.day_short_months,
    hints_dst.gap,
    hints_dst.overlap,
    hints_dst.abbreviation,
    hints_days.day_and_star,
    hints_steps.name_range,
    hints_steps.equal_range,
    hints_steps.dow7,
)
CODES = (
    "reboot", "never", "too_often", "every_minute", "day_or", "uneven_step", "step_too_big", "rare", "day_short_months",
    "midnight_gap", "dst_gap", "dst_overlap", "zone_name", "day_and_star", "name_range", "equal_range", "dow7", "herd",
)  # fmt: skip
"""Every code there is, the most important first. What a code means does not change."""


def hints(schedule: Schedule, now: datetime, *, usual_ms: float | None = None) -> tuple[Hint, ...]:
    """What may surprise about the schedule from `now` (aware) on, the most important first, at most five.

    `usual_ms` is how long a run of the job usually takes, in milliseconds.
    """
    fields = schedule.fields
    if fields is None:
        return (Hint("reboot", "fires once when the first engine of a host starts, at no time that is known before"),)
    facts = Facts(schedule, fields, now)
    never = [*hints_days.never(facts)]
    if never:
        return tuple(never)
    found = [*_too_often(facts, usual_ms), *(hint for kind in _KINDS for hint in kind(facts))]
    return tuple(found[:MOST])


def entered(expression: str, timezone: str, now: datetime) -> Schedule:
    """The schedule of an expression that somebody enters: as `parse`, but one that never fires is an error too.

    Raises ScheduleError.
    """
    schedule = parse(expression, timezone)
    if schedule.fields is not None:
        facts = Facts(schedule, schedule.fields, now)
        for hint in hints_days.never(facts):
            remedy = "write a day that these months have" if schedule.fields.never else "write another time"
            span = facts.words[2 if schedule.fields.never else 0].span
            raise ScheduleError(hint.message, remedy, span, schedule.expression).placed(expression)
    return schedule


def _too_often(facts: Facts, usual_ms: float | None) -> Iterator[Hint]:
    shortest = None if usual_ms is None else _shortest(facts)
    if usual_ms is not None and shortest is not None and usual_ms > shortest.total_seconds() * 1000:
        text = f"a run usually takes {_length(usual_ms / 1000)}, and the next fire may come after"
        yield Hint(
            "too_often", f"{text} {_length(shortest.total_seconds())}: what happens then is the overlap policy's"
        )


def _shortest(facts: Facts) -> timedelta | None:
    """The shortest time between two fires of the next twelve months, clock changes left aside."""
    minutes = [hour * 60 + minute for hour in facts.fields.hours for minute in facts.fields.minutes]
    within = [b - a for a, b in pairwise(minutes)]
    days = [(b - a).days for a, b in pairwise(facts.days)]
    if days:
        within.append(min(days) * 1440 - minutes[-1] + minutes[0])
    return timedelta(minutes=min(within)) if within and facts.days else None


def _length(seconds: float) -> str:
    """A length of time in at most two units, in words."""
    units = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    rest = round(seconds)
    parts: list[str] = []
    for noun, size in units:
        number, rest = divmod(rest, size)
        if number and len(parts) < 2:
            parts.append(f"{number} {noun}{'' if number == 1 else 's'}")
    return " ".join(parts)


def herd(schedules: Mapping[str, Schedule], now: datetime) -> Hint | None:
    """The busiest instant of the week after `now` (aware), where ten or more of these jobs, by name, fire at once.

    Jobs that fire more than once an hour are left out: they are always there. Leave out jobs that have a jitter.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name, schedule in schedules.items():
        fields = schedule.fields
        if fields is not None and len(fields.minutes) == 1:
            groups.setdefault((schedule.expression, schedule.timezone), []).append(name)
    count: Counter[datetime] = Counter()
    for names in groups.values():
        for fire in schedules[names[0]].between(now, now + 7 * DAY):
            count[fire] += len(names)
    if not count:
        return None
    at = min(count, key=lambda fire: (-count[fire], fire))
    if count[at] < max(HERD, CROWD * count.total() / (7 * 1440)):
        return None
    here = [names for names in groups.values() if schedules[names[0]].between(at, at + timedelta(minutes=1))]
    jobs = sorted(name for names in here for name in names)
    local = at.astimezone(zone(schedules[jobs[0]].timezone))
    some = and_list([*jobs[:3], f"{len(jobs) - 3} others"])
    text = f"{len(jobs)} jobs fire at once on {date_words(local)} at {local:%H:%M} ({schedules[jobs[0]].timezone})"
    return Hint("herd", f"{text}: {some}; other minutes or a jitter would spread them")
