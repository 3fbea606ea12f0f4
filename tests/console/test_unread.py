"""A context whose servers are down from the start: nothing of it is said to be empty, every key says why it can't."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from backends.errors import UnreachableError
from console.screens.base import ConsoleScreen
from console.settings import Preferences
from tests.console.app_helpers import QUICK, SIZES, Clock, Console, Recorded, console
from tests.console.fake_ops import FakeOps

RUN = "0190f7a0-0000-7000-8000-000000000000"
REDIS, POSTGRES = (
    "Redis at redis://r/0 can't be reached: no route",
    "Postgres at postgresql://p/x can't be used: no such host",
)
PAGES = (
    ("overview", None, "tpr"), ("timeline", None, "tpma"), ("queues", None, "p"), ("dead", None, "rxe "),
    ("jobs", None, "tTpc"), ("runs", None, ""), ("engines", None, "c"), ("audit", None, "urc"),
    ("queue", "mail", "pcb "), ("job", "send_email", "tpco"), ("letter", RUN, "rxe"), ("run", RUN, "crel"),
)  # fmt: skip


@asynccontextmanager
async def dead(size: tuple[int, int]) -> AsyncIterator[Console]:
    """The console on a context that nobody answers for."""
    ops, clock = FakeOps(), Clock()
    ops.redis_error, ops.postgres_error = REDIS, POSTGRES

    @asynccontextmanager
    async def opens() -> AsyncIterator[FakeOps]:
        yield ops

    app = Recorded(opens, "prod-eu", preferences=Preferences(timezone="UTC"), clock=clock, pace=QUICK)
    async with app.run_test(size=size) as pilot:
        c = Console(app, pilot, ops, clock)
        await c.until(lambda: "redis down" in c.screen() and ("pg down" in c.screen() or "postgres down" in c.screen()))
        yield c


@pytest.mark.usefixtures("notices_stay")
@pytest.mark.parametrize(("name", "subject", "keys"), PAGES, ids=[name for name, *_ in PAGES])
async def test_every_page_has_its_titles_and_every_key_says_why_it_can_not(
    name: str, subject: str | None, keys: str
) -> None:
    async with dead((100, 36)) as c:
        c.app.open(name, subject)
        await c.until(lambda: c.app.screen is c.app.front() and name == c.app.front().NAME and c.app.front().begun)
        await c.until(lambda: "can't be read: no answer from redis and postgres" in c.screen())
        front = c.app.front()
        for panel in front.query(".panel"):
            assert panel.border_title or not panel.display, panel
        assert " 0" not in "".join(str(panel.border_title) for panel in front.query(".panel"))
        for key in keys:
            front._notice = ()
            await c.pilot.press("space" if key == " " else key)
            await c.until(lambda: front._notice)
            said = "".join(text for text, _ in front._notice)
            assert said == "nothing can be read: no answer from redis and postgres ", key
            assert isinstance(c.app.screen, ConsoleScreen)


@pytest.mark.parametrize("size", SIZES)
async def test_both_errors_are_told(size: tuple[int, int]) -> None:
    async with dead(size) as c:
        await c.until(lambda: "Redis at" in c.line("banner"))
        if size[0] >= 200:
            await c.until(lambda: REDIS in c.screen() and POSTGRES in c.screen())


async def test_while_it_connects_a_key_says_that_nothing_is_read_yet() -> None:
    async with console() as c:
        c.app.state.live = None
        c.app.front().lacks("no jobs to trigger")
        assert "nothing is read yet" in "".join(text for text, _ in c.app.front()._notice)


async def test_nothing_is_changed_on_a_redis_that_was_never_looked_at() -> None:
    async with dead((100, 36)) as c:
        c.ops.overview = never  # type: ignore[method-assign]
        c.ops.redis_error = ""
        c.app.overview.trigger("disk_report")
        await c.until(lambda: "not triggered: not connected" in c.screen())
        assert c.ops.calls == []


async def never() -> None:
    raise UnreachableError("Redis may evict jobs")


async def test_jobs_of_the_time_line_are_triggered_and_paused_there() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        await c.pilot.press("2")
        await c.until(lambda: "Timeline · 9 jobs" in c.screen())
        await c.pilot.press("t", "enter")
        await c.until(lambda: ops.calls == [("trigger", "backup_history")])
        await c.pilot.press("p", *"bug", "enter")
        await c.until(lambda: ops.calls[-1] == ("pause", "job:backup_history"))
