"""How dead letters and their groups look. Pure functions; every foreign text goes through the gate."""

from __future__ import annotations

from backends.model import DeadGroup, DeadLetter, to_ms
from console.error_words import names_itself
from console.screens.rows import age, count
from widgets.safe import Cell, cell, cells
from widgets.table import Column, Row

GROUPS = (
    Column("letters", 7, align="right"), Column("job", 10, flex=2), Column("error", 14, flex=5),
    Column("queue", 8, flex=1, drop=2), Column("first", 5, align="right", drop=3), Column("last", 5, align="right"),
)  # fmt: skip
LETTERS = (
    Column("died", 5, align="right"), Column("job", 12, flex=2), Column("queue", 8, flex=1, drop=3),
    Column("try", 3, align="right", drop=2), Column("error", 14, flex=8),
)  # fmt: skip


def said(error_class: str, error: str) -> Cell:
    """An error in one line, its class set off where the text does not say it anyway."""
    text = error.split("\n", 1)[0] if error else ""
    if not text or names_itself(text, error_class):
        return cell(text or error_class)
    return cells(cell(error_class, "dim"), cell(f" {text}"))


def group_key(group: DeadGroup) -> str:
    """What identifies a group: the same error in two queues is two groups."""
    return f"{group.group}/{group.queue}"


def group_row(group: DeadGroup, now_ms: int) -> Row:
    """A group in one line."""
    first, last = sorted((group.first_failed_at, group.last_failed_at))  # what was archived may be the older end
    return Row(
        group_key(group),
        (
            cell(count(group.count), "bad"), cell(group.job, "strong"), said(group.error_class, group.error),
            cell(group.queue, "dim"), cell(age(now_ms - to_ms(first)), "dim"),
            cell(age(now_ms - to_ms(last)), "dim"),
        ),
    )  # fmt: skip


def letter_row(letter: DeadLetter, now_ms: int, state: str) -> Row:
    """A letter in one line; `state`: what became of it since it was read."""
    return Row(
        letter.id,
        (
            cell(age(now_ms - to_ms(letter.failed_at)), "dim"), cell(letter.job, "dim" if state else "strong"),
            cell(letter.queue, "dim"), cell(letter.attempts, "dim"),
            cell(state, "accent") if state else said(letter.error_class, letter.error),
        ),
    )  # fmt: skip
