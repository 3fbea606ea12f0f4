"""How the lists of history are read: along an index whatever is asked for, and a page touches few blocks.

Many days with enough rows, one attempt in 50 not a success. The planner has seen them (ANALYZE), and cold days as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import psycopg
import pytest

from backends.connect import Servers
from backends.history.house import keep_house
from backends.history.queries import History
from backends.history.stats import job_fires
from backends.model import RunRow, new_run_id, now_ms

DAYS = 12
ROWS = 60_000
LIMIT = 50
MIXED = (
    "case when n = 31 then 'rare' else 'j' || n %% 40 end",
    "case when n = 31 then 'seldom' else 'q' || n %% 40 %% 4 end",
    "case n %% 150 when 0 then 'failed' when 50 then 'timed_out' when 100 then 'lost' else 'succeeded' end",
    "70008000",
)
"""Job, queue and outcome of row n as SQL, and what follows the time in its id."""


def fill(job: str, queue: str, outcome: str, rest: str) -> str:
    """An INSERT of `rows` attempts, each `step` older than the one before."""
    return f"""
insert into cronsole.attempt (run_id, attempt, job, queue, outcome, final, orphan, trigger, finished_at, fingerprint,
  replay_of)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '{rest}' || lpad(to_hex(n), 12, '0'))::uuid,
  1, {job}, {queue}, {outcome},
  true, false, 'enqueue', at, case when n %% 50 = 0 then lpad(to_hex(n %% 40 %% 7), 16, '0') end,
  case when n %% 1000 = 0 then '0190000000007000800000000000' || lpad(to_hex(n), 8, '0') end
from (select n, now() - n * %(step)s::interval as at from generate_series(1, %(rows)s) n) t
"""


FIRES = """
insert into cronsole.schedule_fire (job, planned_at, result, scheduler, decided_at)
select case when n = 31 then 'rare' else 'j' || n %% 40 end, now() - n * %(step)s::interval, 'fired', 's', now()
from generate_series(1, %(rows)s) n
"""
ACTIONS = """
insert into cronsole.action (who, verb, target, matched, changed)
select 'ana', 'pause', jsonb_build_object('target', 'queue:q' || n), 1, 1 from generate_series(1, %(rows)s) n
"""


class Explaining(History):
    """Runs what it reads under EXPLAIN (ANALYZE, BUFFERS) and keeps the plans."""

    def __init__(self, pool: Any) -> None:
        super().__init__(pool)
        self.plans: list[dict[str, Any]] = []

    async def _all(self, sql: str, args: Sequence[Any] | dict[str, Any] = ()) -> list[Any]:
        rows = await super()._all(f"explain (analyze, buffers, format json) {sql}", args)
        self.plans.append(rows[0][0][0]["Plan"])
        return []

    async def _page(self, sql: str, args: Sequence[Any]) -> list[Any]:
        rows = await super()._page(f"explain (analyze, buffers, format json) {sql}", args)
        self.plans.append(rows[0][0][0]["Plan"])
        return []


class Pool:
    """A pool that runs each statement under EXPLAIN as well and keeps the plans."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.plans: list[dict[str, Any]] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        async with self._pool.connection() as self._connection:
            yield self

    async def execute(self, sql: str, args: Sequence[Any]) -> Any:
        """As a connection does."""
        cursor = await self._connection.execute(f"explain (analyze, buffers, format json) {sql}", args)
        self.plans.append((await cursor.fetchall())[0][0][0]["Plan"])
        return await self._connection.execute(sql, args)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


@pytest.fixture(scope="module")
def filled(request: pytest.FixtureRequest) -> str:
    """A database full of attempts, for all tests of this file."""
    embedded, template = request.getfixturevalue("embedded"), request.getfixturevalue("template")
    with psycopg.connect(embedded.postgres_url, autocommit=True) as c:
        c.execute(f"create database plans template {template} strategy file_copy")
    url = str(embedded.postgres_url.replace("/cronsole?", "/plans?"))
    today = datetime.now(UTC).date()
    with psycopg.connect(url, autocommit=True) as c:
        for n in range(-1, DAYS + 1):
            c.execute("select cronsole.add_partition('attempt', %s, true)", (today - timedelta(days=n),))
            c.execute("select cronsole.add_partition('schedule_fire', %s, false)", (today - timedelta(days=n),))
        for rows in (fill(*MIXED), FIRES, ACTIONS):
            c.execute(rows, {"rows": ROWS, "step": timedelta(days=DAYS) / ROWS})
        c.execute("vacuum analyze")
    return url


