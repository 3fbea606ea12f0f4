"""`cronsole engine`."""

from __future__ import annotations

import click

from console.cli.common import seconds, writable_settings
from console.cli.output import visible


@click.command("engine")
@click.option(
    "-j", "--jobs", type=click.Path(), metavar="FILE", help="The job file; default: CRONSOLE_JOBS, else ./jobs.toml."
)
@click.option("--queues", metavar="A,B", default="", help="Serve only these queues.")
@click.option("--concurrency", type=click.IntRange(1, 10_000), help="Runs at once.  [default: 10]")
@click.option(
    "--grace", type=seconds("0s", "7d"), metavar="DURATION", help="Time to finish after SIGTERM.  [default: 30s]"
)
@click.option("--drain", is_flag=True, help="Leave when nothing is left to do.")
@click.option("--no-schedule", is_flag=True, help="Fire no schedules, only serve queues.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def engine_command(
    jobs: str | None,
    queues: str,
    concurrency: int | None,
    grace: float | None,
    drain: bool,
    no_schedule: bool,
    log_format: str,
) -> int:
    """Run jobs: schedules, queues, retries, history.

    SIGTERM: take nothing new, finish within the grace period, give back the rest. SIGHUP: read the job file again.
    """
    from pathlib import Path

    from backends.engine.service import DEFAULT_SLOTS, GRACE_S, EngineOptions, run_engine
    from backends.errors import BadInputError

    settings = writable_settings("run an engine", jobs)
    file = settings.jobs_file or Path("jobs.toml")
    if settings.jobs_file is None and not file.exists():
        raise BadInputError(
            f"there is no jobs.toml in {visible(str(Path.cwd()))}, and neither -j nor CRONSOLE_JOBS names a job file",
            "write one as docs/reference/jobs.md shows, or try `cronsole demo`",
        )
    options = EngineOptions(
        jobs=file,
        queues=tuple(name.strip() for name in queues.split(",") if name.strip()),
        slots=concurrency or DEFAULT_SLOTS,
        grace_s=GRACE_S if grace is None else grace,
        schedule=not no_schedule,
        drain=drain,
    )
    return run_engine(settings, options, log_format=log_format)
