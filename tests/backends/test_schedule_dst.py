"""Marks on fires and hints about clock changes, against a clock that is asked minute by minute."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.schedule import ScheduleError, parse, zone
from backends.schedule.dst import clock_changes, mark
from backends.schedule.hints import hints

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZONES = [
    "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/St_Johns", "America/Havana", "America/Santiago",
    "America/Nuuk", "Africa/Cairo", "Africa/Casablanca", "Asia/Beirut", "Asia/Jerusalem", "Australia/Lord_Howe",
    "Pacific/Chatham", "Pacific/Norfolk", "America/Asuncion", "Asia/Kolkata", "UTC", "EST", "America/Sao_Paulo",
    "Atlantic/Azores",
]  # fmt: skip


@lru_cache(maxsize=64)
def changes(name: str, start: datetime = NOW, years: int = 7) -> list[datetime]:
    """The minutes at which the offset is another one than the minute before."""
    tz, found = ZoneInfo(name), []
    at, offset = start, start.astimezone(tz).utcoffset()
    while at < start + timedelta(days=366 * years):
        if (at + HOUR).astimezone(tz).utcoffset() != offset:
            while at.astimezone(tz).utcoffset() == offset:
                at += MINUTE
            found.append(at)
            offset = at.astimezone(tz).utcoffset()
        else:
            at += HOUR
    return found


def exists(wall: datetime, tz: ZoneInfo) -> bool:
    return wall.replace(tzinfo=tz).astimezone(UTC).astimezone(tz).replace(tzinfo=None) == wall


def passes(wall: datetime, tz: ZoneInfo) -> list[datetime]:
    """The instants of a wall time."""
    if not exists(wall, tz):
        return []
    return sorted({wall.replace(tzinfo=tz, fold=fold).astimezone(UTC) for fold in (0, 1)})


def walls(expression: str, day: datetime) -> list[datetime]:
    """The times of that calendar day, which no clock change disturbs in UTC."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return [fire.replace(tzinfo=None) for fire in parse(expression).between(start, start + DAY)]


@pytest.mark.parametrize("name", ZONES)
def test_clock_changes(name: str) -> None:
    found = clock_changes(name, NOW, 6)
    assert [change.at for change in found] == changes(name)[:6]
    for change in found:
        tz = ZoneInfo(name)
        assert (change.at - MINUTE).astimezone(tz).utcoffset() == change.before
        assert change.at.astimezone(tz).utcoffset() == change.after
        assert clock_changes(name, change.at, 1) != [change]
        assert clock_changes(name, change.at - MINUTE, 1) == [change]


def test_clock_changes_of_unknown_zones() -> None:
    with pytest.raises(ScheduleError, match="did you mean"):
        clock_changes("Europe/Berlni", NOW, 1)


def test_clock_changes_end_with_the_years_that_are_known() -> None:
    assert clock_changes("Europe/Berlin", datetime(2199, 12, 1, tzinfo=UTC), 3) == []
    assert len(clock_changes("Europe/Berlin", NOW, 1000)) == 2 * 28


MINUTES = st.sampled_from(["0", "30", "0,15,45", "*/20", "*", "10-50/20", "*/7"])
HOURS = st.sampled_from(["0", "1", "2", "3", "0-3", "*", "*/2", "1,2", "23", "22-23", "2-3", "*/5"])
DAYS = st.sampled_from(["* * *", "* * *", "* * 0", "*/2 * *", "1-7 * *", "* 3,10 *", "13 * 6"])
EXPRESSIONS = st.tuples(MINUTES, HOURS, DAYS).map(" ".join)


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS, st.sampled_from([name for name in ZONES if changes(name)]), st.integers(0, 5))
def test_marks(expression: str, name: str, number: int) -> None:
    """Of all fires of the days around a clock change."""
    schedule, tz = parse(expression, name), zone(name)
    at = changes(name)[number]
    before, after = ((at - n * MINUTE).astimezone(tz).replace(tzinfo=None) for n in (1, 0))
    skipped = [w for n in range(3) for w in walls(expression, before + n * DAY - DAY) if before < w < after]
    fixed = "*" not in (expression[0], expression.split()[1][0])
    for fire in schedule.between(at - 30 * HOUR, at + 30 * HOUR):
        wall = fire.astimezone(tz).replace(tzinfo=None, fold=0)
        found = mark(schedule, fire)
        twice = passes(wall, tz)
        if len(twice) == 2:
            assert found is not None
            assert found.kind == ("first" if fire == twice[0] else "second")
            assert found.text.startswith(f"{wall:%H:%M} comes twice")
            again = [f for f in twice if schedule.between(f, f + MINUTE)]
            assert ("first time only" in found.text) == (len(again) == 1)
        elif fire == at and skipped and fixed:
            assert found is not None
            assert found.kind == "gap"
            assert found.text.startswith(f"{skipped[0]:%H:%M}")
            due = wall in walls(expression, wall)
            assert ("stands for" in found.text) == due
        else:
            assert found is None


