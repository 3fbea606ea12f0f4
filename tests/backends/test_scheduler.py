"""The scheduler: from the stored mark to fires, with catch-up; any number of them, each instant once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from backends.connect import Servers
from backends.engine.scheduler import Scheduler, stable_jitter_ms
from backends.history import History, Recorder
from backends.jobs.spec import JobSpec
from backends.model import Catchup, Overlap, to_ms
from backends.queues.keys import queue_prefix
from backends.queues.streams import StreamQueue

NOON = to_ms(datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
MINUTE = 60_000


class Clock:
    """A clock that tests set."""

    def __init__(self, at: int = NOON) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


async def no_marks() -> Mapping[str, int]:
    return {}


def job(name: str = "tick", **more: object) -> JobSpec:
    values: dict[str, object] = {"schedule": "* * * * *", "overlap": Overlap.ALLOW, "command": "true"} | more
    return JobSpec(name=name, kind="command", **values)  # type: ignore[arg-type]


class World:
    """Schedulers over one queue."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.namespace = servers.settings.namespace
        self.queue = StreamQueue(servers.redis, self.namespace, "default")
        self.clock = Clock()

    def scheduler(self, *specs: JobSpec, name: str = "s1", clock: Clock | None = None) -> Scheduler:
        s = Scheduler(name, self.namespace, lambda _: self.queue, no_marks, clock or self.clock)
        s.set_jobs({spec.name: spec for spec in specs})
        return s

    async def fires(self, name: str = "tick") -> list[tuple[int, str, str | None]]:
        """(minutes from noon, result, reason) of what went through the outbox."""

        async def keys() -> list[str]:
            return [queue_prefix(self.namespace, "default") + "out"]

        pool = await self.servers.pool()
        await Recorder(self.servers.redis_client("r"), pool, keys, "r").drain_once()
        found = await History(pool).fires(name, datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
        return [((to_ms(at) - NOON) // MINUTE, result, reason) for at, result, reason in found]


@pytest.fixture
def world(connected: Servers) -> World:
    return World(connected)


async def tick(s: Scheduler) -> float:
    await s._load_marks()
    return await s.tick()


async def test_a_new_schedule_begins_now(world: World) -> None:
    s = world.scheduler(job())
    assert 0 < await tick(s) <= 30
    world.clock.at += 3 * MINUTE + 500
    world.clock.at -= 2 * MINUTE
    await tick(s)
    assert await world.fires() == [(1, "fired", None)]


async def test_a_fire_is_never_before_its_time_and_never_twice(world: World) -> None:
    s = world.scheduler(job())
    await tick(s)
    for step in (59_999, 1, 0, 30_000, -45_000, 15_000, 30_000, 0):
        world.clock.at += step
        await tick(s)
    assert [f[0] for f in await world.fires()] == [1]
    world.clock.at = NOON + 2 * MINUTE
    await tick(s)
    assert [f[0] for f in await world.fires()] == [1, 2]


async def test_a_clock_set_back_fires_nothing_again(world: World) -> None:
    s = world.scheduler(job())
    await tick(s)
    for minute in range(1, 6):
        world.clock.at = NOON + minute * MINUTE
        await tick(s)
    world.clock.at = NOON
    for minute in range(1, 8):
        world.clock.at = NOON + minute * MINUTE
        await tick(s)
    assert [f[0] for f in await world.fires()] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("catchup", "fired"),
    [(Catchup.NONE, []), (Catchup.LATEST, [10]), (Catchup.ALL, list(range(1, 11)))],
)
async def test_missed_fires_go_through_catch_up(world: World, catchup: Catchup, fired: list[int]) -> None:
    s = world.scheduler(job(catchup=catchup))
    await tick(s)
    world.clock.at = NOON + 10 * MINUTE + 30_000
    later = world.scheduler(job(catchup=catchup), name="s2")
    world.clock.at = NOON + 10 * MINUTE + 59_000
    await tick(later)
    found = await world.fires()
    assert [f[0] for f in found] == list(range(1, 11)), "every fire is accounted for"
    if catchup is not Catchup.NONE:
        assert [f[0] for f in found if f[1] == "fired"] == fired
    else:
        assert [f[0] for f in found if f[1] == "fired"] in ([], [10])
    assert all(reason for _, result, reason in found if result == "missed")


async def test_what_is_older_than_the_window_is_missed(world: World) -> None:
    spec = job(catchup=Catchup.ALL, catchup_window_s=180.0)
    await tick(world.scheduler(spec))
    world.clock.at = NOON + 10 * MINUTE
    await tick(world.scheduler(spec, name="s2"))
    found = await world.fires()
    assert [f[0] for f in found if f[1] == "missed"] == list(range(1, 7))
    assert [f[0] for f in found if f[1] == "fired"] == [7, 8, 9, 10]


async def test_five_schedulers_with_skewed_clocks_fire_each_instant_once(world: World) -> None:
    rng = random.Random(7)
    clocks = [Clock() for _ in range(5)]
    specs = [job(f"j{n}") for n in range(4)]
    schedulers = [world.scheduler(*specs, name=f"s{n}", clock=c) for n, c in enumerate(clocks)]
    await asyncio.gather(*(tick(s) for s in schedulers))
    for minute in range(1, 31):
        for clock in clocks:
            clock.at = NOON + minute * MINUTE + rng.randint(-30, 30)
        await asyncio.gather(*(tick(s) for s in schedulers))
        if rng.random() < 0.3:  # one is killed and another takes its place
            n = rng.randrange(5)
            schedulers[n] = world.scheduler(*specs, name=f"s{n}b{minute}", clock=clocks[n])
    for clock in clocks:
        clock.at = NOON + 30 * MINUTE + 1000
    await asyncio.gather(*(tick(s) for s in schedulers))
    for spec in specs:
        assert [f[:2] for f in await world.fires(spec.name)] == [(m, "fired") for m in range(1, 31)]
    assert (await world.queue.status()).ready == 30 * len(specs)


async def test_jitter_delays_the_run_not_the_fire(world: World) -> None:
    spec = job(jitter_s=50.0)
    s = world.scheduler(spec)
    await tick(s)
    world.clock.at = to_ms(datetime.now(UTC)) // MINUTE * MINUTE
    jitter = stable_jitter_ms(world.namespace, "tick", 50.0)
    assert 0 <= jitter < 50_000
    assert jitter == stable_jitter_ms(world.namespace, "tick", 50.0)
    assert stable_jitter_ms(world.namespace, "tick", 0) == 0


async def test_a_changed_schedule_counts_from_the_mark(world: World) -> None:
    s = world.scheduler(job())
    await tick(s)
    world.clock.at = NOON + MINUTE
    await tick(s)
    s.set_jobs({"tick": job(schedule="30 12 * * *")})
    world.clock.at = NOON + 2 * MINUTE
    await tick(s)
    assert [f[0] for f in await world.fires()] == [1]
    world.clock.at = NOON + 30 * MINUTE
    await tick(s)
    assert [f[0] for f in await world.fires()] == [1, 30]


async def test_marks_that_redis_lost_come_from_history(world: World) -> None:
    async def marks() -> Mapping[str, int]:
        return {"tick": NOON}

    world.clock.at = NOON + 2 * MINUTE + 30_000
    s = Scheduler("s1", world.namespace, lambda _: world.queue, marks, world.clock)
    s.set_jobs({"tick": job(catchup=Catchup.ALL)})
    await tick(s)
    assert [f[0] for f in await world.fires()] == [1, 2]
