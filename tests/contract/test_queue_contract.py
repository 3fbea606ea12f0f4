"""What every queue adapter must do. The invariants are those of DESIGN.md §6."""

from __future__ import annotations

import asyncio
import time

import pytest
from msgspec.structs import replace

from backends.model import FireRecord, FireResult, Overlap, Pause, new_run_id, now_ms
from backends.queues.base import Entered, NewFire, NewRun, OnFull, Queue, Settle, Settled, Settlement
from tests.contract.helpers import RETRY, WORKER, counts, dead, done, retry, run, take_one


async def test_a_run_goes_through_ready_and_running_and_is_gone(queue: Queue) -> None:
    new = run()
    assert await queue.enqueue([new]) == [Entered.READY]
    assert await queue.find(new.run_id) == "ready"
    d = await take_one(queue)
    assert (d.run_id, d.attempt, d.failures, d.crashes, d.job) == (new.run_id, 1, 0, 0, "noop")
    assert await queue.find(new.run_id) == "running"
    assert await queue.settle(WORKER, [done(d)]) == [Settled.OK]
    assert await queue.find(new.run_id) is None
    assert await counts(queue) == {}


async def test_the_envelope_comes_out_as_it_went_in(queue: Queue) -> None:
    raw = '{"type":"noop","payload":{"ü":"\\u0000"},"extra":{"deep":[1]}}'.encode()
    await queue.enqueue([run(envelope=raw)])
    assert (await take_one(queue)).envelope == raw


async def test_enqueue_is_idempotent_while_the_run_lives(queue: Queue) -> None:
    new = run()
    assert await queue.enqueue([new, new]) == [Entered.READY, Entered.DUPLICATE]
    d = await take_one(queue)
    assert await queue.enqueue([new]) == [Entered.DUPLICATE]
    await queue.settle(WORKER, [retry(d, due_ms=now_ms() + 60_000)])
    assert await queue.enqueue([new]) == [Entered.DUPLICATE]
    assert await counts(queue) == {"later": 1}


async def test_a_thousand_runs_enter_and_leave_in_order(queue: Queue) -> None:
    runs = [run() for _ in range(1000)]
    assert set(await queue.enqueue(runs)) == {Entered.READY}
    seen: list[str] = []
    while len(seen) < 1000:
        taken = await queue.take(WORKER, 500)
        seen += [d.run_id for d in taken.deliveries]
        assert await queue.settle(WORKER, [done(d) for d in taken.deliveries]) == [Settled.OK] * len(taken.deliveries)
    assert seen == [r.run_id for r in runs]
    assert await counts(queue) == {}


async def test_priority_goes_first(queue: Queue) -> None:
    low, middle, high = run(priority=2), run(priority=1), run(priority=0)
    await queue.enqueue([low, middle, high])
    taken = await queue.take(WORKER, 10)
    assert [d.run_id for d in taken.deliveries] == [high.run_id, middle.run_id, low.run_id]


async def test_due_later_waits_and_is_promoted(queue: Queue) -> None:
    new = run(due_ms=now_ms() + 80)
    assert await queue.enqueue([new]) == [Entered.LATER]
    assert await queue.promote() == 0
    assert (await queue.take(WORKER, 1)).deliveries == ()
    deadline = time.monotonic() + 5
    while not await queue.promote():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert (await take_one(queue)).run_id == new.run_id


async def test_wait_wakes_when_something_becomes_ready(queue: Queue) -> None:
    taken = await queue.take(WORKER, 1)
    assert taken.deliveries == ()
    waiting = asyncio.ensure_future(queue.wait(taken.wake, 20_000))
    await queue.enqueue([run()])
    await asyncio.wait_for(waiting, 5)


async def test_wait_does_not_miss_what_came_before_it(queue: Queue) -> None:
    taken = await queue.take(WORKER, 1)
    await queue.enqueue([run()])
    await asyncio.wait_for(queue.wait(taken.wake, 20_000), 5)


async def test_retry_keeps_the_run_and_raises_the_attempt(queue: Queue) -> None:
    await queue.enqueue([run()])
    first = await take_one(queue)
    await queue.settle(WORKER, [retry(first)])
    second = await take_one(queue)
    assert (second.run_id, second.attempt, second.failures) == (first.run_id, 2, 1)


