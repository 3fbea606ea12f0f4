"""The console as a program of its own, over the in-memory Ops: for tests of what a real terminal gets and sends.

Its arguments: `hostile`: hostile text wherever text can stand; `crash`: Ctrl+L is an error; `nohup`: SIGHUP is ignored.
After SIGUSR1 no server answers but with hostile errors.
At its end it tells what was asked of Ops.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.engine import ROOT
from tests.support.terminal import Terminal

PROGRAM = """
import signal
import sys
from backends.model import now_ms
from console.app import ConsoleApp, run_console
from tests.console.fake_ops import HOSTILE, FakeOps, opener

if "nohup" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
ops = FakeOps(now_ms, hostile="hostile" in sys.argv)
def fall(*_):
    ops.redis_error = ops.postgres_error = HOSTILE
signal.signal(signal.SIGUSR1, fall)
if "crash" in sys.argv:
    def crash(app):
        secret = "a password"
        raise ValueError(HOSTILE)
    ConsoleApp.action_redraw = crash
code = run_console(opener(ops), "here")
if code != 129:  # nobody is there to read it
    sys.stderr.write(f"CALLS {ops.calls!a}\\n")
sys.exit(code)
"""


@contextmanager
def fake_console(
    folder: Path, *words: str, columns: int = 120, rows: int = 40, program: str = PROGRAM, **env: str
) -> Iterator[Terminal]:
    """The program in a terminal; `words` are its arguments, `env` is set for it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CRONSOLE_", "TEXTUAL"))}
    kept |= {
        "PYTHONPATH": str(ROOT), "CRONSOLE_DATA_DIR": str(folder), "CRONSOLE_CONFIG": str(folder / "none.toml"), **env,
    }  # fmt: skip
    terminal = Terminal([sys.executable, "-c", program, *words], kept, columns, rows)
    try:
        yield terminal
    finally:
        terminal.close()
