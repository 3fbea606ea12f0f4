"""What is a schedule, what is not and what to write instead, and how it reads in words."""

from __future__ import annotations

import calendar
import re
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.schedule import ScheduleError, parse
from backends.schedule.abbreviations import NAMES as NAMES_OF
from backends.schedule.abbreviations import PLACES as PLACES_OF
from backends.schedule.zones import zone

MONTH_NAMES = ("", *(name.lower() for name in calendar.month_abbr[1:]))
WEEKDAY_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("", "minute hour day month weekday"),
        ("0 3 * *", "minute hour day month weekday"),
        ("0 0 12 * * *", '"0 12 * * *"'),
        ("0 0 12 * * 1 2026", '"0 12 * * 1"'),
        ("60 * * * *", "full hour is minute 0"),
        ("0 24 * * *", "midnight is hour 0"),
        ("0 0 0 * *", "1 to 31"),
        ("0 0 * 13 *", "1 to 12"),
        ("0 0 * * 8", "0 to 7"),
        ("5/15 * * * *", "5-59/15"),
        ("* 22-2 * * *", "22-23,0-2"),
        ("* 23-0 * * *", "23,0"),
        ("0 0 * * fri-mon", "fri-7,mon"),
        ("0 0 * * 5-1", "5-7,1"),
        ("0 0 * * 5-0", "5-7"),
        ("0 0 * * 7-2", "7,1-2"),
        ("0 0 * nov-feb *", "nov-12,1-feb"),
        ("*/0 * * * *", "*/5"),
        ("*/x * * * *", "*/5"),
        ("1,,2 * * * *", "extra comma"),
        ("1- * * * *", "0 to 59"),
        ("1-2-3 * * * *", "0 to 59"),
        ("*5 * * * *", "stands alone"),
        ("0 0 ? * *", "write * instead"),
        ("0 0 L * *", "check the date"),
        ("0 0 LW * *", "check the date"),
        ("0 0 15W * *", "check the date"),
        ("0 0 * * 5L", "check the date"),
        ("0 0 * * 1#2", "check the date"),
        ("H * * * *", "jitter"),
        ("R * * * *", "jitter"),
        ("0~30 * * * *", "jitter"),
        ("0 0 * * monday", "write mon"),
        ("0 0 * * mno", "mon"),
        ("0 mon * * *", "the order is"),
        ("@dayly", "@daily"),
        ("@every 5m", "*/5"),
        ("CRON_TZ=Europe/Berlin 0 3 * * *", "timezone"),
        ("٣ * * * *", "ASCII"),
        ("0 3 * * *\0", "ASCII"),
        ("9" * 5000 + " * * * *", "ranges and steps"),
        ("99999999999999999999 * * * *", "0 to 59"),
    ],
)
def test_what_is_not_cron_gets_a_hint(expression: str, hint: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse(expression)
    assert hint in caught.value.remedy
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


PLACES = [
    ("60 * * * *", "60"),
    (" 1\t 61  * * *", "61"),
    ("0  0 0   * *", "0", 5),
    ("5/15 * * * *", "5/15"),
    ("* 1,22-2,3 * * *", "22-2"),
    ("0 0 * * 1-9", "9"),
    ("*/0 * * * *", "0"),
    ("1-5/x * * * *", "x"),
    ("*/ * * * *", "/"),
    ("1,,2 * * * *", ",", 1),
    ("1, * * * *", ","),
    (", * * * *", ","),
    ("* * * * 1,", ","),
    ("1- * * * *", "-"),
    ("* * * * -", "-"),
    ("* * * * /5", "/"),
    ("0 0 * mai,jun *", "mai"),
    ("0 0 * * 1#2", "#"),
    ("0 0 ? * *", "?"),
    ("0 0 1,15W * *", "15W"),
    ("0 0 * * 5L", "5L"),
    ("H 0 * * *", "H"),
    ("0~30 * * * *", "~"),
    ("CRON_TZ=Europe/Berlin 0 3 * * *", "="),
    ("0 3 * * * rm -rf %", "%"),
    ("٣ * * * *", "٣"),
    ("0\u00a03 * * *", "\u00a0"),
    ("0 3 * * *\0", "\0"),
    ("0 3 * *", "*", 6),
    ("\t0 0  12 * * *", "*", 13),
    ("0 0 12 * * 1 2026", "1 2026"),
    ("  @dayly ", "@dayly"),
    (" @every  5m", "@every  5m"),
    ("@daily @weekly", "@daily @weekly"),
    ("", ""),
    ("   ", "   "),
    ("9" * 300, "9" * 44, 256),
]
"""An expression, the part of it that is wrong, and the column where that is not its first place."""


@pytest.mark.parametrize("case", PLACES, ids=lambda case: ascii(case[0][:20]))
def test_each_mistake_has_its_place_in_the_text_as_typed(case: tuple[str, str, int]) -> None:
    typed, part, *column = case
    with pytest.raises(ScheduleError) as caught:
        parse(typed)
    start = column[0] if column else typed.index(part)
    assert caught.value.span == (start, start + len(part))
    assert f"column {start + 1}: " in str(caught.value)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from(["*", "1", "2-5", "*/5", "1,2"]), min_size=5, max_size=5),
    st.lists(st.sampled_from([" ", "\t", "  ", " \t "]), min_size=6, max_size=6),
    st.integers(0, 4),
    st.sampled_from(["99", "2/3", "5-1", "x!", "1*"]),
    st.booleans(),
)
def test_a_mistake_is_found_wherever_it_stands(
    words: list[str], blanks: list[str], place: int, wrong: str, first: bool
) -> None:
    """Among any blanks; before and after other items of the field."""
    words[place] = f"{wrong},1" if first else f"1,{wrong}"
    typed = "".join(part for pair in zip(blanks, [*words, ""], strict=True) for part in pair)
    with pytest.raises(ScheduleError) as caught:
        parse(typed)
    assert caught.value.span is not None
    assert typed[slice(*caught.value.span)] == wrong


