"""What tests of the command line share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HOSTILE = "bad \x1b]0;owned\x07\x9b31m \u202eevil\u2066 [@click=app.quit]x[/]\nline two"
JOBS = """
[jobs.tick]
description = "Ticks"
schedule = "*/5 * * * *"
timezone = "Europe/Berlin"
command = "true"

[jobs.send_email]
queue = "mail"
task = "app:send"
"""


@dataclass
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output as JSON."""
        return json.loads(self.out)


Cli = Callable[..., Answer]


def subprocess_cli(argv: Sequence[str], **env: str) -> subprocess.CompletedProcess[str]:
    """The real thing, as a process of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CRONSOLE_")}
    return subprocess.run(
        [sys.executable, "-c", "from console.cli import main; main()", *argv],
        env={**clean, "PYTHONPATH": str(ROOT), **env}, capture_output=True, text=True, timeout=60, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
