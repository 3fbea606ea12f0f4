"""A list of rows with a cursor. The cursor and the scroll anchor are row keys, so they survive every refresh."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from time import monotonic
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from widgets.heading import with_sign
from widgets.line import LineWidget
from widgets.prose import word_lines
from widgets.safe import Cell, cell, cells


class RowList(LineWidget, can_focus=True):
    """Base of tables and the time line: subclasses say what the pinned head and a row look like.

    Until the operator touches it, the list follows its first row (the newest). From then on the chosen row stays where
    it is on the screen, whatever arrives above it; ``g`` goes back to the top.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down", show=False),
        Binding("k,up", "move(-1)", "up", show=False),
        Binding("g,home", "edge(-1)", "first row", show=False),
        Binding("G,end", "edge(1)", "last row", show=False),
        Binding("ctrl+d,pagedown", "page(1)", "page down", show=False),
        Binding("ctrl+u,pageup", "page(-1)", "page up", show=False),
        Binding("enter", "open", "open", show=False),
    ]
    HEAD = 1
    KEEPS_FIRST = True
    """Whether the first row stays chosen once the list has the focus, though nobody has moved yet."""
    EMPTY = "nothing here"
    UNREAD = "reading …"

    class Opened(Message):
        """Enter (or a second click) on a row."""

        def __init__(self, rows: RowList, key: str) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

        @property
        def control(self) -> RowList:
            """The list it came from."""
            return self.rows

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, rows: RowList, key: str) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

        @property
        def control(self) -> RowList:
            """The list it came from."""
            return self.rows

        def can_replace(self, message: Message) -> bool:
            """Only where it is now matters."""
            return isinstance(message, RowList.Moved) and message.rows is self.rows

    class Edge(Message):
        """The first (-1) or the last (1) row was asked for."""

        def __init__(self, rows: RowList, side: int) -> None:
            super().__init__()
            self.rows = rows
            self.side = side

        @property
        def control(self) -> RowList:
            """The list it came from."""
            return self.rows

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.keys: Sequence[str] = ()
        self._index: dict[str, int] = {}
        self._cursor: str | None = None
        self._pinned = False
        self._slipped_at = -inf
        self._sent_down = 0
        """Rows that the cursor was sent down while the list was still read."""
        self.top = 0
        """Index of the first visible row."""
        self._told_top = 0
        self._strips: dict[tuple[str, bool], tuple[object, Strip]] = {}
        self._unread = self.UNREAD

    # --- what a subclass provides ---

    def head_content(self, line: int) -> Cell:
        """Pinned line `line` (0 … HEAD-1)."""
        return ()

    @property
    def count_line(self) -> int:
        """The pinned line that tells how many rows are above what is in sight."""
        return self.HEAD - 1

    @property
    def count_room(self) -> int:
        """In so many columns of it."""
        return self.size.width

    def row_version(self, index: int) -> object:
        """Anything that is equal exactly when the row looks the same."""
        raise NotImplementedError

    def row_strip(self, index: int, over: str) -> Strip:
        """The row as it looks; `over` is the background's component class or empty."""
        raise NotImplementedError

    # --- rows ---

    @property
    def cursor_key(self) -> str | None:
        """Key of the chosen row; None for an empty list."""
        return self._cursor

    @property
    def cursor_index(self) -> int:
        """Position of the chosen row, -1 for an empty list."""
        return self._index.get(self._cursor, -1) if self._cursor is not None else -1

    def slipped(self, within_s: float) -> bool:
        """Whether the cursor came to another row by itself so short a time ago: a key may mean the row before."""
        return monotonic() - self._slipped_at < within_s

    def slip(self) -> None:
        """The cursor is, or will be, on another row than the one that was chosen."""
        self._slipped_at = monotonic()

    def settle(self) -> None:
        """The rows are other ones because that was asked for."""
        self._slipped_at = -inf

    @property
    def page_rows(self) -> int:
        """Rows that fit below the head."""
        return max(1, self.size.height - self.HEAD)

    @property
    def whole_height(self) -> int:
        """Lines in which every row would be in sight, with head and frame; of an empty list, one row."""
        return max(len(self.keys), 1) + self.HEAD + self.gutter.height

    def set_unread(self, why: str) -> None:
        """Why no row is shown while it is not known whether there are any; "": it is known, there are none."""
        if why != self._unread:
            self._unread = why
            if not self.keys:
                self.refresh_lines(self.HEAD, self.page_rows)

    def explain_unread(self, why: str) -> None:
        """As `set_unread`, where it is still not known whether there are any rows."""
        if self._unread:
            self.set_unread(why)

    def show_empty(self, text: str) -> None:
        """What stands where no row is."""
        if text != self.EMPTY:
            self.EMPTY = text
            if not self.keys:
                self.refresh_lines(self.HEAD, self.page_rows)

    def set_keys(self, keys: Sequence[str], changed: set[str]) -> None:
        """New order of the rows; `changed` are those whose look is new. Repaints only the lines that differ."""
        self.set_unread("")
        before = self._visible()
        old_index, old_top, old_cursor = self.cursor_index, self.top, self._cursor
        self.keys = keys
        self._index = {key: i for i, key in enumerate(keys)}
        if not keys:
            self._cursor = None
        elif not self._pinned or old_cursor is None:
            self._cursor = keys[0]
        elif old_cursor not in self._index:
            self._cursor = keys[min(max(old_index, 0), len(keys) - 1)]
        if None not in (old_cursor, self._cursor) and old_cursor != self._cursor:
            self.slip()
        if self._pinned and old_index >= 0:
            self.top = old_top + self.cursor_index - old_index
        elif not self._pinned:
            self.top = 0
        self._clamp()
        after = self._visible()
        if len(self._strips) > 400:
            self._strips.clear()
        for line, (was, now) in enumerate(zip(before, after, strict=False)):
            if was != now or now in changed or (old_cursor != self._cursor and now in (old_cursor, self._cursor)):
                self.refresh_lines(self.HEAD + line)
        if keys and self._sent_down:
            self.choose(self._sent_down)

    def _visible(self) -> list[str]:
        rows = self.page_rows
        if not self.keys:
            return ["\0empty"] * rows
        shown = list(self.keys[self.top : self.top + rows])
        return shown + [""] * (rows - len(shown))

    def _clamp(self) -> None:
        self.top = max(0, min(self.top, len(self.keys) - self.page_rows))
        if self.HEAD and self.top != self._told_top:
            self.refresh_lines(self.count_line)

    # --- cursor ---

    def choose(self, index: int) -> None:
        """Put the cursor on a row and bring it into sight."""
        if not self.keys:
            return
        index = max(0, min(index, len(self.keys) - 1))
        self._pinned = True
        self._sent_down = 0
        self.settle()
        old, old_top = self.cursor_index, self.top
        self._cursor = self.keys[index]
        if index != old:
            self.post_message(self.Moved(self, self._cursor))
        if index < self.top:
            self.top = index
        elif self.size and index >= self.top + self.page_rows:  # where it has no size yet, `on_resize` does
            self.top = index - self.page_rows + 1
        self._clamp()
        if self.top != old_top:
            self.refresh_lines(self.HEAD, self.page_rows)
        elif old != index:
            self.refresh_lines(self.HEAD + old - self.top)
            self.refresh_lines(self.HEAD + index - self.top)

    def action_move(self, step: int) -> None:
        """Cursor up or down; before there are rows, for when they come."""
        if self._unread and not self.keys:
            self._sent_down = max(self._sent_down + step, 0)
        self.choose(self.cursor_index + step)

    def action_page(self, step: int) -> None:
        """A page up or down."""
        self.choose(self.cursor_index + step * max(1, self.page_rows - 1))

    def action_edge(self, side: int) -> None:
        """First or last row."""
        self._sent_down = 0
        self.choose(0 if side < 0 else len(self.keys) - 1)
        self.post_message(self.Edge(self, side))

    def action_open(self) -> None:
        """Tell the screen that the chosen row is to be opened, if that is the row that was meant."""
        if self._cursor is not None and self.screen.check_action("open_selected", ()):
            self.post_message(self.Opened(self, self._cursor))

    def on_focus(self) -> None:
        """From now on the cursor stays on its row: what a key acts on must not change under the finger."""
        self._pinned = self._pinned or self.KEEPS_FIRST or self.cursor_index > 0
        self._restyle()

    def on_blur(self) -> None:
        """An untouched list goes back to following its newest row."""
        self._pinned = self.cursor_index > 0
        self._restyle()

    def _restyle(self) -> None:
        self.forget_styles()
        if (index := self.cursor_index) >= 0:
            self.refresh_lines(self.HEAD + index - self.top)

    def on_click(self, event: events.Click) -> None:
        """Choose the row under the mouse; a second click opens it."""
        index = event.y - self.gutter.top - self.HEAD + self.top
        if 0 <= index < len(self.keys):
            self.choose(index)
            if event.chain == 2:
                self.action_open()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves the cursor, so that it never leaves the sight."""
        event.stop()
        self.action_move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """As `on_mouse_scroll_down`."""
        event.stop()
        self.action_move(-3)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._strips.clear()
        index, top = self.cursor_index, self.top
        if index >= self.top + self.page_rows:
            self.top = index - self.page_rows + 1
        self._clamp()
        if self.top != top:
            self.refresh()  # what was painted for the new size began at the old row

    # --- drawing ---

    def forget_styles(self) -> None:
        """Styles changed: so did every strip."""
        super().forget_styles()
        self._strips.clear()

    def _head(self, line: int) -> Strip:
        """Pinned line `line`; one of them tells how many rows are above what is in sight."""
        content = self.head_content(line)
        if line == self.count_line:
            self._told_top = self.top
            if self.top:
                content = with_sign(content, cell(f" ↑ {self.top}", "accent"), self.count_room)
        return self.strip(content)

    def render_line(self, y: int) -> Strip:
        """One line of the content area."""
        if y < self.HEAD:
            return self._head(y)
        if not self.keys:
            lines = word_lines(cell(self._unread or self.EMPTY, "dim"), self.size.width - 2)
            return self.strip(cells("  ", lines[y - self.HEAD]) if y - self.HEAD < len(lines) else ())
        index = y - self.HEAD + self.top
        if index >= len(self.keys):
            return self.strip(())
        key = self.keys[index]
        selected = key == self._cursor
        version = self.row_version(index)
        cached = self._strips.get((key, selected))
        if cached is not None and cached[0] == version and cached[1].cell_length == self.size.width:
            return cached[1]
        strip = self.row_strip(index, "line--selected" if selected else "")
        self._strips[(key, selected)] = (version, strip)
        return strip
