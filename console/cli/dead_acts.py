"""`cronsole dead retry | purge | edit`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from console.cli.acting import agreed, hint, rate
from console.cli.common import json_option, seconds, with_ops
from console.cli.dead_select import filters, selection_of
from console.cli.edit import Changes, changes, edited, tell_replay
from console.cli.output import print_json, warn
from console.cli.progress import telling

if TYPE_CHECKING:
    from backends.model import ActionResult, NewRuns
    from backends.ops import Ops, Tell

Act = Callable[["Ops", Any, bool, "Tell | None"], Awaitable["ActionResult"]]


def _bulk(function: Any) -> Any:
    for option in (
        json_option,
        click.option("--yes", "-y", is_flag=True, help="Don't ask."),
        click.option("--dry-run", is_flag=True, help="Only count."),
        click.option("--all", "everything", is_flag=True, help="All dead letters."),
        filters,
        click.argument("ids", nargs=-1, metavar="[ID]..."),
    ):
        function = option(function)
    return function


@click.command("retry")
@_bulk
@click.option("--rate", "a_second", type=rate, metavar="N/s", help="So many start a second: 50/s, 300/m.")
@click.option("--hold", "hold_s", type=seconds("0s", "24h"), default="5s", show_default=True, metavar="DURATION",
              help="They start so much later: time to take it back.")  # fmt: skip
def retry_command(a_second: float | None, hold_s: float, **given: Any) -> None:
    """Put dead letters back into their queues, by id or by selection, with a fresh retry budget.

    What is meant is counted first and asked about in a terminal; without a terminal it needs --yes. The oldest go
    first. Ctrl-C stops between two steps and says how to go on.
    """

    async def retry(ops: Ops, chosen: Any, dry_run: bool, tell: Tell | None) -> ActionResult:
        return await ops.dead_retry(chosen, dry_run=dry_run, rate=a_second, hold_s=hold_s, progress=tell)

    _act("retry", "put back", retry, **given)


@click.command("purge")
@_bulk
def purge_command(**given: Any) -> None:
    """Take dead letters away, by id or by selection; for a week `cronsole undo` brings them back.

    What is meant is counted first and asked about in a terminal; without a terminal it needs --yes. All of a queue goes
    in one step, however much lies there.
    """

    async def purge(ops: Ops, chosen: Any, dry_run: bool, tell: Tell | None) -> ActionResult:
        return await ops.dead_purge(chosen, dry_run=dry_run, progress=tell)

    _act("purge", "purged", purge, **given)


def _act(
    verb: str,
    done: str,
    act: Act,
    ids: tuple[str, ...],
    everything: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **conditions: Any,
) -> None:
    from backends.errors import BadInputError
    from backends.model import ActionResult

    selection = selection_of(everything, **conditions)
    if ids and not selection.empty:
        raise click.UsageError("ids and a selection exclude each other; give one of them")
    wanted = list(dict.fromkeys(ids))

    count = 0

    async def run(ops: Ops) -> ActionResult | None:
        nonlocal count
        with telling() as tell:
            if dry_run:
                return await act(ops, wanted or selection, True, tell)
            if not wanted:
                ops.check_write(f"{verb} dead letters")
                frozen = await ops.freeze(selection)
                with telling("counting: ") as count_tell:
                    count = await ops.dead_count(frozen, count_tell)
                whole = (selection.queue or "all") if selection.whole else ""
                chosen: Any = replace(frozen, counted=count)
            else:
                count, whole, chosen = len(wanted), "", wanted
            if not agreed(verb, count, "dead letter", whole, yes):
                return ActionResult(0, 0) if not count else None
            return await act(ops, chosen, False, tell)

    answer = with_ops(run)
    result = answer or ActionResult(count, 0)
    if ids and not result.matched:
        raise BadInputError(
            "no dead letter has that id" if len(wanted) == 1 else "no dead letter has one of those ids",
            "`cronsole dead list` lists them",
        )
    if (missing := len(wanted) - result.matched) > 0:
        warn([f"{missing} of {len(wanted)} ids are no dead letters (any more)"])
    with hint(result.receipt, result.note):
        if as_json:
            print_json({"matched": result.matched, "changed": result.changed, "receipt": result.receipt})
        elif answer is None:
            click.echo("nothing was done")
        elif not result.matched:
            click.echo("no dead letter matches")
        else:
            click.echo(f"{result.matched:,} matched, {result.changed:,} {done}" + (" (dry run)" if dry_run else ""))


@click.command("edit")
@click.argument("run_id", metavar="ID")
@changes
@click.option("--hold", "hold_s", type=seconds("0s", "24h"), default="5s", show_default=True, metavar="DURATION",
              help="It starts so much later: time to take it back.")  # fmt: skip
@json_option
def edit_command(run_id: str, hold_s: float, as_json: bool, **given: Any) -> None:
    """Run a dead letter again with another payload, as a new run; the letter leaves the list.

    Without --set and --payload the payload is opened in $EDITOR. What differs is shown and asked about in a terminal.
    It is refused if the letter was retried, purged or died again meanwhile.
    """
    wish = Changes(**given)

    async def act(ops: Ops) -> NewRuns | None:
        ops.check_write("replay a dead letter")
        letter = await ops.dead_show(run_id)
        payload = edited(letter.envelope, letter.job, wish)
        return None if payload is None else await ops.dead_replay(letter, payload, hold_s=hold_s)

    new = with_ops(act)
    tell_replay(new, run_id, as_json=as_json)
