"""What other schedulers would do: the models against the programs, or against fires noted from them."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backends.schedule import Schedule, parse
from backends.schedule.compare import Answer, Comparison, compare
from backends.schedule.elsewhere import Clock, System
from backends.schedule.elsewhere.debian import Debian
from backends.schedule.elsewhere.kubernetes import Kubernetes
from backends.schedule.elsewhere.systemd import Systemd
from tests.support.expressions import EXPRESSIONS, FIRST, LAST, ZONES
from tests.support.matcher import clock_changes

HOUR = timedelta(hours=1)
BERLIN, SAO_PAULO = "Europe/Berlin", "America/Sao_Paulo"
SPRING, AUTUMN = "2027-03-01", "2026-09-01"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ask(expression: str, zone: str, after: str) -> tuple[Comparison, dict[str, Answer]]:
    """The comparison, and each system's answer on the next clock change."""
    found = compare(parse(expression, zone), at(after), 1)
    return found, {answer.system: answer for answer in found.changes[0].answers}


def local(fires: tuple[datetime, ...], zone: str) -> list[str]:
    return [f"{fire.astimezone(ZoneInfo(zone)):%H:%M%z}"[:8] for fire in fires]


def model(kind: type[System], schedule: Schedule) -> System:
    assert schedule.fields is not None
    clock = Clock(ZoneInfo(schedule.timezone))
    return kind(schedule.expression, schedule.fields, schedule.timezone, clock)


