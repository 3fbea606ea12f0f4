"""Fires of many schedules at once are those of each schedule alone, counted or listed, in any zone on any night."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.model import to_ms
from backends.schedule import Schedule, ScheduleError, counts, density, fires_between, merged, next_fires, parse
from tests.support.expressions import EXPRESSIONS, FIRST, LAST
from tests.support.expressions import ZONES as CHANGING
from tests.support.matcher import clock_changes

NIGHTS = (
    ("Europe/Berlin", datetime(2026, 3, 29, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=UTC)),  # half an hour back
    ("Australia/Lord_Howe", datetime(2026, 10, 3, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, tzinfo=UTC)),  # midnight does not exist
    ("America/Havana", datetime(2026, 11, 1, tzinfo=UTC)),  # midnight comes twice
    ("Antarctica/Troll", datetime(2026, 3, 29, tzinfo=UTC)),  # two hours forward
    ("Antarctica/Troll", datetime(2026, 10, 25, tzinfo=UTC)),
    ("America/Scoresbysund", datetime(2024, 3, 31, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC)),  # a day that does not exist
    ("America/Metlakatla", datetime(2015, 11, 1, tzinfo=UTC)),
    ("Africa/Monrovia", datetime(1972, 1, 7, tzinfo=UTC)),  # 44 minutes and 30 seconds
    ("Asia/Manila", datetime(1990, 5, 21, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2026, 2, 15, tzinfo=UTC)),
    ("Europe/Dublin", datetime(1968, 10, 27, tzinfo=UTC)),
    ("Asia/Pyongyang", datetime(2018, 5, 4, tzinfo=UTC)),
    ("Europe/Amsterdam", datetime(1937, 7, 1, tzinfo=UTC)),  # UTC +0:19:32
)
CLOCK = ("0 0 * * *", "30 0 * * *", "30 2 * * *", "15,45 1-3 * * *", "59 23 * * *", "0 12 * * *")
ELAPSED = ("* * * * *", "*/7 * * * *", "0 * * * *", "*/30 1,2 * * *", "30 */2 * * *", "5 0-3 * * *")
DAYS = ("0 0 1 * 1", "0 2 */2 * 1", "*/15 2 29 2 *", "0 3 31 4 *", "@reboot", "@weekly", "10 2 30,31 * 0,6")
ZONES = sorted(available_timezones() - {"localtime"})


def _expected(schedule: Schedule, start: datetime, end: datetime) -> list[int]:
    return [to_ms(fire) for fire in schedule.between(start, end)]


@pytest.mark.parametrize(("zone", "night"), NIGHTS)
def test_listed_and_counted_fires_are_those_of_each_schedule(zone: str, night: datetime) -> None:
    schedules = {text: parse(text, zone) for text in (*CLOCK, *ELAPSED, *DAYS)}
    rng = random.Random(zone)
    windows = [(night - timedelta(hours=13), night + timedelta(hours=60))]
    for _ in range(12):
        start = night + timedelta(seconds=rng.randrange(-90_000, 90_000), microseconds=rng.choice((0, 1, 999_999)))
        windows.append((start, start + timedelta(seconds=rng.choice((1, 60, 3600, 7201, 90_000)))))
    for start, end in windows:
        listed = fires_between(schedules, start, end)
        counted = density(schedules, start, end, 17)
        for name, schedule in schedules.items():
            expected = _expected(schedule, start, end)
            assert list(listed[name]) == expected, (name, start, end)
            low, high = -((-to_us(start)) // 1000), -((-to_us(end)) // 1000)
            cuts = [low + (high - low) * n // 17 for n in range(18)]
            assert list(counted.jobs[name]) == [sum(a <= at < b for at in expected) for a, b in pairwise(cuts)]
        assert counted.total == tuple(map(sum, zip(*counted.jobs.values(), strict=True)))


def to_us(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@st.composite
def _case(draw: st.DrawFn) -> tuple[list[tuple[str, str]], datetime]:
    """Jobs as (expression, zone), and where their window begins: mostly within a day before a clock change of one."""
    zone = draw(st.sampled_from(CHANGING))
    zones = st.one_of(st.just(zone), st.sampled_from(CHANGING), st.sampled_from(ZONES))
    written = draw(st.lists(st.tuples(EXPRESSIONS, zones), min_size=1, max_size=8))
    changes = list(clock_changes(zone, FIRST, LAST))
    if not changes or draw(st.integers(0, 3)) == 0:
        return written, draw(st.datetimes(datetime(1935, 1, 1), datetime(2037, 1, 1))).replace(tzinfo=UTC)
    before = timedelta(seconds=draw(st.one_of(st.just(0), st.integers(-7_200, 86_400))))
    return written, draw(st.sampled_from(changes)) - before + timedelta(microseconds=draw(st.sampled_from((0, 1))))


@settings(max_examples=150, deadline=None)
@given(_case(), st.integers(1, 200_000), st.integers(1, 40))
def test_any_schedules_in_any_zones(case: tuple[list[tuple[str, str]], datetime], seconds: int, buckets: int) -> None:
    written, begin = case
    schedules = {}
    for number, (expression, zone) in enumerate(written):
        try:
            schedules[f"job{number}"] = parse(expression, zone)
        except ScheduleError:  # a zone of links that ZoneInfo has, but a schedule refuses
            continue
    end = begin + timedelta(seconds=seconds)
    listed, counted = fires_between(schedules, begin, end), density(schedules, begin, end, buckets)
    expected = {name: _expected(schedule, begin, end) for name, schedule in schedules.items()}
    assert {name: list(fires) for name, fires in listed.items()} == expected
    assert {name: sum(numbers) for name, numbers in counted.jobs.items()} == {n: len(f) for n, f in expected.items()}
    in_order = [(fire.at_ms, fire.job) for fire in merged(listed)]
    assert in_order == sorted((at, name) for name, fires in expected.items() for at in fires)
    at_ms = to_ms(begin)
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    later = {name: schedule.after(at) for name, schedule in schedules.items()}
    assert next_fires(schedules, at_ms) == {name: to_ms(fire) if fire else None for name, fire in later.items()}


def test_zones_that_agree_today_part_ways_later() -> None:
    """Berlin and Johannesburg have one list of days in July; the next rare fire is each zone's own."""
    schedules = {zone: parse("0 3 24 12 *", zone) for zone in ("Europe/Berlin", "Africa/Johannesburg", "Europe/Paris")}
    found = next_fires(schedules, to_ms(datetime(2026, 7, 1, tzinfo=UTC)))
    assert found == {
        "Europe/Berlin": to_ms(datetime(2026, 12, 24, 2, tzinfo=UTC)),
        "Africa/Johannesburg": to_ms(datetime(2026, 12, 24, 1, tzinfo=UTC)),
        "Europe/Paris": to_ms(datetime(2026, 12, 24, 2, tzinfo=UTC)),
    }


