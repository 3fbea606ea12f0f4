"""History: each attempt once however often it is delivered, whatever the record; pages, partitions, retention."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from backends.connect import Servers
from backends.errors import BadInputError
from backends.history import History, Recorder, keep_house, migrate
from backends.history.migrate import migrations
from backends.model import AttemptRecord, FireRecord, FireResult, Outcome, new_run_id, now_ms, to_ms


def record(run_id: str | None = None, attempt: int = 1, **more: Any) -> AttemptRecord:
    at = now_ms() * 1000
    values: dict[str, Any] = {
        "job": "j", "queue": "q", "outcome": Outcome.SUCCEEDED, "started_us": at - 1500, "finished_us": at
    } | more  # fmt: skip
    return AttemptRecord(run_id=run_id or new_run_id(), attempt=attempt, **values)


class Outbox:
    """A recorder over one outbox of a test."""

    def __init__(self, servers: Servers, pool: Any) -> None:
        self.redis = servers.redis
        self.url = servers.postgres_url
        self.pool = pool
        self.key = f"cronsole:{{{servers.settings.namespace}/q}}:out"
        self.recorder = Recorder(servers.redis_client("recorder"), pool, self._keys, "r1")

    async def _keys(self) -> list[str]:
        return [self.key]

    async def put(self, *records: Any) -> None:
        await self.put_raw(msgspec.json.encode(list(records)))

    async def put_raw(self, raw: bytes) -> None:
        await self.redis.xadd(self.key, {"r": raw})

    async def one(self, sql: str) -> Any:
        async with self.pool.connection() as c:
            row = await (await c.execute(sql)).fetchone()
            return row[0] if row and len(row) == 1 else row

    async def parked(self) -> list[Any]:
        return [fields[b"r"] for _, fields in await self.redis.xrange(self.key + ":bad")]


@pytest.fixture
async def outbox(connected: Servers) -> Outbox:
    return Outbox(connected, await connected.pool())


# --- migrations -----------------------------------------------------------------------------------------------


async def test_migrations_run_once_even_when_many_start_at_once(connected: Servers) -> None:
    pool = await connected.pool()
    async with pool.connection() as c:
        await c.execute("drop schema cronsole cascade")
    applied = await asyncio.gather(*(migrate(pool) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len(migrations())]
    assert await migrate(pool) == []


# --- the recorder ---------------------------------------------------------------------------------------------


async def test_records_arrive_and_leave_the_outbox(outbox: Outbox) -> None:
    await outbox.put(*(record() for _ in range(150)))
    await outbox.put(*(record(outcome=Outcome.FAILED, error="no", error_class="E", exit_code=3) for _ in range(50)))
    assert await outbox.recorder.drain_once() == 200
    assert await outbox.redis.xlen(outbox.key) == 0
    assert await outbox.one("select count(*) from cronsole.attempt") == 200
    assert await outbox.one("select sum(n) from cronsole.rollup where outcome = 'failed'") == 50
    assert await outbox.one("select bool_and(abs(duration_ms - 1.5) < 0.001) from cronsole.attempt") is True


async def test_every_column_comes_back(outbox: Outbox) -> None:
    full = record(
        started_us=1_764_000_000_123_456, finished_us=1_764_000_001_123_456, enqueued_ms=1_763_999_999_000,
        scheduled_ms=1_764_000_000_000, trigger="schedule", worker="h:1", exit_code=-9, error_class="SIGKILL",
        error="ended by SIGKILL", fingerprint="00ff00ff00ff00ff", output="täil\n", result='{"a":1}', producer_id="77",
        by="me", replay_of="x", orphan=True, max_rss_kb=1234, cpu_ms=56, final=False, outcome=Outcome.LOST,
    )  # fmt: skip
    await outbox.put(full)
    await outbox.recorder.drain_once()
    (row,) = await History(outbox.pool).run(full.run_id)
    assert row["started_at"] == datetime.fromtimestamp(1_764_000_000, UTC) + timedelta(microseconds=123_456)
    assert (row["duration_ms"], row["exit_code"], row["output"], row["operator"]) == (1000.0, -9, "täil\n", "me")
    assert (row["final"], row["orphan"], row["max_rss_kb"], row["cpu_ms"]) == (False, True, 1234, 56)
    assert row["scheduled_for"] == datetime.fromtimestamp(1_764_000_000, UTC)


async def test_redelivery_changes_nothing(outbox: Outbox) -> None:
    records = [record() for _ in range(100)]
    await outbox.put(*records)
    await outbox.recorder.drain_once()
    before = await outbox.one("select sum(n), sum(sum_ms), sum(hist[1] + hist[2]) from cronsole.rollup")
    await outbox.put(*records, *records[:10], record())
    await outbox.put(*records)
    assert await outbox.recorder.drain_once() == 1
    assert await outbox.one("select count(*) from cronsole.attempt") == 101
    after = await outbox.one("select sum(n), sum(sum_ms), sum(hist[1] + hist[2]) from cronsole.rollup")
    assert after[0] == before[0] + 1
    assert after[2] == before[2] + 1


async def test_a_recorder_that_died_between_commit_and_ack(outbox: Outbox) -> None:
    await outbox.put(*(record() for _ in range(10)))
    await outbox.recorder.drain_once()
    await outbox.put(*(record() for _ in range(10)))
    read = await outbox.redis.xreadgroup("history", "dead", {outbox.key: ">"})
    assert read
    assert await outbox.recorder.drain_once() == 10
    assert await outbox.redis.xlen(outbox.key) == 0


POISON = {
    "not json": b"[{not json",
    "not utf-8": b'[{"t":"attempt","run_id":"\xff"}]',
    "unknown tag": b'[{"t":"novel","x":1}]',
    "missing": b'[{"t":"attempt","run_id":"x"}]',
    "not a uuid": msgspec.json.encode([record("not-a-uuid")]),
    "too large a number": msgspec.json.encode([record(exit_code=2**40)]),
    "a time out of range": msgspec.json.encode([record(finished_us=2**62)]),
    "a fire out of range": msgspec.json.encode(
        [FireRecord(job="j", planned_ms=2**52, result=FireResult.FIRED, decided_ms=1, scheduler="s")]
    ),
    "not a list": b'{"t":"attempt"}',
    "empty": b"",
}


@pytest.mark.parametrize("raw", POISON.values(), ids=POISON.keys())
async def test_a_poison_record_is_parked_and_the_rest_is_stored(outbox: Outbox, raw: bytes) -> None:
    good = [record() for _ in range(5)]
    await outbox.put(*good[:2])
    await outbox.put_raw(raw)
    if raw.startswith(b"[{") and raw.endswith(b"}]"):
        mixed = msgspec.json.encode(good[2:])
        await outbox.put_raw(b"[" + mixed[1:-1] + b"," + raw[1:-1] + b"]")
        parked = 2
    else:
        await outbox.put(*good[2:])
        parked = 1
    assert await outbox.recorder.drain_once() == 5
    assert await outbox.redis.xlen(outbox.key) == 0
    assert len(await outbox.parked()) == parked
    assert await outbox.one("select count(*) from cronsole.incident") == parked


async def test_nul_and_lone_surrogates_are_shown_not_lost(outbox: Outbox) -> None:
    bad = record(error="a\0b", output="c\0d", worker="w\0")
    await outbox.put(bad)
    assert await outbox.recorder.drain_once() == 1
    (row,) = await History(outbox.pool).run(bad.run_id)
    assert (row["error"], row["output"], row["worker"]) == ("a␀b", "c␀d", "w␀")


async def test_postgres_goes_away_and_comes_back(outbox: Outbox) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(outbox.recorder.run(stop))
    total = 0
    for _ in range(5):
        records = [record() for _ in range(50)]
        total += len(records)
        await outbox.put(*records)
        async with await psycopg.AsyncConnection.connect(outbox.url, autocommit=True) as c:
            await c.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        await asyncio.sleep(0.1)
    deadline = asyncio.get_running_loop().time() + 30
    while await outbox.redis.xlen(outbox.key):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
    stop.set()
    await running
    assert await outbox.one("select count(*) from cronsole.attempt") == total
    assert await outbox.one("select sum(n) from cronsole.rollup") == total


async def test_a_flushed_redis_is_no_end(outbox: Outbox) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(outbox.recorder.run(stop))
    await outbox.put(record())
    for _ in range(2):
        deadline = asyncio.get_running_loop().time() + 20
        while await outbox.redis.xlen(outbox.key):
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        await outbox.redis.delete(outbox.key)
        await outbox.put(record())
    stop.set()
    await running


async def test_fires_and_marks(outbox: Outbox) -> None:
    at = now_ms() // 60_000 * 60_000
    fires = [
        FireRecord(job="j", planned_ms=at + n * 60_000, result=FireResult.FIRED, decided_ms=at, scheduler="s")
        for n in (2, 0, 1, 1)
    ]
    await outbox.put(*fires)
    await outbox.recorder.drain_once()
    await outbox.put(fires[1])
    await outbox.recorder.drain_once()
    history = History(outbox.pool)
    assert await history.marks() == {"j": at + 120_000}
    found = await history.fires("j", datetime.fromtimestamp(0, UTC), datetime(2100, 1, 1, tzinfo=UTC))
    assert [(to_ms(f[0]) - at) // 60_000 for f in found] == [0, 1, 2]


# --- reading --------------------------------------------------------------------------------------------------


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


async def test_filters(outbox: Outbox) -> None:
    await outbox.put(
        record(job="a"), record(job="b", queue="other"), record(job="a", outcome=Outcome.FAILED, error="x")
    )
    await outbox.recorder.drain_once()
    history = History(outbox.pool)
    assert len((await history.runs(job="a")).items) == 2
    assert len((await history.runs(queue="other")).items) == 1
    assert [r.error for r in (await history.runs(outcome="failed")).items] == ["x"]
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


async def test_the_first_page_reads_no_whole_table(outbox: Outbox) -> None:
    today = datetime.now(UTC).date()
    async with outbox.pool.connection() as c:
        for n in range(5):
            await c.execute("select cronsole.add_partition('attempt', %s, true)", (today - timedelta(days=n),))
        await c.execute(
            "insert into cronsole.attempt (run_id, attempt, job, queue, outcome, final, orphan, trigger, finished_at)"
            " select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7000' || '8000' ||"
            " lpad(to_hex(n), 12, '0'))::uuid, 1, 'j' || n % 10, 'q', 'succeeded', true, false, 'enqueue', at"
            " from (select n, now() - n * interval '7 seconds' as at from generate_series(1, 50000) n) t"
        )
        await c.execute("analyze cronsole.attempt")
        for where in ("true", "job = 'j3'", "run_id < cronsole.v7_floor(now() - interval '1 day')"):
            plan = await (
                await c.execute(
                    f"explain select * from cronsole.attempt where {where} order by run_id desc, attempt desc limit 100"  # type: ignore[arg-type]
                )
            ).fetchall()
            text = "\n".join(row[0] for row in plan)
            assert "Index" in text, text
            assert text.count("Seq Scan") <= text.count("attempt_late") + 5, text
            assert "Sort  (" not in text.split("->")[0], text


# --- partitions and retention -----------------------------------------------------------------------------------


async def test_old_days_go_and_failures_stay_longer(outbox: Outbox) -> None:
    day = date(2026, 3, 1)
    old = to_ms(datetime(2026, 3, 1, 12, tzinfo=UTC))
    good, bad = record(new_run_id(old), job="old"), record(new_run_id(old), job="old", outcome=Outcome.FAILED)
    await outbox.put(good, bad, record())
    await outbox.recorder.drain_once()
    assert await outbox.one("select count(*) from cronsole.attempt_late") == 3
    await keep_house(outbox.pool, 30, 90, today=day)
    assert await outbox.one("select count(*) from cronsole.attempt_20260301") == 2, "late rows move in"
    made = await keep_house(outbox.pool, 30, 90, today=day)
    assert made["made"] == 0
    done = await keep_house(outbox.pool, 30, 90, today=day + timedelta(days=60))
    assert done["dropped"] > 0
    assert done["kept"] == 1
    history = History(outbox.pool)
    assert [r.outcome for r in (await history.runs(job="old")).items] == ["failed"]
    assert len(await history.run(bad.run_id)) == 1
    await keep_house(outbox.pool, 30, 90, today=day + timedelta(days=200))
    assert await outbox.one("select count(*) from cronsole.attempt_keep") == 0


async def test_two_housekeepers_do_not_meet(outbox: Outbox) -> None:
    day = date(2026, 5, 1)
    results = await asyncio.gather(*(keep_house(outbox.pool, 30, 90, today=day) for _ in range(3)))
    assert sum(r["made"] for r in results) == 3 * 9


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