async def test_a_late_finish_is_stale_and_changes_nothing(queue: Queue) -> None:
    await queue.enqueue([run()])
    first = await take_one(queue)
    assert await queue.reap(0, 3) == 1
    second = await take_one(queue, "w2")
    before = await queue.status()
    assert await queue.settle(WORKER, [done(first)]) == [Settled.STALE]
    assert await queue.settle(WORKER, [retry(first)]) == [Settled.STALE]
    assert await queue.settle(WORKER, [dead(first)]) == [Settled.STALE]
    after = await queue.status()
    assert (after.running, after.ready, after.later, after.dead, after.outbox) == (
        before.running, before.ready, before.later, before.dead, before.outbox
    )  # fmt: skip
    assert await queue.settle("w2", [done(second)]) == [Settled.OK]


async def test_settling_twice_is_stale(queue: Queue) -> None:
    await queue.enqueue([run()])
    d = await take_one(queue)
    assert await queue.settle(WORKER, [done(d)]) == [Settled.OK]
    assert await queue.settle(WORKER, [done(d)]) == [Settled.STALE]


async def test_given_back_is_as_if_never_taken(queue: Queue) -> None:
    await queue.enqueue([run()])
    d = await take_one(queue)
    assert await queue.settle(WORKER, [Settlement(d, Settle.BACK)]) == [Settled.OK]
    again = await take_one(queue)
    assert (again.run_id, again.attempt, again.failures, again.crashes) == (d.run_id, 1, 0, 0)
    assert (await queue.status()).outbox == 0


async def test_a_crash_counts_apart_and_the_run_then_comes_alone(queue: Queue) -> None:
    poison, others = run(), [run() for _ in range(3)]
    await queue.enqueue([poison])
    await take_one(queue)
    await queue.reap(0, 3)
    await queue.enqueue(others)
    taken = await queue.take("w2", 10)
    assert [(d.run_id, d.attempt, d.failures, d.crashes) for d in taken.deliveries] == [(poison.run_id, 2, 0, 1)]
    assert len((await queue.take("w2", 10)).deliveries) == 3


async def test_three_crashes_are_a_dead_letter(queue: Queue) -> None:
    new = run()
    await queue.enqueue([new])
    for _ in range(3):
        await take_one(queue)
        await queue.reap(0, 3)
    letter = await queue.dead_get(new.run_id)
    assert letter is not None
    assert (letter.error_class, letter.attempts, letter.envelope) == ("WorkerLost", 3, new.envelope)
    assert await counts(queue) == {"dead": 1}


async def test_a_renewed_lease_is_not_reaped(queue: Queue) -> None:
    await queue.enqueue([run()])
    d = await take_one(queue)
    await asyncio.sleep(0.12)
    assert queue.renew(WORKER, [d]) == []
    assert await queue.reap(100, 3) == 0
    await queue.reap(0, 3)
    assert queue.renew(WORKER, [d]) == [d]


async def test_dead_letters_are_paged_grouped_and_retried(queue: Queue) -> None:
    runs = [run() for _ in range(25)]
    await queue.enqueue(runs)
    deliveries = (await queue.take(WORKER, 25)).deliveries
    await queue.settle(WORKER, [dead(d, "g1" if n % 5 else "g2") for n, d in enumerate(deliveries)])
    assert await counts(queue) == {"dead": 25}
    seen: list[str] = []
    before = None
    while True:
        page = await queue.dead_page(10, before)
        assert page.total == 25
        seen += [letter.id for letter in page.items]
        if page.next_cursor is None:
            break
        before = int(page.next_cursor)
    assert seen == [d.run_id for d in reversed(deliveries)]
    assert [(g.group, g.count) for g in await queue.dead_groups()] == [("g1", 20), ("g2", 5)]
    assert len((await queue.dead_page(100, group="g2")).items) == 5
    pairs = await queue.dead_pairs(100, 0, await queue.dead_top())
    assert [run_id for run_id, _ in pairs] == seen[::-1]
    assert await queue.dead_retry(RETRY, [pairs[-1], (new_run_id(), pairs[0][1]), pairs[-1]]) == [True, False, False]
    assert await counts(queue) == {"dead": 24, "ready": 1}
    back = await take_one(queue)
    assert (back.run_id, back.attempt, back.failures, back.crashes) == (seen[0], 2, 0, 0)
    assert await queue.dead_retry(RETRY, pairs) == [True] * 24 + [False]
    assert await queue.dead_groups() == []


