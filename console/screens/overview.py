"""The overview: time line, queues, dead letters and latest runs on one screen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from backends.errors import CronsoleError
from backends.model import now_ms
from backends.overview import HistoryOverview, Overview
from console.feed import Connected, ConsoleOps, Feed, HistoryArrived, Link, LinkChanged, OverviewArrived, one_line
from console.screens import rows as look
from console.screens.details import dead_lines, job_lines, queue_lines, run_lines
from console.screens.dialog import AskDialog, PickDialog, TextDialog
from console.screens.header import banner, header
from console.screens.help import HelpDialog
from console.screens.layout import CSS, heights
from console.settings import Preferences
from widgets.rowlist import RowList
from widgets.safe import Cell, cell, cells
from widgets.statusline import StatusLine
from widgets.table import Column, Row, Table
from widgets.timeline import Timeline

if TYPE_CHECKING:
    from console.app import ConsoleApp

T = TypeVar("T")
NOTICE_S = 6.0


class OverviewScreen(Screen[None]):
    """Everything at a glance. Holds the newest data; the widgets hold what they draw."""

    DEFAULT_CSS = CSS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "trigger", "trigger"),
        Binding("r", "retry", "retry"),
        Binding("p", "pause", "pause/resume"),
        Binding("enter", "open_selected", "open", show=True),
        Binding("tab", "app.focus_next", "panel"),
        Binding("shift+tab", "app.focus_previous", "previous panel", show=False),
        Binding("plus,equals_sign", "zoom(-1)", "time line: finer", show=False),
        Binding("minus", "zoom(1)", "time line: coarser", show=False),
        Binding("0", "zoom(0)", "time line: fit", show=False),
        Binding("question_mark", "help", "help"),
        Binding("q", "app.quit", "quit"),
    ]

    def __init__(
        self,
        context_name: str,
        preferences: Preferences,
        clock: Callable[[], int] = now_ms,
        *,
        ascii_only: bool = False,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._zone = preferences.zone
        self._context_shown, self._read_only = context_name, False
        self._links = {name: Link(name, "connecting", clock()) for name in ("redis", "postgres")}
        self._live: Overview | None = None
        self._history: HistoryOverview | None = None
        self._depths: dict[str, tuple[int, ...]] = {}
        self._retrying: frozenset[str] = frozenset()
        self._lanes_of: object = None
        self._notice: Cell = ()
        self._notices = 0
        self.set_class(ascii_only, "-ascii")

    @property
    def feed(self) -> Feed:
        """Where actions go."""
        app: ConsoleApp = self.app  # type: ignore[assignment]
        return app.feed

    def compose(self) -> ComposeResult:
        """Top to bottom."""
        yield StatusLine(id="header")
        yield StatusLine(id="banner")
        yield Timeline(zone=self._zone, id="timeline")
        with Horizontal(id="middle"):
            yield Table(*look.QUEUE_COLUMNS, empty="no queues yet", id="queues")
            yield Table(*look.DEAD_COLUMNS, empty="nothing died", id="dead")
        yield Table(*look.RUN_COLUMNS, empty="nothing ran yet", id="runs")
        yield StatusLine(id="keys")

    def on_mount(self) -> None:
        """Fixed texts, the clock, the focus."""
        self._timeline = self.query_one(Timeline)
        self._queues, self._dead = self.query_one("#queues", Table), self.query_one("#dead", Table)
        self._runs = self.query_one("#runs", Table)
        self._titles: dict[Widget, str] = {}
        self._title(self._timeline, "Time line")
        self._title(self._queues, "Queues")
        self._title(self._dead, "Dead letters")
        self._title(self._runs, "Latest runs")
        self._timeline.focus()
        self.show_keys()
        self.pass_time()
        self.set_interval(1.0, self.pass_time)

    def on_resize(self) -> None:
        """Borders only where there is room for them."""
        self.set_class(self.size.height < 34 or self.size.width < 90, "-short")
        self._lay_out()
        self.show_keys()
        self._show_header()

    def _lay_out(self) -> None:
        frame = 1 if self.has_class("-short") else 2
        timeline, middle = heights(self.size.height, len(self._live.jobs) if self._live else 3, frame)
        for selector, height in (("#timeline", timeline), ("#middle", middle)):
            widget = self.query_one(selector)
            if widget.styles.height is None or widget.styles.height.value != height:
                widget.styles.height = height

    def _title(self, widget: Widget, text: str) -> None:
        if self._titles.get(widget) != text:
            self._titles[widget] = text
            widget.border_title = Content(text)

    # --- what arrives ---

    @on(Connected)
    def _connected(self, event: Connected) -> None:
        self._context_shown, self._read_only = event.context_name, event.read_only
        self._show_header()

    @on(LinkChanged)
    def _link_changed(self, event: LinkChanged) -> None:
        self._links[event.link.name] = event.link
        self._show_header()

    @on(OverviewArrived)
    def _overview_arrived(self, event: OverviewArrived) -> None:
        before, self._live = self._live, event.data
        if before is None or len(before.jobs) != len(event.data.jobs):
            self._lay_out()
        self._depths = dict(event.depths)
        self._retrying &= frozenset(letter.id for letter in event.data.dead)
        self._show_live()
        self._show_header()

    @on(HistoryArrived)
    def _history_arrived(self, event: HistoryArrived) -> None:
        before, self._history = self._history, event.data
        if before is None or before.timeline != event.data.timeline:
            bars = look.bars(event.data.timeline)
            oldest = min((bar.start_ms for group in bars.values() for bar in group), default=self._clock())
            self._timeline.set_bars(bars, min(self._clock() - oldest, 3_600_000))
        self._show_runs()
        self._show_lanes()

    def pass_time(self) -> None:
        """Once a second: clock, ages, and the window of the time line."""
        self._timeline.set_now(self._clock())
        self._show_header()

    # --- what is shown ---

    def _show_header(self) -> None:
        now = self._clock()
        live = self._live
        self.query_one("#header", StatusLine).show(
            *header(
                self._context_shown, self._read_only, self._links, live.engines if live else None,
                live.at_ms if live else now,
                live.dead_total if live else 0, now, self._zone, self.size.width,
            )
        )  # fmt: skip
        trouble = banner(self._links, now, self._zone)
        line = self.query_one("#banner", StatusLine)
        line.set_class(bool(trouble), "-on")
        line.show(trouble)

    def _show_live(self) -> None:
        live = self._live
        if live is None:
            return
        now = self._clock()
        self._queues.set_rows(look.queue_rows(live.queues, self._depths))
        self._dead.set_rows(look.dead_rows(live.dead, now, self._retrying))
        shown, total = len(live.dead), live.dead_total
        more = f" · newest {shown} of {look.count(total)}" if total > shown else f" · {total}" if total else ""
        self._title(self._dead, "Dead letters" + more)
        jobs, in_sight = len(live.jobs), min(len(live.jobs), self._timeline.page_rows)
        self._title(self._timeline, "Time line" + (f" · {in_sight} of {jobs} jobs" if in_sight < jobs else ""))
        self._timeline.set_plan(live.schedules, look.counter(live.schedules))
        self._timeline.set_running(look.running_bars(live.engines))
        self._show_lanes()
        self._show_runs()

    def _show_lanes(self) -> None:
        live = self._live
        if live is None:
            return
        running = frozenset(run.job for engine in live.engines for run in engine.running)
        last = self._history.last_runs if self._history else {}
        # what is left of the lines changes with these and with the minute; many jobs are not made twice a second
        seen = (live.jobs, last, running, self._clock() // 60_000)
        if seen != self._lanes_of:
            self._lanes_of = seen
            self._timeline.set_lanes(look.lanes(live.jobs, last, running, self._clock(), self._zone))
        self._timeline.set_now(self._clock())

    def _show_runs(self) -> None:
        engines = self._live.engines if self._live else ()
        runs = self._history.runs if self._history else ()
        self._runs.set_rows(look.run_rows(runs, engines, self._clock(), self._zone))

    def show_keys(self) -> None:
        """The foot: keys from the bindings on the left, the newest notice on the right."""
        shown = [b for b in self.BINDINGS if isinstance(b, Binding) and b.show]
        names = {"question_mark": "?", "enter": "Enter", "tab": "Tab"}
        parts = [cells(cell(" " + names.get(b.key, b.key), "key"), cell(f" {b.description} ", "dim")) for b in shown]
        self.query_one("#keys", StatusLine).show(cells(*parts), self._notice)

    def tell(self, text: str, tone: str = "ok") -> None:
        """A notice at the foot, for a few seconds."""
        self._notice = cells(cell(text[: max(20, self.size.width - 12)], tone), " ")
        self._notices += 1
        self.set_timer(NOTICE_S, lambda number=self._notices: self._forget_notice(number))
        self.show_keys()

    def _forget_notice(self, number: int) -> None:
        if number == self._notices:
            self._notice = ()
            self.show_keys()

    # --- keys ---

    def job_in_hand(self) -> str | None:
        """The job the operator is looking at."""
        focused = self.focused
        if focused is self._dead and (key := self._dead.cursor_key) and self._live:
            return next((d.job for d in self._live.dead if d.id == key), None)
        if focused is self._runs and (key := self._runs.cursor_key) and self._history:
            return next((r.job for r in self._history.runs if f"{r.run_id}/{r.attempt}" == key), None)
        return self._timeline.cursor_key

    def action_trigger(self) -> None:
        """Ask which job to run; the one in hand is chosen already."""
        if self._live is None or not self._live.jobs:
            self.tell("no jobs to trigger", "warn")
            return
        columns = (Column("job", 12, 2), Column("schedule", 12, 1, drop=2), Column("what for", 10, 3, drop=1))
        jobs = [
            Row(j.name, (cell(j.name, "strong"), cell(j.schedule or "on call", "dim"), cell(j.description, "dim")))
            for j in self._live.jobs
        ]
        dialog = PickDialog("Run a job now", columns, jobs, self.job_in_hand(), "run it now")
        self.app.push_screen(dialog, self._trigger)

    def _trigger(self, job: str | None) -> None:
        if job is not None:
            told = f"✓ {job} runs as …"
            self._do(lambda ops: ops.trigger(job), lambda run_id: told + run_id[-8:], f"{job} not triggered")

    def action_retry(self) -> None:
        """Retry the chosen dead letter; from another panel, ask first."""
        key = self._dead.cursor_key
        letter = next((d for d in self._live.dead if d.id == key), None) if self._live else None
        if letter is None:
            self.tell("no dead letter to retry", "warn")
        elif self.focused is self._dead:
            self._retry(letter.id, letter.job)
        else:
            lines = [
                cells(cell("job    ", "dim"), cell(letter.job, "strong")),
                cells(cell("died   ", "dim"), cell(look.moment(letter.failed_at, self._clock(), self._zone))),
                cells(cell("error  ", "dim"), cell(letter.error[:160], "bad")),
            ]
            self.app.push_screen(
                AskDialog("Retry this dead letter?", lines, "retry it"),
                lambda yes: self._retry(letter.id, letter.job) if yes else None,
            )

    def _retry(self, letter_id: str, job: str) -> None:
        if letter_id in self._retrying:
            return
        self._retrying |= {letter_id}
        self._show_live()

        def failed() -> None:
            self._retrying -= {letter_id}
            self._show_live()

        self._do(
            lambda ops: ops.dead_retry([letter_id]),
            lambda result: f"✓ {job} is back in its queue" if result.changed else f"{job} was not there any more",
            f"{job} not retried",
            failed,
        )

    def action_pause(self) -> None:
        """Pause what is chosen, or resume it: a queue in the queues panel, else the job in hand."""
        live = self._live
        paused: bool
        if live is None:
            return
        if self.focused is self._queues:
            name = self._queues.cursor_key
            kind, paused = "queue", any(q.name == name and q.paused for q in live.queues)
        elif self.focused is self._timeline:
            name = self._timeline.cursor_key
            kind, paused = "job", any(j.name == name and j.paused for j in live.jobs)
        else:
            self.tell("p pauses a job of the time line or a queue: choose one (Tab)", "warn")
            return
        if name is None:
            return
        target = f"{kind}:{name}"
        if paused:
            self._do(lambda ops: ops.resume(target), lambda _: f"✓ {name} goes on", f"{name} not resumed")
        else:
            self._do(lambda ops: ops.pause(target), lambda _: f"‖ {name} is paused, p resumes it", f"{name} not paused")

    def action_zoom(self, by: int) -> None:
        """The scale of the time line; 0 fits it to the data."""
        if by:
            self._timeline.zoom(by)
        else:
            self._timeline.zoom_to_fit()

    def action_help(self) -> None:
        """All keys."""
        self.app.push_screen(HelpDialog((("Everywhere", self.BINDINGS), ("In lists", RowList.BINDINGS))))

    def action_open_selected(self) -> None:
        """Enter: the list in focus opens its row by itself."""
        if isinstance(self.focused, RowList):
            self.focused.action_open()

    @on(RowList.Opened)
    def _opened(self, event: RowList.Opened) -> None:
        live, key = self._live, event.key
        if live is None:
            return
        if event.control is self._timeline:
            job = next((j for j in live.jobs if j.name == key), None)
            if job is not None:
                last = self._history.last_runs.get(key) if self._history else None
                self.app.push_screen(TextDialog(f"Job {key}", job_lines(job, last, self._zone)))
        elif event.control is self._queues:
            queue = next((q for q in live.queues if q.name == key), None)
            if queue is not None:
                self.app.push_screen(TextDialog(f"Queue {key}", queue_lines(queue, self._zone)))
        elif event.control is self._dead:
            letter = next((d for d in live.dead if d.id == key), None)
            if letter is not None:
                dialog = TextDialog(f"Dead letter of {letter.job}", dead_lines(letter, self._zone))
                self.app.push_screen(dialog)
                self._fill(dialog, lambda ops: ops.dead_show(key), lambda found: dead_lines(found, self._zone))
        else:
            run_id = key.rsplit("/", 1)[0]
            dialog = TextDialog(f"Run …{run_id[-12:]}", [cell("reading …", "dim")])
            self.app.push_screen(dialog)
            self._fill(dialog, lambda ops: ops.run_show(run_id), lambda found: run_lines(found, self._zone))

    # --- doing ---

    @work(group="actions")
    async def _do(
        self,
        action: Callable[[ConsoleOps], Awaitable[T]],
        told: Callable[[T], str],
        failed: str,
        undo: Callable[[], None] | None = None,
    ) -> None:
        """Run an action in the background and tell how it went."""
        try:
            result = await self.feed.act(action)
        except Exception as error:
            if undo:
                undo()
            self.tell(f"✗ {failed}: {one_line(error)}", "bad")
            if not isinstance(error, CronsoleError):
                self.log.error(failed)
            return
        self.tell(told(result))

    @work(group="details")
    async def _fill(
        self, dialog: TextDialog, read: Callable[[ConsoleOps], Awaitable[T]], lines: Callable[[T], list[Cell]]
    ) -> None:
        """Read more about what a dialog shows, and show it."""
        try:
            found = lines(await self.feed.act(read))
        except Exception as error:
            self.tell(f"✗ {one_line(error)}", "bad")
            return
        dialog.show(found)
