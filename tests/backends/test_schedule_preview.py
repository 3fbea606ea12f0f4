"""A schedule at a glance: words of the fields, the next fires, and the counts of a month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backends.schedule import ScheduleError, parse
from backends.schedule.preview import MOST, fires_from, fires_within, month_fires, preview
from tests.support.expressions import EXPRESSIONS, FIRST, LAST, ZONES

NOW = datetime(2026, 11, 23, 22, 43, tzinfo=UTC)


def begin(year: int, month: int, zone: str) -> datetime:
    """The first instant of a month; later months of the year before or after may be named too."""
    return datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=ZoneInfo(zone))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(EXPRESSIONS, st.sampled_from(ZONES), st.integers(FIRST, LAST), st.integers(1, 12))
@example("0 0 * * *", "Pacific/Apia", 2011, 12)
@example("*/30 * * * *", "America/Sao_Paulo", 2018, 11)
def test_the_counts_of_a_month_are_its_fires(expression: str, zone: str, year: int, month: int) -> None:
    schedule = parse(expression, zone)
    fires = schedule.between(begin(year, month, zone), begin(year, month + 1, zone))
    found = month_fires(schedule, year, month)
    assert sum(found.counts) == len(fires)
    days = [fire.astimezone(schedule.tz).day for fire in fires]
    wrong = [(day, count, days.count(day)) for day, count in enumerate(found.counts, 1) if count != days.count(day)]
    assert not wrong[:1]


def test_days_on_which_the_clock_changes() -> None:
    berlin = parse("*/30 * * * *", "Europe/Berlin")
    march, october = month_fires(berlin, 2027, 3), month_fires(berlin, 2027, 10)
    assert (march.changes, march.counts[27], march.counts[28]) == ({28}, 46, 48)
    assert (october.changes, october.counts[30]) == ({31}, 50)
    skipped = month_fires(parse("0 12 * * *", "Pacific/Apia"), 2011, 12)
    assert skipped.counts == (1,) * 29 + (0, 1)
    assert month_fires(berlin, 1900, 1).counts == (0,) * 31


def test_fires_are_the_first_ones_and_none_is_looked_for_beyond_thirty_years() -> None:
    often = parse("*/5 * * * *", "Asia/Kathmandu")
    found = fires_from(often, NOW.replace(minute=45))
    assert [fire.at for fire in found] == often.between(NOW.replace(minute=45), NOW + timedelta(days=1), MOST)
    assert f"{found[0].local:%H:%M %z}" == "04:30 +0545"
    years = [fire.local.year for fire in fires_from(parse("0 0 29 2 *"), NOW)]
    assert years == [2028, 2032, 2036, 2040, 2044, 2048, 2052, 2056]
    for never in ("0 0 30 2 *", "@reboot"):
        assert fires_from(parse(never), NOW) == ()
        assert fires_within(parse(never), NOW, timedelta(days=1)) == 0
    kinds = [fire.mark and fire.mark.kind for fire in fires_from(parse("0,30 2 * * *", "Europe/Berlin"), NOW, 400)]
    assert [kind for kind in kinds if kind] == ["gap"]


def test_a_preview() -> None:
    found = preview(" @Daily ", "Europe/Berlin", NOW)
    assert (found.description, found.short_for) == ("At 00:00, every day", "0 0 * * *")
    assert [(field.name, field.text) for field in found.fields][:2] == [("minute", "0"), ("hour", "0")]
    assert len(found.fields) == 5
    assert [field.name for field in preview("@reboot", "UTC", NOW).fields] == ["short form"]
    assert [hint.code for hint in preview("0 0 30 2 *", "UTC", NOW).hints] == ["never"]
    with pytest.raises(ScheduleError):
        preview("0 0 * * 8", "UTC", NOW)
