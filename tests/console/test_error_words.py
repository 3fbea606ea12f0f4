"""An error whose text says its class is not told twice."""

from __future__ import annotations

import pytest

from console.error_words import in_console, names_itself


@pytest.mark.parametrize(
    ("error", "error_class", "named"),
    [
        ("exit code 1: no such file", "Exit1", True),
        ("exit code 1", "Exit2", False),
        ("exit code 12", "Exit1", False),
        ("ended by SIGKILL", "SIGKILL", True),
        ("smtplib.SMTPServerDisconnected: closed", "smtplib.SMTPServerDisconnected", True),
        ("TypeError: x", "Error", False),
        ("just words", "", True),
        ("", "", True),
        ("Traceback\nTypeError: x", "TypeError", False),
        ("a.b.Error: x", "b.Error", False),
        ("boom", "ValueError", False),
        ("", "ValueError", False),
    ],
)
def test_whether_a_text_says_its_class(error: str, error_class: str, named: bool) -> None:
    assert names_itself(error, error_class) is named


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`cronsole cancel` ends a run that runs", "F5 on its page ends a run that runs"),
        ("start it anew: `cronsole runs replay 0199-ab`", "start it anew: r on its page"),
        ("stop it first: `cronsole ops stop 1x8f`", "stop it first: c in the audit"),
        ("`cronsole audit` tells what it did", ":audit tells what it did"),
        ("`cronsole dead list` lists them", ":dead lists them"),
        ("`cronsole runs list` lists the finished ones", ":runs lists the finished ones"),
        ("start `cronsole engine -j jobs.toml`", "start `cronsole engine -j jobs.toml`"),
        ("`cronsole dead edit` does the same", "`cronsole dead edit` does the same"),
        ("`cronsole runs log` has it", "`cronsole runs log` has it"),
    ],
)
def test_a_remedy_names_keys_in_the_console(text: str, shown: str) -> None:
    assert in_console(text, lambda action, usual: {"cancel": "F5"}.get(action, usual)) == shown
