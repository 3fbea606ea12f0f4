"""Edit and replay: the payload in the operator's editor, what is wrong with it, what differs; only then it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType

from backends.errors import BadInputError, CronsoleError
from backends.model import DeadLetter, NewRuns
from console import editor
from console.console_ops import ConsoleOps
from console.feed import one_line
from console.screens.dialog import Dialog
from console.screens.letter_acts import HOLD_S
from widgets.safe import Cell, cell, cells, safe_line, width_of
from widgets.statusline import StatusLine
from widgets.textpane import TextPane

if TYPE_CHECKING:
    from console.screens.acting import ActingScreen

T = TypeVar("T")
AROUND = 3
"""Lines shown before and after one that is wrong."""
BEFORE = 40
"""Columns shown before the place that is wrong, in a long line."""
TONES = {"+": "ok", "-": "bad", "@": "dim"}
SEND, AGAIN = "send", "again"


class EditedDialog(Dialog[str]):
    """What came back from the editor: `e` edits it again; with `verb`, y sends it. Enter does nothing here: it may have
    been meant for the editor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "send", "send it"),
        Binding("e", "again", "edit it again"),
    ]

    def __init__(self, title: str, lines: Sequence[Cell], verb: str = "") -> None:
        super().__init__(title)
        self._lines, self._verb = lines, verb

    def inside(self) -> ComposeResult:
        """The text."""
        yield TextPane(id="text")

    def on_mount(self) -> None:
        """Show it."""
        super().on_mount()
        self.query_one(TextPane).show(self._lines)

    def keys(self) -> Cell:
        """What can be done with it."""
        send = cells(cell("y", "key"), cell(f" {self._verb}   ")) if self._verb else ()
        return cells(
            send, cell("e", "key"), cell(" edit again   "), cell("Esc", "key"),
            cell(" back, the text is kept", "dim"),
        )  # fmt: skip

    def action_send(self) -> None:
        """Confirmed."""
        if self._verb:
            self.dismiss(SEND)

    def action_again(self) -> None:
        """Back into the editor."""
        self.dismiss(AGAIN)


class OpensDialog(Dialog[None]):
    """In front from the key that asks for the editor until all is over: what is typed meanwhile hits nothing behind."""

    def __init__(self) -> None:
        super().__init__("Edit")
        self.add_class("-small")
        self._over = False

    def inside(self) -> ComposeResult:
        """One line."""
        yield StatusLine(id="reads")

    def on_mount(self) -> None:
        """Say what it waits for."""
        super().on_mount()
        self.query_one("#reads", StatusLine).show(cell("read for the editor …", "dim"))

    def over(self) -> None:
        """Nothing more is to be edited; Esc may have left it, and a question may have come in front of it."""
        self._over = True
        self.on_screen_resume()

    def on_screen_resume(self) -> None:
        """It is in front, perhaps again."""
        if self._over and self.is_active:
            self.dismiss(None)


def diff_lines(lines: Sequence[str]) -> list[Cell]:
    """A diff; its signs say the same as its colours."""
    return [cell(line, TONES.get(line[:1], "")) for line in lines]


def wrong_lines(text: str, wrong: editor.Wrong) -> list[Cell]:
    """What is wrong, and the lines around it with the place marked."""
    where = f" in line {wrong.line}, column {wrong.column}" if wrong.line else ""
    out: list[Cell] = [cells(cell(f"✗ {wrong.text}", "bad"), cell(where, "strong")), ()]
    if not wrong.line:
        return out
    lines = text.split("\n")
    start = max(0, wrong.column - 1 - BEFORE)
    for number in range(max(1, wrong.line - AROUND), min(len(lines), wrong.line + AROUND) + 1):
        shown = safe_line(lines[number - 1][start : start + 200])
        here = number == wrong.line
        out.append(cells(cell(f"{number:>5} ", "key" if here else "faint"), cell(shown, "" if here else "dim")))
        if here:
            before = width_of(cell(lines[number - 1][start : wrong.column - 1]))
            out.append(cells(cell(" " * (6 + before)), cell("^ here", "bad")))
    return out


