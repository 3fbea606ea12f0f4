"""Fires against three other programs, wherever they mean the same as Debian's cron; where not, it is said beside it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from random import Random
from zoneinfo import ZoneInfo

import pytest
from croniter import CroniterBadDateError, croniter
from cronsim import CronSim, CronSimError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backends.schedule import parse
from tests.support.expressions import EXPRESSIONS, FIRST, LAST, ZONES
from tests.support.matcher import MINUTE, Line, clock_changes, watch

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ONE_VALUE = re.compile(r"\b(\d+)-\1\b")
"""Ranges such as ``6-6``: croniter reads the whole field, cronsim reads ``6-6/2`` as 6-59/2."""
LINES = EXPRESSIONS.filter(lambda text: not ONE_VALUE.search(text))
INSTANTS = st.datetimes(datetime(FIRST, 1, 1), datetime(LAST, 12, 1)).map(
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)


@lru_cache(maxsize=64)
def whole_hours(zone: str) -> list[tuple[datetime, bool, bool]]:
    """The zone's changes of one hour at a full hour of its wall; is it forward, does it touch midnight."""
    found = []
    for change in clock_changes(zone, FIRST, LAST):
        (_, earlier), (_, later) = watch(zone, change - MINUTE, 2).star
        if abs(later - earlier - 1) == 60 and later % 60 == 0:
            found.append((change, later > earlier, earlier % 1440 == 1439 or later % 1440 == 0))
    return found


def places(zone: str) -> st.SearchStrategy[tuple[str, datetime, bool, bool]]:
    return st.sampled_from([(zone, *change) for change in whole_hours(zone)])


PLACES = st.sampled_from([zone for zone in ZONES if zone not in ("UTC", "Asia/Kolkata", "Pacific/Kiritimati")]).flatmap(
    lambda zone: places(zone) if whole_hours(zone) else places("Europe/Berlin")
)


def quiet(zone: str, begin: datetime, end: datetime) -> bool:
    return not any(begin - DAY < change < end + DAY for change in clock_changes(zone, FIRST, LAST))


def inside(fires: Iterable[datetime], begin: datetime, end: datetime) -> list[datetime]:
    """The fires from `begin` on, each instant once; `fires` rise, and are read no further than `end`."""
    found: list[datetime] = []
    for fire in fires:
        at = fire.astimezone(UTC)
        if at >= end:
            break
        if at >= begin and at not in found[-1:]:
            found.append(at)
    return found


# cronsim follows Debian's cron too. Left out: changes other than one hour at a full hour (it loses fires at half hours,
# at 00:01 and at a skipped date); jobs with a `*` time where midnight does not exist (it takes up a day at a time that
# isn't there, and fires too much or too little); `6-6/2`; dates that never come, which it refuses.


@settings(max_examples=250, deadline=None, derandomize=True)
@given(LINES, PLACES, st.integers(-1500, 60))
def test_cronsim_at_clock_changes(expression: str, place: tuple[str, datetime, bool, bool], shift: int) -> None:
    zone, change, forward, midnight = place
    assume(not (forward and midnight and Line(expression).star_time))
    begin = change + MINUTE * shift
    schedule = parse(expression, zone)
    try:
        others = CronSim(expression, (begin - MINUTE).astimezone(ZoneInfo(zone)))
    except CronSimError:
        assert schedule.after(begin) is None
        return
    assert schedule.between(begin, begin + 2 * DAY) == inside(others, begin, begin + 2 * DAY)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(LINES, st.sampled_from(ZONES), INSTANTS)
def test_cronsim_far_from_clock_changes(expression: str, zone: str, at: datetime) -> None:
    schedule = parse(expression, zone)
    here = at.astimezone(ZoneInfo(zone))
    try:
        ahead, back = CronSim(expression, here), CronSim(expression, here, reverse=True)
    except CronSimError:
        assert schedule.after(at) is None
        return
    for others, step in ((ahead, schedule.after), (back, schedule.before)):
        fire = at
        for other in islice(others, 5):
            if not quiet(zone, min(fire, other), max(fire, other)):
                break
            following = step(fire)
            assert following == other
            fire = other.astimezone(UTC)


# croniter 7, aware of the zone and with the text as it stands (the code under test gives it lists and no zone). Told
# which way to read the two day fields: its own rule is another. Left out: `6-6`; day fields that spell out every day,
# which it takes for `*`; at clock changes all but the two cases in which it does what cron does, which are jobs of `*`
# hours, and jobs of one time a day in a gap of one hour; changes at midnight, where it misses fires of the day before.


def as_croniter(expression: str, zone: str, at: datetime) -> croniter:
    days, weekdays = expression.split()[2::2]
    either = not (days.startswith("*") or weekdays.startswith("*"))
    assume(
        not either or (len(Line.numbers(days, 1, 31)) < 31 and len({n % 7 for n in Line.numbers(weekdays, 0, 7)}) < 7)
    )
    return croniter(expression, at.astimezone(ZoneInfo(zone)), ret_type=datetime, day_or=either)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(LINES, st.sampled_from(ZONES), INSTANTS)
