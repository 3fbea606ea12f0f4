"""Styles as a terminal has them: one pen a look, and the shortest way from one to the next.

A style costs more to send than the text in it: 38 bytes with two colours of 24 bits, where a word has six. So a frame
is written pen by pen, not line by line: a cursor move costs 6 to 8 bytes, and what two pens share is not sent again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.color import Color, ColorSystem
from rich.style import Style

NO_STYLE = Style.null()
ATTRIBUTES = (
    ("bold", "1"), ("dim", "2"), ("italic", "3"), ("underline", "4"), ("blink", "5"), ("blink2", "6"),
    ("reverse", "7"), ("conceal", "8"), ("strike", "9"), ("underline2", "21"), ("overline", "53"),
)  # fmt: skip
OFF = {
    "1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "6": "25", "7": "27", "8": "28", "9": "29", "21": "24",
    "53": "55",
}  # fmt: skip
"""What ends an attribute (ECMA-48 8.3.117)."""
MARKS = {"4", "7", "9", "21", "53"}
"""The codes of attributes that are seen where nothing is written."""
LEVELS = tuple(enumerate((0, 95, 135, 175, 215, 255)))
EXACT = {(r, g, b): 16 + 36 * x + 6 * y + z for x, r in LEVELS for y, g in LEVELS for z, b in LEVELS}
EXACT |= {(grey, grey, grey): 232 + n for n, grey in enumerate(range(8, 248, 10))}
"""Colours of 24 bits that the table of 256 has: xterm's cube and greys, which terminals leave alone."""
MANY_BLANKS = " " * 8
CHAIN = 4
"""So many characters above each other, of one pen, are written downwards."""
UNSURE = -1
"""The column of a cursor that wrote into the last one: terminals differ on where it is then."""
REPEATED = re.compile(r"([\u2010-\u2e7f])\1{2,}|([\u00a1-\u02ff])\2{3,}|([ -~])\3{7,}")
"""A character of three, two or one bytes so often that to repeat it is less."""
ODD = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What a terminal would act on. The gate in widgets/safe.py lets none through; this is the second wall."""


class Pen(NamedTuple):
    """What the terminal is told before text: colours of background and text, attributes, each as SGR codes."""

    background: str
    color: str
    attributes: str

    @property
    def is_blank(self) -> bool:
        """Whether it is the look of blanks alone."""
        return not self.attributes and not self.color

    def covers(self, blank: Pen) -> bool:
        """Whether blanks written with this pen look as `blank`."""
        return self.background == blank.background and not self.marks

    @property
    def marks(self) -> bool:
        """Whether it is seen where nothing is written."""
        return not MARKS.isdisjoint(self.attributes.split(";"))


@lru_cache(4096)
def pen(style: Style | None, colors: ColorSystem) -> Pen:
    """How `style` looks on a terminal with those colours. A link or an action in it is not sent."""
    style = style or NO_STYLE
    attributes = ";".join(code for name, code in ATTRIBUTES if getattr(style, name))
    fore, back = style.color, style.bgcolor
    return Pen(
        _codes(back, colors, foreground=False) if back else "",
        _codes(fore, colors, foreground=True) if fore else "",
        attributes,
    )


def _codes(color: Color, colors: ColorSystem, *, foreground: bool) -> str:
    """The shorter way to tell a colour: ``38;5;110`` is ``38;2;135;175;215``."""
    wanted = color.downgrade(colors)
    if wanted.triplet is not None and (number := EXACT.get(wanted.triplet)):
        return f"{38 if foreground else 48};5;{number}"
    return ";".join(wanted.get_ansi_codes(foreground=foreground))


@lru_cache(4096)
def blank_style(style: Style | None) -> Style | None:
    """What is left of a style where nothing is written: its background, so that blanks of any text are one look."""
    if style is None or any(code in MARKS and getattr(style, name) for name, code in ATTRIBUTES):
        return style
    return Style(bgcolor=style.bgcolor)


@lru_cache(4096)
def change(before: Pen | None, after: Pen) -> str:
    """The bytes that take a terminal from one pen to another; None: it is not known which one it holds."""
    if before == after:
        return ""
    anew = ["0", *(code for code in (after.attributes, after.color, after.background) if code)]
    if before is None:
        return f"\x1b[{';'.join(anew)}m"
    had, wanted = before.attributes.split(";"), after.attributes.split(";")
    ended = dict.fromkeys(OFF[code] for code in had if code and code not in wanted)
    parts = [*ended, *(code for code in wanted if code and (code not in had or OFF[code] in ended))]
    if before.color != after.color:
        parts.append(after.color or "39")
    if before.background != after.background:
        parts.append(after.background or "49")
    return f"\x1b[{min(';'.join(parts), ';'.join(anew), key=len)}m"


class Piece(NamedTuple):
    """Text of one pen at a place."""

    y: int
    x: int
    text: str
    width: int
    pen: Pen
    last: bool = False
    """Whether it reaches the right edge, where terminals differ on where the cursor is afterwards."""
    erases: bool = False
    """Whether it is a stretch that is erased before anything is written into it."""

    @property
    def is_nothing(self) -> bool:
        """Whether nothing but its ground is seen."""
        return self.pen.is_blank and not self.text.strip(" ")

    @property
    def is_sure(self) -> bool:
        """Whether it is as wide on every terminal: nothing wide, nothing combined."""
        if self.width != len(self.text) or self.text.isascii():
            return self.width == len(self.text)
        return max(self.text) < "\u2e80" and all(cell_len(char) == 1 for char in set(self.text))


def write(
    pieces: Iterable[Piece],
    colors: ColorSystem,
    *,
    erases: bool,
    columns: bool = False,
    repeats: bool = False,
    stays: bool = False,
    held: Pen | None = None,
) -> tuple[str, Pen | None]:
    """The bytes of a frame, and the pen that the terminal holds afterwards; `held`: the one it holds before, if known.

    `erases`: the terminal fills erased cells with the background it is told (terminfo: bce, ech). `columns`: it goes to
    a column of its line (terminfo: hpa). `repeats`: it writes a character once more when it is told to (REP, ECMA-48
    8.3.103). `stays`: its cursor stays in the last column when something is written there, for wrapping is off
    (DECAWM); else nobody knows in which column it is then.
    """
    many = colors in (ColorSystem.EIGHT_BIT, ColorSystem.TRUECOLOR)
    ordered = _by_pen(pieces, held) if many else sorted(pieces, key=lambda p: (not p.erases, p.y, p.x))
    out: list[str] = []
    at_y, at_x = -1, UNSURE
    for piece in ordered:
        wanted, text, erased = piece.pen, piece.text, ""
        if piece.is_nothing:
            wanted = _on(held, wanted)
        out += (move(at_y, at_x, piece.y, piece.x, columns), change(held, wanted))
        held, at_y, at_x = wanted, piece.y, piece.x + piece.width
        if erases and not wanted.marks and (piece.erases or text.endswith(MANY_BLANKS)):
            text = text.rstrip(" ")
            blank = len(piece.text) - len(text)
            erased = "\x1b[K" if piece.last else f"\x1b[{blank}X"
            at_x -= blank
        if repeats and piece.width == len(piece.text) and REPEATED.search(text):
            text = REPEATED.sub(_once, text)
        out += (text, erased)
        if not piece.is_sure:
            at_y = -1
        elif piece.last and not erased:
            at_x = at_x - 1 if stays else UNSURE
    return "".join(out), held


def _on(held: Pen | None, blank: Pen) -> Pen:
    """The pen for blanks: the colour of nothing can't be seen, so it stays the held one."""
    return blank if held is None or held.marks else held._replace(background=blank.background)


