"""`cronsole check`."""

from __future__ import annotations

import click

from console.cli.common import current_settings, json_option
from console.cli.output import print_json, visible, warn


@click.command("check")
@click.argument("file", required=False, metavar="[jobs.toml]")
@json_option
def check_command(file: str | None, as_json: bool) -> int:
    """Validate a job file; shows every mistake, one a line, with file, line and key.

    Without FILE: CRONSOLE_JOBS, else ./jobs.toml.
    """
    from dataclasses import asdict
    from pathlib import Path

    from backends.jobs import JobFileError, load

    path = Path(file) if file else current_settings().jobs_file or Path("jobs.toml")
    try:
        found = load(path)
    except JobFileError as error:
        if as_json:
            print_json({"ok": False, "problems": [asdict(p) for p in error.problems], "warnings": []})
        else:
            for problem in error.problems:
                click.echo(visible(str(problem)), err=True)
        return error.exit_code
    scheduled = sum(job.schedule is not None for job in found.jobs.values())
    if as_json:
        print_json(
            {
                "ok": True,
                "jobs": len(found.jobs),
                "scheduled": scheduled,
                "queues": len(found.queues),
                "problems": [],
                "warnings": list(found.warnings),
            }
        )
        return 0
    warn(found.warnings)
    click.echo(
        f"{visible(str(path))}: OK, {_count(len(found.jobs), 'job')} ({scheduled} scheduled),"
        f" {_count(len(found.queues), 'queue')}, {_count(len(found.warnings), 'warning')}"
    )
    return 0


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")