async def _edit(
    screen: ActingScreen,
    key: str,
    name: str,
    before: Mapping[str, Any],
    verb: str,
    send: Callable[[dict[str, Any]], None],
) -> None:
    """Round and round until it is sent or left. What was typed is kept under `key` until it is sent."""
    drafts = screen.shell.acts.drafts
    while True:
        try:
            words = editor.editor()
            with screen.app.suspend():  # the console stands still meanwhile: nothing may draw over the editor
                text = editor.edit(drafts.get(key) or editor.pretty(before), name, words)
        except SuspendNotSupported:
            screen.tell("this terminal can't be handed to an editor: `cronsole dead edit` does the same", "warn")
            return
        except CronsoleError as error:
            screen.tell(f"✗ {one_line(error)}", "bad")
            return
        drafts[key] = text
        found, wrong = editor.check(text)
        if found is None or wrong is not None:
            lines = wrong_lines(text, wrong or editor.Wrong("no payload"))
            answer = await screen.app.push_screen_wait(EditedDialog(f"{name}: can't be sent", lines))
        elif editor.same(before, found):
            drafts.pop(key)
            screen.tell("nothing was changed, nothing is sent", "warn")
            return
        else:
            differs = await asyncio.to_thread(editor.diff, before, found)
            lines = diff_lines(differs)
            answer = await screen.app.push_screen_wait(EditedDialog(f"{name}: what you changed", lines, verb))
            if answer == SEND:
                send(found)
                return
        if answer != AGAIN:
            screen.tell("not sent; what you wrote is there when you edit it again", "warn")
            return


async def _begin(
    screen: ActingScreen, key: str, name: str, envelope: bytes | None, verb: str, send: Callable[[dict[str, Any]], None]
) -> None:
    payload = editor.payload_of(envelope) if envelope is not None else None
    if envelope is None:
        screen.tell(f"what {name} was given was not kept: it can't be edited", "warn")
    elif payload is None:
        screen.tell(f"the envelope of {name} is no JSON object with a payload: there is nothing to edit", "warn")
    else:
        await _edit(screen, key, name, payload, verb, send)


def _open(
    screen: ActingScreen, ask: Callable[[ConsoleOps], Awaitable[T]], begin: Callable[[T], Coroutine[Any, Any, None]]
) -> None:
    """Read what is to be edited, and begin, unless it was left meanwhile."""
    opens = OpensDialog()
    screen.app.push_screen(opens)

    async def read_and_begin() -> None:
        try:
            found = await screen.feed.read(ask)
            if opens.is_active:
                await begin(found)
            elif opens in screen.app.screen_stack:
                screen.tell("a question came before the editor: edit it again", "warn", until_key=True)
        except Exception as error:
            screen.tell(f"✗ {one_line(error)}", "bad")
            if not isinstance(error, (CronsoleError, OSError)):
                screen.log.error(one_line(error))
        finally:
            opens.over()

    screen.run_worker(read_and_begin(), group="editing", exclusive=True)


def edit_letter(screen: ActingScreen, run_id: str, sequence: int | None, mark: Callable[[str], None]) -> None:
    """Edit a dead letter, then a new run takes its place. `sequence`: of the death that was on the screen.

    `mark` gets what to show of it; '' where it failed.
    """
    if not screen.may_act():
        return

    async def begin(letter: DeadLetter) -> None:
        if sequence is not None and letter.sequence != sequence:
            raise BadInputError(f"{letter.job} has died again since it was shown", "look at it first")

        def sent(new: NewRuns) -> str:
            screen.shell.acts.drafts.pop(run_id, None)
            mark("→ replayed with changes")
            return f"{screen.new_run(letter.job, new.run_id)} with what you wrote"

        def send(payload: dict[str, Any]) -> None:
            mark("→ sending")
            screen.do(
                lambda ops: ops.dead_replay(letter, payload, hold_s=HOLD_S), sent, f"{letter.job} not sent",
                lambda: mark(""), back=f"the edited replay of {letter.job}", hold_s=HOLD_S,
            )  # fmt: skip

        await _begin(screen, run_id, letter.job or "letter", letter.envelope, "send it", send)

    _open(screen, lambda ops: ops.dead_show(run_id), begin)


def edit_run(screen: ActingScreen, run_id: str, job: str, told: Callable[[NewRuns], str]) -> None:
    """Edit what a past run was given, then run it again."""
    if not screen.may_act():
        return

    def sent(new: NewRuns) -> str:
        screen.shell.acts.drafts.pop(run_id, None)
        return told(new)

    def send(payload: dict[str, Any]) -> None:
        screen.do(
            lambda ops: ops.replay(run_id, payload), sent, f"{job} not replayed", back=f"the edited replay of {job}"
        )

    _open(
        screen, lambda ops: ops.run_envelope(run_id), lambda found: _begin(screen, run_id, job, found, "run it", send)
    )
