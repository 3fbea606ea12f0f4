"""What is pasted into the console presses no key, however it was made: real bytes in a real terminal."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from console.paste_guard import CALM_S, END, START
from tests.console.fake_ops import HOSTILE
from tests.support.fake_console import fake_console
from tests.support.terminal import Terminal

PALETTE = "a screen, a job, a queue, an action"
REFUSED = "tried to press keys"


def answers(terminal: Terminal) -> None:
    """No key was lost or made up: the next ones do what they say."""
    terminal.keys("8")
    terminal.until("Running here")
    terminal.keys("1")
    terminal.until("Time line")


def test_sequences_in_a_paste_are_text(tmp_path: Path) -> None:
    with fake_console(tmp_path) as terminal:
        terminal.until("backup_history")
        for text in (
            HOSTILE, "q", "\x1bq", "\x1b\x1bq", "\x1b" + "q" * 40, "\x1b]0;" + "q" * 40 + "\x07", "\x1b[27;5;99~q",
            "\x1b[<0;9;9M" * 9 + "q", "\x1bOq\x03", f"{START}q", "\x1b[48;10;10;10;10tq", "q" * 10_000,
        ):  # fmt: skip
            terminal.keys(START + text + END)
            answers(terminal)
        assert REFUSED not in terminal.text()


@pytest.mark.parametrize("text", ["q\x03", f"2{START}b", "\x1b[<0;9;9M" + "q" * 5000])
def test_a_paste_that_ends_itself_is_dropped_and_told(tmp_path: Path, text: str) -> None:
    with fake_console(tmp_path) as terminal:
        terminal.until("backup_history")
        terminal.keys(f"{START}a{END}{text}{END}")
        terminal.until(REFUSED)
        assert "Time line" in terminal.text()
        time.sleep(CALM_S + 0.2)  # time itself is what ends it: any byte would begin it anew
        answers(terminal)


def test_pasted_text_enters_a_line_and_enter_right_behind_it_confirms(tmp_path: Path) -> None:
    with fake_console(tmp_path) as terminal:
        terminal.until("backup_history")
        terminal.keys(":")
        terminal.until(PALETTE)
        terminal.keys(f"{START}eng\x1b]2;\x07ines{END}\r")
        terminal.until("eng]2;ines")
        terminal.keys("\x1b")
        terminal.until("eng]2;ines", gone=True)
        terminal.keys(":")
        terminal.until(PALETTE)
        terminal.keys(f"{START}engines{END}\r")
        terminal.until("Running here")
        assert b"\x1b]2;" not in terminal.raw


def test_what_is_no_utf8_does_not_end_the_console(tmp_path: Path) -> None:
    with fake_console(tmp_path) as terminal:
        terminal.until("backup_history")
        terminal.keys(b"\xff\xfe\x80" + START.encode() + b"\xe9\xff" + END.encode())
        terminal.quiet(0.5)
        answers(terminal)
