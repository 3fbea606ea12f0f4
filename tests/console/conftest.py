"""The command line in this process, and something for it to show."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from backends.connect import Settings
from backends.history.store import store
from backends.jobs.load import load_text
from backends.jobs.publish import publish_jobs
from backends.model import AttemptRecord, EngineStatus, Outcome, new_run_id, now_ms
from backends.ops import Ops
from backends.queues.live import beat
from console.cli.root import run as run_cli
from tests.console.cli_helpers import HOSTILE, JOBS, Answer, Cli
from tests.contract.helpers import dead, run, take_one


async def _a_moment(*_args: float) -> None:
    """Until the loop comes back at once twice: on a busy machine what a key set off is handled later."""
    quick = 0
    for _ in range(40):
        began = time.monotonic()
        await asyncio.sleep(0.005)
        quick = quick + 1 if time.monotonic() - began < 0.012 else 0
        if quick == 2:
            return


@pytest.fixture(autouse=True)
def keys_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual's pilot waits twice at each key until the process is idle, at most a second.

    A console that reads every 20 ms never is. That all messages are handled is waited for all the same.
    """
    monkeypatch.setattr("textual.app.wait_for_idle", _a_moment)
    monkeypatch.setattr("textual.pilot.wait_for_idle", _a_moment)


@pytest.fixture
def notices_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a screen tells stays until it tells something else: a busy machine may look seconds later."""
    monkeypatch.setattr("console.screens.base.NOTICE_S", 600.0)


@pytest.fixture
def cli(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command line in this process, on this test's servers."""
    for name in [n for n in os.environ if n.startswith("CRONSOLE_")]:
        monkeypatch.delenv(name)
    assert settings.redis_url
    assert settings.postgres_url
    monkeypatch.setenv("CRONSOLE_REDIS_URL", settings.redis_url)
    monkeypatch.setenv("CRONSOLE_POSTGRES_URL", settings.postgres_url)
    monkeypatch.setenv("CRONSOLE_NAMESPACE", settings.namespace)
    monkeypatch.setenv("CRONSOLE_DATA_DIR", str(settings.data_dir))

    def call(*argv: str) -> Answer:
        capsys.readouterr()
        code = run_cli(argv)
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture
def world(settings: Settings) -> list[str]:
    """Jobs, two queues, an engine, a finished run, two dead letters (one hostile); returns [run id, *dead ids]."""

    async def build() -> list[str]:
        async with Ops.open(settings) as ops:
            file = load_text(JOBS)
            await publish_jobs(ops.servers.redis, settings.namespace, file)
            for name in file.queues:
                await ops.live.queue(name).announce()
            at = now_ms()
            await beat(ops.servers.redis, settings.namespace, EngineStatus("h:1:ab", "h", 1, "0.1", at, at, 10, 3))
            ids = [new_run_id()]
            record = AttemptRecord(
                run_id=ids[0], attempt=1, job="tick", queue="default", outcome=Outcome.FAILED, exit_code=3,
                error=HOSTILE, started_us=at * 1000 - 500_000, finished_us=at * 1000, worker="h:1:ab",
                output=f"first\n{HOSTILE}\n",
            )  # fmt: skip
            async with ops.history(), (await ops.servers.pool()).connection() as connection:
                await store(connection, [record], [])
            mail = ops.live.queue("mail")
            await mail.enqueue([run("send_email"), run("send_email", envelope=b"\xff\x1b[31m no json")])
            for error in ("boom", HOSTILE):
                d = await take_one(mail)
                await mail.settle("w1", [dead(d, error=error)])
                ids.append(d.run_id)
            return ids

    return asyncio.run(build())
