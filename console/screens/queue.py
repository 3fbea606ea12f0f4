"""One queue: whether it moves, the last hour, a forecast of the next, and what lies in it with the reason why."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content

from backends.forecast import Forecast
from backends.model import Page, Pause, QueueStatus
from backends.ops.queueing import QueueFlow
from backends.queues.peek import STATES, QueuedRun
from console.console_ops import ConsoleOps
from console.screens import queues_looks as look
from console.screens.pager import Pager
from console.screens.pages import Back
from console.screens.queue_acts import QueueActs
from console.screens.queues_pause import pause_or_resume
from console.screens.rows import count
from widgets.bars import Bars
from widgets.rowlist import RowList
from widgets.safe import Cell, cell, cells
from widgets.statusline import StatusLine
from widgets.table import Row, Table

PAGE = 100
READ_S = 2.0
LEAST_PEAK = 4
SOON_S = 5
"""So often "due in …" is written anew."""
EMPTY = {
    "ready": "nothing is ready", "running": "nothing of it runs", "later": "nothing is planned for later",
    "waiting": "nothing waits for a slot",
}  # fmt: skip


class QueueScreen(QueueActs):
    """Opened for a queue's name."""

    NAME = "queue"
    AUTO_FOCUS = "#lying"
    DEFAULT_CSS = """
    QueueScreen {
        & #state, & #numbers, & #assumed { background: $panel; }
        & #charts { height: 8; }
        & #hour, & #ahead { width: 1fr; }
        & #lying { height: 1fr; }
        &.-short #charts { height: 5; }
        &.-low #charts { display: none; }
        &.-short #ahead { margin-left: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "cancel", "cancel"),
        Binding("b", "bump", "to the front"),
        Binding("m", "move", "move"),
        Binding("space", "mark", "mark"),
        Binding("enter", "open_selected", "open run"),
        Binding("p", "pause", "pause/resume"),
        Binding("l,right", "state(1)", "next list"),
        Binding("h,left", "state(-1)", "list before", show=False),
        Binding("M", "drop_marks", "drop the marks"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.shown = STATES[0]
        self.flow: QueueFlow | None = None
        self.found: Forecast | None = None
        self._chosen_by_hand = False
        self._looked: object = None
        self._because: object = None
        self._titles: dict[str, str] = {}

    def body(self) -> ComposeResult:
        """Top to bottom."""
        yield StatusLine(id="state")
        yield StatusLine(id="numbers")
        with Horizontal(id="charts"):
            yield Bars(ends=("an hour ago", "now"), least_peak=LEAST_PEAK, id="hour", classes="panel")
            yield Bars(tone="faint", ends=("now", "in an hour"), least_peak=LEAST_PEAK, id="ahead", classes="panel")
        yield StatusLine(id="assumed")
        yield StatusLine(id="tabs")
        yield Table(*look.QUEUED_COLUMNS, empty="no queue is chosen", marks=True, id="lying", classes="panel")

    def on_mount(self) -> None:
        """The list."""
        super().on_mount()
        self._list = self.query_one("#lying", Table)
        for name, title in (("hour", "Ended a minute"), ("ahead", "Forecast of ready")):
            self._title(self.query_one(f"#{name}", Bars), name, title)
        self._pager: Pager[QueuedRun] = Pager(
            self, self._list, self._ask, lambda _: True, lambda run: run.run_id, self._row, self._told,
            back=Back(self._ask_back, lambda run: run.cursor, grows=True),
        )  # fmt: skip
        self.keep_reading(self._measure, self._measured, READ_S)

    # --- reading ---

    def show_subject(self, subject: str | None) -> None:
        """Another queue."""
        self.shown, self._chosen_by_hand = STATES[0], False
        self.flow, self.found, self._looked, self._because = None, None, None, None
        self.action_drop_marks()
        self.show_unread()
        self.query_one("#assumed", StatusLine).show(())
        self._pager.restart()
        self.show_live()

    def show_unread(self) -> None:
        """Of the charts."""
        for chart in self.query(Bars) if self.found is None else ():
            chart.show((), self.unread)

    def status(self) -> QueueStatus | None:
        """The queue this is about, as it was last seen."""
        live = self.state.live
        return next((q for q in live.queues if q.name == self.subject), None) if live else None

    def pauses(self) -> dict[str, Pause]:
        """The paused jobs."""
        live = self.state.live
        return {j.name: j.paused for j in live.jobs if j.paused} if live else {}

    async def _ask(self, ops: ConsoleOps, cursor: str | None) -> Page[QueuedRun]:
        return await ops.queue_runs(self.subject, self.shown, PAGE, cursor) if self.subject else Page(())

    async def _ask_back(self, ops: ConsoleOps, cursor: str | None) -> Page[QueuedRun]:
        return await ops.queue_runs(self.subject, self.shown, PAGE, cursor, last=True) if self.subject else Page(())

    async def _measure(self, ops: ConsoleOps) -> tuple[str, QueueFlow | None, Forecast] | None:
        status, live = self.status(), self.state.live
        if status is None or live is None:
            return None
        flow = (await ops.queue_flows()).get(status.name)
        return status.name, flow, await ops.queue_forecast(status, live, flow)

    def _measured(self, found: tuple[str, QueueFlow | None, Forecast] | None) -> None:
        if found is None or found[0] != self.subject:
            return
        _, self.flow, self.found = found
        self._charts()
        self._facts()

    # --- what is shown ---

    def show_live(self) -> None:
        """Facts; the list where something in it may have moved."""
        status = self.status()
        if status is not None and not self._chosen_by_hand:
            self._chosen_by_hand = True
            there = {"ready": status.ready, "running": status.running, "later": status.later, "waiting": status.waiting}
            first = next((s for s in ("ready", "running", "waiting", "later") if there[s]), STATES[0])
            if first != self.shown:
                self._show_state(first)
        self._facts()
        self._tabs()

    def show_time(self) -> None:
        """Once a second: what moved, and how long until something is due."""
        status, live = self.status(), self.state.live
        self._facts()
        if status is None or live is None:
            return
        seen = (status.ready, status.running, status.later, status.waiting, self.shown, self.now() // 1000 // SOON_S)
        if seen != self._looked:
            self._looked = seen
            self._pager.refresh()
        taking = [(e.busy >= e.slots, e.draining) for e in look.takers(status.name, live.engines)]
        due = self.now() // 1000 // SOON_S if self.shown == "later" else self.now() // 60_000
        begun = [run.run_id for e in live.engines for run in e.running] if self.shown == "running" else ()
        because = (status.paused, self.pauses(), taking, due, begun)
        if because != self._because:
            self._because = because
            self._pager.redraw()

    def _row(self, run: QueuedRun) -> Row:
        live, status = self.state.live, self.status()
        if live is None or status is None:
            return Row(run.run_id, (cell("…" + run.run_id[-12:], "dim"), cell(run.job)))
        return look.queued_row(run, status, live, self.pauses(), self.now(), self.zone)

    def _facts(self) -> None:
        state, numbers, status, live = (
            self.query_one("#state", StatusLine),
            self.query_one("#numbers", StatusLine),
            self.status(),
            self.state.live,
        )
        name = cell(f" {self.subject or 'no queue is chosen'}  ", "strong")
        if status is None or live is None:
            state.show(cells(name, cell("there is no such queue" if live and self.subject else "", "warn")))
            numbers.show(())
            return
        state.show(cells(name, look.state_line(status, live.engines, self.now(), self.zone)))
        numbers.show(cells(" ", look.numbers_line(status, self.flow)))

    def _charts(self) -> None:
        status, found, flow = self.status(), self.found, self.flow
        if status is None or found is None:
            return
        hour, ahead = self.query_one("#hour", Bars), self.query_one("#ahead", Bars)
        ended = flow.ended if flow else ()
        hour.show(ended, "history can't be asked")
        ahead.show(found.depth)
        self._title(hour, "hour", f"Ended a minute · {count(sum(ended))} in an hour")
        will = "".join(text for text, _ in look.forecast_line(found, status))
        titles = (f"Forecast of ready · {will}", f"Forecast · {will}", f"Forecast · {will.partition(',')[0]}",
                  f"Forecast · {will.partition(':')[0]}")  # fmt: skip
        room = self.size.width // 2 - 6
        self._title(ahead, "ahead", next((title for title in titles if len(title) <= room), titles[-1]))
        self.query_one("#assumed", StatusLine).show(cells(" ", look.assumed(found)))

    def _tabs(self) -> None:
        status = self.status()
        if status is None:
            self.query_one("#tabs", StatusLine).show(())
            return
        parts: list[Cell] = [cell(" ")]
        for name in STATES:
            number = count(getattr(status, name))
            if name == self.shown:
                parts += [cell(f"▸{name} ", "key"), cell(f"{number}   ", "strong")]
            else:
                parts += [cell(f" {name} ", "dim"), cell(f"{number}   ", "" if getattr(status, name) else "faint")]
        self.query_one("#tabs", StatusLine).show(cells(*parts))

    def _told(self) -> None:
        status, pager = self.status(), self._pager
        if self.marks:  # a marked run may be at work by now
            self.marks |= {run.run_id: run for run in pager.items if run.run_id in self.marks}
        self._list.mark(frozenset(self.marks))
        read = count(pager.first + len(pager.items))
        total = getattr(status, self.shown) if status else 0
        if pager.from_end:  # in all four lists what is below goes later, whatever its age
            of = f"{read} of {count(total)}"
            part = f" · the last {of}, more above" if pager.at_end else f" · {of} read, more above and below"
        else:
            part = f" · {read}" + ("" if pager.at_end else f" of {count(total)} read, more below")
        part += f" · {len(self.marks)} marked" if self.marks else ""
        self._title(self._list, "lying", self.shown.capitalize() + (part if pager.known else ""))
        missing = self.shown == "waiting" and pager.at_end and not pager.items and total
        self._list.show_empty("they wait for slots of jobs that are not published" if missing else EMPTY[self.shown])

    def chosen(self) -> QueuedRun | None:
        """Under the cursor."""
        return self._pager.item(self._list.cursor_key)

    def job_in_hand(self) -> str | None:
        """That of the chosen run."""
        run = self.chosen()
        return run.job if run else None

    def go_down(self) -> None:
        """In the list."""
        self._list.action_move(1)

    def show_marks(self) -> None:
        """In the list and over it."""
        self._told()

    def read_anew(self) -> None:
        """From the first on, or the end; what is shown stays until then."""
        self._pager.read_again()

    def undone(self) -> None:
        """Runs may be back."""
        self._looked = None

    def _title(self, widget: Table | Bars, name: str, text: str) -> None:
        if self._titles.get(name) != text:
            self._titles[name] = text
            widget.border_title = Content(text)

    # --- keys ---

    def action_state(self, by: int) -> None:
        """The next list, or the one before."""
        self._chosen_by_hand = True
        self._show_state(STATES[(STATES.index(self.shown) + by) % len(STATES)])

    def _show_state(self, state: str) -> None:
        self.shown = state
        self._looked = None
        self._pager.restart()
        self._tabs()

    @on(RowList.Moved, "#lying")
    def _moved(self) -> None:
        self._pager.moved(self._list.cursor_index)

    @on(RowList.Edge, "#lying")
    def _edge(self, event: RowList.Edge) -> None:
        self._pager.edge(event.side)

    def action_open_selected(self) -> None:
        """Enter: the chosen run."""
        self._list.action_open()

    @on(RowList.Opened, "#lying")
    def _opened(self, event: RowList.Opened) -> None:
        self.shell.open("run", event.key)

    def action_pause(self) -> None:
        """Pause it with a note, or let it go on."""
        status = self.status()
        if status is None:
            self.lacks("no queue to pause")
        else:
            pause_or_resume(self, f"queue:{status.name}", status.paused)
