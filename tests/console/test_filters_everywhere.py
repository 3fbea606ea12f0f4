"""``/`` on every screen: the overview and the engines are narrowed too, and a page without a list says so."""

from __future__ import annotations

import pytest

from tests.console.app_helpers import SIZES, console


@pytest.mark.parametrize("size", SIZES)
async def test_the_overview_is_narrowed_panel_by_panel(size: tuple[int, int]) -> None:
    async with console(size) as c:
        c.table("dead").focus()
        await c.pilot.press("slash", *"r mail")
        assert not c.ops.calls, "what is typed is text, not the key that retries"
        await c.pilot.press("escape", "slash", *"mail")
        await c.until(lambda: list(c.timeline.keys) == ["send_email"])
        assert list(c.table("queues").keys) == ["mail"]
        assert {d.job for d in c.ops.dead if d.id in c.table("dead").keys} == {"send_email"}
        await c.until(lambda: all(row.cells[2] for row in c.table("runs").rows))
        assert {"".join(text for text, _ in row.cells[2]) for row in c.table("runs").rows} == {"send_email"}
        assert "Queues · 1 of 4" in c.screen()
        await c.pilot.press("enter")
        assert c.app.focused is c.table("dead"), "the keys go back to where they were"
        await c.pilot.press("escape")
        await c.until(lambda: len(c.table("queues").keys) == 4)
        await c.pilot.press("slash", *"nosuch", "enter")
        await c.until(lambda: c.screen().count("nothing matches") == 4)


async def test_the_filter_of_the_overview_is_remembered() -> None:
    async with console() as c:
        await c.pilot.press("slash", *"mail", "enter")
        await c.until(lambda: c.app.overview.remembered().get("filter") == "mail")
        c.app.overview.recall({"filter": "billing"})
        await c.until(lambda: list(c.table("queues").keys) == ["billing"])


async def test_engines_are_narrowed_by_what_they_are_and_what_they_run() -> None:
    async with console() as c:
        await c.pilot.press("8")
        fleet, running = (c.app.screen.query_one(f"#{name}") for name in ("engines", "running"))
        await c.until(lambda: len(fleet.keys) == 2)
        await c.pilot.press("slash", *"web-2", "enter")
        await c.until(lambda: list(fleet.keys) == ["web-2:991"])
        await c.pilot.press("escape", "slash", *"sync", "enter")
        await c.until(lambda: list(fleet.keys) == ["web-1:4711"] and len(running.keys) == 1)
        assert "Running here · 1 of 2" in c.screen()
        await c.pilot.press("escape", "slash", *"nosuch", "enter")
        await c.until(lambda: "no engine matches" in c.screen())


@pytest.mark.parametrize("page", ["letter", "run", "queue", "job", "lab"])
async def test_a_page_without_a_filter_says_so(page: str) -> None:
    async with console() as c:
        subject = {"letter": c.ops.dead[0].id, "run": c.ops.ended[0].run_id, "queue": "mail", "job": "send_email"}
        c.app.open(page, subject.get(page))
        await c.until(lambda: c.app.front().begun and c.app.trail.here.screen == page)
        await c.pilot.press("slash")
        await c.until(lambda: "no filter on this page" in c.screen())
