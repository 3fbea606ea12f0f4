"""``:`` on a screen: a line to type a command into, with what it may become below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from console.commands import Command, History, matching, why_none
from widgets.entry import Entry, printable
from widgets.rowlist import RowList
from widgets.safe import cell, cells
from widgets.statusline import StatusLine
from widgets.table import Column, Row, Table

SHOWN = 12
COLUMNS = (Column("", 24, flex=3), Column("", 14, flex=3, drop=1), Column("", 5, align="right"))


class Choices(Table, can_focus=False):
    """The commands that fit: a table without a heading."""

    HEAD = 0
    DEFAULT_CSS = "Choices { & > .line--selected { background: $selected; } }"


class Palette(ModalScreen[Command]):
    """Gives the command that is to be run, or None. The keys go to the line; the list follows it."""

    DEFAULT_CSS = f"""
    Palette {{
        align: center top; background: transparent;
        & > Vertical {{
            margin-top: 2; width: 90%; max-width: 100; height: {SHOWN + 4}; max-height: 90%;
            background: $panel; border: round $line-focus; padding: 0 1;
            & LineWidget {{ background: $panel; }}
            & Choices {{ height: 1fr; }}
            & Horizontal {{ height: 1; }}
            & #colon {{ width: 2; }}
            & Entry {{ width: 1fr; color: $text-strong; }}
        }}
    }}
    """
    # none has priority: a key waits its turn behind the letters that were typed before it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "close"),
        Binding("tab", "complete", "complete"),
        Binding("up", "step(-1)", "up", show=False),
        Binding("down", "step(1)", "down", show=False),
        Binding("ctrl+p", "choose(-1)", "up", show=False),
        Binding("ctrl+n", "choose(1)", "down", show=False),
    ]

    def __init__(self, commands: Sequence[Command], history: History) -> None:
        super().__init__()
        self._commands, self._history = commands, history
        self._found: list[Command] = []
        self._walked: str | None = None
        self._looked_for: str | None = None
        history.leave()

    def compose(self) -> ComposeResult:
        """The line, the list, the keys."""
        with Vertical():
            with Horizontal():
                yield StatusLine(id="colon")
                yield Entry(placeholder="a screen, a job, a queue, an action", id="command")
            yield Choices(*COLUMNS, empty="no such command")
            yield StatusLine(id="keys")

    def on_mount(self) -> None:
        """Everything that can be said."""
        self.query_one("#colon", StatusLine).show(cell(": ", "key"))
        self._entry, self._list = self.query_one(Entry), self.query_one(Choices)
        self._entry.focus()
        self._look()

    def _show_keys(self) -> None:
        keys = (("Enter", "run"), ("Tab", "complete"), ("↑ ↓", "choose, history"), ("Esc", "close"))
        self.query_one("#keys", StatusLine).show(
            cells(*(part for key, word in keys for part in (cell(key, "key"), cell(f" {word}   ", "dim"))))
        )

    def _look(self) -> None:
        if self._entry.value == self._looked_for:
            return
        self._looked_for = self._entry.value
        self._found = matching(self._entry.value, self._commands, SHOWN)
        self._list.set_rows(
            tuple(
                Row(str(n), (cell(c.text, "strong"), cell(c.about, "dim"), cell(c.key, "key")))
                for n, c in enumerate(self._found)
            )
        )
        if not self._found:
            self._list.show_empty(why_none(self._entry.value, self._commands))
        self._list.choose(0)
        self._show_keys()

    @property
    def _chosen(self) -> Command | None:
        index = self._list.cursor_index
        return self._found[index] if 0 <= index < len(self._found) else None

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self._entry.value != self._walked:
            self._walked = None
            self._history.leave()
        self._look()

    def action_step(self, step: int) -> None:
        """In an empty line, and from there on: what was run before. Else: the next one of the list."""
        if self._entry.value and self._entry.value != self._walked:
            self.action_choose(step)
            return
        line = self._history.walk(step)
        if line is not None:
            self._put(line)
            self._walked = self._entry.value
        if not line and step > 0:
            self._walked = None
            self.action_choose(step)

    def action_choose(self, step: int) -> None:
        """Another one of the list."""
        self._list.choose(self._list.cursor_index + step)

    def action_complete(self) -> None:
        """What is chosen, as if it were typed."""
        self._look()
        if self._chosen is not None:
            self._put(self._chosen.text + " ")

    def _put(self, text: str) -> None:
        self._entry.value = printable(text)
        self._entry.cursor_position = len(self._entry.value)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._look()
        if self._entry.value.strip() or self._list.cursor_index > 0:
            self.run_chosen()

    def run_chosen(self) -> None:
        """The command that the cursor is on. With nothing typed and nothing chosen, Enter runs nothing."""
        if self._chosen is not None:
            self.dismiss(self._chosen)
        elif not self._found:
            self.query_one("#keys", StatusLine).show(cell(f"✗ {why_none(self._entry.value, self._commands)}", "bad"))

    def action_leave(self) -> None:
        """Nothing."""
        self.dismiss(None)

    @on(RowList.Opened)
    def _opened(self, event: RowList.Opened) -> None:
        """A second click."""
        event.stop()
        self.run_chosen()
