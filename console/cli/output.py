"""Printing: aligned tables, JSON, times; text from outside made visible before a terminal sees it."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

WIDEST = 60
COLOURS = {
    "succeeded": "green", "ok": "green",
    "failed": "red", "timed_out": "red", "lost": "red", "DOWN": "red",
    "cancelled": "yellow", "skipped": "yellow", "missed": "yellow", "draining": "yellow",
    "differs": "yellow", "unclear": "yellow",
}  # fmt: skip
"""Words that have a colour in a terminal; the words themselves tell as much."""


def visible(text: str) -> str:
    """`text` on one line, with control, bidi, zero-width and unassigned characters as escapes: ESC becomes \\x1b."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(char: str) -> str:
    if unicodedata.category(char) == "Zs":
        return " "
    code = ord(char)
    short = {9: "\\t", 10: "\\n", 13: "\\r"}.get(code)
    if short:
        return short
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible_lines(text: str) -> str:
    """Like `visible`, but line ends and tabs stay what they are."""
    return "\n".join(visible(line.replace("\t", "    ")) for line in text.replace("\r\n", "\n").split("\n"))


def columns(text: str) -> int:
    """Terminal columns of visible text: wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    wide = {"W": 2, "F": 2}
    return sum(0 if unicodedata.combining(c) else wide.get(unicodedata.east_asian_width(c), 1) for c in text)


def coloured(word: str, text: str = "") -> str:
    """`text` (by default the word itself) in the word's colour, where standard output is a terminal that wants it."""
    colour = COLOURS.get(word)
    wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return click.style(text or word, fg=colour) if colour and wanted else text or word


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Iterable[str] = (),
    colour: Iterable[str] = (),
    empty: str = "",
) -> None:
    """Print an aligned table. Without rows: `empty`, on stderr.

    `right`, `colour`: headers of the columns to align right, and of those whose words have a colour.
    """
    shown = [[_cell(value) for value in row] for row in rows]
    if not shown:
        if empty:
            click.echo(empty, err=True)
        return
    lines = [[*headers], *shown]
    widths = [max(columns(line[n]) for line in lines) for n in range(len(headers))]
    rights = {n for n, header in enumerate(headers) if header in set(right)}
    tinted = {n for n, header in enumerate(headers) if header in set(colour)}
    for row, line in enumerate(lines):
        parts = []
        for n, (text, width) in enumerate(zip(line, widths, strict=True)):
            blank = " " * (width - columns(text))
            cell = coloured(text) if row and n in tinted else text
            parts.append(blank + cell if n in rights else cell + blank)
        click.echo("  ".join(parts).rstrip())


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    text = visible(value if isinstance(value, str) else str(value))
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def print_json(value: Any) -> None:
    """Print a value as JSON. Control characters are escaped by JSON; bidi, C1 and the like by asking for ASCII."""
    indent = 2 if sys.stdout.isatty() else None
    click.echo(json.dumps(value, ensure_ascii=True, allow_nan=False, indent=indent, default=str))


def warn(warnings: Iterable[str]) -> None:
    """Print warnings, one a line, on stderr."""
    for text in warnings:
        click.echo(f"cronsole: warning: {visible(text)}", err=True)


def iso(at: datetime | None) -> str | None:
    """RFC 3339 with milliseconds, UTC."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(at: datetime | None) -> str:
    """A time as tables show it: local, to the second."""
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float | None) -> str:
    """A length of time in at most two units."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    for size, unit, smaller, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            rest = int(seconds % size // smaller)
            return f"{int(seconds // size)}{unit}" + (f"{rest}{small}" if rest else "")
    return f"{seconds:.0f}s"
