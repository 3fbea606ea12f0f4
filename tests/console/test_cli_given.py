"""What no command takes: an empty value, what is no UTF-8; and that what acts on a terminal is escaped."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.core import ParameterSource

from console.cli.given import MAY_BE_EMPTY
from console.cli.root import COMMANDS, root
from tests.console.cli_helpers import Cli


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command and subcommand with its words."""
    context = click.Context(root)
    yield "", root
    for name in COMMANDS:
        command = root.get_command(context, name)  # type: ignore[attr-defined]
        yield name, command
        for sub in getattr(command, "commands", {}).values():
            yield f"{name} {sub.name}", sub


TEXTS = [
    pytest.param(command, param, id=f"{words} {param.name}".strip())
    for words, command in commands()
    for param in command.params
    if isinstance(param.type, click.types.StringParamType | click.Path)
]


@pytest.mark.parametrize(("command", "param"), TEXTS)
def test_every_text(command: click.Command, param: click.Parameter) -> None:
    """Of every command; a path may be any bytes, a note may be empty."""

    def take(text: str) -> None:
        context = click.Context(command)
        context.set_parameter_source(param.name or "", ParameterSource.COMMANDLINE)
        param.process_value(context, (text,) if param.multiple or param.nargs == -1 else text)

    for text, word, taken in (
        ("", "is empty; give it a value", param.name in MAY_BE_EMPTY),
        ("a\udcffb", r"is not UTF-8: 'a\\xffb'; ", isinstance(param.type, click.Path)),
        ("ä b", "", True),
    ):
        if taken:
            take(text)
            continue
        with pytest.raises(click.UsageError, match=word):
            take(text)


class TestEmpty:
    """An unset variable in a script never widens what is meant."""

    @pytest.mark.parametrize("name", ["--queue", "--job", "--group", "--error", "--payload-text"])
    def test_no_letter_is_purged(self, cli: Cli, world: list[str], name: str) -> None:
        for other in ("--queue=mail", "--all"):
            answer = cli("dead", "purge", other, name, "", "--yes")
            told = f"cronsole: {name} is empty; give it a value, or leave it out\n"
            assert (answer.code, answer.out, answer.err) == (2, "", told)
        assert cli("dead", "--json").json["total"] == 2

    def test_lists(self, cli: Cli, world: list[str]) -> None:
        for line in ("dead list --group=", "dead groups --queue=", "runs --job=", "runs --queue=", "runs --cursor="):
            answer = cli(*line.split())
            assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1), line
        assert cli("--context", "", "jobs").err.startswith("cronsole: --context is empty; ")
        assert cli("runs", "show", "").err == "cronsole: the argument RUN_ID is empty; give it a value\n"
        assert cli("engine", "--queues", "").code == 2
        assert cli("pause", "queue:mail", "--note", "").code == 0


ODD = "\udcff"


@pytest.mark.parametrize(
    "argv",
    [
        ["dead", "show", ODD], ["dead", "retry", ODD], ["dead", "edit", ODD, "--set", "a=1"], ["dead", "--group", ODD],
        ["why", ODD], ["cancel", ODD], ["bump", ODD], ["move", ODD, "--to", "mail"], ["runs", "replay", ODD],
        ["runs", "--job", ODD], ["runs", "--queue", ODD], ["pause", "queue:mail", "--note", ODD], ["trigger", ODD],
        ["trigger", "tick", "--payload", ODD], ["undo", ODD], ["next", ODD], ["--context", ODD, "jobs"], [ODD],
        ["dead", "purge", "--since", ODD], ["dead", "retry", "--all", "--rate", ODD],
    ],
)  # fmt: skip
def test_no_utf_8(cli: Cli, world: list[str], argv: list[str]) -> None:
    """One line, exit 2; never a bug."""
    answer = cli(*argv)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "bug" not in answer.err
    assert answer.err.isprintable() is False  # only for its end of line
    assert answer.err[:-1].isprintable()


HOSTILE = "x\x1b[31m\x07\n\u202ey"


@pytest.mark.parametrize(
    "argv",
    [
        ["dead", "show", HOSTILE], ["dead", "retry", HOSTILE], ["dead", "--group", HOSTILE], ["trigger", "tick\0"],
        ["dead", "--queue", HOSTILE], ["dead", "purge", "--queue", HOSTILE], ["dead", "retry", "--group", HOSTILE],
        ["cancel", HOSTILE], ["bump", HOSTILE], ["move", HOSTILE, "--to", "mail"], ["move", "x", "--to", HOSTILE],
        ["runs", "show", HOSTILE], ["runs", "replay", HOSTILE], ["runs", "--job", HOSTILE], ["why", f"a{HOSTILE}"],
        ["runs", "--cursor", HOSTILE], ["audit", "--cursor", HOSTILE], ["dead", "--newer", HOSTILE],
        ["pause", HOSTILE], ["pause", f"queue:{HOSTILE}"], ["resume", f"job:{HOSTILE}"], ["undo", HOSTILE],
        ["ops", "stop", HOSTILE], ["trigger", HOSTILE], ["enqueue", HOSTILE, "send_email"],
        ["enqueue", "mail", HOSTILE], ["enqueue", "mail", "send_email", "--file", HOSTILE], ["check", HOSTILE],
        ["next", HOSTILE], ["next", "@daily", "--tz", HOSTILE], ["next", "@daily", "--from", HOSTILE],
        ["dead", "--since", HOSTILE], ["dead", "--cursor", HOSTILE], ["engine", "-j", HOSTILE], [HOSTILE],
        ["dead", HOSTILE], ["--context", HOSTILE, "jobs"], ["dead", "edit", "x", "--set", HOSTILE], ["jobs", HOSTILE],
    ],
)  # fmt: skip
def test_what_acts_on_a_terminal_is_escaped(cli: Cli, world: list[str], argv: list[str]) -> None:
    """In errors, and wherever an argument is shown again."""
    answer = cli(*argv)
    assert answer.code in (0, 2)
    assert all(line.isprintable() for line in (answer.out + answer.err).split("\n")), answer
