"""The recorder: each attempt once however often it is delivered, whatever the record, whatever goes away."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psutil
import psycopg
import pytest
from redis.exceptions import ResponseError

from backends import embedded_servers as servers
from backends.connect import Servers, Settings
from backends.history import History, migrate, streams
from backends.history import recorder as recorder_module
from backends.history.recorder import Recorder
from backends.model import FireRecord, FireResult, Outcome, now_ms, to_ms
from tests.backends.history_helpers import Outbox, record, until


@pytest.fixture
async def outbox(connected: Servers) -> Outbox:
    return Outbox(connected, await connected.pool())


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
    "nested without end": b"[" * 200_000,
    "a number": b"7",
    "a fire of no run": msgspec.json.encode(
        [FireRecord(job="j", planned_ms=1, result=FireResult.FIRED, decided_ms=1, scheduler="s", run_id="no")]
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


async def test_nul_is_shown_not_lost(outbox: Outbox) -> None:
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
    await until(outbox.is_empty, "all is recorded")
    stop.set()
    await running
    assert await outbox.one("select count(*) from cronsole.attempt") == total
    assert await outbox.one("select sum(n) from cronsole.rollup") == total


async def test_a_flushed_redis_is_no_end(outbox: Outbox) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(outbox.recorder.run(stop))
    await outbox.put(record())
    for _ in range(2):
        await until(outbox.is_empty, "recorded")
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


async def test_a_crash_between_commit_and_acknowledgement(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    real = streams.finish
    crashes = 0

    async def crash(*args: Any) -> None:
        nonlocal crashes
        crashes += 1
        if crashes <= 2:
            raise ConnectionError("gone")
        await real(*args)

    monkeypatch.setattr(recorder_module, "finish", crash)
    good = [record() for _ in range(20)]
    await outbox.put(*good[:10], record(error="e", outcome=Outcome.FAILED, output="said"), record("not-a-uuid"))
    await outbox.put(*good[10:])
    stop = asyncio.Event()
    running = asyncio.create_task(outbox.recorder.run(stop))
    await until(outbox.is_empty, "recorded at last")
    stop.set()
    await running
    assert crashes >= 3
    assert await outbox.one("select count(*) from cronsole.attempt") == 21
    assert await outbox.one("select sum(n) from cronsole.rollup") == 21
    assert await outbox.one("select count(*) from cronsole.run_log") == 1
    assert len(await outbox.parked()) == 1
    assert await outbox.one("select count(*) from cronsole.incident") == 1


async def test_a_full_redis_is_emptied(outbox: Outbox) -> None:
    await outbox.put(*(record() for _ in range(10)), record("not-a-uuid"))
    await outbox.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(ResponseError, match="maxmemory"):
            await outbox.put(record())
        assert await outbox.recorder.drain_once() == 10
        assert await outbox.redis.xlen(outbox.key) == 0
        assert len(await outbox.parked()) == 1
    finally:
        await outbox.redis.config_set("maxmemory", 0)


async def test_half_a_surrogate_pair_is_replaced(outbox: Outbox) -> None:
    bad = record(error="QQ")
    raw = msgspec.json.encode([record(), bad, record("not-a-uuid"), record(error="\N{PARTY POPPER}")])
    await outbox.put_raw(raw.replace(b"QQ", b"a\\ud800b"))
    assert await outbox.recorder.drain_once() == 3
    assert [r["error"] for r in await History(outbox.pool).run(bad.run_id)] == ["a?b"]
    assert await outbox.one("select count(*) from cronsole.attempt where error = '\N{PARTY POPPER}'") == 1
    assert len(await outbox.parked()) == 1


async def test_a_name_that_no_index_can_hold_is_parked(outbox: Outbox) -> None:
    await outbox.put(*(record() for _ in range(20)), record(job=secrets.token_hex(20_000)))
    assert await outbox.recorder.drain_once() == 20
    assert len(await outbox.parked()) == 1


async def test_names_that_are_one_once_cleaned(outbox: Outbox) -> None:
    await outbox.put(record(job="a\0"), record(job="a␀"), record(job="a\0"))
    assert await outbox.recorder.drain_once() == 3
    assert await outbox.one("select job, n from cronsole.rollup") == ("a␀", 3)


async def test_a_step_back_of_the_clock_takes_no_time(outbox: Outbox) -> None:
    at = now_ms() * 1000
    await outbox.put(record(started_us=at, finished_us=at - 5_000_000))
    assert await outbox.recorder.drain_once() == 1
    assert await outbox.one("select duration_ms from cronsole.attempt") == 0
    assert await outbox.one("select sum_ms, hist from cronsole.rollup") == (0, [1])


async def test_histograms_add_up(outbox: Outbox) -> None:
    at = now_ms() // 60_000 * 60_000_000 + 30_000_000
    for ms in (0, 1, 3, 1000, 0):
        await outbox.put(record(started_us=at - ms * 1000, finished_us=at))
        await outbox.recorder.drain_once()
    assert await outbox.one("select n, sum_ms, max_ms, hist from cronsole.rollup") == (
        5, 1004, 1000, [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1],
    )  # fmt: skip


async def test_recorders_that_are_gone_leave_no_consumer(outbox: Outbox) -> None:
    await outbox.put(record())
    await outbox.recorder.drain_once()
    await outbox.redis.xgroup_createconsumer(outbox.key, "history", "idle")
    await outbox.put(record())
    await outbox.redis.xreadgroup("history", "died", {outbox.key: ">"})
    again = outbox.another("r2")
    assert await again.drain_once() == 1
    assert await again.drain_once() == 0
    assert {c["name"] for c in await outbox.redis.xinfo_consumers(outbox.key, "history")} == {b"r2"}


async def test_transactions_stay_small_whatever_waits(outbox: Outbox) -> None:
    outbox.keys += [f"{outbox.key.removesuffix('q}:out')}q{n}}}:out" for n in range(3)]
    for key in outbox.keys:
        for _ in range(15):
            entry = msgspec.json.encode([record() for _ in range(200)])
            await outbox.redis.xadd(key, {"r": entry})
    assert await outbox.recorder.drain_once() == 4 * 15 * 200
    largest = "select max(n) from (select count(*) n from cronsole.attempt group by xmin::text) t"
    assert await outbox.one(largest) <= recorder_module.ROWS + 200


async def test_a_key_that_is_no_outbox_stops_no_other(outbox: Outbox) -> None:
    wrong = f"{outbox.key.removesuffix('q}:out')}wrong}}:out"
    outbox.keys.insert(0, wrong)
    await outbox.redis.set(wrong, "x")
    await outbox.put(record())
    assert await outbox.recorder.drain_once() == 1


async def test_one_records_and_another_takes_over(outbox: Outbox) -> None:
    stop = asyncio.Event()
    first = asyncio.create_task(outbox.recorder.run(stop))
    locks = "select count(*) from pg_locks where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())"  # noqa: E501
    await until(lambda: outbox.one(locks), "one leads")
    second = asyncio.create_task(outbox.another("r2").run(stop))
    await outbox.put(record())
    await until(outbox.is_empty, "recorded")
    assert await outbox.one(locks) == 1
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await outbox.put(record())
    await until(outbox.is_empty, "the other takes over")
    assert await outbox.one(locks) == 1
    stop.set()
    await second
    assert await outbox.one(locks) == 0


async def test_two_namespaces_in_one_database(outbox: Outbox) -> None:
    other = f"cronsole:{{{secrets.token_hex(4)}/q}}:out"

    async def keys() -> list[str]:
        return [other]

    stop = asyncio.Event()
    neighbour = Recorder(outbox.servers.redis_client("n"), outbox.pool, keys, "n")
    running = [asyncio.create_task(r.run(stop)) for r in (outbox.recorder, neighbour)]
    await outbox.put(record())
    await outbox.redis.xadd(other, {"r": msgspec.json.encode([record()])})

    async def both() -> bool:
        return not await outbox.redis.xlen(outbox.key) + await outbox.redis.xlen(other)

    await until(both, "both are recorded")
    stop.set()
    await asyncio.gather(*running)
    assert await outbox.one("select count(*) from cronsole.attempt") == 2


@pytest.fixture
def own_servers() -> Iterator[servers.Layout]:
    """Servers that a test may stop."""
    root = Path(tempfile.mkdtemp(prefix="cs-"))
    root.chmod(0o711)
    at = servers.layout(root / "d")
    servers.start_valkey(at)
    servers.start_postgres(at)
    yield at
    servers.stop(at)
    shutil.rmtree(root, ignore_errors=True)


def stop_one(process: psutil.Process | None, number: int) -> None:
    assert process
    process.send_signal(number)
    process.wait(15)


async def test_both_servers_stop_and_start_again(own_servers: servers.Layout) -> None:
    at = own_servers
    async with await Servers.open(Settings(at.redis_url, at.postgres_url, "own", at.root), role="test") as own:
        await migrate(await own.pool())
        outbox = Outbox(own, await own.pool())
        stop = asyncio.Event()
        running = asyncio.create_task(outbox.recorder.run(stop))
        await outbox.put(*(record() for _ in range(10)))
        await until(outbox.is_empty, "recorded")
        await asyncio.to_thread(stop_one, servers.postgres_process(at), signal.SIGINT)
        await outbox.put(*(record() for _ in range(10)))
        await asyncio.to_thread(servers.start_postgres, at)
        await until(outbox.is_empty, "recorded after Postgres came back", 60)
        await outbox.put(*(record() for _ in range(10)))
        await asyncio.to_thread(stop_one, servers.valkey_process(at), signal.SIGTERM)
        await asyncio.to_thread(servers.start_valkey, at)
        await outbox.put(*(record() for _ in range(10)))
        await until(outbox.is_empty, "recorded after Valkey came back", 60)
        stop.set()
        await running
        assert await outbox.one("select count(*) from cronsole.attempt") == 40
        assert await outbox.one("select sum(n) from cronsole.rollup") == 40
