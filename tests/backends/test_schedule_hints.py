"""Hints against counts of the fires themselves: each is given where it is true, and only there, with true values."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backends.schedule import Schedule, ScheduleError, parse
from backends.schedule.hints import CODES, MOST, entered, herd, hints

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TODAY = datetime(2026, 11, 24, tzinfo=UTC)
NEXT_YEAR = TODAY.replace(year=2027)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DOCS = Path(__file__).parents[2] / "docs" / "reference" / "schedules.md"


def given_codes(expression: str, zone: str = "UTC", now: datetime = NOW) -> dict[str, str]:
    """The messages by code, of several with one code the last."""
    return {hint.code: hint.message for hint in hints(parse(expression, zone), now)}


def messages(expression: str) -> str:
    """All messages, one a line."""
    return "\n".join(hint.message for hint in hints(parse(expression), NOW))


def fires(expression: str, start: datetime = TODAY, end: datetime = NEXT_YEAR) -> list[datetime]:
    return parse(expression).between(start, end, limit=10_000_000)


def dates(expression: str) -> set[date]:
    return {fire.date() for fire in fires(expression)}


def field(low: int, high: int, *, star: bool = True) -> st.SearchStrategy[str]:
    """Text of one field."""
    value = st.integers(low, high)
    span = st.tuples(value, value, st.integers(1, 6)).map(
        lambda t: f"{min(t[:2])}-{max(t[:2])}" + (f"/{t[2]}" if t[2] > 2 else "")
    )
    kinds = [value.map(str), span, st.lists(value.map(str), min_size=2, max_size=3).map(",".join)]
    if star:
        kinds += [st.just("*"), st.integers(2, high + 2).map("*/{}".format)]
    return st.one_of(kinds)


HOURS = st.one_of(st.just("*"), field(0, 23), st.sampled_from(["23,0", "*/3", "9", "22-23"]))


@pytest.mark.parametrize(
    "expression",
    ["* * * * *", "*/5 * * * *", "*/15 9-17 * * 1-5", "0 * * * *", "30 * * * *", "0 3 * * *", "@daily", "@weekly",
     "@monthly", "0 0 1 1 *", "0 9 * * mon-fri", "0,30 8-18 * * *", "0 */2 * * *", "0 4 1,15 * *", "0 0 28-31 * *",
     "* 9-17 * * *", "*/10 3 * * *", "0 0 1 */3 *", "0 3 * * 0", "@yearly"],
)  # fmt: skip
def test_everyday_schedules_have_no_hint(expression: str) -> None:
    assert hints(parse(expression), NOW) == ()
    assert hints(parse(expression), NOW, usual_ms=20_000) == ()


@settings(max_examples=300, deadline=None)
@given(st.integers(2, 59), HOURS, st.sampled_from(["*", "1", "1-5", "1,2"]))
def test_uneven_minutes(step: int, hours: str, weekdays: str) -> None:
    expression = f"*/{step} {hours} * * {weekdays}"
    found = fires(expression, end=TODAY + 8 * DAY)
    gaps = {(b - a) // MINUTE: (a.minute, b.minute) for a, b in pairwise(found)}
    told = re.search(r"every (\d+) minutes, but only (\d+) between :(\d+) and :(\d+)", messages(expression))
    assert bool(told) == any(gap < step for gap in gaps), expression
    if told:
        said, gap, first, second = map(int, told.groups())
        assert said == step
        assert gaps[gap] == (first, second)


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 23), st.integers(0, 59), st.sampled_from(["* *", "* 1", "* 1-5", "*/2 *", "1,2 *", "13 5"]))
def test_uneven_hours(step: int, minute: int, days: str) -> None:
    expression = f"{minute} */{step} {days.replace(' ', ' * ')}"
    gaps = {(b - a) // HOUR: (a, b) for a, b in pairwise(fires(expression))}
    told = re.search(r"every (\d+) hours, but only (\d+) between (\S+) and (\S+)", messages(expression))
    assert bool(told) == any(gap < step for gap in gaps), expression
    if told:
        assert int(told[1]) == step
        a, b = gaps[int(told[2])]
        assert (f"{a:%H:%M}", f"{b:%H:%M}") == (told[3], told[4])


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 33), st.sampled_from([2, 3, 4]))
def test_uneven_days_months_and_weekdays(step: int, place: int) -> None:
    words = ["0", "0", "1" if place == 3 else "*", "*", "*"]
    words[place] = f"*/{step}"
    expression = " ".join(words)
    found = fires(expression, TODAY, TODAY + 800 * DAY)
    apart = {(b - a).days for a, b in pairwise(found)}
    if place == 3:
        apart = {(b.year - a.year) * 12 + b.month - a.month for a, b in pairwise(found)}
    told = re.search(r"again after (\d+) \w+, not (\d+)", messages(expression))
    several = len({(fire.day, fire.month, fire.isoweekday())[place - 2] for fire in found}) > 1
    assert bool(told) == (several and min(apart) < step), expression
    if told:
        assert int(told[2]) == step
        assert int(told[1]) in apart


STEPPED = st.integers(2, 33).map("*/{}".format)


@settings(max_examples=400, deadline=None)
@given(
    st.tuples(
        st.one_of(st.sampled_from(["0", "0,30"]), STEPPED),
        st.one_of(st.sampled_from(["0", "9", "*", "9-11"]), STEPPED),
        st.one_of(st.sampled_from(["*", "1", "1,31", "1-31/9"]), STEPPED),
        st.one_of(st.sampled_from(["*", "2", "1,7", "7-8"]), STEPPED),
        st.one_of(st.sampled_from(["*", "1", "1-5", "1-7/2"]), STEPPED),
    ).map(" ".join)
)
def test_an_uneven_step_is_seen_in_the_fires(expression: str) -> None:
    """Whatever the other fields are: two fires that follow each other are as near as it says."""
    uneven = [hint.message for hint in hints(parse(expression), NOW) if hint.code == "uneven_step"]
    pairs = [*pairwise(fires(expression, TODAY, TODAY + 3 * 366 * DAY))] if uneven else []
    apart = {
        "minute": {(b - a) // MINUTE for a, b in pairs},
        "hour": {(b.hour - a.hour) % 24 for a, b in pairs if b - a < DAY},
        "day": {(b.date() - a.date()).days for a, b in pairs},
        "month": {(b.year - a.year) * 12 + b.month - a.month for a, b in pairs},
    }
    for message in uneven if pairs else ():
        told = re.search(r"every (\d+) (minute|hour)s, but only (\d+) between", message)
        again = re.search(r"again after (\d+) (\w+?)s?, not (\d+)", message)
        gap, unit, step = (told[3], told[2], told[1]) if told else again.groups() if again else ("", "", "")
        assert int(gap) in apart[unit], message
        assert int(gap) < int(step)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 120), st.integers(0, 4))
def test_a_step_that_leaves_one_value(step: int, place: int) -> None:
    words = ["*"] * 5
    words[place] = f"*/{step}"
    parsed = parse(" ".join(words)).fields
    assert parsed is not None
    values = (parsed.minutes, parsed.hours, parsed.days, parsed.months, parsed.weekdays)[place]
    assert ("step_too_big" in given_codes(" ".join(words))) == (len(values) == 1)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["*", "*/1", "0-59", "0", "*/2"]), HOURS, field(1, 31), st.sampled_from(["*", "1", "1-5", "1,4"])
)
def test_every_minute(minute: str, hours: str, days: str, weekdays: str) -> None:
    """Where the runs stand alone, an hour or a day long, each minute of it."""
    expression = f"{minute} {hours} {days} * {weekdays}"
    lengths: list[int] = []
    last = TODAY - DAY
    for fire in fires(expression):
        if fire - last == MINUTE:
            lengths[-1] += 1
        else:
            lengths.append(1)
        last = fire
    assume(lengths)
    told = given_codes(expression).get("every_minute")
    assert (told is not None) == ({*lengths} in ({60}, {1440})), expression
    if told:
        once = fires(told.rpartition("write ")[2])
        assert len(once) == len(lengths)
        assert told.startswith(f"runs {60 * lengths.count(60) // len({f.date() for f in once}) or 1440} times")


@settings(max_examples=200, deadline=None)
@given(field(1, 31), st.sampled_from(["*", "2", "1-6", "*/5"]), field(0, 7))
def test_days_of_both_fields(days: str, months: str, weekdays: str) -> None:
    """Counted on the dates of the next twelve months."""
    expression = f"0 0 {days} {months} {weekdays}"
    codes = given_codes(expression)
    assume("never" not in codes)
    here, numbers, names = dates(expression), dates(f"0 0 {days} {months} *"), dates(f"0 0 * {months} {weekdays}")
    every = dates(f"0 0 * {months} *")
    stars = days.startswith("*") or weekdays.startswith("*")
    # the fields themselves: in the coming year both may happen to be the same days
    parsed = parse(expression).fields
    assert parsed is not None
    narrow = len(parsed.days) < 31 and len(parsed.weekdays) < 7
    assert ("day_or" in codes) == (not stars)
    assert ("day_and_star" in codes) == (stars and narrow)
    if "day_and_star" in codes:
        told = [int(n) for n in re.findall(r"(\d+) days?", codes["day_and_star"])]
        assert told[:2] == [len(here), len(numbers | names)] or told == [12, len(here), len(numbers | names)]
        assert here == numbers & names
    elif "day_or" in codes and narrow:
        assert here == numbers | names
        assert f": {len(here)} day" in codes["day_or"]
        assert f"on {len(numbers & names) or 'none'} of them" in codes["day_or"]
    elif "day_or" in codes:
        assert here == every
        assert "changes nothing" in codes["day_or"]


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(field(1, 31), st.sampled_from(["29", "30", "31", "30,31", "*/30"])),
    st.one_of(field(1, 12), st.sampled_from(["2", "2,4", "4,6"])),
    st.one_of(st.just("*"), field(0, 7), st.sampled_from(["*/7", "*/4"])),
)
def test_years_without_a_fire(days: str, months: str, weekdays: str) -> None:
    """28 years hold every date on every weekday: no fire in them is none for ever, none in one of them is rare."""
    expression = f"0 0 {days} {months} {weekdays}"
    now = datetime(2001, 1, 1, tzinfo=UTC)
    found = fires(expression, now, now.replace(year=2029))
    codes = [hint.code for hint in hints(parse(expression), now)]
    assert ("never" in codes) == (not found)
    missing = {*range(2001, 2029)} - {fire.year for fire in found}
    assert ("rare" in codes) == bool(found and missing)
    if not found:
        assert codes == ["never"]
        with pytest.raises(ScheduleError, match="never fires"):
            entered(expression, "UTC", now)
    else:
        assert entered(expression, "UTC", now) == parse(expression)


def test_rare_names_the_next_two_dates() -> None:
    said = given_codes("30 6 29 2 *")["rare"]
    assert said == "not in every year: next on Tuesday 29 February 2028, then on Sunday 29 February 2032"
    said = given_codes("0 0 29 2 *", now=datetime(2096, 2, 29, 12, tzinfo=UTC))["rare"]
    assert "next on Friday 29 February 2104" in said, "2100 is no leap year"


@pytest.mark.parametrize("day", range(1, 32))
def test_short_months(day: int) -> None:
    said = given_codes(f"0 0 {day} * *").get("day_short_months")
    months = {fire.month for fire in fires(f"0 0 {day} * *")}  # 2027 has no 29 February
    named = {n for n in range(1, 13) if said and f"{date(2000, n, 1):%B}" in said}
    assert named == {*range(1, 13)} - months


@settings(max_examples=100, deadline=None)
@given(field(1, 31), field(1, 12))
def test_a_month_that_is_said_to_lack_a_day_has_no_fire_on_it(days: str, months: str) -> None:
    for hint in hints(parse(f"0 0 {days} {months} *"), NOW):
        if hint.code == "day_short_months" and "no day" in hint.message:
            day = int(hint.message.partition("no day ")[2].partition(":")[0])
            parsed = parse(f"0 0 {days} {months} *").fields
            assert parsed is not None
            assert day in parsed.days
            named = [n for n in parsed.months if f"{date(2000, n, 1):%B}" in hint.message.partition(" ha")[0]]
            assert named
            assert not [f for f in fires(f"0 0 {days} {months} *") if f.month in named and f.day == day]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["0", "5,50", "*/20", "0,59"]), field(0, 23, star=False), st.sampled_from(["*", "1", "13", "*/2"]),
    st.sampled_from(["*", "1", "6,0"]), st.integers(1, 3 * 1440),
)  # fmt: skip
def test_runs_that_take_longer_than_the_shortest_time_between(
    minutes: str, hours: str, days: str, weekdays: str, usual: int
) -> None:
    expression = f"{minutes} {hours} {days} * {weekdays}"
    found = fires(expression)
    assume(len(found) > 1)
    shortest = min((b - a) // MINUTE for a, b in pairwise(found))
    codes = [hint.code for hint in hints(parse(expression), TODAY, usual_ms=usual * 60_000)]
    assert ("too_often" in codes) == (usual > shortest)


def test_too_often_says_both_lengths() -> None:
    (hint,) = hints(parse("*/5 * * * *"), NOW, usual_ms=450_000)
    assert "takes 7 minutes 30 seconds" in hint.message
    assert "after 5 minutes" in hint.message


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["7", "0", "5-7", "1-5", "fri-sun", "mon-sun/2", "3-7/2", "SAT-sun", "6-6", "sun-sun",
                                 "7-7", "1-7", "0-7", "sun", "7-sun", "mon-fri"]), min_size=1, max_size=3))  # fmt: skip
def test_spellings_that_others_refuse_or_misread(items: list[str]) -> None:
    """What is proposed instead means the same here, and has nothing to warn of."""
    expression = f"0 0 * * {','.join(items)}"
    found = [h for h in hints(parse(expression), NOW) if h.code in ("dow7", "name_range", "equal_range")]
    ends = [item.partition("/")[0].lower().split("-") for item in items]
    codes = {hint.code for hint in found}
    assert ("dow7" in codes) == any("7" in pair for pair in ends) or len(found) >= MOST - 1
    assert ("name_range" in codes) == any(len(p) == 2 and p[1] == "sun" and p[0] not in ("sun", "7") for p in ends)
    assert ("equal_range" in codes) == any(p in (["6", "6"], ["sun", "sun"], ["7", "7"], ["7", "sun"]) for p in ends)
    for hint in found:
        written = hint.message.partition("`")[2].partition("`")[0]
        told = re.search(r"(\S+) means the same|write (\S+)$", hint.message)
        assert told
        instead = parse(f"0 0 1-30 * {told[1] or told[2]}")
        assert instead.fields == parse(f"0 0 1-30 * {written}").fields
        assert hint.code not in {h.code for h in hints(instead, NOW)}


@settings(max_examples=400, deadline=None)
@given(
    st.tuples(field(0, 59), HOURS, field(1, 31), field(1, 12), field(0, 7)).map(" ".join),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Asia/Kolkata", "EST", "CET"]),
    st.datetimes(datetime(1950, 1, 1), datetime(2150, 1, 1)),
)
def test_hints_of_anything_are_few_and_sentences(expression: str, zone: str, now: datetime) -> None:
    found = hints(parse(expression, zone), now.replace(tzinfo=UTC), usual_ms=1e9)
    assert len(found) <= MOST
    assert [CODES.index(hint.code) for hint in found if not hint.code.endswith("gap")] == sorted(
        CODES.index(hint.code) for hint in found if not hint.code.endswith("gap")
    )
    for hint in found:
        assert "\n" not in hint.message
        assert not hint.message.endswith(".")
        assert hint.message[0] != " "


def test_what_never_fires_is_refused_where_it_is_entered() -> None:
    with pytest.raises(ScheduleError) as caught:
        entered(" 0  0 31 4,6 *", "UTC", NOW)
    assert str(caught.value) == (
        "'0 0 31 4,6 *', column 7: never fires: April and June have no day 31; write a day that these months have"
    )
    assert caught.value.span == (6, 8)
    with pytest.raises(ScheduleError, match="never fires: in Europe/Berlin the clock skips"):
        entered("*/60 2 29 3 */7", "Europe/Berlin", NOW)
    assert entered("*/60 2 29 3 */7", "UTC", NOW).after(NOW)
    assert entered("@reboot", "UTC", NOW).reboot


def many(count: int, expression: str = "0 3 * * *", zone: str = "Europe/Berlin") -> dict[str, Schedule]:
    return {f"job{n}": parse(expression, zone) for n in range(count)}


def test_a_herd() -> None:
    assert herd(many(9), NOW) is None
    assert herd({}, NOW) is None
    found = herd({**many(9), "other": parse("0 2 * * 0", "UTC"), "often": parse("*/5 * * * *")}, NOW)
    assert found is not None
    assert found.code == "herd"
    assert found.message.startswith(
        "10 jobs fire at once on Sunday 29 November 2026 at 03:00 (Europe/Berlin): job0, job1"
    )


def test_jobs_that_are_well_spread_are_no_herd() -> None:
    """A thousand hourly jobs meet by the dozen, whatever one does."""
    spread = {f"job{n}": parse(f"{n % 60} * * * *") for n in range(1000)}
    assert herd(spread, NOW) is None
    found = herd({**spread, **{f"top{n}": parse("0 * * * *") for n in range(200)}}, NOW)
    assert found is not None
    assert "at 13:00" in found.message or "at 12:00" in found.message


def documented() -> list[tuple[str, str]]:
    """Code and example of each row of the table."""
    section = DOCS.read_text().partition("\n## Warnings\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \| (.*?) \| .* \|$", section, re.MULTILINE)


def test_the_documentation_has_every_code_in_the_order_of_importance() -> None:
    assert tuple(code for code, _ in documented()) == CODES


@pytest.mark.parametrize(("code", "example"), documented())
def test_documented_examples(code: str, example: str) -> None:
    expression, *zone = re.findall(r"`([^`]+)`", example)
    if code == "herd":
        found = herd(many(10, expression), NOW)
        assert found is not None
        assert found.code == code
    else:
        usual = 7 * 60_000.0 if code == "too_often" else None
        assert code in {h.code for h in hints(parse(expression, *zone), NOW, usual_ms=usual)}
