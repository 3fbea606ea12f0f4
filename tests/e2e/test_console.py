"""The console in a real terminal, over real servers and a real engine."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.connect import Servers, Settings
from backends.history import History
from backends.model import new_run_id
from backends.queues.base import NewRun
from backends.queues.streams import StreamQueue
from tests.support.engine import ROOT, EngineProcess, until
from tests.support.terminal import Terminal

JOBS = """
[jobs.hello]
description = "Says hello"
command = "echo hello from the console"

[jobs.door]
description = "Fails while the door is shut"
command = "test -e open || { echo the door is shut; exit 7; }"
attempts = 1
"""


def console(settings: Settings, columns: int = 120, rows: int = 40) -> Terminal:
    assert settings.redis_url
    assert settings.postgres_url
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CRONSOLE_REDIS_URL": settings.redis_url,
        "CRONSOLE_POSTGRES_URL": settings.postgres_url,
        "CRONSOLE_NAMESPACE": settings.namespace,
        "CRONSOLE_DATA_DIR": str(settings.data_dir),
        "HOME": str(settings.data_dir.parent),
    }
    return Terminal([sys.executable, "-m", "console"], env, columns, rows)


@pytest.fixture
async def engine(connected: Servers, tmp_path: Path) -> AsyncIterator[EngineProcess]:
    (tmp_path / "jobs.toml").write_text(JOBS)
    process = EngineProcess(connected.settings, tmp_path / "jobs.toml")
    yield process
    await process.stop()


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 60)])
async def test_a_job_triggered_with_t_appears_as_succeeded(
    connected: Servers, engine: EngineProcess, columns: int, rows: int
) -> None:
    history = History(await connected.pool())
    terminal = console(connected.settings, columns, rows)
    try:
        terminal.until(["hello", "1 eng"])
        terminal.keys("t")
        terminal.until("Run a job now")
        terminal.keys("j\r")
        terminal.until("Run a job now", gone=True)
        text = terminal.until("✓ succeeded")
        assert "hello" in next(line for line in text.splitlines() if "✓ succeeded" in line)

        async def recorded() -> bool:
            return [r.outcome for r in (await history.runs(job="hello")).items] == ["succeeded"]

        await until(recorded, "the run is in history")
        (run,) = (await history.runs(job="hello")).items
        (attempt,) = await history.run(run.run_id)
        assert attempt["output"] == "hello from the console\n"
        assert attempt["trigger"] == "manual"
        terminal.keys("q")
        assert terminal.ended() == 0
        assert b"\x1b[?1049l" in terminal.raw, "the terminal is given back"
    finally:
        terminal.close()


async def test_a_dead_letter_retried_with_r_leaves_the_list(
    connected: Servers, engine: EngineProcess, tmp_path: Path
) -> None:
    queue = StreamQueue(connected.redis, connected.settings.namespace, "default")
    run_id = new_run_id()
    await queue.enqueue([NewRun(run_id, "door", b'{"type":"door"}')])

    async def died() -> bool:
        return await queue.find(run_id) == "dead"

    await until(died, "the job failed for the last time")
    terminal = console(connected.settings)
    try:
        terminal.until(["Dead letters · 1", "exit code 7"])
        (tmp_path / "open").touch()
        terminal.keys("\t\t")
        terminal.keys("r")
        terminal.until(["→ back in its", "✓ succeeded"])  # it stays where it was until one goes on
        terminal.keys("\t")
        terminal.until("nothing died")
        assert await queue.find(run_id) is None
        history = History(await connected.pool())
        assert [a["outcome"] for a in await history.run(run_id)] == ["failed", "succeeded"]
        terminal.keys("q")
        assert terminal.ended() == 0
    finally:
        terminal.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_gives_the_terminal_back(connected: Servers, number: signal.Signals) -> None:
    terminal = console(connected.settings)
    try:
        terminal.until("Time line")
        terminal.process.send_signal(number)
        assert terminal.ended() == 128 + number
        assert b"\x1b[?1049l" in terminal.raw
    finally:
        terminal.close()


async def test_without_a_server_it_says_so_and_stays(settings: Settings) -> None:
    from msgspec.structs import replace

    terminal = console(replace(settings, redis_url="redis://127.0.0.1:1/0"))
    try:
        terminal.until("127.0.0.1:1")
        terminal.keys("q")
        assert terminal.ended() == 0
    finally:
        terminal.close()
