"""Runs: the whole history, a page at a time, narrowed by job, queue, outcome and time; Enter opens a run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from backends.model import Outcome, Page, RunRow, from_ms, run_id_ms
from console.console_ops import ConsoleOps
from console.screens.filterable import FilterableScreen
from console.screens.filters import Filter, check_meant, meant
from console.screens.pager import Pager
from console.screens.pages import Back
from console.screens.rows import HISTORY_COLUMNS, count, moment, run_row
from widgets.rowlist import RowList
from widgets.table import Row, Table

PAGE = 100
WRONG = "failed,timed_out,lost"


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
    AUTO_FOCUS = "#runs"
    FIELDS = ("job", "queue", "outcome", "since")
    DEFAULT_CSS = "RunsScreen { & #runs { height: 1fr; } }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_selected", "open"),
        Binding("f", "failures", "failures only"),
    ]

    def body(self) -> ComposeResult:
        """The list and the line to filter it."""
        yield Table(*HISTORY_COLUMNS, empty="no run is recorded here", id="runs", classes="panel")
        yield from self.filter_line()

    def on_mount(self) -> None:
        """Read the first page."""
        super().on_mount()
        self._list = self.query_one("#runs", Table)
        back = Back(self._ask_back, lambda run: run.cursor, self._looked_up)
        self._pager: Pager[RunRow] = Pager(
            self, self._list, self._ask, self._fits, run_key, self._row, self._told, back=back
        )
        self._told()

    def _row(self, run: RunRow) -> Row:
        return run_row(run, moment(from_ms(run_id_ms(run.run_id)), self.now(), self.zone))

    async def _ask(self, ops: ConsoleOps, cursor: str | None) -> Page[RunRow]:
        return await self._page(ops, cursor, oldest=False)

    async def _ask_back(self, ops: ConsoleOps, cursor: str | None) -> Page[RunRow]:
        return await self._page(ops, cursor, oldest=True)

    async def _page(self, ops: ConsoleOps, cursor: str | None, *, oldest: bool) -> Page[RunRow]:
        since = self.filter.since(datetime.fromtimestamp(self.now() / 1000, UTC))
        job, queue = self._named()
        return await ops.runs(PAGE, cursor, job=job, queue=queue, outcomes=self._outcomes(), since=since, oldest=oldest)

    def _named(self) -> tuple[str | None, str | None]:
        chosen, live = self.filter, self.state.live
        job = whole(chosen.get("job"), [j.name for j in live.jobs] if live else [])
        return job, whole(chosen.get("queue"), [q.name for q in live.queues] if live else [])

    def _looked_up(self) -> bool:
        """Whether history finds all that the filter means, and nothing is searched for in what is read."""
        job, queue = self._named()
        chosen = self.filter
        named = (job or not chosen.get("job")) and (queue or not chosen.get("queue"))
        return bool(named) and not chosen.words and not chosen.without

    def _outcomes(self) -> tuple[str, ...]:
        return tuple(meant(self.filter.get("outcome"), Outcome))

    def _fits(self, run: RunRow) -> bool:
        chosen = self.filter
        names = ((chosen.get("job"), run.job), (chosen.get("queue"), run.queue))
        named = all(part.casefold() in name.casefold() for part, name in names if part)
        return named and chosen.matches(run.job, run.error or "", run.worker or "", run.run_id)

    def check_filter(self, found: Filter) -> None:
        """Every outcome that is asked for must be one."""
        check_meant(found.get("outcome"), tuple(Outcome), "no run ends as")

    def _told(self) -> None:
        pager = self._pager
        read = count(pager.first + len(pager.items))
        if pager.from_end:
            read = f"the oldest {read}, newer above" if pager.at_end else f"{read} read, newer above, older below"
        elif self.filter and not pager.at_end:
            read += f" of the newest {count(pager.looked_at)}, G looks further"
        elif not pager.at_end:
            read += " read, older below"
        told = f"Runs · {read}" if pager.known else "Runs"
        self._list.border_title = Content(told + (f" · /{self.filter.text}" if self.filter else ""))
        self._list.show_empty("no run matches" if self.filter else "no run is recorded here")

    # --- what arrives ---

    def show_history(self) -> None:
        """Something ended since."""
        self._pager.refresh()

    def filter_changed(self) -> None:
        """Another list."""
        self._pager.restart()

    @on(RowList.Moved, "#runs")
    def _moved(self) -> None:
        self._pager.moved(self._list.cursor_index)

    @on(RowList.Edge, "#runs")
    def _edge(self, event: RowList.Edge) -> None:
        self._pager.edge(event.side)

    # --- keys ---

    def job_in_hand(self) -> str | None:
        """That of the chosen run."""
        run = self._pager.item(self._list.cursor_key)
        return run.job if run else None

    def action_failures(self) -> None:
        """Only what went wrong, or everything again; the rest of the filter stays."""
        rest = [part for part in self.filter.text.split() if not part.startswith("outcome:")]
        if self.filter.get("outcome") != WRONG:
            rest.append(f"outcome:{WRONG}")
        self.entry.value = " ".join(rest)
        self.apply_filter()

    def action_open_selected(self) -> None:
        """Enter: the chosen run."""
        self._list.action_open()

    @on(RowList.Opened, "#runs")
    def _opened(self, event: RowList.Opened) -> None:
        run_id = event.key.rsplit("/", 1)[0]
        self.shell.open("run", run_id)
