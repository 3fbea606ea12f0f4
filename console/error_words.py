"""What is said of an error besides its text."""

from __future__ import annotations

import re
from collections.abc import Callable


def names_itself(error: str, error_class: str) -> bool:
    """Whether the first line of an error says its class too: "exit code 1" is the class Exit1."""
    if not error_class:
        return True
    said = error.split("\n", 1)[0]
    if error_class.startswith("Exit") and re.match(rf"exit code {re.escape(error_class[4:])}\b", said):
        return True
    return re.search(rf"(?<![\w.]){re.escape(error_class)}(?![\w.]*\w)", said) is not None


SHELL = re.compile(r"`cronsole ([a-z]+)(?: (\w+))?[^`]*`")
SCREENS = {
    "audit": ":audit", "dead groups": ":dead", "dead list": ":dead", "jobs": ":jobs", "ops": ":audit",
    "queues": ":queues", "runs": ":runs", "runs list": ":runs", "runs show": "its page", "status": ":overview",
    "why": "its page",
}  # fmt: skip
KEYS = {
    "cancel": ("cancel", "c", " on its page"), "dead retry": ("retry", "r", ""),
    "ops resume": ("go_on", "r", " in the audit"),
    "ops stop": ("stop", "c", " in the audit"), "runs replay": ("retry", "r", " on its page"),
    "trigger": ("trigger", "t", ""), "undo": ("undo", "u", " in the audit"),
}  # fmt: skip
"""Command → (action, its key where it is not mapped, where)."""


def in_console(text: str, key: Callable[[str, str], str]) -> str:
    """`text` with the keys and screens that do what a command of the shell does; others of them stay.

    `key`: of an action, with the one where it is not mapped.
    """

    def here(found: re.Match[str]) -> str:
        command = f"{found[1]} {found[2]}"
        if command not in KEYS and command not in SCREENS and (not found[2] or found[1] not in ("ops", "runs")):
            command = found[1]
        if command in KEYS:
            action, usual, where = KEYS[command]
            return key(action, usual) + where
        return SCREENS.get(command, found[0])

    return SHELL.sub(here, text)
