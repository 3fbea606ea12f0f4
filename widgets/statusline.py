"""One line with a left and a right part; repainted only when its content differs."""

from __future__ import annotations

from textual.strip import Strip

from widgets.line import LineWidget
from widgets.safe import Cell, cells, fit, width_of


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
