"""Words that there is room for are not cut."""

from __future__ import annotations

import pytest

from console.screens.queues_pause import PauseDialog
from tests.console.app_helpers import console
from widgets.safe import cell
from widgets.textpane import wrapped_lines


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 15)])
async def test_what_a_pause_does_is_told_whole(size: tuple[int, int]) -> None:
    async with console(size) as c:
        await c.pilot.press("p")
        await c.until(lambda: isinstance(c.app.screen, PauseDialog))
        await c.until(lambda: "what runs" in c.screen() and "to its end" in c.screen())


def test_a_path_goes_down_whole() -> None:
    path = "docs/reference/schedules.md"
    for width in range(len(path), 120):
        lines = wrapped_lines(cell(f"cronsole keeps the rules of Debian's cron: {path}"), width)
        assert any(path in "".join(text for text, _ in line) for line in lines), width
