"""`cronsole undo | ops`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from console.audited import target_words, verb_words
from console.cli.acting import hint
from console.cli.common import ListGroup, json_option, with_ops
from console.cli.output import clock, iso, print_json, span, table, visible
from console.cli.progress import telling

if TYPE_CHECKING:
    from backends.model import ActionResult
    from backends.ops import Operation, Ops


@click.command("undo")
@click.argument("receipt")
@json_option
def undo_command(receipt: str, as_json: bool) -> None:
    """Take an operation back by its receipt, as far as nothing has started since."""

    async def act(ops: Ops) -> ActionResult:
        with telling() as tell:
            return await ops.undo(receipt, tell)

    result = with_ops(act)
    if as_json:
        print_json({"matched": result.matched, "changed": result.changed, "note": result.note})
        return
    if result.note and result.changed == result.matched == 1:  # it says what is so now
        click.echo(visible(result.note))
        return
    told = f"{result.changed:,} of {result.matched:,} taken back"
    click.echo(told + (f": {visible(result.note)}" if result.note else ""))


@click.group("ops", cls=ListGroup)
def ops_command() -> None:
    """Operations that can be taken back or gone on with: list, resume, stop."""


@ops_command.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--unfinished", is_flag=True, help="Only those that are not done.")
@json_option
def list_command(limit: int, unfinished: bool, as_json: bool) -> None:
    """What operators did lately, newest first, with the receipts."""

    async def ask(ops: Ops) -> tuple[Operation, ...]:
        return await ops.operations(limit, unfinished)

    found = with_ops(ask)
    if as_json:
        print_json([_row(op) for op in found])
        return
    table(
        ("RECEIPT", "WHEN", "WHO", "WHAT", "ON", "STATE", "CHANGED", "UNDO UNTIL"),
        [
            (op.id, clock(_at(op.at_ms)), op.by, verb_words(op.verb), target_words(op.target), _state(op),
             f"{op.changed:,}" + (f" of {op.total:,}" if op.total and op.state not in ("done", "undone") else ""),
             clock(_at(op.undo_until_ms)) if op.state not in ("undone", "expired") else "")
            for op in found
        ],
        right=("CHANGED",),
        empty="nothing that could be taken back",
    )  # fmt: skip


@ops_command.command("resume")
@click.argument("receipt")
@json_option
def resume_command(receipt: str, as_json: bool) -> None:
    """Go on with a retry or a purge that was stopped, or that a crash has left."""

    async def act(ops: Ops) -> tuple[str, ActionResult]:
        with telling() as tell:
            result = await ops.resume_operation(receipt, tell)
            return (await ops.operation(receipt)).verb, result

    verb, result = with_ops(act)
    with hint(result.receipt, result.note):
        if as_json:
            print_json({"matched": result.matched, "changed": result.changed, "receipt": result.receipt})
        else:
            done = "purged" if verb == "dead_purge" else "put back"
            click.echo(f"{result.matched:,} matched, {result.changed:,} {done}")


@ops_command.command("stop")
@click.argument("receipt")
def stop_command(receipt: str) -> None:
    """Have whoever drives an operation stop after its step."""

    async def act(ops: Ops) -> ActionResult:
        return await ops.stop_operation(receipt)

    click.echo(with_ops(act).note)


def _at(ms: int | None) -> datetime | None:
    from backends.model import from_ms

    return None if ms is None else from_ms(ms)


def _state(op: Operation) -> str:
    """What it is at: one whose driver is gone is left; of an undo, how many where not all were taken back."""
    from backends.model import now_ms

    if op.left(now := now_ms()):
        return f"left, last heard of {span((now - op.beat_ms) / 1000)} ago"
    if op.state == "undone" and 0 < op.undone < op.changed:
        return f"undone {op.undone:,} of {op.changed:,}"
    return op.state


def _row(op: Operation) -> dict[str, Any]:
    """An item of `ops --json`."""
    from backends.model import now_ms

    return {
        "receipt": op.id,
        "verb": op.verb,
        "by": op.by,
        "at": iso(_at(op.at_ms)),
        "until": iso(_at(op.undo_until_ms)),
        "state": "left" if op.left(now_ms()) else op.state,
        "target": dict(op.target),
        "matched": op.matched,
        "changed": op.changed,
        "total": op.total,
        "rate": op.rate,
        "note": op.note,
        "heard_at": iso(_at(op.beat_ms)),
        "undone_by": op.undone_by or None,
        "undone": op.undone,
    }
