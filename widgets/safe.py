"""The one gate for text that came from outside: jobs, payloads, error messages, server replies.

Textual and Rich pass escape sequences, C1 controls and bidi overrides through to the terminal, and parse markup in
plain strings into actions that run. So widgets draw ``Cell``s, and a cell can only be made here.
"""

from __future__ import annotations

import unicodedata
from typing import NewType, TypeAlias

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

SafeText = NewType("SafeText", str)
"""One line; nothing in it that a terminal acts on, nothing invisible."""

Cell: TypeAlias = tuple[tuple[SafeText, str], ...]
"""A piece of a row: runs of (text, tone). A tone is a name of `widgets.line.TONES`."""

LIMIT = 4096


class _Table(dict[int, "int | str"]):
    def __missing__(self, code: int) -> int | str:
        category = unicodedata.category(chr(code))
        value: int | str = code
        if code == 0x09:
            value = "→"
        elif code == 0x0A:
            value = "⏎"
        elif code < 0x20:
            value = chr(0x2400 + code)  # ␀ … ␛ … ␟
        elif code == 0x7F:
            value = "␡"
        elif category in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Cn"):  # C1, bidi, zero-width, surrogates, private use
            value = f"‹{code:X}›"
        elif category == "Zs":
            value = " "
        self[code] = value
        return value


_TABLE = _Table()
_MARKS_IN_A_ROW = 2


def safe_line(text: str, limit: int = LIMIT) -> SafeText:
    """`text` as one line, every control, bidi and zero-width character made visible; cut after `limit` characters."""
    if len(text) > limit:
        text = text[:limit] + "…"
    if not text.isprintable():
        text = text.translate(_TABLE)
    return SafeText(text if text.isascii() else _calm_marks(text))


def _calm_marks(text: str) -> str:
    """Keep at most two combining marks on a character: a pile of them would paint over the lines above and below."""
    kept: list[str] = []
    marks = 0
    for char in text:
        if ord(char) > 0x2FF and unicodedata.combining(char):
            marks += 1
            if marks > _MARKS_IN_A_ROW or not kept:
                continue
        else:
            marks = 0
        kept.append(char)
    return "".join(kept)


def safe_lines(text: str, limit: int = 200_000) -> list[SafeText]:
    """Like `safe_line`, line by line. Carriage returns before a line end are dropped; tabs become four spaces."""
    if len(text) > limit:
        text = text[:limit] + "…"
    return [safe_line(line.replace("\t", "    "), limit) for line in text.replace("\r\n", "\n").split("\n")]


def cell(text: object, tone: str = "") -> Cell:
    """A cell of one run. Whatever is passed goes through the gate."""
    return ((safe_line(str(text)), tone),)


def cells(*parts: Cell | str) -> Cell:
    """Several cells as one; a plain string becomes an untoned run."""
    out: list[tuple[SafeText, str]] = []
    for part in parts:
        out.extend(cell(part) if isinstance(part, str) else part)
    return tuple(out)


def width_of(content: Cell) -> int:
    """Terminal columns that `content` takes."""
    return sum(cell_len(text) for text, _ in content)


def fit(content: Cell, width: int, align: str = "left") -> Cell:
    """Exactly `width` columns: padded, or cut with an ellipsis. Wide characters are never halved."""
    if width <= 0:
        return ()
    total = width_of(content)
    if total == width:
        return content
    if align == "tail" and total > width:
        return _tail(content, width)
    if total < width:
        blank = (SafeText(" " * (width - total)), "")
        return (blank, *content) if align in ("right", "tail") else (*content, blank)
    out: list[tuple[SafeText, str]] = []
    left = width - 1
    for text, tone in content:
        size = cell_len(text)
        if size > left:
            out.append((SafeText(set_cell_size(text, left).rstrip(" ") if left else ""), tone))
            left -= cell_len(out[-1][0])
            out.append((SafeText("…"), tone))
            out.append((SafeText(" " * left), ""))
            break
        out.append((text, tone))
        left -= size
    else:
        out.append((SafeText("…"), ""))
    return tuple((text, tone) for text, tone in out if text)


def _tail(content: Cell, width: int) -> Cell:
    """The last `width` columns."""
    out: list[tuple[SafeText, str]] = []
    for text, tone in reversed(content):
        while text and cell_len(text) > width:
            text = SafeText(text[1:])
        out.append((text, tone))
        width -= cell_len(text)
        if width <= 0:
            break
    return fit(tuple(reversed(out)), width + width_of(tuple(out)), "right")


def fitting(text: str, width: int) -> int:
    """How many characters of `text` fit into `width` columns."""
    if text[:width].isascii():
        return min(len(text), max(width, 0))
    size = 0
    for count, char in enumerate(text):
        size += cell_len(char)
        if size > width:
            return count
    return len(text)


# --- terminals without UTF-8 ------------------------------------------------------------------------------

_ASCII = {
    "✓": "+", "✗": "x", "◷": "T", "⊘": "L", "⊗": "c", "»": "s", "◌": "m", "▶": ">", "━": "=", "•": "+", "◦": "o",
    "○": "O", "│": "|", "╷": "|", "─": "-", "·": ".", "…": "~", "●": "*", "‖": "P", "▌": ">", "▼": "v", "→": ">",
    "╱": "/", "┊": ":", "┆": "!", "◉": "@",
    "←": "<", "×": "x", "⏎": "/", "‹": "<", "›": ">", "↑": "^", "↓": "v", "–": "-",
    "▁": "_", "▂": ".", "▃": ":", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "█": "#",
    "░": ":", "▒": "%", "▓": "#", "▾": "v", "▸": ">",
    "╭": "+", "╮": "+", "╰": "+", "╯": "+",
}  # fmt: skip


def to_ascii(text: str) -> str:
    """`text` in ASCII, column for column: our glyphs by their stand-ins, control pictures as ``^``, the rest ``?``.

    A sign that takes two characters takes the blank behind it.
    """
    if text.isascii():
        return text
    out: list[str] = []
    for char in text.replace("≤ ", "<=").replace("≥ ", ">="):
        if char.isascii():
            out.append(char)
        elif char in _ASCII:
            out.append(_ASCII[char])
        elif "\u2400" <= char <= "\u2426":
            out.append("^")
        else:
            out.append("?" * cell_len(char))
    return "".join(out)


class AsciiFilter(LineFilter):
    """The last step before the terminal when it does not speak UTF-8; covers borders and foreign text alike."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments with every text in ASCII, widths kept."""
        return [Segment(to_ascii(text), style, control) for text, style, control in segments]
