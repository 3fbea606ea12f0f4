"""On a slow line: everything once a second, and said so."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from console.feed import OverviewArrived
from tests.console.app_helpers import console


async def test_what_arrives_is_shown_with_the_clock_and_not_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(low_bandwidth=True) as c:
        await c.until(lambda: "slow line" in c.line("header"))
        assert c.app.pace.busy_s == 1.0
        screen, live = c.app.overview, c.app.state.live
        assert live is not None
        shown: list[object] = []
        monkeypatch.setattr(screen, "call_later", shown.append)
        monkeypatch.setattr(screen, "truth_changed", lambda: shown.append("all"))
        c.app.router.post_message(OverviewArrived(replace(live, dead_total=7), {}))
        assert not shown
        assert c.app.state.live.dead_total == 7
        screen.pass_time()
        assert shown == ["all"]


async def test_a_line_that_turns_slow_and_quick_again_is_told_and_paces_the_feed() -> None:
    async with console() as c:
        usual = c.app.feed.pace
        c.app.line.speed.slow = True
        c.app.line_changed()
        await c.until(lambda: "slow line" in c.line("header") and "once a second" in c.screen())
        assert c.app.feed.pace.busy_s == 1.0
        c.app.line.speed.slow = False
        c.app.line_changed()
        await c.until(lambda: "slow line" not in c.line("header") and "quick again" in c.screen())
        assert c.app.feed.pace == usual


async def test_who_has_decided_is_not_overruled() -> None:
    async with console(low_bandwidth=False) as c:
        c.app.line.speed.slow = True
        c.app.line_changed()
        await c.pilot.pause()
        assert not c.app.low_bandwidth
        assert "slow line" not in c.line("header")
