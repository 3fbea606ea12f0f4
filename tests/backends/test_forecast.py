"""The depth of a queue over the next hour, as arithmetic."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.forecast import PlannedJob, forecast
from backends.model import Overlap


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
    heavy = PlannedJob("heavy", [0, 0, 10], 60_000, Overlap.ALLOW)
    found = forecast(0, planned=[heavy], slots=2, usual_ms=10)
    assert found.depth[:4] == pytest.approx((0, 0, 8, 6))
    assert (found.planned, found.drained) == (10, 7)


EVERY_MINUTE = [1] * 60


def test_a_job_that_never_overlaps_itself_skips_fires() -> None:
    alone = forecast(0, planned=[PlannedJob("a", EVERY_MINUTE, 150_000)], slots=1)
    assert (sum(alone.runs), alone.skipped, alone.planned) == (20, 40, 60)
    crowd = forecast(0, planned=[PlannedJob("a", EVERY_MINUTE, 150_000, Overlap.ALLOW)], slots=1)
    assert (sum(crowd.runs), crowd.skipped) == (60, 0)


@pytest.mark.parametrize(("overlap", "skipped"), [("skip", 59), ("queue_one", 58), ("queue_all", 0), ("replace", 0)])
def test_a_run_that_is_not_taken_keeps_the_later_fires_of_its_job_out(overlap: str, skipped: int) -> None:
    job = PlannedJob("a", EVERY_MINUTE, 10, Overlap(overlap))
    found = forecast(0, planned=[job], slots=8, paused_steps=60)
    assert (found.depth[0], found.depth[-1], found.skipped) == (1, 1, skipped)
    lies = forecast(1, planned=[replace(job, queued=True)], slots=8, paused_steps=60)
    assert (lies.depth[0], lies.depth[-1]) == (1, 1)


def test_what_waits_for_the_slot_of_a_paused_queue_comes_when_it_goes_on() -> None:
    job = PlannedJob("a", [0] * 60, 70_000, Overlap.QUEUE_ALL, queued=True, waiting=3)
    found = forecast(1, planned=[job], slots=8, paused_steps=10, usual_ms=60_000)
    assert found.depth[9] == 1
    assert [n for n, come in enumerate(found.runs) if come] == [11, 12, 13]


@pytest.mark.parametrize(
    ("free_in_ms", "come"), [(0.0, [0, 3, 6, 9]), (150_000, [3, 6, 9]), (3_600_000, []), (61_000, [2, 5, 8])]
)
def test_a_run_that_is_at_work_keeps_fires_out_until_it_has_ended(free_in_ms: float, come: list[int]) -> None:
    job = PlannedJob("a", [1] * 10, 150_000, free_in_ms=free_in_ms)
    found = forecast(0, planned=[job], slots=8)
    assert [n for n, many in enumerate(found.runs) if many] == come


def test_a_run_behind_a_backlog_has_its_slot_for_as_long_as_it_waits() -> None:
    found = forecast(60, planned=[PlannedJob("a", EVERY_MINUTE, 1000)], slots=1, usual_ms=10_000)
    assert (found.runs[0], sum(found.runs[1:10]), found.skipped) == (1, 0, 10)


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
