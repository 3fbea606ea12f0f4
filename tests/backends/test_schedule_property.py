"""Fires against Debian's daemon, minute by minute: at every clock change of many zones, and wherever chance leads."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backends.schedule import Schedule, parse
from tests.support.expressions import EXPRESSIONS, FIRST, LAST, ZONES
from tests.support.matcher import MINUTE, Line, Watch, clock_changes, watch

HOUR, DAY, TICK = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)

TRICKY = (
    "* * * * *",
    "*/20 2 * * *",
    "* 0-23/2 * * *",
    "0 */2 * * *",
    "30 *,2 * * *",
    "0 0 * * *",
    "30 0 * * *",
    "0 1 * * *",
    "0 2 * * *",
    "30 2 * * *",
    "0,30 2,3 * * *",
    "1,31 0-4 * * *",
    "0 3 * * *",
    "59 23 * * *",
    "0 0-23 * * *",
    "59 0-23/3 * * *",
    "0-59 0-23 * * *",
    "15,45 1-3 * * 0",
    "0 12 30,31 * *",
    "30 0 1 * *",
    "30 2 */2 * 0,6",
    "30 2 1-15 * 0",
    "0 0 29-31 2,3,9-12 */6",
)


def steps(schedule: Schedule, fires: list[datetime], seen: Watch, near: datetime, count: int) -> None:
    """From fire to fire both ways, `count` fires before and after `near`: each direction meets the others' fires."""
    first, last = max(bisect_left(fires, near) - count, 0), bisect_left(fires, near) + count
    part = fires[first:last]
    for at, following in zip(part, fires[first + 1 : last + 1], strict=False):
        assert schedule.after(at) == following
        assert schedule.before(following) == at
    for at in part[:: max(len(part) - 1, 1)]:
        assert schedule.after(at - TICK) == at
        assert schedule.before(at + TICK) == at
    outside = schedule.after(seen.end - TICK), schedule.before(seen.begin)
    assert outside[0] is None or outside[0] >= seen.end
    assert outside[1] is None or outside[1] < seen.begin
    assert schedule.after(seen.begin - TICK) == (fires[0] if fires else outside[0])
    assert schedule.before(seen.end) == (fires[-1] if fires else outside[1])


@pytest.mark.parametrize("zone", ZONES)
def test_every_clock_change(zone: str) -> None:
    lines = [(parse(expression, zone), Line(expression)) for expression in TRICKY]
    for number, change in enumerate(clock_changes(zone, FIRST, LAST)):
        seen = watch(zone, change - 8 * HOUR, 16 * 60)
        for place, (schedule, line) in enumerate(lines):
            expected = line.fires(seen)
            assert schedule.between(seen.begin, seen.end) == expected, (schedule, change)
            if (number + place) % 4 == 0:
                steps(schedule, expected, seen, change, 3)
        # schedules of that one date: the next fire before and after that night is a year away
        wall = (change - MINUTE).astimezone(ZoneInfo(zone))
        for expression in (f"*/20 * {wall.day} {wall.month} *", f"10,30 0-23 {wall.day} {wall.month} *"):
            schedule, expected = parse(expression, zone), Line(expression).fires(seen)
            assert schedule.between(seen.begin, seen.end) == expected, (schedule, change)
            steps(schedule, expected, seen, change, 4)


def test_the_zones_hold_the_rare_changes() -> None:
    changes = [(zone, change) for zone in ZONES for change in clock_changes(zone, FIRST, LAST)]
    assert len(changes) > 1000
    sizes = set()
    for zone, change in changes:
        (_, earlier), (_, later) = watch(zone, change - MINUTE, 2).star
        sizes.add(later - earlier - 1)
    assert {-180, -120, -60, -30, 30, 60, 120, 180, 1440} <= sizes


def places(zone: str) -> st.SearchStrategy[tuple[str, datetime]]:
    """A zone and an instant at which it changes its clock, or any day where it never does."""
    return st.sampled_from(
        [(zone, at) for at in clock_changes(zone, FIRST, LAST) or (datetime(2024, 2, 29, tzinfo=UTC),)]
    )


