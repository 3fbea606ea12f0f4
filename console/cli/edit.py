"""A payload that is to be changed: by --set, by --payload, or in the operator's own editor; what differs is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from backends.model import NewRuns
from console.cli.acting import can_ask, confirmed, hint
from console.cli.common import payload_object, strict_json
from console.cli.output import print_json, visible

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Changes:
    """What the options say; with none of them the editor is opened."""

    payload: str | None
    sets: tuple[str, ...]
    yes: bool


def changes(function: F) -> F:
    """--set, --payload, --yes."""
    for option in (
        click.option("--yes", "-y", is_flag=True, help="Don't ask."),
        click.option("--set", "sets", multiple=True, metavar="KEY=VALUE",
                     help="Change a key: a.b=1, name=Ada; the value is JSON where it can be read so, else text."),
        click.option("--payload", metavar="JSON", help="Another payload: a JSON object."),
    ):  # fmt: skip
        function = option(function)
    return function


def tell_replay(new: NewRuns | None, run_id: str, *, as_json: bool) -> None:
    """What became of a replay of that run; None: the operator changed their mind."""
    if new is None:
        click.echo("nothing is sent", err=True)
        return
    with hint(new.receipt):
        if as_json:
            print_json({"run_id": new.run_id, "replay_of": run_id, "receipt": new.receipt})
        else:
            click.echo(new.run_id)


def edited(envelope: bytes, name: str, wish: Changes) -> dict[str, Any] | None:
    """The changed payload; None where the operator changed their mind. Raises BadInputError."""
    from backends.errors import BadInputError
    from console.editor import diff, payload_of, same

    before = payload_of(envelope)
    if wish.payload is not None and wish.sets:
        raise click.UsageError("--payload and --set exclude each other; give one of them")
    if wish.payload is not None:
        after = payload_object(wish.payload, "--payload")
    elif before is None:
        raise BadInputError("its envelope has no payload that can be edited", "give one with --payload")
    elif wish.sets:
        after = before
        for each in wish.sets:
            after = _set(after, each)
    elif not can_ask():
        raise BadInputError("there is no terminal to edit in", "give --set KEY=VALUE or --payload JSON")
    else:
        after = _in_editor(before, name)
    if before is not None and same(before, after):
        raise BadInputError("the payload is as it was", "`cronsole dead retry` sends it again as it is")
    if wish.yes or not can_ask():
        return after
    for line in diff(before or {}, after):
        colour = {"+": "green", "-": "red"}.get(line[:1])
        click.secho(visible(line), fg=colour, err=True)
    return after if confirmed("Send it?") else None


def _set(payload: dict[str, Any], text: str) -> dict[str, Any]:
    """`payload` with one key changed: the path's objects are copied, those that are missing are made."""
    from backends.errors import BadInputError

    path, sign, value = text.partition("=")
    keys = path.split(".")
    if not sign or not all(keys):
        raise BadInputError(f"--set {text[:60]!r} has no key and value", "write key=value, or a.b=value")
    try:
        found = strict_json(value)
    except ValueError:
        found = value
    changed = dict(payload)
    inner = changed
    for key in keys[:-1]:
        below = inner.get(key, {})
        if not isinstance(below, dict):
            raise BadInputError(f"--set {path[:60]!r}: {key[:60]!r} is no object", "give it whole with --payload")
        inner[key] = dict(below)
        inner = inner[key]
    inner[keys[-1]] = found
    return changed


def _in_editor(before: dict[str, Any], name: str) -> dict[str, Any]:
    """What the operator makes of it; a text that is no JSON comes again."""
    from backends.errors import BadInputError
    from console.editor import check, edit, pretty

    text = pretty(before)
    while True:
        text = edit(text, name)
        after, wrong = check(text)
        if after is not None:
            return after
        assert wrong is not None
        where = f"line {wrong.line}, column {wrong.column}: " if wrong.line else ""
        click.echo(f"cronsole: {where}{visible(wrong.text)}", err=True)
        if not confirmed("Edit it again?", default=True):
            raise BadInputError("the payload is not JSON", "nothing is sent")
