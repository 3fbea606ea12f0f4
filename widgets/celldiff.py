"""Send only the cells that changed (Textual 8.2.8; overrides one private method, ``App._display``).

Textual sends every cell of a dirty region again, changed or not. This mixin keeps what the terminal shows and writes
only what differs. It sits at ``_display`` and not in the compositor: each screen has a compositor of its own, and
frames rendered inside ``App.batch_update`` are thrown away and must not count as sent.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import Input

from widgets.pens import NO_STYLE, ODD, Pen, Piece, blank_style, pen, write

GAP = 3
"""So many unchanged cells between others of one look are sent again: to step over them costs as much."""
MANY = 20
"""Where fewer cells change, nothing is gained by erasing."""
STAYS = sys.platform != "win32"
"""Textual's driver for Linux and macOS switches wrapping off from the beginning to the end."""
LEAD = 12
"""So many blanks before a text go with it; more are erased by themselves."""

Glyph = tuple[str, Style | None]


class Run(NamedTuple):
    """What is to stand at a place."""

    x: int
    y: int
    glyphs: list[Glyph]
    last: bool
    """Whether it reaches the right edge."""
    erases: bool = False
    """Whether it is a stretch of blanks, to be there before what is written into it."""


@lru_cache(4096)
def one(style: Style) -> Style:
    """Equal styles are one object, so that most comparisons end at once."""
    return style


def side_by_side(strips: Iterable[Strip]) -> list[Glyph]:
    """The cells of strips; where Rich counts the width of a text otherwise, the next one begins where Rich has it."""
    glyphs: list[Glyph] = []
    end = 0
    for strip in strips:
        glyphs = glyphs[:end] + [(" ", None)] * (end - len(glyphs)) + explode(strip)
        end += strip.cell_length
    return glyphs


def explode(strip: Strip) -> list[Glyph]:
    """One (text, style) per terminal cell; the second cell of a wide glyph has empty text."""
    glyphs: list[Glyph] = []
    for text, style, control in strip:
        if control:
            continue
        if not text.isprintable():
            text = ODD.sub("\ufffd", text)
        if style is not None:
            style = one(style)
        blank_look = blank_style(style)
        blank = (" ", None if blank_look is None else one(blank_look))
        if text.isascii():
            glyphs.extend([(char, style) if char != " " else blank for char in text])
            continue
        for char in text:
            width = 1 if char.isascii() else cell_len(char)
            if width == 0:
                if glyphs:
                    glyphs[-1] = (glyphs[-1][0] + char, glyphs[-1][1])
                continue
            glyphs.append((char, style) if char != " " else blank)
            if width == 2:
                glyphs.append(("", style))
    return glyphs


@cache
def told(term: str, name: str) -> bytes | None:
    """What terminfo says of the terminal of that name; None where nobody knows."""
    try:
        import curses

        curses.setupterm(term, 1)
        return b"" if curses.tigetflag(name) == 1 else curses.tigetstr(name)
    except Exception:  # no curses in this Python, no such terminal, no standard output
        return None


def erases(term: str) -> bool:
    """Whether the terminal of that name fills what is erased with the colour it is told."""
    return told(term, "bce") == b"" and told(term, "ech") == b"\x1b[%p1%dX"


def columns(term: str) -> bool:
    """Whether the terminal of that name goes to a column of its line."""
    return told(term, "hpa") == b"\x1b[%i%p1%dG"


class RunsUpdate:
    """A frame made of runs. `held`: the pen that the terminal holds, before it and then after it.

    It is no ``CompositorUpdate``: behind each of those Textual puts the hidden cursor back. Only an input method looks
    where it is, so that is done where there is something to type into: `cursor` (column, line).
    """

    def __init__(
        self,
        runs: list[Run],
        *,
        repeats: bool = False,
        held: Pen | None = None,
        cursor: tuple[int, int] | None = None,
    ) -> None:
        self.runs, self.repeats, self.held, self.cursor = runs, repeats, held, cursor

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As it is."""
        yield Segment(self.render_segments(console))
        if self.cursor is not None:
            yield Control.move_to(*self.cursor).segment

    def render_segments(self, console: Console) -> str:
        """The bytes of the runs."""
        colors = COLOR_SYSTEMS.get(console.color_system or "", ColorSystem.TRUECOLOR)
        pieces = [piece for run in self.runs for piece in _pieces(run, colors)]
        term = os.environ.get("TERM", "")
        text, self.held = write(
            pieces, colors, erases=erases(term), columns=columns(term), repeats=self.repeats, stays=STAYS,
            held=self.held,
        )  # fmt: skip
        return text


def _pieces(run: Run, colors: ColorSystem) -> Iterator[Piece]:
    """The run, cut where the look changes. Blanks go with the text beside them where that can't be told apart."""
    x, y, glyphs, last, first = run
    style, blank = glyphs[0][1], glyphs[0][0] == " "
    look, text, start = pen(style, colors), "", x
    for at, (char, next_style) in enumerate(glyphs, x):
        if next_style is not style or (char == " ") is not blank:
            style, blank = next_style, char == " "
            wanted = pen(style, colors)
            if wanted == look or (blank and wanted.is_blank and look.covers(wanted)):
                pass
            elif look.is_blank and wanted.covers(look) and len(text) <= LEAD and not text.strip(" "):
                look = wanted
            else:
                yield Piece(y, start, text, at - start, look)
                look, text, start = wanted, "", at
        text += char
    yield Piece(y, start, text, x + len(glyphs) - start, look, last, first)


