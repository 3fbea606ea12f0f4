"""Servers that hang: who is waited for is said at once, and what failed is told until somebody has seen it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backends.model import NewRuns
from backends.overview import Overview
from console.screens import acting
from tests.console.app_helpers import console
from tests.console.fake_ops import FakeOps


async def test_a_server_that_hangs_is_silent_and_an_action_says_at_once_that_it_waits() -> None:
    ops = FakeOps()
    async with console((120, 36), ops=ops) as c:
        held, ask, look = asyncio.Event(), ops.trigger, ops.overview

        async def hang() -> None:
            await held.wait()

        async def no_look() -> Overview:
            await hang()
            return await look()

        async def no_trigger(job: str, payload: dict[str, Any] | None = None) -> NewRuns:
            await hang()
            return await ask(job, payload)

        ops.overview, ops.trigger = no_look, no_trigger  # type: ignore[method-assign]
        c.clock.ms += 3_200
        c.app.overview.pass_time()
        await c.until(lambda: "◌ redis silent 3 s" in c.screen())
        c.app.overview.trigger("disk_report")
        await c.until(lambda: "waiting for redis …" in c.screen(), 0.9)
        held.set()
        await c.until(lambda: "✓ disk_report runs as" in c.screen())


async def test_an_action_that_takes_long_says_that_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acting, "WAITS_S", 0.05)
    ops = FakeOps()
    async with console((120, 36), ops=ops) as c:
        c.app.overview.do(lambda _: asyncio.sleep(0.3), lambda _: "✓ done", "not done")
        await c.until(lambda: "waiting for an answer …" in c.screen())
        await c.until(lambda: "✓ done" in c.screen())


async def test_that_an_action_failed_is_told_until_a_key_is_pressed() -> None:
    ops = FakeOps()
    async with console((120, 36), ops=ops) as c:
        overview, failed = c.app.overview, "✗ disk_report not triggered: redis is gone"
        drop = overview._forget_notice
        ops.redis_error = "redis is gone"
        overview.trigger("disk_report")
        await c.until(lambda: failed in c.screen())
        await c.pilot.press("j")
        assert failed in c.screen(), "a key pressed at that moment does not take it away"
        drop(overview._notices)
        assert failed not in c.screen()
        overview.trigger("disk_report")
        await c.until(lambda: failed in c.screen())
        drop(overview._notices)
        await c.pilot.pause()
        assert failed in c.screen(), "nobody may have been there"
        await c.pilot.press("j")
        await c.until(lambda: failed not in c.screen())