def test_marks_in_words() -> None:
    spring = datetime(2027, 3, 28, 1, tzinfo=UTC)
    autumn = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert str(mark(parse("30 2 * * *", "Europe/Berlin"), spring)) == (
        "Mark(kind='gap', text='02:30 does not exist that night')"
    )
    found = mark(parse("0,30 2,3 * * *", "Europe/Berlin"), spring)
    assert found is not None
    assert found.text == "02:00 and 02:30 do not exist that night, the fire at 03:00 stands for them too"
    found = mark(parse("1-59 2 * * *", "Europe/Berlin"), spring)
    assert found is not None
    assert found.text == "02:01, 02:02 to 02:59 (59 times) do not exist that night"
    found = mark(parse("30 2 * * *", "Europe/Berlin"), autumn)
    assert found is not None
    assert found.text == "02:30 comes twice that night, it fires the first time only"
    found = mark(parse("*/30 * * * *", "Europe/Berlin"), autumn + HOUR)
    assert found is not None
    assert found.text == "02:30 comes twice that night, this is the second time"
    assert mark(parse("@reboot"), NOW) is None


def test_marks_at_the_turn_of_the_year() -> None:
    """The zone of Kiribati's Line Islands left out 31 December 1994: a day is no gap, and nothing is marked."""
    schedule = parse("0 12 * * *", "Pacific/Kiritimati")
    fires = schedule.between(datetime(1994, 12, 29, tzinfo=UTC), datetime(1995, 1, 3, tzinfo=UTC))
    assert len(fires) > 3
    assert [mark(schedule, fire) for fire in fires] == [None] * len(fires)


def told(expression: str, name: str, code: str) -> str:
    """The message of the hints whose code ends so."""
    return next((h.message for h in hints(parse(expression, name), NOW) if h.code.endswith(code)), "")


@settings(max_examples=300, deadline=None)
@given(
    st.tuples(
        st.sampled_from(["0", "30", "0,15,45", "10-50/20", "0-59"]),
        st.sampled_from(["0", "1", "2", "3", "0-3", "0-23", "1,2", "23", "22-23", "2-3"]),
        DAYS,
    ).map(" ".join),
    st.sampled_from(ZONES),
)
def test_hints_of_jobs_tied_to_the_wall(expression: str, name: str) -> None:
    """The first time that does not exist, and the first that comes twice, at the next twelve clock changes."""
    schedule, tz = parse(expression, name), zone(name)
    missing: list[tuple[datetime, datetime]] = []
    double: list[list[datetime]] = []
    for at in changes(name)[:12]:
        day = at.astimezone(tz).replace(tzinfo=None)
        for wall in [w for n in (-1, 0, 1) for w in walls(expression, day + n * DAY)]:
            instants = passes(wall, tz)
            if not instants and not (missing and missing[0][1] != at):
                missing.append((wall, at))
            if len(instants) == 2 and not (double and abs(double[0][0] - at) > DAY):
                double.append(instants)
    text = told(expression, name, "gap")
    assert bool(text) == bool(missing)
    if text:
        wall, at = missing[0]
        assert f"{wall:%d %B %Y}".lstrip("0") in text or "begins" in text
        assert f"{wall:%H:%M}" in text
        assert schedule.between(at, at + MINUTE) == [at], "it fires at the end of the gap"
        assert f"at {at.astimezone(tz):%H:%M}" in text
        due = at.astimezone(tz).replace(tzinfo=None) in walls(expression, at.astimezone(tz))
        assert ("stands for" in text) == due
        times = re.search(r"\((\d+) times\)", text)
        count = (
            int(times[1]) if times else len(re.findall(r"\d\d:\d\d", text.partition(" exist")[0])) - ("begins" in text)
        )
        assert count == len(missing)
    text = told(expression, name, "dst_overlap")
    assert bool(text) == bool(double)
    if text:
        assert f"{double[0][0].astimezone(tz):%d %B %Y}".lstrip("0") in text
        assert text.endswith("the first time only")
        for first, second in double:
            assert schedule.between(first, first + MINUTE) == [first]
            assert schedule.between(second, second + MINUTE) == []


