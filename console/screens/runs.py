"""Runs: the whole history, a page at a time, narrowed by job, queue, outcome and time; Enter opens a run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from backends.model import Outcome, Page, RunRow
from console.feed import ConsoleOps
from console.screens.details import run_lines
from console.screens.dialog import TextDialog
from console.screens.filterable import FilterableScreen
from console.screens.pager import Pager
from console.screens.rows import RUN_COLUMNS, count, run_rows
from widgets.rowlist import RowList
from widgets.safe import cell
from widgets.table import Row, Table

PAGE = 100


def whole(part: str | None, names: Sequence[str]) -> str | None:
    """The one name that is meant by a part of it, so that history can look it up; None where several may be."""
    if part is None or part in names:
        return part
    found = [name for name in names if part.casefold() in name.casefold()]
    return found[0] if len(found) == 1 else None


def run_key(run: RunRow) -> str:
    """What identifies an attempt."""
    return f"{run.run_id}/{run.attempt}"


class RunsScreen(FilterableScreen):
    """Newest first. Words look at job, error and engine of the rows that are read."""

    NAME = "runs"
    FIELDS = ("job", "queue", "outcome", "since")
    DEFAULT_CSS = "RunsScreen { & #runs { height: 1fr; } }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_selected", "open"),
        Binding("f", "failures", "failures only"),
    ]

    def body(self) -> ComposeResult:
        """The list and the line to filter it."""
        yield Table(*RUN_COLUMNS, empty="no run is recorded here", id="runs", classes="panel")
        yield from self.filter_line()

    def on_mount(self) -> None:
        """Read the first page."""
        super().on_mount()
        self._list = self.query_one("#runs", Table)
        self._pager: Pager[RunRow] = Pager(self, self._list, self._ask, run_key, self._row, self._told)
        self._list.focus()
        self._told()

    def _row(self, run: RunRow) -> Row:
        return run_rows([run], (), self.now(), self.zone)[0]

    async def _ask(self, ops: ConsoleOps, cursor: str | None) -> Page[RunRow]:
        chosen, live = self.filter, self.state.live
        job = whole(chosen.get("job"), [j.name for j in live.jobs] if live else [])
        queue = whole(chosen.get("queue"), [q.name for q in live.queues] if live else [])
        outcome = whole(chosen.get("outcome"), [o.value for o in Outcome])
        since = chosen.since(datetime.fromtimestamp(self.now() / 1000, UTC))
        page = await ops.runs(PAGE, cursor, job=job, queue=queue, outcome=outcome, since=since)

        def fits(run: RunRow) -> bool:
            asked = (
                (chosen.get("job"), run.job),
                (chosen.get("queue"), run.queue),
                (chosen.get("outcome"), run.outcome),
            )
            fields = all(part.casefold() in name.casefold() for part, name in asked if part)
            return fields and chosen.matches(run.job, run.error or "", run.worker or "", run.run_id)

        return Page(tuple(filter(fits, page.items)), page.next_cursor)

    def _told(self) -> None:
        held = len(self._pager.items)
        seen = "" if self._pager.complete else f"{count(self._pager.first + held)} read, older below"
        text = f"Runs · {count(held)}" if self._pager.complete else f"Runs · {seen}"
        self._list.border_title = Content(text + (f" · /{self.filter.text}" if self.filter else ""))

    # --- what arrives ---

    def show_history(self) -> None:
        """Something ended since."""
        if self._pager.items:
            self._pager.refresh()
        else:
            self._pager.restart()

    def filter_changed(self) -> None:
        """Another list."""
        self._pager.restart()
        self._told()

    @on(RowList.Moved, "#runs")
    def _moved(self) -> None:
        self._pager.moved(self._list.cursor_index)

    # --- keys ---

    def action_failures(self) -> None:
        """Only what failed, or everything again."""
        entry = self.entry
        entry.value = "" if self.filter.get("outcome") == "failed" else "outcome:failed"
        self.apply_filter()

    def action_open_selected(self) -> None:
        """Enter: the chosen run."""
        self._list.action_open()

    @on(RowList.Opened, "#runs")
    def _opened(self, event: RowList.Opened) -> None:
        run_id = event.key.rsplit("/", 1)[0]
        dialog = TextDialog(f"Run …{run_id[-12:]}", [cell("reading …", "dim")])
        self.app.push_screen(dialog)
        self.read_once(lambda ops: ops.run_show(run_id), lambda found: dialog.show(run_lines(found, self.zone)))