async def test_deaths_in_one_batch_have_distinct_sequences(queue: Queue) -> None:
    await queue.enqueue([run() for _ in range(50)])
    deliveries = (await queue.take(WORKER, 50)).deliveries
    await queue.settle(WORKER, [dead(d) for d in deliveries])
    page = await queue.dead_page(100)
    assert len({letter.sequence for letter in page.items}) == 50


async def test_slots_are_held_by_run_and_handed_on(queue: Queue) -> None:
    def slotted(on_full: OnFull) -> NewRun:
        return run(slot="tenant:42", slots=2, on_full=on_full)

    first, second, third, fourth = (slotted(OnFull.WAIT) for _ in range(4))
    entered = await queue.enqueue([first, second, third, slotted(OnFull.SKIP), slotted(OnFull.WAIT_ONE), fourth])
    assert entered == [
        Entered.READY, Entered.READY, Entered.WAITING, Entered.SKIPPED, Entered.SKIPPED, Entered.WAITING
    ]  # fmt: skip
    a, b = (await queue.take(WORKER, 10)).deliveries
    await queue.settle(WORKER, [retry(a, due_ms=now_ms() + 60_000)])
    assert (await queue.take(WORKER, 10)).deliveries == (), "a run that waits for its retry keeps its slot"
    await queue.settle(WORKER, [done(b)])
    assert (await take_one(queue)).run_id == third.run_id
    assert await queue.find(fourth.run_id) == "waiting"


async def test_those_who_wait_are_served_in_order(queue: Queue) -> None:
    runs = [run(slot="k", on_full=OnFull.WAIT) for _ in range(30)]
    await queue.enqueue(runs)
    served = []
    for _ in runs:
        d = await take_one(queue)
        served.append(d.run_id)
        await queue.settle(WORKER, [done(d)])
    assert served == [r.run_id for r in runs]


async def test_a_paused_job_comes_back_in_order(queue: Queue) -> None:
    runs = [run("a") for _ in range(30)]
    await queue.enqueue(runs)
    await queue.pause(Pause(by="me"), job="a")
    assert (await queue.take(WORKER, 100)).deliveries == ()
    await queue.resume(job="a")
    assert [d.run_id for d in (await queue.take(WORKER, 100)).deliveries] == [r.run_id for r in runs]


async def test_a_dead_run_frees_its_slot(queue: Queue) -> None:
    first, second = (run(slot="k", on_full=OnFull.WAIT) for _ in range(2))
    await queue.enqueue([first, second])
    await queue.settle(WORKER, [dead(await take_one(queue))])
    assert (await take_one(queue)).run_id == second.run_id


async def test_cancel_before_it_starts_and_while_it_runs(queue: Queue) -> None:
    ready, later, waiting = run(slot="k"), run(due_ms=now_ms() + 60_000), run(slot="k")
    await queue.enqueue([ready, later, waiting])
    assert await queue.cancel(later.run_id, "me") == "cancelled"
    assert await queue.cancel(waiting.run_id, "me") == "cancelled"
    d = await take_one(queue)
    assert await queue.cancel(ready.run_id, "me") == "asked"
    assert await queue.cancels() == {ready.run_id}
    assert await queue.cancel(new_run_id(), "me") == "unknown"
    await queue.settle(WORKER, [done(d)])
    assert await queue.cancels() == set()
    other = run()
    await queue.enqueue([other])
    assert await queue.cancel(other.run_id, "me") == "cancelled"
    assert await counts(queue) == {}


async def test_a_paused_queue_hands_out_nothing(queue: Queue) -> None:
    await queue.enqueue([run()])
    await queue.pause(Pause(by="me", note="deploy", since_ms=now_ms()))
    taken = await queue.take(WORKER, 10)
    assert (taken.deliveries, taken.paused) == ((), True)
    paused = (await queue.status()).paused
    assert paused is not None
    assert (paused.by, paused.note) == ("me", "deploy")
    assert await queue.resume() is True
    assert await queue.resume() is False
    await take_one(queue)


async def test_a_pause_with_an_end_ends_by_itself(queue: Queue) -> None:
    await queue.enqueue([run()])
    await queue.pause(Pause(by="me", until_ms=now_ms() + 50))
    deadline = time.monotonic() + 5
    while not (await queue.take(WORKER, 1)).deliveries:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert await queue.pauses() == {}


