"""`cronsole` without a command: the console."""

from __future__ import annotations

import os
import sys

from backends.errors import BadInputError


def open_console(context: str | None = None, *, read_only: bool = False) -> int:
    """Open the console on the servers of `context`, of the configured one if None; returns the exit code."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        raise BadInputError("the console needs a terminal", "`cronsole status` shows the state in plain text")
    from backends.contexts import current_settings, load_config
    from console.app import run_console
    from console.contexts import choices

    settings = current_settings(context, read_only=read_only)
    contexts = choices(load_config(), settings, read_only=read_only)
    return int(run_console(contexts[0].opens, contexts[0].name, contexts) or 0)
