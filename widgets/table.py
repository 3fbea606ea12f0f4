"""A table for live lists: rows of cells with keys; a changed row repaints one line, a long list costs a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual.strip import Strip

from widgets.rowlist import RowList
from widgets.safe import Cell, SafeText, cell, cells, fit


class Column(NamedTuple):
    """`width` in terminal columns; `flex`: its share of what is left. Higher `drop` goes first when narrow.

    `align`: left, right, or tail (right, and cut at its beginning).
    """

    title: str
    width: int
    flex: int = 0
    align: str = "left"
    drop: int = 0


class Row(NamedTuple):
    """`key` identifies the row for ever; two equal rows look the same."""

    key: str
    cells: tuple[Cell, ...]


def column_widths(columns: Sequence[Column], width: int) -> list[int]:
    """Widths that fill `width` with one blank between columns; 0 for a column there is no room for."""
    shown = list(range(len(columns)))
    while len(shown) > 1 and sum(columns[i].width + 1 for i in shown) - 1 > width:
        worst = max(shown, key=lambda i: (columns[i].drop, i))
        if not columns[worst].drop:
            break
        shown.remove(worst)
    widths = [columns[i].width if i in shown else 0 for i in range(len(columns))]
    left = width - (sum(widths) + len(shown) - 1)
    shares = sum(columns[i].flex for i in shown)
    if left > 0:
        for i in [i for i in shown if columns[i].flex]:
            extra = left * columns[i].flex // shares
            left, shares = left - extra, shares - columns[i].flex
            widths[i] += extra
    return widths


MARK = "●"


class Table(RowList):
    """Line-API table with a pinned heading. With `marks` its rows can be marked: their keys are kept by the screen."""

    def __init__(
        self, *columns: Column, empty: str = "", marks: bool = False, id: str | None = None, classes: str | None = None  # noqa: A002
    ) -> None:  # fmt: skip
        super().__init__(id=id, classes=classes)
        self.columns = columns
        self.lead = 3 if marks else 1
        """Terminal columns before the first one: the sign of the cursor, and that of a mark."""
        self.marked: frozenset[str] = frozenset()
        self.EMPTY = empty or self.EMPTY
        self.rows: tuple[Row, ...] = ()
        self._widths: tuple[int, list[int]] = (-1, [])

    def set_rows(self, rows: tuple[Row, ...]) -> None:
        """Show these rows. Only what differs from before is repainted."""
        self.set_unread("")
        if rows == self.rows:
            return
        before = {row.key: row for row in self.rows}
        changed = {row.key for row in rows if before.get(row.key) != row}
        was_empty = not self.rows
        self.rows = rows
        self.set_keys([row.key for row in rows], changed)
        if was_empty:
            self.refresh_lines(self.HEAD)

    def mark(self, keys: frozenset[str]) -> None:
        """Show these rows as marked, also those that come into sight later."""
        changed, self.marked = self.marked ^ keys, keys
        for line, key in enumerate(self.keys[self.top : self.top + self.page_rows]):
            if key in changed:
                self.refresh_lines(self.HEAD + line)

    def widths(self) -> list[int]:
        """Column widths at the present size."""
        width = self.size.width - self.lead
        if self._widths[0] != width:
            self._widths = (width, column_widths(self.columns, width))
        return self._widths[1]

    def head_content(self, line: int) -> Cell:
        """The titles of the columns."""
        return self._line([cell(column.title, "head") for column in self.columns], " ")

    def row_version(self, index: int) -> object:
        """The row itself, and whether it is marked."""
        row = self.rows[index]
        return (row, row.key in self.marked)

    def row_strip(self, index: int, over: str) -> Strip:
        """The row, with a sign before it where the cursor is, and another one where it is marked."""
        row = self.rows[index]
        return self.strip(self._line(row.cells, "▌" if over else " ", MARK if row.key in self.marked else " "), over)

    def _line(self, content: Sequence[Cell], cursor: str, mark: str = " ") -> Cell:
        out: Cell = cell(cursor, "" if self.has_focus else "faint")
        if self.lead > 1:
            out = cells(out, cell(mark, "key"), " ")
        first = True
        for width, piece, column in zip(self.widths(), content, self.columns, strict=False):
            if width:
                out = cells(out, *(() if first else (((SafeText(" "), ""),),)), fit(piece, width, column.align))
                first = False
        return out