def remedies(typed: str) -> list[str]:
    """What the error's remedy proposes, as whole expressions."""
    with pytest.raises(ScheduleError) as caught:
        parse(typed)
    remedy, span = caught.value.remedy, caught.value.span
    assert span is not None
    whole = [text for text in re.findall(r'"([^"]+)"', remedy) if not text.startswith("minute")]
    whole += re.findall(r"write (@\w+)", remedy)
    for found in re.findall(r"(?:write|, or) ([\w,*/-]+?)(?=$|, or | instead)", remedy):
        whole.append(typed[: span[0]] + found + typed[span[1] :])
    return whole


@pytest.mark.parametrize(
    ("typed", "proposed"),
    [
        ("0 3 * *", ["0 3 * * *"]),
        ("0 0 12 * * *", ["0 12 * * *"]),
        ("0 0 12 * * 1 2026", ["0 12 * * 1"]),
        ("* * * * * * * *", ["0 3 * * *"]),
        ("5/15 * * * *", ["5-59/15 * * * *", "*/15 * * * *"]),
        ("0 0 * * 5/2", ["0 0 * * 5-6/2", "0 0 * * */2"]),
        ("0 22-2/2 * * *", ["0 0,2,22 * * *"]),
        ("0 0 ? * *", ["0 0 * * *"]),
        ("0 0 * * monday", ["0 0 * * mon"]),
        ("0 0 * january *", ["0 0 * jan *"]),
        ("@dayly", ["@daily"]),
        ("@daily now", ["@daily"]),
        ("daily", ["@daily"]),
        ("@every 5m", ["*/5 * * * *"]),
        ("@every 1m", ["* * * * *"]),
        ("@every 60s", ["* * * * *"]),
        ("@every 1h", ["0 * * * *"]),
        ("@every 6h", ["0 */6 * * *"]),
        ("@every 24h", ["0 0 * * *"]),
        ("@every 90m", ["*/5 * * * *"]),
        ("@every", ["*/5 * * * *"]),
    ],
)
def test_what_an_error_proposes_is_a_schedule(typed: str, proposed: list[str]) -> None:
    assert remedies(typed) == proposed
    for expression in proposed:
        parse(expression)


@settings(max_examples=600, deadline=None)
@given(st.integers(0, 4), st.data())
def test_a_range_that_runs_backwards_becomes_what_it_was_meant_to_be(place: int, data: st.DataObject) -> None:
    """Round the end of the field, with and without steps, in numbers and in names."""
    low, high, cycle = ((0, 59, 60), (0, 23, 24), (1, 31, 31), (1, 12, 12), (0, 7, 7))[place]
    first, last = data.draw(st.integers(low + 1, high)), data.draw(st.integers(low, high))
    step = data.draw(st.sampled_from([1, 1, 2, 3, 5]))
    names = {3: [*MONTH_NAMES], 4: [*WEEKDAY_NAMES]}.get(place)
    spell = str
    if names and (place == 3 or first < 7 > last) and data.draw(st.booleans()):
        spell = names.__getitem__
    words = ["0"] * 2 + ["*"] * 3 if place > 1 else ["*"] * 5
    words[place] = f"{spell(first)}-{spell(last)}" + (f"/{step}" if step > 1 else "")
    if last >= first or (spell is not str and place == 4 and last == 0):
        assert parse(" ".join(words))
        return
    meant = {(value - low) % cycle + low for value in range(first, last + cycle + 1, step)}
    if place == 4 and first == 7:
        meant = {value % 7 for value in range(7, last + 7 + 1, step)}
    (proposed,) = remedies(" ".join(words))
    found = parse(proposed).fields
    assert found is not None
    assert {*(found.minutes, found.hours, found.days, found.months, found.weekdays)[place]} == meant


