"""A few lines of words that are told for a moment."""

from __future__ import annotations

from textual.strip import Strip

from widgets.line import LineWidget
from widgets.prose import prose_lines
from widgets.safe import Cell, cells, fit


class Notice(LineWidget):
    """Words in as many lines as they take, three at most."""

    DEFAULT_CSS = "Notice { height: 1; }"
    MOST = 3

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._lines: list[Cell] = []

    def show(self, text: Cell, width: int) -> None:
        """Show this from now on, wrapped for `width` columns."""
        lines = prose_lines(text, width)
        if len(lines) > self.MOST:
            lines = [*lines[: self.MOST - 1], cells(fit(lines[self.MOST - 1], width - 1), "…")]
        if lines != self._lines:
            self._lines = lines
            self.styles.height = max(1, len(lines))
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One of the lines."""
        return self.strip(self._lines[y] if y < len(self._lines) else ())
