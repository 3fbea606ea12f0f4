"""Small terminals: every screen holds down to the least size, and says below it how large it must be."""

from __future__ import annotations

import pytest

from console.screens.layout import LEAST, heights
from console.screens.registry import NUMBERED
from tests.console.app_helpers import Console, console
from widgets.table import Table

PAGES = [name for _, name, _ in NUMBERED] + ["letter", "run", "queue", "job"]


async def opened(c: Console, name: str) -> None:
    subjects = {"letter": c.ops.dead[0].id, "run": c.ops.ended[0].run_id, "queue": "mail", "job": "send_email"}
    c.app.open(name, subjects.get(name))
    await c.until(lambda: c.app.trail.here.screen == name and c.app.front().begun)
    await c.pilot.pause()


@pytest.mark.parametrize("size", [(60, 15), LEAST])
async def test_header_and_keys_are_there_and_no_column_is_cut(size: tuple[int, int]) -> None:
    async with console(size) as c:
        for name in PAGES:
            await opened(c, name)
            lines = c.screen().splitlines()
            assert lines[0].startswith(" cronsole"), name
            assert lines[-1].rstrip().endswith("? help  q quit"), name
            for table in c.app.screen.query(Table):
                if table.display and table.size.height and table.id not in ("fields", "elsewhere"):
                    widths = [width for width in table.widths() if width]
                    assert sum(widths) + len(widths) - 1 + table.lead <= table.size.width, (name, table.id)


async def test_the_overview_shows_rows_of_every_panel_at_60_by_15() -> None:
    async with console((60, 15)) as c:
        for words in ("sync_prices", "billing", "always_fails", "▶ running"):
            assert words in c.screen()


@pytest.mark.parametrize("size", [(20, 4), (59, 40), (120, 11)])
async def test_below_the_least_size_one_line_says_so_on_every_screen(size: tuple[int, int]) -> None:
    async with console(size) as c:
        for name in PAGES:
            await opened(c, name)
            first, *rest = c.screen().splitlines()
            assert first.strip() == f"needs {LEAST[0]}×{LEAST[1]}, is {size[0]}×{size[1]}"
            assert not "".join(rest).strip()


async def test_a_terminal_that_is_made_larger_shows_the_screen_again() -> None:
    async with console((20, 4)) as c:
        assert "needs" in c.screen()
        await c.pilot.resize_terminal(80, 24)
        await c.until(lambda: "Time line" in c.screen() and "needs" not in c.screen())


def test_the_panels_fit_whatever_the_height() -> None:
    for total in range(LEAST[1], 100):
        for jobs in (0, 1, 9, 500):
            for frame in (1, 2):
                timeline, middle = heights(total, jobs, frame)
                assert timeline + middle <= total - 2, (total, jobs, frame)
                assert min(timeline, middle) >= 2 + frame or frame == 2, (total, jobs, frame)
