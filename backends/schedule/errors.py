"""What is wrong with a schedule."""

from __future__ import annotations

from backends.errors import BadInputError

Span = tuple[int, int]
"""Where something stands in a text: first column, counted from 0, and the column after the last."""


class ScheduleError(BadInputError):
    """An expression or a time zone that can't be used; `remedy` says what to write instead.

    `span` is where the mistake stands in the expression as it was typed; None where it has no place in it (a time
    zone, a value that is no text). `problem` says what is wrong without the place. The one-line text names the
    column as people count, from 1.
    """

    def __init__(self, problem: str, remedy: str, span: Span | None = None, text: str = "") -> None:
        self.problem, self.span, self.text = problem, span, text
        where = f"'{short(text)}'" if text else ""
        if span is not None:
            where = f"{where}, column {span[0] + 1}" if where else f"column {span[0] + 1}"
        super().__init__(f"{where}: {problem}" if where else problem, remedy)

    def placed(self, typed: str) -> ScheduleError:
        """The same error of the expression `typed`, where the words of `text` may stand further apart."""
        if self.span is None:
            return self
        at = columns(typed)
        start, end = self.span
        return ScheduleError(self.problem, self.remedy, (at[start], at[end - 1] + 1), self.text)


def short(text: str, most: int = 60) -> str:
    """The text as an error line can carry it: visible characters, at most so many."""
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def columns(typed: str) -> list[int]:
    """For each column of the text with single blanks, and for the one after it, the column in the text as typed."""
    result: list[int] = []
    at = 0
    for word in typed.split():
        start = typed.index(word, at)
        if result:
            result.append(at)
        at = start + len(word)
        result += range(start, at)
    return [*result, at]
