"""What screens do to the servers: reads and actions in the background, and the actions that several keys share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, TypeVar

from textual import work
from textual.screen import Screen
from textual.worker import get_current_worker

from backends.errors import BadInputError, CronsoleError
from backends.model import ActionResult, NewRuns
from backends.ops.kinds import Progress, Tell
from console.acts import Act, Driving
from console.console_ops import ConsoleOps
from console.feed import Feed, one_line
from console.screens.acts_looks import SILENT_MS, taken_back
from console.screens.dialog import ComesDialog, PickDialog
from console.screens.header import is_late
from console.state import ConsoleState
from widgets.rowlist import RowList
from widgets.safe import cell, cells
from widgets.table import Column, Row

if TYPE_CHECKING:
    from console.app import ConsoleApp

T = TypeVar("T")
ACT_S = 15.0
"""So long an action may take that tells nothing meanwhile."""
KEYS_WAIT_S = 0.5
"""So long keys wait for the answer to an act: they may mean what it has changed."""
WAITS_S = 1.0
"""So long it may take until it is told that it waits."""
PICK_JOB = (Column("job", 12, 2), Column("schedule", 12, 1, drop=2), Column("what for", 10, 3, drop=1))


class ActingScreen(Screen[None]):
    """A screen that reads and acts. What goes wrong is told, never raised."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()
        """Set when a server answers again, or no longer: what is read again and again is read at once."""

    @property
    def shell(self) -> ConsoleApp:
        """The app."""
        app: ConsoleApp = self.app  # type: ignore[assignment]
        return app

    @property
    def state(self) -> ConsoleState:
        """What is known."""
        return self.shell.state

    @property
    def feed(self) -> Feed:
        """Where reads and actions go."""
        return self.shell.feed

    @property
    def zone(self) -> tzinfo | None:
        """The zone times are shown in."""
        return self.shell.preferences.zone

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return self.shell.clock()

    def tell(self, text: str, tone: str = "ok", seconds: float = 0.0, *, until_key: bool = False) -> None:
        """A notice for the operator; `until_key`: it stays until a key is pressed."""
        raise NotImplementedError

    def key(self, action: str) -> str:
        """The key of an action, as it is printed on a keyboard."""
        raise NotImplementedError

    def may_act(self) -> bool:
        """Whether this context takes actions; told where it does not."""
        if self.state.read_only:
            self.tell("✗ this context is read-only", "bad")
        return not self.state.read_only

    def show_acts(self) -> None:
        """Show how far the operation under way is, or what can be taken back."""
        raise NotImplementedError

    @property
    def unread(self) -> str:
        """What stands where nothing could be read yet: that it is read, or who does not answer."""
        down = [link.name for link in self.state.links.values() if link.state == "down"]
        return f"can't be read: no answer from {' and '.join(down)}" if down else RowList.UNREAD

    def lacks(self, words: str, read: bool | None = None) -> None:
        """That nothing is there that the key could mean; where nobody knows, because nothing could be read, that.

        `read`: whether the list in question was; left out, whatever comes from Redis.
        """
        known = self.state.live is not None if read is None else read
        why = self.unread.partition(": ")[2]
        self.tell(words if known else f"nothing can be read: {why}" if why else "nothing is read yet", "warn")

    # --- in the background ---

    def _tell_waiting(self) -> None:
        late = [name for name, link in self.state.links.items() if is_late(link, self.now())]
        self.shell.front().tell(f"waiting for {' and '.join(late) or 'an answer'} …", "warn", ACT_S)

    def _redis_is_late(self) -> bool:
        redis = self.state.links.get("redis")
        return redis is not None and is_late(redis, self.now())

    @work(group="actions")
    async def do(
        self,
        action: Callable[[ConsoleOps], Awaitable[T]],
        told: Callable[[T], str],
        failed: str,
        undo: Callable[[], None] | None = None,
        *,
        back: str = "",
        hold_s: float = 0.0,
        runs: Mapping[str, int] | None = None,
    ) -> None:
        """Run an action in the background and tell how it went.

        `undo`: what to do on the screen where it fails. `back`: what it was, for the line that says what can be taken
        back; `hold_s`: so long nothing of it starts; `runs`: those that it sets going again → the attempts they had.
        """
        late = self._redis_is_late()
        if late:
            self._tell_waiting()
        acts, timer = self.shell.acts, self.set_timer(WAITS_S, self._tell_waiting)
        try:
            with acts.asking(what=back), self.shell.keys_wait(0.0 if late else KEYS_WAIT_S):
                result = await self.feed.act(action, ACT_S)
        except Exception as error:
            if undo:
                undo()
            self.shell.front().tell(f"✗ {failed}: {one_line(error)}", "bad", until_key=True)
            if not isinstance(error, CronsoleError):
                self.log.error(failed)
            return
        finally:
            timer.stop()
        self.tell_done(told(result), self.feed.warned)
        await self._can_be_taken_back(result, back, hold_s, hold_s > 0 or isinstance(result, NewRuns), runs)

    @work(group="driving")
    async def drive(
        self,
        doing: str,
        action: Callable[[ConsoleOps, Tell], Awaitable[T]],
        told: Callable[[T], str],
        failed: str,
        ended: Callable[[T | None], None] | None = None,
        *,
        back: str | Callable[[T], str] = "",
        hold_s: float = 0.0,
        stop: Callable[[], None] | None = None,
    ) -> None:
        """Run a long operation in the background, one at a time; the line at the foot says how far it is.

        `doing`: what it does, as "retrying". `ended` gets the result, or None where it failed. `stop`: what stops it
        where it has no receipt yet; else it is cancelled. `back` may be told by the result. As `do` otherwise.
        """
        shell, acts = self.shell, self.shell.acts
        if acts.driving is not None:
            self.tell(f"{acts.driving.doing} is under way: Esc stops it", "warn")
            return
        driving = acts.driving = Driving(doing, stop or get_current_worker().cancel)
        if self._redis_is_late():
            self._tell_waiting()

        def tell(progress: Progress) -> None:
            driving.progress = progress
            if acts.due():
                shell.front().show_acts()

        result = None
        try:
            shell.front().show_acts()
            result = await self.feed.act(lambda ops: action(ops, tell), None)
        except Exception as error:
            left = " · resume or undo it in the audit" if driving.progress.receipt and driving.progress.changed else ""
            shell.front().tell(f"✗ {failed}: {one_line(error)}{left}", "bad", until_key=True)
            if not isinstance(error, (CronsoleError, OSError)):
                self.log.error(failed)
        finally:
            acts.driving = None
            shell.front().show_acts()
            if ended:
                ended(result)
        was = back if isinstance(back, str) else "" if result is None else back(result)
        if result is not None:
            if text := told(result):
                shell.front().tell_done(text, "" if driving.stopping else self.feed.warned)
            await self._can_be_taken_back(result, was, hold_s)
        progress = driving.progress
        if driving.stopping and progress.scanned != progress.total:
            receipt = progress.receipt
            self._stopped(progress, lambda ops, tell: ops.resume_operation(receipt, tell), doing, was)

    def _stopped(
        self, progress: Progress, action: Callable[[ConsoleOps, Tell], Awaitable[ActionResult]], doing: str, back: str
    ) -> None:
        """It was stopped half-way: it may go on, now or later."""
        of = "" if progress.total is None else f" of {progress.total:,}"
        lines = [
            cells(cell(f"{progress.changed:,}{of}", "strong"), cell(" are done. The rest is as it was.")),
            cell("Later it goes on in the audit, where it can be taken back too.", "dim"),
        ]

        def told(result: ActionResult) -> str:
            return f"✓ {result.changed:,} of {result.matched:,} are done"

        def go_on(yes: bool | None) -> None:
            if yes:
                self.drive(doing, action, told, f"{doing} did not go on", back=back)

        self.app.push_screen(ComesDialog("Stopped. Go on?", lines, "go on"), go_on)

    def tell_done(self, text: str, warned: str) -> None:
        """That something is done, and what it warned of."""
        if warned:
            self.tell(f"{text} · {warned}", "warn")
        else:
            self.tell(text)

    async def _can_be_taken_back(
        self, result: object, words: str, hold_s: float, one_run: bool = False, runs: Mapping[str, int] | None = None
    ) -> None:
        one = getattr(result, "receipt", None)
        receipts = getattr(result, "receipts", (one,) if one else ())
        if not (words and receipts) or getattr(result, "changed", 1) == 0:
            return
        acts, now = self.shell.acts, self.now()
        begin = dict.fromkeys(result.run_ids, 0) if isinstance(result, NewRuns) else runs or {}
        acts.add(Act(receipts, words, now, now + round(hold_s * 1000), one_run=one_run, runs=begin))
        self.shell.front().show_acts()
        try:
            found = await self.feed.read(lambda ops: ops.operations(20))
        except (CronsoleError, OSError):
            return
        for operation in found:
            if operation.id == receipts[-1]:
                acts.until(operation.id, operation.until_ms)

    def stop_driving(self) -> bool:
        """Have the operation under way stop after its step; False where there is none."""
        driving = self.shell.acts.driving
        if driving is None:
            return False
        receipt = driving.progress.receipt
        if not receipt:
            driving.cancel()
            self.tell(f"{driving.doing} is stopped", "warn")
        elif not driving.stopping:
            driving.stopping = True
            self.do(lambda ops: ops.stop_operation(receipt), lambda _: "stops after this step", "not stopped")
        self.show_acts()
        return True

    def take_back(self, receipts: Sequence[str], words: str) -> None:
        """Undo an operation, or one after the other several that were one act; with progress."""
        if len(receipts) > 1:
            from console.screens import by_one  # seldom needed

            by_one.take_back(self, receipts, words)
            return
        shell, receipt = self.shell, receipts[0]

        def told(result: ActionResult) -> str:
            shell.acts.forget(receipt)
            shell.undone()
            return taken_back(result, words)

        async def undo(ops: ConsoleOps, tell: Tell) -> ActionResult:
            try:
                return await ops.undo(receipt, tell)
            except BadInputError:
                shell.acts.forget(receipt)
                raise

        self.drive("taking back", undo, told, "undo")

    @work(group="reads")
    async def read_once(
        self,
        ask: Callable[[ConsoleOps], Awaitable[T]],
        show: Callable[[T], None],
        ended: Callable[[], None] | None = None,
    ) -> None:
        """Read something once and show it; what goes wrong is told at the foot. `ended` comes first, either way."""
        try:
            try:
                found = await self.feed.read(ask)
            finally:
                if ended:
                    ended()
            show(found)
        except Exception as error:
            self.tell(f"✗ {one_line(error)}", "bad")
            if not isinstance(error, (CronsoleError, OSError)):
                self.log.error(one_line(error))

    @work(group="reading", exclusive=True)
    async def keep_reading(
        self, ask: Callable[[ConsoleOps], Awaitable[T]], show: Callable[[T], None], every_s: float
    ) -> None:
        """Read something again and again while this screen is in front. Failures wait; the last truth stays shown."""
        worker, pause = get_current_worker(), every_s
        while not worker.is_cancelled:
            self.answers.clear()
            if self.is_current:
                try:
                    show(await self.feed.read(ask))
                    pause = every_s
                except Exception as error:
                    if not isinstance(error, (CronsoleError, OSError)):
                        self.log.error(one_line(error))
                    pause = min(pause * 2, max(every_s, 10.0))
            least = 1.0 if self.shell.low_bandwidth else 0.0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(pause, least) if self.is_current else 0.2):
                    await self.answers.wait()

    @work(group="unfinished")
    async def tell_unfinished(self) -> None:
        """Say that operations were left half-way: by a crash, or by somebody who stopped them."""
        with contextlib.suppress(CronsoleError, OSError):
            found = await self.feed.read(lambda ops: ops.operations(20, unfinished=True))
            left = [o for o in found if o.state == "stopped" or self.now() - o.beat_ms > SILENT_MS]
            if left:
                what = "an operation was" if len(left) == 1 else f"{len(left)} operations were"
                self.tell(f"{what} left half-way: the audit goes on with it or takes it back", "warn")

    # --- actions that keys and commands share ---

    def ask_trigger(self, job: str | None = None) -> None:
        """Ask which job to run now; `job` is chosen already."""
        if not self.may_act():
            return
        live = self.state.live
        if live is None or not live.jobs:
            self.lacks("no jobs to trigger")
            return
        if job is not None and all(j.name != job for j in live.jobs):
            self.lacks(f"no job {job} is there any more")
            return
        jobs = [
            Row(j.name, (cell(j.name, "strong"), cell(j.schedule or "on call", "dim"), cell(j.description, "dim")))
            for j in live.jobs
        ]
        self.app.push_screen(PickDialog("Run a job now", PICK_JOB, jobs, job, "run it now"), self._picked)

    def _picked(self, job: str | None) -> None:
        if job is not None:
            self.trigger(job)

    def trigger(self, job: str) -> None:
        """Run a job now."""
        if not self.may_act():
            return
        self.do(
            lambda ops: ops.trigger(job), lambda new: self.started(job, new.run_id), f"{job} not triggered",
            back=f"the run of {job}",
        )  # fmt: skip

    def started(self, job: str, run_id: str) -> str:
        """What is told of a run that was triggered; its page is a key away."""
        self.shell.followed = run_id
        return f"{self.new_run(job, run_id)} {self.key('follow')} follows it"

    def new_run(self, job: str, run_id: str, runs: str = "runs") -> str:
        """The first half of a sentence about a new run of a job; it does not say that it runs where it waits."""
        waits = self._waits(job)
        return f"✓ {job} " + (f"is queued as …{run_id[-8:]}, {waits}:" if waits else f"{runs} as …{run_id[-8:]},")

    def _waits(self, name: str) -> str:
        live = self.state.live
        job = next((j for j in live.jobs if j.name == name), None) if live else None
        queue = next((q for q in live.queues if job and q.name == job.queue), None) if live else None
        if job is None or live is None:
            return ""
        if job.held:
            what = "paused" if job.paused else f"its queue {job.queue} is paused"
            return f"{what} by {job.held.by or 'somebody'}"
        from console.screens.queues_looks import stuck  # after the first frame: it brings much of the backends

        return stuck(queue, live.engines) if queue else ""

    def resume(self, target: str) -> None:
        """End the pause of ``job:NAME`` or ``queue:NAME``."""
        if not self.may_act():
            return
        name = target.partition(":")[2]
        self.do(lambda ops: ops.resume(target), lambda _: f"✓ {name} goes on", f"{name} not resumed",
                back=f"the end of the pause of {name}")  # fmt: skip
