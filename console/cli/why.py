"""`cronsole why`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict

from console.cli.common import json_option, with_ops
from console.cli.output import print_json, visible

if TYPE_CHECKING:
    from backends.ops import Ops, Why


@click.command("why")
@click.argument("run_id")
@json_option
def why_command(run_id: str, as_json: bool) -> None:
    """Where a run is, and why it does not run."""

    async def ask(ops: Ops) -> Why:
        return await ops.why(run_id)

    found = with_ops(ask)
    if as_json:
        place = {k: v for k, v in asdict(found.place).items() if v not in (None, "")} if found.place else None
        print_json({"run_id": run_id, "place": place, "reasons": list(found.reasons)})
        return
    if found.place:
        what = f"attempt {found.place.attempt} of {found.place.job}" if found.place.job else "it"
        click.echo(visible(f"{what} is {found.place.state} in the queue {found.place.queue}"))
    for reason in found.reasons:
        click.echo(f"  {visible(reason)}" if found.place else visible(reason))
