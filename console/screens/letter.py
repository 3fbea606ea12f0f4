"""One dead letter: its payload as a tree, why it died, and how every attempt before went."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content

from backends.errors import BadInputError, CronsoleError
from backends.model import DeadLetter, to_ms
from backends.ops.kinds import Marked
from console.console_ops import ConsoleOps
from console.feed import one_line
from console.printed import tail_of
from console.screens import letter_acts
from console.screens.base import ConsoleScreen
from console.screens.editing import edit_letter
from console.screens.help import PanelKeys
from console.screens.letter_acts import PURGE, RETRY, Deed
from console.screens.rows import age, count, duration, moment, outcome_cell
from console.screens.run_looks import clock_ms, error_lines, framed_lines, joined
from widgets.logpane import LogPane
from widgets.safe import Cell, cell, cells
from widgets.statusline import StatusLine
from widgets.tree import Tree
from widgets.tree_data import Node, parse

if TYPE_CHECKING:
    from backends.ops.output import RunPage

WIDE = 110
ROOMY = 100
"""Columns from which on the first lines say all."""
LOOK_S = 2.0
OUTPUTS = 3
"""The output of so many of the newest attempts is read."""


@dataclass(frozen=True, slots=True)
class _Letter:
    """What is read at once. `page` is None where history could not be asked; then `missing` says why."""

    letter: DeadLetter
    nodes: list[Node]
    wrong: str
    page: RunPage | None
    outputs: dict[int, str]
    missing: str


class LetterScreen(ConsoleScreen):
    """Payload left (in a narrow terminal: above), the story of its death right."""

    NAME = "letter"
    AUTO_FOCUS = "Tree"
    DEFAULT_CSS = """
    LetterScreen {
        & #facts1, & #facts2 { background: $panel; }
        & #both { height: 1fr; layout: vertical; }
        & #payload { height: 45%; }
        & #story { height: 1fr; padding: 0 1; }
        &.-wide #both { layout: horizontal; }
        &.-wide #payload { width: 1fr; height: 1fr; }
        &.-wide #story { width: 1fr; height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "retry", "retry"),
        Binding("x", "purge", "purge"),
        Binding("e", "edit_replay", "edit & replay"),
        Binding("o", "run", "its run"),
        Binding("tab", "app.focus_next", "payload and error"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._letter: DeadLetter | None = None
        self._gone = self._missing = ""

    def body(self) -> ComposeResult:
        """Two lines of facts, the payload, the story."""
        yield StatusLine(id="facts1")
        yield StatusLine(id="facts2")
        with Container(id="both"):
            yield Tree(id="payload", classes="panel")
            yield LogPane(empty="no letter is chosen: Enter on one opens it here", id="story", classes="panel")

    def on_mount(self) -> None:
        """Titles; the letter if it is known already."""
        self._tree, self._story = self.query_one(Tree), self.query_one(LogPane)
        self._tree.EMPTY = ""
        self._story.border_title = Content("Error and attempts")
        super().on_mount()

    def on_resize(self) -> None:
        """Side by side where there is room."""
        self.set_class(self.size.width >= WIDE, "-wide")

    # --- reading ---

    def show_subject(self, subject: str | None) -> None:
        """Another letter."""
        self.workers.cancel_group(self, "reading")
        self._letter, self._gone, self._missing = None, "", ""
        self._tree.show(())
        self._tree.border_title = Content("Payload")
        self.show_unread()
        if subject:
            self.keep_reading(
                lambda ops: self._ask(ops, subject), lambda found: self._take(found) if found else None, LOOK_S
            )

    def show_unread(self) -> None:
        """Of the letter."""
        if self._letter is None and not self._gone:
            self._story.show((), empty=self.unread if self.subject else "no letter is chosen")
            self._facts()

    async def _ask(self, ops: ConsoleOps, letter_id: str) -> _Letter | str | None:
        """The letter once; then only whether it still is one: what has become of it, None for nothing new."""
        letter = self._letter
        if letter is None:
            try:
                return await _read(ops, letter_id)
            except BadInputError:
                return "it is no dead letter (any more): o shows its run"
        if self._gone:
            return None
        place = await ops.run_place(letter_id)
        if place is None or place.state != "dead":
            return "no longer dead"
        anew = self._missing or place.since_ms != to_ms(letter.failed_at)
        return await _read(ops, letter_id) if anew else None

    def _take(self, found: _Letter | str) -> None:
        if isinstance(found, str):
            if not self._gone:
                self._gone = found
                self._facts()
            if self._letter is None:
                self._story.show((), empty=found)
            return
        if found.letter.id != self.subject:
            return
        letter, self._gone = found.letter, ""
        if letter == self._letter and found.missing == self._missing:
            self._facts()
            return
        if letter == self._letter:
            self._missing = found.missing
            self._story.show(self._lines(found))
            self._facts()
            return
        self._letter, self._missing = letter, found.missing
        size = len(letter.envelope)
        self._tree.show(found.nodes)
        self._tree.border_title = Content(f"Envelope · {size:,} bytes" if size != 1 else "Envelope · 1 byte")
        if found.wrong:
            self._tree.border_title = cells_title(f"Envelope · {size:,} bytes · {found.wrong}")
        self._story.show(self._lines(found))
        self._facts()

    def _lines(self, found: _Letter) -> list[Cell]:
        letter = found.letter
        out = error_lines(letter.error_class, letter.error)
        if found.missing:
            out += [(), cell(f"its attempts are not known: {found.missing}", "warn")]
        for attempt in reversed(found.page.attempts if found.page else ()):
            told = [
                cell(f"Attempt {attempt.attempt}", "key"), outcome_cell(attempt.outcome),
                cell(duration(attempt.duration_ms)),
                cell(f"exit {attempt.exit_code}" if attempt.exit_code is not None else ""),
                cell(moment(attempt.finished_at, self.now(), self.zone), "dim"),
            ]  # fmt: skip
            out += [(), joined(told)]
            same = attempt.error == letter.error or (attempt.error or "").strip() == ""
            out += [cell("the same error", "dim")] if same and attempt.error else []
            out += [] if same else error_lines(attempt.error_class or "", attempt.error or "")
            output = found.outputs.get(attempt.attempt)
            if output:
                out += [cell("output:", "dim"), *framed_lines(tail_of(output)[1].rstrip("\n"))]
        return out

    def show_time(self) -> None:
        """How long ago it died."""
        self._facts()

    def _facts(self) -> None:
        letter, first, second = (
            self._letter,
            self.query_one("#facts1", StatusLine),
            self.query_one("#facts2", StatusLine),
        )
        if letter is None:
            first.show(cell(f" {self._gone or (self.unread if self.subject else 'no letter')}", "dim"))
            second.show(())
            return
        ago, died = age(self.now() - to_ms(letter.failed_at)), clock_ms(letter.failed_at, self.zone)
        state = cell(f" {self._gone}", "accent") if self._gone else cell(" ✗ dead letter", "bad")
        roomy = self.size.width >= ROOMY
        first.show(
            joined([
                state, cell(letter.job, "strong"), cells(cell("queue ", "dim"), cell(letter.queue)),
                cells(cell("attempts ", "dim"), cell(count(letter.attempts))),
                cells(cell("died ", "dim"), cell(f"{ago} ago"), cell(f"  {died}" if roomy else "", "dim")),
            ])
        )  # fmt: skip
        second.show(
            joined([
                cells(cell(" run ", "dim"), cell(letter.id)),
                cells(cell("group ", "dim"), cell(letter.group)) if roomy else (),
                cells(cell("engine ", "dim"), cell(letter.worker)) if letter.worker else (),
            ])
        )  # fmt: skip

    # --- keys ---

    def panel_keys(self) -> PanelKeys:
        """Those of the tree and of the text beside it."""
        return (("In the payload", Tree.BINDINGS), ("In the error", LogPane.BINDINGS))

    def action_run(self) -> None:
        """The page of its run."""
        if self.subject:
            self.shell.open("run", self.subject)

    def action_retry(self) -> None:
        """Put it back into its queue."""
        self._act(RETRY)

    def action_purge(self) -> None:
        """Take it away."""
        self._act(PURGE)

    def _act(self, deed: Deed) -> None:
        letter = self._there(deed.verb)
        if letter is not None:
            chosen = Marked(((letter.queue, letter.id, letter.sequence),))
            letter_acts.one(self, deed, chosen, letter.job, partial(self._became, letter), {letter.id: letter.attempts})

    def action_edit_replay(self) -> None:
        """Its payload in an editor, then a new run in its place."""
        letter = self._there("edit")
        if letter is not None:
            edit_letter(self, letter.id, letter.sequence, partial(self._became, letter))

    def job_in_hand(self) -> str | None:
        """That of the letter."""
        return self._letter.job if self._letter else None

    def undone(self) -> None:
        """It may be dead again."""
        self._gone = ""
        self._facts()

    def _there(self, verb: str) -> DeadLetter | None:
        letter = self._letter
        if letter is None or self._gone:
            self.lacks("it is no longer dead: o shows its run" if letter else f"nothing to {verb}")
            return None
        return letter

    def _became(self, letter: DeadLetter, state: str) -> None:
        """What became of it."""
        if self._letter is letter:
            self._gone = state
            self._facts()


def cells_title(text: str) -> Content:
    """A title with text from outside in it."""
    return Content(cell(text)[0][0])


async def _read(ops: ConsoleOps, letter_id: str) -> _Letter:
    letter = await ops.dead_show(letter_id)
    nodes, wrong = await asyncio.to_thread(parse, letter.envelope)
    page, outputs, missing = None, {}, ""
    try:
        page = await ops.run_page(letter_id)
        missing = page.missing
        for attempt in page.attempts[-OUTPUTS:]:
            outputs[attempt.attempt] = await ops.run_output(letter_id, attempt.attempt) or ""
    except CronsoleError as error:
        missing = one_line(error)
    return _Letter(letter, nodes, wrong, page, outputs, missing)
