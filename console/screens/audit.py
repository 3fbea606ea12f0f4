"""Audit: who did what, when, to how many; newest first. Above it what is not finished; what can be is taken back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from backends.model import ActionResult, Page
from console.audited import target_words, verb_words
from console.console_ops import ConsoleOps
from console.screens.audit_looks import COLUMNS, OPEN_COLUMNS, action_lines, action_row, operation_row
from console.screens.dialog import AskDialog, TextDialog
from console.screens.filterable import FilterableScreen
from console.screens.pager import Pager
from console.screens.pages import Back
from console.screens.rows import count
from widgets.rowlist import RowList
from widgets.safe import cell, cells
from widgets.table import Row, Table

if TYPE_CHECKING:
    from backends.ops.audit import Action
    from backends.ops.kinds import Operation

PAGE = 100
LOOK_S = 1.5
"""So often it is asked what is not finished and what can still be taken back."""
KNOWN = 200
"""So many of the newest operations."""


class AuditScreen(FilterableScreen):
    """Every action of an operator, from this console or the command line."""

    NAME = "audit"
    AUTO_FOCUS = "#actions"
    OFFERS_UNDO = False
    FIELDS = ("who", "what", "since")
    DEFAULT_CSS = """
    AuditScreen {
        & #open { height: 4; max-height: 30%; display: none; &.-on { display: block; } }
        & #actions { height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_selected", "open"),
        Binding("u", "undo", "undo it"),
        Binding("r", "go_on", "go on"),
        Binding("c", "stop", "stop it"),
        Binding("tab", "app.focus_next", "panels"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Operation] = {}
        self._open: tuple[Operation, ...] = ()
        self._newest: str | None = None
        """The first row: a cursor that was not moved off it goes on to what is newer."""

    def body(self) -> ComposeResult:
        """Both lists and the line to filter the lower one."""
        yield Table(*OPEN_COLUMNS, empty="all is finished", id="open", classes="panel")
        yield Table(*COLUMNS, empty="nobody has done anything yet", id="actions", classes="panel")
        yield from self.filter_line()

    def on_mount(self) -> None:
        """Read the first page."""
        self._list, self._unfinished = self.query_one("#actions", Table), self.query_one("#open", Table)
        self._since: datetime | None = None
        self._pager: Pager[Action] = Pager(
            self, self._list, self._ask, self._fits, lambda action: str(action.id), self._row, self._told,
            back=Back(self._ask_back, lambda action: action.cursor, lambda: not self.filter),
        )  # fmt: skip
        super().on_mount()
        self._told()
        self.keep_reading(self._look, self._looked, LOOK_S)

    async def _look(self, ops: ConsoleOps) -> tuple[Sequence[Operation], Sequence[Operation]]:
        return await ops.operations(KNOWN), await ops.operations(KNOWN, unfinished=True)

    def _looked(self, found: tuple[Sequence[Operation], Sequence[Operation]]) -> None:
        known = {o.id: o for o in found[0]}
        unfinished = tuple(found[1])
        if known != self._known:
            self._known = known
            self._pager.redraw()
        self._open = unfinished
        self._show_open()

    def _show_open(self) -> None:
        table, now = self._unfinished, self.now()
        table.set_rows(tuple(operation_row(o, now) for o in self._open))
        table.set_class(bool(self._open), "-on")
        table.border_title = Content(f"Not finished · {len(self._open)}")
        if self._open:
            table.styles.height = table.whole_height
        elif table.has_focus:
            self._list.focus()

    def show_time(self) -> None:
        """How long ago what is not finished was heard of."""
        self._show_open()

    async def _ask(self, ops: ConsoleOps, cursor: str | None) -> Page[Action]:
        page = await ops.actions(PAGE, cursor)
        if self._since and page.items and page.items[-1].at < self._since:
            return Page(page.items, None)  # all that follows is older still
        return page

    async def _ask_back(self, ops: ConsoleOps, cursor: str | None) -> Page[Action]:
        return await ops.actions(PAGE, cursor, oldest=True)

    def _fits(self, action: Action) -> bool:
        chosen = self.filter
        pairs = ((chosen.get("who"), action.who), (chosen.get("what"), f"{action.verb} {verb_words(action.verb)}"))
        return (
            all(part.casefold() in name.casefold() for part, name in pairs if part)
            and (self._since is None or action.at >= self._since)
            and chosen.matches(action.who, action.verb, json.dumps(action.target, ensure_ascii=False, default=str))
        )

    def _row(self, action: Action) -> Row:
        return action_row(action, self._known.get(action.receipt or ""), self.now(), self.zone)

    def _told(self) -> None:
        pager = self._pager
        read = count(pager.first + len(pager.items))
        if pager.from_end:
            read = f"the oldest {read}, newer above" if pager.at_end else f"{read} read, newer above, older below"
        elif self.filter and not pager.at_end:
            read += f" of the newest {count(pager.looked_at)}, G looks further"
        elif not pager.at_end:
            read += " read, older below"
        told = f"Audit · {read}" if pager.known else "Audit"
        self._list.border_title = Content(told + (f" · /{self.filter.text}" if self.filter else ""))
        self._list.show_empty("no action matches" if self.filter else "nobody has done anything yet")
        if self._list.cursor_key == self._newest and self._list.cursor_index > 0:
            self._list.choose(0)
            self._list.slip()
        self._newest = None if pager.from_end or pager.first else next(iter(self._list.keys), None)

    # --- what arrives ---

    def show_history(self) -> None:
        """Somebody may have done something."""
        self._pager.refresh()

    def filter_changed(self) -> None:
        """Another list."""
        self._since = self.filter.since(datetime.fromtimestamp(self.now() / 1000, UTC))
        self._pager.restart()

    @on(RowList.Moved, "#actions")
    def _moved(self) -> None:
        self._pager.moved(self._list.cursor_index)

    @on(RowList.Edge, "#actions")
    def _edge(self, event: RowList.Edge) -> None:
        self._pager.edge(event.side)

    def action_open_selected(self) -> None:
        """Enter: everything about the action."""
        self._list.action_open()

    @on(RowList.Opened, "#actions")
    def _opened(self, event: RowList.Opened) -> None:
        action = self._pager.item(event.key)
        if action is not None:
            lines = action_lines(action, self._known.get(action.receipt or ""), self.now(), self.zone)
            self.app.push_screen(TextDialog(f"Action {action.id}", lines))

    def rows_meant(self, action: str) -> RowList | None:
        """What goes on or stops is in the upper list, wherever the keys go; what is taken back, in either."""
        if action in ("go_on", "stop"):
            return self._unfinished
        return self.focused if action == "undo" and isinstance(self.focused, RowList) else super().rows_meant(action)

    def _in_hand(self) -> tuple[str, str, str, int] | None:
        """(receipt, what, on what, how many) of the chosen line; None, and said, where it can't be taken back."""
        if self.focused is self._unfinished and (o := self._chosen_open()) is not None:
            return o.id, verb_words(o.verb), target_words(o.target), o.changed
        action = self._pager.item(self._list.cursor_key)
        if action is None:
            self.lacks("no action is chosen", self._pager.known)
            return None
        if action.receipt is None or action.verb == "undo":
            self.tell(
                "an undo can't be taken back" if action.verb == "undo" else "there is nothing to take back", "warn"
            )
            return None
        return action.receipt, verb_words(action.verb), target_words(action.target), action.changed

    def action_undo(self) -> None:
        """Take the chosen action back, after a question. Whether it still can be, the servers know."""
        found = self._in_hand() if self.may_act() else None
        if found is None:
            return
        receipt, verb, on_what, changed = found
        lines = [
            cells(cell("what   ", "dim"), cell(verb, "strong")), cells(cell("on     ", "dim"), cell(on_what)),
            cells(cell("did    ", "dim"), cell(f"{changed:,}")), (),
            cell("What has started since is left alone."),
        ]  # fmt: skip
        self.app.push_screen(
            AskDialog("Take this back?", lines, "take it back"),
            lambda yes: self.take_back((receipt,), f"{verb} of {changed:,}") if yes else None,
        )

    def _chosen_open(self) -> Operation | None:
        key = self._unfinished.cursor_key
        return next((o for o in self._open if o.id == key), None)

    def action_go_on(self) -> None:
        """Go on with an operation that was stopped, or left by a crash."""
        if not self.may_act():
            return
        operation = self._chosen_open()
        if operation is None:
            self.lacks("nothing was left half-way")
            return

        def told(result: ActionResult) -> str:
            return f"✓ {result.changed:,} of {result.matched:,} are done"

        verb = verb_words(operation.verb)
        self.drive(
            f"{verb}, going on", lambda ops, tell: ops.resume_operation(operation.id, tell), told,
            f"{verb}: not gone on", back=f"the {verb} of {operation.total or operation.matched:,}",
        )  # fmt: skip

    def action_stop(self) -> None:
        """Have whoever drives the chosen operation stop after its step."""
        if not self.may_act():
            return
        operation = self._chosen_open()
        if operation is None:
            self.lacks("nothing is under way")
        else:
            self.do(lambda ops: ops.stop_operation(operation.id), lambda _: "it stops after its step", "not stopped")
