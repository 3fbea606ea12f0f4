"""A real engine in a process of its own, for the tests that kill it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from backends.connect import Settings

ROOT = Path(__file__).resolve().parents[2]

_PROGRAM = """
import sys
from pathlib import Path
from backends.connect import settings_from_env
from backends.engine.service import EngineOptions, run_engine
lease_s, slots, grace_s = float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
options = EngineOptions(jobs=Path(sys.argv[1]), lease_s=lease_s, slots=slots, grace_s=grace_s)
sys.exit(run_engine(settings_from_env(), options, log_format="json"))
"""


class EngineProcess:
    """An engine over the servers and the namespace of a test."""

    def __init__(
        self, settings: Settings, jobs: Path, *, lease_s: float = 3.0, slots: int = 4, grace_s: float = 5.0
    ) -> None:
        self.log = jobs.parent / f"engine-{time.monotonic_ns()}.log"
        assert settings.redis_url
        assert settings.postgres_url
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CRONSOLE_REDIS_URL": settings.redis_url,
            "CRONSOLE_POSTGRES_URL": settings.postgres_url,
            "CRONSOLE_NAMESPACE": settings.namespace,
            "CRONSOLE_DATA_DIR": str(settings.data_dir),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(jobs), str(lease_s), str(slots), str(grace_s)],
                env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """kill -9: the engine alone, as the OOM killer does it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    async def stop(self, timeout_s: float = 20.0) -> int:
        """SIGTERM, and wait for its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return await asyncio.to_thread(self.process.wait, timeout_s)

    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text("utf-8", "replace")


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 30.0) -> None:
    """Poll until it holds; fails with `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)
