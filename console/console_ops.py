"""What the console needs of `Ops`: what its screens are built on, and what tests stand in for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from backends.model import ActionResult, DeadGroup, DeadLetter, NewRuns, Page, QueueStatus, RunRow
from backends.overview import HistoryOverview, Overview

if TYPE_CHECKING:
    from backends.forecast import Forecast
    from backends.history.stats import JobFire, JobStats
    from backends.jobs.spec import JobSpec
    from backends.ops.audit import Action
    from backends.ops.kinds import Chosen, Operation, Tell, Why
    from backends.ops.letters import Selection
    from backends.ops.output import RunPage
    from backends.ops.queueing import QueueFlow
    from backends.ops.timeline import TimelinePast
    from backends.queues.peek import QueuedRun
    from backends.queues.where import LogPart, RunPlace


class ConsoleOps(Protocol):
    """What the console needs of `Ops`."""

    @property
    def context_name(self) -> str:
        """The name of the pair of servers."""

    @property
    def read_only(self) -> bool:
        """Whether every action is refused."""

    @property
    def warnings(self) -> Sequence[str]:
        """What actions were warned of so far."""

    async def answers(self) -> None:
        """Return as soon as Redis answers."""

    async def drop_connections(self) -> None:
        """Connect to both servers anew."""

    async def overview(self) -> Overview:
        """The live part."""

    async def history_overview(self) -> HistoryOverview:
        """The recorded part."""

    async def trigger(self, job: str, payload: dict[str, Any] | None = None) -> NewRuns:
        """Run a job now."""

    async def freeze(self, selection: Selection) -> Selection:
        """The selection as of now: what dies later is not in it."""

    async def dead_count(self, chosen: Chosen, progress: Tell | None = None) -> int:
        """How many dead letters are chosen."""

    async def dead_retry(
        self, chosen: Chosen, *, dry_run: bool = False, rate: float | None = None, hold_s: float = 5.0,
        progress: Tell | None = None,
    ) -> ActionResult:  # fmt: skip
        """Put dead letters back into their queues, the oldest first; they start after `hold_s`, `rate` a second."""

    async def dead_purge(self, chosen: Chosen, *, dry_run: bool = False, progress: Tell | None = None) -> ActionResult:
        """Take dead letters away; the receipt brings them back."""

    async def dead_replay(self, letter: DeadLetter, payload: dict[str, Any], *, hold_s: float = 5.0) -> NewRuns:
        """A new run with another payload in place of a dead letter; refused if the letter changed meanwhile."""

    async def replay(self, run_id: str, payload: dict[str, Any] | None = None) -> NewRuns:
        """Run any past run again, as it was or with another payload."""

    async def run_envelope(self, run_id: str) -> bytes | None:
        """The envelope of a dead letter or of a past run; None where it was not kept."""

    async def pause(self, target: str, note: str = "", for_s: float | None = None) -> ActionResult:
        """Pause ``job:NAME`` or ``queue:NAME``."""

    async def resume(self, target: str) -> ActionResult:
        """Resume ``job:NAME`` or ``queue:NAME``."""

    async def cancel(self, run_id: str) -> ActionResult:
        """End a run; the note says 'cancelled', 'asked' (its engine will end it) or 'unknown'."""

    async def bump(self, run_id: str) -> ActionResult:
        """A queued run goes to the front."""

    async def move(self, run_ids: Sequence[str], to_queue: str) -> ActionResult:
        """Queued runs go to another queue."""

    async def undo(self, receipt: str, progress: Tell | None = None) -> ActionResult:
        """Take an operation back."""

    async def operations(self, limit: int = 50, unfinished: bool = False) -> tuple[Operation, ...]:
        """What operators did lately and can be taken back, newest first; only those that are not finished."""

    async def resume_operation(self, receipt: str, progress: Tell | None = None) -> ActionResult:
        """Go on with an operation that was stopped, or was left by a crash."""

    async def stop_operation(self, receipt: str) -> ActionResult:
        """Have whoever drives an operation stop after its step."""

    async def why(self, run_id: str) -> Why:
        """Where a run is, and why it does not run."""

    async def dead_list(
        self, limit: int = 50, cursor: str | None = None, selection: Selection | None = None
    ) -> Page[DeadLetter]:
        """Dead letters with their envelopes, newest first."""

    async def dead_show(self, letter_id: str, /) -> DeadLetter:
        """One dead letter with its envelope."""

    async def runs(
        self, limit: int = 50, cursor: str | None = None, *, job: str | None = None, queue: str | None = None,
        outcomes: Sequence[str] = (), since: datetime | None = None, oldest: bool = False,
    ) -> Page[RunRow]:  # fmt: skip
        """Finished attempts, newest run first; `oldest`: the last page, and with its cursor those above it."""

    async def dead_heads(
        self, limit: int = 100, cursor: str | None = None, *, queue: str = "", group: str = "",
        groups: Sequence[tuple[str, str]] = (), oldest: bool = False,
    ) -> Page[DeadLetter]:  # fmt: skip
        """Dead letters without their envelopes, newest first; `oldest`: as in `runs`."""

    async def dead_group_page(self, limit: int = 200) -> Page[DeadGroup]:
        """Dead letters by error, the largest groups first."""

    async def run_page(self, run_id: str) -> RunPage:
        """A run: its attempts, and where it is now."""

    async def run_replays(self, run_id: str) -> tuple[RunRow, ...]:
        """The runs that are replays of this one, as far as they have ended, newest first."""

    async def run_place(self, run_id: str) -> RunPlace | None:
        """Where a run is now; None where it is in no queue."""

    async def run_output(self, run_id: str, attempt: int) -> str | None:
        """The tail of what an attempt printed."""

    async def run_log(self, queue: str, run_id: str, after: str = "", attempt: int | None = None) -> LogPart:
        """What a run has printed since `after`."""

    async def actions(self, limit: int = 100, cursor: str | None = None, *, oldest: bool = False) -> Page[Action]:
        """What operators did, newest first; `oldest`: as in `runs`."""

    async def queue_flows(self) -> Mapping[str, QueueFlow]:
        """By queue: what goes through it."""

    async def queue_runs(
        self, queue: str, state: str, limit: int = 100, cursor: str | None = None, *, last: bool = False
    ) -> Page[QueuedRun]:
        """What lies in a queue, next to go first; `state`: ready, running, later or waiting.

        `last`: those that go last, and with the cursor of such a page those above it.
        """

    async def queue_forecast(self, status: QueueStatus, live: Overview, flow: QueueFlow | None) -> Forecast:
        """The depth of a queue over the next hour."""

    async def job_stats(self, jobs: Sequence[str]) -> Mapping[str, JobStats]:
        """The newest attempts of some jobs in numbers."""

    async def job_fires(
        self, job: str, limit: int = 100, cursor: str | None = None, *, oldest: bool = False
    ) -> Page[JobFire]:
        """What became of a job's fires, newest first; `oldest`: as in `runs`."""

    async def job_spec(self, job: str) -> JobSpec | None:
        """What is published of a job."""

    async def timeline(
        self, jobs: Sequence[str], start_ms: int, end_ms: int, step_ms: int, witnesses: Sequence[str] = ()
    ) -> TimelinePast:
        """The past of these jobs in a stretch of time."""

    async def fired_minutes(self, start_ms: int, end_ms: int) -> Mapping[int, int]:
        """How many fires of all jobs became runs in each minute."""

    async def fired_jobs(self, start_ms: int, end_ms: int, limit: int) -> tuple[list[tuple[str, int, int]], int]:
        """(job, its first fire, how many) of those in a stretch of time; and of how many jobs."""

    async def timeline_runs(self, job: str, start_ms: int, end_ms: int, limit: int = 200) -> tuple[RunRow, ...]:
        """Attempts of a job that were at work in this stretch, newest run first."""


OpenOps: TypeAlias = Callable[[], AbstractAsyncContextManager[ConsoleOps]]
"""Connects to a context, and lets it go."""
