"""A strict reading of cron expressions: five fields as Debian's cron reads them, or an error that says what to write.

Accepted: ``*``, numbers, ranges, lists, steps on ``*`` or on a range, three-letter names of months and weekdays in any
case, weekdays 0-7 (0 and 7 are Sunday), ``@hourly`` and its like in any case, ``@reboot``. What other programs read
differently or silently misread (``22-2``, ``5/15``, ``5,``, a sixth field, ``L W # ? H R ~``) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from backends.schedule import refusals
from backends.schedule.dialect import ALIASES, DAYS, DAYS_IN, FIELDS, MAX_LENGTH, REBOOT, Field
from backends.schedule.errors import ScheduleError, Span
from backends.schedule.refusals import WrongError, quoted

_ODD = re.compile(r"[^ \t\r\n\v\f!-~]|[?#~%=]")
"""What no expression has: what is not plain ASCII, and characters that mean something to other programs only."""


@dataclass(frozen=True, slots=True)
class Item:
    """One part of a field's list, ``5``, ``1-5`` or ``*/15``: `low` to `high` by `step`; `star` where it is ``*``."""

    text: str
    low: int
    high: int
    step: int
    star: bool

    @property
    def values(self) -> range:
        return range(self.low, self.high + 1, self.step)


@dataclass(frozen=True, slots=True)
class Word:
    """One field as it is written, with its columns in the normal expression."""

    field: Field
    text: str
    span: Span
    items: tuple[Item, ...]

    @property
    def star(self) -> bool:
        return self.text.startswith("*")


@dataclass(frozen=True, slots=True)
class Fields:
    """The parsed sets, each sorted. Weekdays are 0 (Sunday) to 6.

    `day_and`: a day needs both its number and its weekday in the sets (one of the two fields starts with ``*``);
    otherwise one of the two is enough. `wildcard`: minute or hour starts with ``*``; such a job follows elapsed time
    over a clock change, any other one is tied to the time on the wall.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    day_and: bool
    wildcard: bool

    @property
    def every_day_number(self) -> bool:
        return len(self.days) == 31

    @property
    def every_weekday(self) -> bool:
        return len(self.weekdays) == 7

    @property
    def any_day(self) -> bool:
        """True where neither day field restricts anything."""
        if self.day_and:
            return self.every_day_number and self.every_weekday
        return self.every_day_number or self.every_weekday

    @property
    def never(self) -> bool:
        """True where no calendar has such a day (30 February).

        Exact: each date that some year has falls on each weekday in some year, also 29 February within 28 years.
        """
        return self.day_and and not any(self.days[0] <= DAYS_IN[month] for month in self.months)

    def on(self, day: date) -> bool:
        """Whether it fires on that day of the calendar at all."""
        if day.month not in self.months:
            return False
        number, weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return number and weekday if self.day_and else number or weekday


def normal(expression: object) -> str:
    """The expression with single spaces, aliases in small letters. Raises ScheduleError where it can't be one."""
    if not isinstance(expression, str):
        raise ScheduleError(f"a schedule must be text, not {type(expression).__name__}", 'write "0 3 * * *"')
    if len(expression) > MAX_LENGTH:
        problem = f"a schedule has at most {MAX_LENGTH} characters"
        raise ScheduleError(problem, "use ranges and steps", (MAX_LENGTH, len(expression)))
    odd = _ODD.search(expression)
    if odd is not None:
        raise refusals.character(expression, odd.start())
    text = " ".join(expression.split())
    if not text:
        raise ScheduleError("the schedule is empty", refusals.ORDER, (0, len(expression)))
    if text.startswith("@"):
        word = text.lower()
        if word in ALIASES or word == REBOOT:
            return word
        start = expression.index("@")
        raise refusals.alias(text, (start, len(expression.rstrip())))
    return text


def read(text: str) -> Fields:
    """The fields of a normal expression that is not ``@reboot``. Raises ScheduleError with columns in that text."""
    minutes, hours, days, months, weekdays = read_words(text)
    return Fields(
        _values(minutes),
        _values(hours),
        _values(days),
        _values(months),
        tuple(sorted({value % 7 for value in _values(weekdays)})),
        day_and=days.star or weekdays.star,
        wildcard=minutes.star or hours.star,
    )


def _values(word: Word) -> tuple[int, ...]:
    return tuple(sorted({value for item in word.items for value in item.values}))


def read_words(text: str) -> Iterator[Word]:
    """The five fields of a normal expression that is not ``@reboot``, one by one. Raises ScheduleError."""
    written = ALIASES.get(text, text)
    words = written.split(" ")
    if len(words) != 5:
        raise refusals.count(text, words)
    at = 0
    for field, word in zip(FIELDS, words, strict=True):
        yield Word(field, word, (at, at + len(word)), tuple(_items(field, word, written, at)))
        at += len(word) + 1


def _items(field: Field, word: str, text: str, at: int) -> Iterator[Item]:
    column = at
    for part in word.split(","):
        if not part:
            comma = max(column - 1, at)
            raise ScheduleError(f"{field.name} '' is empty", "take out the extra comma", (comma, comma + 1), text)
        try:
            yield _item(field, part)
        except WrongError as wrong:
            problem = f"{field.name} {quoted(part)} {wrong.problem}"
            raise ScheduleError(problem, wrong.remedy, (column + wrong.start, column + wrong.end), text) from None
        column += len(part) + 1


def _item(field: Field, part: str) -> Item:
    span, slash, step_text = part.partition("/")
    step = _step(step_text, len(span) + 1) if slash else 1
    if span == "*":
        return Item(part, field.low, field.top, step, star=True)
    first, dash, last = span.partition("-")
    low = _value(field, first, 0)
    if not dash:
        if slash:
            raise WrongError(
                "has a step without a range", f"write {first}-{field.top}/{step}, or */{step}", 0, len(part)
            )
        return Item(part, low, low, 1, star=False)
    high = _value(field, last, len(first) + 1)
    if field.names == DAYS and last.lower() == "sun" and low > 0:
        high = 7
    if low > high:
        remedy = refusals.backwards(field, first, last, low, high, step_text)
        raise WrongError("runs backwards", remedy, 0, len(part))
    return Item(part, low, high, step, star=False)


def _step(text: str, start: int) -> int:
    start, end = (start, start + len(text)) if text else (start - 1, start)
    if not (text.isascii() and text.isdigit()) or len(text) > 4:
        raise WrongError("has no valid step", "write a number after the /, as in */5", start, end)
    if int(text) == 0:
        raise WrongError("has a step of 0", "a step is 1 or more, as in */5", start, end)
    return int(text)


def _value(field: Field, text: str, start: int) -> int:
    if text.isascii() and text.isdigit():
        number = int(text[:6])
        if len(text) <= 6 and field.low <= number <= field.high:
            return number
    elif text.lower() in field.names:
        return field.number(text.lower())
    raise refusals.value(field, text, start)
