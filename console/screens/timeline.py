"""Timeline: what ran and what will fire, over any stretch of time from ten minutes to thirty days."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from backends.ops.timeline import TimelinePast
from console.feed import ConsoleOps
from console.screens import rows as look
from console.screens.filterable import FilterableScreen
from widgets.timeline_wide import WideTimeline

READ_S = 2.0
"""The past in sight is read again so often."""


class TimelineScreen(FilterableScreen):
    """A row a job."""

    NAME = "timeline"
    FIELDS = ("job", "queue")
    DEFAULT_CSS = "TimelineScreen { & #wide { height: 1fr; } }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_selected", "open"),
        Binding("plus,equals_sign", "zoom(-1)", "finer", id="zoom_in"),
        Binding("minus", "zoom(1)", "coarser", id="zoom_out"),
        Binding("h", "pan(-0.25)", "back", id="pan_back"),
        Binding("l", "pan(0.25)", "on", id="pan_on"),
        Binding("n", "to_now", "now"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._lanes_of: object = None
        self._past_of: object = None

    def body(self) -> ComposeResult:
        """The plot and the line to filter it."""
        timeline = WideTimeline(zone=self.zone, id="wide")
        timeline.add_class("panel")
        yield timeline
        yield from self.filter_line()

    def on_mount(self) -> None:
        """Read the past that is in sight."""
        super().on_mount()
        self._plot = self.query_one(WideTimeline)
        self._plot.border_title = Content("Timeline")
        self._plot.set_now(self.now())
        self._plot.focus()

    # --- the past ---

    def _look(self) -> None:
        self.keep_reading(self._ask, self._show_past, READ_S)

    async def _ask(self, ops: ConsoleOps) -> TimelinePast:
        view = self._plot.view
        return await ops.timeline(self._plot.in_sight, view.start_ms, min(view.end_ms, self.now()), view.step_ms)

    def _show_past(self, past: TimelinePast) -> None:
        self._plot.set_bars(look.bars(past.runs), 0)

    @on(WideTimeline.Viewed)
    def _viewed(self) -> None:
        self._look()

    # --- what arrives ---

    def show_time(self) -> None:
        """The window."""
        self._plot.set_now(self.now())

    def show_live(self) -> None:
        """Jobs, plans, and what runs."""
        live, history, now = self.state.live, self.state.history, self.now()
        if live is None:
            return
        self._plot.set_plan(live.schedules, look.counter(live.schedules))
        self._plot.set_running(look.running_bars(live.engines))
        running = frozenset(run.job for engine in live.engines for run in engine.running)
        last = history.last_runs if history else {}
        seen = (live.jobs, last, running, now // 60_000, self.filter.text)
        if seen != self._lanes_of:
            self._lanes_of = seen
            jobs = [job for job in live.jobs if self.filter.matches(job.name, job.queue)]
            self._plot.set_lanes(look.lanes(jobs, last, running, now, self.zone))
        self._plot.set_now(now)

    def show_history(self) -> None:
        """Something ended."""
        self.show_live()

    def filter_changed(self) -> None:
        """Other jobs."""
        self.show_live()

    # --- keys ---

    def action_zoom(self, by: int) -> None:
        """A shorter or a longer span."""
        self._plot.zoom(by)

    def action_pan(self, parts: float) -> None:
        """A part of the window back or on."""
        self._plot.pan(parts)

    def action_to_now(self) -> None:
        """Follow now."""
        self._plot.to_now()

    def action_open_selected(self) -> None:
        """Enter."""
        self._plot.action_open()
