"""Much text to read, that may still grow: wrapped only where it is in sight, and followed while its end is in sight."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from widgets.line import LineWidget
from widgets.safe import Cell, cell, safe_line
from widgets.textpane import wrapped_lines

LINES_HELD = 20_000
CHARS_HELD = 8_000_000
"""What is older goes; how many lines went is told."""
LINE_MOST = 20_000
"""Characters of a line; a longer one goes on in the next."""
WRAPPED_HELD = 300


class LogPane(LineWidget, can_focus=True):
    """Lines are plain text (made safe when they come into sight) or cells."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll_by(1)", "down", show=False),
        Binding("k,up", "scroll_by(-1)", "up", show=False),
        Binding("ctrl+d,pagedown,space", "page(1)", "page down", show=False),
        Binding("ctrl+u,pageup", "page(-1)", "page up", show=False),
        Binding("g,home", "edge(-1)", "first line", show=False),
        Binding("G,end", "edge(1)", "last line, and follow", show=False),
    ]

    class Moved(Message):
        """Another part is in sight, or there is more."""

        def __init__(self, pane: LogPane) -> None:
            super().__init__()
            self.pane = pane

        @property
        def control(self) -> LogPane:
            """The pane it came from."""
            return self.pane

        def can_replace(self, message: Message) -> bool:
            """Only where it is now matters."""
            return isinstance(message, LogPane.Moved) and message.pane is self.pane

    def __init__(self, *, empty: str = "", id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._empty = empty
        self._lines: list[str | Cell] = []
        self._chars = 0
        self._unended = False
        self.dropped = 0
        """Lines that were let go at the beginning."""
        self._top = (0, 0)
        self.following = False
        self._rows: OrderedDict[int, list[Cell]] = OrderedDict()
        self._width = -1
        self._view: list[Cell] | None = None

    # --- what is shown ---

    @property
    def line_count(self) -> int:
        """Lines held."""
        return len(self._lines)

    @property
    def char_count(self) -> int:
        """Characters held."""
        return self._chars

    def tail(self, most: int) -> str:
        """The last characters of the text, about `most` of them."""
        found: list[str] = [] if self._unended else [""]
        size = 0
        for line in reversed(self._lines):
            if size >= most:
                break
            if isinstance(line, str):
                found.append(line)
                size += len(line) + 1
        return "\n".join(reversed(found))[-most:]

    def plain_text(self) -> str:
        """All that is held, what a terminal would act on made visible."""
        texts = (safe_line(line) if isinstance(line, str) else "".join(t for t, _ in line) for line in self._lines)
        return "".join(text + "\n" for text in texts)

    @property
    def first_line(self) -> int:
        """Number of the line at the top, from 1."""
        return self._top[0] + 1 + self.dropped

    def show(self, lines: Iterable[str | Cell], *, empty: str = "", follow: bool = False) -> None:
        """Show these lines from the first one, or from the last ones with `follow`."""
        self._lines, self._chars, self._unended, self.dropped = [], 0, False, 0
        self._rows.clear()
        self._empty = empty or self._empty
        self._top, self.following = (0, 0), follow
        self._add(lines)
        self._changed()

    def replace(self, lines: Sequence[str | Cell]) -> None:
        """Show these lines instead, at the same place."""
        top, following = self._top, self.following
        self.show(lines, follow=following)
        self._top = (min(top[0], max(len(lines) - 1, 0)), 0 if top[0] >= len(lines) else top[1])
        self._changed()

    def append(self, text: str) -> None:
        """More text at the end; it may begin within a line and end within one."""
        if not text:
            return
        lines = text.split("\n")
        if self._unended and self._lines:
            last = self._lines.pop()
            self._rows.pop(len(self._lines), None)
            self._chars -= len(last)
            lines[0] = f"{last}{lines[0]}"
        self._unended = bool(lines[-1])
        self._add(lines if self._unended else lines[:-1])
        self._changed()

    def _add(self, lines: Iterable[str | Cell]) -> None:
        for line in lines:
            pieces = [line[at : at + LINE_MOST] for at in range(0, len(line), LINE_MOST)] if line else [line]
            for piece in pieces if isinstance(line, str) else [line]:
                self._lines.append(piece)
                self._chars += len(piece)
        surplus = 0
        while len(self._lines) - surplus > LINES_HELD or self._chars > CHARS_HELD:
            self._chars -= len(self._lines[surplus])
            surplus += 1
        if surplus:
            surplus = min(max(surplus, LINES_HELD // 20), len(self._lines) - 1)
            del self._lines[:surplus]
            self._chars = sum(map(len, self._lines))
            self.dropped += surplus
            self._rows.clear()
            self._top = (self._top[0] - surplus, self._top[1]) if self._top[0] >= surplus else (0, 0)

    def _changed(self) -> None:
        self._view = None
        if self.following:
            self._top = self._last_top()
        self.refresh()
        self.post_message(self.Moved(self))

    # --- where it is ---

    def _wrapped(self, index: int) -> list[Cell]:
        """The rows of a line."""
        if self._width != self.size.width:
            self._width = self.size.width
            self._rows.clear()
        rows = self._rows.get(index)
        if rows is None:
            line = self._lines[index]
            if isinstance(line, str):
                line = ((safe_line(line.removesuffix("\r").replace("\t", "    "), LINE_MOST * 4), ""),)
            rows = self._rows[index] = wrapped_lines(line, self._width)
            if len(self._rows) > WRAPPED_HELD:
                self._rows.popitem(last=False)
        else:
            self._rows.move_to_end(index)
        return rows

    def _moved(self, top: tuple[int, int], rows: int) -> tuple[int, int]:
        """`rows` rows below (above) `top`, within the text."""
        index, row = top
        row += rows
        while row < 0 and index > 0:
            index -= 1
            row += len(self._wrapped(index))
        while index < len(self._lines) - 1 and row >= len(self._wrapped(index)):
            row -= len(self._wrapped(index))
            index += 1
        return index, max(row, 0)

    def _last_top(self) -> tuple[int, int]:
        """Where the last row is at the bottom."""
        if not self._lines or self.size.width <= 0:
            return 0, 0
        last = len(self._lines) - 1
        return self._moved((last, len(self._wrapped(last)) - 1), 1 - max(self.size.height, 1))

    def _go(self, top: tuple[int, int]) -> None:
        last = self._last_top()
        self.following = top >= last
        top = min(top, last)
        if top != self._top:
            self._top, self._view = top, None
            self.refresh()
        self.post_message(self.Moved(self))

    def action_scroll_by(self, rows: int) -> None:
        """Up or down by rows."""
        if self._lines:
            self._go(self._moved(self._top, rows))

    def action_page(self, step: int) -> None:
        """Up or down by a page."""
        self.action_scroll_by(step * max(1, self.size.height - 1))

    def action_edge(self, side: int) -> None:
        """To the first line, or to the last one, which is followed from then on."""
        if self._lines:
            self._go((0, 0) if side < 0 else self._last_top())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel."""
        event.stop()
        self.action_scroll_by(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel."""
        event.stop()
        self.action_scroll_by(-3)

    def on_resize(self) -> None:
        """Another width has other rows."""
        self._view = None
        if self.following:
            self._top = self._last_top()
        elif self._lines:
            self._top = min((self._top[0], 0), self._last_top())

    # --- drawing ---

    def _in_sight(self) -> list[Cell]:
        if self._view is None:
            rows: list[Cell] = []
            if self.dropped and self._top == (0, 0):
                rows.append(cell(f"… {self.dropped:,} earlier lines are not held", "dim"))
            index, row = self._top
            while index < len(self._lines) and len(rows) < self.size.height:
                rows += self._wrapped(index)[row:]
                index, row = index + 1, 0
            if not self._lines and self._empty:
                rows.append(cell(f"  {self._empty}", "dim"))
            self._view = rows
        return self._view

    def render_line(self, y: int) -> Strip:
        """One line of the content area."""
        rows = self._in_sight()
        return self.strip(rows[y] if y < len(rows) else ())
