"""`cronsole audit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from console.audited import target_words, verb_words
from console.cli.common import json_option, paging, with_ops
from console.cli.output import clock, iso, print_json, table

if TYPE_CHECKING:
    from backends.model import Page
    from backends.ops import Ops
    from backends.ops.audit import Action


@click.command("audit")
@paging
@json_option
def audit_command(limit: int, cursor: str | None, as_json: bool) -> None:
    """Who did what, when, and to how many; newest first."""

    async def ask(ops: Ops) -> Page[Action]:
        return await ops.actions(limit, cursor)

    page = with_ops(ask)
    if as_json:
        print_json({"items": [action_row(a) for a in page.items], "next_cursor": page.next_cursor})
        return
    table(
        ("WHEN", "WHO", "WHAT", "ON", "MEANT", "CHANGED", "RECEIPT"),
        [
            (clock(a.at), a.who, verb_words(a.verb), target_words(a.target), f"{a.matched:,}", f"{a.changed:,}",
             a.receipt)
            for a in page.items
        ],
        right=("MEANT", "CHANGED"),
        empty="nobody has done anything yet",
    )  # fmt: skip
    if page.next_cursor:
        click.echo(f"more: --cursor {page.next_cursor}", err=True)


def action_row(a: Action) -> dict[str, object]:
    """An item of `audit --json`."""
    return {
        "id": a.id,
        "at": iso(a.at),
        "who": a.who,
        "verb": a.verb,
        "target": dict(a.target),
        "matched": a.matched,
        "changed": a.changed,
        "receipt": a.receipt,
        "note": a.note,
    }
