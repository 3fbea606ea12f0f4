"""``/`` on a screen: a line to type a filter into, that counts at every key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import DescendantBlur
from textual.widget import Widget
from textual.widgets import Input

from backends.errors import BadInputError
from console.screens.base import ConsoleScreen
from console.screens.filters import Filter, parse_filter
from widgets.entry import Entry, printable
from widgets.rowlist import RowList
from widgets.safe import cell
from widgets.statusline import StatusLine

PAUSE_S = 0.15
"""After the last key, before the list is asked for again."""


class FilterableScreen(ConsoleScreen):
    """A screen with a list that can be narrowed. `FIELDS`: what may be asked for by name."""

    FIELDS: ClassVar[tuple[str, ...]] = ()
    DEFAULT_CSS = """
    FilterableScreen {
        & #filter { height: 1; display: none; background: $panel; }
        & #filter.-on { display: block; }
        & #slash { width: 2; background: $panel; }
        & #wrong { width: 0; background: $panel; }
        & #wrong.-on { width: 2fr; }
        & Entry { width: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter"),
        Binding("escape", "clear_filter", "drop the filter, or back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.filter = Filter()
        self._waiting = 0
        self._typed_from: Widget | None = None
        """The list that had the keys before the line."""

    def filter_line(self) -> ComposeResult:
        """The line; a subclass puts it where it wants it. What is in it comes with its first use."""
        yield Horizontal(id="filter")

    def remembered(self) -> dict[str, str | int | float | bool]:
        """The filter."""
        return {"filter": self.filter.text} if self.filter else {}

    def recall(self, kept: Mapping[str, object]) -> None:
        """The filter of the last time."""
        if isinstance(text := kept.get("filter"), str):
            self.entry.value = printable(text)
            self.apply_filter()

    def check_filter(self, found: Filter) -> None:
        """Raises BadInputError for a filter that can't mean anything here."""

    def filter_changed(self) -> None:
        """`filter` is another one."""

    @property
    def entry(self) -> Entry:
        """The line."""
        line = self.query_one("#filter")
        if not line.children:
            fields = "  ".join(f"{name}:" for name in self.FIELDS)
            slash, wrong = StatusLine(id="slash"), StatusLine(id="wrong")
            line.mount(slash, Entry(placeholder=f"words, !words  {fields}", id="entry"), wrong)
            slash.show(cell("/ ", "key"))
        return line.query_one(Entry)

    def action_filter(self) -> None:
        """Type a filter."""
        if not self.entry.has_focus:
            self._typed_from = self.focused
        self.query_one("#filter").add_class("-on")
        self.entry.focus()

    def action_clear_filter(self) -> None:
        """From the line: close it. What is under way: stop it. With a filter: drop it. Else: back."""
        entry = self.entry
        if not entry.has_focus and self.stop_driving():
            return
        if entry.value:
            entry.value = ""
            self.apply_filter()
        elif not entry.has_focus:
            self.shell.action_retreat()
        self._close(entry)

    def _close(self, entry: Entry) -> None:
        if entry.has_focus:
            self.focus_list()
        self.query_one("#filter").set_class(bool(entry.value), "-on")

    def focus_list(self) -> None:
        """Where the keys go when the line is left."""
        if self._typed_from is not None and self._typed_from.focusable:
            self._typed_from.focus()
        else:
            self.focus_next(".panel")

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.apply_filter()
        self._close(self.entry)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._waiting += 1
        self.set_timer(PAUSE_S, lambda number=self._waiting: self.apply_filter() if number == self._waiting else None)

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        """Left with Tab or the mouse: what the next key acts on is the list that was asked for."""
        if isinstance(event.widget, Entry) and self.is_current:
            self.apply_filter()

    def apply_filter(self) -> None:
        """Take what stands in the line."""
        entry, wrong = self.entry, self.query_one("#wrong", StatusLine)
        try:
            found = parse_filter(entry.value, self.FIELDS)
            self.check_filter(found)
        except BadInputError as error:
            wrong.show(cell(f" {error}", "warn"))
            wrong.add_class("-on")
            return
        wrong.remove_class("-on")
        self.query_one("#filter").set_class(bool(found) or entry.has_focus, "-on")
        if found != self.filter:
            self.filter = found
            self.filter_changed()
            for rows in self.query(RowList):
                rows.settle()