# The same job around one clock change. Kubernetes and systemd as measured, the others as they say of themselves.
TABLE = [
    (
        "30 2 * * *", BERLIN, SPRING, ["03:00+02"],
        {"debian": "same", "systemd": "differs", "kubernetes": "differs", "github": "same", "eventbridge": "differs"},
    ),
    (
        "30 2 * * *", BERLIN, AUTUMN, ["02:30+02"],
        {"debian": "same", "systemd": "same", "kubernetes": "differs", "github": "unclear", "eventbridge": "unclear"},
    ),
    (
        "0 * * * *", BERLIN, AUTUMN, ["00:00+02", "01:00+02", "02:00+02", "02:00+01", "03:00+01", "04:00+01"],
        {"debian": "same", "systemd": "differs", "kubernetes": "same", "github": "unclear", "eventbridge": "unclear"},
    ),
    (
        "0 0 * * *", SAO_PAULO, "2018-09-01", ["01:00-02"],
        {"debian": "same", "systemd": "differs", "kubernetes": "differs", "github": "same", "eventbridge": "differs"},
    ),
    (
        "*/20 2 * * *", BERLIN, SPRING, [],
        {"debian": "same", "systemd": "same", "kubernetes": "same", "github": "differs", "eventbridge": "same"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "zone", "after", "ours", "verdicts"), TABLE)
def test_one_job_and_one_clock_change(
    expression: str, zone: str, after: str, ours: list[str], verdicts: dict[str, str]
) -> None:
    found, answers = ask(expression, zone, after)
    assert local(found.changes[0].fires, zone) == ours
    assert {system: answer.verdict for system, answer in answers.items()} == verdicts
    for answer in answers.values():
        assert bool(answer.note) == (answer.verdict != "same"), answer


@pytest.mark.parametrize(
    ("expression", "zone", "after", "system", "fires", "note"),
    [
        ("30 2 * * *", BERLIN, SPRING, "systemd", [], "skipped: 02:30 does not exist"),
        ("30 2 * * *", BERLIN, SPRING, "kubernetes", [], "skipped: 02:30 does not exist"),
        ("30 2 * * *", BERLIN, AUTUMN, "kubernetes", ["02:30+02", "02:30+01"], "fires twice: 02:30 comes twice"),
        (
            "0,30 2 * * *", BERLIN, SPRING, "debian", ["03:00+02", "03:00+02"],
            "2 runs at 03:00, one for each of 02:00 and 02:30",
        ),
        (
            "0 * * * *", BERLIN, AUTUMN, "systemd", ["00:00+02", "01:00+02", "02:00+02", "03:00+01", "04:00+01"],
            "fires in the first pass of the repeated hour only: 2 h without a fire",
        ),
        (
            "*/20 2 * * *", BERLIN, SPRING, "github", ["03:00+02"],
            "fires at 03:00 for 02:00, 02:20 and 02:40, which do not exist",
        ),
        ("30 2 * * *", BERLIN, AUTUMN, "github", [], "does not say what it does in a repeated hour"),
        ("0 1,13 * * *", "Europe/Dublin", SPRING, "systemd", [], "skipped: 01:00 does not exist; no fire at 13:00"),
        ("30 1 */2 * 0", BERLIN, SPRING, "kubernetes", ["01:30+01"], "fires on this day by its own day rule"),
        ("30 1 */2 * 1", BERLIN, SPRING, "eventbridge", [], "can't express this schedule"),
        ("30 1 * * fri-sun", BERLIN, SPRING, "debian", [], "no fire on this day by its own day rule"),
        ("30 2 * * fri-sun", BERLIN, SPRING, "debian", [], "no fire on this day by its own day rule"),
        (
            "0 0 30 * *", "Pacific/Apia", "2011-12-01", "kubernetes", [],
            "finds no further fire after the clock change: its search goes in circles",
        ),
    ],
)  # fmt: skip
def test_what_is_said_of_a_difference(
    expression: str, zone: str, after: str, system: str, fires: list[str], note: str
) -> None:
    answer = ask(expression, zone, after)[1][system]
    assert answer.note == note
    assert local(answer.fires, zone) == fires


def test_where_documents_are_silent_both_are_possible() -> None:
    answers = ask("30 2 * * *", BERLIN, AUTUMN)[1]
    for system in ("github", "eventbridge"):
        assert local(answers[system].unclear, BERLIN) == ["02:30+02", "02:30+01"]
        assert (answers[system].missing, answers[system].extra) == ((), ())
    often = ask("*/2 * * * *", BERLIN, AUTUMN)[1]["github"]
    assert (often.fires, often.verdict) == ((), "unclear")
    assert "every 5 minutes" in often.note
    both = ask("0 12 */2 * 1", BERLIN, AUTUMN)[1]["github"]
    assert (both.verdict, both.note) == ("unclear", "does not say whether both day fields must fit where one has */n")


CODES = [
    ("0 3 * * *", {"debian": ["host_zone"], "systemd": ["accuracy"], "kubernetes": [], "github": ["late", "inactive"]}),
    ("0 0 */2 * 1", {"kubernetes": ["day_rule"], "github": ["day_rule", "late", "inactive"]}),
    ("0 0 */2 * 1", {"eventbridge": ["day_and"]}),
    ("0 0 13 * 5", {"systemd": ["two_lines", "accuracy"], "kubernetes": []}),
    ("0 0 13 * 5", {"eventbridge": ["two_schedules", "within_minute"]}),
    ("0 0 * * 5,7", {"kubernetes": ["dow7"], "github": ["dow7", "late", "inactive"], "debian": ["host_zone"]}),
    ("0 0 * * fri-sun", {"debian": ["name_range", "host_zone"], "kubernetes": ["name_range"]}),
    ("*/4 * * * *", {"github": ["too_often", "late", "inactive"]}),
    ("0,58 3 * * *", {"github": ["late", "inactive"]}),
    ("0,58 3-4 * * *", {"github": ["too_often", "late", "inactive"]}),
    ("@weekly", {"systemd": ["week_start", "accuracy"], "github": ["alias", "late", "inactive"], "kubernetes": []}),
    ("@reboot", {"debian": ["reboot"], "systemd": ["reboot"], "kubernetes": ["reboot"], "github": ["reboot"]}),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "codes"), CODES)
def test_what_always_differs(expression: str, codes: dict[str, list[str]]) -> None:
    systems = {s.system: s for s in compare(parse(expression, BERLIN), at(SPRING)).systems}
    assert {name: [d.code for d in systems[name].differences] for name in codes} == codes
    assert all(d.known != "verified" for s in systems.values() if s.known == "documented" for d in s.differences)