def _by_pen(pieces: Iterable[Piece], held: Pen | None) -> list[Piece]:
    """Ground by ground and pen by pen, and with a pen line by line, but for what stands in a column.

    What is erased comes before what is written there.
    """
    pieces = list(pieces)
    grounds = {p.y: p.pen.background for p in pieces if p.erases}
    mixed = {p.y for p in pieces if p.pen.background != grounds.get(p.y)}  # else its ground comes first anyway
    ground = held.background if held else None
    first = [p for p in pieces if p.erases and p.y in mixed]
    first.sort(key=lambda p: (p.pen.background != ground, p.pen.background, p.y, p.x))
    if first:
        held = _on(held, first[-1].pen)
    rest = [p for p in pieces if not (p.erases and p.y in mixed)]
    turns = _turns(rest, held)
    whole: dict[str, int] = {}
    plain: dict[str, Pen] = {}
    for look, turn in turns.items():
        whole.setdefault(look.background, turn)
        if not look.marks:
            plain.setdefault(look.background, look)
    rest = [p._replace(pen=plain[p.pen.background]) if p.is_nothing else p for p in rest]
    begin = _columns(rest)

    def place(piece: Piece) -> tuple[Any, ...]:
        row = begin.get(piece, piece.y)
        return whole[piece.pen.background], not piece.erases, turns[piece.pen], row, piece.x, piece.y

    return first + sorted(rest, key=place)


