"""Which dead letters a command means: its options, and the selection they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from console.cli.common import when

if TYPE_CHECKING:
    from backends.ops import Selection

F = TypeVar("F", bound=Callable[..., Any])


def filters(function: F) -> F:
    """--queue, --job, --group, --error, --payload-text, --since, --until."""
    for option in (
        click.option("--until", type=when, metavar="TIME", help="Died before then."),
        click.option("--since", type=when, metavar="TIME", help="Died since then: an ISO time, or 2h, 7d."),
        click.option("--payload-text", "payload", default="", metavar="TEXT", help="The envelope contains this."),
        click.option("--error", default="", metavar="TEXT", help="The error contains this."),
        click.option("--group", default="", metavar="FP", help="Of this error group."),
        click.option("--job", default="", metavar="JOB", help="Of this job."),
        click.option("--queue", default="", metavar="QUEUE", help="Of this queue."),
    ):
        function = option(function)
    return function


def selection_of(everything: bool = False, **conditions: Any) -> Selection:
    """What the options say."""
    from backends.ops import Selection

    return Selection(everything=everything, **conditions)
