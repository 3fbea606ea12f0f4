"""A small chart of bars: one value a column or more, several lines high, with its scale on the left."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip

from widgets.line import LineWidget
from widgets.prose import word_lines
from widgets.safe import Cell, cell, cells, fit
from widgets.sparkline import LEVELS

SCALE = 6


class Bars(LineWidget):
    """The highest line says the scale, the last one what is at its ends."""

    def __init__(
        self, *, tone: str = "accent", ends: tuple[str, str] = ("", ""), least_peak: float = 0,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:  # fmt: skip
        """`least_peak`: no lower value reaches the top, so that hardly anything looks like it."""
        super().__init__(id=id, classes=classes)
        self._tone, self._ends, self._least = tone, ends, least_peak
        self._values: tuple[float, ...] = ()
        self._empty = ""
        self._drawn: tuple[tuple[int, int], list[str], str] = ((-1, -1), [], "")

    def show(self, values: Sequence[float], empty: str = "") -> None:
        """Show these, oldest first; `empty` stands where there are none."""
        if (tuple(values), empty) != (self._values, self._empty):
            self._values, self._empty = tuple(values), empty
            self._drawn = ((-1, -1), [], "")
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """A line of bars, or of their ends."""
        width, height = self.size.width - SCALE - 2, self.size.height - 1
        if not self._values:
            lines = word_lines(cell(self._empty, "dim"), self.size.width - 2)
            return self.strip(cells("  ", lines[y]) if y < len(lines) else ())
        if self._drawn[0] != (width, height):
            top = max(*self._values, self._least)
            self._drawn = ((width, height), bar_lines(self._values, width, height, self._least), top_of(top))
        if y >= height:
            first, last = self._ends
            length = len(self._drawn[1][0]) if self._drawn[1] else 0
            return self.strip(
                cells(" " * (SCALE + 1), fit(cell(first, "faint"), max(0, length - len(last))), cell(last, "faint"))
            )
        label: Cell = cell("")
        if y == 0:
            label = cell(self._drawn[2], "dim")
        elif y == height - 1:
            label = cell("0", "faint")
        line = self._drawn[1][y]
        return self.strip(cells(fit(label, SCALE, "right"), " ", cell(line, self._tone)))


def top_of(top: float) -> str:
    """The scale in words: the value that reaches the top."""
    return (
        f"{top:.1f}" if 0 < top < 10 and top != int(top) else f"{top / 1000:.0f}k" if top >= 100_000 else f"{top:.0f}"
    )


def bar_lines(values: Sequence[float], width: int, height: int, least_peak: float = 0) -> list[str]:
    """`height` lines of at most `width` columns; the greatest value, or `least_peak`, reaches the top."""
    if width <= 0 or height <= 0 or not values:
        return [""] * max(height, 0)
    if len(values) > width:
        shown = [max(values[n * len(values) // width : (n + 1) * len(values) // width]) for n in range(width)]
    else:
        shown = [value for value in values for _ in range(width // len(values))]
    top = max(*shown, least_peak)
    steps = height * len(LEVELS)
    tall = [0 if value <= 0 or top <= 0 else max(1, round(value / top * steps)) for value in shown]
    lines = []
    for line in range(height - 1, -1, -1):
        floor = line * len(LEVELS)
        lines.append("".join(_part(t - floor, bottom=line == 0) for t in tall))
    return lines


def _part(filled: int, *, bottom: bool) -> str:
    if filled <= 0:
        return "▁" if bottom and filled == 0 else " "
    return LEVELS[min(filled, len(LEVELS)) - 1]