@pytest.fixture
async def history(filled: str) -> AsyncIterator[Explaining]:
    from psycopg_pool import AsyncConnectionPool

    async with AsyncConnectionPool(filled, min_size=1, max_size=1, kwargs={"autocommit": True}, open=False) as pool:
        yield Explaining(pool)


async def large(pool: Any, least: int = ROWS // DAYS // 4) -> set[str]:
    """The partitions with at least so many rows: at the ends may be days of a few, which are best read as a whole."""
    async with pool.connection() as c:
        cursor = await c.execute("select tableoid::regclass::text, count(*) from cronsole.attempt group by 1")
        return {name.removeprefix("cronsole.") for name, rows in await cursor.fetchall() if rows >= least}


def check(plan: dict[str, Any], days: set[str], limit: int, text: str) -> None:
    """No day is read as a whole, and no more is touched than a page needs."""
    walks = 0
    for node in nodes(plan):
        if node.get("Relation Name") in days or node["Node Type"] == "Bitmap Index Scan":
            assert node["Node Type"] in ("Index Scan", "Index Only Scan"), f"{text}: {node}"
            walks += 1
            passed_over = node.get("Rows Removed by Filter", 0)
            assert passed_over <= 20 * limit, f"{text}: {passed_over} rows were passed over"
    touched = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    # A walk begins with the way down its index, a few blocks; then each row is at most a block of the table.
    assert touched <= 6 * walks + 4 * limit + 100, f"{text}: {touched} blocks, {walks} walks"


CURSOR = f"{new_run_id(now_ms() - 5 * 86_400_000)}.1"
FILTERS: dict[str, Sequence[Any]] = {
    "job": (None, "j3", "rare", "nobody"),
    "queue": (None, "q3", "seldom", "nowhere"),
    "outcomes": (
        (), ("failed",), ("timed_out",), ("lost",), ("cancelled",), ("skipped",), ("succeeded",),
        ("failed", "timed_out", "lost"), ("succeeded", "failed"),
    ),
    "more": (
        {}, {"cursor": CURSOR}, {"since": datetime.now(UTC) - timedelta(hours=30)}, {"group": f"{3:016x}"},
        {"run_id": new_run_id(now_ms() - 3 * 86_400_000)[:9]}, {"group": "0" * 15 + "f"},
        {"oldest": True}, {"oldest": True, "cursor": CURSOR},
    ),
}  # fmt: skip


def combined() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every filter with every other."""
    for job, queue, outcomes, more in product(*FILTERS.values()):
        asked = {"job": job, "queue": queue, "outcomes": outcomes, **more}
        yield ", ".join(f"{k} {v}" for k, v in asked.items() if v) or "nothing", asked


async def test_every_filter_of_runs_and_all_of_them_together(history: Explaining) -> None:
    days = await large(history._pool)
    assert len(days) >= DAYS
    count = 0
    for text, asked in combined():
        await history.runs(LIMIT, **asked)
        check(history.plans.pop(), days, LIMIT, text)
        count += 1
    assert count == 4 * 4 * 9 * 8
    assert history.plans == []


Ask = Callable[[History], Any]


@pytest.mark.parametrize(
    "ask",
    [
        lambda h: h.replays_of(f"01900000-0000-7000-8000-0000{1000:08x}", 10),
        lambda h: h.replays_of(new_run_id()),
        lambda h: h.last_runs(["j1", "j2", "rare", "nobody"]),
        lambda h: h.usual_ms(["j1", "rare"]),
        lambda h: h.outcomes([new_run_id(now_ms() - 86_400_000)]),
        lambda h: h.envelope(new_run_id(now_ms() - 86_400_000)),
    ],
)
async def test_what_else_is_read_of_attempts(history: Explaining, ask: Ask) -> None:
    days = await large(history._pool)
    assert len(days) >= DAYS
    await ask(history)
    assert history.plans
    for plan in history.plans:
        for node in nodes(plan):
            if node.get("Relation Name") in days:
                assert node["Node Type"] != "Seq Scan", json.dumps(node)


@pytest.mark.parametrize("oldest", [False, True])
@pytest.mark.parametrize("cursor", [None, ROWS // 2])
async def test_a_page_of_the_audit_is_a_walk_from_either_end(
    history: Explaining, cursor: int | None, oldest: bool
) -> None:
    await history.actions(LIMIT, cursor, oldest=oldest)
    check(history.plans.pop(), {"action"}, LIMIT, f"audit {cursor} {oldest}")
    rows = await History(history._pool).actions(LIMIT, cursor, oldest=oldest)
    start = (cursor or 0) + LIMIT if oldest else (cursor or ROWS + 1) - 1
    assert [row[0] for row in rows] == list(range(start, start - LIMIT, -1))


@pytest.mark.parametrize("oldest", [False, True])
@pytest.mark.parametrize("back", [None, 5])
@pytest.mark.parametrize("job", ["j3", "rare", "nobody"])
async def test_a_page_of_a_jobs_fires_is_a_walk_of_each_day(
    history: Explaining, job: str, back: int | None, oldest: bool
) -> None:
    pool = Pool(history._pool)
    cursor = datetime.now(UTC) - timedelta(days=back) if back else None
    fires = await job_fires(pool, job, LIMIT, cursor, oldest=oldest)
    assert len(fires) == {"j3": LIMIT, "nobody": 0}.get(job, len(fires))
    days = {name.replace("attempt", "schedule_fire") for name in await large(history._pool)}
    check(pool.plans.pop(), days, LIMIT, f"{job} {cursor} {oldest}")


async def test_a_page_is_what_it_would_be_without_an_index(filled: str, history: Explaining) -> None:
    """The walks are merged rightly: compared with a sort of everything."""
    plain = History(history._pool)
    every: list[RunRow] = []
    cursor = None
    while True:
        page = await plain.runs(5000, cursor)
        every += page.items
        if not (cursor := page.next_cursor):
            break
    assert len(every) == ROWS
    for text, asked in combined():
        if "group" in asked or "since" in asked or asked["job"] == "nobody":
            continue
        oldest = asked.get("oldest", False)
        start = re.split(r"\.", asked.get("cursor", "" if oldest else "g"))[0]
        expected = [
            row for row in every
            if (row.run_id > start if oldest else row.run_id < start) and row.run_id.startswith(asked.get("run_id", ""))
            and asked["job"] in (None, row.job) and asked["queue"] in (None, row.queue)
            and (not asked["outcomes"] or row.outcome in asked["outcomes"])
        ]  # fmt: skip
        expected = expected[-LIMIT:] if oldest else expected[:LIMIT]
        assert list((await plain.runs(LIMIT, **asked)).items) == expected, text


@pytest.mark.parametrize("asked", [{"job": "down"}, {"queue": "down"}, {"job": "down", "queue": "down"}])
async def test_rare_successes_are_found_along_an_index(connected: Servers, asked: dict[str, Any]) -> None:
    """Of what failed all the time the failures are passed over without a look at their rows."""
    pool = await connected.pool()
    await keep_house(pool, 30, 90)
    failed, well = 10_000, 20
    down = fill("'down'", "'down'", f"case when n > {failed} then 'succeeded' else 'failed' end", "70008001")
    async with pool.connection() as c:
        await c.execute(fill(*MIXED), {"rows": 20_000, "step": timedelta(seconds=1)})
        await c.execute(down, {"rows": failed + well, "step": timedelta(seconds=1, milliseconds=1)})
        await c.execute("vacuum analyze")
    assert len((await History(pool).runs(LIMIT, outcomes=["succeeded"], **asked)).items) == well
    history, days = Explaining(pool), await large(pool, 1_000)
    assert days
    for oldest in (False, True):
        await history.runs(LIMIT, outcomes=["succeeded"], oldest=oldest, **asked)
        for node in nodes(history.plans.pop()):
            if node.get("Relation Name") in days:
                assert node["Node Type"].startswith("Index")
                assert node.get("Rows Removed by Filter", 0) <= LIMIT, node
                assert node["Shared Hit Blocks"] + node["Shared Read Blocks"] < 300, node


async def test_a_day_that_the_planner_has_not_seen(connected: Servers) -> None:
    """Rows that came since the last ANALYZE: the newest day."""
    pool = await connected.pool()
    await keep_house(pool, 30, 90)
    async with pool.connection() as c:
        await c.execute("analyze")
        await c.execute(fill(*MIXED), {"rows": 20_000, "step": timedelta(seconds=1)})
    history = Explaining(pool)
    today = f"attempt_{datetime.now(UTC):%Y%m%d}"
    for text, asked in combined():
        if asked["job"] != "rare" and not asked.get("group"):
            await history.runs(LIMIT, **asked)
            for node in nodes(history.plans.pop()):
                assert node.get("Relation Name") != today or node["Node Type"].startswith("Index"), f"{text}: {node}"
