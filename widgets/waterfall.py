"""The life of a run as bars: a line an attempt, how long it waited, when it worked, how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.strip import Strip

from widgets.rowlist import RowList
from widgets.safe import Cell, SafeText, cell, cells, fit
from widgets.table import Column, column_widths
from widgets.timeline_geometry import BODY, ENDS

LABEL = 4
LEAST = 20
"""Columns that the bars have at least; the words beside them give way."""
WAITS, PLANNED = "·", "◦"


@dataclass(frozen=True, slots=True)
class Span:
    """One line. It waits from `waits_ms`, works from `starts_ms`, ends at `ends_ms` (None: has not yet).

    `outcome` is one of `timeline_geometry.ENDS`, or empty for what has not begun. `cells` stand beside the bar.
    """

    key: str
    label: str
    waits_ms: int | None
    starts_ms: int | None
    ends_ms: int | None
    outcome: str
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """An instant that is named above the bars. The first ones given are the most important."""

    at_ms: int
    text: str


class Waterfall(RowList):
    """Bars on one scale, from the first instant to the last one or now."""

    def __init__(self, *columns: Column, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.columns = columns
        self._spans: dict[str, Span] = {}
        self._marks: tuple[Mark, ...] = ()
        self._planned_ms: int | None = None
        self._scale = (0, 1)

    def show(self, spans: Sequence[Span], marks: Sequence[Mark], now_ms: int, planned_ms: int | None = None) -> None:
        """Show these attempts; `planned_ms` is marked in the first line."""
        times = [ms for s in spans for ms in (s.waits_ms, s.starts_ms, s.ends_ms) if ms is not None]
        times += [mark.at_ms for mark in marks] + [ms for ms in (planned_ms,) if ms is not None]
        if any(s.ends_ms is None for s in spans):
            times.append(now_ms)
        first = min(times, default=now_ms)
        scale = first, max(max(times, default=now_ms), first + 1)
        made = {span.key: span for span in spans}
        before = self._spans, self._marks, self._scale, self._planned_ms
        if before == (made, tuple(marks), scale, planned_ms):
            return
        self._spans, self._marks, self._scale, self._planned_ms = made, tuple(marks), scale, planned_ms
        moved = scale != before[2] or planned_ms != before[3]
        self._strips.clear()
        self.refresh_lines(0)
        self.set_keys(list(made), set(made) if moved else {k for k, s in made.items() if before[0].get(k) != s})

    # --- geometry ---

    def _widths(self) -> tuple[int, list[int]]:
        """(columns of the bars, widths of the cells beside them; 0 where there is no room)."""
        room = self.size.width - LABEL - 2
        wanted = sum(column.width + 1 for column in self.columns)
        beside = max(min(wanted, room - max(LEAST, room * 2 // 5)), 0)
        widths = column_widths(self.columns, beside - 1) if beside > 1 else [0] * len(self.columns)
        return max(room - sum(width + 1 for width in widths if width), 1), widths

    def _column(self, at_ms: int, width: int) -> int:
        first, last = self._scale
        return min(max((at_ms - first) * (width - 1) // (last - first), 0), width - 1)

    # --- drawing ---

    def head_content(self, line: int) -> Cell:
        """The named instants, as many as fit; what stands beside the bars."""
        width, widths = self._widths()
        text = [" "] * width
        for mark in self._marks:
            at = min(self._column(mark.at_ms, width), max(width - len(mark.text), 0))
            piece = text[max(at - 1, 0) : at + len(mark.text) + 1]
            if len(mark.text) <= width and all(c == " " for c in piece):
                text[at : at + len(mark.text)] = mark.text
        out = cells(cell("try".rjust(LABEL), "head"), " ", cell("".join(text), "head"))
        for column, size in zip(self.columns, widths, strict=True):
            if size:
                out = cells(out, " ", fit(cell(column.title, "head"), size, column.align))
        return out

    def row_version(self, index: int) -> object:
        """The bar and its scale."""
        return self._spans[self.keys[index]], self._scale, self.has_focus

    def row_strip(self, index: int, over: str) -> Strip:
        """An attempt."""
        span = self._spans[self.keys[index]]
        width, widths = self._widths()
        mark = cell("▌" if over else " ", "" if self.has_focus else "faint")
        out = cells(mark, cell(span.label.rjust(LABEL - 1), "dim"), " ", self._bar(span, width, first=index == 0))
        for content, column, size in zip(span.cells, self.columns, widths, strict=False):
            if size:
                out = cells(out, " ", fit(content, size, column.align))
        return self.strip(out, over)

    def _bar(self, span: Span, width: int, *, first: bool) -> Cell:
        row: list[tuple[str, str]] = [(" ", "")] * width
        last_ms = self._scale[1]
        begins = None if span.starts_ms is None else self._column(span.starts_ms, width)
        ends = self._column(last_ms if span.ends_ms is None else span.ends_ms, width)
        if span.waits_ms is not None:
            for at in range(self._column(span.waits_ms, width), ends + 1 if begins is None else begins):
                row[at] = (WAITS, "dim")
        if begins is not None:
            glyph, tone, _ = ENDS.get(span.outcome, ("?", "warn", 0))
            for at in range(begins, ends):
                row[at] = (BODY, tone)
            row[max(begins, ends)] = (glyph, tone)
        elif span.outcome:
            glyph, tone, _ = ENDS.get(span.outcome, ("?", "warn", 0))
            row[ends] = (glyph, tone)
        if first and self._planned_ms is not None:
            at = self._column(self._planned_ms, width)
            if row[at][0] in (" ", WAITS):
                row[at] = (PLANNED, "plan")
        out: list[tuple[SafeText, str]] = []
        for char, tone in row:
            out.append((SafeText(char), tone))
        return merged(out)


def merged(parts: Sequence[tuple[SafeText, str]]) -> Cell:
    """Neighbours of one tone as one run."""
    out: list[tuple[SafeText, str]] = []
    for text, tone in parts:
        if out and out[-1][1] == tone:
            out[-1] = (SafeText(out[-1][0] + text), tone)
        else:
            out.append((text, tone))
    return tuple(out)
