"""What history answers: pages, filters, counts, the time line."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backends.connect import Servers
from backends.errors import BadInputError
from backends.history import History
from backends.history.house import keep_house
from backends.model import FireRecord, FireResult, Outcome, new_run_id, now_ms
from tests.backends.history_helpers import Outbox, record


@pytest.fixture
async def outbox(connected: Servers) -> Outbox:
    return Outbox(connected, await connected.pool())


async def test_pages_are_complete_while_new_runs_arrive(outbox: Outbox) -> None:
    base = now_ms() - 10_000
    records = [record(new_run_id(base + n // 3), 1 + n % 2, job=f"j{n % 3}") for n in range(250)]
    await outbox.put(*records[:200])
    await outbox.put(*records[200:])
    await outbox.recorder.drain_once()
    history = History(outbox.pool)
    seen: list[tuple[str, int]] = []
    cursor = None
    while True:
        page = await history.runs(17, cursor)
        seen += [(r.run_id, r.attempt) for r in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
        await outbox.put(record())
        await outbox.recorder.drain_once()
    assert seen == sorted(((r.run_id, r.attempt) for r in records), reverse=True)


async def test_pages_from_the_oldest_end_meet_in_the_middle_and_have_no_gap(outbox: Outbox) -> None:
    base = now_ms() - 10_000
    records = [record(new_run_id(base + n // 3), 1 + n % 2, job=f"j{n % 3}") for n in range(100)]
    await outbox.put(*records)
    await outbox.recorder.drain_once()
    history = History(outbox.pool)
    seen: list[tuple[str, int]] = []
    cursor = None
    while True:
        page = await history.runs(17, cursor, oldest=True)
        seen[:0] = [(r.run_id, r.attempt) for r in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert seen == sorted(((r.run_id, r.attempt) for r in records), reverse=True)
    last = await history.runs(17, oldest=True)
    below = await history.runs(17, last.items[4].cursor)
    assert below.items == last.items[5:]
    assert below.next_cursor is None


async def test_filters(outbox: Outbox) -> None:
    await outbox.put(
        record(job="a"), record(job="b", queue="other"), record(job="a", outcome=Outcome.FAILED, error="x")
    )
    await outbox.recorder.drain_once()
    history = History(outbox.pool)
    assert len((await history.runs(job="a")).items) == 2
    assert len((await history.runs(queue="other")).items) == 1
    assert [r.error for r in (await history.runs(outcomes=["failed"])).items] == ["x"]
    assert [r.error for r in (await history.runs(outcomes=["lost", "failed", "failed"])).items] == ["x"]
    assert len((await history.runs(outcomes=["succeeded", "failed"], job="a")).items) == 2
    assert len((await history.runs(since=datetime.now(UTC) + timedelta(hours=1))).items) == 0
    assert len((await history.runs(since=datetime.now(UTC) - timedelta(hours=1))).items) == 3
    assert set(await history.last_runs(["a", "b", "nope"])) == {"a", "b"}
    assert (await history.usual_ms(["a"]))["a"] == pytest.approx(1.5)


@pytest.mark.parametrize("text", ["", "x", "1.2", "019aaaaa-0000-7000-8000-000000000000", "019aaaaa.x"])
async def test_a_bad_cursor_is_bad_input(outbox: Outbox, text: str) -> None:
    if not text:
        assert (await History(outbox.pool).runs(cursor=None)).items == ()
        return
    with pytest.raises(BadInputError):
        await History(outbox.pool).runs(cursor=text)


class Explaining(History):
    """Asks for the plan of what it would have read."""

    def __init__(self, pool: Any) -> None:
        super().__init__(pool)
        self.plans: list[str] = []

    async def _all(self, sql: str, args: Sequence[Any] | dict[str, Any] = ()) -> list[Any]:
        self.plans.append("\n".join(row[0] for row in await super()._all(f"explain {sql}", args)))
        return []

    async def _page(self, sql: str, args: Sequence[Any]) -> list[Any]:
        self.plans.append("\n".join(row[0] for row in await super()._page(f"explain {sql}", args)))
        return []


async def test_no_page_reads_a_whole_day(outbox: Outbox) -> None:
    now = datetime.now(UTC)
    async with outbox.pool.connection() as c:
        for n in range(1, 6):
            day = now.date() - timedelta(days=n)
            await c.execute("select cronsole.add_partition('attempt', %s, true)", (day,))
        await keep_house(outbox.pool, 30, 90)
        await c.execute(
            "insert into cronsole.attempt (run_id, attempt, job, queue, outcome, final, orphan, trigger, finished_at)"
            " select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7000' || '8000' ||"
            " lpad(to_hex(n), 12, '0'))::uuid, 1, 'j' || n % 10, 'q', case when n % 50 = 0 then 'failed' else"
            " 'succeeded' end, true, false, 'enqueue', at"
            " from (select n, now() - n * interval '7 seconds' as at from generate_series(1, 50000) n) t"
        )
        await c.execute("analyze")
        found = await c.execute(
            "select tableoid::regclass::text from cronsole.attempt group by 1 having count(*) > 5000"
        )
        large = {row[0].removeprefix("cronsole.") for row in await found.fetchall()}
    assert len(large) >= 3
    history = Explaining(outbox.pool)
    cursor = f"{new_run_id(now_ms() - 86_400_000)}.1"
    asks: list[Awaitable[Any]] = [
        history.runs(),
        history.runs(cursor=cursor),
        history.runs(job="j3"),
        history.runs(job="j3", outcomes=["failed"]),
        history.runs(outcomes=["failed"], cursor=cursor),
        history.runs(outcomes=["failed", "lost"], queue="q"),
        history.runs(queue="seldom"),
        history.runs(outcomes=["cancelled"]),
        history.runs(outcomes=["failed"], queue="q", job="j0"),
        history.runs(run_id=new_run_id()[:11]),
        history.runs_between(now - timedelta(hours=1), now, limit=100),
        history.last_runs(["j1", "j2"]),
        history.usual_ms(["j1", "j2"]),
    ]
    for ask in asks:
        await ask
    assert len(history.plans) == len(asks) + 1, "the time line asks twice"
    for plan in history.plans:
        assert not large & set(re.findall(r"Seq Scan on (\w+)", plan)), plan
        assert "Index" in plan or not any(name in plan for name in large), plan


async def test_runs_by_the_beginning_of_their_id(outbox: Outbox) -> None:
    ids = ["01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-0000000000ff", new_run_id()]
    await outbox.put(*(record(i) for i in ids))
    await outbox.recorder.drain_once()
    history = History(outbox.pool)

    async def found(beginning: str) -> list[str]:
        return [r.run_id for r in (await history.runs(run_id=beginning)).items]

    assert await found("019000") == [ids[1], ids[0]]
    assert await found(ids[0].upper()) == [ids[0]]
    assert await found("01900000-0000-7000-8000-0000000000F") == [ids[1]]
    assert await found("0190000000007000") == [ids[1], ids[0]]
    assert await found("ffff") == []
    for bad in ("x", "0190%", "0" * 33):
        with pytest.raises(BadInputError):
            await history.runs(run_id=bad)


async def test_the_time_line_has_what_ran_then_whenever_it_was_enqueued(outbox: Outbox) -> None:
    now = now_ms()
    hour = 3_600_000

    def ran(enqueued_h: float, from_h: float, to_h: float, job: str) -> Any:
        at = [int((now + h * hour) * 1000) for h in (from_h, to_h)]
        return record(new_run_id(int(now + enqueued_h * hour)), job=job, started_us=at[0], finished_us=at[1])

    await outbox.put(
        ran(-10, -0.9, -0.8, "waited long"), ran(-2, -2, -0.5, "began before"), ran(-5, -5, -4, "over before"),
        ran(-0.5, -0.5, -0.4, "within"), ran(-0.1, -0.1, 0, "after"),
    )  # fmt: skip
    await outbox.recorder.drain_once()
    history = History(outbox.pool)
    start, end = (datetime.now(UTC) - timedelta(hours=h) for h in (1, 0.2))
    found = await history.runs_between(start, end)
    assert [r.job for r in found] == ["within", "began before", "waited long"]
    assert [r.job for r in await history.runs_between(start, end, jobs=["within", "after"])] == ["within"]
    assert len(await history.runs_between(start, end, limit=2)) == 2


async def test_rollups_by_step(outbox: Outbox) -> None:
    base = now_ms() // 600_000 * 600_000 - 1_200_000
    minutes = (0, 0, 1, 9, 10, 11)
    await outbox.put(
        *(record(finished_us=(base + m * 60_000) * 1000, started_us=(base + m * 60_000 - 2) * 1000) for m in minutes)
    )
    await outbox.recorder.drain_once()
    history = History(outbox.pool)
    since = datetime.fromtimestamp(base / 1000, UTC)
    assert [row[3] for row in await history.rollups(since)] == [2, 1, 1, 1, 1]
    assert [(row[0] - since, *row[1:]) for row in await history.rollups(since, 600)] == [
        (timedelta(0), "q", "succeeded", 4, 8.0),
        (timedelta(minutes=10), "q", "succeeded", 2, 4.0),
    ]


async def test_published_jobs(outbox: Outbox) -> None:
    history = History(outbox.pool)
    await history.publish({"a": b'{"x": 1}', "b": b"{}"}, "host:a")
    await history.publish({"a": b'{"x": 2}', "b": b"{}"}, "host:a")
    found = [row[:5] for row in await history.published()]
    assert found == [("a", {"x": 2}, 2, {}, "host:a"), ("b", {}, 1, {}, "host:a")]
    await history.publish({"a": b'{"x": 2}'}, "host:a")
    assert [row[0] for row in await history.published()] == ["a"]
    await history.publish({"c": b"{}"}, "host:other")
    assert [row[0] for row in await history.published()] == ["a", "c"], "another file's jobs stay"


async def test_actions_are_paged(outbox: Outbox) -> None:
    history = History(outbox.pool)
    for n in range(5):
        await history.write_action("me", "retry", {"n": n}, n, n)
    first = await history.actions(3)
    assert [row[4]["n"] for row in first] == [4, 3, 2]
    assert [row[4]["n"] for row in await history.actions(3, first[-1][0])] == [1, 0]


async def test_counts_by_job(outbox: Outbox) -> None:
    since = datetime.now(UTC) - timedelta(minutes=1)
    run_id = new_run_id()
    await outbox.put(
        record(run_id, 1, outcome=Outcome.FAILED, final=False),
        record(run_id, 2, outcome=Outcome.FAILED, final=True),
        record(),
        FireRecord(job="j", planned_ms=now_ms(), result=FireResult.SKIPPED, decided_ms=now_ms(), scheduler="s"),
    )
    await outbox.recorder.drain_once()
    counts = (await History(outbox.pool).counts_by_job(since))["j"]
    assert counts == {"succeeded": 1, "failed": 2, "retries": 1, "dead": 1, "runs": 2, "fires_skipped": 1}
