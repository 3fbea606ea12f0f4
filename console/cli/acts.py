"""`cronsole trigger | enqueue | pause | resume | cancel`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import click

from console.cli.common import json_option, seconds, with_ops
from console.cli.output import print_json, visible

if TYPE_CHECKING:
    from backends.ops import Ops

POLL_S = 0.25


@click.command("trigger")
@click.argument("job")
@click.option("--payload", metavar="JSON", help="A JSON object; default: the job's own payload.")
@click.option("--wait", is_flag=True, help="Wait for the end; exit 1 unless it succeeded.")
@json_option
def trigger_command(job: str, payload: str | None, wait: bool, as_json: bool) -> int:
    """Run a job now."""
    given = None if payload is None else _object(payload, "--payload")

    async def act(ops: Ops) -> tuple[str, str | None]:
        run_id = await ops.trigger(job, given)
        if not wait:
            return run_id, None
        if not as_json:
            click.echo(f"{run_id} is on its way", err=True)
        if not await ops.engines():
            click.echo("cronsole: waiting for an engine; start `cronsole engine -j jobs.toml`", err=True)
        while (outcome := await ops.final_outcome(run_id)) is None:  # noqa: ASYNC110 (it ends in another process)
            await asyncio.sleep(POLL_S)
        return run_id, outcome

    run_id, outcome = with_ops(act, need_postgres=wait)
    if as_json:
        print_json({"run_id": run_id, **({"outcome": outcome} if outcome else {})})
    else:
        click.echo(f"{run_id} {outcome}" if outcome else run_id)
    return 0 if outcome in (None, "succeeded") else 1


@click.command("enqueue")
@click.argument("queue")
@click.argument("job", metavar="TYPE")
@click.option("--payload", metavar="JSON", help="A JSON object; default: an empty one.")
@click.option("--file", "file", type=click.File("rb"), metavar="F.jsonl", help="One JSON object a line; '-': stdin.")
@json_option
def enqueue_command(queue: str, job: str, payload: str | None, file: IO[bytes] | None, as_json: bool) -> None:
    """Put runs of a declared job into a queue: one, or one a line of a file."""
    if payload is not None and file is not None:
        raise click.UsageError("--payload and --file exclude each other; give one of them")
    payloads = list(_lines(file)) if file is not None else [_object(payload or "{}", "--payload")]

    async def act(ops: Ops) -> list[str]:
        return await ops.enqueue(queue, job, payloads)

    ids = with_ops(act)
    if as_json:
        print_json({"enqueued": len(ids), "run_ids": ids})
    elif file is None:
        click.echo(ids[0])
    else:
        click.echo(f"{len(ids)} enqueued")


@click.command("pause")
@click.argument("target", metavar="queue:NAME|job:NAME")
@click.option("--note", default="", metavar="TEXT", help="Why; shown wherever the pause is.")
@click.option("--for", "for_s", type=seconds, metavar="DURATION", help="End by itself: 30m, 2h.")
@json_option
def pause_command(target: str, note: str, for_s: float | None, as_json: bool) -> None:
    """Hand out no more runs of a queue or a job; what runs goes on."""

    async def act(ops: Ops) -> None:
        await ops.pause(target, note, for_s)

    with_ops(act)
    if as_json:
        print_json({"target": target, "paused": True})
    else:
        click.echo(f"{visible(target)} is paused")


@click.command("resume")
@click.argument("target", metavar="queue:NAME|job:NAME")
@json_option
def resume_command(target: str, as_json: bool) -> None:
    """End a pause."""

    async def act(ops: Ops) -> bool:
        return await ops.resume(target)

    was = with_ops(act)
    if as_json:
        print_json({"target": target, "paused": False, "was_paused": was})
    else:
        click.echo(f"{visible(target)} goes on" if was else f"{visible(target)} was not paused")


@click.command("cancel")
@click.argument("run_id")
@json_option
def cancel_command(run_id: str, as_json: bool) -> None:
    """Cancel a run: at once if it has not started, else its engine ends it."""
    from backends.errors import BadInputError

    async def act(ops: Ops) -> str:
        return await ops.cancel(run_id)

    answer = with_ops(act)
    if answer == "unknown":
        raise BadInputError(
            f"no run {run_id[:60]!r} waits or runs", "`cronsole runs show` tells how a finished one ended"
        )
    if as_json:
        print_json({"run_id": run_id, "result": answer})
    else:
        click.echo("cancelled" if answer == "cancelled" else "it is running; its engine has been asked to end it")


def _object(text: str | bytes, where: str) -> dict[str, Any]:
    from backends.errors import BadInputError

    remedy = 'write a JSON object, as {"to": "ada@example.org"}'
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{where} is not JSON: {error}", remedy) from None
    if not isinstance(value, dict):
        raise BadInputError(f"{where} is not a JSON object", remedy)
    return value


def _lines(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            yield _object(line, f"line {number}")
