"""What an operator did, in words: alike on the command line and on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.ops.kinds import shown_verb

WORDS = {"everything": "all"}
"""How what was chosen is told, where that is not as it is stored."""
NAMES = ("target", "job", "queue", "run_id")
"""What stands without its name where it is there."""


def target_words(target: Mapping[str, Any]) -> str:
    """What an action was about, in one line."""
    parts = [str(target[name]) for name in NAMES if target.get(name)]
    for name, what in (("ids", "letters"), ("run_ids", "runs")):
        ids = target.get(name)
        if isinstance(ids, list) and ids:
            parts.append(str(ids[0]) if len(ids) == 1 else f"{target.get('count', len(ids))} {what}")
    for name, value in target.items():
        if name in (*NAMES, "ids", "run_ids", "count", "counted", "upto") or value in (None, "", False):
            continue
        parts.append(
            WORDS.get(name, name)
            if value is True
            else f"for {value / 60:g} min"
            if name == "for_s"
            else f"{name}: {value}"
        )
    return " · ".join(parts)


def verb_words(verb: str) -> str:
    """A verb as it is shown."""
    return shown_verb(verb)
