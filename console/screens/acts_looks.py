"""Operations in words: how far one is, what can be taken back and how long. Pure functions."""

from __future__ import annotations

from math import ceil

from backends.model import ActionResult
from console.screens.rows import count
from widgets.safe import Cell, cell, cells

BAR = 16
LIFETIME_S = 100 * 365 * 86_400
SILENT_MS = 15_000
"""An operation whose driver was not heard of for so long was left by it."""


def bar(done: int, total: int) -> Cell:
    """How much of it is done, as a bar."""
    full = min(BAR, done * BAR // total) if total > 0 else 0
    return cells(cell("█" * full, "accent"), cell("░" * (BAR - full), "faint"))


def left_words(seconds: float) -> str:
    """A length of time ahead, coarse, rounded up and never none."""
    whole = max(1, ceil(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if whole >= size:
            return f"{ceil(whole / size)} {unit}"
    return f"{whole} s"


def for_words(seconds: float) -> str:
    """How long something still can be; what is beyond a life is for ever."""
    return "for ever" if seconds > LIFETIME_S else f"for {left_words(seconds)}"


def progress_line(
    doing: str, done: int, total: int | None, per_s: float | None, left_s: float | None, stopping: bool = False
) -> Cell:
    """``retrying ███░░ 12,400 of 100,000 · 10300/s · 8 s left · Esc stops``."""
    of = f"{done:,}" if total is None else f"{done:,} of {total:,}"
    parts = [cell(f" {doing} ", "accent"), bar(done, total) if total else (), cell(f" {of}", "strong")]
    parts += [cell(f" · {count(round(per_s))}/s", "dim")] if per_s is not None and per_s >= 1 else []
    parts += [cell(f" · {left_words(left_s)} left", "dim")] if left_s is not None else []
    if stopping:
        return cells(*parts, cell(" · stops after this step", "warn"))
    return cells(*parts, cell(" · ", "dim"), cell("Esc", "key"), cell(" stops", "dim"))


def undo_line(key: str, words: str, now_ms: int, begins_ms: int, until_ms: int | None) -> Cell:
    """``u takes back: retry of 12 letters · begins in 4 s``, later how long it still can be."""
    parts = [cell(f" {key}", "key"), cell(" takes back ", "dim"), cell(words, "strong")]
    if begins_ms > now_ms:
        parts.append(cell(f" · begins in {left_words((begins_ms - now_ms + 999) // 1000)}", "warn"))
    elif until_ms is not None:
        parts.append(cell(f" · {for_words((until_ms - now_ms) / 1000)}", "dim"))
    return cells(*parts)


def taken_back(result: ActionResult, words: str) -> str:
    """What an undo did."""
    left = result.matched - result.changed
    some = f": {result.changed:,} of {result.matched:,}" if left and result.changed else ""
    return f"✓ taken back: {words}{some}" + (f" · {result.note}" if result.note else "")
