"""What reaches the terminal: hostile text, the cell diff, no colour, no UTF-8, odd sizes."""

from __future__ import annotations

import pytest

from tests.console.app_helpers import SIZES, console
from tests.console.fake_ops import HOSTILE, FakeOps
from widgets.rowlist import RowList


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_text_is_shown_and_never_acted_on(size: tuple[int, int]) -> None:
    """`Terminal` raises on every sequence that is not a cursor move or a style, so each frame is checked."""
    async with console(size, FakeOps(hostile=True)) as c:
        c.table("dead").focus()
        await c.pilot.press("enter")
        await c.until(lambda: "[@click=app.quit]x[/] [red]r[/red] [/nope]" in c.screen())
        for bad in "\x1b\x9b\u202e\u200b\u200d\x00\x07\r":
            assert bad not in c.screen(), hex(ord(bad))
        assert "␛]2;PWNED" in c.screen()
        await c.pilot.press("escape")
        c.table("runs").focus()
        await c.pilot.press("G", "g", "enter")
        await c.pilot.pause()
        await c.pilot.press("escape", "t")
        await c.pilot.pause()
        await c.pilot.click(offset=(10, size[1] // 2))
        await c.pilot.press("escape")
        for panel in ("timeline", "queues"):
            c.app.overview.query_one(f"#{panel}").focus()
            rows = c.app.overview.query_one(f"#{panel}", RowList)
            rows.choose(list(rows.keys).index(HOSTILE))
            await c.pilot.press("p", "enter")
            await c.until(lambda: c.app.screen is not c.app.overview)
            assert c.app.trail.here.subject == HOSTILE
            await c.pilot.press("escape")
        c.ops.redis_error = HOSTILE
        await c.until(lambda: "down" in c.line("header"))
        await c.pilot.pause()
        assert c.app.frames > 5
        assert c.app.is_running


async def test_cell_diff_leaves_the_same_screen_for_fewer_bytes() -> None:
    """Every frame is compared in `Recorded._display`."""
    async with console() as c:
        keys = (*"jj", "tab", "tab", *"jG", "enter", "escape", "question_mark", "j", "escape", "t", "escape", "minus")
        for key in keys:
            await c.pilot.press(key)
            c.clock.ms += 30_000
            c.app.overview.pass_time()
            await c.pilot.pause()
        assert c.app.terminals
        plain, diffed = c.app.terminals
        await c.until(lambda: diffed.text() == c.screen())
        assert diffed.written < plain.written / 2


async def test_without_colour_all_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with console() as c:
        for words in ("✗ failed", "▶ running", "✓ succeeded", "▌"):
            assert words in c.screen()
        for segments in c.app.screen._compositor.render_strips():
            for segment in segments.apply_filter(c.app.get_line_filters()[-1], c.app.screen.background_colors[1]):
                if segment.style and segment.style.color and segment.style.color.triplet:
                    red, green, blue = segment.style.color.triplet
                    assert red == green == blue


async def test_without_utf8_only_ascii_reaches_the_terminal() -> None:
    async with console(ops=FakeOps(hostile=True), ascii=True) as c:
        await c.ticked()
        assert c.app.terminals
        assert c.app.terminals[0].text().isascii()
        for words in ("x failed", "> running", "+ succeeded", "v now"):
            assert words in c.app.terminals[0].text()


async def test_survives_every_size() -> None:
    async with console() as c:
        for width, height in ((1, 1), (10, 3), (40, 10), (80, 24), (300, 80), (80, 24)):
            await c.pilot.resize_terminal(width, height)
            await c.pilot.pause()
        await c.until(lambda: "backup_history" in c.screen())
