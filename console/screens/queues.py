"""Queues: how deep, how old, what comes and goes, who takes it, who paused it; Enter opens a queue's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from backends.model import QueueStatus
from backends.ops.queueing import QueueFlow
from console.records import Records, record
from console.screens import queues_looks as look
from console.screens.filterable import FilterableScreen
from console.screens.queues_pause import pause_or_resume
from console.screens.rows import age, count
from widgets.rowlist import RowList
from widgets.safe import cell, cells
from widgets.statusline import StatusLine
from widgets.table import Row, Table

FLOW_S = 2.0
SORTS = ("name", "trouble", "depth", "oldest")


class QueuesScreen(FilterableScreen):
    """One line a queue; two lines below tell more of the chosen one."""

    NAME = "queues"
    AUTO_FOCUS = "#queues"
    DEFAULT_CSS = """
    QueuesScreen { & #queues { height: 1fr; } & #state, & #numbers { background: $panel; } }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_selected", "open"),
        Binding("p", "pause", "pause/resume"),
        Binding("s", "sort", "sort"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.sort = SORTS[0]
        self.flows: Mapping[str, QueueFlow] = {}
        self._rows: dict[str, tuple[object, Row]] = {}
        self._title = ""

    def body(self) -> ComposeResult:
        """The list, what is told of the chosen one, the line to filter it."""
        yield Table(*look.QUEUE_COLUMNS, empty="no queues yet", id="queues", classes="panel")
        yield StatusLine(id="state")
        yield StatusLine(id="numbers")
        yield from self.filter_line()

    def on_mount(self) -> None:
        """Begin to measure."""
        super().on_mount()
        self._list = self.query_one("#queues", Table)
        self._list.border_title = Content("Queues")
        self.keep_reading(lambda ops: ops.queue_flows(), self._measured, FLOW_S)

    def _measured(self, flows: Mapping[str, QueueFlow]) -> None:
        self.flows = flows
        self.show_live()

    # --- what is shown ---

    def show_live(self) -> None:
        """The rows; one is made anew only where something of it is new."""
        live = self.state.live
        if live is None:
            return
        shown = self._sorted([q for q in live.queues if self.filter.matches(q.name)])
        width = (self._list.widths() or [0])[-1]
        taking = tuple((e.id, e.draining, e.queues, e.silent_ms > 0) for e in live.engines)
        rows: dict[str, tuple[object, Row]] = {}
        for queue in shown:
            oldest = queue.oldest_ready_seconds
            flow = self.flows.get(queue.name)
            seen = (
                queue.ready, queue.running, queue.later, queue.waiting, queue.inbox, queue.dead, queue.paused is None,
                None if oldest is None else age(oldest * 1000), flow, taking, width,
            )  # fmt: skip
            known = self._rows.get(queue.name)
            same = known is not None and known[0] == seen
            rows[queue.name] = known if known and same else (seen, look.queue_row(queue, flow, live.engines, width))
        self._rows = rows
        self._list.set_rows(tuple([row for _, row in rows.values()]))
        self._tell_title(len(shown), live.queues)
        self.show_time()

    def _sorted(self, queues: list[QueueStatus]) -> list[QueueStatus]:
        engines = self.state.live.engines if self.state.live else ()
        if self.sort == "trouble":
            queues.sort(key=lambda q: look.trouble(q, engines))
        elif self.sort == "depth":
            queues.sort(key=lambda q: (-(q.ready + q.waiting + q.inbox), q.name))
        elif self.sort == "oldest":
            queues.sort(key=lambda q: (-(q.oldest_ready_seconds or 0.0) if q.ready else 0.0, q.name))
        return queues

    def _tell_title(self, shown: int, queues: tuple[QueueStatus, ...]) -> None:
        ready, paused = sum(q.ready + q.inbox for q in queues), sum(q.paused is not None for q in queues)
        parts = [f"Queues · {shown}" + (f" of {len(queues)}" if shown < len(queues) else "")]
        parts += [f"{count(ready)} ready"] if ready else []
        parts += [f"{paused} paused"] if paused else []
        parts += [f"by {self.sort}"] if self.sort != SORTS[0] else []
        parts += [f"/{self.filter.text}"] if self.filter else []
        title = " · ".join(parts)
        if title != self._title:
            self._title = title
            self._list.border_title = Content(title)
        self._list.show_empty("no queue matches" if self.filter and queues else "no queues yet")

    def chosen(self) -> QueueStatus | None:
        """The queue under the cursor."""
        live, key = self.state.live, self._list.cursor_key
        return next((q for q in live.queues if q.name == key), None) if live else None

    def show_time(self) -> None:
        """More of the chosen one."""
        live, queue = self.state.live, self.chosen()
        state, numbers = self.query_one("#state", StatusLine), self.query_one("#numbers", StatusLine)
        if live is None or queue is None:
            state.show(())
            numbers.show(())
            return
        state.show(
            cells(cell(f" {queue.name}  ", "strong"), look.state_line(queue, live.engines, self.now(), self.zone))
        )
        numbers.show(cells(" ", look.numbers_line(queue, self.flows.get(queue.name))))

    def records(self, rows: RowList) -> Records | None:
        """Of each queue, with what goes through it."""
        live = self.state.live
        return Records({
            q.name: record(q, self.zone) | record(self.flows.get(q.name) or QueueFlow(), self.zone)
            for q in (live.queues if live else ())
        })  # fmt: skip

    def filter_changed(self) -> None:
        """Other rows."""
        self.show_live()

    @on(RowList.Moved, "#queues")
    def _moved(self) -> None:
        self.show_time()

    # --- keys ---

    def action_sort(self) -> None:
        """The next order."""
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self.show_live()

    def action_pause(self) -> None:
        """Pause the chosen queue with a note, or let it go on."""
        queue = self.chosen()
        if queue is None:
            self.lacks("no queue to pause")
        else:
            pause_or_resume(self, f"queue:{queue.name}", queue.paused)

    def action_open_selected(self) -> None:
        """Enter: the page of the chosen queue."""
        self._list.action_open()

    @on(RowList.Opened, "#queues")
    def _opened(self, event: RowList.Opened) -> None:
        self.shell.open("queue", event.key)
