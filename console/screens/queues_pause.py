"""Pause with a note: why, and for how long. What is typed is text; only Enter confirms."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input

from backends.model import Pause
from console.screens.base import ConsoleScreen
from console.screens.dialog import Dialog
from widgets.entry import Entry
from widgets.notice import Notice
from widgets.safe import Cell, cell, cells
from widgets.statusline import StatusLine


class PauseDialog(Dialog[tuple[str, float | None]]):
    """Gives (note, seconds or None for until it is resumed)."""

    DEFAULT_CSS = """
    PauseDialog {
        & #told { background: $panel; margin-top: 0; }
        & Horizontal { height: 1; & StatusLine { width: 7; margin: 0; background: $panel; } & Entry { width: 1fr; } }
        & #wrong { background: $panel; margin-top: 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "next line", show=False),
        Binding("shift+tab", "app.focus_previous", "line before", show=False),
    ]

    def __init__(self, target: str) -> None:
        kind, _, name = target.partition(":")
        super().__init__(f"Pause {kind} {name}")
        self._what = "no run of it is handed out; what runs goes on to its end"
        if kind == "job":
            self._what = "no run of it is handed out and its fires are skipped; what runs goes on to its end"
        self.add_class("-small")

    def inside(self) -> ComposeResult:
        """Two lines to type."""
        yield Notice(id="told")
        for name, hint in (
            ("note", "why: whoever comes next reads it"),
            ("for", "30m, 2h; empty: until it is resumed"),
        ):
            with Horizontal():
                yield StatusLine(id=f"label-{name}")
                yield Entry(placeholder=hint, id=name)
        yield StatusLine(id="wrong")

    def on_mount(self) -> None:
        """Labels."""
        super().on_mount()
        for name in ("note", "for"):
            self.query_one(f"#label-{name}", StatusLine).show(cell(name, "dim"))
        self.query_one("#note", Entry).focus()

    def on_resize(self) -> None:
        """What it does, in the lines it takes."""
        self.call_after_refresh(self._explain)

    def _explain(self) -> None:
        told = self.query_one("#told", Notice)
        told.show(cell(self._what, "dim"), told.size.width)

    def keys(self) -> Cell:
        """What Enter does."""
        return cells(
            cell("Enter", "key"), cell(" pause   "), cell("Tab", "key"), cell(" next line   ", "dim"),
            cell("Esc", "key"), cell(" back", "dim"),
        )  # fmt: skip

    def length(self) -> float | None:
        """Seconds; None until it is resumed. Raises ValueError."""
        text = self.query_one("#for", Entry).value.strip()
        from backends.jobs.words import duration

        return duration(text) if text else None

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        try:
            self.length()
            wrong: Cell = ()
        except ValueError:
            wrong = cell("that is no length of time: write 30m, 2h or 1d", "warn")
        self.query_one("#wrong", StatusLine).show(wrong)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            length = self.length()
        except ValueError:
            return
        self.dismiss((self.query_one("#note", Entry).value.strip(), length))


def pause_or_resume(screen: ConsoleScreen, target: str, paused: Pause | None) -> None:
    """``queue:NAME`` or ``job:NAME``: ask for a note and pause it, or let it go on."""
    if paused is not None:
        screen.resume(target)
        return
    name = target.partition(":")[2]

    def pause(answer: tuple[str, float | None] | None) -> None:
        if answer is not None:
            note, length = answer
            screen.do(
                lambda ops: ops.pause(target, note, length), lambda _: f"‖ {name} is paused, p resumes it",
                f"{name} not paused", back=f"the pause of {name}",
            )  # fmt: skip

    if not screen.may_act():
        return
    screen.app.push_screen(PauseDialog(target), pause)
