"""Why a text is no schedule, and what to write instead. Every expression that is proposed here is one itself."""

from __future__ import annotations

import re
from difflib import get_close_matches

from backends.schedule.dialect import ALIASES, DAYS, MONTHS, REBOOT, Field
from backends.schedule.errors import ScheduleError, Span, short

ORDER = 'write "minute hour day month weekday", such as "0 3 * * *"'
_CHECK_DATE = "use a daily schedule and let the command check the date"
FOREIGN = {
    "?": "write * instead",
    "#": f"cron has no Nth weekday; {_CHECK_DATE}",
    "~": "cron picks no random times; name one, and use the job's jitter",
    "%": "a command does not belong here; write the five fields only",
    "=": "set the time zone with the timezone key, and write the five fields only",
}
"""Characters that mean something to other programs."""
_FOREIGN_WORDS = {
    "l": f"cron has no last day; {_CHECK_DATE}",
    "lw": f"cron has no last weekday; {_CHECK_DATE}",
    "w": f"cron has no nearest weekday; {_CHECK_DATE}",
    "h": "cron has no hashed times; name one, and use the job's jitter",
    "r": "cron picks no random times; name one, and use the job's jitter",
}
_EVERY = re.compile(r"@every\s+(\d{1,4})\s*(s|m|min|h|d)", re.IGNORECASE | re.ASCII)


class WrongError(Exception):
    """A part of a field that can't be used; `start` and `end` are columns within that part."""

    def __init__(self, problem: str, remedy: str, start: int, end: int) -> None:
        super().__init__(problem)
        self.problem, self.remedy, self.start, self.end = problem, remedy, start, end


def alias(text: str, span: Span) -> ScheduleError:
    """What is wrong with an unknown ``@word``."""
    word = text.lower()
    if word.startswith("@every"):
        return ScheduleError("cron has no @every", _every(text), span, text)
    known = [*ALIASES, REBOOT]
    close = get_close_matches(word.split()[0], known, n=1)
    remedy = f"write {close[0]}" if close else "use one of " + ", ".join(known)
    if " " in word and word.split()[0] in known:
        return ScheduleError(f"nothing goes with {close[0]}", f"write {close[0]} alone", span, text)
    return ScheduleError("there is no such short form", remedy, span, text)


def _every(text: str) -> str:
    """The expression for ``@every 5m``, which knows no clock; an example where there is none."""
    found = _EVERY.fullmatch(text)
    number, unit = (int(found[1]), found[2].lower()) if found else (0, "")
    minutes = number * {"h": 60, "d": 1440}.get(unit, 1)
    if unit == "s":
        minutes = number // 60 if number % 60 == 0 else 0
    if minutes == 1440:
        return 'write "0 0 * * *"'
    if minutes and minutes % 60 == 0 and 1440 % minutes == 0:
        return f'write "0 */{minutes // 60} * * *"' if minutes > 60 else 'write "0 * * * *"'
    if minutes and 60 % minutes == 0:
        return f'write "*/{minutes} * * * *"' if minutes > 1 else 'write "* * * * *"'
    return 'cron fires by the clock; write "*/5 * * * *" for every five minutes'


def count(text: str, words: list[str]) -> ScheduleError:
    """What is wrong with a number of fields that is not five."""
    problem = f"has {len(words)} field{'' if len(words) == 1 else 's'}, cron has 5"
    if f"@{text.lower()}" in (*ALIASES, REBOOT):
        return ScheduleError("lacks its @", f"write @{text.lower()}", (0, len(text)), text)
    if len(words) < 5:
        return ScheduleError(problem, ORDER, (len(text) - 1, len(text)), text)
    span = (len(" ".join(words[:5])) + 1, len(text))
    if len(words) == 6:
        return ScheduleError(problem, f"if the first one is the seconds, {_written(words[1:])}", span, text)
    if len(words) == 7:
        return ScheduleError(problem, f"if it is seconds first and year last, {_written(words[1:6])}", span, text)
    return ScheduleError(problem, ORDER, span, text)


def _written(words: list[str]) -> str:
    text = " ".join(words)
    return f'write "{text}"' if len(text) <= 60 else f"begin with {quoted(words[0])}, five fields in all"


def character(text: str, at: int) -> ScheduleError:
    """What is wrong with the character at that column of the text as typed."""
    found, span, whole = text[at], (at, at + 1), " ".join(text.split())
    if found in FOREIGN:
        return ScheduleError(f"'{found}' is not cron", FOREIGN[found], span, whole)
    name = f"'{found}'" if found.isprintable() else f"the character U+{ord(found):04X}"
    return ScheduleError(f"{name} does not belong here", "use plain ASCII characters", span, whole)


def backwards(field: Field, first: str, last: str, low: int, high: int, step: str) -> str:
    """The remedy for a range that runs backwards: the two it was meant to be, or its list where it has steps."""
    if step and int(step) > 1:
        cycle = field.top - field.low + 1
        values = {field.low + (v - field.low) % cycle for v in range(low, high + cycle + 1, int(step))}
        return "write " + ",".join(map(str, sorted(values)))
    if field.names == DAYS and high == 0:
        return f"write {first}-7" if low < 7 else "write 0"
    start, lowest = (1, 7) if field.names == DAYS else (field.low, field.high)
    head = first if low == lowest else f"{first}-{lowest}"
    tail = last if high == start else f"{start}-{last}"
    return f"write {head},{tail}"


def value(field: Field, text: str, start: int) -> WrongError:
    """What is wrong with a text that should be one value of the field and is not; `start` is its column."""
    end = start + len(text)
    if text.isascii() and text.isdigit():
        remedy = f"it goes from {field.low} to {field.high}"
        if field.name == "hour" and int(text[:6]) == 24:
            remedy = "midnight is hour 0"
        elif field.name == "minute" and int(text[:6]) == 60:
            remedy = "the full hour is minute 0"
        return WrongError("is out of range", remedy, start, end)
    word = text.lower()
    numbers = f"write a number from {field.low} to {field.high}, a range or *"
    if not word:
        return WrongError("lacks a number", numbers, max(start - 1, 0), max(start, 1))
    letters = word.strip("0123456789")
    if word[:1] == "h" and word[1:2] in ("", "("):
        letters = "h"
    if letters in _FOREIGN_WORDS:
        return WrongError("is not cron", _FOREIGN_WORDS[letters], start, end)
    if field.names:
        unknown = "is not a name cron knows"
        if len(word) > 3 and word[:3] in field.names:
            return WrongError(unknown, f"write {word[:3]}", start, end)
        close = get_close_matches(word, field.names, n=1)
        remedy = f"write {close[0]}" if close else "use one of " + ", ".join(field.names)
        return WrongError(unknown, remedy, start, end)
    if word in MONTHS or word in DAYS:
        return WrongError("stands in the wrong field", 'the order is "minute hour day month weekday"', start, end)
    if "*" in word:
        return WrongError("mixes * with something else", "* stands alone or with a step, as in */5", start, end)
    return WrongError("is not a number", numbers, start, end)


def quoted(text: str) -> str:
    return f"'{short(text, 20)}'"
