"""The scheduler: from the stored mark to fires, with catch-up; any number of them, each instant once."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import psutil
import pytest

from backends.connect import Servers
from backends.engine import catchup
from backends.engine.clock import ServerClock
from backends.engine.marks import known_marks
from backends.engine.reboot import fire_reboots
from backends.engine.scheduler import Scheduler, stable_jitter_ms
from backends.history import History
from backends.history.recorder import Recorder
from backends.jobs.spec import JobSpec
from backends.model import Catchup, EngineStatus, Overlap, now_ms, to_ms
from backends.queues.base import Fired, NewFire
from backends.queues.keys import queue_prefix
from backends.queues.streams import StreamQueue

NOON = to_ms(datetime(2026, 6, 1, 12, 0, tzinfo=UTC))
"""In the past: the server refuses to fire what lies ahead of its clock."""
MINUTE = 60_000
BORN = int(psutil.Process().create_time() * 1000)
"""When this process began, which is the engine of the tests of @reboot."""


class Clock:
    """A clock that tests set."""

    def __init__(self, at: int = NOON) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


async def no_marks(_: Sequence[str]) -> Mapping[str, tuple[int, str]]:
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

    async def server_ms(self) -> int:
        seconds, micros = await self.servers.redis.time()
        return int(seconds) * 1000 + micros // 1000

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


async def test_catch_up_of_all_has_a_cap(world: World) -> None:
    spec = job(catchup=Catchup.ALL, catchup_max=3)
    await tick(world.scheduler(spec))
    world.clock.at = NOON + 10 * MINUTE
    await tick(world.scheduler(spec, name="s2"))
    found = await world.fires()
    assert [f[:2] for f in found] == [(n, "missed" if n < 8 else "fired") for n in range(1, 11)]
    assert {f[2] for f in found if f[1] == "missed"} == {"no scheduler had it then; more than catchup_max = 3"}


async def test_more_missed_fires_than_are_listed_are_told_in_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catchup, "LISTED_MOST", 5)
    await tick(world.scheduler(job()))
    world.clock.at = NOON + 30 * 24 * 60 * MINUTE
    await tick(world.scheduler(job(), name="s2"))
    found = await world.fires()
    end = 30 * 24 * 60
    assert [f[:2] for f in found] == [(1, "missed"), *[(end - n, "missed") for n in (4, 3, 2, 1)], (end, "fired")]
    assert (found[0][2] or "").endswith("stands for every fire before 2026-07-01T11:56:00+00:00")


async def test_a_schedule_that_was_changed_while_nothing_ran_begins_now(world: World) -> None:
    await tick(world.scheduler(job(schedule="0 0 1 1 *")))
    world.clock.at = NOON + 300 * MINUTE + 30_000
    s = world.scheduler(job(schedule="* * * * *", catchup=Catchup.ALL), name="s2")
    await tick(s)
    assert await world.fires() == []
    world.clock.at += MINUTE
    await tick(s)
    assert await world.fires() == [(301, "fired", None)]


async def test_a_schedule_goes_on_when_redis_loses_its_data(world: World) -> None:
    s = world.scheduler(job())
    await tick(s)
    world.clock.at = NOON + MINUTE
    await tick(s)
    await world.fires()
    await world.servers.redis.flushdb()
    for minute in (2, 3, 4):
        world.clock.at = NOON + minute * MINUTE
        await tick(s)
    assert [f[0] for f in await world.fires()] == [1, 3, 4], (
        "the mark was lost with the fire of 2, and no history known"
    )


class Broken(StreamQueue):
    """A queue whose server is away now and then."""

    away = False

    async def fire(self, fires: Sequence[NewFire]) -> list[Fired]:
        if self.away:
            raise ConnectionError("gone")
        return await super().fire(fires)


async def test_fires_that_redis_did_not_take_come_again(world: World) -> None:
    queue = Broken(world.servers.redis, world.namespace, "default")
    s = Scheduler("s1", world.namespace, lambda _: queue, no_marks, world.clock)
    s.set_jobs({f"j{n}": job(f"j{n}") for n in range(3)})
    await tick(s)
    world.clock.at = NOON + MINUTE
    queue.away = True
    for _ in range(3):
        with pytest.raises(ConnectionError):
            await tick(s)
    queue.away = False
    await tick(s)
    for n in range(3):
        assert await world.fires(f"j{n}") == [(1, "fired", None)]


async def test_a_scheduler_whose_clock_is_ahead_fires_nothing_early(world: World) -> None:
    """Its clock is put right by the server's; nothing is taken for missed either."""
    real = Clock(now_ms())
    clock = ServerClock(world.server_ms, real)
    s = Scheduler("s1", world.namespace, lambda _: world.queue, no_marks, clock, clock.probe)
    s.set_jobs({"tick": job()})
    await tick(s)
    for wrong in (10 * MINUTE, 26 * 60 * MINUTE, 400 * 24 * 60 * MINUTE):
        real.at = now_ms() + wrong
        assert await tick(s) <= 5.0
        assert abs(clock() - now_ms()) < 2_000
    assert all(minute * MINUTE + NOON <= now_ms() for minute, _, _ in await world.fires())
    assert (await world.queue.mark("tick") or 0) <= now_ms()


async def test_small_differences_of_clocks_are_left_alone(world: World) -> None:
    clock = ServerClock(world.server_ms, lambda: now_ms() + 700)
    await clock.probe()
    assert clock.offset_ms == 0


