"""`cronsole dead list | show | groups | retry`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from console.cli.common import ListGroup, json_option, paging, strict_json, when, with_ops
from console.cli.output import clock, iso, print_json, table, visible, visible_lines, warn

if TYPE_CHECKING:
    from backends.model import ActionResult, DeadGroup, DeadLetter, Page
    from backends.ops import Ops, Selection

F = TypeVar("F", bound=Callable[..., Any])


def filters(function: F) -> F:
    """--queue, --job, --group, --error, --payload-text, --since, --until."""
    for option in (
        click.option("--until", type=when, metavar="TIME", help="Died before then."),
        click.option("--since", type=when, metavar="TIME", help="Died since then: an ISO time, or 2h, 7d."),
        click.option("--payload-text", "payload", default="", metavar="TEXT", help="The envelope contains this."),
        click.option("--error", default="", metavar="TEXT", help="The error contains this."),
        click.option("--group", default="", metavar="FP", help="Of this error group."),
        click.option("--job", default="", metavar="JOB", help="Of this job."),
        click.option("--queue", default="", metavar="QUEUE", help="Of this queue."),
    ):
        function = option(function)
    return function


def _selection(everything: bool = False, **conditions: Any) -> Selection:
    from backends.ops import Selection

    return Selection(everything=everything, **conditions)


@click.group("dead", cls=ListGroup)
def dead_command() -> None:
    """Dead letters: list, show, groups, retry."""


@dead_command.command("list")
@paging
@click.option("--newer", metavar="CURSOR", help="The page above this cursor, instead of the one below.")
@filters
@json_option
def list_command(limit: int, cursor: str | None, newer: str | None, as_json: bool, **conditions: Any) -> None:
    """Dead letters, newest first."""
    if cursor and newer:
        raise click.UsageError("--cursor and --newer exclude each other; give one of them")

    async def ask(ops: Ops) -> Page[DeadLetter]:
        return await ops.dead_list(limit, cursor, _selection(**conditions), newer=newer)

    page = with_ops(ask)
    if as_json:
        print_json({"items": [_row(d) for d in page.items], "total": page.total, "next_cursor": page.next_cursor})
        return
    table(
        ("ID", "QUEUE", "JOB", "TRIES", "DIED", "GROUP", "ERROR"),
        [(d.id, d.queue, d.job, d.attempts, clock(d.failed_at), d.group, _error(d)) for d in page.items],
        right=("TRIES",),
        empty="no dead letters",
    )
    if page.next_cursor:
        total = f" of {page.total}" if page.total is not None else ""
        click.echo(f"{len(page.items)}{total}; more: --{'newer' if newer else 'cursor'} {page.next_cursor}", err=True)


@dead_command.command("show")
@click.argument("run_id", metavar="ID")
@json_option
def show_command(run_id: str, as_json: bool) -> None:
    """One dead letter, with its envelope as it came in."""

    async def ask(ops: Ops) -> DeadLetter:
        return await ops.dead_show(run_id)

    letter = with_ops(ask)
    text = letter.envelope.decode("utf-8", "backslashreplace")
    if as_json:
        print_json({**_row(letter), "worker": letter.worker, "envelope": text})
        return
    for key, value in (
        ("id", letter.id),
        ("queue", letter.queue),
        ("job", letter.job),
        ("attempts", str(letter.attempts)),
        ("died", clock(letter.failed_at)),
        ("worker", letter.worker),
        ("group", letter.group),
    ):
        click.echo(f"{key:<10}{visible(value) or '-'}")
    click.echo(f"error     {visible_lines(_error(letter))}")
    click.echo(f"envelope  {visible_lines(text)}")


@dead_command.command("groups")
@click.option("--queue", default="", metavar="QUEUE", help="Of this queue.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@json_option
def groups_command(queue: str, limit: int, as_json: bool) -> None:
    """Dead letters by error, the largest group first."""

    async def ask(ops: Ops) -> list[DeadGroup]:
        return await ops.dead_groups(queue, limit)

    found = with_ops(ask)
    if as_json:
        print_json(
            [
                {
                    "group": g.group,
                    "queue": g.queue,
                    "job": g.job,
                    "error_class": g.error_class,
                    "error": g.error,
                    "count": g.count,
                    "first_failed_at": iso(g.first_failed_at),
                    "last_failed_at": iso(g.last_failed_at),
                }
                for g in found
            ]
        )
        return
    table(
        ("GROUP", "COUNT", "QUEUE", "JOB", "FIRST", "LAST", "ERROR"),
        [
            (g.group, g.count, g.queue, g.job, clock(g.first_failed_at), clock(g.last_failed_at),
             f"{g.error_class}: {g.error}")
            for g in found
        ],
        right=("COUNT",),
        empty="no dead letters",
    )  # fmt: skip


@dead_command.command("retry")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filters
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@json_option
def retry_command(
    ids: tuple[str, ...], everything: bool, dry_run: bool, yes: bool, as_json: bool, **conditions: Any
) -> None:
    """Put dead letters back into their queues, by id or by selection, with a fresh retry budget.

    A selection is counted first and asked about in a terminal; without a terminal it needs --yes.
    """
    from backends.errors import BadInputError

    selection = _selection(everything, **conditions)
    if ids and not selection.empty:
        raise click.UsageError("ids and a selection exclude each other; give one of them")
    chosen: Any = list(ids) or selection

    async def act(ops: Ops) -> ActionResult:
        if dry_run or ids or yes:
            return await ops.dead_retry(chosen, dry_run=dry_run)
        frozen = await ops.freeze(selection)
        count = (await ops.dead_retry(frozen, dry_run=True)).matched
        if count and not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise BadInputError(
                f"{count} dead letter{'s match' if count > 1 else ' matches'}",
                "add --yes to retry them, or --dry-run to only count",
            )
        if not count or not click.confirm(f"Retry {count} dead letter{'s' if count > 1 else ''}?", err=True):
            from backends.model import ActionResult

            return ActionResult(count, 0)
        return await ops.dead_retry(frozen)

    result = with_ops(act)
    if ids and not result.matched:
        raise BadInputError(
            "no dead letter has that id" if len(ids) == 1 else "no dead letter has one of those ids",
            "`cronsole dead list` lists them",
        )
    if (missing := len(set(ids)) - result.matched) > 0:
        warn([f"{missing} of {len(set(ids))} ids are no dead letters (any more)"])
    if as_json:
        print_json({"matched": result.matched, "changed": result.changed, "receipt": result.receipt})
    elif not result.matched:
        click.echo("no dead letter matches")
    else:
        click.echo(f"{result.matched} matched, {result.changed} put back" + (" (dry run)" if dry_run else ""))


def _error(letter: DeadLetter) -> str:
    return f"{letter.error_class}: {letter.error}" if letter.error else letter.error_class


def _row(d: DeadLetter) -> dict[str, Any]:
    return {
        "id": d.id,
        "queue": d.queue,
        "job": d.job,
        "attempts": d.attempts,
        "error": _error(d),
        "failed_at": iso(d.failed_at),
        "payload": _payload(d.envelope),
        "group": d.group,
    }


def _payload(envelope: bytes) -> Any:
    """The payload of an envelope; the raw text where it is none."""
    try:
        found = strict_json(envelope)
        return found.get("payload", {}) if isinstance(found, dict) else found
    except ValueError:
        return envelope.decode("utf-8", "backslashreplace")
