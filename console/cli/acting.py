"""What commands that act share: asking, and saying how to take it back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from console.cli.output import visible
from console.cli.progress import all_told


def can_ask() -> bool:
    """Whether somebody sits there who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def agreed(verb: str, count: int, what: str, whole: str, yes: bool) -> bool:
    """Ask before something is done to `count` of `what`: not for one; for many with the count.

    `whole`: the name to type where all of a queue is meant ("all" for all queues), else ''. Raises BadInputError where
    nobody can be asked and --yes was not given.
    """
    from backends.errors import BadInputError

    if yes or not count or (count == 1 and not whole):
        return bool(count)
    shown = f"{count:,} {what}{'s' if count > 1 else ''}"
    if not can_ask():
        raise BadInputError(
            f"{shown} {'match' if count > 1 else 'matches'}", f"add --yes to {verb} them, or --dry-run to only count"
        )
    if not whole:
        return confirmed(f"{verb.capitalize()} {shown}?")
    where = "all queues" if whole == "all" else f"the queue {visible(whole)}"
    with _asking():
        typed = click.prompt(
            f"{verb.capitalize()} all of {where}, {shown}? Type {visible(whole)} to do it",
            default="", show_default=False, err=True,
        )  # fmt: skip
    return bool(typed == whole)


def confirmed(question: str, *, default: bool = False) -> bool:
    """Ask in the terminal."""
    with _asking():
        return click.confirm(question, default=default, err=True)


@contextmanager
def _asking() -> Iterator[None]:
    from console.cli.interrupts import blocking

    with blocking():
        all_told()
        yield


@contextmanager
def hint(receipt: str | None, note: str = "") -> Iterator[None]:
    """After what is printed within, say on stderr what else there is to say, and how to take it back.

    Also where nobody takes what is printed.
    """
    try:
        yield
    finally:
        _hint(receipt, note)


def _hint(receipt: str | None, note: str) -> None:
    if note:
        click.echo(f"cronsole: {visible(note)}", err=True)
    if receipt:
        click.echo(f"cronsole undo {receipt} takes it back", err=True)


def rate(value: str) -> float:
    """An option's type: 50/s, 300/m, 1000/h, or a number a second."""
    from backends.ops.kinds import LEAST_RATE, MOST_RATE

    number, sign, unit = value.strip().partition("/")
    try:
        size = {"s": 1, "m": 60, "h": 3600}[unit if sign else "s"]
        found = float(number) / size
    except (KeyError, ValueError):
        found = 0.0
    if not LEAST_RATE <= found <= MOST_RATE:
        raise click.BadParameter(
            f"{value[:60]!r} is no rate; write 50/s, 300/m or 1000/h, from 1/h to {MOST_RATE:.0f}/s"
        )
    return found
