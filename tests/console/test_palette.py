"""Commands after ``:``: which one is meant, what it does, and that it is the keys' own code."""

from __future__ import annotations

import pytest
from textual.events import Key
from textual.keys import _character_to_key

from console.commands import Command, History, matching
from console.screens.dialog import PickDialog
from console.screens.palette import Choices, Palette
from tests.console.app_helpers import SIZES, Console, console
from tests.console.fake_ops import FakeOps
from widgets.entry import Entry


def named(*texts: str) -> list[Command]:
    return [Command(text, "", lambda: None) for text in texts]


def best(typed: str, *texts: str) -> list[str]:
    return [c.text for c in matching(typed, named(*texts), 3)]


def test_better_matches_come_first() -> None:
    assert best("runs", "trigger runs", "runs list", "runs") == ["runs", "runs list", "trigger runs"]
    assert best("ru", "ctrl unit", "trucks", "the runs", "runs") == ["runs", "the runs", "trucks"]
    assert best("back trig", "trigger backup", "pause backup") == ["trigger backup"]
    assert best("tb", "t-x-x-b", "trigger backup", "a tb") == ["a tb", "t-x-x-b", "trigger backup"]
    assert best("TRIGGER Back", "trigger Backup") == ["trigger Backup"]
    assert best("x.y*(", "x.y*(z", "xaybz") == ["x.y*(z"]
    assert best("zz", "runs") == []
    assert best(" ", "b", "a", "d", "c") == ["b", "a", "d"]


def test_history_walks_as_in_a_shell() -> None:
    history = History(["one", "two"])
    assert [history.walk(-1), history.walk(-1), history.walk(-1)] == ["two", "one", None]
    assert [history.walk(1), history.walk(1), history.walk(1)] == ["two", "", ""]
    history.add("one")
    assert history.lines == ["two", "one"]
    assert history.walk(-1) == "one"
    for n in range(80):
        history.add(str(n))
    assert len(history.lines) == History.LONGEST


async def say(c: Console, text: str, *keys: str) -> None:
    await c.pilot.press("colon")
    await c.until(lambda: isinstance(c.app.screen, Palette))
    await c.pilot.press(*("space" if char == " " else "colon" if char == ":" else char for char in text), *keys)


async def test_enter_goes_to_a_screen() -> None:
    async with console() as c:
        await say(c, "eng", "enter")
        await c.until(lambda: "web-2:991" in c.screen())
        await c.pilot.press("escape")
        assert c.app.screen is c.app.overview


async def test_tab_completes_and_escape_closes() -> None:
    async with console() as c:
        await say(c, "trig slo", "tab")
        await c.until(lambda: c.app.screen.query_one(Entry).value == "trigger slow_export ")
        assert len(c.app.screen.query_one(Choices).rows) == 1
        await c.pilot.press("escape")
        assert c.app.screen is c.app.overview
        assert c.ops.calls == []


async def test_trigger_asks_as_the_key_does() -> None:
    async with console() as c:
        await say(c, "trigger disk", "enter")
        await c.until(lambda: isinstance(c.app.screen, PickDialog))
        await c.pilot.pause()
        assert c.ops.calls == []
        await c.pilot.press("enter")
        await c.until(lambda: c.ops.calls == [("trigger", "disk_report")])


async def test_pause_and_resume() -> None:
    async with console() as c:
        await say(c, "pause queue:mail", "enter")
        await c.until(lambda: "Pause queue mail" in c.screen())
        await c.pilot.press(*"bug", "enter")
        await c.until(lambda: c.ops.calls == [("pause", "queue:mail")])
        await c.until(lambda: any(q.paused for q in c.app.state.live.queues))  # type: ignore[union-attr]
        await say(c, "resume mail", "enter")
        await c.until(lambda: c.ops.calls[1:] == [("resume", "queue:mail")])


async def test_what_this_screen_can_do_is_said_too() -> None:
    async with console() as c:
        c.table("dead").focus()
        await say(c, "retry", "enter")
        await c.until(lambda: c.ops.calls and c.ops.calls[0][0] == "dead_retry")


