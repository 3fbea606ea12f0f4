"""A question about many: how many they are; for all there are, a name to type; for retries, how fast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Key
from textual.widgets import Input

from backends.ops.kinds import LEAST_RATE, MOST_RATE
from console.screens.dialog import Dialog
from widgets.entry import Entry, printable
from widgets.safe import Cell, cell, cells, safe_line
from widgets.statusline import StatusLine
from widgets.textpane import TextPane

PER_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def rate_of(text: str) -> float | None:
    """Runs a second of ``50``, ``50/s`` or ``300/min``; None for nothing. Raises ValueError."""
    if not (text := text.strip()):
        return None
    number, _, unit = text.partition("/")
    found = float(number) / PER_S[unit.strip()] if unit.strip() in PER_S else 0.0
    if not LEAST_RATE <= found <= MOST_RATE:
        raise ValueError(text)
    return found


class Yes(NamedTuple):
    """Go on; `rate`: so many a second at most."""

    rate: float | None = None


class BulkDialog(Dialog[Yes]):
    """y or Enter goes on; with a `name`, only Enter after that name was typed.

    Opened with `counting`, it takes what is typed at once, and goes on only after `counted`.
    """

    DEFAULT_CSS = """
    BulkDialog {
        & #verdict { background: $panel; margin-top: 0; }
        & Horizontal { height: 1; & StatusLine { width: 9; margin: 0; background: $panel; } & Entry { width: 1fr; } }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "yes", "yes"),
        Binding("tab", "app.focus_next", "next line", show=False),
        Binding("shift+tab", "app.focus_previous", "line before", show=False),
    ]

    def __init__(
        self, title: str, paragraphs: Sequence[Cell], verb: str, *, name: str = "", rate: bool = False,
        counting: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(title)
        self._counting, self._why_not = counting, "they are still counted"
        self._verb, self._rate = verb, rate
        self._name = (printable(name).strip() or "yes") if name else ""
        self._paragraphs = self._with_name(paragraphs)
        self.add_class("-small")

    def _with_name(self, paragraphs: Sequence[Cell]) -> list[Cell]:
        named = [(), cells(cell("To go on, type ", "dim"), cell(f'"{self._name}"', "key"))] if self._name else []
        return [*paragraphs, *named]

    def refuse(self, why: str) -> None:
        """It can't go on."""
        self._why_not = why
        self._wrong(why)

    def counted(self, title: str, paragraphs: Sequence[Cell], verb: str) -> None:
        """It is known how many they are: now it may go on."""
        self._title, self._verb, self._counting = safe_line(title, 200), verb, False
        self._paragraphs = self._with_name(paragraphs)
        self._show()
        self._wrong("")

    def inside(self) -> ComposeResult:
        """The question, then lines to type."""
        yield TextPane(id="text")
        for there, id_, hint in (
            (self._name, "name", f"type {self._name}"),
            (self._rate, "rate", "so many a second: 50, 300/min; empty: at once"),
        ):  # fmt: skip
            if there:
                with Horizontal():
                    yield StatusLine(id=f"label-{id_}")
                    yield Entry(placeholder=hint, id=id_)
        yield StatusLine(id="verdict")

    def on_mount(self) -> None:
        """Show the question; a name is typed at once."""
        super().on_mount()
        self._show()
        for id_, label in (("name", "name"), ("rate", "at most")):
            for line in self.query(f"#label-{id_}").results(StatusLine):
                line.show(cell(label, "dim"))
        self.query_one("#name" if self._name else "#text").focus()

    def _show(self) -> None:
        pane = self.query_one("#text", TextPane)
        pane.styles.height = len(self._paragraphs) + 1
        pane.show(self._paragraphs)
        self.query_one(Vertical).border_title = Content(self._title)
        self.query_one("#keys", StatusLine).show(self.keys())

    def keys(self) -> Cell:
        """What goes on."""
        yes = () if self._name else cells(cell("y", "key"), cell(" or ", "dim"))
        tab = cells(cell("Tab", "key"), cell(" how fast   ", "dim")) if self._rate else ()
        return cells(
            yes, cell("Enter", "key"), cell(f" {self._verb}   "), tab, cell("Esc", "key"), cell(" back", "dim")
        )

    def action_yes(self) -> None:
        """Confirmed, where all that was typed is right."""
        if self._counting:
            self._wrong(f"{self._why_not}: nothing is done")
            return
        if self._name and self.query_one("#name", Entry).value.strip() != self._name:
            self._wrong("that is not the name: nothing is done")
            return
        try:
            rate = rate_of(self.query_one("#rate", Entry).value) if self._rate else None
        except ValueError:
            self._wrong("that is no rate: write 50, 50/s or 300/min, at least 1/h")
            return
        self.dismiss(Yes(rate))

    def _wrong(self, text: str) -> None:
        for line in self.query("#verdict").results(StatusLine):  # a key may come before it is there
            line.show(cell(text, "warn") if text else ())

    def on_key(self, event: Key) -> None:
        """What is typed before the line has the focus belongs to it."""
        if self._name and self.focused is None and event.is_printable and event.character:
            event.stop()
            for entry in self.query("#name").results(Entry):
                entry.value += event.character

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._wrong("")

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_yes()
