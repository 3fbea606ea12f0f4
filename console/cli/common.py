"""What several commands share: settings, connections, time and paging options."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from console.cli.output import warn

if TYPE_CHECKING:
    from backends.connect import Settings
    from backends.ops import Ops

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class ListGroup(click.Group):
    """A group whose `list` runs when no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`dead --json` is `dead list --json`."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def paging(function: F) -> F:
    """--limit and --cursor."""
    function = click.option("--cursor", metavar="CURSOR", help="Go on from `next_cursor` of the page before.")(function)
    return click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)(function)


def current_settings(jobs: str | None = None, *, contexts: bool = True) -> Settings:
    """The settings of this command line: of its context, read-only if `cronsole --read-only` says so.

    Without `contexts`: of the variables alone.
    """
    from backends.contexts import context_settings
    from backends.contexts import current_settings as settings_of

    given = click.get_current_context().find_root().params
    read_only = bool(given.get("read_only"))
    if not contexts:
        return context_settings(None, jobs=jobs, read_only=read_only)
    return settings_of(given.get("context"), jobs=jobs, read_only=read_only)


def writable_settings(what: str, jobs: str | None = None, *, contexts: bool = True) -> Settings:
    """`current_settings` for a command that changes things beyond Ops. Raises RefusedError where that is forbidden."""
    from backends.ops.acts import refuse

    settings = current_settings(jobs, contexts=contexts)
    if settings.read_only:
        raise refuse(what)
    return settings


def strict_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError; NaN, 1e999 and lone surrogates are errors, never something else."""
    import msgspec

    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def payload_object(text: str | bytes, where: str) -> dict[str, Any]:
    """A payload: a JSON object. `where` names it in the BadInputError that anything else is."""
    from backends.errors import BadInputError

    remedy = 'write a JSON object, as {"to": "ada@example.org"}'
    try:
        value = strict_json(text)
    except ValueError as error:
        raise BadInputError(f"{where} is not JSON: {error}", remedy) from None
    if not isinstance(value, dict):
        raise BadInputError(f"{where} is not a JSON object", remedy)
    return value


def with_ops(action: Callable[[Ops], Coroutine[Any, Any, T]], *, need_postgres: bool = False) -> T:
    """Run `action` with an open Ops; its warnings go to stderr afterwards.

    An interrupt that comes when it has done its work does not hide what it did.
    """
    import asyncio

    from backends.ops import Ops
    from backends.ops.talk import stop_if_cancelled
    from console.cli.interrupts import interruptible

    settings = current_settings()

    found: list[T] = []

    async def act() -> None:
        with interruptible():
            async with Ops.open(settings, role="cli", need_postgres=need_postgres) as ops:
                try:
                    stop_if_cancelled()  # it may have got lost while connections were opened
                    found.append(await action(ops))
                finally:
                    warn(ops.warnings)

    try:
        asyncio.run(act())
    except KeyboardInterrupt:
        if not found:
            raise
    return found[0]


def when(value: str) -> datetime:
    """An option's type: an ISO time (without an offset: local time) or how long ago ("2h", "7d"); as UTC."""
    from backends.jobs.words import duration

    try:
        return datetime.now(UTC) - timedelta(seconds=duration(value))
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value[:60]!r} is no time; write 2026-11-23T03:00 or 2h") from None
    if at.year < 1970:  # where the times of run ids begin
        raise click.BadParameter(f"{value[:60]!r} is before 1970; leave it out, or give a later time")
    return at


def seconds(least: str, most: str) -> Callable[[str], float]:
    """An option's type: "30s", "10m", "1h30m" or a number of seconds, within these bounds."""

    def length(value: str) -> float:
        from backends.jobs.words import DURATION_HINT, duration

        try:
            found = duration(float(value) if value.replace(".", "", 1).isdecimal() else value)
        except ValueError as error:
            raise click.BadParameter(f"{error}; {DURATION_HINT}, from {least} to {most}") from None
        if not duration(least) <= found <= duration(most):
            raise click.BadParameter(
                f"{value[:60]!r} is too {'short' if found < duration(least) else 'long'}; give {least} to {most}"
            )
        return found

    return length
