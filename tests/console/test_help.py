"""The help and the palette name every key that there is on a screen."""

from __future__ import annotations

import pytest

from console.app import ConsoleApp
from console.keymap import class_bindings
from console.screens.help import HelpDialog, key_groups, key_names
from console.screens.overview import OverviewScreen
from console.screens.registry import NUMBERED, SCREENS
from console.screens.said import commands
from tests.console.app_helpers import SIZES, Console, console
from widgets.rowlist import RowList


def helped(c: Console) -> list[tuple[str, str]]:
    from console.screens.base import ConsoleScreen

    groups = key_groups(c.app.front(), ConsoleScreen)
    return [(key_names(b.key), b.description) for _, bindings in groups for b in bindings]


@pytest.mark.parametrize("name", [name for _, name, _ in NUMBERED] + ["letter", "run", "queue", "job"])
async def test_the_help_has_every_key_of_the_screen_and_the_general_ones(name: str) -> None:
    async with console() as c:
        subjects = {"letter": c.ops.dead[0].id, "run": c.ops.ended[0].run_id, "queue": "mail", "job": "send_email"}
        c.app.open(name, subjects.get(name))
        await c.until(lambda: c.app.trail.here.screen == name and c.app.front().begun)
        screen, shown = c.app.front(), {keys for keys, _ in helped(c)}
        owners = [type(screen), type(c.app), RowList, *{type(w) for w in screen.query("*") if w.can_focus}]
        for owner in owners:
            for binding in class_bindings(owner):
                if owner.__name__ != "Entry":
                    assert key_names(binding.key) in shown, (owner, binding)


def test_no_key_of_ours_is_looked_up_among_the_names_of_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    monkeypatch.setattr("console.screens.help.key_to_character", lambda key: looked_up.append(key))
    for owner in (*SCREENS.values(), OverviewScreen, ConsoleApp, RowList):
        for binding in class_bindings(owner):
            key_names(binding.key)
    assert {key for key in looked_up if len(key) > 1} <= {"f1"}


async def test_the_keys_that_take_out_are_in_the_help_and_in_the_palette() -> None:
    async with console((120, 70)) as c:
        await c.pilot.press("question_mark")
        await c.until(lambda: isinstance(c.app.screen, HelpDialog))
        for key, words in (("C", "copy"), ("w", "write the list to a CSV"), ("W", "write the list to a JSON"),
                           ("v", "the text in $PAGER"), ("Ctrl+Z", "stop")):  # fmt: skip
            assert f"{key:<13}{words}" in c.screen(), words
        await c.pilot.press("escape")
        said = {command.text: command.key for command in commands(c.app.overview)}
        assert [said[name] for name in ("copy", "csv", "json", "view", "suspend")] == ["C", "w", "W", "v", "Ctrl+Z"]
        c.app.open("runs")
        await c.until(lambda: c.app.front() is not c.app.overview and c.app.front().begun)
        assert len({command.text for command in commands(c.app.front())}) == len(commands(c.app.front()))


async def test_a_key_with_another_meaning_here_has_that_one_alone() -> None:
    async with console() as c:
        c.app.open("timeline")
        await c.until(lambda: c.app.front().begun and c.app.front() is not c.app.overview)
        assert [words for keys, words in helped(c) if keys == "w"] == ["the next run or fire"]


@pytest.mark.parametrize("size", SIZES)
async def test_copy_takes_the_id_of_the_run(size: tuple[int, int]) -> None:
    async with console(size) as c:
        run_id = c.ops.ended[0].run_id
        c.app.open("run", run_id)
        await c.until(lambda: c.app.front().begun and c.app.front() is not c.app.overview)
        await c.until(lambda: isinstance(c.app.focused, RowList) and c.app.focused.cursor_key)
        assert isinstance(c.app.focused, RowList)
        assert c.app.front().copied(c.app.focused) == run_id
        c.app.open("runs")
        await c.until(lambda: isinstance(c.app.focused, RowList) and c.app.focused.id == "runs" and c.app.focused.keys)
        assert "/" not in c.app.front().copied(c.app.focused)


async def test_csv_is_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    wrote: list[str] = []
    async with console() as c:
        monkeypatch.setattr(type(c.app), "action_write", lambda _, ending: wrote.append(ending))
        await c.pilot.press("colon", *"csv", "enter")
        await c.until(lambda: wrote == ["csv"])
