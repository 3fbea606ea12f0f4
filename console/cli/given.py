"""What no command takes: an empty value where one was to be given, and text that is no UTF-8."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

MAY_BE_EMPTY = {"note"}
"""Parameters of which an empty value says something."""


def checked(command: click.Command) -> click.Command:
    """The command; all its text parameters, and those of its subcommands, refuse what none of them can mean."""
    for each in (command, *(command.commands.values() if isinstance(command, click.Group) else ())):
        for param in each.params:
            param.callback = _check
    return command


def _check(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Raise UsageError. An unset variable in a script would else widen what is meant: no --group is every group."""
    if ctx.get_parameter_source(param.name or "") is not ParameterSource.DEFAULT:
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str):
                _check_text(ctx, param, text)
    return value


def _check_text(ctx: click.Context, param: click.Parameter, text: str) -> None:
    option = isinstance(param, click.Option)
    name = max(param.opts, key=len) if option else f"the argument {param.make_metavar(ctx).strip('[].')}"
    if not text and param.name not in MAY_BE_EMPTY:
        remedy = "give it a value" if param.required or not option else "give it a value, or leave it out"
        raise click.UsageError(f"{name} is empty; {remedy}", ctx)
    if "\0" in text:
        raise click.UsageError(f"{name} has a NUL in it; leave that out", ctx)
    if isinstance(param.type, click.Path):  # the name of a file may be any bytes
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = "".join(f"\\x{ord(c) - 0xDC00:02x}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text[:60])
        raise click.UsageError(f"{name} is not UTF-8: '{shown}'; write it in UTF-8", ctx) from None
