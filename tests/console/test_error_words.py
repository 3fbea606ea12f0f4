"""An error whose text says its class is not told twice."""

from __future__ import annotations

import pytest

from console.error_words import names_itself


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
