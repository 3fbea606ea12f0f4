"""Fires against a minute-by-minute walk through UTC that shares nothing with the code under test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.schedule import fires_between, parse

MINUTE = timedelta(minutes=1)
LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))

# a zone and an instant near a clock change of it
PLACES = [
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 18, 2, tzinfo=UTC)),
    ("America/St_Johns", datetime(2011, 3, 13, 3, 31, tzinfo=UTC)),
    ("America/St_Johns", datetime(2011, 11, 6, 2, 31, tzinfo=UTC)),
    ("Antarctica/Casey", datetime(2012, 2, 21, 17, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2026, 5, 1, tzinfo=UTC)),
    ("UTC", datetime(2024, 2, 29, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 9, 24, 11, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2026, 3, 22, 2, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 12, 31, 23, tzinfo=UTC)),
]


def numbers(text: str, low: int, high: int) -> set[int]:
    """The values of one field; the tests write numbers only."""
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        start, stop = (low, high) if span == "*" else (int(first), int(last or first))
        found |= set(range(start, stop + 1, int(step or 1)))
    return found


class Oracle:
    """What a cron daemon would do that looks at its clock every minute."""

    def __init__(self, expression: str, zone: str) -> None:
        self.words = expression.split()
        self.sets = [numbers(w, *limit) for w, limit in zip(self.words, LIMITS, strict=True)]
        self.zone = zone
        self.wild = self.words[0][0] == "*" or self.words[1][0] == "*"

    def matches(self, wall: datetime) -> bool:
        minute, hour, days, months, weekdays = self.sets
        day = wall.day in days
        weekday = bool({wall.isoweekday(), wall.isoweekday() % 7} & weekdays)
        both = self.words[2][0] == "*" or self.words[4][0] == "*"
        return (
            wall.minute in minute
            and wall.hour in hour
            and wall.month in months
            and (day and weekday if both else day or weekday)
        )

    def fires(self, begin: datetime, minutes: int) -> list[datetime]:
        fires = []
        passed = datetime.min  # the furthest the wall clock has been
        walls = clock(self.zone, begin - timedelta(days=2), minutes + 2880)
        for at, wall in walls:
            jump = wall - passed
            fire = self.matches(wall) and (self.wild or wall > passed)
            if not fire and not self.wild and MINUTE < jump <= timedelta(hours=3, minutes=1):
                fire = any(self.matches(passed + MINUTE * n) for n in range(1, jump // MINUTE))
            passed = max(passed, wall)
            if fire and at >= begin:
                fires.append(at)
        return fires


@lru_cache(maxsize=64)
def clock(zone: str, begin: datetime, minutes: int) -> list[tuple[datetime, datetime]]:
    tz = ZoneInfo(zone)
    instants = (begin + MINUTE * n for n in range(minutes))
    return [(at, at.astimezone(tz).replace(tzinfo=None, fold=0)) for at in instants]


@st.composite
def field(draw: st.DrawFn, low: int, high: int, stars: int) -> str:
    """Mostly stars for the day fields, so that the expressions fire at all in a short window."""
    items = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.integers(0, 2 + stars))
        if kind == 0:
            items.append(str(draw(st.integers(low, high))))
        elif kind == 1:
            first = draw(st.integers(low, high))
            last = draw(st.integers(first, high))
            step = draw(st.sampled_from(["", "", "/2", "/7"]))
            items.append(f"{first}-{last}{step}")
        elif kind == 2:
            items.append(f"*/{draw(st.integers(1, high + 3))}")
        else:
            return "*"
    return ",".join(items)


EXPRESSIONS = st.builds(
    lambda *words: " ".join(words),
    st.one_of(field(0, 59, 1), st.sampled_from(["0", "1", "30", "0,30", "59"])),
    st.one_of(field(0, 23, 1), st.sampled_from(["0", "1", "2", "3", "0-23", "1-3", "*/2", "23"])),
    field(1, 31, 5),
    field(1, 12, 9),
    field(0, 7, 5),
)


@settings(max_examples=700, deadline=None)
@given(EXPRESSIONS, st.sampled_from(PLACES), st.integers(-2000, 60))
def test_fires_are_those_of_a_minute_by_minute_walk(expression: str, place: tuple[str, datetime], shift: int) -> None:
    zone, change = place
    begin, minutes = change + MINUTE * (shift // 30 * 30), 4320
    end = begin + MINUTE * minutes
    expected = Oracle(expression, zone).fires(begin, minutes)
    schedule = parse(expression, zone)
    assert schedule.between(begin, end) == expected

    # one at a time, in both directions, meets the same fires
    near = [fire for fire in expected if abs(fire - change) < timedelta(hours=5)][:150]
    for at, following in zip(near, expected[expected.index(near[0]) + 1 :] if near else [], strict=False):
        assert schedule.after(at) == following
        assert schedule.before(following) == at
        assert schedule.after(at - timedelta(microseconds=1)) == at
        assert schedule.before(at + timedelta(microseconds=1)) == at
    first = schedule.after(begin - timedelta(microseconds=1))
    last = schedule.before(end)
    if expected:
        assert (first, last) == (expected[0], expected[-1])
    else:
        assert first is None or first >= end
        assert last is None or last < begin


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, st.sampled_from(PLACES), st.integers(0, 10_000_000))
def test_after_and_before_undo_each_other_far_from_any_clock_change(
    expression: str, place: tuple[str, datetime], seconds: int
) -> None:
    schedule = parse(expression, place[0])
    at = place[1] + timedelta(seconds=seconds)
    following = schedule.after(at)
    if following is None:
        assert "Never" in schedule.describe()
        assert schedule.before(at) is None
        return
    previous = schedule.before(following)
    assert following > at
    assert previous is None or previous <= at
    assert schedule.before(following + timedelta(microseconds=1)) == following
    assert schedule.between(at + timedelta(microseconds=1), following) == []


@pytest.mark.parametrize(
    ("expression", "zone", "start", "expected"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T00:00", ["01:00"]),  # swallowed: once, at 03:00 summer time
        ("0,30 2 * * *", "Europe/Berlin", "2026-03-29T00:00", ["01:00"]),
        ("30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00", ["01:00", "01:30"]),
        ("0 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00", ["01:00"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-29T00:00", []),  # follows elapsed time
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:00", ["00:30"]),  # comes twice: the first pass only
        ("30 */2 * * *", "Europe/Berlin", "2026-10-25T00:00", ["00:30", "01:30"]),
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-04T02:00", ["03:00"]),
        ("0 0-23 * * *", "Australia/Lord_Howe", "2026-10-03T14:31", ["15:30", "16:00"]),
        ("0 0-23 * * *", "Australia/Lord_Howe", "2026-04-04T13:31", ["14:00", "15:30"]),
        ("0 5 30 12 *", "Pacific/Apia", "2011-12-30T09:00", []),  # the day that never was: no catch-up
    ],
)
def test_clock_changes(expression: str, zone: str, start: str, expected: list[str]) -> None:
    begin = datetime.fromisoformat(start + "+00:00")
    fires = parse(expression, zone).between(begin, begin + timedelta(hours=2))
    assert [f"{fire:%H:%M}" for fire in fires] == expected


def test_fires_of_many_jobs_come_merged_and_sorted() -> None:
    start = datetime(2026, 10, 25, tzinfo=UTC)
    schedules = {
        "b": parse("0 * * * *", "Europe/Berlin"),
        "a": parse("0 * * * *", "Europe/Berlin"),
        "night": parse("30 2 * * *", "Europe/Berlin"),
        "boot": parse("@reboot"),
    }
    fires = fires_between(schedules, start, start + timedelta(hours=2))
    assert [(f.job, (f.at_ms - int(start.timestamp() * 1000)) // 60_000) for f in fires] == [
        ("a", 0), ("b", 0), ("night", 30), ("a", 60), ("b", 60),
    ]  # fmt: skip


def test_long_gaps_between_fires() -> None:
    leap = parse("0 0 29 2 *")
    assert leap.after(datetime(2096, 3, 1, tzinfo=UTC)) == datetime(2104, 2, 29, tzinfo=UTC)
    assert leap.before(datetime(2104, 2, 29, tzinfo=UTC)) == datetime(2096, 2, 29, tzinfo=UTC)
    never = parse("0 0 31 4,6 *", "America/New_York")
    assert never.after(datetime(2026, 1, 1, tzinfo=UTC)) is None
    assert never.before(datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_ends_of_time_and_bad_arguments() -> None:
    schedule = parse("* * * * *", "Europe/Berlin")
    assert schedule.after(datetime.max.replace(tzinfo=UTC)) is None
    assert schedule.before(datetime.min.replace(tzinfo=UTC)) is None
    assert len(schedule.between(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), limit=7)) == 7
    assert schedule.between(datetime(2027, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)) == []
    with pytest.raises(ValueError, match="aware"):
        schedule.after(datetime(2026, 1, 1))


def test_reboot_has_no_fires() -> None:
    schedule = parse("@Reboot")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert schedule.reboot
    assert schedule.after(now) is None
    assert schedule.before(now) is None
    assert schedule.between(now, now + timedelta(days=9)) == []
