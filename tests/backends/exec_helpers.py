"""A runner pool whose answers can be awaited, and jobs to give it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from backends.engine.executors.base import Attempt, Ended
from backends.jobs.spec import JobSpec
from backends.model import new_run_id

WAIT_S = 20.0


async def until(true: Callable[[], bool], what: str) -> None:
    """Poll until `true()`, or fail."""
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline, f"not within {WAIT_S:g} s: {what}"
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Is there such a process, and not just its zombie?"""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def task(
    cwd: Path, function: str, payload: bytes = b"{}", *, job: dict[str, Any] | None = None, **more: Any
) -> Attempt:
    """An attempt of ``usercode:function``."""
    spec = JobSpec(name=function, kind="task", task=f"usercode:{function}", cwd=str(cwd), **(job or {}))
    return Attempt(new_run_id(), more.pop("attempt", 1), spec, payload, **more)


class Answers:
    """Collects what a pool answers."""

    def __init__(self) -> None:
        self.ended: dict[str, Ended] = {}
        self.back: list[Attempt] = []

    def on_done(self, ended: list[tuple[Attempt, Ended]]) -> None:
        for attempt, how in ended:
            assert attempt.run_id not in self.ended, "answered twice"
            self.ended[attempt.run_id] = how

    def on_back(self, attempts: list[Attempt]) -> None:
        self.back += attempts

    async def of(self, attempt: Attempt) -> Ended:
        """How that attempt ended."""
        await until(lambda: attempt.run_id in self.ended, f"{attempt.job.name} ended")
        return self.ended[attempt.run_id]
