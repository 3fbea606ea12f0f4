"""Where a run goes when an attempt has ended: a table."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.engine.capacity import LIGHTEST, SLOT, UNKNOWN_TASK, Capacity
from backends.engine.executors.base import Ended
from backends.engine.settling import MAX_CRASHES, Header, settle
from backends.jobs.spec import Backoff, JobSpec
from backends.model import AttemptRecord, Outcome, now_ms
from backends.queues.base import BATCH, Delivery, Settle
from backends.queues.dead_index import DeadHeader

SPEC = JobSpec(name="j", kind="task", task="m:f", attempts=3, backoff=Backoff(base_s=10, jitter=False))
RUN = "019aaaaa-0000-7000-8000-000000000000"


def delivery(failures: int = 0, crashes: int = 0, attempt: int = 1) -> Delivery:
    return Delivery("q", "1764000000000-0", "1", RUN, attempt, failures, crashes, "j", b"{}", "job:j|1", "e", 1)


def ended(outcome: Outcome, *, blamed: bool = True) -> Ended:
    bad = outcome is not Outcome.SUCCEEDED
    return Ended(
        outcome, 1_000_000, 3_500_000, error_class="E" if bad else None, error="boom" if bad else None, blamed=blamed
    )


@pytest.mark.parametrize(
    ("outcome", "failures", "crashes", "blamed", "to"),
    [
        (Outcome.SUCCEEDED, 0, 0, True, Settle.DONE),
        (Outcome.SUCCEEDED, 2, 2, True, Settle.DONE),
        (Outcome.CANCELLED, 0, 0, True, Settle.DONE),
        (Outcome.FAILED, 0, 0, True, Settle.RETRY),
        (Outcome.FAILED, 1, 0, True, Settle.RETRY),
        (Outcome.FAILED, 2, 0, True, Settle.DEAD),
        (Outcome.FAILED, 1, 2, True, Settle.RETRY),
        (Outcome.TIMED_OUT, 2, 0, True, Settle.DEAD),
        (Outcome.LOST, 2, 0, True, Settle.RETRY),
        (Outcome.LOST, 0, MAX_CRASHES - 1, True, Settle.DEAD),
        (Outcome.LOST, 0, MAX_CRASHES - 1, False, Settle.RETRY),
    ],
)
def test_where_it_goes(outcome: Outcome, failures: int, crashes: int, blamed: bool, to: Settle) -> None:
    s = settle(delivery(failures, crashes), SPEC, Header(type="j"), ended(outcome, blamed=blamed), "w")
    assert s.to is to
    record = msgspec.json.decode(s.record, type=AttemptRecord)
    assert record.final is (to is not Settle.RETRY)
    assert (record.outcome, record.started_us, record.finished_us) == (outcome, 1_000_000, 3_500_000)
    if to is Settle.RETRY:
        counted = outcome in (Outcome.FAILED, Outcome.TIMED_OUT)
        assert s.failures == failures + counted
        assert s.crashes == crashes + (outcome is Outcome.LOST and blamed)
        late = s.due_ms - now_ms()
        assert (late > 5_000) is counted, "a failure waits, a crash of its engine does not"
    if to is Settle.DEAD:
        header = msgspec.json.decode(s.header, type=DeadHeader)
        assert (header.job, header.attempts, header.slot) == ("j", 1, "job:j|1")
        assert header.group == record.fingerprint
        assert len(header.group) == 16


def test_backoff_grows_with_failures() -> None:
    waits = []
    for failures in (0, 1):
        s = settle(delivery(failures), SPEC, Header(type="j"), ended(Outcome.FAILED), "w")
        waits.append(round((s.due_ms - now_ms()) / 1000))
    assert waits == [10, 20]


def test_what_nobody_can_run_is_dead_at_once() -> None:
    assert settle(delivery(), None, None, ended(Outcome.FAILED), "w").to is Settle.DEAD


def test_what_user_code_says_is_kept_within_bounds() -> None:
    """Whichever executor it comes from, and whatever another program has put into the stream."""
    told = Ended(Outcome.FAILED, 1, 2, error_class="A" * 70_000, error="\x01" * 1_000_000)
    d = msgspec.structs.replace(delivery(), job="j" * 70_000)
    for spec in (None, SPEC):
        s = settle(d, spec, None, told, "w" * 70_000)
        record = msgspec.json.decode(s.record, type=AttemptRecord)
        assert (len(record.job), len(record.error_class or ""), len(record.error or "")) == (200, 200, 4_000)
        assert len(s.header) < 30_000
    header = msgspec.json.decode(settle(d, None, None, told, "w" * 70_000).header, type=DeadHeader)
    assert (len(header.job), len(header.error_class), len(header.error)) == (200, 200, 4_000)
    assert len(header.worker) == 200


def test_a_planned_time_that_is_no_time_is_left_out() -> None:
    for text in ("tomorrow", "", "9999999999", "2026-13-45T00:00:00Z"):
        s = settle(delivery(), SPEC, Header(type="j", scheduled_for=text), ended(Outcome.SUCCEEDED), "w")
        assert msgspec.json.decode(s.record, type=AttemptRecord).scheduled_ms is None


# --- how much to take ---------------------------------------------------------------------------------------------

COMMAND = JobSpec(name="c", kind="command", command="true", queue="q")
TASK = JobSpec(name="t", kind="task", task="m:f", queue="q")


def test_commands_are_taken_one_a_slot() -> None:
    c = Capacity(4)
    specs = {"c": COMMAND}
    assert c.room("q", specs) == 4
    for _ in range(4):
        c.acquire("q", c.weight(COMMAND))
    assert c.room("q", specs) == 0
    c.release("q", SLOT)
    assert c.room("q", specs) == 1


def test_tiny_tasks_are_taken_in_batches_and_long_ones_are_not() -> None:
    c = Capacity(4)
    specs = {"t": TASK}
    assert c.weight(TASK) == UNKNOWN_TASK
    c.measured("t", 0.00001)
    c.acquire("q", c.weight(TASK))
    for _ in range(50):
        c.release("q", c.weight(TASK))
        c.measured("t", 0.00001)
        c.acquire("q", c.weight(TASK))
    assert c.room("q", specs) == BATCH
    c.measured("t", 2.0)
    assert c.weight(TASK) == SLOT, "one long run is enough to be careful"
    c.measured("t", 0.00001)
    assert LIGHTEST < c.weight(TASK) < SLOT


def test_a_job_that_came_back_unstarted_is_not_guessed_short_again() -> None:
    c = Capacity(4)
    c.came_back("t")
    assert c.weight(TASK) == SLOT
    c.measured("t", 0.001)
    c.came_back("t")
    assert c.weight(TASK) < SLOT, "what was measured counts"


def test_a_queue_has_a_limit_of_its_own() -> None:
    c = Capacity(10)
    c.limit_queue("q", 2)
    specs = {"c": COMMAND}
    assert c.room("q", specs) == 2
    c.acquire("q", SLOT)
    c.acquire("q", SLOT)
    assert c.room("q", specs) == 0
    assert c.room("other", {"o": JobSpec(name="o", kind="command", command="true", queue="other")}) == 8


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.floats(0, 0.2), st.booleans()), max_size=80), st.randoms())
def test_weights_add_up_exactly(taken: list[tuple[str, float, bool]], order: random.Random) -> None:
    c, held = Capacity(10), list[tuple[str, int]]()
    for queue, seconds, ends in taken:
        c.measured("t", seconds)
        held.append((queue, c.weight(TASK)))
        c.acquire(*held[-1])
        if ends:
            c.release(*held.pop(order.randrange(len(held))))
        weight = sum(w for _, w in held)
        assert (c.used, c.free(queue)) == (weight, 10 * SLOT - weight)
        assert c.busy == min(10, math.ceil(Fraction(weight, SLOT)))
    order.shuffle(held)
    for queue, weight in held:
        c.release(queue, weight)
    assert (c.used, c.busy) == (0, 0)


def test_a_full_slot_of_short_runs_is_one_busy_slot() -> None:
    c = Capacity(10)
    for _ in range(SLOT // UNKNOWN_TASK):
        c.acquire("q", c.weight(TASK))
    assert c.busy == 1
