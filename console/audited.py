"""What an operator did, in words: alike on the command line and on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORDS = {"dead_retry": "retry dead", "dead_purge": "purge dead", "dead_replay": "edit dead"}
"""Verbs as they are shown, where that is not as they are stored."""
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
        parts.append(name if value is True else f"for {value / 60:g} min" if name == "for_s" else f"{name}: {value}")
    return " · ".join(parts)


def verb_words(verb: str) -> str:
    """A verb as it is shown."""
    return WORDS.get(verb, verb)
