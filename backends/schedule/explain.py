"""An expression field by field: where each stands in the text as typed, and what it means in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backends.schedule.dialect import ALIASES, REBOOT
from backends.schedule.errors import Span, columns
from backends.schedule.fields import Word, normal, read_words
from backends.schedule.words import DAY_NAMES, MONTH_NAMES, WEEK, even, listed


@dataclass(frozen=True, slots=True)
class FieldWords:
    """One field. `text` is what stands at the columns `span` of the expression as typed: "*/15".

    `words` is what it means, without a full stop: "every 15 minutes: 0, 15, 30, 45".
    """

    name: str
    text: str
    span: Span
    words: str


def explain(expression: str) -> tuple[FieldWords, ...]:
    """The five fields of an expression, in order. Raises ScheduleError.

    A short form such as ``@daily`` comes first, as a field named "short form", and its five fields have its columns;
    ``@reboot`` has no others.
    """
    text = normal(expression)
    typed = columns(expression)
    whole = (typed[0], typed[len(text) - 1] + 1)
    if text == REBOOT:
        return (FieldWords("short form", text, whole, "when an engine starts"),)
    fields = [FieldWords(w.field.name, w.text, _place(w.span, typed), _words(w)) for w in read_words(text)]
    if text in ALIASES:
        short = FieldWords("short form", text, whole, f"the same as {ALIASES[text]}")
        fields = [short, *(FieldWords(f.name, f.text, whole, f.words) for f in fields)]
    return tuple(fields)


def _place(span: Span, typed: Sequence[int]) -> Span:
    start, end = min(span[0], len(typed) - 1), min(span[1], len(typed))
    return typed[start], typed[end - 1] + 1


def _words(word: Word) -> str:
    values = sorted({value for item in word.items for value in item.values})
    match word.field.name:
        case "minute":
            return _clock(values, 60, "minute")
        case "hour":
            return _clock(values, 24, "hour")
        case "day of the month":
            return "every day of the month" if len(values) == 31 else _named(values, "day")
        case "month":
            return "every month" if len(values) == 12 else listed(values, lambda m: MONTH_NAMES[m - 1])
    days = sorted({value % 7 for value in values})
    return "every day of the week" if len(days) == 7 else listed(days, lambda d: DAY_NAMES[d], WEEK)


def _clock(values: Sequence[int], cycle: int, noun: str) -> str:
    step = even(values, cycle)
    if step == 1:
        return f"every {noun}"
    if step:
        return f"every {step} {noun}s: {', '.join(map(str, values))}"
    return _named(values, noun)


def _named(values: Sequence[int], noun: str) -> str:
    return f"{noun}{'' if len(values) == 1 else 's'} {listed(values, str)}"
