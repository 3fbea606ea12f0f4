"""Audit: who did what, when, to how many; newest first."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from backends.model import Page
from console.audited import target_words, verb_words
from console.feed import ConsoleOps
from console.screens.details import field, json_lines
from console.screens.dialog import TextDialog
from console.screens.filterable import FilterableScreen
from console.screens.pager import Pager
from console.screens.rows import count, moment
from console.screens.run_looks import clock_ms
from widgets.rowlist import RowList
from widgets.safe import cell
from widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from backends.ops.audit import Action

PAGE = 100
COLUMNS = (
    Column("when", 8), Column("who", 16, flex=2), Column("what", 10), Column("on", 16, flex=6),
    Column("meant", 6, align="right", drop=1), Column("changed", 7, align="right"),
)  # fmt: skip


class AuditScreen(FilterableScreen):
    """Every action of an operator, from this console or the command line."""

    NAME = "audit"
    FIELDS = ("who", "what", "since")
    DEFAULT_CSS = "AuditScreen { & #actions { height: 1fr; } }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "open_selected", "open")]

    def body(self) -> ComposeResult:
        """The list and the line to filter it."""
        yield Table(*COLUMNS, empty="nobody has done anything yet", id="actions", classes="panel")
        yield from self.filter_line()

    def on_mount(self) -> None:
        """Read the first page."""
        self._list = self.query_one("#actions", Table)
        self._since: datetime | None = None
        self._pager: Pager[Action] = Pager(
            self, self._list, self._ask, self._fits, lambda action: str(action.id), self._row, self._told
        )
        super().on_mount()
        self._list.focus()
        self._told()

    async def _ask(self, ops: ConsoleOps, cursor: str | None) -> Page[Action]:
        page = await ops.actions(PAGE, cursor)
        if self._since and page.items and page.items[-1].at < self._since:
            return Page(page.items, None)  # all that follows is older still
        return page

    def _fits(self, action: Action) -> bool:
        chosen = self.filter
        pairs = ((chosen.get("who"), action.who), (chosen.get("what"), f"{action.verb} {verb_words(action.verb)}"))
        return (
            all(part.casefold() in name.casefold() for part, name in pairs if part)
            and (self._since is None or action.at >= self._since)
            and chosen.matches(action.who, action.verb, json.dumps(action.target, ensure_ascii=False, default=str))
        )

    def _row(self, action: Action) -> Row:
        return Row(
            str(action.id),
            (
                cell(moment(action.at, self.now(), self.zone), "dim"), cell(action.who, "strong"),
                cell(verb_words(action.verb), "accent"), cell(target_words(action.target)),
                cell(count(action.matched), "dim"),
                cell(count(action.changed), "faint" if not action.changed else ""),
            ),
        )  # fmt: skip

    def _told(self) -> None:
        pager = self._pager
        read = count(pager.first + len(pager.items))
        if self.filter and not pager.at_end:
            read += f" of the newest {count(pager.looked_at)}, G looks further"
        elif not pager.at_end:
            read += " read, older below"
        self._list.border_title = Content(f"Audit · {read}" + (f" · /{self.filter.text}" if self.filter else ""))
        self._list.show_empty("no action matches" if self.filter else "nobody has done anything yet")

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
        if action is None:
            return
        lines = [
            field("when", clock_ms(action.at, self.zone)), field("who", action.who, "strong"),
            field("what", action.verb, "accent"), field("meant", f"{action.matched:,}"),
            field("changed", f"{action.changed:,}"), (), cell("On", "key"),
            *json_lines(json.dumps(action.target, ensure_ascii=False, default=str)),
        ]  # fmt: skip
        self.app.push_screen(TextDialog(f"Action {action.id}", lines))
