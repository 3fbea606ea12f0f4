"""Who is alive, who is silent, who died without a word: read from heartbeats by the server's clock."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from backends.model import EngineStatus, now_ms
from backends.ops import Ops
from backends.queues import live
from backends.queues.keys import workers_key

SERVER = 1_800_000_000_000
"""By whose clock the heartbeats are; far from ours."""


def engine(name: str, age_ms: int) -> EngineStatus:
    return EngineStatus(name, "vm", 1, "1", SERVER - 9_000_000, SERVER - age_ms, 8, 3, queues=("default",))


def read(*engines: EngineStatus) -> live.Fleet:
    return live.read_engines({e.id.encode(): msgspec.json.encode(e) for e in engines}, SERVER)


@pytest.mark.parametrize(("age_ms", "silent_ms"), [(0, 0), (-900, 0), (7_999, 0), (8_000, 8_000), (29_999, 29_999)])
def test_an_engine_whose_beat_is_late_is_silent(age_ms: int, silent_ms: int) -> None:
    (found,) = read(engine("a", age_ms)).alive
    assert found.silent_ms == silent_ms
    assert abs(now_ms() - found.beat_ms - max(0, age_ms)) < 500, "told in our time"


def test_one_that_is_gone_is_told_for_an_hour_the_last_one_first() -> None:
    found = read(engine("c", 3_599_000), engine("a", 30_000), engine("b", 31_000), engine("d", 3_600_000))
    assert (found.alive, [e.id for e in found.gone], found.forgotten) == ((), ["a", "b", "c"], ("d",))


def test_of_many_only_the_last_ones_are_told() -> None:
    found = read(*(engine(f"e{n:02}", 40_000 + n) for n in range(50)))
    assert [e.id for e in found.gone] == [f"e{n:02}" for n in range(20)]
    assert len(found.forgotten) == 30


async def test_an_overview_tells_them_and_those_long_gone_are_forgotten(ops: Ops) -> None:
    redis, key = ops.servers.redis, workers_key(ops.namespace)
    at = live.server_ms(await redis.time())
    for name, age in (("up", 0), ("silent", 12_000), ("gone", 60_000), ("old", 9_000_000)):
        await live.beat(redis, ops.namespace, replace(engine(name, 0), beat_ms=at - age))
    await redis.hset(key, "odd", b"{")
    seen = await ops.overview()
    assert [(e.id, e.silent_ms > 0) for e in seen.engines] == [("up", False), ("silent", True)]
    assert [e.id for e in seen.gone] == ["gone"]
    assert len(await redis.hkeys(key)) == 5, "who only looks changes nothing"
    assert [e.id for e in await live.engines(redis, ops.namespace)] == ["up", "silent"]
    assert sorted(await redis.hkeys(key)) == [b"gone", b"silent", b"up"]
