"""`cronsole backfill`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from console.cli.acting import can_ask, confirmed, hint
from console.cli.common import json_option, payload_object, with_ops
from console.cli.output import iso, print_json, table, visible
from console.cli.progress import telling

if TYPE_CHECKING:
    from backends.model import ActionResult
    from backends.ops import Ops
    from backends.ops.backfill import Backfill, PastFire

MOST = 10_000


def _instant(value: str) -> datetime:
    """An option's type: an ISO time; without an offset it stays naive and is read in the job's zone."""
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value[:60]!r} is no time; write 2026-11-23T03:00 or 2026-11-23T03:00+01:00"
        ) from None


@click.command("backfill")
@click.argument("job")
@click.option("--from", "start", type=_instant, required=True, metavar="ISO", help="The first instant.")
@click.option("--to", "end", type=_instant, required=True, metavar="ISO", help="The end, exclusive; in the past.")
@click.option(
    "--only",
    type=click.Choice(["missed", "skipped", "failed", "all"]),
    default="all",
    show_default=True,
    help="Only fires of which history says so.",
)
@click.option("--limit", type=click.IntRange(1, MOST), default=MOST, show_default=True, help="Refuse more fires.")
@click.option("--concurrency", type=click.IntRange(1, 1_000), default=1, show_default=True, help="Runs at once.")
@click.option("--payload", metavar="JSON", help="A JSON object; default: the job's own payload.")
@click.option("--again", is_flag=True, help="Also fires that were backfilled before.")
@click.option("--dry-run", is_flag=True, help="Only list the fires.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@json_option
def backfill_command(
    job: str,
    start: datetime,
    end: datetime,
    only: Any,
    limit: int,
    concurrency: int,
    payload: str | None,
    again: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Run a job for every fire of a past range, oldest first.

    Times without an offset are in the job's zone. The runs have the planned times of the fires and are told apart by
    their trigger, backfill. A fire is backfilled once, however often this is called, unless --again is given.
    """
    given = None if payload is None else payload_object(payload, "--payload")

    async def act(ops: Ops) -> tuple[Backfill, ActionResult | None]:
        from backends.ops.backfill import window_slot

        plan = await ops.backfill_plan(job, start, end, only, limit=limit, dry_run=dry_run)
        window_slot(plan.spec, concurrency)
        if dry_run:
            return plan, None
        if not _agreed(plan, again, yes):
            return plan, _nothing(plan)
        with telling() as tell:
            return plan, await ops.backfill(plan, given, concurrency=concurrency, again=again, progress=tell)

    plan, result = with_ops(act, need_postgres=True)
    if result is None:
        if as_json:
            _as_data(plan)
        else:
            _show(plan, again)
        return
    with hint(result.receipt):
        if as_json:
            print_json({"job": job, "matched": result.matched, "changed": result.changed, "receipt": result.receipt})
        else:
            passed = len(plan.fires) - plan.fresh
            told = f", {passed} were backfilled before (see --again)" if passed and not again else ""
            click.echo(f"{result.matched:,} matched, {result.changed:,} put into the queue{told}")


def _agreed(plan: Backfill, again: bool, yes: bool) -> bool:
    """Ask, in a terminal. Raises BadInputError where nobody can be asked and --yes was not given."""
    from backends.errors import BadInputError

    count = len(plan.fires) if again else plan.fresh
    if yes or not count:
        return bool(count)
    todo = [fire for fire in plan.fires if again or fire.backfill is None]
    words = f"{_fires(count)} of {visible(plan.spec.name)}, {_local(plan, todo[0])}"
    if count > 1:
        words += f" to {_local(plan, todo[-1])}"
    if not can_ask():
        raise BadInputError(words, "add --yes to run them, or --dry-run to only list them")
    if note := _beside(plan):
        click.echo(note, err=True)
    return confirmed(f"Run {words}?")


def _nothing(plan: Backfill) -> ActionResult:
    from backends.model import ActionResult

    return ActionResult(len(plan.fires), 0)


def _beside(plan: Backfill) -> str:
    """What the job's live fires do meanwhile."""
    from backends.model import Overlap

    return {
        Overlap.ALLOW: "",
        Overlap.REPLACE: "Live fires go on meanwhile, beside the backfill.",
        Overlap.QUEUE_ALL: "Meanwhile live fires wait until the backfill is done.",
    }.get(plan.spec.overlap, f"Meanwhile live fires are skipped (overlap = {plan.spec.overlap.value}).")


def _fires(count: int) -> str:
    return "1 fire" if count == 1 else f"{count:,} fires"


def _local(plan: Backfill, fire: PastFire) -> str:
    local = fire.planned.astimezone(plan.schedule.tz)
    return f"{local:%a %Y-%m-%d %H:%M} {local:%Z}"


def _as_data(plan: Backfill) -> None:
    print_json(
        {
            "job": plan.spec.name,
            "matched": len(plan.fires),
            "fires": [
                {
                    "planned": iso(fire.planned),
                    "result": fire.result.value if fire.result else None,
                    "outcome": fire.outcome,
                    "backfill": fire.backfill,
                }
                for fire in plan.fires
            ],
        }
    )


def _show(plan: Backfill, again: bool) -> None:
    table(
        ("TIME", "UTC", "FIRE", "BACKFILL"),
        [(_local(plan, fire), f"{fire.planned:%Y-%m-%d %H:%M}", _became(fire), fire.backfill) for fire in plan.fires],
        empty="no fire matches",
    )
    count = len(plan.fires) if again else plan.fresh
    before = len(plan.fires) - count
    click.echo(f"{_fires(count)} would run" + (f", {before:,} were backfilled before (see --again)" if before else ""))


def _became(fire: PastFire) -> str:
    """One cell: the outcome of a fired run, or the result with its reason."""
    if fire.result is None:
        return "no record"
    if fire.result.value == "fired":
        return fire.outcome or "fired"
    return f"{fire.result.value}: {fire.reason}" if fire.reason else fire.result.value