async def test_a_paused_job_is_parked_and_others_go_on(queue: Queue) -> None:
    await queue.enqueue([run("a"), run("b"), run("a")])
    await queue.pause(Pause(by="me"), job="a")
    taken = await queue.take(WORKER, 10)
    assert [d.job for d in taken.deliveries] == ["b"]
    assert (await queue.status()).waiting == 2
    assert list(await queue.pauses()) == ["a"]
    assert await queue.resume(job="a") is True
    assert [d.job for d in (await queue.take(WORKER, 10)).deliveries] == ["a", "a"]


async def test_a_pause_instead_of_the_one_that_is_known(queue: Queue) -> None:
    """Only where that one is in force: nobody's later pause is lost."""
    mine, other = Pause(by="me", since_ms=now_ms(), until_ms=now_ms() + 60_000), Pause(by="other", note="disk full")
    await queue.enqueue([run("a")])
    assert await queue.pause_instead(mine, None, "a") is False
    assert await queue.pause_instead(None, mine, "a") is True
    assert await queue.pause_instead(None, other, "a") is False
    assert await queue.pause_instead(other, None, "a") is False
    assert (await queue.take(WORKER, 10)).deliveries == ()
    assert await queue.pauses() == {"a": mine}
    assert await queue.pause_instead(mine, other, "a") is True
    assert await queue.pauses() == {"a": other}
    assert await queue.pause_instead(mine, None, "a") is False
    assert (await queue.status()).waiting == 1
    assert await queue.pause_instead(other, None, "a") is True
    assert await queue.pauses() == {}
    assert [d.job for d in (await queue.take(WORKER, 10)).deliveries] == ["a"]
    over = replace(mine, until_ms=1)
    await queue.pause(over)
    assert await queue.pause_instead(over, other) is False
    assert await queue.pause_instead(None, other) is True
    assert await queue.pauses() == {"": other}


def planned(
    at: int, expected: int | None = None, overlap: Overlap = Overlap.ALLOW, new: NewRun | None = None, by: str = "s1"
) -> NewFire:
    return NewFire(at, expected, new or run("tick"), overlap, by)


async def fire(queue: Queue, *fires: NewFire) -> list[str]:
    return [str(f.result) for f in await queue.fire(fires)]


async def test_each_instant_fires_once_among_many_schedulers(queue: Queue) -> None:
    at, new = now_ms() // 60_000 * 60_000, run("tick")
    results = await asyncio.gather(*(fire(queue, planned(at, new=new, by=f"s{n}")) for n in range(10)))
    assert sorted(results) == [["None"]] * 9 + [["fired"]]
    assert await queue.mark("tick") == at
    (conflict,) = await queue.fire([planned(at, new=new)])
    assert (conflict.result, conflict.last_ms, conflict.early) == (None, at, False)
    assert await counts(queue) == {"ready": 1}


async def test_many_fires_are_decided_in_one_call_each_for_itself(queue: Queue) -> None:
    jobs = [run(f"j{n % 50}") for n in range(450)]
    fires = [planned(1 + n // 50, n // 50 or None, new=new) for n, new in enumerate(jobs)]
    fires.insert(60, planned(9, 77, new=run("j1")))
    answers = await queue.fire(fires)
    assert [a.result for a in answers] == [FireResult.FIRED] * 60 + [None] + [FireResult.FIRED] * 390
    assert answers[60].last_ms == 2
    assert await counts(queue) == {"ready": 450}


async def test_nothing_fires_before_its_time_by_the_servers_clock(queue: Queue) -> None:
    (early,) = await queue.fire([planned(now_ms() + 60_000)])
    assert (early.result, early.early, early.last_ms) == (None, True, None)
    missed = FireRecord(job="tick", planned_ms=now_ms() + 60_000, result=FireResult.MISSED, decided_ms=1, scheduler="s")
    assert (await queue.account([missed], None)).early
    assert await queue.mark("tick") is None
    assert await counts(queue) == {}
    assert await fire(queue, planned(now_ms())) == ["fired"]


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (Overlap.SKIP, ["fired", "skipped", "skipped"]),
        (Overlap.QUEUE_ONE, ["fired", "fired", "skipped"]),
        (Overlap.QUEUE_ALL, ["fired", "fired", "fired"]),
        (Overlap.ALLOW, ["fired", "fired", "fired"]),
    ],
)
async def test_overlap(queue: Queue, overlap: Overlap, expected: list[str]) -> None:
    runs = [run("slow") for _ in range(3)]
    answers = await queue.fire([planned(n + 1, n or None, overlap, new) for n, new in enumerate(runs)])
    assert [str(a.result) for a in answers] == expected
    for answer in answers:
        if answer.result is FireResult.SKIPPED:
            assert answer.reason == f"overlap: run {runs[0].run_id} is not finished"