@pytest.mark.parametrize("value", [None, 5, b"* * * * *", ["*"]])
def test_other_types_are_schedule_errors_too(value: object) -> None:
    with pytest.raises(ScheduleError):
        parse(value)  # type: ignore[arg-type]
    with pytest.raises(ScheduleError):
        parse("@daily", value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Berlni", "'Europe/Berlin'"),
        ("europe/berlin", "'Europe/Berlin'"),
        ("Berlin", "'Europe/Berlin'"),
        ("New York", "'America/New_York'"),
        ("../../etc/passwd", "IANA"),
        ("PST", "PST is an abbreviation, write the name of a place: America/Los_Angeles"),
        ("cest", "Europe/Berlin"),
        ("IST", "Asia/Kolkata, Europe/Dublin or Asia/Jerusalem"),
        ("UTC+2", "Etc/GMT-2 for UTC+02:00"),
        ("-03:00", "Etc/GMT+3 for UTC-03:00"),
        ("+05:30", "the name of a place"),
        ("GMT+99", "the name of a place"),
        ("", "IANA"),
    ],
)
def test_unknown_zone_names_the_nearest(zone: str, hint: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse("@daily", zone)
    assert hint in caught.value.remedy


def test_utc_is_known_without_a_list_of_all_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    zone.cache_clear()
    monkeypatch.setattr("backends.schedule.zones._names", lambda: pytest.fail("all zones were listed"))
    assert zone("UTC").key == "UTC"


def test_abbreviations_lead_to_zones_that_exist() -> None:
    for short, places in {**PLACES_OF, **NAMES_OF}.items():
        for place in re.split(r", | or ", places):
            assert parse("@daily", place).timezone == place
        assert (short in NAMES_OF) == (short in available_timezones())


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("@daily", "0 0 * * *"),
        ("@Hourly", "0 * * * *"),
        ("0 0 * * fri-sun", "0 0 * * 5-7"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 7-7", "0 0 * * sun"),
        ("0 0 * * SUN-sat", "0 0 * * 0-6"),
        ("5-5 * * * *", "5 * * * *"),
        ("0 0 * JAN-mar *", " 00\t0  *  1-3 * "),
        ("*/100 * * * *", "*/60 * * * *"),
    ],
)
def test_spellings_of_the_same_thing(one: str, same: str) -> None:
    assert parse(one).fields == parse(same).fields


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "Every minute"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("0,30 * * * *", "Every 30 minutes"),
        ("*/25 * * * *", "At :00, :25 and :50 of every hour"),
        ("0-10,30 * * * *", "At :00 to :10 and :30 of every hour"),
        ("* 9 * * *", "Every minute from 09:00 to 09:59"),
        ("*/15 9-17 * * 1-5", "Every 15 minutes from 09:00 to 17:45, Monday to Friday"),
        ("*/30 1,5 * * *", "Every 30 minutes of the hours 01 and 05"),
        ("7-13 9 * * *", "At :07 to :13 of the hour 09"),
        ("0 * * * *", "Every hour"),
        ("5 * * * *", "Every hour at :05"),
        ("0 */2 * * *", "Every 2 hours at :00"),
        ("0 */5 * * *", "At 00:00, 05:00, 10:00, 15:00 and 20:00, every day"),
        ("0 3 * * *", "At 03:00, every day"),
        ("0 3 * * 1-5", "At 03:00, Monday to Friday"),
        ("0 3 * * 1,3,5", "At 03:00, on Monday, Wednesday and Friday"),
        ("0 3 * * 6,0", "At 03:00, on Saturday and Sunday"),
        ("0 3 * * 5-7", "At 03:00, Friday to Sunday"),
        ("0 3 1 * *", "At 03:00, on day 1 of the month"),
        ("0 3 1,15 * *", "At 03:00, on days 1 and 15 of the month"),
        ("0 3 1-7 2 *", "At 03:00, on days 1 to 7 of the month in February"),
        ("0 0 29 2 *", "At 00:00, on 29 February"),
        ("0 0 * jun-aug *", "At 00:00, every day from June to August"),
        ("0 0 13 * 5", "At 00:00, on day 13 of the month or on Friday"),
        ("0 0 */2 * 1", "At 00:00, on odd days of the month, if it is Monday"),
        ("0 0 1-31 * 1", "At 00:00, every day"),
        ("0 9-17 * * *", "Every hour from 09:00 to 17:00"),
        ("0 0 31 4 *", "Never: no month of it has such a day"),
        ("@reboot", "When an engine starts"),
    ],
)
def test_plain_words(expression: str, words: str) -> None:
    assert parse(expression).describe() == words
