"""Migrations, partitions ahead of time, retention."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from backends.connect import Servers
from backends.history import History, migrate
from backends.history.house import PARENTS, keep_house
from backends.history.migrate import migrations
from backends.history.originals import keep_original, read_originals
from backends.model import FireRecord, FireResult, Outcome, new_run_id, now_ms, to_ms
from tests.backends.history_helpers import Outbox, record


def noon(day: date) -> int:
    return to_ms(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))


@pytest.fixture
async def outbox(connected: Servers) -> Outbox:
    return Outbox(connected, await connected.pool())


async def test_migrations_run_once_even_when_many_start_at_once(connected: Servers) -> None:
    pool = await connected.pool()
    async with pool.connection() as c:
        await c.execute("drop schema cronsole cascade")
    applied = await asyncio.gather(*(migrate(pool) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len(migrations())]
    assert await migrate(pool) == []


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


async def test_originals_of_edited_letters_stay_as_long_as_failures(outbox: Outbox) -> None:
    """From when they were edited, whatever the age of their run; what is archived beside them stays."""
    old, new, today = new_run_id(noon(date(2026, 3, 1))), new_run_id(), datetime.now(UTC).date()
    await keep_original(outbox.pool, "ns", "q", old, 1, b'{"job":"j"}\nenvelope', "receipt", new)
    async with outbox.pool.connection() as c:
        await c.execute("insert into cronsole.dead_archive_lists (namespace, queue, why) values ('ns', 'q', 'spilled')")
        await c.execute(
            "insert into cronsole.dead_archive select 0, 1, %s, 'f', 'there', '', %s, head, envelope"
            " from cronsole.dead_archive", (old, datetime(2026, 3, 1, tzinfo=UTC))
        )  # fmt: skip
        await c.execute(
            "update cronsole.dead_archive set list = x.list from cronsole.dead_archive_lists x"
            " where dead_archive.list = 0 and x.why = 'spilled'"
        )
    await keep_house(outbox.pool, 30, 90, today=today + timedelta(days=90))
    assert [kept.envelope for kept in await read_originals(outbox.pool, "ns", new)] == [b"envelope"]
    await keep_house(outbox.pool, 30, 90, today=today + timedelta(days=92))
    assert await read_originals(outbox.pool, "ns", new) == []
    assert await outbox.one("select count(*) from cronsole.dead_archive") == 1


async def test_two_housekeepers_do_not_meet(outbox: Outbox) -> None:
    day = date(2026, 5, 1)
    results = await asyncio.gather(*(keep_house(outbox.pool, 30, 90, today=day) for _ in range(3)))
    assert sum(r["made"] for r in results) == len(PARENTS) * 9


async def test_a_kept_failure_keeps_its_output(outbox: Outbox) -> None:
    today = datetime.now(UTC).date()
    at = noon(today - timedelta(days=20))
    bad = record(new_run_id(at), outcome=Outcome.FAILED, output="why it failed")
    good = record(new_run_id(at), output="all well")
    await outbox.put(bad, good)
    await outbox.recorder.drain_once()
    assert (await keep_house(outbox.pool, 30, 90, today=today))["blocked"] == 0
    assert await outbox.one("select count(*) from cronsole.attempt_late") == 0, "there is a partition for it now"
    await keep_house(outbox.pool, 10, 90, today=today)
    history = History(outbox.pool)
    assert await history.run(good.run_id) == []
    (kept,) = await history.run(bad.run_id)
    assert (kept["outcome"], kept["output"]) == ("failed", "why it failed")
    assert (await history.last_runs(["j"]))["j"].run_id == bad.run_id
    assert await outbox.one("select count(*) from cronsole.run_log") == 0
    await keep_house(outbox.pool, 10, 15, today=today)
    assert await history.run(bad.run_id) == []
    assert await outbox.one("select count(*) from cronsole.run_log_keep") == 0


async def test_what_comes_too_late_for_any_partition_retires_too(outbox: Outbox) -> None:
    today = datetime.now(UTC).date()
    at = noon(today - timedelta(days=40))
    bad = record(new_run_id(at), outcome=Outcome.TIMED_OUT, output="slow")
    fire = FireRecord(job="j", planned_ms=at, result=FireResult.MISSED, decided_ms=now_ms(), scheduler="s")
    await outbox.put(record(new_run_id(at)), bad, record(), fire)
    await outbox.recorder.drain_once()
    done = await keep_house(outbox.pool, 30, 90, today=today)
    assert done["kept"] == 1
    for table in ("attempt_late", "run_log_late", "schedule_fire_late"):
        assert await outbox.one(f"select count(*) from cronsole.{table}") == 0
    assert await outbox.one("select count(*) from cronsole.attempt") == 1
    assert [row["output"] for row in await History(outbox.pool).run(bad.run_id)] == ["slow"]


async def test_a_failure_that_comes_again_after_its_day_is_gone_is_not_doubled(outbox: Outbox) -> None:
    today = datetime.now(UTC).date()
    bad = record(new_run_id(noon(today - timedelta(days=40))), outcome=Outcome.FAILED)
    await outbox.put(bad)
    await outbox.recorder.drain_once()
    await keep_house(outbox.pool, 30, 90, today=today)
    await outbox.put(bad, record())
    assert await outbox.recorder.drain_once() == 1
    assert len((await History(outbox.pool).runs()).items) == 2
    assert await outbox.one("select sum(n) from cronsole.rollup where outcome = 'failed'") == 1


async def test_a_long_reader_holds_up_neither_house_nor_history(outbox: Outbox) -> None:
    await outbox.put(record())
    await outbox.recorder.drain_once()
    async with outbox.pool.connection() as reader, reader.transaction():
        await reader.execute("lock table cronsole.attempt, cronsole.attempt_late in access share mode")
        house = asyncio.create_task(keep_house(outbox.pool, 30, 90))
        await outbox.put(record())
        assert await outbox.recorder.drain_once() == 1
        assert len((await History(outbox.pool).runs()).items) == 2
        assert (await house)["blocked"] == 1
    again = await keep_house(outbox.pool, 30, 90)
    assert again["blocked"] == 0
    assert again["made"] >= 8
    assert await outbox.one("select count(*) from cronsole.attempt_late") == 0


async def test_partitions_are_made_while_attempts_come_in(outbox: Outbox) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(outbox.recorder.run(stop))
    today = datetime.now(UTC).date()
    total = 0

    async def write() -> None:
        nonlocal total
        for n in range(40):
            day = today - timedelta(days=n % 8)
            await outbox.put(*(record(new_run_id(noon(day) + k)) for k in range(20)))
            total += 20
            await asyncio.sleep(0.005)

    async def sweep() -> None:
        for _ in range(10):
            await keep_house(outbox.pool, 30, 90)

    await asyncio.gather(write(), sweep())
    stop.set()
    await running
    await keep_house(outbox.pool, 30, 90)
    assert await outbox.one("select count(*) from cronsole.attempt") == total
    assert await outbox.one("select count(*) from cronsole.attempt_late") == 0


async def test_a_partition_that_appears_while_rows_are_on_their_way_parks_nothing(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A COPY that began before its partition was attached sends rows to the default one, which then refuses them."""
    day = date(2026, 5, 1)
    await outbox.put(*(record(new_run_id(noon(day) + k)) for k in range(10)))
    attached = []

    async def slow_copy(connection: Any, statement: str, data: bytes) -> None:
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            if not attached:
                async with outbox.pool.connection() as other:
                    await other.execute("select cronsole.add_partition('attempt', %s, true)", (day,))
                attached.append(day)
            await copy.write(data)

    monkeypatch.setattr("backends.history.store._copy", slow_copy)
    assert await outbox.recorder.drain_once() == 10
    assert attached
    assert await outbox.one("select count(*) from cronsole.attempt_20260501") == 10
    assert await outbox.redis.exists(f"{outbox.key}:bad") == 0
