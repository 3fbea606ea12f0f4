"""Keys that come together mean what they mean one by one."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

import pytest
from textual.events import MouseDown, MouseUp

from console import in_order
from tests.console.app_helpers import Console, console
from tests.console.fake_ops import JOBS, FakeOps
from widgets.rowlist import RowList
from widgets.table import Table

KEYS = (*"jkGgtTpsuemi/:?", "enter", "escape", "tab")


async def soon(true: Callable[[], object]) -> None:
    """As `Console.until`, of an app that does not answer or is left."""
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("did not happen")


async def to_jobs(c: Console) -> Table:
    await c.pilot.press("6")
    await c.until(lambda: c.app.screen.query("#jobs") and len(c.app.screen.query_one("#jobs", Table).rows) >= len(JOBS))
    return c.app.screen.query_one("#jobs", Table)


async def test_a_choice_that_was_typed_ahead_is_the_one_that_was_meant() -> None:
    ops = FakeOps()
    async with console((120, 36), ops) as c:
        table = await to_jobs(c)
        c.type_ahead(("j", "j", "t", "j", "enter"))
        await c.until(lambda: ops.calls)
        assert ops.calls == [("trigger", table.keys[3])]


async def test_a_command_and_a_filter_that_were_typed_ahead_lose_no_letter() -> None:
    ops = FakeOps()
    async with console((120, 36), ops) as c:
        await to_jobs(c)
        c.type_ahead(("/", *"prices", "enter", "p", *"bug", "enter"))
        await c.until(lambda: ops.calls)
        assert ops.calls == [("pause", "job:sync_prices")]
        c.type_ahead(("escape", ":", *"trigger disk", "enter", "y"))
        await c.until(lambda: len(ops.calls) > 1)
        assert ops.calls[1:] == [("trigger", "disk_report")]


async def test_a_key_that_is_never_dealt_with_holds_the_next_one_up_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(in_order, "PATIENCE_S", 0.05)
    async with console() as c:
        table = await to_jobs(c)
        gate = asyncio.Event()
        table.call_later(gate.wait)
        c.type_ahead(("j", ":"))
        await c.until(lambda: not c.app.keys_are_due)
        gate.set()
        await c.until(lambda: table.cursor_index == 1 and c.app.screen.query("#command"))


async def play(keys: Sequence[str], *, at_once: bool) -> tuple[list[object], list[str], str | None]:
    """What was called for, the screens in front, and the row under the cursor."""
    ops = FakeOps()
    async with console((120, 36), ops) as c:
        await to_jobs(c)
        if at_once:
            c.type_ahead(keys)
        else:
            for key in keys:
                c.type_ahead(key if len(key) == 1 else (key,))
                await c.pilot.pause(0.05)
        await c.pilot.pause()
        await c.until(lambda: not c.app.keys_are_due)
        await c.ticked()
        focused = c.app.focused
        row = focused.cursor_key if isinstance(focused, RowList) else getattr(focused, "value", None)
        done = [(call[0], "" if call[0] == "undo" else call[1]) for call in ops.calls]  # receipts are random
        return done, [type(screen).__name__ for screen in c.app.screen_stack], row


@pytest.mark.parametrize("seed", range(6))
async def test_keys_that_come_at_once_do_what_they_do_one_by_one(seed: int) -> None:
    chance = random.Random(seed)
    keys = chance.choices(KEYS, k=chance.randint(2, 12))
    assert await play(keys, at_once=True) == await play(keys, at_once=False), keys


def click(c: Console, x: int, y: int) -> None:
    for event in (MouseDown, MouseUp):
        c.app.post_message(event(None, x, y, 0, 0, 1, False, False, False, x, y))


async def test_a_click_waits_behind_the_keys_before_it_and_comes_before_those_after_it() -> None:
    async with console((120, 36)) as c:
        table = await to_jobs(c)
        row = table.content_region.y + table.HEAD
        c.type_ahead("jjT")
        click(c, 10, row + 5)
        c.type_ahead(("escape",))
        await c.until(lambda: table.cursor_index and not c.app.keys_are_due)
        assert table.cursor_index == 2, "the click was for the dialog, which was in front by then"
        click(c, 10, row + 4)
        c.type_ahead("j")
        await c.until(lambda: table.cursor_index == 5)


async def test_ctrl_c_comes_before_all_that_waits_and_drops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    async with console() as c:
        table = await to_jobs(c)
        gate = asyncio.Event()
        table.call_later(gate.wait)

        async def quit_() -> None:
            left.append(table.cursor_index)

        monkeypatch.setattr(c.app, "action_quit", quit_)
        c.type_ahead(("j", "j", "j", "ctrl+c"))
        await soon(lambda: left)
        gate.set()
        await c.until(lambda: not c.app.keys_are_due)
        assert (left, table.cursor_index) == ([0], 1)


async def test_keys_that_wait_while_the_console_is_left_are_dropped() -> None:
    async with console() as c:
        table = await to_jobs(c)
        gate = asyncio.Event()
        table.call_later(gate.wait)
        c.type_ahead("jqjt")
        await soon(lambda: len(c.app._typed) == 3)
        gate.set()
        await soon(lambda: c.app._exit)
    assert c.app._exception is None


async def test_a_loop_that_stood_still_is_no_lost_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """As while a module is loaded on a busy machine, or the process was stopped."""
    monkeypatch.setattr(in_order, "PATIENCE_S", 0.2)
    async with console() as c:
        table = await to_jobs(c)
        gate = asyncio.Event()

        async def takes_long() -> None:
            time.sleep(0.4)  # noqa: ASYNC251 - the point of it
            for _ in range(10):
                await asyncio.sleep(0)
            gate.set()

        table.call_later(takes_long)
        order: list[bool] = []
        monkeypatch.setattr(c.app.screen, "action_command", lambda: order.append(gate.is_set()))
        c.type_ahead(("j", ":"))
        await c.until(lambda: order)
        assert order == [True]


async def test_what_was_typed_before_another_program_had_the_terminal_was_for_that_one() -> None:
    async with console() as c:
        table = await to_jobs(c)
        c.type_ahead("jj")
        c.app.forget_typed()
        c.type_ahead("j")
        await c.until(lambda: table.cursor_index == 1 and not c.app.keys_are_due)
        await c.pilot.pause()
        assert table.cursor_index == 1
