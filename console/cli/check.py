"""`cronsole check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from console.cli.common import current_settings, json_option
from console.cli.output import print_json, visible, warn

if TYPE_CHECKING:
    from backends.jobs import JobFile


@click.command("check")
@click.argument("file", type=click.Path(), required=False, metavar="[jobs.toml]")
@json_option
def check_command(file: str | None, as_json: bool) -> int:
    """Validate a job file; shows every mistake, one a line, with file, line and key.

    Also what may surprise about its schedules. Without FILE: CRONSOLE_JOBS, else ./jobs.toml.
    """
    from dataclasses import asdict
    from pathlib import Path

    from backends.jobs import JobFileError
    from backends.jobs.load import load

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
    surprises = _hints(found)
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
                "hints": surprises,
            }
        )
        return 0
    warn([*found.warnings, *(f"{_where(hint)}: {hint['message']} ({hint['code']})" for hint in surprises)])
    click.echo(
        f"{visible(str(path))}: OK, {_count(len(found.jobs), 'job')} ({scheduled} scheduled),"
        f" {_count(len(found.queues), 'queue')}, {_count(len(found.warnings) + len(surprises), 'warning')}"
    )
    return 0


def _hints(file: JobFile) -> list[dict[str, str | None]]:
    """What may surprise about the schedules of the file, job by job; `job` is None for what concerns many."""
    from datetime import UTC, datetime

    from backends.schedule import parse
    from backends.schedule.hints import herd, hints

    now = datetime.now(UTC)
    jobs = {name: job for name, job in file.jobs.items() if job.schedule is not None}
    schedules = {name: parse(job.schedule or "", job.timezone) for name, job in jobs.items()}
    found: list[dict[str, str | None]] = [
        {"job": name, "code": hint.code, "message": hint.message}
        for name, schedule in schedules.items()
        for hint in ([] if schedule.reboot else hints(schedule, now))
    ]
    together = herd({name: schedules[name] for name, job in jobs.items() if not job.jitter_s}, now)
    if together is not None:
        found.append({"job": None, "code": together.code, "message": together.message})
    return found


def _where(hint: dict[str, str | None]) -> str:
    return "jobs" if hint["job"] is None else f"job {hint['job']}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")
