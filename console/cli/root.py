"""The root command: names and one-line helps of all commands; a command's module is imported when it is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from console.cli.given import checked
from console.cli.streams import NO_READER, NOT_PRINTED, lost_output, need_output, watched

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Embedded servers, an engine, sample jobs and the console."),
    "engine": ("engine", "Run jobs: schedules, queues, retries, history."),
    "check": ("check", "Validate a job file; shows every mistake."),
    "next": ("next", "When does an expression or a job fire?"),
    "jobs": ("looks", "List the jobs with their next fire and last run."),
    "queues": ("looks", "List the queues with their depths."),
    "workers": ("looks", "List the engines that are alive."),
    "status": ("looks", "The truth about both servers, engines and totals."),
    "contexts": ("contexts", "List the contexts of the configuration file; which one is current."),
    "runs": ("runs", "Runs: list the finished ones, show, log, replay."),
    "dead": ("dead", "Dead letters: list, show, groups, retry, purge, edit."),
    "trigger": ("acts", "Run a job now."),
    "backfill": ("backfill", "Run a job for every fire of a past range."),
    "enqueue": ("acts", "Put runs of a job into a queue."),
    "pause": ("acts", "Hand out no more runs of a queue or a job."),
    "resume": ("acts", "End a pause."),
    "cancel": ("acts", "Cancel a run that waits or runs."),
    "undo": ("operations", "Take an operation back by its receipt."),
    "ops": ("operations", "Operations: those that can be taken back or gone on with; resume, stop."),
    "bump": ("moving", "Put a queued run in front of all others."),
    "move": ("moving", "Move queued runs to another queue."),
    "why": ("why", "Why does a run not run? Its place, and what holds it there."),
    "audit": ("audit", "Who did what, newest first."),
}


UNREAD = ("engine",)
"""Commands that print nothing: they may be started without a standard output."""


class LazyGroup(click.Group):
    """A group whose commands are modules: listing and completing them imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        return checked(getattr(import_module(f"console.cli.{COMMANDS[cmd_name][0]}"), f"{cmd_name}_command"))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; an unknown name is answered with the nearest."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean '{close[0]}'?" if close else "see `cronsole --help`"
            ctx.fail(f"no command {args[0][:60]!r}; {hint}")
        if args and args[0] not in UNREAD:
            need_output()
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--context", metavar="NAME", help="Which servers: a context of config.toml (or CRONSOLE_CONTEXT).")
@click.option("--read-only", is_flag=True, help="Refuse everything that changes something (or CRONSOLE_READ_ONLY=1).")
@click.option("--version", is_flag=True, help="Show the version and exit.")
@click.pass_context
def root(ctx: click.Context, context: str | None, read_only: bool, version: bool) -> int:
    """Everything that runs on a schedule or from a queue, in one console.

    Without a command: the console. Servers come from the context, or from CRONSOLE_REDIS_URL and CRONSOLE_POSTGRES_URL;
    where one is not set, a private embedded server is started. Exit codes: 0 done, 1 it ran and failed, 2 bad input,
    3 a server can't be reached, 4 refused.
    """
    if version:
        from backends import __version__

        click.echo(f"cronsole {__version__}")
        return 0
    if ctx.invoked_subcommand is None:
        from console.cli.screen import open_console

        return open_console(context, read_only=read_only)
    return 0


checked(root)


def run(argv: Sequence[str]) -> int:
    """Run one command line; returns the exit code. Errors become one line on stderr."""
    with watched():
        try:
            code: Any = root.main(list(argv), prog_name="cronsole", standalone_mode=False)
            sys.stdout.flush()
            return code if isinstance(code, int) else 0
        except BaseException as error:
            return failed(error)


def failed(error: BaseException) -> int:
    """The exit code of a command that ended so, after one line about it; with CRONSOLE_DEBUG, its traceback."""
    debug = os.environ.get("CRONSOLE_DEBUG", "") not in ("", "0")
    if debug and not isinstance(error, click.ClickException | click.exceptions.Exit):
        raise error
    return explain(error)


def explain(error: BaseException) -> int:
    """Print what went wrong as one line; returns the exit code. What is no error of a command line is raised again."""
    from backends.errors import CronsoleError

    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message())
            return 2
        case click.ClickException():
            context = getattr(error, "ctx", None)
            path = context.command_path if context else "cronsole"
            text = error.format_message().rstrip(".")
            _complain(text if "; " in text else f"{text}; see `{path} --help`")
            return 2
        case CronsoleError():
            _complain(str(error))
            return error.exit_code
        case KeyboardInterrupt() | click.Abort():  # click has ended the line for both
            return 130
        case OSError() | SystemExit() if (lost := lost_output()) is not None:
            if isinstance(lost, BrokenPipeError):  # the reader has left (`| head`): nothing to say
                return NO_READER
            _complain(f"standard output takes nothing: {lost.strerror}; what was to be done is done")
            return NOT_PRINTED
        case Exception():
            _complain(
                f"{type(error).__name__}: {error}".rstrip(": ")
                + "; this is a bug: run it again with CRONSOLE_DEBUG=1 for the traceback"
            )
            return 1
    raise error


def _complain(text: str) -> None:
    from console.cli.output import visible

    click.echo(f"cronsole: {visible(' '.join(text.split()))}", err=True)
