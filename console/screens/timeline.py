"""Timeline: what ran and what will fire, over any stretch of time from ten minutes to thirty days."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from heapq import nlargest
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from backends.errors import CronsoleError
from backends.model import RunRow, from_ms, to_ms
from backends.ops.timeline import TimelinePast
from backends.schedule import Schedule, counts, fires_between
from console.console_ops import ConsoleOps
from console.screens import rows as look
from console.screens import timeline_looks as looks
from console.screens.dialog import PickDialog, TextDialog
from console.screens.filterable import FilterableScreen
from console.screens.help import PanelKeys
from console.screens.queues_pause import pause_or_resume
from console.screens.timeline_herd import Fired, Herd, fired_between
from widgets.rowlist import RowList
from widgets.safe import cell
from widgets.statusline import StatusLine
from widgets.table import Row
from widgets.timeline_axis import SPANS
from widgets.timeline_wide import WideTimeline

READ_S = 3.0
"""The past in sight is read again so often."""
SETTLED_S = 0.08
"""After the last key that moved the window, before its past is asked for."""
WITNESSES = 3
"""Jobs that fire most often, by whose late decisions it is known when no engine was at work."""


class TimelineScreen(FilterableScreen):
    """A row a job."""

    NAME = "timeline"
    AUTO_FOCUS = "WideTimeline"
    FIELDS = ("job", "queue")
    DEFAULT_CSS = """
    TimelineScreen { & #wide { height: 1fr; } & #moment { background: $panel; } }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_selected", "open"),
        Binding("plus,equals_sign", "zoom(-1)", "finer", id="zoom_in"),
        Binding("minus", "zoom(1)", "coarser", id="zoom_out"),
        Binding("h", "pan(-0.25)", "back", id="pan_back"),
        Binding("l", "pan(0.25)", "on", id="pan_on"),
        Binding("n", "to_now", "now"),
        Binding("m", "busiest", "most at once"),
        Binding("a", "together", "who fires here"),
        Binding("s", "sort", "sort"),
        Binding("t", "trigger", "trigger", show=False),
        Binding("p", "pause", "pause/resume", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._lanes_of: object = None
        self._sort = looks.SORTS[0]
        self._past: TimelinePast | None = None
        self._past_jobs: frozenset[str] = frozenset()
        self._schedules: Mapping[str, Schedule] = {}
        self._schedules_of: object = None
        self._fired = Fired()
        self._herd = Herd({}, self._fired, self.now)
        self._witnesses: tuple[str, ...] = ()
        self._settling = 0
        self._shown = (0, 0)

    def body(self) -> ComposeResult:
        """The plot, the moment in words, and the line to filter."""
        timeline = WideTimeline(zone=self.zone, id="wide")
        timeline.add_class("panel")
        yield timeline
        yield StatusLine(id="moment")
        yield from self.filter_line()

    def on_mount(self) -> None:
        """Follow now."""
        self._plot = self.query_one(WideTimeline)
        self._moment = self.query_one("#moment", StatusLine)
        self._plot.set_now(self.now())
        super().on_mount()
        self._told()
        self.keep_reading(self._ask, self._show_past, READ_S)

    def job_in_hand(self) -> str | None:
        """Under the cursor."""
        return self._plot.cursor_key

    def panel_keys(self) -> PanelKeys:
        """Those of the plot."""
        return (("On the time line", WideTimeline.BINDINGS),)

    def remembered(self) -> dict[str, str | int | float | bool]:
        """Filter, order and span."""
        return {**super().remembered(), "sort": self._sort, "span_ms": self._plot.span_ms}

    def recall(self, kept: Mapping[str, object]) -> None:
        """As they were the last time."""
        if (by := kept.get("sort")) in looks.SORTS:
            self._sort = str(by)
        if (span := kept.get("span_ms")) in SPANS and isinstance(span, int):
            self._plot.zoom_to(span)
        super().recall(kept)

    def _told(self) -> None:
        shown, total = self._shown
        jobs = f" · {shown} of {total} jobs" if shown < total else f" · {total} jobs" if self.state.live else ""
        title = f"Timeline{jobs} · by {self._sort}" + (f" · /{self.filter.text}" if self.filter else "")
        self._plot.border_title = Content(title)

    # --- the past ---

    async def _ask(self, ops: ConsoleOps) -> TimelinePast:
        """Half a window more on each side, and the pages above and below: the next step is known then."""
        plot, view = self._plot, self._plot.view
        half = view.columns // 2 * view.step_ms
        start, end = view.start_ms - half, min(view.end_ms + half, self.now())
        jobs = plot.keys[max(plot.top - plot.page_rows, 0) : plot.top + 2 * plot.page_rows]
        self._asked_jobs = frozenset(jobs)
        return await ops.timeline(tuple(jobs), min(start, end), end, view.step_ms, self._witnesses)

    def _show_past(self, past: TimelinePast) -> None:
        self._past, self._past_jobs = past, self._asked_jobs
        self._plot.set_past(looks.past_of(past))
        self._show_moment()
        self._read_fired()

    def _is_known(self) -> bool:
        """Whether the past in sight was read."""
        past, view = self._past, self._plot.view
        return (
            past is not None
            and past.start_ms <= view.start_ms
            and past.end_ms >= min(view.end_ms, self.now() - int(READ_S * 2000))
            and self._past_jobs.issuperset(self._plot.in_sight)
            and (not past.tallies or past.step_ms == view.step_ms)
        )

    @on(WideTimeline.Viewed)
    def _viewed(self) -> None:
        """Another stretch, or other rows."""
        self._show_changes()
        self._show_herd()
        self._show_moment()
        if not self._is_known():
            self._settling += 1
            self.set_timer(SETTLED_S, lambda number=self._settling: self._settled(number))

    def _settled(self, number: int) -> None:
        if number == self._settling and self.is_current:
            self.keep_reading(self._ask, self._show_past, READ_S)

    # --- what arrives ---

    def show_time(self) -> None:
        """The window."""
        self._plot.set_now(self.now())

    def show_live(self) -> None:
        """Jobs, plans, and what runs."""
        live, history, now = self.state.live, self.state.history, self.now()
        if live is None:
            return
        paused = frozenset(job.name for job in live.jobs if job.paused)
        if self._schedules_of is None or self._schedules_of != (id(live.schedules), paused):
            self._schedules_of = (id(live.schedules), paused)
            self._held = live.schedules  # as long as it is held, its id is its own
            self._schedules = {job: plan for job, plan in live.schedules.items() if job not in paused}
            self._herd = Herd(self._schedules, self._fired, self.now)
            hourly = counts(self._schedules, [now, now + 3_600_000]).jobs
            self._witnesses = tuple(nlargest(WITNESSES, hourly, key=lambda job: hourly[job][0]))
            self._show_herd()
        self._plot.set_plan(self._schedules, look.counter(self._schedules), self._instants)
        self._plot.set_running(look.running_bars(live.engines))
        running = frozenset(run.job for engine in live.engines for run in engine.running)
        last = history.last_runs if history else {}
        seen = (live.jobs, last, running, now // 60_000, self.filter.text, self._sort)
        if seen != self._lanes_of:
            self._lanes_of = seen
            jobs = looks.ordered([job for job in live.jobs if self._fits(job.name, job.queue)], self._sort, last)
            self._shown = (len(jobs), len(live.jobs))
            self._plot.set_lanes(look.lanes(jobs, last, running, now, self.zone))
            self._told()
        self._plot.set_now(now)

    def _fits(self, job: str, queue: str) -> bool:
        named = ((self.filter.get("job"), job), (self.filter.get("queue"), queue))
        return all(part.casefold() in name.casefold() for part, name in named if part) and self.filter.matches(job)

    def _instants(self, jobs: Sequence[str], start_ms: int, end_ms: int) -> Mapping[str, Sequence[int]]:
        chosen = {job: self._schedules[job] for job in jobs if job in self._schedules}
        return fires_between(chosen, from_ms(start_ms), from_ms(end_ms))

    def show_history(self) -> None:
        """Something ended."""
        self.show_live()

    def filter_changed(self) -> None:
        """Other jobs."""
        self.show_live()

    # --- clocks, the herd, the moment ---

    def _show_changes(self) -> None:
        live, view = self.state.live, self._plot.view
        if live is None:
            return
        sight = frozenset(self._plot.in_sight)
        zones = {job.name: job.timezone for job in live.jobs if job.name in sight}
        zones[""] = getattr(self.zone, "key", "UTC")
        by_zone = {
            zone: tuple((to_ms(c.at), looks.jump_words(c)) for c in looks.changes_in(zone, view.start_ms, view.end_ms))
            for zone in set(zones.values())
        }
        self._plot.set_changes({job: by_zone[zone] for job, zone in zones.items() if by_zone[zone]})

    def _show_herd(self) -> None:
        self._tell_herd()
        if self._herd.missing(self._plot.view):
            self._count_herd()

    def _tell_herd(self) -> None:
        live, view = self.state.live, self._plot.view
        slots = sum(engine.slots for engine in live.engines if not engine.draining) if live else 0
        self._plot.set_together(view, self._herd.peaks(view), slots)

    @work(group="herd", exclusive=True)
    async def _count_herd(self) -> None:
        """Count what is in sight, in steps between which keys are answered."""
        herd = self._herd
        for chunk in herd.missing(self._plot.view):
            for _ in herd.counting(chunk):
                await asyncio.sleep(0)
            self._tell_herd()
        self._show_moment()

    @work(group="fired", exclusive=True)
    async def _read_fired(self) -> None:
        """Read what fired in sight, a day at a time."""
        for start, end in self._fired.missing(self._plot.view, self.now()):
            try:
                found = await self.feed.read(fired_between(start, end))
            except (CronsoleError, OSError):
                return
            self._fired.take(start, end, found, self.now())
            self._tell_herd()
        self._show_moment()

    def _column(self) -> tuple[int, int]:
        """From when to when the column of the cursor reaches."""
        view = self._plot.view
        start = view.start_ms + self._plot.moment_column * view.step_ms
        return start, start + view.step_ms

    def _show_moment(self) -> None:
        plot, job = self._plot, self._plot.cursor_key
        if job is None:
            self._moment.show(())
            return
        start, end = self._column()
        fires = self._instants([job], start, end).get(job, ())
        left = looks.moment_cell(job, plot.view, plot.moment_column, self._past, fires, self.now(), self.zone)
        at, many = self._herd.busiest(start, end)
        zone = self.zone
        self._moment.show(left, cell(f"{many} together {looks.clock(at, zone)} ", "dim") if many > 1 else ())

    @on(RowList.Moved, "#wide")
    def _moved(self) -> None:
        self._show_moment()

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

    def action_busiest(self) -> None:
        """The cursor on the minute in sight on which the most fires fall, of those to come where there are any."""
        view = self._plot.view
        at, many = self._herd.busiest(max(view.start_ms, self.now()), view.end_ms)
        if not many:
            at, many = self._herd.busiest(view.start_ms, view.end_ms)
        if many:
            self._plot.go_to(at)
        else:
            self.lacks("nothing fires in this stretch")

    def action_sort(self) -> None:
        """Another order of the rows."""
        self._sort = looks.SORTS[(looks.SORTS.index(self._sort) + 1) % len(looks.SORTS)]
        self.show_live()
        self._told()

    def action_trigger(self) -> None:
        """Ask, then run the job of the cursor's row."""
        self.ask_trigger(self._plot.cursor_key)

    def action_pause(self) -> None:
        """Pause the job of the cursor's row with a note, or let it go on."""
        live, chosen = self.state.live, self._plot.cursor_key
        job = next((j for j in live.jobs if j.name == chosen), None) if live else None
        if job is None:
            self.lacks("no job to pause")
        else:
            pause_or_resume(self, f"job:{job.name}", job.paused)

    def action_together(self) -> None:
        """The jobs that fire, or fired, in the column of the cursor; the chosen one's row is gone to."""
        live, (start, end) = self.state.live, self._column()
        if end <= self.now():
            self.read_once(
                lambda ops: ops.fired_jobs(start, end, looks.MOST_ROWS),
                lambda found: self._choose_among(
                    looks.fired_rows(found, live.jobs if live else (), self.zone), start, end
                ),
            )
            return
        start = max(start, self.now())
        usual = self._past.usual_ms if self._past else {}
        found = looks.together_rows(self._schedules, live.jobs if live else (), start, end, usual, self.zone)
        self._choose_among(found, start, end)

    def _choose_among(self, found: tuple[list[Row], int], start: int, end: int) -> None:
        (rows, many), fire = found, "fired" if end <= self.now() else "fire"
        if not rows:
            self.lacks(f"no job {'fired' if fire == 'fired' else 'fires'} in this column")
            return
        at, most = self._herd.busiest(start, end)
        title = f"{many} jobs {fire} {looks.stretch(start, end, self.zone)}"
        if most > 1:
            title += f" · {most} of them at {looks.clock(at, self.zone)}"
        chosen = self._plot.cursor_key
        self.app.push_screen(PickDialog(title, looks.TOGETHER_COLUMNS, rows, chosen, "go to its row"), self._go_to_row)

    def _go_to_row(self, job: str | None) -> None:
        if job is None:
            return
        if job in self._plot.keys:
            self._plot.choose(list(self._plot.keys).index(job))
        else:
            self.tell("the filter hides it", "warn")

    # --- what is under the cursor ---

    def action_open_selected(self) -> None:
        """Enter: what is under the cursor."""
        self._plot.action_open()

    @on(RowList.Opened, "#wide")
    def _opened(self, event: RowList.Opened) -> None:
        job, (start, end) = event.key, self._column()
        live, now = self.state.live, self.now()
        running = [r.run_id for e in (live.engines if live else ()) for r in e.running
                   if r.job == job and r.started_ms < end and start <= now]  # fmt: skip
        if start > now:
            self._open_fire(job, start, end)
        elif running:
            self.shell.open("run", running[0])
        else:
            self.read_once(
                lambda ops: ops.timeline_runs(job, start, min(end, now)),
                lambda runs: self._open_runs(job, start, end, runs),
            )

    def _open_runs(self, job: str, start: int, end: int, runs: tuple[RunRow, ...]) -> None:
        ids = dict.fromkeys(run.run_id for run in runs)
        if len(ids) == 1:
            self.shell.open("run", next(iter(ids)))
        elif ids:
            now, zone = self.now(), self.zone
            rows = [look.run_row(run, look.moment(run.finished_at or run.started_at, now, zone)) for run in runs]
            title = f"{job} · {looks.stretch(start, end, zone)}"
            self.app.push_screen(PickDialog(title, look.RUN_COLUMNS, rows, rows[0].key, "open it"), self._open_run)
        else:
            self._open_fire(job, start, end)

    def _open_run(self, key: str | None) -> None:
        if key is not None:
            self.shell.open("run", key.rsplit("/", 1)[0])

    def _open_fire(self, job: str, start: int, end: int) -> None:
        lost = [f for f in self._past.lost if f.job == job and start <= f.planned_ms < end] if self._past else []
        coming = [at for at in self._instants([job], start, end).get(job, ()) if at > self.now()]
        if not lost and not coming:
            self.shell.open("job", job)
            return
        usual = self._past.usual_ms.get(job) if self._past else None
        lines = looks.fires_told(job, lost, coming, usual, self._herd.busiest, self.zone)
        self.app.push_screen(TextDialog(f"Fires of {job}", lines))
