"""A strict reading of cron expressions: five fields as Debian's cron reads them, or an error that says what to write.

Accepted: ``*``, numbers, ranges, lists, steps on ``*`` or on a range, three-letter names of months and weekdays in any
case, weekdays 0-7 (0 and 7 are Sunday), ``@hourly`` and its like, ``@reboot``. What other programs read differently or
silently misread (``22-2``, ``5/15``, ``5,``, a sixth field, ``L W # ? H R ~``) is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from backends.schedule.errors import ScheduleError

MAX_LENGTH = 256
ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
REBOOT = "@reboot"
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
DAYS_IN = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""The most days a month can have, by month."""

_CHECK_DATE = "use a daily schedule and let the command check the date"
_FOREIGN = {
    "?": "write * instead",
    "#": f"cron has no Nth weekday; {_CHECK_DATE}",
    "~": "cron picks no random times; name one, and use the job's jitter",
    "%": "a command does not belong here; write the five fields only",
    "=": "set the time zone with the timezone key, and write the five fields only",
}
_FOREIGN_WORDS = {
    "l": f"cron has no last day; {_CHECK_DATE}",
    "lw": f"cron has no last weekday; {_CHECK_DATE}",
    "w": f"cron has no nearest weekday; {_CHECK_DATE}",
    "h": "cron has no hashed times; name one, and use the job's jitter",
    "r": "cron picks no random times; name one, and use the job's jitter",
}


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, name: str) -> int:
        return self.names.index(name) + (1 if self.low else 0)


FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, MONTHS),
    _Field("weekday", 0, 7, DAYS),
)


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
        """True where no calendar has such a day (30 February)."""
        return self.day_and and not any(self.days[0] <= DAYS_IN[month] for month in self.months)


def normal(expression: object) -> str:
    """The expression with single spaces, aliases in small letters. Raises ScheduleError where it can't be one."""
    if not isinstance(expression, str):
        raise ScheduleError(f"a schedule must be text, not {type(expression).__name__}", 'write "0 3 * * *"')
    if len(expression) > MAX_LENGTH:
        raise ScheduleError(f"a schedule has at most {MAX_LENGTH} characters", "use ranges and steps")
    text = " ".join(expression.split())
    if not text:
        raise ScheduleError("the schedule is empty", 'write "minute hour day month weekday", such as "0 3 * * *"')
    if text.startswith("@"):
        return _alias(text)
    for character in text:
        if character in _FOREIGN:
            raise ScheduleError(f"{_show(text)}: cron has no '{character}'", _FOREIGN[character])
        if not (character.isascii() and character.isprintable()):
            raise ScheduleError(f"{_show(text)}: {_name(character)} does not belong here", "use plain ASCII characters")
    return text


def _alias(text: str) -> str:
    word = text.lower()
    if word in ALIASES or word == REBOOT:
        return word
    if word.startswith("@every"):
        raise ScheduleError(f"{_show(text)}: cron has no @every", "write */5 * * * * for every five minutes")
    known = [*ALIASES, REBOOT]
    close = get_close_matches(word, known, n=1)
    raise ScheduleError(
        f"no schedule {_show(text)}", f"did you mean {close[0]}?" if close else "use " + ", ".join(known)
    )


def _name(character: str) -> str:
    return f"'{character}'" if character.isprintable() else f"the character U+{ord(character):04X}"


def _show(text: str) -> str:
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    return f"'{text}'" if len(text) <= 60 else f"'{text[:57]}…'"


def read(text: str) -> Fields:
    """The fields of a normal expression that is not ``@reboot``. Raises ScheduleError."""
    words = ALIASES.get(text, text).split(" ")
    if len(words) != 5:
        raise _count(text, words)
    minutes, hours, days, months, weekdays = (
        tuple(sorted(_field(field, word, text))) for field, word in zip(FIELDS, words, strict=True)
    )
    return Fields(
        minutes,
        hours,
        days,
        months,
        tuple(sorted({day % 7 for day in weekdays})),
        day_and=words[2].startswith("*") or words[4].startswith("*"),
        wildcard=words[0].startswith("*") or words[1].startswith("*"),
    )


