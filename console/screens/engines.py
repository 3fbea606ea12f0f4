"""Engines: which hosts and versions, how full, how they feel, and what each of them runs now."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from backends.model import ActionResult, EngineStatus, RunningRow, from_ms
from console.records import Records, record
from console.screens.dialog import AskDialog
from console.screens.filterable import FilterableScreen
from console.screens.rows import age, engine_name, moment, running_records, so_far
from widgets.rowlist import RowList
from widgets.safe import Cell, cell, cells
from widgets.table import Column, Row, Table

COLUMNS = (
    Column("engine", 14, flex=3), Column("slots", 12, flex=1), Column("busy", 7, align="right"),
    Column("memory", 8, align="right"), Column("lag", 7, align="right"), Column("up", 5, align="right"),
    Column("version", 8, drop=2), Column("queues", 12, flex=3, drop=1),
)  # fmt: skip
RUNNING = (
    Column("runs for", 8, align="right"), Column("job", 14, flex=2), Column("queue", 10, flex=1, drop=2),
    Column("try", 3, align="right"), Column("run", 12, flex=1, drop=1), Column("engine", 14, flex=1, drop=3),
)  # fmt: skip
LAGS_MS = 100.0
"""An engine whose loop is later than this is told apart: something in it blocks."""
BAR = 10
NO_ENGINE = "no engine is alive: start one with `cronsole engine`"
CANCELLED = {
    "cancelled": "✓ cancelled before it started", "asked": "✓ its engine will end it",
    "unknown": "it has ended already",
}  # fmt: skip


def cancelled_words(result: ActionResult) -> str:
    """What became of a cancel."""
    return CANCELLED.get(result.note, result.note)


def slots_bar(busy: int, slots: int) -> Cell:
    """How full an engine is, as a bar of at most ten cells."""
    size = min(BAR, max(slots, 1))
    full = min(size, -(-busy * size // max(slots, 1)))
    return cells(cell("━" * full, "warn" if busy >= slots else "accent"), cell("─" * (size - full), "faint"))


def engine_row(engine: EngineStatus, at_ms: int) -> Row:
    """An engine in one line; `at_ms`: when it was looked at."""
    name = cell(engine.id, "strong")
    if engine.silent_ms:  # what it said of itself last may be over
        name = cells(cell("◌ ", "warn"), cell(engine.id, "warn"))
        return _unknown(engine, name, cell(f"silent {age(engine.silent_ms)}", "warn"))
    if engine.draining:
        name = cells(cell("◌ ", "warn"), cell(engine.id, "warn"), cell(" draining", "warn"))
    return Row(
        engine.id,
        (
            name, slots_bar(engine.busy, engine.slots), cell(f"{engine.busy}/{engine.slots}"),
            cell(f"{engine.rss_mb:.0f} MB", "dim"),
            cell(f"{engine.loop_lag_ms:.0f} ms", "warn" if engine.loop_lag_ms > LAGS_MS else "dim"),
            cell(age(at_ms - engine.started_ms), "dim"), cell(engine.version, "dim"),
            cell(", ".join(engine.queues), "dim"),
        ),
    )  # fmt: skip


def gone_row(engine: EngineStatus, heard: str) -> Row:
    """One that died without a word."""
    name = cells(cell("✗ ", "bad"), cell(engine_name(engine.id), "warn"), cell(", last heard of", "dim"))
    return _unknown(engine, name, cell(f"at {heard}", "dim"))


def _unknown(engine: EngineStatus, name: Cell, state: Cell) -> Row:
    no = cell("·", "faint")
    rest = (cell(engine.version, "dim"), cell(", ".join(engine.queues), "dim"))
    return Row(engine.id, (name, state, no, no, no, no, *rest))


def running_row(run: RunningRow, engine: str, now_ms: int) -> Row:
    """What is in hand."""
    return Row(
        f"{run.run_id}/{run.attempt}",
        (
            cell(so_far(now_ms - run.started_ms), "accent"), cell(run.job, "strong"), cell(run.queue, "dim"),
            cell(run.attempt, "warn" if run.attempt > 1 else "faint"), cell("…" + run.run_id[-12:], "dim"),
            cell(engine, "dim"),
        ),
    )  # fmt: skip


class EnginesScreen(FilterableScreen):
    """The fleet above, what the chosen engine runs below. Words look at both: an engine stays for a run of it."""

    NAME = "engines"
    AUTO_FOCUS = "#engines"
    DEFAULT_CSS = """
    EnginesScreen { & #engines { height: 45%; } & #running { height: 1fr; } }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_selected", "open"),
        Binding("c", "cancel", "cancel run"),
    ]

    def body(self) -> ComposeResult:
        """Both tables and the line to filter them."""
        yield Table(*COLUMNS, empty=NO_ENGINE, id="engines", classes="panel")
        yield Table(*RUNNING, empty="nothing runs", id="running", classes="panel")
        yield from self.filter_line()

    def on_mount(self) -> None:
        """Titles and focus."""
        super().on_mount()
        self._fleet, self._runs_of_it = self.query_one("#engines", Table), self.query_one("#running", Table)
        self._fleet.border_title, self._runs_of_it.border_title = Content("Engines"), Content("Running here")

    def show_live(self) -> None:
        """Both tables."""
        live = self.state.live
        if live is None:
            return
        shown = [e for e in live.engines if self._fits(e) or any(self._fits(e, run) for run in e.running)]
        gone = [gone_row(e, self._heard(e)) for e in live.gone if self._fits(e)]
        self._fleet.set_rows((*[engine_row(e, live.at_ms) for e in shown], *gone))
        self._fleet.show_empty("no engine matches, nor what one runs" if self.filter and live.engines else NO_ENGINE)
        of = f" · {len(shown)} of {len(live.engines)} · /{self.filter.text}" if self.filter else ""
        none = "" if live.engines or not live.gone else " · none is alive: start one with `cronsole engine`"
        self._fleet.border_title = Content(f"Engines{none or of}")
        self.show_time()

    def _fits(self, engine: EngineStatus, run: RunningRow | None = None) -> bool:
        about = (run.job, run.queue, run.run_id) if run else engine.queues
        return self.filter.matches(engine.id, engine.version, *about)

    def filter_changed(self) -> None:
        """Other rows."""
        self.show_live()

    def show_time(self) -> None:
        """What runs, and for how long."""
        live, chosen = self.state.live, self._fleet.cursor_key
        if live is None:
            return
        now = self.now()
        there = [(r, e) for e in live.engines if e.id == chosen or chosen is None for r in e.running]
        held = [(r, e.id) for r, e in there if self._fits(e, r)]
        held.sort(key=lambda pair: pair[0].started_ms)
        self._runs_of_it.set_rows(tuple(running_row(r, engine, now) for r, engine in held))
        silent = next((e.silent_ms for e in live.engines if e.id == chosen), 0)
        of = f" of {len(there)}" if len(held) < len(there) else ""
        as_of = f" as of {age(silent)} ago" if silent else ""
        self._runs_of_it.border_title = Content(f"Running here · {len(held)}{of}{as_of}")
        gone = next((e for e in live.gone if e.id == chosen), None)
        self._runs_of_it.show_empty(
            f"{engine_name(gone.id)} was last heard of at {self._heard(gone)}: others take over what it ran"
            if gone else "nothing runs"
        )  # fmt: skip

    def _heard(self, engine: EngineStatus) -> str:
        return moment(from_ms(engine.beat_ms), self.now(), self.zone)

    @on(RowList.Moved, "#engines")
    def _chosen(self) -> None:
        self.show_time()
        self._runs_of_it.settle()

    def records(self, rows: RowList) -> Records | None:
        """Of both tables."""
        engines = self.state.live.engines if self.state.live else ()
        if rows is self._fleet:
            return Records({e.id: record(e, self.zone) for e in engines})
        return Records(running_records(engines, self.zone))

    def job_in_hand(self) -> str | None:
        """That of the chosen run."""
        live, key = self.state.live, self._runs_of_it.cursor_key
        held = [r for e in live.engines for r in e.running] if live else []
        return next((r.job for r in held if f"{r.run_id}/{r.attempt}" == key), None)

    def action_open_selected(self) -> None:
        """Enter opens the run that is chosen; on an engine, it goes to its runs."""
        if self.focused is self._runs_of_it:
            self._runs_of_it.action_open()
        else:
            self._runs_of_it.focus()

    @on(RowList.Opened, "#running")
    def _opened(self, event: RowList.Opened) -> None:
        self.shell.open("run", event.key.rsplit("/", 1)[0])

    def rows_meant(self, action: str) -> RowList | None:
        """Cancelled is the run, also from the list of engines."""
        return self._runs_of_it if action == "cancel" else super().rows_meant(action)

    def action_cancel(self) -> None:
        """Ask, then cancel the chosen run."""
        if not self.may_act():
            return
        key = self._runs_of_it.cursor_key
        if key is None:
            self.lacks("nothing runs here")
            return
        run_id = key.rsplit("/", 1)[0]
        lines = [cells(cell("run    ", "dim"), cell(run_id)), cell("Its processes are ended; it is not tried again.")]

        def cancel(yes: bool | None) -> None:
            if yes:
                self.do(lambda ops: ops.cancel(run_id), cancelled_words, "not cancelled")

        self.app.push_screen(AskDialog("Cancel this run?", lines, "cancel it"), cancel)
