"""Lines of text to read: wrapped, scrollable, never parsed as markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip

from widgets.line import LineWidget
from widgets.safe import Cell, SafeText, cell, fitting

NEAR = 40
"""Characters of a word that goes down whole: a path as ``docs/reference/schedules.md`` too."""


class TextPane(LineWidget, can_focus=True):
    """Shows cells as paragraphs; one longer than the width goes on in the next line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll_by(1)", "down", show=False),
        Binding("k,up", "scroll_by(-1)", "up", show=False),
        Binding("ctrl+d,pagedown,space", "scroll_by(20)", "page down", show=False),
        Binding("ctrl+u,pageup", "scroll_by(-20)", "page up", show=False),
        Binding("g,home", "scroll_by(-1000000)", "top", show=False),
        Binding("G,end", "scroll_by(1000000)", "bottom", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._paragraphs: tuple[Cell, ...] = ()
        self._lines: list[Cell] = []
        self._wrapped_for: tuple[int, int] = (-1, -1)
        self.top = 0

    def show(self, paragraphs: Sequence[Cell]) -> None:
        """Show this text from its beginning."""
        self._paragraphs = tuple(paragraphs)
        self._wrapped_for = (-1, -1)
        self.top = 0
        self.refresh()

    def plain_text(self) -> str:
        """All of it, a line a paragraph."""
        return "".join("".join(text for text, _ in paragraph) + "\n" for paragraph in self._paragraphs)

    def lines(self) -> list[Cell]:
        """The text in lines of the present width."""
        key = (self.size.width, id(self._paragraphs))
        if key != self._wrapped_for:
            self._wrapped_for = key
            self._lines = [line for text in self._paragraphs for line in self.wrapped(text, self.size.width)]
        return self._lines

    def wrapped(self, paragraph: Cell, width: int) -> list[Cell]:
        """`paragraph` in lines of at most `width` columns."""
        return wrapped_lines(paragraph, width)

    def action_scroll_by(self, lines: int) -> None:
        """Up or down by lines."""
        top = max(0, min(self.top + lines, len(self.lines()) - self.size.height))
        if top != self.top:
            self.top = top
            self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel."""
        event.stop()
        self.action_scroll_by(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel."""
        event.stop()
        self.action_scroll_by(-3)

    def render_line(self, y: int) -> Strip:
        """One line of the content area."""
        lines = self.lines()
        index = y + self.top
        if index >= len(lines):
            return self.strip(())
        if y == self.size.height - 1 and index < len(lines) - 1:
            return self.strip(cell(f"… {len(lines) - index} more lines (j, Space)", "dim"))
        return self.strip(lines[index])


def wrapped_lines(paragraph: Cell, width: int) -> list[Cell]:
    """`paragraph` in lines of at most `width` columns; the last word goes down whole where it is short."""
    if not paragraph or width <= 0:
        return [()]
    lines: list[list[tuple[SafeText, str]]] = [[]]
    room = width
    for text, tone in paragraph:
        rest: str = text
        while rest:
            count = fitting(rest, room)
            if count < len(rest) and rest[count] != " ":
                blank = rest.rfind(" ", max(count - NEAR, 1), count)
                count = blank + 1 if blank > 0 and not rest[:blank].isspace() else count
            if count:
                lines[-1].append((SafeText(rest[:count]), tone))
                room -= cell_len(rest[:count])
                rest = rest[count:]
            elif room == width:
                break  # narrower than a wide character
            if rest:
                lines.append([])
                room = width
    return [tuple(line) for line in lines]
