"""One queue: whether it moves, the last hour, a forecast of the next, and what lies in it with the reason why."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content

from backends.forecast import Forecast
from backends.model import ActionResult, Page, Pause, QueueStatus
from backends.ops.queueing import QueueFlow
from backends.queues.peek import STATES, QueuedRun
from console.console_ops import ConsoleOps
from console.screens import queues_looks as look
from console.screens.base import ConsoleScreen
from console.screens.dialog import AskDialog, PickDialog
from console.screens.engines import cancelled_words
from console.screens.pager import Pager
from console.screens.queues_pause import pause_or_resume
from console.screens.rows import count
from widgets.bars import Bars
from widgets.rowlist import RowList
from widgets.safe import Cell, cell, cells
from widgets.statusline import StatusLine
from widgets.table import Row, Table

PAGE = 100
READ_S = 2.0
SOON_S = 5
"""So often "due in …" is written anew."""
EMPTY = {
    "ready": "nothing is ready", "running": "nothing of it runs", "later": "nothing is planned for later",
    "waiting": "nothing waits for a slot",
}  # fmt: skip


class QueueScreen(ConsoleScreen):
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
        &.-short #ahead { margin-left: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "cancel", "cancel run"),
        Binding("b", "bump", "to the front"),
        Binding("m", "move", "to another queue"),
        Binding("enter", "open_selected", "open run"),
        Binding("p", "pause", "pause/resume"),
        Binding("l,right", "state(1)", "next list"),
        Binding("h,left", "state(-1)", "list before", show=False),
        Binding("space", "mark", "mark to move"),
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
        self._marks: frozenset[str] = frozenset()

    def body(self) -> ComposeResult:
        """Top to bottom."""
        yield StatusLine(id="state")
        yield StatusLine(id="numbers")
        with Horizontal(id="charts"):
            yield Bars(id="hour", ends=("an hour ago", "now"), classes="panel")
            yield Bars(id="ahead", tone="faint", ends=("now", "in an hour"), classes="panel")
        yield StatusLine(id="assumed")
        yield StatusLine(id="tabs")
        yield Table(*look.QUEUED_COLUMNS, empty="no queue is chosen", marks=True, id="lying", classes="panel")

    def on_mount(self) -> None:
        """The list."""
        super().on_mount()
        self._list = self.query_one("#lying", Table)
        self._pager: Pager[QueuedRun] = Pager(
            self, self._list, self._ask, lambda _: True, lambda run: run.run_id, self._row, self._told
        )
        self.keep_reading(self._measure, self._measured, READ_S)

    # --- reading ---

    def show_subject(self, subject: str | None) -> None:
        """Another queue."""
        self.shown, self._chosen_by_hand = STATES[0], False
        self.flow, self.found, self._looked, self._because = None, None, None, None
        self._mark(frozenset())
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
        if self.subject is None:
            return Page(())
        return await ops.queue_runs(self.subject, self.shown, PAGE, cursor)

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
        because = (status.paused, self.pauses(), taking, due)
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
        titles = (f"Forecast of ready · {will}", f"Forecast · {will}", f"Forecast · {will.partition(',')[0]}")
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
        read = count(pager.first + len(pager.items))
        total = getattr(status, self.shown) if status else 0
        part = f" · {read}" + ("" if pager.at_end else f" of {count(total)} read, more below")
        part += f" · {len(self._marks)} marked" if self._marks else ""
        self._title(self._list, "lying", self.shown.capitalize() + (part if pager.known else ""))
        missing = self.shown == "waiting" and pager.at_end and not pager.items and total
        self._list.show_empty("they wait for slots of jobs that are not published" if missing else EMPTY[self.shown])

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
            self.tell("no queue to pause", "warn")
        else:
            pause_or_resume(self, f"queue:{status.name}", status.paused)

    def _told_and_read(self, words: Callable[[ActionResult], str]) -> Callable[[ActionResult], str]:
        """`words`, and the list is read anew."""

        def told(result: ActionResult) -> str:
            self._pager.begin_anew()
            return words(result)

        return told

    def _in_hand(self, verb: str) -> QueuedRun | None:
        run = self._pager.item(self._list.cursor_key)
        if run is None:
            self.tell(f"no run to {verb}", "warn")
        elif run.state == "running" and verb != "cancel":
            self.tell("it runs already", "warn")
            return None
        return run

    def action_cancel(self) -> None:
        """Ask, then cancel the chosen run."""
        if not self.may_act():
            return
        run = self._in_hand("cancel")
        if run is None:
            return
        running = run.state == "running"
        what = "Its processes are ended; it is not tried again."
        if not running:
            what = "It leaves the queue without having run; it is not tried again."
        lines = [
            cells(cell("job    ", "dim"), cell(run.job, "strong")), cells(cell("run    ", "dim"), cell(run.run_id)),
            cell(what),
        ]  # fmt: skip

        def cancel(yes: bool | None) -> None:
            if yes:
                self.do(
                    lambda ops: ops.cancel(run.run_id), self._told_and_read(cancelled_words), "not cancelled",
                    back="" if running else f"the cancel of {run.job}",
                )  # fmt: skip

        self.app.push_screen(AskDialog("Cancel this run?", lines, "cancel it"), cancel)

    def action_bump(self) -> None:
        """The chosen run goes before all others of its queue."""
        if not self.may_act():
            return
        run = self._in_hand("put in front")
        if run is not None:
            told = self._told_and_read(lambda r: f"✓ {run.job} is next" + (f" · {r.note}" if r.note else ""))
            self.do(
                lambda ops: ops.bump(run.run_id), told, f"{run.job} not put in front", back=f"the bump of {run.job}"
            )

    def action_mark(self) -> None:
        """Mark the chosen run, or take its mark away; then the next one."""
        run = self._in_hand("mark")
        if run is not None:
            self._mark(self._marks ^ {run.run_id})
            self._list.action_move(1)

    def action_drop_marks(self) -> None:
        """No run is marked any more."""
        self._mark(frozenset())

    def _mark(self, keys: frozenset[str]) -> None:
        self._marks = keys
        self._list.mark(keys)
        self._told()

    def action_move(self) -> None:
        """The marked runs, else the chosen one, go to another queue: asks to which."""
        if not self.may_act():
            return
        live, run = self.state.live, self._in_hand("move") if not self._marks else None
        moved = sorted(self._marks) or ([run.run_id] if run else [])
        if live is None or not moved:
            return
        others = [q for q in live.queues if q.name != self.subject]
        if not others:
            self.tell("there is no other queue", "warn")
            return
        what = run.job if run else f"{len(moved)} marked runs"
        rows = [
            Row(
                q.name, (cell(q.name, "warn" if q.paused else "strong"), cell(count(q.ready)), look.taken_cell(q, live))
            )
            for q in others
        ]

        def told(result: ActionResult) -> str:
            self._mark(frozenset())
            some = f"{result.changed} of {result.matched} are" if result.matched > 1 else f"{what} is"
            return f"✓ {some} in another queue" + (f" · {result.note}" if result.note else "")

        def move(name: str | None) -> None:
            if name is not None:
                self.do(
                    lambda ops: ops.move(moved, name), self._told_and_read(told), f"{what} not moved",
                    back=f"the move of {what} to {name}",
                )  # fmt: skip

        verb = "move it" if len(moved) == 1 else "move them"
        self.app.push_screen(PickDialog(f"Move {what} to which queue?", look.MOVE_COLUMNS, rows, None, verb), move)
