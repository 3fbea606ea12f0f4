"""`cronsole dead list | show | groups | retry | purge | edit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from console.cli.common import ListGroup, json_option, paging, strict_json, with_ops
from console.cli.dead_acts import edit_command, purge_command, retry_command
from console.cli.dead_select import filters, selection_of
from console.cli.originals import original_option, original_rows, originals_of, show_originals, tell_originals
from console.cli.output import clock, iso, print_json, table, visible, visible_lines
from console.error_words import names_itself

if TYPE_CHECKING:
    from backends.model import DeadGroup, DeadLetter, Page
    from backends.ops import Ops
    from backends.ops.output import Original


@click.group("dead", cls=ListGroup)
def dead_command() -> None:
    """Dead letters: list, show, groups, retry, purge, edit."""


for _command in (retry_command, purge_command, edit_command):
    dead_command.add_command(_command)


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
        return await ops.dead_list(limit, cursor, selection_of(**conditions), newer=newer)

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
        total = f" of {page.total:,}" if page.total is not None else ""
        click.echo(f"{len(page.items):,}{total}; more: --{'newer' if newer else 'cursor'} {page.next_cursor}", err=True)


@dead_command.command("show")
@click.argument("run_id", metavar="ID")
@original_option
@json_option
def show_command(run_id: str, original: bool, as_json: bool) -> None:
    """One dead letter, with its envelope as it came in; of one that was edited before, also the original."""

    async def ask(ops: Ops) -> tuple[DeadLetter, Sequence[Original]]:
        return await ops.dead_show(run_id), await originals_of(ops, run_id)

    letter, originals = with_ops(ask)
    text = letter.envelope.decode("utf-8", "backslashreplace")
    if as_json:
        row = {**_row(letter), "worker": letter.worker, "envelope": text}
        print_json({**row, "originals": original_rows(originals)})
        return
    if original:
        show_originals(originals)
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
    tell_originals(originals, run_id)


@dead_command.command("groups")
@click.option("--queue", default="", metavar="QUEUE", help="Of this queue.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@json_option
def groups_command(queue: str, limit: int, as_json: bool) -> None:
    """Dead letters by error, the largest group first."""

    async def ask(ops: Ops) -> Sequence[DeadGroup]:
        return (await ops.dead_group_page(limit, queue)).items

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
            (g.group, f"{g.count:,}", g.queue, g.job, clock(g.first_failed_at), clock(g.last_failed_at), _error(g))
            for g in found
        ],
        right=("COUNT",),
        empty="no dead letters",
    )  # fmt: skip


def _error(of: DeadLetter | DeadGroup) -> str:
    """The error, after its class where the text does not say that."""
    if not of.error or names_itself(of.error, of.error_class):
        return of.error or of.error_class
    return f"{of.error_class}: {of.error}"


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
