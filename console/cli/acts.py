"""`cronsole trigger | enqueue | pause | resume | cancel`."""

from __future__ import annotations

import asyncio
from typing import IO, TYPE_CHECKING

import click

from console.cli.acting import hint
from console.cli.common import json_option, payload_object, seconds, with_ops
from console.cli.output import coloured, print_json, visible, warn

if TYPE_CHECKING:
    from backends.model import ActionResult, NewRuns
    from backends.ops import Ops

POLL_S = 0.25


@click.command("trigger")
@click.argument("job")
@click.option("--payload", metavar="JSON", help="A JSON object; default: the job's own payload.")
@click.option("--wait", is_flag=True, help="Wait for the end; exit 1 unless it succeeded.")
@json_option
def trigger_command(job: str, payload: str | None, wait: bool, as_json: bool) -> int:
    """Run a job now."""
    given = None if payload is None else payload_object(payload, "--payload")

    async def act(ops: Ops) -> tuple[NewRuns, str | None]:
        new = await ops.trigger(job, given)
        if not wait:
            return new, None
        click.echo(f"{new.run_id} is on its way", err=True)
        if not await ops.engines():
            click.echo("cronsole: waiting for an engine; start `cronsole engine -j jobs.toml`", err=True)
        return new, await _outcome(ops, new.run_id)

    new, outcome = with_ops(act, need_postgres=wait)
    with hint(None if wait else new.receipt):
        if as_json:
            print_json({"run_id": new.run_id, **({"outcome": outcome} if outcome else {"receipt": new.receipt})})
        else:
            click.echo(f"{new.run_id} {coloured(outcome)}" if outcome else new.run_id)
    return 0 if outcome in (None, "succeeded") else 1


async def _outcome(ops: Ops, run_id: str) -> str:
    """Poll until a run has ended. A server that goes away meanwhile is told of once and waited for: the run goes on."""
    from backends.errors import UnreachableError
    from backends.ops.talk import stop_if_cancelled

    told = False
    while True:
        stop_if_cancelled()
        try:
            outcome = await ops.final_outcome(run_id)
            told = False
            if outcome is not None:
                return outcome
        except UnreachableError as error:
            if not told:
                warn([f"still waiting for {run_id}: {error}"])
            told = True
        await asyncio.sleep(POLL_S)


@click.command("enqueue")
@click.argument("queue")
@click.argument("job", metavar="TYPE")
@click.option("--payload", metavar="JSON", help="A JSON object; default: an empty one.")
@click.option("--file", "file", type=click.File("rb"), metavar="F.jsonl", help="One JSON object a line; '-': stdin.")
@json_option
def enqueue_command(queue: str, job: str, payload: str | None, file: IO[bytes] | None, as_json: bool) -> None:
    """Put runs of a declared job into a queue: one, or one a line of a file.

    Of a file, the first 50,000 lines are all checked before anything is put in.
    """
    from backends.errors import BadInputError
    from console.cli.jsonl import Payloads

    if payload is not None and file is not None:
        raise click.UsageError("--payload and --file exclude each other; give one of them")
    lines = None if file is None else Payloads(file)
    payloads = [payload_object(payload or "{}", "--payload")] if lines is None else lines

    async def act(ops: Ops) -> NewRuns:
        return await ops.enqueue(queue, job, payloads)

    try:
        new = with_ops(act)
    except BadInputError as error:
        if lines is None or not lines.line:
            raise
        raise BadInputError(f"line {lines.line}: {error.message}", error.remedy) from error
    ids = new.run_ids
    with hint(new.receipt):
        if as_json:
            print_json({"enqueued": len(ids), "run_ids": list(ids), "receipt": new.receipt or None})
        elif file is None:
            click.echo(ids[0])
        else:
            click.echo(f"{len(ids):,} enqueued")


@click.command("pause")
@click.argument("target", metavar="queue:NAME|job:NAME")
@click.option("--note", default="", metavar="TEXT", help="Why; shown wherever the pause is.")
@click.option("--for", "for_s", type=seconds("1s", "3660d"), metavar="DURATION", help="End by itself: 30m, 2h.")
@json_option
def pause_command(target: str, note: str, for_s: float | None, as_json: bool) -> None:
    """Hand out no more runs of a queue or a job; what runs goes on."""

    async def act(ops: Ops) -> ActionResult:
        return await ops.pause(target, note, for_s)

    result = with_ops(act)
    with hint(result.receipt):
        if as_json:
            print_json({"target": target, "paused": True, "receipt": result.receipt})
        else:
            click.echo(f"{visible(target)} is paused")


@click.command("resume")
@click.argument("target", metavar="queue:NAME|job:NAME")
@json_option
def resume_command(target: str, as_json: bool) -> None:
    """End a pause."""

    async def act(ops: Ops) -> ActionResult:
        return await ops.resume(target)

    result = with_ops(act)
    was = bool(result.changed)
    with hint(result.receipt):
        if as_json:
            print_json({"target": target, "paused": False, "was_paused": was, "receipt": result.receipt})
        else:
            click.echo(f"{visible(target)} goes on" if was else f"{visible(target)} was not paused")


@click.command("cancel")
@click.argument("run_id")
@json_option
def cancel_command(run_id: str, as_json: bool) -> None:
    """Cancel a run: at once if it has not started, else its engine ends it."""
    from backends.errors import BadInputError

    async def act(ops: Ops) -> ActionResult:
        return await ops.cancel(run_id)

    result = with_ops(act)
    answer = result.note
    if answer == "unknown":
        raise BadInputError(
            f"no run {run_id[:60]!r} waits or runs", "`cronsole runs show` tells how a finished one ended"
        )
    with hint(result.receipt):
        if as_json:
            print_json({"run_id": run_id, "result": answer, "receipt": result.receipt})
        else:
            click.echo("cancelled" if answer == "cancelled" else "it is running; its engine has been asked to end it")
