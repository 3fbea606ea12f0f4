"""Run a job now with a payload: a line of JSON that is checked at every key."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widgets import Input

from backends.model import NewRuns
from console.screens.base import ConsoleScreen
from console.screens.dialog import Dialog
from widgets.entry import LONGEST, Entry, printable
from widgets.safe import Cell, cell, cells
from widgets.statusline import StatusLine

_sent: dict[tuple[str, str], str] = {}
"""(context, job) → the payload that was sent last from this console."""


def check(text: str) -> tuple[dict[str, Any] | None, str]:
    """(the payload, '') or (None, what is wrong). Nothing at all is an empty payload."""
    if not text.strip():
        return {}, ""
    try:
        found = msgspec.json.decode(text.encode())
    except msgspec.DecodeError as error:
        return None, f"not JSON yet: {str(error).removeprefix('JSON is malformed: ')}"
    except RecursionError:
        return None, "nested too deep"
    if not isinstance(found, dict):
        return None, 'a payload is an object: {"key": "value"}'
    return found, ""


class PayloadDialog(Dialog[dict[str, Any]]):
    """Gives the payload. `known` stands there to begin with; `whence` says where that is from."""

    DEFAULT_CSS = """
    PayloadDialog {
        & #told, & #verdict { background: $panel; margin-top: 0; }
        & Horizontal { height: 1; & StatusLine { width: 9; margin: 0; background: $panel; } & Entry { width: 1fr; } }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, job: str, known: str, whence: str) -> None:
        super().__init__(f"Run {job} now")
        self._known, self._whence = known, whence
        self.add_class("-small")

    def inside(self) -> ComposeResult:
        """The line, and whether it is JSON."""
        yield StatusLine(id="told")
        with Horizontal():
            yield StatusLine(id="label")
            yield Entry(self._known, placeholder='{"key": "value"}; empty: no payload', id="payload")
        yield StatusLine(id="verdict")

    def on_mount(self) -> None:
        """The verdict on what stands there."""
        super().on_mount()
        self.query_one("#told", StatusLine).show(cell(self._whence, "dim"))
        self.query_one("#label", StatusLine).show(cell("payload", "dim"))
        entry = self.query_one(Entry)
        entry.focus()
        entry.cursor_position = len(entry.value)
        self._judge()

    def keys(self) -> Cell:
        """What Enter does."""
        return cells(cell("Enter", "key"), cell(" run it now   "), cell("Esc", "key"), cell(" back", "dim"))

    def _judge(self) -> None:
        found, wrong = check(self.query_one(Entry).value)
        verdict = self.query_one("#verdict", StatusLine)
        if found is None:
            verdict.show(cell(f"✗ {wrong}", "warn"))
        else:
            names = ", ".join(found) or "no keys"
            verdict.show(cells(cell("✓ ", "ok"), cell(names, "dim")))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._judge()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        found, _ = check(event.value)
        if found is not None:
            self.dismiss(found)


def trigger_with_payload(screen: ConsoleScreen, job: str) -> None:
    """Ask for a payload, then run `job` now. The line begins with what was sent last, else with the job file's."""
    if not screen.may_act():
        return
    key = (screen.state.context, job)

    def run(payload: dict[str, Any] | None) -> None:
        if payload is None:
            return

        def sent(new: NewRuns) -> str:
            _sent[key] = msgspec.json.encode(payload).decode()
            return screen.started(job, new.run_id)

        screen.do(lambda ops: ops.trigger(job, payload), sent, f"{job} not triggered", back=f"the run of {job}")

    def ask(known: str, whence: str) -> None:
        if printable(known) != known or len(known) > LONGEST:
            known, whence = "", f"{whence}: it can't be edited in one line, so this one begins empty"
        screen.app.push_screen(PayloadDialog(job, known, whence), run)

    if key in _sent:
        ask(_sent[key], "what was sent from here last")
        return

    def known(spec: Any) -> None:
        payload = msgspec.json.encode(spec.payload).decode() if spec is not None and spec.payload else ""
        ask(payload, "what the job file gives it" if payload else "the job file gives it no payload")

    screen.read_once(lambda ops: ops.job_spec(job), known)
