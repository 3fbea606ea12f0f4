"""What is said of an error besides its text."""

from __future__ import annotations

import re


def names_itself(error: str, error_class: str) -> bool:
    """Whether the first line of an error says its class too: "exit code 1" is the class Exit1."""
    if not error_class:
        return True
    said = error.split("\n", 1)[0]
    if error_class.startswith("Exit") and re.match(rf"exit code {re.escape(error_class[4:])}\b", said):
        return True
    return re.search(rf"(?<![\w.]){re.escape(error_class)}(?![\w.]*\w)", said) is not None
