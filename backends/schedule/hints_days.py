"""Hints about days: the two day fields together, short months, leap years, days that never come."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from backends.schedule.dialect import DAYS_IN
from backends.schedule.fields import Fields
from backends.schedule.hint import DAY, Facts, Hint
from backends.schedule.words import MONTH_NAMES, and_list, date_words
from backends.schedule.zones import zone

_ROUND = range(2000, 2028)
"""Years in which each date falls on each weekday at least once; 29 February exactly once."""


def never(facts: Facts) -> Iterator[Hint]:
    """No calendar has such a day, or each of its times is always swallowed by a clock change."""
    fields, schedule = facts.fields, facts.schedule
    if fields.never:
        months = [MONTH_NAMES[month - 1] for month in fields.months]
        have = "has" if len(months) == 1 else "have"
        yield Hint("never", f"never fires: {and_list(months)} {have} no day {fields.days[0]}")
    elif not yearly(fields) and schedule.after(facts.now) is None:
        yield Hint("never", f"never fires: in {schedule.timezone} the clock skips each of its times")


def rare(facts: Facts) -> Iterator[Hint]:
    """29 February, and the like: there are years without a fire."""
    if yearly(facts.fields):
        return
    tz, at = zone(facts.schedule.timezone), facts.now
    dates: list[date] = []
    while len(dates) < 2:
        found = facts.schedule.after(at)
        if found is None:
            break
        dates.append(found.astimezone(tz).date())
        at = datetime.combine(dates[-1] + DAY, time.min, tz) - timedelta(microseconds=1)
    if dates:
        then = f", then on {date_words(dates[1])}" if len(dates) > 1 else ""
        yield Hint("rare", f"not in every year: next on {date_words(dates[0])}{then}")


@lru_cache(maxsize=4096)
def yearly(fields: Fields) -> bool:
    """Whether every year has a day of it. Exact: a year is one of 14 kinds, and 28 years have them all."""
    if fields.never:
        return False
    if not fields.day_and:
        return True
    if fields.every_weekday:
        return not (fields.months == (2,) and fields.days[0] == 29)
    return all(_has_day(fields, year) for year in _ROUND)


def _has_day(fields: Fields, year: int) -> bool:
    leap = year % 4 == 0
    for month in fields.months:
        last = 28 if month == 2 and not leap else DAYS_IN[month]
        if any(date(year, month, day).isoweekday() % 7 in fields.weekdays for day in fields.days if day <= last):
            return True
    return False


def day_or(facts: Facts) -> Iterator[Hint]:
    """Both day fields restrict: one of the two is enough."""
    fields = facts.fields
    numbers, weekdays = facts.words[2], facts.words[4]
    if fields.day_and:
        return
    if fields.any_day:
        full, other = (numbers, weekdays) if fields.every_day_number else (weekdays, numbers)
        text = f"`{full.text}` is every day, and one of the two day fields is enough: `{other.text}` changes nothing"
        yield Hint("day_or", text)
        return
    both = [d for d in facts.days if d.day in fields.days and d.isoweekday() % 7 in fields.weekdays]
    either = f"one of the two day fields is enough: {_days(len(facts.days))} in the next 12 months"
    yield Hint("day_or", f"{either}, on {len(both) or 'none'} of them both are true")


def day_and_star(facts: Facts) -> Iterator[Hint]:
    """``*/2 * 1``: both fields count, because one starts with a star; others read it as either."""
    fields = facts.fields
    if not fields.day_and or fields.every_day_number or fields.every_weekday or fields.never:
        return
    either = [d for d in facts.year if d.month in fields.months and _either(fields, d)]
    text = (
        f"both day fields must be true, as one starts with `*`: {_days(len(facts.days))} in the next 12 months;"
        f" to Kubernetes one is enough, {_days(len(either))}"
    )
    yield Hint("day_and_star", text)


def _either(fields: Fields, day: date) -> bool:
    return day.day in fields.days or day.isoweekday() % 7 in fields.weekdays


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"


def day_short_months(facts: Facts) -> Iterator[Hint]:
    """Day 29, 30 or 31, standing apart: months that do not have it."""
    fields = facts.fields
    if not fields.every_weekday or fields.every_day_number or not yearly(fields):
        return
    for day in fields.days:
        if day <= 28 or {day - 1, day - 2} & {*fields.days}:
            continue  # part of a run such as 28-31, or of every other day
        short = [MONTH_NAMES[month - 1] for month in fields.months if DAYS_IN[month] < day]
        if short:
            have = "has" if len(short) == 1 else "have"
            yield Hint("day_short_months", f"{and_list(short)} {have} no day {day}: nothing fires instead")
        elif day == 29 and 2 in fields.months:
            leap = next(year for year in range(facts.today.year, facts.today.year + 9) if isleap(year))
            text = f"February has a day 29 in leap years only, such as {leap}: nothing fires instead"
            yield Hint("day_short_months", text)
