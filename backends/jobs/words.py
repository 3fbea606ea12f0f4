"""Reading and writing the small words of a job file: durations, names, suggestions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from difflib import get_close_matches

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
MAX_SECONDS = 3660 * 86_400.0
"""Ten years: the longest duration that is taken for meant."""

DURATION_HINT = 'write "30s", "10m", "1h30m", "250ms" or a number of seconds'


def duration(value: object) -> float:
    """Seconds of "10m", "1h30m", "250ms" or a number of seconds. Raises ValueError with the reason."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"expected a duration, got {kind_of(value)}")
    if isinstance(value, str):
        text = value.replace(" ", "")
        if len(text) > 64 or not _WHOLE.fullmatch(text):
            raise ValueError(f"{show(value)} is not a duration")
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    elif isinstance(value, int) and abs(value) > MAX_SECONDS:
        raise ValueError("a duration can't be longer than ten years" if value > 0 else "a duration can't be negative")
    else:
        seconds = float(value)
    if math.isnan(seconds) or seconds < 0:
        raise ValueError("a duration can't be negative" if seconds < 0 else "nan is not a duration")
    if seconds > MAX_SECONDS:
        raise ValueError("a duration can't be longer than ten years")
    return seconds


def nearest(word: str, known: Iterable[str], count: int = 1) -> list[str]:
    """Up to `count` of `known` that look like `word`, best first; upper and lower case count as equal."""
    by_fold: dict[str, str] = {}
    for name in known:
        by_fold.setdefault(name.casefold(), name)
    found = get_close_matches(word.casefold()[:200], list(by_fold), n=count, cutoff=0.6)
    return [by_fold[f] for f in found]


def suggestion(word: str, known: Iterable[str]) -> str:
    """A hint with the nearest of `known`, or with all of them where none is near."""
    names = list(known)
    close = nearest(word, names)
    return f"did you mean '{close[0]}'?" if close else "known here: " + ", ".join(names)


def show(value: object) -> str:
    """A value as a person wrote it, cut to a readable length, on one line."""
    text = f"'{value}'" if isinstance(value, str) else repr(value)
    text = printable(text)
    return text if len(text) <= 60 else text[:57] + "…" + text[-1]


def printable(text: str) -> str:
    """The text with everything that is not printable as an escape: it may go to a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def kind_of(value: object) -> str:
    """The type of a TOML value, in words."""
    match value:
        case bool():
            return f"the truth value {str(value).lower()}"
        case str():
            return f"the text {show(value)}"
        case int() | float():
            return f"the number {show(value)}"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return f"the date or time {value}"