def _turns(pieces: list[Piece], held: Pen | None) -> dict[Pen, int]:
    """The order of the pens, from the held one on: on each ground, what another one has as well comes last.

    So that of the two pens between which the ground changes nothing else does.
    """
    left = {p.pen for p in pieces if not p.is_nothing}
    seen = {look.background for look in left if not look.marks}
    left |= {p.pen for p in pieces if p.is_nothing and p.pen.background not in seen}
    looks = Counter(look[1:] for look in left)
    turns: dict[Pen, int] = {}

    def cost(look: Pen) -> tuple[Any, ...]:
        ground, color = (held.background, held.color) if held else (None, None)
        return look.background != ground, look.color != color, looks[look[1:]] > 1, len(change(held, look)), look

    while left:
        held = min(left, key=cost)
        left.remove(held)
        looks[held[1:]] -= 1
        turns[held] = len(turns)
    return turns


def _columns(pieces: list[Piece]) -> dict[Piece, int]:
    """The line in which a column of single characters begins, for each of them: they are written downwards."""
    narrow = {(p.x, p.y): p for p in pieces if p.width == 1}
    begin: dict[Piece, int] = {}
    for piece in narrow.values():
        above = narrow.get((piece.x, piece.y - 1))
        if above is not None and above.pen == piece.pen:
            continue
        column = [piece]
        while (next_one := narrow.get((piece.x, column[-1].y + 1))) is not None and next_one.pen == piece.pen:
            column.append(next_one)
        if len(column) >= CHAIN:
            begin |= dict.fromkeys(column, piece.y)
    return begin


def _once(found: re.Match[str]) -> str:
    return f"{found[0][0]}\x1b[{len(found[0]) - 1}b"


def move(y: int, x: int, to_y: int, to_x: int, columns: bool = False) -> str:
    """The fewest bytes that take the cursor from one place to another. `columns`: it can be told the column alone.

    `y` -1: nobody knows where it is; `x` UNSURE: in that line, but nobody knows where. Down goes by VT, which every
    terminal takes for IND (but in LNM, which nobody sets), and a tty leaves alone.
    """
    place = f"\x1b[{to_y + 1};{to_x + 1}H" if to_x else f"\x1b[{to_y + 1}H"
    if y < 0 or not y <= to_y <= y + 3:
        return place
    ways = ["\r" + _right(to_x)]
    if columns:
        ways.append(f"\x1b[{to_x + 1}G")
    if x != UNSURE:
        ways.append(_right(to_x - x) if to_x >= x else "\b" * (x - to_x) if x - to_x <= 4 else f"\x1b[{x - to_x}D")
    return min(*("\v" * (to_y - y) + way for way in ways), place, key=len)


def _right(columns: int) -> str:
    return "" if not columns else "\x1b[C" if columns == 1 else f"\x1b[{columns}C"
