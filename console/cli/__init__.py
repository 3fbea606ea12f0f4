"""The command line (DESIGN.md §12): parse, call Ops, print. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point: run the command and exit with its code."""
    from console.cli.root import run

    sys.exit(run(sys.argv[1:] if argv is None else argv))
