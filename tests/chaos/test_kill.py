"""Engines that die: no job is lost, each is recorded exactly once as final."""

from __future__ import annotations

from pathlib import Path

from backends.connect import Servers
from backends.history import History
from backends.model import Outcome, new_run_id
from backends.queues.base import NewRun
from backends.queues.streams import PLACES, StreamQueue
from tests.support.engine import EngineProcess, until

JOBS = """
[jobs.step]
task = "steps:step"
attempts = 3
backoff = { kind = "fixed", base = "10ms" }

[jobs.shell]
command = "exit 0"
"""
STEPS = """
import time
def step(n):
    time.sleep(0.004)
    return n
"""
RUNS = 2_000


async def test_kill_9_in_the_middle_of_2000_jobs(connected: Servers, tmp_path: Path) -> None:
    (tmp_path / "jobs.toml").write_text(JOBS)
    (tmp_path / "steps.py").write_text(STEPS)
    settings = connected.settings
    queue = StreamQueue(connected.redis, settings.namespace, "default")
    ids = [new_run_id() for _ in range(RUNS)]
    await queue.enqueue(
        [
            NewRun(run_id, "shell", b'{"type":"shell"}')
            if n % 100 == 0
            else NewRun(run_id, "step", b'{"type":"step","payload":{"n":%d}}' % n)
            for n, run_id in enumerate(ids)
        ]
    )

    async def half_way() -> bool:
        return (await queue.status()).ready < RUNS / 2

    async def through() -> bool:
        s = await queue.status()
        return not (s.ready or s.running or s.later or s.outbox)

    first = EngineProcess(settings, tmp_path / "jobs.toml")
    try:
        await until(half_way, "the first engine worked half of them")
    finally:
        first.kill()
    assert not await through()
    second = EngineProcess(settings, tmp_path / "jobs.toml")
    try:
        await until(through, f"the second engine finished the rest\n{second.said()[-2000:]}", 60)
    finally:
        assert await second.stop() == 0, second.said()[-3000:]
    async with (await connected.pool()).connection() as c:
        rows = await (await c.execute("select run_id::text, final, outcome from cronsole.attempt")).fetchall()
        rollup = await (await c.execute("select sum(n) from cronsole.rollup")).fetchone()
    finals = [r for r, final, _ in rows if final]
    assert sorted(finals) == sorted(ids), "each run is final exactly once"
    assert {o for _, final, o in rows if final} == {Outcome.SUCCEEDED.value}
    lost = [o for _, final, o in rows if not final]
    assert set(lost) <= {Outcome.LOST.value}
    assert rollup == (len(rows),), "the rollup counts each attempt once"
    assert (await queue.status()).dead == 0
    history = History(await connected.pool())
    assert len((await history.runs(100)).items) == 100


async def test_what_is_left_in_redis_at_the_end(connected: Servers, tmp_path: Path) -> None:
    """Keys that outlive their runs are leaks: only the groups' streams and the bookkeeping may stay."""
    (tmp_path / "jobs.toml").write_text(JOBS)
    (tmp_path / "steps.py").write_text(STEPS)
    settings = connected.settings
    queue = StreamQueue(connected.redis, settings.namespace, "default")
    await queue.enqueue(
        [NewRun(new_run_id(), "step", b'{"type":"step","payload":{"n":1}}', slot="k", slots=2) for _ in range(50)]
    )

    async def through() -> bool:
        s = await queue.status()
        return not (s.ready or s.running or s.later or s.waiting or s.outbox)

    engine = EngineProcess(settings, tmp_path / "jobs.toml")
    try:
        await until(through, "all 50 went through the two slots", 60)
    finally:
        await engine.stop()
    keys = [k.decode().removeprefix(queue.prefix) async for k in connected.redis.scan_iter(queue.prefix + "*")]
    stay = {"epoch", "out", *(f"ready:{place}" for place in PLACES)}
    assert set(keys) <= stay, sorted(set(keys) - stay)
    for place in PLACES:
        assert await connected.redis.xlen(f"{queue.prefix}ready:{place}") == 0
        groups = await connected.redis.xinfo_groups(f"{queue.prefix}ready:{place}")
        assert [g["consumers"] for g in groups] in ([0], [])
