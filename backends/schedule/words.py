"""A schedule in plain words, made from the parsed sets and never from the text, so that it is true for every one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from backends.schedule.dialect import DAYS_IN
from backends.schedule.fields import Fields

MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
DAY_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
WEEK = (1, 2, 3, 4, 5, 6, 0)
_FEW, _MANY = 3, 6


def describe(fields: Fields | None) -> str:
    """One sentence without a full stop; None is ``@reboot``."""
    if fields is None:
        return "When an engine starts"
    if fields.never:
        return "Never: no month of it has such a day"
    time, fixed = _time(fields)
    day = _day(fields)
    if not day:
        return f"{time}, every day" if fixed else time
    return f"{time}, {day}"


def _time(fields: Fields) -> tuple[str, bool]:
    """The time of day, and whether it names clock times (and so wants to hear of days)."""
    minutes, hours = fields.minutes, fields.hours
    every = 0 if len(minutes) * len(hours) <= _FEW else even(minutes, 60)
    run = _run(hours)
    if every:
        often = "Every minute" if every == 1 else f"Every {every} minutes"
        if len(hours) == 24:
            return often, False
        if run:
            return f"{often} from {hours[0]:02d}:00 to {hours[-1]:02d}:{minutes[-1]:02d}", False
        return f"{often} {_of_hours(hours)}", False
    if len(minutes) == 1:
        minute = minutes[0]
        if len(hours) == 24:
            return ("Every hour" if minute == 0 else f"Every hour at :{minute:02d}"), False
        step = even(hours, 24)
        if step and len(hours) > _FEW + 1:
            return f"Every {step} hours at :{minute:02d}", False
        if run and len(hours) > _FEW:
            return f"Every hour from {hours[0]:02d}:{minute:02d} to {hours[-1]:02d}:{minute:02d}", False
    if len(minutes) * len(hours) <= _MANY or len(minutes) == 1:
        times = [f"{hour:02d}:{minute:02d}" for hour in hours for minute in minutes]
        return f"At {and_list(times)}", True
    at = f"At {listed(minutes, _colon)}"
    if len(hours) == 24:
        return f"{at} of every hour", False
    return f"{at} {_of_hours(hours)}", False


def _of_hours(hours: Sequence[int]) -> str:
    return f"of the hour{'' if len(hours) == 1 else 's'} {listed(hours, _two)}"


def _day(fields: Fields) -> str:
    """The days; '' for every day of the year."""
    months = _months(fields.months)
    if fields.any_day:
        return f"every day{months}" if months else ""
    if fields.every_weekday and not fields.every_day_number:
        return _numbers(fields)
    weekdays = listed(fields.weekdays, lambda d: DAY_NAMES[d], WEEK)
    if fields.every_day_number:
        return (weekdays if " to " in weekdays else f"on {weekdays}") + months
    numbers, comma = _number_words(fields.days), "," if months else ""
    if fields.day_and:
        return f"on {numbers}, if it is {weekdays.replace(' and ', ' or ')}{comma}{months}"
    return f"on {numbers} or on {weekdays}{comma}{months}"


def _months(months: Sequence[int]) -> str:
    if len(months) == 12:
        return ""
    words = listed(months, lambda m: MONTH_NAMES[m - 1])
    return f" from {words}" if _run(months) and len(months) > 2 else f" in {words}"


def _numbers(fields: Fields) -> str:
    """Days by their number alone, in the months that have one of them."""
    months = [month for month in fields.months if fields.days[0] <= DAYS_IN[month]]
    if len(fields.days) == 1 and len(fields.months) < 12 and len(months) <= _MANY:
        return f"on {and_list([f'{fields.days[0]} {MONTH_NAMES[m - 1]}' for m in months])}"
    return f"on {_number_words(fields.days)}" + _months(months if len(fields.months) < 12 else fields.months)


def _number_words(days: Sequence[int]) -> str:
    if tuple(days) == tuple(range(1, 32, 2)):
        return "odd days of the month"
    if tuple(days) == tuple(range(2, 32, 2)):
        return "even days of the month"
    return f"day{'s' if len(days) > 1 else ''} {listed(days, str)} of the month"


def date_words(day: date) -> str:
    """A day as sentences name it: "Sunday 28 March 2027"."""
    return f"{DAY_NAMES[day.isoweekday() % 7]} {day.day} {MONTH_NAMES[day.month - 1]} {day.year}"


def even(values: Sequence[int], cycle: int) -> int:
    """The step of values that go evenly round the whole cycle from 0, else 0."""
    if len(values) < 2 or cycle % len(values):
        return 0
    step = cycle // len(values)
    return step if tuple(values) == tuple(range(0, cycle, step)) else 0


def _run(values: Sequence[int]) -> bool:
    return values[-1] - values[0] == len(values) - 1


def _two(value: int) -> str:
    return f"{value:02d}"


def _colon(value: int) -> str:
    return f":{value:02d}"


def listed(values: Sequence[int], word: Callable[[int], str], order: Sequence[int] | None = None) -> str:
    """Values in words; three or more that follow each other become "a to b"."""
    places = sorted(order.index(v) for v in values) if order else list(values)
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    parts: list[str] = []
    for run in runs:
        names = [word(order[place] if order else place) for place in run]
        parts += [f"{names[0]} to {names[-1]}"] if len(names) > 2 else names
    return and_list(parts)


def and_list(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