@pytest.mark.parametrize(
    ("expression", "system", "takes", "written"),
    [
        ("0 3 * * 1-5", "systemd", "rewritten", ["OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 03:00:00 Europe/Berlin"]),
        (
            "0 0 13 * 5", "systemd", "rewritten",
            ["OnCalendar=*-*-13 00:00:00 Europe/Berlin", "OnCalendar=Fri *-*-* 00:00:00 Europe/Berlin"],
        ),
        ("0 0 1-31 * 5", "systemd", "rewritten", ["OnCalendar=*-*-* 00:00:00 Europe/Berlin"]),
        ("0 0 * * 5-7", "kubernetes", "rewritten", ['schedule: "0 0 * * 0,5,6"', 'timeZone: "Europe/Berlin"']),
        ("@daily", "kubernetes", "as_typed", ['schedule: "@daily"', 'timeZone: "Europe/Berlin"']),
        ("@daily", "github", "rewritten", ['cron: "0 0 * * *"', 'timezone: "Europe/Berlin"']),
        ("*/30 * * jan 0", "eventbridge", "rewritten", ["cron(0,30 * ? JAN SUN *)"]),
        ("0 0 13 * 5", "eventbridge", "rewritten", ["cron(0 0 13 * ? *)", "cron(0 0 ? * FRI *)"]),
        ("0 0 * * *", "eventbridge", "rewritten", ["cron(0 0 * * ? *)"]),
        ("0 0 */2 * 1", "eventbridge", "no", []),
        ("@reboot", "kubernetes", "no", []),
    ],
)  # fmt: skip
def test_how_a_job_is_written_elsewhere(expression: str, system: str, takes: str, written: list[str]) -> None:
    systems = {s.system: s for s in compare(parse(expression, BERLIN), at(SPRING)).systems}
    assert (systems[system].takes, list(systems[system].written)) == (takes, written)


def test_zones_and_schedules_that_have_nothing_to_compare() -> None:
    assert compare(parse("0 3 * * *", "UTC"), at(SPRING)).changes == ()
    assert compare(parse("@reboot", BERLIN), at(SPRING)).changes == ()
    never = compare(parse("0 0 30 2 *", BERLIN), at(SPRING))
    assert [answer.verdict for change in never.changes for answer in change.answers] == ["same"] * 10
    changes = compare(parse("* * * * *", BERLIN), at(SPRING), 3).changes
    assert [change.clock.jump for change in changes] == [HOUR, -HOUR, HOUR]
    for change in changes:
        listed = [change.fires, *(answer.fires for answer in change.answers)]
        assert all(change.start <= fire < change.end for fires in listed for fire in fires)
        assert len(change.fires) == 360


# What robfig/cron 3.0.1, built with Go 1.19, gave: its Next in a row from a UTC time on, for so many hours.
ROBFIG = [
    ("30 2 * * *", BERLIN, "2026-03-28T12:00", 48, "30.00:30"),
    ("30 2 * * *", BERLIN, "2026-10-24T12:00", 48, "25.00:30 25.01:30 26.01:30"),
    ("0 * * * *", BERLIN, "2026-10-24T22:00", 6, "24.22:00 24.23:00 25.00:00 25.01:00 25.02:00 25.03:00"),
    ("0 0 * * *", SAO_PAULO, "2018-11-03T00:00", 72, "03.03:00 05.02:00"),
    ("0 5 4 11 *", SAO_PAULO, "2018-11-02T00:00", 96, "04.07:00"),
    ("0 23 * * 6", SAO_PAULO, "2018-02-17T00:00", 72, "18.01:00 18.02:00"),
    ("15,45 1,2 * * *", "Australia/Lord_Howe", "2026-04-04T12:00", 24, "04.14:15 04.14:45 04.15:15 04.15:45 04.16:15"),
    ("15,45 1,2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", 24, "03.14:45 03.15:15 03.15:45"),
    ("0 0 30 * *", "Pacific/Apia", "2011-12-28T00:00", 96, "never ends"),
    ("30 */2 * * *", "America/St_Johns", "2006-10-29T00:00", 48, "never ends"),
    ("0 2 */2 * 1", BERLIN, "2027-03-26T00:00", 96, "27.01:00 29.00:00"),
    ("0 2 * * 5,*", BERLIN, "2027-03-26T00:00", 96, "26.01:00 27.01:00 29.00:00"),
    ("59 3 * * *", "Pacific/Chatham", "2026-09-25T00:00", 72, "25.15:14 27.14:14"),
    ("0 0 29 2 *", "UTC", "2096-03-01T00:00", 78_840, ""),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "zone", "start", "hours", "expected"), ROBFIG)
