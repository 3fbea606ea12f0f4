"""Esc and the key behind it come together: they are two keys, and not Alt with one."""

from __future__ import annotations

import time

import pytest
from textual import constants
from textual.events import Key

from console.terminal_driver import EscapeFirst


def keys(*pieces: str) -> list[str]:
    """What is made of what a terminal sends; the last piece is followed by nothing."""
    parser = EscapeFirst(False)
    found = [message for piece in pieces for message in parser.feed(piece)]
    time.sleep(constants.ESCAPE_DELAY * 1.2)
    found += parser.tick()
    return [message.key for message in found if isinstance(message, Key)]


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (("\x1b\r",), ["escape", "enter"]),
        (("\x1b", "\r"), ["escape", "enter"]),
        (("\x1b4",), ["escape", "4"]),
        (("\x1bxy",), ["escape", "x", "y"]),
        (("\x1bG",), ["escape", "G"]),
        (("\x1b ",), ["escape", "space"]),
        (("\x1b\t",), ["escape", "tab"]),
        (("\x1b]",), ["escape", "right_square_bracket"]),
        (("\x1b/b",), ["escape", "slash", "b"]),
        (("\x1bé",), ["escape", "é"]),
        (("\x1bO",), ["escape", "O"]),
        (("\x1b[",), ["escape", "left_square_bracket"]),
        (("\x1b\x1b",), ["escape", "escape"]),
        (("\x1b\x1b4",), ["escape", "escape", "4"]),
        (("\x1b\x03",), ["escape", "ctrl+c"]),
        (("\x1b",), ["escape"]),
    ],
)
def test_esc_is_never_lost_to_the_key_behind_it(sent: tuple[str, ...], meant: list[str]) -> None:
    assert keys(*sent) == meant


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("\x1b[A", ["up"]), ("\x1bOP", ["f1"]), ("\x1b[5~", ["pageup"]), ("\x1b\x1b[A", ["escape", "up"]),
        ("\x1b\x7f", ["ctrl+w"]), ("\x1b[120;3u", ["alt+x"]), ("\x1b[1;5C", ["ctrl+right"]),
    ],
)  # fmt: skip
def test_what_is_one_key_stays_one(sent: str, meant: list[str]) -> None:
    assert keys(sent) == meant
