"""The command line (DESIGN.md §12): parse, call Ops, print. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point: run the command and exit with its code."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        from console.cli.streams import open_closed

        open_closed()
    given = sys.argv[1:] if argv is None else argv
    if given:
        from console.cli.root import run

        sys.exit(run(given))
    try:  # the console alone: nothing is to be parsed, so that nothing stands before its first frame
        import gc

        gc.disable()  # until it has begun (`console.settling`): there is no garbage yet, only much to look through
        from console.cli.screen import open_console

        code = open_console()
    except BaseException as error:
        from console.cli.root import failed

        code = failed(error)
    sys.exit(code)
