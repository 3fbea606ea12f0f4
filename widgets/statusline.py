"""One line with a left and a right part, and a few lines of words; repainted only when their content differs."""

from __future__ import annotations

from textual.strip import Strip

from widgets.line import LineWidget
from widgets.prose import word_lines
from widgets.safe import Cell, cells, fit, width_of
from widgets.textpane import wrapped_lines


class StatusLine(LineWidget):
    """Left part cut if there is no room for both."""

    DEFAULT_CSS = "StatusLine { height: 1; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._content: tuple[Cell, Cell] = ((), ())

    @property
    def content(self) -> tuple[Cell, Cell]:
        """What is shown: (left, right)."""
        return self._content

    def show(self, left: Cell, right: Cell = ()) -> None:
        """Show this from now on."""
        if (left, right) != self._content:
            self._content = (left, right)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line."""
        left, right = self._content
        room = self.size.width - width_of(right) - (1 if right else 0)
        if room < 8:
            return self.strip(fit(left or right, self.size.width))
        return self.strip(cells(fit(left, room), " ", right) if right else fit(left, self.size.width))


class Notice(LineWidget):
    """Words in as many lines as they take, three at most."""

    DEFAULT_CSS = "Notice { height: 1; }"
    MOST = 3

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._lines: list[Cell] = []

    def show(self, text: Cell, width: int) -> None:
        """Show this from now on, wrapped for `width` columns."""
        lines = [line for part in word_lines(text, width) for line in wrapped_lines(part, width)]
        if len(lines) > self.MOST:
            lines = [*lines[: self.MOST - 1], cells(fit(lines[self.MOST - 1], width - 1), "…")]
        if lines != self._lines:
            self._lines = lines
            self.styles.height = max(1, len(lines))
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One of the lines."""
        return self.strip(self._lines[y] if y < len(self._lines) else ())
