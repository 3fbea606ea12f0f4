"""Styles as a terminal has them: one pen a look, and the shortest way from one to the next.

A style costs more to send than the text in it: 38 bytes with two colours of 24 bits, where a word has six. So a frame
is written pen by pen, not line by line: a cursor move costs 6 to 8 bytes, and what two pens share is not sent again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from rich.color import ColorSystem
from rich.style import Style

NO_STYLE = Style.null()
ATTRIBUTES = (
    ("bold", "1"), ("dim", "2"), ("italic", "3"), ("underline", "4"), ("blink", "5"), ("blink2", "6"),
    ("reverse", "7"), ("conceal", "8"), ("strike", "9"), ("underline2", "21"), ("overline", "53"),
)  # fmt: skip
MARKS = {"4", "7", "9", "21", "53"}
"""The codes of attributes that are seen where nothing is written."""
MANY_BLANKS = " " * 8
REPEATED = re.compile(r"([\u2010-\u2e7f])\1{2,}|([ -~])\2{7,}")
"""A character that takes three bytes three times or more, or one of a byte so often that repeating it is less."""
ODD = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What a terminal would act on. The gate in widgets/safe.py lets none through; this is the second wall."""


class Pen(NamedTuple):
    """What the terminal is told before text: attributes, colours of text and background, each as SGR codes."""

    background: str
    attributes: str
    color: str

    @property
    def is_blank(self) -> bool:
        """Whether it is the look of blanks alone."""
        return not self.attributes and not self.color

    def covers(self, blank: Pen) -> bool:
        """Whether blanks written with this pen look as `blank`."""
        return self.background == blank.background and MARKS.isdisjoint(self.attributes.split(";"))


@lru_cache(4096)
def pen(style: Style | None, colors: ColorSystem) -> Pen:
    """How `style` looks on a terminal with those colours. A link or an action in it is not sent."""
    style = style or NO_STYLE
    attributes = ";".join(code for name, code in ATTRIBUTES if getattr(style, name))
    fore, back = style.color, style.bgcolor
    return Pen(
        ";".join(back.downgrade(colors).get_ansi_codes(foreground=False)) if back else "",
        attributes,
        ";".join(fore.downgrade(colors).get_ansi_codes()) if fore else "",
    )


@lru_cache(4096)
def blank_style(style: Style | None) -> Style | None:
    """What is left of a style where nothing is written: its background, so that blanks of any text are one look."""
    if style is None or any(code in MARKS and getattr(style, name) for name, code in ATTRIBUTES):
        return style
    return Style(bgcolor=style.bgcolor)


def change(before: Pen | None, after: Pen) -> str:
    """The bytes that take a terminal from one pen to another; None: it is not known which one it holds."""
    if before == after:
        return ""
    if before is None or before.attributes != after.attributes:
        return (
            "\x1b["
            + ";".join(("0", *(code for code in (after.attributes, after.color, after.background) if code)))
            + "m"
        )
    parts = []
    if before.color != after.color:
        parts.append(after.color or "39")
    if before.background != after.background:
        parts.append(after.background or "49")
    return f"\x1b[{';'.join(parts)}m"


class Piece(NamedTuple):
    """Text of one pen at a place."""

    y: int
    x: int
    text: str
    width: int
    pen: Pen
    last: bool = False
    """Whether it reaches the right edge, where terminals differ on where the cursor is afterwards."""

    @property
    def is_sure(self) -> bool:
        """Whether every terminal has its cursor at the same place afterwards: nothing wide, nothing combined."""
        return not self.last and self.width == len(self.text) and (self.text.isascii() or max(self.text) < "\u2e80")


def write(pieces: Iterable[Piece], colors: ColorSystem, *, erases: bool, repeats: bool = False) -> str:
    """The bytes of a frame; afterwards the terminal holds no pen.

    `erases`: the terminal fills erased cells with the background it is told (terminfo: bce, ech). `repeats`: it writes
    a character once more when it is told to (REP, ECMA-48 8.3.103).
    """
    many = colors in (ColorSystem.EIGHT_BIT, ColorSystem.TRUECOLOR)
    ordered = sorted(pieces, key=lambda p: (p.pen, p.y, p.x)) if many else sorted(pieces, key=lambda p: (p.y, p.x))
    out: list[str] = []
    held: Pen | None = None
    at_y = at_x = -1
    for piece in ordered:
        out += (move(at_y, at_x, piece.y, piece.x), change(held, piece.pen))
        text, blank = piece.text, 0
        held, at_y, at_x = piece.pen, piece.y, piece.x + piece.width
        if erases and text.endswith(MANY_BLANKS):
            text = text.rstrip(" ")
            blank = len(piece.text) - len(text)
            at_x -= blank
        if repeats and piece.width == len(piece.text) and REPEATED.search(text):
            text = REPEATED.sub(_once, text)
        out += (text, f"\x1b[{blank}X" if blank else "")
        if not piece.is_sure:
            at_y = -1
    if held is not None:
        out.append("\x1b[0m")
    return "".join(out)


def _once(found: re.Match[str]) -> str:
    return f"{found[0][0]}\x1b[{len(found[0]) - 1}b"


def move(y: int, x: int, to_y: int, to_x: int) -> str:
    """The bytes that take the cursor from one place to another; `y` -1: nobody knows where it is."""
    if y < 0 or not y <= to_y <= y + 1:
        return f"\x1b[{to_y + 1};{to_x + 1}H"
    down, right = "\x1bD" if to_y > y else "", to_x - x
    if right < 0:
        return down + ("\b" * -right if right >= -3 else f"\x1b[{-right}D")
    return down + ("" if not right else "\x1b[C" if right == 1 else f"\x1b[{right}C")
