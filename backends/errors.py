"""Errors that reach a person: one line, with the remedy, and the exit code of the command-line contract."""

from __future__ import annotations


class CronsoleError(Exception):
    """A failure worth telling an operator.

    ``str(error)`` is one line and ends with what to do about it. ``exit_code`` is the process's exit code
    when the error ends a command: 1 it ran and failed, 2 bad input, 3 a server can't be reached, 4 refused.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = " ".join(message.split())
        self.remedy = " ".join(remedy.split())
        super().__init__(f"{self.message}; {self.remedy}" if self.remedy else self.message)


class BadInputError(CronsoleError):
    """What was asked for can't be: an unknown name, a malformed value, a broken file."""

    exit_code = 2


class UnreachableError(CronsoleError):
    """Redis or Postgres can't be used: not there, wrong password, missing rights, unsafe settings."""

    exit_code = 3


class RefusedError(CronsoleError):
    """The context is read-only, or the action is not allowed."""

    exit_code = 4
