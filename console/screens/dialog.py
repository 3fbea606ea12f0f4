"""Dialogs: a box over the screen. The keys that confirm are Enter and y, and never the key that asked."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen

from widgets.rowlist import RowList
from widgets.safe import Cell, cell, cells, safe_line
from widgets.statusline import StatusLine
from widgets.table import Column, Row, Table
from widgets.textpane import TextPane

ResultT = TypeVar("ResultT")
CALM_S = 1.0
"""So long nothing else is typed before a yes is one, in a dialog that nobody asked for just now."""


class Dialog(ModalScreen[ResultT], Generic[ResultT]):
    """A titled box with a line of keys at its foot. Esc leaves it without doing anything."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle; background: transparent;
        & > Vertical {
            width: 90%; max-width: 110; height: 80%; background: $panel; border: round $line-focus;
            border-title-color: $text-strong; border-title-style: bold; padding: 0 1;
            & LineWidget { background: $panel; }
            & StatusLine { margin-top: 1; }
        }
        &.-small > Vertical { height: auto; max-width: 76; & TextPane { height: auto; max-height: 10; } }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "back")]

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = safe_line(title, 200)

    def compose(self) -> ComposeResult:
        """The box."""
        with Vertical():
            yield from self.inside()
            yield StatusLine(id="keys")

    def inside(self) -> ComposeResult:
        """What the box holds."""
        yield from ()

    def keys(self) -> Cell:
        """The line at the foot."""
        return cells(cell("Esc", "key"), cell(" back", "dim"))

    def on_mount(self) -> None:
        """Title and keys."""
        self.query_one(Vertical).border_title = Content(self._title)
        self.query_one("#keys", StatusLine).show(self.keys())

    def action_leave(self) -> None:
        """Close without an answer."""
        self.dismiss(None)


class TextDialog(Dialog[None]):
    """Text to read; `show` may be called again when more is known."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "leave", "back", show=False)]

    def __init__(self, title: str, paragraphs: Sequence[Cell]) -> None:
        super().__init__(title)
        self._paragraphs = paragraphs

    def inside(self) -> ComposeResult:
        """The text."""
        yield TextPane(id="text")

    def on_mount(self) -> None:
        """The text that is known already."""
        super().on_mount()
        self.show(self._paragraphs)

    def keys(self) -> Cell:
        """Scrolling and leaving."""
        return cells(cell("j k", "key"), cell(" scroll  ", "dim"), cell("Esc", "key"), cell(" back", "dim"))

    def show(self, paragraphs: Sequence[Cell]) -> None:
        """Replace the text; also before the dialog is on the screen, and harmlessly after it is gone."""
        self._paragraphs = paragraphs
        for pane in self.query(TextPane):
            pane.show(paragraphs)


class AskDialog(Dialog[bool]):
    """A question; y or Enter says yes, n or Esc says no, the key that opened it says nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y", "yes", "yes", priority=True),
        Binding("n", "leave", "no", show=False),
    ]

    def __init__(self, title: str, paragraphs: Sequence[Cell], verb: str) -> None:
        super().__init__(title)
        self._paragraphs = paragraphs
        self._verb = verb
        self.add_class("-small")

    def inside(self) -> ComposeResult:
        """The question."""
        pane = TextPane(id="text")
        pane.styles.height = len(self._paragraphs) + 1
        yield pane

    def on_mount(self) -> None:
        """Show the question."""
        super().on_mount()
        self.query_one("#text", TextPane).show(self._paragraphs)

    def keys(self) -> Cell:
        """What Enter does."""
        return cells(
            cell("y", "key"), cell(" or ", "dim"), cell("Enter", "key"), cell(f" {self._verb}   ", ""),
            cell("Esc", "key"), cell(" back", "dim"),
        )  # fmt: skip

    def action_yes(self) -> None:
        """Confirmed."""
        self.dismiss(True)


class ComesDialog(AskDialog):
    """A question that comes by itself: what is typed just then is for what was in front before."""

    def on_mount(self) -> None:
        """From now on it may have been seen."""
        super().on_mount()
        self._typed_at = monotonic()

    def on_key(self, event: Key) -> None:
        """Somebody is still typing."""
        if event.key not in ("enter", "y"):
            self._typed_at = monotonic()

    def action_yes(self) -> None:
        """Confirmed, if it could be read."""
        if monotonic() - self._typed_at >= CALM_S:
            super().action_yes()


class PickDialog(Dialog[str]):
    """Choose one of some rows; y or Enter takes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "take", "take the chosen row")]

    def __init__(
        self, title: str, columns: Sequence[Column], rows: Sequence[Row], chosen: str | None, verb: str
    ) -> None:
        super().__init__(title)
        self._columns, self._rows, self._chosen, self._verb = columns, rows, chosen, verb

    def inside(self) -> ComposeResult:
        """The rows."""
        yield Table(*self._columns, id="pick")

    def on_mount(self) -> None:
        """Fill the table and put the cursor on the row that was chosen before."""
        super().on_mount()
        self.query_one(Vertical).styles.height = min(len(self._rows) + 5, max(9, self.app.size.height - 4))
        table = self.query_one("#pick", Table)
        table.set_rows(tuple(self._rows))
        keys = [row.key for row in self._rows]
        table.choose(keys.index(self._chosen) if self._chosen in keys else 0)  # at once: Enter may be typed already

    def keys(self) -> Cell:
        """What Enter does."""
        return cells(
            cell("y", "key"), cell(" or ", "dim"), cell("Enter", "key"), cell(f" {self._verb}   ", ""),
            cell("j k", "key"), cell(" choose   ", "dim"), cell("Esc", "key"), cell(" back", "dim"),
        )  # fmt: skip

    def action_take(self) -> None:
        """As Enter."""
        self.query_one("#pick", Table).action_open()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        """Enter on a row."""
        event.stop()
        self.dismiss(event.key)
