"""Schedules at the ends of time, with rare days, with none; fires of many jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from backends.schedule import fires_between, merged, parse


def test_fires_of_many_jobs_come_merged_and_sorted() -> None:
    start = datetime(2026, 10, 25, tzinfo=UTC)
    schedules = {
        "b": parse("0 * * * *", "Europe/Berlin"),
        "a": parse("0 * * * *", "Europe/Berlin"),
        "night": parse("30 2 * * *", "Europe/Berlin"),
        "boot": parse("@reboot"),
    }
    fires = merged(fires_between(schedules, start, start + timedelta(hours=2)))
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