async def test_overlap_replace_ends_the_earlier_run(queue: Queue) -> None:
    first, second, third = run("slow"), run("slow"), run("slow")
    await fire(queue, planned(1, None, Overlap.REPLACE, first))
    d = await take_one(queue)
    await fire(queue, planned(2, 1, Overlap.REPLACE, second))
    assert await queue.cancels() == {first.run_id}
    await fire(queue, planned(3, 2, Overlap.REPLACE, third))
    assert await queue.find(second.run_id) is None
    await queue.settle(WORKER, [done(d)])
    assert (await take_one(queue)).run_id == third.run_id


async def test_a_paused_job_skips_its_fires(queue: Queue) -> None:
    await queue.pause(Pause(by="me", note='the "mail" server\n'), job="tick")
    (fired,) = await queue.fire([planned(5)])
    assert (fired.result, fired.last_ms) == (FireResult.SKIPPED, 5)
    assert fired.reason == 'paused by me: the "mail" server\n'


async def test_a_pause_that_runs_out_gives_back_what_it_held(queue: Queue) -> None:
    await queue.enqueue([run("a"), run("b"), run("a")])
    await queue.pause(Pause(by="me", until_ms=now_ms() + 300), job="a")
    await queue.pause(Pause(by="me", until_ms=now_ms() + 1), job="other")
    assert [d.job for d in (await queue.take(WORKER, 10)).deliveries] == ["b"]
    assert await queue.promote() == 0
    assert (await queue.status()).waiting == 2
    await asyncio.sleep(0.35)
    assert await fire(queue, planned(5, new=run("a"))) == ["fired"], "no fire is skipped once the pause is over"
    assert await queue.promote() == 2
    assert [d.job for d in (await queue.take(WORKER, 10)).deliveries] == ["a", "a", "a"]
    assert await queue.pauses() == {}


async def test_schedules_are_adopted_with_their_marks(queue: Queue) -> None:
    rules = {f"j{n}": "* * * * * UTC" for n in range(450)}
    marks = await queue.adopt(rules, {"j3": (77, "")}, 1000)
    assert marks == {job: 77 if job == "j3" else 1000 for job in rules}
    assert await queue.adopt(rules, {"j4": (5, "")}, 2000) == marks, "a mark that is there stays"
    newer = await queue.adopt({"j5": rules["j5"]}, {"j5": (1500, rules["j5"])}, 2000)
    assert newer == {"j5": 1500}, "but for a newer one"
    assert await queue.marks(["j5", "j6", "no"]) == {"j5": (1500, rules["j5"]), "j6": (1000, rules["j6"])}
    other = await queue.adopt({"j7": rules["j7"]}, {"j7": (1500, "0 3 * * * UTC")}, 2000)
    assert other == {"j7": 2000}, "which stood under another rule"
    changed = await queue.adopt({"j1": "0 3 * * * UTC", "j2": rules["j2"]}, {"j1": (7, "")}, 3000)
    assert changed == {"j1": 3000, "j2": 1000}, "what the new rule would have fired earlier was never planned"
    assert await queue.adopt({"j1": "0 4 * * * UTC"}, {}, 2000) == {"j1": 3000}, "a mark never goes back"


async def test_missed_fires_are_accounted_once(queue: Queue) -> None:
    records = [
        FireRecord(job="tick", planned_ms=n, result=FireResult.MISSED, decided_ms=9, scheduler="s") for n in (1, 2, 3)
    ]
    assert (await queue.account(records, None)).last_ms == 3
    again = await queue.account(records, None)
    assert (again.result, again.last_ms) == (None, 3)
    assert (await queue.status()).outbox == 1


async def test_the_oldest_ready_run_has_an_age(queue: Queue) -> None:
    assert (await queue.status()).oldest_ready_seconds is None
    await queue.enqueue([run()])
    age = (await queue.status()).oldest_ready_seconds
    assert age is not None
    assert 0 <= age < 60