async def test_a_mark_in_the_future_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.queue.set_mark("tick", NOON + 48 * 60 * MINUTE)
    with caplog.at_level(logging.WARNING):
        assert await tick(world.scheduler(job())) == 5.0
    assert "tick fired last at 2026-06-03T12:00:00+00:00, which is still to come" in caplog.text
    assert await world.fires() == []


def engine(name: str, started_ms: int, *, host: str = "", pid: int = 0) -> EngineStatus:
    host = host or socket.gethostname()
    return EngineStatus(name, host, pid or os.getpid(), "1", started_ms, started_ms, 1, 0)


async def reboot(world: World, name: str, at: int, *others: EngineStatus) -> list[str]:
    specs = {"warm": job("warm", schedule="@reboot"), "tick": job()}
    return await fire_reboots(specs, others, name, world.namespace, lambda _: world.queue, at)


async def test_reboot_fires_once_for_each_start_on_a_host(world: World) -> None:
    assert await reboot(world, "e1", BORN) == ["warm"]
    assert await reboot(world, "e2", BORN + 5, engine("e1", BORN)) == [], "the host's engine already runs"
    assert await reboot(world, "e3", BORN + 9, engine("e2", BORN + 5)) == [], "nor when that one has left meanwhile"
    assert await reboot(world, "e4", BORN + 20, engine("e9", BORN, host="elsewhere")) == ["warm"]
    gone = engine("e4", BORN + 20, pid=2**22 - 1)
    assert await reboot(world, "e5", BORN + 30, gone) == ["warm"], "a heartbeat of a dead process"
    assert [r for _, r, _ in await world.fires("warm")] == ["fired"] * 3
    assert await world.fires("tick") == []


def ended_but_not_waited_for() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(["true"])
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    return process


async def test_a_process_that_is_not_the_engine_any_more_does_not_count(world: World) -> None:
    before_it_began = BORN - 60_000
    assert await reboot(world, "e1", before_it_began) == ["warm"]
    assert await reboot(world, "e2", BORN, engine("e1", before_it_began)) == ["warm"], "its pid has come back"
    zombie = ended_but_not_waited_for()
    killed = engine("e2", now_ms(), pid=zombie.pid)
    assert await reboot(world, "e3", now_ms(), killed) == ["warm"], "nobody has waited for it yet"
    zombie.wait()


async def test_engines_that_start_together_reboot_once(world: World) -> None:
    everybody = [engine(f"e{n}", BORN + n) for n in range(6)]
    fired = await asyncio.gather(*(reboot(world, e.id, e.started_ms, *everybody) for e in everybody))
    assert sorted(map(len, fired)) == [0, 0, 0, 0, 0, 1]


async def test_jitter_delays_the_run_not_the_fire(world: World) -> None:
    spread = 3600.0
    while stable_jitter_ms(world.namespace, "tick", spread) < MINUTE:  # so little would be over already
        spread += 600
    jitter = stable_jitter_ms(world.namespace, "tick", spread)
    assert MINUTE <= jitter < 1000 * spread
    assert jitter == stable_jitter_ms(world.namespace, "tick", spread) != stable_jitter_ms("other", "tick", spread)
    assert stable_jitter_ms(world.namespace, "tick", 0) == 0
    world.clock.at = (now_ms() // MINUTE - 1) * MINUTE
    s = world.scheduler(job(jitter_s=spread, catchup=Catchup.ALL))
    await tick(s)
    world.clock.at += MINUTE
    await tick(s)
    ((minute, result, _),) = await world.fires()
    assert (NOON + minute * MINUTE, result) == (world.clock.at, "fired")
    ((_, due),) = await world.servers.redis.zrange(f"{world.queue.prefix}later", 0, -1, withscores=True)
    assert due == world.clock.at + jitter


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


async def test_a_job_that_moves_to_another_queue_and_back_fires_each_instant_once(world: World) -> None:
    queues = {name: StreamQueue(world.servers.redis, world.namespace, name) for name in ("default", "mail")}

    async def nothing() -> Mapping[str, int]:
        return {}

    async def marks(jobs: Sequence[str]) -> Mapping[str, tuple[int, str]]:
        return await known_marks(jobs, list(queues.values()), nothing, world.clock())

    s = Scheduler("s1", world.namespace, queues.__getitem__, marks, world.clock)
    for minute, queue, schedule in (
        (0, "default", "* * * * *"), (1, "default", "* * * * *"), (2, "mail", "* * * * *"),
        (3, "default", "* * * * *"), (4, "default", "* * * * *"), (6, "mail", "*/2 * * * *"),
    ):  # fmt: skip
        world.clock.at = NOON + minute * MINUTE
        s.set_jobs({"tick": job(queue=queue, schedule=schedule, catchup=Catchup.ALL)})
        await tick(s)
    runs = [d for queue in queues.values() for d in (await queue.take("w", 50)).deliveries]
    planned = [datetime.fromisoformat(json.loads(d.envelope)["scheduledFor"]) for d in runs]
    fired = [(to_ms(at) - NOON) // MINUTE for at in planned]
    assert sorted(fired) == [1, 2, 3, 4], "and what a new rule would have fired earlier was never planned"


async def test_marks_that_redis_lost_come_from_history(world: World) -> None:
    async def marks(_: Sequence[str]) -> Mapping[str, tuple[int, str]]:
        return {"tick": (NOON, "")}

    world.clock.at = NOON + 2 * MINUTE + 30_000
    s = Scheduler("s1", world.namespace, lambda _: world.queue, marks, world.clock)
    s.set_jobs({"tick": job(catchup=Catchup.ALL)})
    await tick(s)
    assert [f[0] for f in await world.fires()] == [1, 2]
