"""The depth of a queue over the next hour, as arithmetic."""

from __future__ import annotations

import pytest

from backends.forecast import PlannedJob, forecast


def test_nothing_comes_and_nothing_changes() -> None:
    found = forecast(0)
    assert found.depth == (0.0,) * 60
    assert (found.peak, found.drained) == ((0.0, 1), 1)


def test_a_backlog_is_worked_off_by_the_slots() -> None:
    found = forecast(120, slots=2, usual_ms=10_000)  # 12 a minute
    assert found.depth[:3] == pytest.approx((108, 96, 84))
    assert (found.depth[9], found.drained) == (0.0, 10)


def test_without_an_engine_it_only_grows() -> None:
    found = forecast(5, other_per_min=2, usual_ms=10)
    assert found.depth[-1] == 125
    assert (found.drained, found.peak) == (None, (125.0, 60))


def test_more_comes_than_is_taken() -> None:
    found = forecast(0, other_per_min=10, slots=1, usual_ms=12_000)  # 5 a minute
    assert found.depth[-1] == pytest.approx(300)


def test_planned_fires_take_their_own_time() -> None:
    heavy = PlannedJob("heavy", [0, 0, 10], 60_000, alone=False)
    found = forecast(0, planned=[heavy], slots=2, usual_ms=10)
    assert found.depth[:4] == pytest.approx((0, 0, 8, 6))
    assert (found.planned, found.drained) == (10, 7)


def test_a_job_that_never_overlaps_itself_skips_fires() -> None:
    every_minute = [1] * 60
    alone = forecast(0, planned=[PlannedJob("a", every_minute, 150_000)], slots=0)
    assert alone.depth[-1] == 20
    crowd = forecast(0, planned=[PlannedJob("a", every_minute, 150_000, alone=False)], slots=0)
    assert crowd.depth[-1] == 60


def test_a_pause_holds_everything_until_its_end() -> None:
    found = forecast(10, slots=5, usual_ms=1000, paused_steps=3, other_per_min=1)
    assert found.depth[:4] == pytest.approx((11, 12, 13, 0))


def test_what_is_due_comes_when_it_is_due() -> None:
    found = forecast(0, due=[0, 4], slots=0)
    assert found.depth[:3] == (0, 4, 4)
    assert (found.due, found.runs[1]) == (4, 4)


def test_runs_that_take_no_time_do_not_pile_up() -> None:
    assert forecast(50, slots=1, usual_ms=0).depth[0] == 0
    assert forecast(50, slots=0, usual_ms=0).depth[0] == 50
