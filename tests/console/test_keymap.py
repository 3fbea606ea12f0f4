"""The key map: what is pressed, what foot and help say, and mistakes in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contexts import load_config
from backends.errors import BadInputError
from console.app import ConsoleApp
from console.keymap import load_keymap
from console.screens.dialog import PickDialog
from console.screens.overview import OverviewScreen
from console.screens.registry import SCREENS
from tests.console.app_helpers import console
from widgets.rowlist import RowList


def loaded(folder: Path, text: str) -> dict[str, str]:
    (folder / "config.toml").write_text("[keys]\n" + text)
    config = load_config({"CRONSOLE_CONFIG": str(folder / "config.toml")})
    return load_keymap(config, {"overview": OverviewScreen, **SCREENS}, (ConsoleApp, RowList))


async def test_keys_are_where_they_are_mapped_to_and_say_so(tmp_path: Path) -> None:
    keymap = loaded(tmp_path, "trigger = 'X'\nretry = 'ctrl+r,f5'\ndown = 'f6'\ngo_engines = '0'\nzoom_fit = 'f7'\n")
    async with console(keymap=keymap) as c:
        foot = c.line("keys")
        assert "X trigger" in foot
        assert "Ctrl+R F5 retry" in foot
        await c.pilot.press("t", "r")
        assert c.app.screen is c.app.overview
        await c.pilot.press("j")
        assert c.timeline.cursor_index == 0
        await c.pilot.press("f6", "f6")
        assert c.timeline.cursor_index == 2
        await c.pilot.press("X")
        await c.until(lambda: isinstance(c.app.screen, PickDialog))
        await c.pilot.press("escape", "question_mark")
        await c.until(lambda: "Ctrl+R F5" in c.screen())
        await c.pilot.press("escape")
        c.table("dead").focus()
        await c.pilot.press("f5")
        await c.until(lambda: c.ops.calls and c.ops.calls[0][0] == "dead_retry")
        await c.pilot.press("0")
        await c.until(lambda: c.app.screen is c.app.get_screen("engines"))


@pytest.mark.parametrize(
    ("text", "told", "remedy"),
    [
        ("retri = 'R'", "unknown action 'retri'", "'retry'"),
        ("retry = 3", "retry has a wrong value", "f5"),
        ("retry = ''", "retry has a wrong value", "f5"),
        ("retry = 'ctrl+nokey'", "'ctrl+nokey' is no key", "ctrl+r"),
        ("retry = 'super+r'", "is no key", "ctrl+r"),
        ("retry = 't'", "puts trigger and retry on one key, t, on the screen overview", "another key"),
        ("retry = 'j'", "on one key, j,", "another key"),
        ("retry = 'x'\npause = 'x'", "on one key, x,", "another key"),
        ("retry = '5'", "on one key, 5,", "another key"),
        ("trigger = 'y'", "can't be on y", "says yes"),
        ("pause = 'enter'", "can't be on enter", "says yes"),
    ],
)
def test_a_bad_key_map_is_one_line(tmp_path: Path, text: str, told: str, remedy: str) -> None:
    with pytest.raises(BadInputError) as caught:
        loaded(tmp_path, text)
    assert told in caught.value.message
    assert remedy in caught.value.remedy


def test_keys_that_change_places_are_no_double(tmp_path: Path) -> None:
    assert loaded(tmp_path, "retry = 't'\ntrigger = 'r'") == {"retry": "t", "trigger": "r"}


def test_every_key_of_every_screen_can_be_mapped_and_none_is_double(tmp_path: Path) -> None:
    """Mapping each action to where it is changes nothing, so there is no double among what is shipped."""
    from console.keymap import class_bindings

    for screen in (OverviewScreen, *SCREENS.values()):
        ids = [b.id for b in class_bindings(screen) if b.show]
        assert all(ids), screen
        assert len(set(ids)) == len(ids), screen


async def test_the_foot_keeps_help_and_quit_where_there_is_little_room() -> None:
    for width in (40, 60, 80):
        async with console((width, 24)) as c:
            assert c.line("keys").endswith(": command  ? help  q quit ")