def test_kubernetes_against_what_its_library_gave(
    expression: str, zone: str, start: str, hours: int, expected: str
) -> None:
    begin = int(at(start).timestamp())
    fires = model(Kubernetes, parse(expression, zone)).fires(begin, begin + hours * 3600)
    shown = " ".join(f"{datetime.fromtimestamp(fire, UTC):%d.%H:%M}" for fire in fires.sure)
    assert fires.stuck == (expected == "never ends")
    assert fires.stuck or shown == expected


PLACES = st.sampled_from(ZONES).flatmap(
    lambda zone: st.sampled_from(
        [(zone, change) for change in clock_changes(zone, FIRST, LAST)] or [(zone, at(SPRING))]
    )
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(EXPRESSIONS, PLACES, st.integers(-30, 0))
def test_debian_is_ours_but_for_several_runs_at_the_end_of_a_gap(
    expression: str, place: tuple[str, datetime], shift: int
) -> None:
    """The minute loop of the daemon has the same instants; only catching up a gap runs a job once a swallowed time."""
    zone, change = place
    begin, end = change + shift * HOUR, change + 24 * HOUR
    begin = begin.replace(second=0)
    changes = [other for other in clock_changes(zone, FIRST, LAST) if begin <= other < end]
    assume(not any(begin - 30 * HOUR < other < begin for other in clock_changes(zone, FIRST, LAST)))
    schedule = parse(expression, zone)
    fires = model(Debian, schedule).fires(int(begin.timestamp()), int(end.timestamp())).sure
    assert [datetime.fromtimestamp(fire, UTC) for fire in dict.fromkeys(fires)] == schedule.between(begin, end)
    twice = {fire for fire in fires if fires.count(fire) > 1} if len(fires) < 500 else set()
    assert twice <= {int(other.timestamp()) for other in changes}


SYSTEMD = shutil.which("systemd-analyze")
ELAPSES = re.compile(r"(?:Next elapse|Iter\. #\d+): \w+ ([\d-]+ [\d:]+) UTC$", re.MULTILINE)


def full_hours(zone: str, change: datetime) -> bool:
    """Whether it is a change of summer time from a full hour of the wall, all that the model knows."""
    tz = ZoneInfo(zone)
    before, after = (change - timedelta(seconds=1)).astimezone(tz), change.astimezone(tz)
    return (before + timedelta(seconds=1)).minute == after.minute % 30 == 0 and bool(before.dst()) != bool(after.dst())


@pytest.mark.skipif(SYSTEMD is None, reason="there is no systemd-analyze here")
@settings(max_examples=120, deadline=None, derandomize=True)
@given(EXPRESSIONS, PLACES, st.integers(-30, 0))
def test_systemd_against_systemd_analyze(expression: str, place: tuple[str, datetime], shift: int) -> None:
    zone, change = place
    begin, end = (change + shift * HOUR).replace(second=0), change + 24 * HOUR
    near = [other for other in clock_changes(zone, FIRST, LAST) if abs(other - change) < 72 * HOUR]
    assume(all(full_hours(zone, other) for other in near))
    system = model(Systemd, parse(expression, zone))
    fires = system.fires(int(begin.timestamp()), int(end.timestamp())).sure[:40]
    found: set[int] = set()
    for line in system.written():
        printed = subprocess.run(
            [SYSTEMD or "", "calendar", f"--iterations={len(fires) + 1}", line.removeprefix("OnCalendar="),
             f"--base-time={begin - timedelta(seconds=1):%Y-%m-%d %H:%M:%S} UTC"],
            capture_output=True, text=True, check=False, timeout=60, env={"TZ": "UTC", "LC_ALL": "C"},
        )  # fmt: skip
        assert "Failed" not in printed.stderr, (line, printed.stderr)
        found |= {int(at(text).timestamp()) for text in ELAPSES.findall(printed.stdout)}
    expected = sorted(fire for fire in found if fire < end.timestamp())
    assert fires == expected[: len(fires)]
    assert len(fires) == 40 or len(expected) == len(fires)