def test_equal_schedules_share_one_sequence() -> None:
    start = datetime(2026, 7, 1, tzinfo=UTC)
    schedules = {
        "a": parse("*/5 * * * *", "Europe/Berlin"), "b": parse("*/5  * * * *", "Europe/Paris"),
        "c": parse("0-59/5 * * * *", "Asia/Kolkata"), "boot": parse("@reboot"),
    }  # fmt: skip
    fires = fires_between(schedules, start, start + timedelta(days=1))
    assert fires["a"] is fires["b"]
    assert len(fires["c"]) == 288
    assert fires["boot"] == ()


def test_the_first_fires_of_all_come_without_the_rest() -> None:
    start = datetime(2026, 7, 1, tzinfo=UTC)
    schedules = {f"{n:02}": parse("* * * * *") for n in range(5)} | {"at": parse("1 0 * * *")}
    first = [
        (f.at_ms // 60_000 % 60, f.job)
        for f in islice(merged(fires_between(schedules, start, start + timedelta(9))), 8)
    ]
    assert first == [(0, f"{n:02}") for n in range(5)] + [(1, "00"), (1, "01"), (1, "02")]


def test_a_herd_stands_out_in_the_total() -> None:
    start = datetime(2026, 7, 1, tzinfo=UTC)
    schedules = {f"nightly{n}": parse("0 3 * * *") for n in range(40)} | {"often": parse("*/10 * * * *")}
    total = density(schedules, start, start + timedelta(days=1), 24).total
    assert total == tuple(46 if hour == 3 else 6 for hour in range(24))


def test_windows_must_be_windows() -> None:
    start = datetime(2026, 7, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="aware"):
        fires_between({}, datetime(2026, 7, 1), start)
    with pytest.raises(ValueError, match="bucket"):
        density({}, start, start, 5)
    with pytest.raises(ValueError, match="bucket"):
        density({}, start, start + timedelta(days=1), 0)
    schedules = {"a": parse("* * * * *")}
    assert fires_between(schedules, start, start) == {"a": ()}
    assert fires_between(schedules, start, start - timedelta(days=1)) == {"a": ()}
    assert counts({}, [1, 2, 3]).total == (0, 0)
