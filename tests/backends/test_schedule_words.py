"""Descriptions are read back by a reader that knows English only, and must name the same minutes and days."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.schedule import ScheduleError, parse
from backends.schedule.explain import explain

MONTHS, DAYS = [*calendar.month_name][1:], [*calendar.day_name]
YEARS = [date(2027, 1, 1) + timedelta(days=n) for n in range(365 * 2)]


def values(text: str, order: list[str]) -> list[int]:
    """Places in `order` of "a, b to d and e"."""
    found: list[int] = []
    for part in re.split(r", | and | or ", text):
        first, _, last = part.partition(" to ")
        found += range(order.index(first), order.index(last or first) + 1)
    return found


def numbers(count: int, form: str = "{}") -> list[str]:
    return [form.format(n) for n in range(count)]


def minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def times(text: str) -> set[int]:
    """Minutes of the day of the part that says when."""
    if every := re.fullmatch(r"Every (?:(\d+) minutes|minute)(?: from (\S+) to (\S+)| of the hours (.+))?", text):
        step, first, last, hours = every.groups()
        of_day = set(range(0, 1440, int(step or 1)))
        if first:
            return {m for m in of_day if minute(first) <= m <= minute(last)}
        return {m for m in of_day if not hours or m // 60 in values(hours, numbers(24, "{:02d}"))}
    if every := re.fullmatch(r"Every (?:(\d+) hours|hour)(?: at :(\d\d))?", text):
        return set(range(int(every[2] or 0), 1440, int(every[1] or 1) * 60))
    if every := re.fullmatch(r"Every hour from (\S+) to (\S+)", text):
        return set(range(minute(every[1]), minute(every[2]) + 1, 60))
    if some := re.fullmatch(r"At (:.+) of (?:every hour|the (?:hour (\d\d)|hours (.+\D.+)))", text):
        hours = values(some[2] or some[3], numbers(24, "{:02d}")) if some[2] or some[3] else range(24)
        return {hour * 60 + m for hour in hours for m in values(some[1], numbers(60, ":{:02d}"))}
    return {minute(part) for part in re.split(r", | and ", text.removeprefix("At "))}


def day_numbers(text: str) -> list[int]:
    if text in ("odd days of the month", "even days of the month"):
        return list(range(1 if text.startswith("odd") else 2, 32, 2))
    found = re.fullmatch(r"days? (.+) of the month", text)
    assert found, text
    return [n + 1 for n in values(found[1], numbers(32)[1:])]


def days(text: str) -> Callable[[date], bool]:
    """Whether a day is meant by the part that says on which."""
    names = "|".join(MONTHS)
    in_months = list(range(12))
    if tail := re.search(rf",? (?:in|from) ((?:{names}).*)$", text):
        in_months, text = values(tail[1], MONTHS), text[: tail.start()]
    if dates := re.fullmatch(rf"on (\d+ (?:{names})(?:(?:, | and )\d+ (?:{names}))*)", text):
        named = {(int(n), MONTHS.index(m)) for n, m in (part.split() for part in re.split(r", | and ", dates[1]))}
        return lambda d: (d.day, d.month - 1) in named
    if text == "every day":
        return lambda d: d.month - 1 in in_months
    if both := re.fullmatch(r"on (.+ of the month), if it is (.+)", text):
        on, week = day_numbers(both[1]), values(both[2], DAYS)
        return lambda d: d.month - 1 in in_months and d.day in on and d.weekday() in week
    if either := re.fullmatch(r"on (.+ of the month) or on (.+)", text):
        on, week = day_numbers(either[1]), values(either[2], DAYS)
        return lambda d: d.month - 1 in in_months and (d.day in on or d.weekday() in week)
    if text.endswith("of the month"):
        on = day_numbers(text.removeprefix("on "))
        return lambda d: d.month - 1 in in_months and d.day in on
    week = values(text.removeprefix("on "), DAYS)
    return lambda d: d.month - 1 in in_months and d.weekday() in week


def split(text: str) -> tuple[str, str]:
    """When, and on which days."""
    found = re.search(r", (?=every day|on |(?:[A-Z][a-z]+day))", text)
    return (text[: found.start()], text[found.end() :]) if found else (text, "every day")


@st.composite
def fields(draw: st.DrawFn, low: int, high: int, stars: int) -> str:
    """One field: a single value, ranges and steps, or a star."""
    kind = draw(st.integers(0, 3 + stars))
    if kind > 3:
        return "*"
    if kind == 3:
        return f"*/{draw(st.integers(1, high + 2))}"
    parts = []
    for _ in range(draw(st.integers(1, 1 + 2 * kind))):
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        step = draw(st.integers(1, 9))
        parts.append(draw(st.sampled_from([f"{first}", f"{first}", f"{first}-{last}", f"{first}-{last}/{step}"])))
    return ",".join(parts)


EXPRESSIONS = st.tuples(fields(0, 59, 1), fields(0, 23, 1), fields(1, 31, 3), fields(1, 12, 5), fields(0, 7, 3)).map(
    " ".join
)


@settings(max_examples=2000, deadline=None)
@given(EXPRESSIONS)
def test_words_say_what_the_expression_does(expression: str) -> None:
    schedule = parse(expression)
    parsed = schedule.fields
    assert parsed is not None
    said = schedule.describe()
    if parsed.never:
        assert said.startswith("Never")
        return
    when, on_which = split(said)
    assert times(when) == {hour * 60 + m for hour in parsed.hours for m in parsed.minutes}, said
    meant = days(on_which)
    assert [d for d in YEARS if meant(d)] == [d for d in YEARS if parsed.on(d)], said


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0,30 9 * * *", "At 09:00 and 09:30, every day"),
        ("0 */12 * * *", "At 00:00 and 12:00, every day"),
        ("0 */6 * * *", "At 00:00, 06:00, 12:00 and 18:00, every day"),
        ("0 */4 * * *", "Every 4 hours at :00"),
        ("0 0 31 4,5 *", "At 00:00, on 31 May"),
        ("0 0 30,31 2-5 *", "At 00:00, on days 30 and 31 of the month from March to May"),
        ("0 0 * 1,3 *", "At 00:00, every day in January and March"),
    ],
)
def test_plain_words(expression: str, words: str) -> None:
    assert parse(expression).describe() == words


def test_an_expression_field_by_field() -> None:
    typed = " */15  9-17\t1,15 */5 mon-fri "
    found = explain(typed)
    assert [(f.name, f.text, f.words) for f in found] == [
        ("minute", "*/15", "every 15 minutes: 0, 15, 30, 45"),
        ("hour", "9-17", "hours 9 to 17"),
        ("day of the month", "1,15", "days 1 and 15"),
        ("month", "*/5", "January, June and November"),
        ("weekday", "mon-fri", "Monday to Friday"),
    ]
    assert [typed[slice(*f.span)] for f in found] == [f.text for f in found]


def test_short_forms_field_by_field() -> None:
    found = explain(" @Daily ")
    assert [(f.name, f.text, f.span) for f in found][:2] == [
        ("short form", "@daily", (1, 7)),
        ("minute", "0", (1, 7)),
    ]
    assert found[0].words == "the same as 0 0 * * *"
    assert len(found) == 6
    assert [f.words for f in explain("@reboot")] == ["when an engine starts"]
    with pytest.raises(ScheduleError):
        explain("0 0 * *")


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS)
def test_each_field_is_explained_by_all_of_its_values(expression: str) -> None:
    """Whatever number or name the words of a field hold is one of its values, and an uneven step is not "every N"."""
    parsed = parse(expression).fields
    assert parsed is not None
    minutes, hours, *_ = explain(expression)
    for said, found, cycle in ((minutes, parsed.minutes, 60), (hours, parsed.hours, 24)):
        if said.words.startswith("every"):
            step = int(re.sub(r"\D", "", said.words.partition(":")[0]) or 1)
            assert list(found) == list(range(0, cycle, step))
            assert cycle % step == 0
        else:
            assert values(said.words.partition(" ")[2], numbers(cycle)) == list(found)
