"""What is wrong with a job file, one line a mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backends.errors import BadInputError
from backends.jobs.words import printable


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `line` counts from 1, 0 where it is unknown; `key` is the dotted path, '' for the whole file."""

    file: str
    line: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        text = ": ".join(part for part in (where, self.key, self.message) if part)
        return printable(" ".join((f"{text}; {self.hint}" if self.hint else text).split()))


class JobFileError(BadInputError):
    """A job file that can't be used. `problems` has every mistake, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        if len(self.problems) == 1:
            super().__init__(str(first))
        else:
            super().__init__(
                f"{first.file} has {len(self.problems)} mistakes, the first: {first}",
                "`cronsole check` shows them all",
            )
