"""Jobs: when each fires next, how its newest runs went, how long they take; trigger, pause, and Enter for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, get_args

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from backends.history.stats import JobStats
from backends.jobs.spec import JobKind
from backends.model import JobStatus, LastRun, Outcome
from console.records import Records, record
from console.screens import jobs_looks as look
from console.screens.filterable import FilterableScreen
from console.screens.filters import Filter, check_meant, meant
from console.screens.job_form import trigger_with_payload
from console.screens.queues_pause import pause_or_resume
from console.screens.rows import FINE, trouble
from widgets.rowlist import RowList
from widgets.safe import cell, cells
from widgets.statusline import StatusLine
from widgets.table import Row, Table

ASKED_MOST = 120
SORTS = ("name", "trouble", "next fire")
MINUTE = 60_000
KINDS = get_args(JobKind)
NEVER = "never"
STATES = ("paused", "running", *Outcome, NEVER)


class JobsScreen(FilterableScreen):
    """One line a job. The numbers of the jobs in sight are read, and again where one has run since."""

    NAME = "jobs"
    AUTO_FOCUS = "#jobs"
    FIELDS = ("queue", "kind", "is")
    DEFAULT_CSS = """
    JobsScreen { & #jobs { height: 1fr; } & #state, & #numbers { background: $panel; } }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_selected", "open"),
        Binding("t", "trigger", "trigger"),
        Binding("T", "trigger_with", "with payload", key_display="T"),
        Binding("p", "pause", "pause/resume"),
        Binding("s", "sort", "sort"),
        Binding("c", "lab", "cron lab", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.sort = SORTS[0]
        self._stats: dict[str, tuple[str, JobStats | None]] = {}
        self._asking = False
        self._rows: dict[str, tuple[object, Row]] = {}
        self._seen: object = None
        self._jobs: dict[str, JobStatus] = {}
        self._title = ""

    def body(self) -> ComposeResult:
        """The list, what is told of the chosen one, the line to filter it."""
        yield Table(*look.JOB_COLUMNS, empty="no jobs yet: `cronsole engine -j jobs.toml` publishes them", id="jobs",
                    classes="panel")  # fmt: skip
        yield StatusLine(id="state")
        yield StatusLine(id="numbers")
        yield from self.filter_line()

    def on_mount(self) -> None:
        """The list."""
        super().on_mount()
        self._list = self.query_one("#jobs", Table)
        self._list.border_title = Content("Jobs")

    # --- what is shown ---

    def show_live(self) -> None:
        """The rows, where something of them is new."""
        live, history = self.state.live, self.state.history
        if live is None:
            return
        last: Mapping[str, LastRun] = history.last_runs if history else {}
        running = frozenset(run.job for engine in live.engines for run in engine.running)
        seen = (live.jobs, last, running, self.now() // MINUTE, self.filter, self.sort)
        if self._seen is None or seen != self._seen:
            self._seen = seen
            self._make_rows(live.jobs, last, running)
            self.show_time()
        self._want()

    def show_history(self) -> None:
        """Something ended."""
        self.show_live()

    def _make_rows(self, jobs: Sequence[JobStatus], last: Mapping[str, LastRun], running: frozenset[str]) -> None:
        self._jobs = {job.name: job for job in jobs}
        chosen = [job for job in jobs if self._fits(job, last.get(job.name), job.name in running)]
        if self.sort == "trouble":
            chosen.sort(key=lambda job: trouble(job, last.get(job.name)))
        elif self.sort == "next fire":
            chosen.sort(
                key=lambda job: (job.next_fire is None, job.next_fire.timestamp() if job.next_fire else 0.0, job.name)
            )
        rows: dict[str, tuple[object, Row]] = {}
        now = self.now()
        minute = now // MINUTE
        for job in chosen:
            newest = last.get(job.name) or job.last_run
            stats = self._stats.get(job.name, ("", None))[1]
            runs = job.name in running
            version = (job, newest, stats, runs, minute)
            known = self._rows.get(job.name)
            same = known is not None and known[0] == version
            made = known if known and same else (version, look.job_row(job, newest, stats, runs, now, self.zone))
            rows[job.name] = made
        self._rows = rows
        self._list.set_rows(tuple([row for _, row in rows.values()]))
        self._tell_title(len(chosen), jobs, last)

    def _fits(self, job: JobStatus, last: LastRun | None, running: bool) -> bool:
        chosen = self.filter
        if not chosen:
            return True
        asked = chosen.get("queue")
        if asked and asked.casefold() not in job.queue.casefold():
            return False
        states = {"paused" if job.held else "", "running" if running else "", last.outcome if last else NEVER}
        for name, known, has in (("kind", KINDS, {job.kind}), ("is", STATES, states)):
            asked = chosen.get(name)
            if asked and not has & set(meant(asked, known)):
                return False
        return chosen.matches(job.name, job.description, job.schedule or "on call")

    def check_filter(self, found: Filter) -> None:
        """What is asked for by name must be there to be asked for."""
        check_meant(found.get("kind"), KINDS, "no job is of the kind")
        check_meant(found.get("is"), STATES, "no job is")

    def _tell_title(self, shown: int, jobs: Sequence[JobStatus], last: Mapping[str, LastRun]) -> None:
        wrong = sum(run.outcome not in FINE for job in jobs if (run := last.get(job.name)))
        paused = sum(job.held is not None for job in jobs)
        parts = [f"Jobs · {shown}" + (f" of {len(jobs)}" if shown < len(jobs) else "")]
        parts += [f"{wrong} went wrong last"] if wrong else []
        parts += [f"{paused} paused"] if paused else []
        parts += [f"by {self.sort}"] if self.sort != SORTS[0] else []
        parts += [f"/{self.filter.text}"] if self.filter else []
        title = " · ".join(parts)
        if title != self._title:
            self._title = title
            self._list.border_title = Content(title)
        self._list.show_empty(
            "no job matches" if self.filter and jobs else "no jobs yet: `cronsole engine -j jobs.toml` publishes them"
        )

    # --- the numbers of what is in sight ---

    def _want(self) -> None:
        """Ask for the numbers of the jobs in sight that are not known, or have run since."""
        history = self.state.history
        if history is None or self._asking:
            return
        top, last = self._list.top, history.last_runs
        wanted: dict[str, str] = {}
        for row in self._list.rows[top : top + min(self._list.page_rows + 5, ASKED_MOST)]:
            run = last.get(row.key)
            run_id = run.run_id + run.outcome if run else ""
            known = self._stats.get(row.key)
            if known is None or known[0] != run_id:
                wanted[row.key] = run_id
        if not wanted:
            return
        self._asking = True

        def ended() -> None:
            self._asking = False

        def show(found: Mapping[str, JobStats]) -> None:
            for job, run_id in wanted.items():
                self._stats[job] = (run_id, found.get(job))
            self._seen = None
            self.show_live()

        self.read_once(lambda ops: ops.job_stats(tuple(wanted)), show, ended)

    # --- more of the chosen one ---

    def records(self, rows: RowList) -> Records | None:
        """Of each job, with its newest run and the numbers of the newest attempts."""
        history, zone = self.state.history, self.zone
        last = history.last_runs if history else {}
        return Records({
            job.name: record(replace(job, last_run=last.get(job.name) or job.last_run), zone)
            | record(self._stats.get(job.name, ("", None))[1] or JobStats(), zone)
            for job in self._jobs.values()
        })  # fmt: skip

    def job_in_hand(self) -> str | None:
        """Under the cursor."""
        return self._list.cursor_key

    def chosen(self) -> JobStatus | None:
        """The job under the cursor."""
        return self._jobs.get(self._list.cursor_key or "")

    def show_time(self) -> None:
        """How the chosen one is."""
        job, live, history = self.chosen(), self.state.live, self.state.history
        state, numbers = self.query_one("#state", StatusLine), self.query_one("#numbers", StatusLine)
        if job is None or live is None:
            state.show(())
            numbers.show(())
            return
        last = (history.last_runs.get(job.name) if history else None) or job.last_run
        running = any(run.job == job.name for engine in live.engines for run in engine.running)
        told = look.job_state(job, last, running, self.now(), self.zone)
        state.show(cells(cell(f" {job.name}  ", "strong"), told))
        read = self._stats.get(job.name)
        numbers.show(cells(" ", look.stats_line(read[1])) if read else cell(" …", "dim"))

    @on(RowList.Moved, "#jobs")
    def _moved(self) -> None:
        self.show_time()
        self._want()

    def filter_changed(self) -> None:
        """Other rows."""
        self.show_live()

    # --- keys ---

    def action_sort(self) -> None:
        """The next order."""
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self.show_live()

    def action_trigger(self) -> None:
        """Ask, then run it now."""
        job = self.chosen()
        self.ask_trigger(job.name if job else None)

    def action_trigger_with(self) -> None:
        """Run it now with a payload."""
        job = self.chosen()
        if job is None:
            self.lacks("no job to trigger")
        else:
            trigger_with_payload(self, job.name)

    def action_pause(self) -> None:
        """Pause it with a note, or let it go on."""
        job = self.chosen()
        if job is None:
            self.lacks("no job to pause")
        else:
            pause_or_resume(self, f"job:{job.name}", job.paused)

    def action_lab(self) -> None:
        """Its schedule in the cron lab."""
        job = self.chosen()
        if job is None or job.schedule is None:
            self.lacks("it has no schedule to look at")
        else:
            self.shell.open("lab", job.name)

    def action_open_selected(self) -> None:
        """Enter: the page of the chosen job."""
        self._list.action_open()

    @on(RowList.Opened, "#jobs")
    def _opened(self, event: RowList.Opened) -> None:
        self.shell.open("job", event.key)
