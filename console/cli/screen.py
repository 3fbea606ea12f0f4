"""`cronsole` without a command: the console."""

from __future__ import annotations

import os
import sys
from functools import partial

from backends.errors import BadInputError


def open_console() -> int:
    """Open the console on the configured servers; returns the exit code."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        raise BadInputError("the console needs a terminal", "`cronsole status` shows the state in plain text")
    from backends.ops import Ops
    from console.app import run_console
    from console.cli.common import current_settings

    settings = current_settings()
    return int(run_console(partial(Ops.open, settings, role="console"), "default") or 0)
