"""The editor gets the whole terminal, in a real one, and the console comes back with what differs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pyte

from tests.console.test_app_terminal import LEAVE, Run, start

__all__ = ["start"]
EDITOR = """
import pathlib, sys, termios
on = termios.tcgetattr(0)[3] & (termios.ECHO | termios.ICANON)
path = pathlib.Path(sys.argv[1])
print("EDITOR HAS IT" if on and sys.stdin.isatty() else "RAW", flush=True)
line = sys.stdin.readline()
path.write_text(path.read_text().replace("kunde@", line.strip()))
"""


LEAVES_KEYS = """
import pathlib, sys, time
path = pathlib.Path(sys.argv[1])
path.write_text(path.read_text().replace("kunde@", "eva@"))
print("EDITOR HAS IT", flush=True)
while not pathlib.Path(sys.argv[0] + ".typed").exists():
    time.sleep(0.01)
"""


def text(run: Run) -> str:
    """What a terminal would show now."""
    screen = pyte.Screen(100, 30)
    pyte.ByteStream(screen).feed(run.data)
    return "\n".join(screen.display)


def test_the_editor_reads_keys_and_the_console_comes_back(start: Callable[..., Run], tmp_path: Path) -> None:
    program = tmp_path / "editor.py"
    program.write_text(EDITOR)
    run = start(EDITOR=f"{sys.executable} {program}", VISUAL="")
    run.until(lambda: b"backup_history" in run.data)
    os.write(run.fd, b"4")
    run.until(lambda: "Dead letters · 38" in text(run))
    os.write(run.fd, b"j")
    os.write(run.fd, b"e")
    run.until(lambda: b"EDITOR HAS IT" in run.data)
    assert LEAVE in run.data
    os.write(run.fd, b"eva@\n")
    run.until(lambda: '+  "to": "eva@example.org",' in text(run) and "edit again" in text(run))
    os.write(run.fd, b"y")
    run.until(lambda: "takes back" in text(run))
    os.write(run.fd, b"q")
    run.until(run.ended)
    assert run.status == 0


def test_what_the_editor_left_unread_was_for_the_editor(start: Callable[..., Run], tmp_path: Path) -> None:
    program = tmp_path / "editor.py"
    program.write_text(LEAVES_KEYS)
    run = start(EDITOR=f"{sys.executable} {program}", VISUAL="")
    run.until(lambda: b"backup_history" in run.data)
    os.write(run.fd, b"4")
    run.until(lambda: "Dead letters · 38" in text(run))
    os.write(run.fd, b"je")
    run.until(lambda: b"EDITOR HAS IT" in run.data)
    os.write(run.fd, b"yy\n")
    (tmp_path / "editor.py.typed").touch()
    run.until(lambda: "edit again" in text(run))
    os.write(run.fd, b"\x1b")
    run.until(lambda: "not sent" in text(run))
    os.write(run.fd, b"q")
    run.until(run.ended)
    assert run.status == 0
