"""One job: what it is, when it fires and what may surprise about that, its runs, and what became of each fire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content

from backends.history.stats import JobFire, JobStats
from backends.jobs.spec import JobSpec
from backends.model import JobStatus, LastRun, Page, RunRow
from backends.schedule import ScheduleError
from backends.schedule.hints import hints
from backends.schedule.preview import fires_from
from console.console_ops import ConsoleOps
from console.screens import jobs_looks as look
from console.screens.base import ConsoleScreen
from console.screens.help import PanelKeys
from console.screens.job_form import trigger_with_payload
from console.screens.pager import Pager
from console.screens.pages import Back
from console.screens.queues_pause import pause_or_resume
from console.screens.rows import count
from console.screens.runs import run_key
from widgets.prose import Prose
from widgets.rowlist import RowList
from widgets.safe import Cell, cell, cells
from widgets.statusline import StatusLine
from widgets.table import Row, Table
from widgets.textpane import TextPane

PAGE = 100
NEXT = 5
WIDE = 120
READ_S = 3.0


@dataclass(frozen=True, slots=True)
class _Known:
    """What is read again and again."""

    job: str
    spec: JobSpec | None
    stats: JobStats | None


class JobScreen(ConsoleScreen):
    """Opened for a job's name. What it is stands left of its runs and fires, in a narrow terminal above them."""

    NAME = "job"
    AUTO_FOCUS = "#runs"
    DEFAULT_CSS = """
    JobScreen {
        & #state, & #numbers { background: $panel; }
        & #both { height: 1fr; layout: vertical; }
        & #about { height: 35%; padding: 0 1; }
        & #lists { height: 1fr; }
        & #runs { height: 3fr; }
        & #fires { height: 2fr; }
        &.-wide #both { layout: horizontal; }
        &.-wide #about { width: 2fr; height: 1fr; }
        &.-wide #lists { width: 3fr; height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_selected", "open run"),
        Binding("t", "trigger", "trigger"),
        Binding("p", "pause", "pause/resume"),
        Binding("c", "lab", "cron lab"),
        Binding("o", "queue", "its queue"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._known: _Known | None = None
        self._about_of: object = None
        self._newest: object = None
        self._titles: dict[str, str] = {}

    def body(self) -> ComposeResult:
        """Two lines of facts, what it is, its runs, its fires."""
        yield StatusLine(id="state")
        yield StatusLine(id="numbers")
        with Container(id="both"):
            about = Prose(id="about")
            about.add_class("panel")
            yield about
            with Vertical(id="lists"):
                yield Table(*look.JOB_RUN_COLUMNS, empty="no run is recorded", id="runs", classes="panel")
                yield Table(*look.FIRE_COLUMNS, empty="no fire is recorded", id="fires", classes="panel")

    def on_mount(self) -> None:
        """The lists."""
        super().on_mount()
        self._about = self.query_one("#about", Prose)
        self._about.border_title = Content("Job")
        self._runs, self._fires = self.query_one("#runs", Table), self.query_one("#fires", Table)
        self._run_pager: Pager[RunRow] = Pager(
            self, self._runs, self._ask_runs, lambda _: True, run_key, self._run_row,
            lambda: self._told("runs", "Runs", self._run_pager),
            back=Back(self._ask_runs_back, lambda run: run.cursor),
        )  # fmt: skip
        self._fire_pager: Pager[JobFire] = Pager(
            self, self._fires, self._ask_fires, lambda _: True, lambda fire: fire.planned_at.isoformat(),
            self._fire_row, lambda: self._told("fires", "Fires", self._fire_pager),
            back=Back(self._ask_fires_back, lambda fire: fire.cursor),
        )  # fmt: skip
        self.keep_reading(self._read, self._take, READ_S)

    def on_resize(self) -> None:
        """Side by side where there is room."""
        self.set_class(not self.brief, "-wide")
        self.show_live()

    @property
    def brief(self) -> bool:
        """Whether there is no room for two columns."""
        return self.size.width < WIDE

    # --- reading ---

    def job_in_hand(self) -> str | None:
        """It."""
        return self.subject

    def panel_keys(self) -> PanelKeys:
        """Those of the text."""
        return (("In the text", TextPane.BINDINGS),)

    def show_subject(self, subject: str | None) -> None:
        """Another job."""
        self._known, self._about_of, self._newest = None, None, None
        if not subject:
            self._about.show([cell("no job is chosen", "dim")])
        self._run_pager.restart()
        self._fire_pager.restart()
        self.show_live()
        if subject:
            self.read_once(self._read, self._take)

    async def _ask_runs(self, ops: ConsoleOps, cursor: str | None) -> Page[RunRow]:
        return await ops.runs(PAGE, cursor, job=self.subject) if self.subject else Page(())

    async def _ask_runs_back(self, ops: ConsoleOps, cursor: str | None) -> Page[RunRow]:
        return await ops.runs(PAGE, cursor, job=self.subject, oldest=True) if self.subject else Page(())

    async def _ask_fires(self, ops: ConsoleOps, cursor: str | None) -> Page[JobFire]:
        return await ops.job_fires(self.subject, PAGE, cursor) if self.subject else Page(())

    async def _ask_fires_back(self, ops: ConsoleOps, cursor: str | None) -> Page[JobFire]:
        return await ops.job_fires(self.subject, PAGE, cursor, oldest=True) if self.subject else Page(())

    async def _read(self, ops: ConsoleOps) -> _Known | None:
        job = self.subject
        if job is None:
            return None
        known = self._known if self._known and self._known.job == job else None
        spec = await ops.job_spec(job)
        if known and self._newest == self._last():
            return _Known(job, spec, known.stats)
        stats = (await ops.job_stats((job,))).get(job)
        return _Known(job, spec, stats)

    def _take(self, known: _Known | None) -> None:
        if known is not None and known.job == self.subject:
            self._known = known
            self.show_live()

    def status(self) -> JobStatus | None:
        """The job, as it was last seen."""
        live = self.state.live
        return next((j for j in live.jobs if j.name == self.subject), None) if live else None

    def _last(self) -> LastRun | None:
        job, history = self.status(), self.state.history
        return (history.last_runs.get(self.subject or "") if history else None) or (job.last_run if job else None)

    # --- what is shown ---

    def show_live(self) -> None:
        """Facts, and what it is."""
        job = self.status()
        self._facts()
        if job is None:
            if self.subject:
                gone = cell("there is no such job: it is not published any more", "warn")
                self._about.show([gone if self.state.live else cell(self.unread, "dim")])
                self._about_of = None
            return
        spec = self._known.spec if self._known else None
        usual = self._known.stats.p50_ms if self._known and self._known.stats else None
        unread = "" if self._known else self.unread
        seen = (job.name, job.schedule, job.timezone, job.next_fire, job.description, unread, spec, usual, self.brief)
        if seen != self._about_of:
            self._about_of = seen
            self._about.show(look.about_lines(job, spec, self._when(job, usual), brief=self.brief, unread=unread))

    def _when(self, job: JobStatus, usual_ms: float | None) -> list[Cell]:
        live = self.state.live
        schedule = live.schedules.get(job.name) if live else None
        if schedule is None:
            return look.schedule_lines(job, None, (), (), self.zone, brief=self.brief)
        now = datetime.fromtimestamp(self.now() / 1000, UTC)
        fires = fires_from(schedule, now, NEXT)
        try:
            found = hints(schedule, now, usual_ms=usual_ms)
        except ScheduleError:
            found = ()
        return look.schedule_lines(job, schedule, found, fires, self.zone, brief=self.brief)

    def show_unread(self) -> None:
        """Of what it is."""
        self.show_live()

    def show_history(self) -> None:
        """Something ended: was it this job?"""
        last = self._last()
        self._run_pager.refresh()
        if last != self._newest or self._known is None:
            self._newest = last
            self._fire_pager.refresh()
            if self.subject:
                self.read_once(self._read_anew, self._take)
        self._facts()

    async def _read_anew(self, ops: ConsoleOps) -> _Known | None:
        self._known = None if self._known is None else _Known("", self._known.spec, self._known.stats)
        return await self._read(ops)

    def show_time(self) -> None:
        """How long until it fires."""
        self._facts()

    def _facts(self) -> None:
        state, numbers, job = (
            self.query_one("#state", StatusLine),
            self.query_one("#numbers", StatusLine),
            self.status(),
        )
        name = cell(f" {self.subject or 'no job is chosen'}  ", "strong")
        live = self.state.live
        if job is None or live is None:
            state.show(name)
            numbers.show(())
            return
        running = any(run.job == job.name for engine in live.engines for run in engine.running)
        state.show(cells(name, look.job_state(job, self._last(), running, self.now(), self.zone)))
        known = self._known
        numbers.show(cells(" ", look.stats_line(known.stats, drawn=True)) if known else cell(f" {self.unread}", "dim"))

    def _run_row(self, run: RunRow) -> Row:
        return look.run_of_job(run, look.when_ended(run, self.now(), self.zone))

    def _fire_row(self, fire: JobFire) -> Row:
        return look.fire_row(fire, self.now(), self.zone)

    def _told(self, name: str, title: str, pager: Pager[RunRow] | Pager[JobFire]) -> None:
        read = count(pager.first + len(pager.items))
        if pager.from_end:
            read = f"the oldest {read}, newer above" if pager.at_end else f"{read} read, newer above, older below"
        elif not pager.at_end and pager.items:
            read += " read, older below"
        text = f"{title} · {read}" if pager.known else title
        if self._titles.get(name) != text:
            self._titles[name] = text
            self.query_one(f"#{name}", Table).border_title = Content(text)

    # --- lists ---

    @on(RowList.Moved)
    def _moved(self, event: RowList.Moved) -> None:
        (self._run_pager if event.rows is self._runs else self._fire_pager).moved(event.rows.cursor_index)

    @on(RowList.Edge)
    def _edge(self, event: RowList.Edge) -> None:
        (self._run_pager if event.rows is self._runs else self._fire_pager).edge(event.side)

    def action_open_selected(self) -> None:
        """Enter: the chosen run, or the run of the chosen fire."""
        if isinstance(self.focused, RowList):
            self.focused.action_open()

    @on(RowList.Opened)
    def _opened(self, event: RowList.Opened) -> None:
        if event.rows is self._runs:
            self.shell.open("run", event.key.rpartition("/")[0])
            return
        fire = self._fire_pager.item(event.key)
        if fire is not None and fire.run_id:
            self.shell.open("run", fire.run_id)
        else:
            self.tell("this fire became no run", "warn")

    # --- keys ---

    def rows_meant(self, action: str) -> RowList | None:
        """Not where the job is meant."""
        return None if action in ("trigger", "pause") else super().rows_meant(action)

    def action_trigger(self) -> None:
        """Run it now, with a payload."""
        if self.status() is None:
            self.lacks("no job to trigger")
        elif self.subject:
            trigger_with_payload(self, self.subject)

    def action_pause(self) -> None:
        """Pause it with a note, or let it go on."""
        job = self.status()
        if job is None:
            self.lacks("no job to pause")
        else:
            pause_or_resume(self, f"job:{job.name}", job.paused)

    def action_lab(self) -> None:
        """Its schedule in the cron lab."""
        job = self.status()
        if job is None or job.schedule is None:
            self.lacks("it has no schedule to look at")
        else:
            self.shell.open("lab", job.name)

    def action_queue(self) -> None:
        """The page of its queue."""
        job = self.status()
        if job is None:
            self.lacks("no job is chosen")
        else:
            self.shell.open("queue", job.queue)
