"""Hostile text on every screen, in a real terminal: nothing of it is sent as it is, and a click on it does nothing."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from tests.support.fake_console import fake_console
from tests.support.terminal import Terminal

SIGN, LINK = "␛]2;PWNED", "[@click=app.quit]x[/]"
OURS = re.compile(
    rb"\x1b\[(?:[\d;]*[mGHXCDKb]|6n|\?\d+[hl]|\?\d+\$p|>\d*u|<u)|[\x08\x0b\r\n]|[\x20-\x7e]|[\xc2-\xf4][\x80-\xbf]+"
)
"""What the console says to a terminal: cursor, style, erasing, repeating, modes, and text."""
UNSEEN = re.compile("[\x00-\x07\x0c\x0e-\x1a\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Characters of the payload that act or hide, apart from ESC."""


def assert_clean(raw: bytes) -> None:
    """Every byte is one of ours."""
    raw = raw.replace(b"\x1b]22;default\x07", b"")  # the shape of the mouse pointer, by Textual
    at = 0
    while at < len(raw):
        found = OURS.match(raw, at)
        assert found, f"not ours: {raw[at - 40 : at + 40]!r}"
        at = found.end()
    hidden = UNSEEN.search(raw.decode("utf-8", "strict"))
    assert not hidden, hidden


def click(terminal: Terminal, x: int, y: int) -> None:
    """Press and release the left button on a cell."""
    terminal.keys(f"\x1b[<0;{x + 1};{y + 1}M\x1b[<0;{x + 1};{y + 1}m")


def click_all(terminal: Terminal) -> int:
    """A click on each cell of what would be a link, if it is no text to edit; how many."""
    clicked = 0
    for y, line in enumerate(terminal.text().split("\n")):
        for found in re.finditer(re.escape(LINK[:12]), "" if "cron  " in line else line):
            for x in range(found.start(), min(found.start() + len(LINK), len(line))):
                click(terminal, x, y)
                clicked += 1
    return clicked


def step(terminal: Terminal, keys: str, word: str, before: str) -> str:
    """Type; wait until `word` is there, with no word until what was `before` is gone."""
    terminal.keys(keys)
    if not word:  # a key right after Esc would be another key
        terminal.until(before, gone=True)
    terminal.until([word, SIGN])
    return word


def test_nothing_of_it_is_sent_and_nothing_of_it_acts(tmp_path: Path) -> None:
    clicked, seen = 0, ""
    with fake_console(tmp_path, "hostile", columns=200, rows=50) as terminal:
        terminal.until([SIGN, "backup_history"])
        for keys, word in (
            ("1", "Time line"), ("2", "Timeline"), ("3", "Queues"), ("\r", "Forecast"), ("\x1b", ""),
            ("4", "Groups by error"), ("\r", "Error and attempts"), ("\x1b", ""),
            ("5", "Runs"), ("\r", "Attempts"), ("\x1b", ""), ("6", "Jobs"),
            ("\r", "What it does"), ("7", "Cron lab"), ("8", "Running here"), ("9", "Audit"),
        ):  # fmt: skip
            seen = step(terminal, keys, word, seen)
            terminal.quiet(0.15, 2)  # all of it is there: what is clicked last has the focus
            clicked += click_all(terminal)
            terminal.keys("\x0c")
            terminal.until([seen, SIGN])
            terminal.quiet(0.15, 2)
        terminal.keys("q")
        assert terminal.ended() == 0
        end = terminal.until_raw(b"CALLS ")
    assert clicked > 200
    assert bytes(terminal.raw[end:]).startswith(b"[]"), "nothing was asked for"
    assert_clean(bytes(terminal.raw[: end - 6]))


def test_dialogs_the_palette_and_notices(tmp_path: Path) -> None:
    seen = ""
    with fake_console(tmp_path, "hostile", columns=200, rows=50) as terminal:
        terminal.until([SIGN, "backup_history"])
        for keys, word in (
            (":pwned", "resume queue:"), ("\x1b", ""), ("1", "Time line"), ("t", "Run a job now"),
            ("\x1b", ""), ("3", "Queues"), ("gp", "goes on"), ("4", "Dead letters"), ("\r", "Error and attempts"),
            ("r", "back in its queue"),
        ):  # fmt: skip
            seen = step(terminal, keys, word, seen)
        terminal.keys("q")
        assert terminal.ended() == 0
        end = terminal.until_raw(b"CALLS ")
        calls = bytes(terminal.raw[end:]).decode()
    assert calls.count("(") == 2, f"a retry and the end of a pause were asked for: {calls}"
    assert_clean(bytes(terminal.raw[: end - 6]))


def test_servers_that_answer_with_it(tmp_path: Path) -> None:
    """In banners and in the notices at the foot."""
    with fake_console(tmp_path, "hostile", columns=160) as terminal:
        terminal.until("backup_history")
        terminal.process.send_signal(signal.SIGUSR1)
        terminal.until(["redis down", "✗ redis queues as of", SIGN])
        terminal.keys("5")
        terminal.until(["can't be read", f"✗ {SIGN}"])
        terminal.keys("q")
        assert terminal.ended() == 0
        end = terminal.until_raw(b"CALLS ")
    assert_clean(bytes(terminal.raw[: end - 6]))
