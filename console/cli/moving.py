"""`cronsole bump | move`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from console.cli.acting import hint
from console.cli.common import json_option, with_ops
from console.cli.output import print_json, visible

if TYPE_CHECKING:
    from backends.model import ActionResult
    from backends.ops import Ops


@click.command("bump")
@click.argument("run_id")
@json_option
def bump_command(run_id: str, as_json: bool) -> None:
    """Put a run that has not started in front of all others of its queue; one that is planned for later is due now."""

    async def act(ops: Ops) -> ActionResult:
        return await ops.bump(run_id)

    result = with_ops(act)
    with hint(result.receipt, result.note):
        if as_json:
            print_json({"run_id": run_id, "receipt": result.receipt})
        else:
            click.echo("it is in front")


@click.command("move")
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID...")
@click.option("--to", "to_queue", required=True, metavar="QUEUE", help="Where they go.")
@json_option
def move_command(run_ids: tuple[str, ...], to_queue: str, as_json: bool) -> None:
    """Move runs that have not started to another queue."""

    async def act(ops: Ops) -> ActionResult:
        return await ops.move(run_ids, to_queue)

    result = with_ops(act)
    with hint(result.receipt, result.note):
        if as_json:
            print_json({"matched": result.matched, "changed": result.changed, "receipt": result.receipt})
        else:
            click.echo(f"{result.changed:,} of {result.matched:,} moved to {visible(to_queue)}")