def test_croniter_far_from_clock_changes(expression: str, zone: str, at: datetime) -> None:
    schedule = parse(expression, zone)
    others = as_croniter(expression, zone, at)
    for take, step in ((others.get_next, schedule.after), (others.get_prev, schedule.before)):
        others.set_current(at.astimezone(ZoneInfo(zone)), force=True)
        fire = at
        for _ in range(5):
            try:
                other = take(datetime)
            except CroniterBadDateError:
                assert step(fire) is None
                break
            if not quiet(zone, min(fire, other), max(fire, other)):
                break
            assert step(fire) == other
            fire = other.astimezone(UTC)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(LINES, PLACES, st.integers(-600, -61), st.integers(0, 59), st.integers(0, 23))
def test_croniter_at_clock_changes(
    expression: str, place: tuple[str, datetime, bool, bool], shift: int, minute: int, hour: int
) -> None:
    zone, change, forward, midnight = place
    assume(not midnight)
    minutes, _, *rest = expression.split()
    once = f"{minute} {hour}" if forward else f"{minute} *"
    begin, end = change + MINUTE * shift, change + DAY
    for text in (" ".join([minutes, "*", *rest]), f"{once} * * *"):
        others = as_croniter(text, zone, begin - MINUTE).all_next(datetime)
        try:
            expected = inside(others, begin, end)
        except CroniterBadDateError:
            expected = []
        assert parse(text, zone).between(begin, end) == expected, text


# systemd: explicit lists, each `either` of the day fields a calendar of its own. Left out: the hours around a clock
# change, where it skips what a gap swallowed and counts a repeated hour once, hourly jobs too; the way to a gap that
# does not begin at a full hour, where it fails altogether ("Resource deadlock avoided").

SYSTEMD = shutil.which("systemd-analyze")
TAKEN = 25


def calendars(expression: str, zone: str) -> list[str]:
    minutes, hours, days, months, weekdays = expression.split()
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    date, month = (listed(Line.numbers(*field)) for field in ((days, 1, 31), (months, 1, 12)))
    time = f"{listed(Line.numbers(hours, 0, 23))}:{listed(Line.numbers(minutes, 0, 59))}:00 {zone}"
    week = ",".join(names[n] for n in sorted({(n - 1) % 7 for n in Line.numbers(weekdays, 0, 7)}))
    if days.startswith("*") or weekdays.startswith("*"):
        return [f"{week} *-{month}-{date} {time}"]
    return [f"*-{month}-{date} {time}", f"{week} *-{month}-* {time}"]


def listed(numbers: set[int]) -> str:
    return ",".join(f"{number:02d}" for number in sorted(numbers))


def elapses(written: list[str], begin: datetime) -> list[list[datetime]]:
    """The first fires of each calendar after `begin`, as systemd-analyze prints them."""
    printed = subprocess.run(
        [SYSTEMD or "", "calendar", f"--iterations={TAKEN}", f"--base-time={begin:%Y-%m-%d %H:%M:%S} UTC", *written],
        capture_output=True, text=True, check=True, timeout=60, env={"TZ": "UTC", "LC_ALL": "C"},
    ).stdout  # fmt: skip
    found = []
    for block in printed.split("Normalized form: ")[1:]:
        lines = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ ([\d-]+ [\d:]+) UTC$", block, re.MULTILINE)
        found.append([datetime.fromisoformat(line).replace(tzinfo=UTC) for line in lines])
    assert len(found) == len(written)
    return found


@pytest.mark.skipif(SYSTEMD is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("zone", ZONES)
def test_systemd(zone: str) -> None:
    chance = Random(zone)
    changes = clock_changes(zone, FIRST, LAST)
    change = chance.choice(changes or (datetime(2024, 2, 29, tzinfo=UTC),))
    (_, wall), _ = watch(zone, change - MINUTE, 2).star
    begin = change - chance.randint(0, 3000) * MINUTE if wall % 60 == 59 else change + HOUR
    expressions = [by_chance(chance) for _ in range(20)]
    written = [calendars(expression, zone) for expression in expressions]
    printed = iter(elapses([text for texts in written for text in texts], begin))
    compared = 0
    for expression, texts in zip(expressions, written, strict=True):
        answers = [next(printed) for _ in texts]
        end = min((answer[-1] for answer in answers if len(answer) == TAKEN), default=begin + 400 * DAY)
        expected = sorted({fire for answer in answers for fire in answer if fire <= end})
        fires = parse(expression, zone).between(begin + timedelta(seconds=1), end + MINUTE)
        loud = [change for change in changes if begin - DAY < change < end + DAY]
        ours, theirs = (
            [at for at in found if all(abs(at - change) > 3 * HOUR for change in loud)] for found in (fires, expected)
        )
        assert ours == theirs, (expression, texts, begin)
        compared += len(ours)
    assert compared > 200


def by_chance(chance: Random) -> str:
    fields = (
        ("0", "30", "59", "0,30", "*/20", "7-50/9", "*", "5-8"),
        ("0", "1", "2", "3", "23", "0-4", "*/5", "*", "0-23"),
        ("*", "*", "*", "*/2", "28-31", "1,15", "13"),
        ("*", "*", "*", "3,4,9-11", "2", "*/2"),
        ("*", "*", "*", "0,6", "1-5", "*/2", "5-7", "5"),
    )
    return " ".join(chance.choice(field) for field in fields)
