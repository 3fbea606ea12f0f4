"""However the console ends, the terminal is as it was before."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fake_console import fake_console
from tests.support.terminal import Terminal

WAYS: dict[str, tuple[Callable[[Terminal], None], int]] = {
    "q": (lambda t: t.keys("q"), 0),
    "ctrl-c": (lambda t: t.keys("\x03"), 0),
    "sigterm": (lambda t: t.process.send_signal(signal.SIGTERM), 143),
    "sighup": (lambda t: t.process.send_signal(signal.SIGHUP), 129),
    "crash": (lambda t: t.keys("\x0c"), 1),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_terminal_is_given_back(tmp_path: Path, way: str) -> None:
    end, code = WAYS[way]
    with fake_console(tmp_path, "crash") as terminal:
        terminal.until("backup_history")
        assert len(terminal.left_behind()) > 5, "it takes what it gives back"
        end(terminal)
        assert terminal.ended(20) == code
        if way != "sighup":  # then there may be nobody to tell it to
            terminal.until_raw(b"CALLS []")
        assert terminal.left_behind() == []


def test_a_crash_is_one_line_and_the_log_has_the_rest(tmp_path: Path) -> None:
    """No traceback: its frames hold payloads as they came, and passwords."""
    with fake_console(tmp_path, "crash", "hostile") as terminal:
        terminal.until("backup_history")
        terminal.keys("\x0c")
        assert terminal.ended(20) == 1
        log = tmp_path / "log" / "console.log"
        told = bytes(terminal.raw[terminal.until_raw(b"\x1b[?1049l") : terminal.until_raw(b"CALLS")]).decode()
        assert "the console crashed (ValueError: ␛]2;PWNED␇␛[2J" in told
        assert str(log) in told
        assert "password" not in told
        assert "\x1b]" not in told
        written = log.read_text()
        assert "Traceback" in written
        assert "in crash" in written
        assert all(char.isprintable() for char in written.replace("\n", ""))


@pytest.mark.parametrize("ignores_hangup", [False, True])
def test_a_terminal_that_is_gone_ends_it(tmp_path: Path, ignores_hangup: bool) -> None:
    """Also under nohup, where nothing but the end of the input tells of it."""
    words = ["hostile", *(["nohup"] if ignores_hangup else [])]
    with fake_console(tmp_path, *words) as terminal:
        terminal.until("backup_history")
        terminal.hang_up()
        assert terminal.ended(20) == 129