async def test_up_brings_back_what_was_run_and_down_chooses_while_typing() -> None:
    async with console() as c:
        for name in ("engines", "runs"):
            await say(c, name, "enter")
            await c.until(lambda name=name: getattr(c.app.screen, "NAME", "") == name)  # type: ignore[misc]
        await say(c, "", "up", "up")
        entry = c.app.screen.query_one(Entry)
        await c.until(lambda: entry.value == "engines")
        await c.pilot.press("down")
        await c.until(lambda: entry.value == "runs")
        await c.pilot.press("down", "t", "r", "down")
        table = c.app.screen.query_one(Choices)
        await c.until(lambda: entry.value == "tr" and table.cursor_index == 1)


async def test_nothing_fits() -> None:
    async with console() as c:
        await say(c, "xyzzy", "enter")
        assert isinstance(c.app.screen, Palette)
        assert "no such command" in c.screen()


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("trigger nosuch", "no job nosuch"), ("job nosuch", "no job nosuch"), ("queue nosuch", "no queue nosuch"),
        ("trigger send_emial", "no job send_emial: did you mean send_email?"), ("nosuch", "no such command"),
        ("ctx nosuch", "no other context nosuch: there is none"), ("theme nosuch", "no other theme nosuch"),
        ("pause nosuch", "nothing to pause named nosuch"),
    ],
)  # fmt: skip
async def test_what_there_is_not_is_named_and_enter_says_so_aloud(typed: str, told: str) -> None:
    async with console() as c:
        await say(c, typed)
        await c.until(lambda: told in c.screen())
        await c.pilot.press("enter")
        await c.until(lambda: f"✗ {told}" in c.screen())
        await c.pilot.press("backspace")
        await c.until(lambda: "✗ no" not in c.screen())


@pytest.mark.parametrize("typed", ["q", "q!", "quit", "qa"])
async def test_hands_of_vim_leave(typed: str) -> None:
    async with console() as c:
        await say(c, typed)
        await c.until(lambda: c.app.screen.query_one(Choices).rows[0].cells[0][0][0] == "quit")
        await c.pilot.press("enter")
        await c.until(lambda: c.app._exit)


async def test_hostile_names_are_shown_and_can_be_said() -> None:
    for size in SIZES:
        async with console(size, FakeOps(hostile=True)) as c:
            await say(c, "pause job pwned", "tab")
            await c.pilot.pause()
            assert "␛]2;PWNED" in c.screen()
            assert not any(not ch.isprintable() for ch in c.screen().replace("\n", ""))
            await c.pilot.press("enter")
            await c.pilot.pause()


async def test_a_letter_in_the_palette_costs_little() -> None:
    async with console((140, 40)) as c:
        await say(c, "")
        await c.pilot.pause(0.1)
        assert c.app.terminals
        before = c.app.terminals[1].written
        await c.pilot.press("t")
        await c.pilot.pause(0.1)
        assert 0 < c.app.terminals[1].written - before <= 10_000


async def test_letters_and_enter_that_come_at_once_are_taken_in_their_order() -> None:
    """As a paste, or a slow line, brings them: nothing of it goes to the screen below, and Enter sees all of it."""
    async with console() as c:
        for char in ":pause queue:mail\r":
            c.app.post_message(Key(_character_to_key(char) if char != "\r" else "enter", char))
        await c.until(lambda: "Pause queue mail" in c.screen())
        assert c.ops.calls == []
        assert len(c.app.screen_stack) == 2, "nothing but the dialog is over the screen"


async def test_enter_on_an_empty_line_runs_nothing() -> None:
    async with console() as c:
        await say(c, "", "enter", "space", "enter")
        assert isinstance(c.app.screen, Palette)
        await c.pilot.press("backspace", "ctrl+n", "enter")
        await c.until(lambda: not isinstance(c.app.screen, Palette))
