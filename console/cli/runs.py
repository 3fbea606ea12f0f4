"""`cronsole runs list | show | log | replay`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from console.cli.common import ListGroup, json_option, paging, when, with_ops
from console.cli.edit import Changes, changes, edited, tell_replay
from console.cli.log import log_command
from console.cli.originals import original_option, original_rows, originals_of, show_originals, tell_originals
from console.cli.output import clock, coloured, iso, print_json, span, table, visible, visible_lines

if TYPE_CHECKING:
    from backends.model import NewRuns, Page, RunRow
    from backends.ops import Ops
    from backends.ops.output import Original

OUTCOMES = ("succeeded", "failed", "timed_out", "cancelled", "lost", "skipped", "missed")


@click.group("runs", cls=ListGroup)
def runs_command() -> None:
    """Runs: list the finished ones, show, log, replay."""


runs_command.add_command(log_command)


@runs_command.command("list")
@paging
@click.option("--job", metavar="JOB", help="Only of this job.")
@click.option("--queue", metavar="QUEUE", help="Only of this queue.")
@click.option("--outcome", type=click.Choice(OUTCOMES), multiple=True, help="Only those that ended so; again for more.")
@click.option("--since", type=when, metavar="TIME", help="Only since then: an ISO time, or 2h, 7d.")
@json_option
def list_command(
    limit: int,
    cursor: str | None,
    job: str | None,
    queue: str | None,
    outcome: tuple[str, ...],
    since: datetime | None,
    as_json: bool,
) -> None:
    """Finished attempts, newest first."""

    async def ask(ops: Ops) -> Page[RunRow]:
        return await ops.runs(limit, cursor, job=job, queue=queue, outcomes=outcome, since=since)

    page = with_ops(ask)
    if as_json:
        print_json({"items": [run_row(r) for r in page.items], "next_cursor": page.next_cursor})
        return
    table(
        ("RUN", "TRY", "JOB", "QUEUE", "OUTCOME", "TRIGGER", "STARTED", "TOOK", "EXIT", "ERROR"),
        [
            (
                r.run_id,
                r.attempt,
                r.job,
                r.queue,
                r.outcome,
                r.trigger,
                clock(r.started_at),
                span(r.duration_ms / 1000) if r.duration_ms is not None else "",
                r.exit_code,
                r.error,
            )
            for r in page.items
        ],
        right=("TRY", "TOOK", "EXIT"),
        colour=("OUTCOME",),
        empty="no finished runs",
    )
    if page.next_cursor:
        click.echo(f"more: --cursor {page.next_cursor}", err=True)


@runs_command.command("show")
@click.argument("run_id")
@original_option
@json_option
def show_command(run_id: str, original: bool, as_json: bool) -> None:
    """All finished attempts of a run, with the tail of their output, and where it is now.

    Of a dead letter that was edited, and of the run that went in its place, also the original.
    """

    async def ask(ops: Ops) -> tuple[list[dict[str, Any]], str | None, Sequence[Original]]:
        return await ops.run_show(run_id), await ops.find(run_id), await originals_of(ops, run_id)

    attempts, where, originals = with_ops(ask)
    if as_json:
        rows = [{k: iso(v) if isinstance(v, datetime) else v for k, v in a.items()} for a in attempts]
        print_json({"run_id": run_id, "now": where, "attempts": rows, "originals": original_rows(originals)})
        return
    if original:
        show_originals(originals)
        return
    for attempt in attempts:
        click.echo(f"attempt {attempt['attempt']}: {coloured(visible(str(attempt['outcome'])))}")
        for key, value in attempt.items():
            if key in ("run_id", "attempt", "outcome", "output") or value is None:
                continue
            text = clock(value) if isinstance(value, datetime) else str(value)
            click.echo(f"  {key:<14}{visible(text)}")
        if attempt.get("output"):
            click.echo("  output:")
            for line in visible_lines(str(attempt["output"])).rstrip("\n").split("\n"):
                click.echo(f"    {line}")
    if where:
        click.echo(f"now: {where}")
    tell_originals(originals, run_id)


@runs_command.command("replay")
@click.argument("run_id")
@changes
@json_option
def replay_command(run_id: str, as_json: bool, **given: Any) -> None:
    """Run a past run again, also one that succeeded, as a new run: as it was, or with --set or --payload."""
    wish = Changes(**given)

    async def act(ops: Ops) -> NewRuns | None:
        ops.check_write("replay")
        payload = None
        if wish.sets or wish.payload is not None:
            payload = edited(await ops.run_envelope(run_id) or b"", run_id, wish)
            if payload is None:
                return None
        return await ops.replay(run_id, payload)

    new = with_ops(act, need_postgres=True)
    tell_replay(new, run_id, as_json=as_json)


def run_row(r: RunRow) -> dict[str, Any]:
    """An item of `runs list --json`."""
    return {
        "run_id": r.run_id,
        "attempt": r.attempt,
        "job": r.job,
        "queue": r.queue,
        "outcome": r.outcome,
        "trigger": r.trigger,
        "scheduled_for": iso(r.scheduled_for),
        "started_at": iso(r.started_at),
        "finished_at": iso(r.finished_at),
        "duration_ms": r.duration_ms,
        "worker": r.worker,
        "exit_code": r.exit_code,
        "error": r.error,
    }