class CellDiff(App[int]):
    """Mixin before ``App``; `cell_diff` switches it off, for a terminal that is written to by somebody else."""

    cell_diff: bool = True
    repeats: bool = False
    """Whether the terminal is known to repeat a character when it is told to; not every one that claims to does."""
    _shown: list[list[Glyph | None]] | None = None
    _held: Pen | None = None
    """The pen that the terminal holds; None: nobody knows."""

    def forget_screen(self) -> None:
        """Call after anything else wrote to the terminal (Ctrl+L, resume from Ctrl+Z, an editor)."""
        self._shown = self._held = None

    @staticmethod
    def _writes(update: LayoutUpdate | ChopsUpdate) -> Iterator[tuple[int, int, list[Glyph]]]:
        """(column, line, what is to stand there): what lies side by side is one."""
        if isinstance(update, LayoutUpdate):
            for y, line in enumerate(update.strips, update.region.y):
                yield update.region.x, y, side_by_side(line)
            return
        for y, x1, x2 in update.spans:
            start = x1
            strips: list[Strip] = []
            for end, (x, chop) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if chop is None or x > x2 or end <= x1:
                    continue
                if not strips:
                    start = x
                elif x != start + sum(strip.cell_length for strip in strips):
                    yield start, y, side_by_side(strips)
                    start, strips = x, []
                whole = x2 > x >= x1 and end <= x2
                strips.append(chop if whole else chop.crop(0, min(end, x2) - x))
            yield start, y, side_by_side(strips)

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        if (
            self.cell_diff
            and isinstance(renderable, (LayoutUpdate, ChopsUpdate))
            and not self._batch_count
            and self._running
            and not self._closed
            and not self.is_headless
            and self._driver is not None
            and not self._driver.is_inline
        ):
            clears = self._sync_available and erases(os.environ.get("TERM", ""))  # else a line would flash
            runs = self.changed_runs(renderable, *self.size, clears=clears)
            if not runs:
                self.post_display_hook()
                return
            types = isinstance(self.focused, Input)
            cursor = self.screen.outer_size.clamp_offset(self.cursor_position) if types else None
            renderable = RunsUpdate(runs, repeats=self.repeats, held=self._held, cursor=cursor)
        super()._display(screen, renderable)
        if renderable is not None:
            self._held = renderable.held if isinstance(renderable, RunsUpdate) else None

    def changed_runs(
        self, update: LayoutUpdate | ChopsUpdate, width: int, height: int, *, clears: bool = False
    ) -> list[Run]:
        """What of `update` the terminal does not show yet; counts it as shown from here on.

        `clears`: a line that becomes another one may be erased first.
        """
        shown = self._shown
        if shown is None or len(shown) != height or (height and len(shown[0]) != width):
            shown = self._shown = [[None] * width for _ in range(height)]
        runs: list[Run] = []
        for x, y, glyphs in self._writes(update):
            if not 0 <= y < height:
                continue
            row, new = shown[y], glyphs[: width - x]
            if row[x : x + len(new)] != new:
                changed = list(differences(row, x, y, new))
                if clears and sum(len(run.glyphs) for run in changed) >= MANY:
                    changed = _shorter(changed, new, x)
                row[x : x + len(new)] = new
                runs += changed
        return runs


def differences(row: Sequence[Glyph | None], x: int, y: int, new: list[Glyph]) -> Iterator[Run]:
    """What turns what is in `row` from `x` on into `new`."""
    i, n = 0, len(new)
    while i < n:
        if row[x + i] == new[i]:
            i += 1
            continue
        end, look = i, None
        while end < n:
            if row[x + end] == new[end]:
                gap = _gap(row, x, new, end, look)
                if not gap:
                    break
                end += gap
            if look is None or new[end][0] != " ":
                look = new[end]
            end += 1
        while i and new[i][0] == "":  # never start inside a wide glyph
            i -= 1
        while end < n and new[end][0] == "":
            end += 1
        yield Run(x + i, y, new[i:end], x + end >= len(row))
        i = end


def _gap(row: Sequence[Glyph | None], x: int, new: list[Glyph], at: int, look: Glyph | None) -> int:
    """How many unchanged cells from `at` on are sent again, since what follows them is of the look before them."""
    if look is None:
        return 0
    ground = blank_style(look[1])
    for end in range(at, min(at + GAP + 1, len(new))):
        char, style = new[end]
        if style is not look[1] and (char != " " or style != ground):
            return 0
        if row[x + end] != new[end]:
            return end - at
    return 0


def _shorter(changed: list[Run], new: list[Glyph], x: int) -> list[Run]:
    """`changed`, or all between its ends erased and written anew where that is less. `new` begins at column `x`."""
    start, y = changed[0].x, changed[0].y
    part = new[start - x : changed[-1].x + len(changed[-1].glyphs) - x]
    found = Counter(style for char, style in part if char == " ").most_common(1)
    if not found or (found[0][0] or NO_STYLE) != Style(bgcolor=(found[0][0] or NO_STYLE).bgcolor):
        return changed
    blank = (" ", found[0][0])
    empty = [blank] * len(part)
    anew = [run._replace(x=run.x + start) for run in differences(empty, 0, y, part)]
    erased = Run(start, y, empty, changed[-1].last, True)
    if not erased.last and anew:
        anew[-1] = anew[-1]._replace(last=False)
    return min(changed, [erased, *anew], key=_cost)


def _cost(runs: list[Run]) -> int:
    """How many bytes they take where colours are told in full."""
    pieces = [piece for run in runs for piece in _pieces(run, ColorSystem.TRUECOLOR)]
    return len(write(pieces, ColorSystem.TRUECOLOR, erases=True, columns=True, repeats=True, stays=STAYS)[0].encode())
