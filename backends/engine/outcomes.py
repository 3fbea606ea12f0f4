"""Counts of what ended how: for the live feed, the heartbeat and the log."""

from __future__ import annotations

from backends.model import Outcome
from backends.queues.base import Settle


class OutcomeCounts:
    """Counts by queue since they were last taken."""

    def __init__(self) -> None:
        self.total = 0
        self._fresh: dict[str, dict[str, int]] = {}

    def add(self, queue: str, outcome: Outcome, to: Settle) -> None:
        """One attempt ended."""
        self.total += 1
        counts = self._fresh.setdefault(queue, {})
        key = outcome.value
        counts[key] = counts.get(key, 0) + 1
        if to is Settle.DEAD:
            counts["dead"] = counts.get("dead", 0) + 1

    def take(self) -> dict[str, dict[str, int]]:
        """Counts by queue since the last call."""
        fresh, self._fresh = self._fresh, {}
        return fresh
