"""What a dead letter was before it was edited: beside its run, and beside the one that went in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from console.cli.output import clock, iso, visible, visible_lines

if TYPE_CHECKING:
    from backends.ops import Ops
    from backends.ops.output import Original

HISTORY_S = 2.0
"""A letter is shown without them where history does not answer."""

original_option = click.option("--original", is_flag=True, help="What was edited, as it was before, and nothing else.")


async def originals_of(ops: Ops, run_id: str) -> Sequence[Original]:
    """Those of a run; where they can't be asked for, a warning says so."""
    from backends.errors import UnreachableError

    try:
        async with asyncio.timeout(HISTORY_S):
            return await ops.originals(run_id)
    except (UnreachableError, TimeoutError) as error:
        ops.warn_once(f"whether its letter was edited is not known: {error or 'history does not answer'}")
        return ()


def show_originals(found: Sequence[Original]) -> None:
    """All that is known of them. Raises BadInputError where there are none."""
    from backends.errors import BadInputError

    if not found:
        raise BadInputError("nothing of it was edited", "leave --original out")
    for n, each in enumerate(found):
        letter = each.letter
        if n:
            click.echo()
        for key, value in (
            ("original", f"of run {letter.id}"),
            ("edited", f"{clock(each.edited_at)}, receipt {each.receipt}"),
            ("now run", each.replaced_by),
            ("queue", letter.queue),
            ("job", letter.job),
            ("attempts", str(letter.attempts)),
            ("died", clock(letter.failed_at)),
        ):
            click.echo(f"{key:<10}{visible(value) or '-'}")
        click.echo(f"error     {visible_lines(letter.error or letter.error_class)}")
        click.echo(f"envelope  {visible_lines(letter.envelope.decode('utf-8', 'backslashreplace'))}")


def tell_originals(found: Sequence[Original], run_id: str) -> None:
    """One line each: that there is one."""
    for each in found:
        if each.letter.id == run_id:
            became = f", run {visible(each.replaced_by)} went in its place" if each.replaced_by else ""
            what = f"its letter was edited {clock(each.edited_at)}{became}"
        else:
            what = f"it went in place of run {visible(each.letter.id)}, whose letter was edited {clock(each.edited_at)}"
        click.echo(f"original: {what}; --original shows that")


def original_rows(found: Sequence[Original]) -> list[dict[str, Any]]:
    """`originals` in the JSON of a run and of a letter."""
    return [
        {
            "run_id": each.letter.id,
            "replaced_by": each.replaced_by or None,
            "edited_at": iso(each.edited_at),
            "receipt": each.receipt,
            "queue": each.letter.queue,
            "job": each.letter.job,
            "attempts": each.letter.attempts,
            "error": each.letter.error or each.letter.error_class,
            "failed_at": iso(each.letter.failed_at),
            "envelope": each.letter.envelope.decode("utf-8", "backslashreplace"),
        }
        for each in found
    ]