@pytest.mark.parametrize(
    ("expression", "name", "gap", "overlap"),
    [
        ("*/20 2 * * *", "Europe/Berlin", True, True),
        ("* 2 * * *", "Europe/Berlin", True, True),
        ("0 */2 * * *", "Europe/Berlin", True, True),
        ("*/30 1-2 * * *", "Europe/Berlin", False, True),
        ("*/5 * * * *", "Europe/Berlin", False, False),
        ("30 * * * *", "Europe/Berlin", False, False),
        ("*/7 * * * *", "Europe/Berlin", False, False),
        ("* * * * 0", "Europe/Berlin", False, False),
        ("*/5 0-6 * * *", "Europe/Berlin", False, False),
        ("*/20 3 * * *", "Europe/Berlin", False, False),
        ("0 * * * *", "Australia/Lord_Howe", True, False),
        ("*/30 * * * *", "Australia/Lord_Howe", False, False),
        ("*/20 2 * * *", "Asia/Kolkata", False, False),
    ],
)
def test_hints_of_jobs_that_follow_elapsed_time(expression: str, name: str, gap: bool, overlap: bool) -> None:
    """Only where such a job waits longer, fires sooner, or doubles a day."""
    first, second = told(expression, name, "gap"), told(expression, name, "dst_overlap")
    assert (bool(first), bool(second)) == (gap, overlap)
    assert first.endswith("it does not fire then") or not gap
    assert second.endswith("it fires both times") or not overlap


@pytest.mark.parametrize(
    ("expression", "name", "code", "message"),
    [
        (
            "30 2 * * *", "Europe/Berlin", "dst_gap",
            "on Sunday 28 March 2027 02:30 does not exist in Europe/Berlin: it fires at 03:00 instead",
        ),
        (
            "0 0 * * *", "America/Santiago", "midnight_gap",
            "Sunday 5 September 2027 begins at 01:00, 00:00 does not exist in America/Santiago: "
            "it fires at 01:00 instead",
        ),
        (
            "30 2 * * *", "Europe/Berlin", "dst_overlap",
            "on Sunday 31 October 2027 02:30 comes twice in Europe/Berlin: it fires the first time only",
        ),
        (
            "0 3 * * *", "EST", "zone_name",
            "EST is UTC-05:00 all the year, without summer time; for the clock of a place write its name, "
            "such as America/New_York",
        ),
        (
            "0 3 * * *", "CET", "zone_name",
            "CET has summer time, UTC+01:00 now and UTC+02:00 from Sunday 28 March 2027; a place says it plainly, "
            "such as Europe/Berlin",
        ),
        ("0 3 * * *", "Etc/GMT+5", "zone_name", "Etc/GMT+5 is UTC-05:00: the sign is turned round in these names"),
    ],
)  # fmt: skip
def test_hints_in_words(expression: str, name: str, code: str, message: str) -> None:
    assert [h.message for h in hints(parse(expression, name), NOW) if h.code == code] == [message]


@pytest.mark.parametrize("name", ["UTC", "GMT", "Etc/UTC", "Etc/GMT+0", "Etc/GMT", "Europe/Berlin", "Asia/Kolkata"])
def test_names_of_zones_that_are_what_they_seem(name: str) -> None:
    assert told("0 12 * * *", name, "zone_name") == ""
