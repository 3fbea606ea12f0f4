"""Send only the cells that changed (Textual 8.2.8; overrides one private method, ``App._display``).

Textual sends every cell of a dirty region again, changed or not. This mixin keeps what the terminal shows and writes
only what differs. It sits at ``_display`` and not in the compositor: each screen has a compositor of its own, and
frames rendered inside ``App.batch_update`` are thrown away and must not count as sent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.screen import Screen
from textual.strip import Strip

from widgets.pens import ODD, Piece, blank_style, pen, write

GAP = 3
"""Unchanged cells of the same look that are sent again rather than stepped over: a cursor move costs as much."""
LEAD = 12
"""So many blanks before a text go with it; more are erased by themselves."""

Glyph = tuple[str, Style | None]
Run = tuple[int, int, list[Glyph], bool]
"""(column, line, what is to stand there, whether it reaches the right edge)."""


_LOOKS: dict[Style, Style] = {}
"""Equal styles are one object, so that most comparisons end at once."""


def explode(strip: Strip) -> list[Glyph]:
    """One (text, style) per terminal cell; the second cell of a wide glyph has empty text."""
    glyphs: list[Glyph] = []
    for text, style, control in strip:
        if control:
            continue
        if not text.isprintable():
            text = ODD.sub("\ufffd", text)
        if style is not None:
            style = _LOOKS.setdefault(style, style)
        blank = (" ", blank_style(style))
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
def erases(term: str) -> bool:
    """Whether the terminal of that name fills what is erased with the colour it is told; false where nobody knows."""
    try:
        import curses

        curses.setupterm(term, 1)
        return curses.tigetflag("bce") == 1 and curses.tigetstr("ech") == b"\x1b[%p1%dX"
    except Exception:  # no curses in this Python, no such terminal, no standard output
        return False


class RunsUpdate(CompositorUpdate):
    """A frame made of runs."""

    def __init__(self, runs: list[Run], *, repeats: bool = False) -> None:
        self.runs, self.repeats = runs, repeats

    def render_segments(self, console: Console) -> str:
        """The bytes of the runs."""
        colors = COLOR_SYSTEMS.get(console.color_system or "", ColorSystem.TRUECOLOR)
        pieces = [piece for run in self.runs for piece in _pieces(run, colors)]
        return write(pieces, colors, erases=erases(os.environ.get("TERM", "")), repeats=self.repeats)


def _pieces(run: Run, colors: ColorSystem) -> Iterator[Piece]:
    """The run, cut where the look changes. Blanks go with the text beside them where that can't be told apart."""
    x, y, glyphs, last = run
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
    yield Piece(y, start, text, x + len(glyphs) - start, look, last)


class CellDiff(App[int]):
    """Mixin before ``App``; `cell_diff` switches it off, for a terminal that is written to by somebody else."""

    cell_diff: bool = True
    repeats: bool = False
    """Whether the terminal is known to repeat a character when it is told to; not every one that claims to does."""
    _shown: list[list[Glyph | None]] | None = None

    def forget_screen(self) -> None:
        """Call after anything else wrote to the terminal (Ctrl+L, resume from Ctrl+Z, an editor)."""
        self._shown = None

    @staticmethod
    def _writes(update: LayoutUpdate | ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
        if isinstance(update, LayoutUpdate):
            for y, line in enumerate(update.strips, update.region.y):
                x = update.region.x
                for strip in line:
                    yield x, y, strip
                    x += strip.cell_length
            return
        for y, x1, x2 in update.spans:
            for end, (x, chop) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if chop is None or x > x2 or end <= x1:
                    continue
                whole = x2 > x >= x1 and end <= x2
                yield x, y, chop if whole else chop.crop(0, min(end, x2) - x)

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
            runs = self.changed_runs(renderable, *self.size)
            if not runs:
                self.post_display_hook()
                return
            renderable = RunsUpdate(runs, repeats=self.repeats)
        super()._display(screen, renderable)

    def changed_runs(self, update: LayoutUpdate | ChopsUpdate, width: int, height: int) -> list[Run]:
        """What of `update` the terminal does not show yet; counts it as shown from here on."""
        shown = self._shown
        if shown is None or len(shown) != height or (height and len(shown[0]) != width):
            shown = self._shown = [[None] * width for _ in range(height)]
        runs: list[Run] = []
        for x, y, strip in self._writes(update):
            if 0 <= y < height:
                runs += self._diff(shown[y], x, y, strip, width)
        return runs

    @staticmethod
    def _diff(row: list[Glyph | None], x: int, y: int, strip: Strip, width: int) -> list[Run]:
        new = explode(strip)
        n, i = min(len(new), width - x), 0
        runs: list[Run] = []
        if row[x : x + n] == new[:n]:
            return runs
        while i < n:
            if row[x + i] == new[i]:
                i += 1
                continue
            j = last = i
            while j < n and j - last <= GAP:
                if row[x + j] != new[j]:
                    last = j
                elif new[j][1] is not new[last][1]:
                    break
                j += 1
            end = last + 1
            while i and new[i][0] == "":  # never start inside a wide glyph
                i -= 1
            while end < n and new[end][0] == "":
                end += 1
            runs.append((x + i, y, new[i:end], x + end >= width))
            row[x + i : x + end] = new[i:end]
            i = end
        return runs
