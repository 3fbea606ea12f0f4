"""What is said of an error besides its text."""

from __future__ import annotations


def names_itself(error: str, error_class: str) -> bool:
    """Whether the first line of an error says its class too: "exit code 1" is the class Exit1."""
    said = error.split("\n", 1)[0]
    return error_class in said or (error_class.startswith("Exit") and said.startswith("exit code"))