def _count(text: str, words: list[str]) -> ScheduleError:
    problem = f"{_show(text)} has {len(words)} field{'' if len(words) == 1 else 's'}, cron has 5"
    if len(words) == 6:
        return ScheduleError(problem, f'if the first one is the seconds, write "{" ".join(words[1:])}"')
    if len(words) == 7:
        return ScheduleError(problem, f'if it is seconds first and year last, write "{" ".join(words[1:6])}"')
    return ScheduleError(problem, 'write "minute hour day month weekday", such as "0 3 * * *"')


def _field(field: _Field, word: str, text: str) -> set[int]:
    values: set[int] = set()
    for item in word.split(","):
        try:
            values |= _item(field, item)
        except _WrongError as wrong:
            raise ScheduleError(f"{_show(text)}: {field.name} {_show(item)} {wrong.message}", wrong.hint) from None
    return values


class _WrongError(Exception):
    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def _item(field: _Field, item: str) -> set[int]:
    if not item:
        raise _WrongError("is empty", "take out the extra comma")
    span, slash, step_text = item.partition("/")
    step = _step(step_text) if slash else 1
    if span == "*":
        high = 6 if field.high == 7 else field.high
        return set(range(field.low, high + 1, step))
    first, dash, last = span.partition("-")
    if not dash:
        low = _value(field, first)
        if slash:
            end = 6 if field.high == 7 else field.high
            raise _WrongError("has a step without a range", f"write {first}-{end}/{step}, or */{step}")
        return {low}
    low, high = _value(field, first), _value(field, last)
    if field.high == 7 and last.lower() == "sun" and low > 0:
        high = 7
    if low > high:
        raise _WrongError("runs backwards", f"write {_two_ranges(field, first, last, low, high)}")
    return set(range(low, high + 1, step))


def _two_ranges(field: _Field, first: str, last: str, low: int, high: int) -> str:
    if field.high == 7 and high == 0:
        return f"{first}-7" if low < 7 else "0"
    start, lowest = (1, field.high) if field.high == 7 else (field.low, field.high)
    head = first if low == lowest else f"{first}-{lowest}"
    tail = last if high == start else f"{start}-{last}"
    return f"{head},{tail}"


def _step(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 4:
        raise _WrongError("has no valid step", "write a number after the /, as in */5")
    if int(text) == 0:
        raise _WrongError("has a step of 0", "a step is 1 or more, as in */5")
    return int(text)


def _value(field: _Field, text: str) -> int:
    low, high = field.low, field.high
    if text.isascii() and text.isdigit():
        number = int(text) if len(text) <= 6 else 999_999
        if low <= number <= high:
            return number
        hint = f"it goes from {low} to {high}"
        if field.name == "hour" and number == 24:
            hint = "midnight is hour 0"
        elif field.name == "minute" and number == 60:
            hint = "the full hour is minute 0"
        raise _WrongError("is out of range", hint)
    word = text.lower()
    if word in field.names:
        return field.number(word)
    raise _WrongError(*_not_a_value(field, word))


def _not_a_value(field: _Field, word: str) -> tuple[str, str]:
    if not word:
        return "lacks a number", f"write a number from {field.low} to {field.high}, a range or *"
    letters = word.strip("0123456789")
    if word[:1] == "h" and word[1:2] in ("", "("):
        letters = "h"
    if letters in _FOREIGN_WORDS:
        return "is not cron", _FOREIGN_WORDS[letters]
    if field.names:
        if len(word) > 3 and word[:3] in field.names:
            return "is not a name cron knows", f"write {word[:3]}"
        close = get_close_matches(word, field.names, n=1)
        return "is not a name cron knows", f"did you mean {close[0]}?" if close else "use " + ", ".join(field.names)
    if word in MONTHS or word in DAYS:
        return "stands in the wrong field", 'the order is "minute hour day month weekday"'
    if "*" in word:
        return "mixes * with something else", "* stands alone or with a step, as in */5"
    return "is not a number", f"write a number from {field.low} to {field.high}, a range or *"
