"""The overview: time line, queues, dead letters and latest runs on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import DescendantBlur
from textual.widget import Widget

from backends.model import DeadLetter, JobStatus, RunningRow, RunRow
from backends.ops.kinds import Marked
from console.records import Records, record
from console.screens import letter_acts
from console.screens import rows as look
from console.screens.dialog import AskDialog
from console.screens.filterable import FilterableScreen
from console.screens.layout import CSS, NARROW, heights
from console.screens.pages import with_kept
from console.screens.queues_pause import pause_or_resume
from widgets.rowlist import RowList
from widgets.safe import cell, cells
from widgets.table import Table
from widgets.timeline import Timeline

EMPTY = {"timeline": Timeline.EMPTY, "queues": "no queues yet", "dead": "nothing died", "runs": "nothing ran yet"}
"""What stands in a panel without rows, where no filter is the reason."""


class OverviewScreen(FilterableScreen):
    """Everything at a glance. A filter narrows each of the panels."""

    NAME = "overview"
    AUTO_FOCUS = "Timeline"
    DEFAULT_CSS = CSS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "trigger", "trigger"),
        Binding("r", "retry", "retry"),
        Binding("p", "pause", "pause/resume"),
        Binding("enter", "open_selected", "open", show=True),
        Binding("tab", "app.focus_next", "panel"),
        Binding("plus,equals_sign", "zoom(-1)", "time line: finer", show=False, id="zoom_in"),
        Binding("minus", "zoom(1)", "time line: coarser", show=False, id="zoom_out"),
        Binding("0", "zoom(0)", "time line: fit", show=False, id="zoom_fit"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._states: dict[tuple[str, int], str] = {}
        """(run id, sequence) → what became of a letter that stays until the cursor moves on, so that no other one is
        under it. Died again, the same run is another letter."""
        self._letters: tuple[DeadLetter, ...] = ()
        self._lanes_of: object = None
        self._bars_of: object = None
        self._runs_of: object = None
        self._titles: dict[Widget, str] = {}

    def body(self) -> ComposeResult:
        """Top to bottom."""
        timeline = Timeline(zone=self.zone, id="timeline")
        timeline.add_class("panel")
        yield timeline
        with Horizontal(id="middle"):
            yield Table(*look.QUEUE_COLUMNS, empty=EMPTY["queues"], id="queues", classes="panel")
            yield Table(*look.DEAD_COLUMNS, empty=EMPTY["dead"], id="dead", classes="panel")
        yield Table(*look.RUN_COLUMNS, empty=EMPTY["runs"], id="runs", classes="panel")
        yield from self.filter_line()

    def on_mount(self) -> None:
        """Titles and focus."""
        super().on_mount()
        self._timeline = self.query_one(Timeline)
        self._queues, self._dead = self.query_one("#queues", Table), self.query_one("#dead", Table)
        self._runs = self.query_one("#runs", Table)
        self._title(self._timeline, "Time line")
        self._title(self._queues, "Queues")
        self._title(self._dead, "Dead letters")
        self._title(self._runs, "Latest runs")
        self.show_time()

    def on_resize(self) -> None:
        """Panels share the height; in a small terminal some have no room."""
        super().on_resize()
        self.set_class(self.size.width < NARROW, "-narrow")
        self._lay_out()

    @property
    def _frame(self) -> int:
        """Lines of a panel's frame."""
        return 1 if self.has_class("-short") else 2

    def _in_sight(self, jobs: int) -> int:
        """How many of so many jobs the time line shows, once it has the height it gets."""
        timeline, _ = heights(self.size.height, jobs, self._frame)
        return min(jobs, max(1, timeline - self._frame - self._timeline.HEAD))

    def _jobs(self) -> tuple[JobStatus, ...]:
        live = self.state.live
        return tuple([j for j in live.jobs if self.filter.matches(j.name)]) if live else ()

    def _lay_out(self) -> None:
        jobs = len(self._jobs()) if self.state.live else 3
        timeline, middle = heights(self.size.height, jobs, self._frame)
        for selector, height in (("#timeline", timeline), ("#middle", middle)):
            widget = self.query_one(selector)
            if widget.styles.height is None or widget.styles.height.value != height:
                widget.styles.height = height

    def _title(self, widget: Widget, text: str) -> None:
        if self._titles.get(widget) != text:
            self._titles[widget] = text
            widget.border_title = Content(text)

    def remembered(self) -> dict[str, str | int | float | bool]:
        """The filter, and the scale of the time line, where it is not the one that fits."""
        step = self._timeline.chosen_step_ms
        return {**super().remembered(), **({} if step is None else {"step_ms": step})}

    def recall(self, kept: Mapping[str, object]) -> None:
        """As it was the last time."""
        if isinstance(step := kept.get("step_ms"), int):
            self._timeline.zoom_to(step)
        super().recall(kept)

    # --- what is shown ---

    def show_time(self) -> None:
        """The window of the time line."""
        self._timeline.set_now(self.now())

    def show_live(self) -> None:
        """Queues, dead letters, and what is planned and running."""
        live = self.state.live
        if live is None:
            return
        now = self.now()
        self._lay_out()
        self._letters = tuple(with_kept(list(live.dead), self._letters, self._is_kept, lambda d: d.id))
        matches = self.filter.matches
        queues = [q for q in live.queues if matches(q.name)]
        letters = [d for d in self._letters if matches(d.job, d.queue, d.error, d.error_class)]
        self._queues.set_rows(look.queue_rows(queues, dict(self.state.depths)))
        self._dead.set_rows(look.dead_rows(letters, now, self._states))
        self._title(self._queues, "Queues" + self._of(len(queues), len(live.queues)))
        newest, total = len(live.dead), live.dead_total
        more = f" · newest {newest} of {look.count(total)}" if total > newest else f" · {total}" if total else ""
        some = f" · {len(letters)} of the newest {newest}" if self.filter and newest else more
        self._title(self._dead, "Dead letters" + some)
        jobs = len(self._jobs())
        in_sight = self._in_sight(jobs)
        some = f" · {in_sight} of {jobs} jobs, trouble first" if in_sight < jobs else self._of(jobs, len(live.jobs))
        self._title(self._timeline, f"Time line{some}")
        self._timeline.set_plan(live.schedules, look.counter(live.schedules))
        self._timeline.set_running(look.running_bars(live.engines))
        self._show_lanes()
        self._show_runs()

    def _of(self, shown: int, there: int) -> str:
        """How many of a panel's rows the filter leaves."""
        return f" · {shown} of {there}" if self.filter and there else ""

    def filter_changed(self) -> None:
        """Other rows in every panel."""
        for panel, empty in EMPTY.items():
            self.query_one(f"#{panel}", RowList).show_empty("nothing matches" if self.filter else empty)
        self._lanes_of = self._runs_of = None
        self.show_live()

    def show_history(self) -> None:
        """Past runs."""
        history = self.state.history
        if history is not None and history.timeline != self._bars_of:
            self._bars_of = history.timeline
            bars, now = look.bars(history.timeline), self.now()
            oldest = min((bar.start_ms for group in bars.values() for bar in group), default=now)
            self._timeline.set_bars(bars, min(now - oldest, 3_600_000))
        self._show_runs()
        self._show_lanes()

    def _show_lanes(self) -> None:
        live, history, now = self.state.live, self.state.history, self.now()
        if live is None:
            return
        running = frozenset(run.job for engine in live.engines for run in engine.running)
        last = history.last_runs if history else {}
        # what is left of the lines changes with these and with the minute; many jobs are not made twice a second
        jobs = self._jobs()
        fit = self._in_sight(len(jobs)) == len(jobs)
        seen = (jobs, last, running, now // 60_000, fit)
        if seen != self._lanes_of:
            self._lanes_of = seen
            by_trouble = sorted(jobs, key=lambda job: look.trouble(job, last.get(job.name) or job.last_run))
            self._timeline.set_lanes(look.lanes(jobs if fit else by_trouble, last, running, now, self.zone))
        self._timeline.set_now(now)

    def _show_runs(self) -> None:
        live, history = self.state.live, self.state.history
        engines, runs = live.engines if live else (), history.runs if history else ()
        running, now = [(engine.id, engine.running) for engine in engines], self.now()
        if (seen := (runs, running, now // 500)) != self._runs_of:  # durations are in seconds
            self._runs_of = seen
            fits = [r for r in runs if self._fits(r, r.worker or "", r.error or "")]
            held = [replace(e, running=tuple([r for r in e.running if self._fits(r, e.id)])) for e in engines]
            rows = look.run_rows(fits, held, now, self.zone)
            self._runs.set_rows(rows)
            self._title(self._runs, "Latest runs" + (f" · {len(rows)} match" if self.filter else ""))

    def _fits(self, run: RunRow | RunningRow, *more: str) -> bool:
        return self.filter.matches(run.job, run.queue, run.run_id, *more)

    def records(self, rows: RowList) -> Records | None:
        """Of each panel; dead letters and runs are the newest only."""
        live, history = self.state.live, self.state.history
        if rows is self._queues and live:
            return Records({q.name: record(q, self.zone) for q in live.queues})
        if rows is self._dead and live:
            more = f"the newest of {live.dead_total:,}, :dead has all" if live.dead_total > len(live.dead) else ""
            return Records({d.id: record(d, self.zone) for d in self._letters}, more)
        if rows is self._runs:
            ended = {f"{r.run_id}/{r.attempt}": record(r, self.zone) for r in (history.runs if history else ())}
            return Records(look.running_records(live.engines if live else (), self.zone) | ended, ":runs has all")
        return None

    # --- keys ---

    def job_in_hand(self) -> str | None:
        """The job the operator is looking at."""
        focused, live, history = self.focused, self.state.live, self.state.history
        if focused is self._dead and (key := self._dead.cursor_key) and live:
            return next((d.job for d in live.dead if d.id == key), None)
        if focused is self._runs and (key := self._runs.cursor_key) and history:
            return next((r.job for r in history.runs if f"{r.run_id}/{r.attempt}" == key), None)
        return self._timeline.cursor_key

    def rows_meant(self, action: str) -> RowList | None:
        """A letter is retried from every panel; a job is that of a row, or of the time line."""
        if action == "retry":
            return self._dead
        if action == "trigger" and self.focused not in (self._dead, self._runs):
            return self._timeline
        return super().rows_meant(action)

    def action_trigger(self) -> None:
        """Ask which job to run; the one in hand is chosen already."""
        self.ask_trigger(self.job_in_hand())

    def action_retry(self) -> None:
        """Retry the chosen dead letter; from another panel, ask first."""
        if not self.may_act():
            return
        live, key = self.state.live, self._dead.cursor_key
        letter = next((d for d in self._letters if d.id == key), None) if live else None
        if letter is None:
            self.lacks("no dead letter to retry")
        elif self.focused is self._dead:
            self._retry(letter)
        else:
            lines = [
                cells(cell("job    ", "dim"), cell(letter.job, "strong")),
                cells(cell("died   ", "dim"), cell(look.moment(letter.failed_at, self.now(), self.zone))),
                cells(cell("error  ", "dim"), cell(letter.error[:160], "bad")),
            ]
            self.app.push_screen(
                AskDialog("Retry this dead letter?", lines, "retry it"),
                lambda yes: self._retry(letter) if yes else None,
            )

    def _retry(self, letter: DeadLetter) -> None:
        death = letter.id, letter.sequence
        if death in self._states:
            letter_acts.tell_already(self, letter_acts.RETRY.verb, self._states[death])
            return

        def became(state: str) -> None:
            if state:
                self._states[death] = state
            else:
                self._states.pop(death, None)
            self.show_live()

        chosen = Marked(((letter.queue, letter.id, letter.sequence),))
        letter_acts.one(self, letter_acts.RETRY, chosen, letter.job, became, {letter.id: letter.attempts})

    def _is_kept(self, letter: DeadLetter) -> bool:
        return (letter.id, letter.sequence) in self._states

    def undone(self) -> None:
        """Letters may be back."""
        self._states.clear()
        self.show_live()

    def action_pause(self) -> None:
        """Pause what is chosen (asks for a note), or resume it: a queue in the queues panel, a job of the time line."""
        live = self.state.live
        if live is None:
            self.lacks("")
        elif self.focused is self._queues:
            queue = next((q for q in live.queues if q.name == self._queues.cursor_key), None)
            if queue is not None:
                pause_or_resume(self, f"queue:{queue.name}", queue.paused)
        elif self.focused is self._timeline:
            job = next((j for j in live.jobs if j.name == self._timeline.cursor_key), None)
            if job is not None:
                pause_or_resume(self, f"job:{job.name}", job.paused)
        else:
            self.tell(f"{self.key('pause')} pauses a job of the time line or a queue: choose one (Tab)", "warn")

    def action_zoom(self, by: int) -> None:
        """The scale of the time line; 0 fits it to the data."""
        if by:
            self._timeline.zoom(by)
        else:
            self._timeline.zoom_to_fit()

    def action_open_selected(self) -> None:
        """Enter: the list in focus opens its row by itself."""
        if isinstance(self.focused, RowList):
            self.focused.action_open()

    @on(DescendantBlur)
    def _left(self, event: DescendantBlur) -> None:
        if event.widget is self._dead:
            self._moved_on()

    @on(RowList.Moved, "#dead")
    def _moved_on(self) -> None:
        if done := [key for key, state in self._states.items() if not state.endswith("ing")]:
            for key in done:
                del self._states[key]
            self.show_live()

    @on(RowList.Opened)
    def _opened(self, event: RowList.Opened) -> None:
        if event.control is self._timeline:
            self.shell.open("job", event.key)
        elif event.control is self._queues:
            self.shell.open("queue", event.key)
        elif event.control is self._dead:
            self.shell.open("letter", event.key)
        else:
            self.shell.open("run", event.key.rsplit("/", 1)[0])
