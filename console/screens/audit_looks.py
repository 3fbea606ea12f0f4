"""How actions and operations look in the audit. Pure functions; every foreign text goes through the gate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import tzinfo

from backends.model import from_ms
from backends.ops.audit import Action
from backends.ops.kinds import GONE_ON, Operation
from console.audited import target_words, verb_words
from console.screens.acts_looks import SILENT_MS, for_words
from console.screens.details import field, json_lines
from console.screens.rows import age, count, moment
from console.screens.run_looks import clock_ms
from widgets.safe import Cell, cell, cells
from widgets.table import Column, Row

UNDO = 9
"""Columns for what became of an action's undo."""
COLUMNS = (
    Column("when", 8), Column("who", 14, flex=1), Column("what", 10), Column("on", 14, flex=9),
    Column("meant", 6, align="right", drop=2), Column("changed", 7, align="right", drop=1),
    Column("receipt", 11, drop=3), Column("undo", UNDO),
)  # fmt: skip
OPEN_COLUMNS = (
    Column("what", 10), Column("on", 12, flex=4), Column("who", 14, flex=2, drop=2), Column("is", 12),
    Column("done", 8, align="right"), Column("of", 8, align="right"), Column("heard of", 8, align="right", drop=1),
    Column("receipt", 11, drop=3),
)  # fmt: skip


def undone_words(number: int) -> str:
    """``undone 12``; many as ``1517 back``, which the column has room for. `number` is 0 where it is not known."""
    told = f"undone {number}" if number else "undone"
    size, unit = (1, "") if number < 10_000 else (1000, "k") if number < 1_000_000 else (1_000_000, "M")
    return told if len(told) <= UNDO else f"{number // size}{unit} back"


def undo_cell(operation: Operation | None, now_ms: int) -> Cell:
    """Whether an action can be taken back: how long still, or why not."""
    if operation is None:
        return cell("")
    if operation.state in ("undone", "undoing"):
        return cell(undone_words(operation.undone) if operation.state == "undone" else "undoing", "dim")
    if operation.undo_until_ms is None:
        return cell("none", "faint")
    if operation.state == GONE_ON:
        return cell(GONE_ON, "faint")
    if operation.until_ms <= now_ms:
        return cell("over", "faint")
    return cell(for_words((operation.until_ms - now_ms) / 1000), "accent")


def action_row(action: Action, operation: Operation | None, now_ms: int, zone: tzinfo | None) -> Row:
    """An action in one line."""
    return Row(
        str(action.id),
        (
            cell(moment(action.at, now_ms, zone), "dim"), cell(action.who, "strong"),
            cell(verb_words(action.verb), "accent"), cell(target_words(action.target)),
            cell(count(action.matched), "dim"), cell(count(action.changed), "faint" if not action.changed else ""),
            cell(action.receipt or "", "dim"), undo_cell(operation, now_ms) if action.verb != "undo" else (),
        ),
    )  # fmt: skip


def state_cell(operation: Operation, now_ms: int) -> Cell:
    """What an unfinished operation is at."""
    if operation.state in ("running", "undoing") and now_ms - operation.beat_ms > SILENT_MS:
        return cell("✗ left", "bad")
    if operation.state == "stopped":
        return cell("‖ stopped", "warn")
    return cell(f"▶ {operation.state}", "accent")


def operation_row(operation: Operation, now_ms: int) -> Row:
    """An unfinished operation in one line."""
    return Row(
        operation.id,
        (
            cell(verb_words(operation.verb), "accent"), cell(target_words(operation.target)),
            cell(operation.by, "strong"), state_cell(operation, now_ms), cell(count(operation.changed)),
            cell("?" if operation.total is None else count(operation.total), "dim"),
            cell(age(now_ms - operation.beat_ms), "dim"), cell(operation.id, "dim"),
        ),
    )  # fmt: skip


def action_lines(action: Action, operation: Operation | None, now_ms: int, zone: tzinfo | None) -> Sequence[Cell]:
    """Everything about an action."""
    lines = [
        field("when", clock_ms(action.at, zone)), field("who", action.who, "strong"),
        field("what", action.verb, "accent"), field("meant", f"{action.matched:,}"),
        field("changed", f"{action.changed:,}"),
    ]  # fmt: skip
    lines += [field("note", action.note)] if action.note else []
    lines += [field("receipt", action.receipt)] if action.receipt else []
    if operation is not None and action.verb != "undo":
        ends = operation.undo_until_ms
        until = "" if ends is None else f"  until {clock_ms(from_ms(ends), zone)}"
        lines.append(cells(field("undo", ""), undo_cell(operation, now_ms), cell(until, "dim")))
        if operation.undone_ms is not None:
            some = 0 < operation.undone < operation.changed
            many = f"{operation.undone:,} of {operation.changed:,} " if some else ""
            lines.append(
                field("taken back", f"{many}by {operation.undone_by}, {clock_ms(from_ms(operation.undone_ms), zone)}")
            )
    target = json.dumps(action.target, ensure_ascii=False, default=str)
    return [*lines, (), cell("On", "key"), *json_lines(target)]
