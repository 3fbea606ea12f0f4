"""Send only the cells that changed (for the pinned Textual: overrides one private method, ``App._display``).

Textual re-sends every cell of a dirty region, changed or not. This mixin keeps what the terminal shows and writes
only the runs that differ. It must sit at ``_display`` and not in the compositor: frames rendered during
``App.batch_update()`` are thrown away and must not count as sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.screen import Screen
from textual.strip import Strip

GAP = 10
"""Unchanged cells that are re-sent rather than stepped over: a cursor move costs about as much."""

Glyph = tuple[str, Style | None]
Run = tuple[int, int, list[Segment]]


def explode(strip: Strip) -> list[Glyph]:
    """One (text, style) per terminal cell; the second cell of a wide glyph has empty text."""
    glyphs: list[Glyph] = []
    for text, style, control in strip:
        if control:
            continue
        if text.isascii():
            glyphs.extend([(char, style) for char in text])
            continue
        for char in text:
            width = cell_len(char)
            if width == 0:
                if glyphs:
                    glyphs[-1] = (glyphs[-1][0] + char, glyphs[-1][1])
                continue
            glyphs.append((char, style))
            if width == 2:
                glyphs.append(("", style))
    return glyphs


class RunsUpdate(CompositorUpdate):
    """A frame made of runs: (column, line, segments)."""

    def __init__(self, runs: list[Run]) -> None:
        self.runs = runs

    def render_segments(self, console: Console) -> str:
        """The bytes of the runs, each after a cursor move."""
        return "".join(
            Control.move_to(x, y).segment.text + Strip(segments).render(console) for x, y, segments in self.runs
        )


class CellDiff(App[int]):
    """Mixin before ``App``; `cell_diff` switches it off, for a terminal that is written to by somebody else."""

    cell_diff: bool = True
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
            renderable = RunsUpdate(runs)
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
        runs: list[Run] = []
        n, i = min(len(new), width - x), 0
        while i < n:
            if row[x + i] == new[i]:
                i += 1
                continue
            j = last = i
            while j < n and j - last <= GAP:
                if row[x + j] != new[j]:
                    last = j
                j += 1
            end = last + 1
            if i and new[i][0] == "":  # never start inside a wide glyph
                i -= 1
            while end < n and new[end][0] == "":
                end += 1
            segments: list[Segment] = []
            text, style = "", new[i][1]
            for char, glyph_style in new[i:end]:
                if glyph_style is not style and glyph_style != style:
                    segments.append(Segment(text, style))
                    text, style = "", glyph_style
                text += char
            segments.append(Segment(text, style))
            runs.append((x + i, y, segments))
            row[x + i : x + end] = new[i:end]
            i = end
        return runs
