"""Hints about single fields: steps that do not go round evenly, ranges that other programs read differently."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from backends.schedule.dialect import DAYS
from backends.schedule.fields import Item
from backends.schedule.hint import Facts, Hint
from backends.schedule.words import DAY_NAMES, MONTH_NAMES, WEEK, and_list, listed

_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY = range(5)
_CYCLES = (60, 24, 31, 12, 7)
_SEVEN = re.compile(r"(?:^|-)7(?:-|/|$)")


def every_minute(facts: Facts) -> Iterator[Hint]:
    """``* 9 * * *``: a star for the minute where 0 was meant, most likely: hours or days stand apart."""
    fields = facts.fields
    if len(fields.minutes) < 60:
        return
    hours = fields.hours
    if len(hours) == 24:
        if facts.days and not facts.days_in_a_row:
            once = facts.instead(_HOUR, "0").replace(facts.words[_MINUTE].text, "0", 1)
            text = f"runs 1440 times on each of its days, from 00:00 to 23:59; for once, write {once}"
            yield Hint("every_minute", text)
        return
    if _neighbours(hours) or ({0, 23} <= {*hours} and facts.days_in_a_row):
        return
    once = facts.instead(_MINUTE, "0")
    if len(hours) == 1:
        text = f"runs 60 times, from {hours[0]:02d}:00 to {hours[0]:02d}:59; for once, write {once}"
    else:
        text = f"runs {60 * len(hours)} times a day, 60 times in each of its hours; for once in each, write {once}"
    yield Hint("every_minute", text)


def uneven_step(facts: Facts) -> Iterator[Hint]:
    """``*/7``: "every seven minutes" is not true where the hour ends."""
    fields, days = facts.fields, facts.fields.days
    for place, word in enumerate(facts.words):
        if len(word.items) != 1:
            continue
        item = word.items[0]
        values = item.values
        gap = _CYCLES[place] - values[-1] + item.low
        if len(values) < 2 or gap >= item.step:
            continue
        names = _names(place, [*values])
        if place == _MINUTE:
            if _neighbours(fields.hours) or ({0, 23} <= {*fields.hours} and facts.days_in_a_row):
                text = f"every {item.step} minutes, but only {gap} between :{values[-1]:02d} and :{item.low:02d}"
                yield _about(item, text)
        elif place == _HOUR:
            if facts.days_in_a_row:
                end, start = (f"{hour:02d}:{fields.minutes[0]:02d}" for hour in (values[-1], item.low))
                text = f"every {item.step} hours, but only {gap} between {end} and {start}"
                yield _about(item, text if len(fields.minutes) == 1 else _again(names, gap, "hour", item.step))
        elif place == _DAY:
            long = any(month in (1, 3, 5, 7, 8, 10, 12) and month % 12 + 1 in fields.months for month in fields.months)
            if long and fields.every_weekday and not fields.any_day:
                again = _again(names, gap, "day", item.step)
                yield _about(item, f"{again}, where the month has 31 days")
        elif place == _MONTH:
            if not fields.day_and or fields.every_day_number or (fields.every_weekday and days[0] <= 28):
                yield _about(item, _again(names, gap, "month", item.step))
        elif fields.every_day_number and not fields.any_day:
            yield _about(item, _again(names, gap, "day", item.step))


def _about(item: Item, text: str) -> Hint:
    return Hint("uneven_step", f"`{item.text}`: {text}")


def _again(names: list[str], gap: int, noun: str, step: int) -> str:
    after = f"{gap} {noun}{'' if gap == 1 else 's'}"
    return f"{and_list(names)}, then {names[0].removeprefix('day ')} again after {after}, not {step}"


def _names(place: int, values: list[int]) -> list[str]:
    match place:
        case 0 | 1:
            return [f"{value:02d}" for value in values]
        case 2:
            return [f"day {values[0]}", *(str(value) for value in values[1:])]
        case 3:
            return [MONTH_NAMES[value - 1] for value in values]
    return [DAY_NAMES[value % 7] for value in values]


def step_too_big(facts: Facts) -> Iterator[Hint]:
    """``*/90``: only the first value is left."""
    for place, item in _items(facts):
        if item.high > item.low and len(item.values) == 1 and item.step > 1:
            name = ("minute {}", "hour {}", "day {} of the month", "{}", "{}")[place]
            value = _names(place, [item.low])[0] if place > _DAY else str(item.low)
            text = f"`{item.text}` is {name.format(value)} alone: the next step is past the end"
            yield Hint("step_too_big", text)


def equal_range(facts: Facts) -> Iterator[Hint]:
    """``6-6``: one value to cron, all of them to croniter."""
    for _, item in _items(facts):
        span = item.text.partition("/")[0]
        if "-" in span and item.low == item.high:
            one = span.partition("-")[0]
            text = f"`{item.text}` is {one} alone, though some programs read it as every value; write {one}"
            yield Hint("equal_range", text)


def name_range(facts: Facts) -> Iterator[Hint]:
    """``fri-sun``: reversed for a cron to which Sunday is 0 only."""
    for item in facts.words[_WEEKDAY].items:
        _, dash, last = item.text.partition("/")[0].partition("-")
        if dash and last.lower() == "sun" and item.low < item.high:
            days = [DAYS[value % 7] for value in item.values]
            names = listed(sorted({value % 7 for value in item.values}), lambda day: DAY_NAMES[day], WEEK)
            text = f"`{item.text}` is {names} here; Debian's cron finds no day in it, Kubernetes refuses it"
            yield Hint("name_range", f"{text}; {','.join(days)} means the same to all")


def dow7(facts: Facts) -> Iterator[Hint]:
    """Weekday 7, which some programs refuse."""
    for item in facts.words[_WEEKDAY].items:
        if _SEVEN.search(item.text.partition("/")[0]):
            values = sorted({value % 7 for value in item.values})
            same = "0-6" if len(values) == 7 else ",".join(map(str, values))
            text = (
                f"`{item.text}`: Kubernetes and GitHub Actions refuse 7 for Sunday; {same} means the same to them too"
            )
            yield Hint("dow7", text)


def _items(facts: Facts) -> Iterator[tuple[int, Item]]:
    for place, word in enumerate(facts.words):
        for item in word.items:
            yield place, item


def _neighbours(values: tuple[int, ...]) -> bool:
    return any(b - a == 1 for a, b in pairwise(values))
