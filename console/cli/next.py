"""`cronsole next`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from console.cli.common import current_settings, json_option, with_ops
from console.cli.output import print_json, visible, warn

if TYPE_CHECKING:
    from backends.jobs import JobSpec
    from backends.ops import Ops


@click.command("next")
@click.argument("expression", metavar="EXPR|JOB")
@click.option("-n", "count", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many fires.")
@click.option("--tz", metavar="ZONE", help="IANA time zone; default: UTC, or the job's own.")
@click.option("--from", "start", metavar="ISO", help="Count from this time; default: now.")
@json_option
def next_command(expression: str, count: int, tz: str | None, start: str | None, as_json: bool) -> int:
    """When does a cron expression ("0 3 * * *", @daily) or a job fire?

    A job is looked up in the job file (CRONSOLE_JOBS, ./jobs.toml), then among the published jobs.
    """
    from backends.schedule import parse, zone

    text = expression.strip()
    warnings: list[dict[str, str]] = []
    zone_name = tz
    if not (" " in text or text.startswith("@")):
        text, own = _of_job(text)
        zone_name = tz or own
    schedule = parse(text, zone_name or "UTC")
    local = zone(schedule.timezone)
    at = _start(start, local)
    fires: list[str] = []
    while len(fires) < count:
        found = schedule.after(at)
        if found is None:
            break
        fires.append(found.astimezone(local).isoformat())
        at = found
    if schedule.reboot:
        warnings.append({"code": "reboot", "message": "fires when an engine starts, at no time that is known before"})
    elif not fires:
        warnings.append({"code": "never", "message": "never fires"})
    if as_json:
        print_json(
            {
                "expression": schedule.expression,
                "description": schedule.describe(),
                "timezone": schedule.timezone,
                "warnings": warnings,
                "fires": fires,
            }
        )
        return 0
    click.echo(f"{visible(schedule.expression)}  {schedule.describe()}  ({schedule.timezone})")
    for fire in fires:
        when = datetime.fromisoformat(fire)
        click.echo(f"{when:%a} {fire}")
    warn(w["message"] for w in warnings)
    return 0


def _start(text: str | None, local: Any) -> datetime:
    from backends.errors import BadInputError

    if not text:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=local)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInputError(f"{text[:60]!r} is no time", "write 2026-11-23T03:00 or 2026-11-23T03:00+01:00") from error


def _of_job(name: str) -> tuple[str, str]:
    """The expression and time zone of a job."""
    from pathlib import Path

    from backends.errors import BadInputError, UnreachableError
    from backends.jobs import load

    async def ask(ops: Ops) -> JobSpec:
        return await ops.spec(name)

    settings = current_settings()
    path = settings.jobs_file or Path("jobs.toml")
    file = load(path) if settings.jobs_file or path.exists() else None
    spec = file.jobs.get(name) if file else None
    if file is not None and spec is None and settings.redis_url is None:
        spec = file.job(name)  # no servers are started for a slip of the fingers: this says which names there are
    if spec is None:
        try:
            spec = with_ops(ask)
        except (BadInputError, UnreachableError):
            if file is None:
                raise
            spec = file.job(name)
    if spec.schedule is None:
        raise BadInputError(f"the job '{name}' has no schedule", "it runs when it is triggered or enqueued")
    return spec.schedule, spec.timezone
