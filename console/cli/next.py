"""`cronsole next`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

import click

from console.cli.common import current_settings, json_option, with_ops

if TYPE_CHECKING:
    from backends.jobs import JobSpec
    from backends.ops import Ops
    from backends.schedule import Schedule


@click.command("next")
@click.argument("words", metavar="EXPR|JOB", nargs=-1, required=True)
@click.option(
    "-j", "--jobs", type=click.Path(), metavar="FILE", help="The job file; default: CRONSOLE_JOBS, else ./jobs.toml."
)
@click.option(
    "-n", "--limit", "count", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many fires."
)
@click.option("--tz", "--timezone", metavar="ZONE", help="IANA time zone; default: UTC, or the job's own.")
@click.option("--from", "start", metavar="ISO", help="Count from this time, inclusive; default: now.")
@click.option("--prev", is_flag=True, help="The fires before that time instead, the newest first.")
@click.option("--compare", is_flag=True, help="What other schedulers would do, also when the clock changes.")
@json_option
def next_command(
    words: tuple[str, ...],
    jobs: str | None,
    count: int,
    tz: str | None,
    start: str | None,
    prev: bool,
    compare: bool,
    as_json: bool,
) -> int:
    """When does a cron expression ("0 3 * * *", @daily) or a job fire?

    Put the expression in quotes. A job is looked up in the job file, then among the published jobs. Times are in the
    schedule's zone and in UTC; fires that a change of the clock moved are marked.
    """
    from backends.schedule import parse, zone
    from backends.schedule.hints import hints
    from console.cli.preview import as_data, show

    text = _one(words)
    zone_name = tz
    if not _is_expression(text):
        text, own = _of_job(text, jobs)
        zone_name = tz or own
    schedule = parse(text, zone_name or "UTC")
    at = _start(start, zone(schedule.timezone))
    comparison = None
    if compare:
        from backends.schedule.compare import compare as elsewhere

        comparison = elsewhere(schedule, at)
    fires = _before(schedule, at, count) if prev else _from(schedule, at, count)
    (as_data if as_json else show)(schedule, hints(schedule, at), fires, comparison)
    return 0


def _one(words: tuple[str, ...]) -> str:
    """The one argument there may be. Raises BadInputError where the quotes were forgotten."""
    from backends.errors import BadInputError
    from backends.schedule import ScheduleError, parse

    if len(words) == 1:
        return words[0].strip()
    try:
        meant = parse(" ".join(words)).expression
    except ScheduleError:  # the shell has put the names of files in place of a *
        meant = "0 3 * * *"
    raise BadInputError("an expression is one argument", f'quote it: cronsole next "{meant}"')


def _is_expression(text: str) -> bool:
    """Whether it is no name of a job: it has several words or a *, or starts with @."""
    return not text or text[0] in "@*" or any(c.isspace() for c in text)


def _start(text: str | None, local: tzinfo) -> datetime:
    from backends.errors import BadInputError
    from backends.schedule.zones import FIRST_YEAR, LAST_YEAR

    if not text:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise BadInputError(
                f"{text[:60]!r} is beyond the calendar", f"it has the years {FIRST_YEAR} to {LAST_YEAR}"
            )
        return (at if at.tzinfo else at.replace(tzinfo=local)).astimezone(UTC)
    except ValueError as error:
        raise BadInputError(f"{text[:60]!r} is no time", "write 2026-11-23T03:00 or 2026-11-23T03:00+01:00") from error


def _from(schedule: Schedule, at: datetime, count: int) -> list[datetime]:
    """The first fires from `at` on, looked for in stretches that grow, from one fire to the next where it has none."""
    fires: list[datetime] = []
    found = schedule.after(at - timedelta(microseconds=1))
    length = timedelta(days=1)
    while found is not None and len(fires) < count:
        end = found + length
        fires += schedule.between(found, end, count - len(fires))
        found = schedule.after(end - timedelta(microseconds=1))
        length = min(length * 2, timedelta(days=3650))
    return fires


def _before(schedule: Schedule, at: datetime, count: int) -> list[datetime]:
    """The last fires before `at`, the newest first."""
    fires: list[datetime] = []
    found = schedule.before(at)
    length = timedelta(days=1)
    while found is not None and len(fires) < count:
        start = found - length
        stretch = schedule.between(start, found + timedelta(microseconds=1), limit=10**9)
        fires += reversed(stretch)
        found = schedule.before(start)
        length = min(length * 2, timedelta(days=3650))
    return fires[:count]


def _of_job(name: str, jobs: str | None) -> tuple[str, str]:
    """The expression and time zone of a job."""
    from pathlib import Path

    from backends.errors import BadInputError, UnreachableError
    from backends.jobs.load import load

    async def ask(ops: Ops) -> JobSpec:
        return await ops.spec(name)

    settings = current_settings(jobs)
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