@settings(max_examples=700, deadline=None, derandomize=True)
@given(
    EXPRESSIONS, st.sampled_from(ZONES).flatmap(places), st.integers(-40 * 60, 4 * 60), st.integers(1, 3200), st.data()
)
def test_any_expression_near_a_clock_change(
    expression: str, place: tuple[str, datetime], shift: int, minutes: int, data: st.DataObject
) -> None:
    zone, change = place
    seen = watch(zone, change + MINUTE * shift, minutes)
    schedule = parse(expression, zone)
    expected = Line(expression).fires(seen)
    assert schedule.between(seen.begin, seen.end) == expected
    steps(schedule, expected, seen, change, 8)

    # windows that begin and end anywhere, within a minute too
    offsets = st.integers(0, (seen.end - seen.begin) // TICK)
    low, high = sorted(seen.begin + TICK * data.draw(offsets) for _ in range(2))
    inside = expected[bisect_left(expected, low) : bisect_left(expected, high)]
    assert schedule.between(low, high) == inside
    assert schedule.between(low, high, limit=3) == inside[:3]
    following, previous = schedule.after(low), schedule.before(low)
    later, earlier = expected[bisect_right(expected, low) :], expected[: bisect_left(expected, low)]
    assert following == later[0] if later else following is None or following >= seen.end
    assert previous == earlier[-1] if earlier else previous is None or previous < seen.begin


@settings(max_examples=350, deadline=None, derandomize=True)
@given(
    EXPRESSIONS,
    st.sampled_from(ZONES),
    st.datetimes(datetime(FIRST, 1, 1), datetime(LAST, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),
)
@example("0 0 29 2 *", "Europe/Berlin", datetime(2026, 3, 1, tzinfo=UTC))
@example("0 12 29 2 */7", "Pacific/Apia", datetime(2026, 3, 1, tzinfo=UTC))
@example("30 2 31 3 */7", "Europe/Berlin", datetime(2026, 3, 1, tzinfo=UTC))
@example("59 23 31 4,6 1", "Asia/Gaza", datetime(2026, 3, 1, tzinfo=UTC))
def test_the_nearest_fire_however_far_away(expression: str, zone: str, at: datetime) -> None:
    schedule, line = parse(expression, zone), Line(expression)
    following, previous = schedule.after(at), schedule.before(at)
    if following is None:
        assert "Never" in schedule.describe()
        assert previous is None
        return
    assert previous is not None
    assert previous < at < following
    for fire in (following, previous):
        assert fire in line.fires(watch(zone, fire, 1))
    # the days between hold none: those whose walls could match are walked, the others can't
    for begin in days(at, following, line):
        assert [fire for fire in line.fires(watch(zone, begin, 1440)) if at < fire < following] == []
    for begin in days(previous, at, line):
        assert [fire for fire in line.fires(watch(zone, begin, 1440)) if previous < fire < at] == []
    here = schedule.between(at, at + TICK)
    assert schedule.before(following) == (at if here else previous)
    assert schedule.after(previous) == (at if here else following)


def days(start: datetime, end: datetime, line: Line) -> list[datetime]:
    """UTC days from `start` to `end` near which the line has a day, at most six of them."""
    begin = start.replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    while begin < end and len(found) < 6:
        number = (begin - datetime(1970, 1, 1, tzinfo=UTC)) // DAY
        if any(line.on(number + shift) for shift in (-1, 0, 1)):
            found.append(begin)
        begin += DAY
    return found


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
        ("30 1 * * *", "Antarctica/Troll", "2026-03-29T00:00", ["01:00"]),  # two hours are made up for
        ("30 1 * * *", "Antarctica/Casey", "2022-10-01T15:00", []),  # 00:01 became 03:01: three hours are not
        ("30 1 * * *", "Pacific/Kwajalein", "1969-09-29T14:00", ["14:30"]),
        ("30 1 * * *", "Pacific/Kwajalein", "1969-09-30T13:00", ["13:30"]),  # 23 hours back: the same date again
    ],
)
def test_clock_changes(expression: str, zone: str, start: str, expected: list[str]) -> None:
    begin = datetime.fromisoformat(start + "+00:00")
    fires = parse(expression, zone).between(begin, begin + timedelta(hours=2))
    assert [f"{fire:%H:%M}" for fire in fires] == expected
