"""Both servers killed and started again, ten times, under a console that is open all the while."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
from pathlib import Path

import pytest

from backends.connect import Servers, Settings
from backends.embedded import acquire
from backends.model import new_run_id
from backends.queues.base import NewRun
from backends.queues.streams import StreamQueue
from tests.backends.embedded_helpers import folder, pids, stopped  # noqa: F401
from tests.e2e.test_console import console
from tests.support.engine import until

ROUNDS = 10
SEED = int(os.environ.get("CHAOS_SEED", "20261124"))
OLD = re.compile(r"queues as of \d\d:\d\d:\d\d, \d+ s old .* history as of \d\d:\d\d:\d\d, \d+ s old")


@pytest.mark.timeout(240)
async def test_no_crash_and_no_old_figure_without_its_age(folder: Path) -> None:  # noqa: F811
    rng = random.Random(SEED)
    holder = acquire(folder)
    settings = Settings(redis_url=holder.redis_url, postgres_url=holder.postgres_url, namespace="prod", data_dir=folder)

    async def enqueue(count: int) -> None:
        servers = await Servers.open(settings, role="test")
        try:
            queue = StreamQueue(servers.redis, "prod", "mail")
            await queue.announce()
            await queue.enqueue([NewRun(new_run_id(), "send", b"{}") for _ in range(count)])
        finally:
            await servers.close()

    waiting = 100
    await enqueue(waiting)
    terminal = console(settings, 120, 36)
    try:
        terminal.until(["● Valkey", "● PostgreSQL", "mail  "])
        for number in range(ROUNDS):
            terminal.until([f" {waiting} "])
            for pid in pids(folder):
                assert pid
                os.kill(pid, signal.SIGKILL)
                await asyncio.sleep(rng.uniform(0, 0.5))
            text = terminal.until(["✗ redis", "✗ postgres", "old"])
            assert OLD.search(text), text
            assert f" {waiting} " in text, "the last truth stays"
            await until(lambda: asyncio.to_thread(stopped, folder), "they are gone")
            await asyncio.sleep(rng.uniform(0, 2))
            fresh = acquire(folder)
            holder.release()
            holder = fresh
            await enqueue(1)
            waiting += 1
            text = terminal.until(["● Valkey", "● PostgreSQL", f" {waiting} "])
            assert not OLD.search(text), f"round {number}:\n{text}"
        terminal.keys("q")
        assert terminal.ended() == 0
        log = folder / "log" / "console.log"
        assert "Traceback" not in (log.read_text() if log.exists() else "")
    finally:
        terminal.close()
        holder.release()
