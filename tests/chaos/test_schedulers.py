"""Five schedulers with clocks that differ and are set while they run, killed at random: every fire exactly once."""

from __future__ import annotations

import asyncio
import os
import random
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from backends.connect import Servers
from backends.jobs.spec import JobSpec
from backends.model import Catchup, Overlap, from_ms, to_ms
from backends.queues.base import Settle, Settlement
from backends.queues.streams import StreamQueue
from backends.schedule import parse
from tests.support.engine import until
from tests.support.scheduler import FastClock, SchedulerProcess

BEGIN = datetime(2026, 10, 25, 0, 20, tzinfo=UTC)
"""Forty minutes before Berlin's clocks go back; an hour of the fast clock goes over it."""
LASTS_S = 60
SEED = int(os.environ.get("CHAOS_SEED", "20261124"))

EXPRESSIONS = [
    *[("* * * * *", zone) for zone in ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns")] * 4,
    ("0-59 2 * * *", "Europe/Berlin"), ("0-59 * * * *", "Australia/Lord_Howe"), ("* 2 * * *", "Europe/Berlin"),
    ("*/2 * * * *", "Asia/Tokyo"), ("*/7 * * * *", "UTC"), ("30 2 * * *", "Europe/Berlin"),
    ("0,30 * * * *", "Asia/Kathmandu"), ("59 2,3 25 10 *", "Europe/Berlin"),
]  # fmt: skip


@pytest.mark.timeout(400)
async def test_every_fire_once_while_schedulers_die(connected: Servers) -> None:
    rng = random.Random(SEED)
    settings = connected.settings
    assert settings.redis_url
    queue = StreamQueue(connected.redis, settings.namespace, "default")
    specs = [
        JobSpec(
            name=f"j{n}", kind="command", command="true", schedule=expression, timezone=zone, overlap=Overlap.ALLOW,
            catchup=Catchup.ALL, catchup_max=1000,
        )
        for n, (expression, zone) in enumerate(EXPRESSIONS)
    ]  # fmt: skip
    for spec in specs:
        await queue.set_mark(spec.name, to_ms(BEGIN))
    jobs = msgspec.json.encode(specs)
    clock = FastClock(time.time() + 1, to_ms(BEGIN))
    kills = 0

    def start() -> SchedulerProcess:
        skew_ms = rng.randint(-90_000, 90_000)
        return SchedulerProcess(f"s{kills}", settings.redis_url or "", settings.namespace, clock, skew_ms, jobs)

    ran: list[tuple[str, str]] = []

    async def work() -> None:
        """Runs end at once, so that it is the marks that keep a fire from coming twice."""
        while True:
            taken = await queue.take("w", 200)
            for d in taken.deliveries:
                e = msgspec.json.decode(d.envelope)
                ran.append((d.run_id, f"{e['type']} {e['scheduledFor']}"))
            await queue.settle("w", [Settlement(d, Settle.DONE, b'{"t":"none"}') for d in taken.deliveries])
            if not taken.deliveries:
                await asyncio.sleep(0.01)

    worker = asyncio.create_task(work())
    alive = [start() for _ in range(5)]
    try:
        end = time.monotonic() + LASTS_S
        while time.monotonic() < end:
            await asyncio.sleep(rng.uniform(0.1, 1.2))
            n = rng.randrange(5)
            if rng.random() < 0.3:
                alive[n].set_clock(rng.randint(-300_000, 90_000))
                continue
            alive[n].kill()
            kills += 1
            alive[n] = start()
        # What is due by now is fired, whoever is left; then all of them are gone.
        last = clock()

        async def all_decided() -> bool:
            marks = await connected.redis.hgetall(f"{queue.prefix}marks")
            return all(
                (fire := parse(s.schedule or "", s.timezone).before(from_ms(last))) is None
                or int(marks[s.name.encode()]) >= to_ms(fire)
                for s in specs
            )

        await until(all_decided, "what was due is decided", 60)
    finally:
        for process in alive:
            process.kill()

    async def all_ran() -> bool:
        status = await queue.status()
        return not (status.ready or status.running)

    await until(all_ran, "what was fired has run")
    worker.cancel()

    found: dict[str, list[tuple[int, str]]] = {spec.name: [] for spec in specs}
    for _, fields in await connected.redis.xrange(f"{queue.prefix}out"):
        for record in msgspec.json.decode(fields[b"r"]):
            if record["t"] == "fire":
                found[record["job"]].append((record["planned_ms"], record["result"]))
    total = 0
    for spec in specs:
        mark = from_ms(await queue.mark(spec.name) or 0)
        schedule = parse(spec.schedule or "", spec.timezone)
        expected = schedule.between(BEGIN + timedelta(milliseconds=1), mark + timedelta(milliseconds=1))
        assert found[spec.name] == [(to_ms(at), "fired") for at in expected], f"seed {SEED}: {schedule}"
        total += len(expected)
    assert (len(ran), len(dict(ran)), len({planned for _, planned in ran})) == (total,) * 3, f"seed {SEED}"
    assert total >= 18 * LASTS_S
    assert kills >= LASTS_S / 4
