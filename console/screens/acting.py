"""What screens do to the servers: reads and actions in the background, and the actions that several keys share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import tzinfo
from typing import TYPE_CHECKING, TypeVar

from textual import work
from textual.screen import Screen
from textual.worker import get_current_worker

from backends.errors import CronsoleError
from console.feed import ConsoleOps, Feed, one_line
from console.screens.dialog import PickDialog
from console.state import ConsoleState
from widgets.safe import cell
from widgets.table import Column, Row

if TYPE_CHECKING:
    from console.app import ConsoleApp

T = TypeVar("T")
PICK_JOB = (Column("job", 12, 2), Column("schedule", 12, 1, drop=2), Column("what for", 10, 3, drop=1))


class ActingScreen(Screen[None]):
    """A screen that reads and acts. What goes wrong is told, never raised."""

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

    def tell(self, text: str, tone: str = "ok") -> None:
        """A notice for the operator."""
        raise NotImplementedError

    def key(self, action: str) -> str:
        """The key of an action, as it is printed on a keyboard."""
        raise NotImplementedError

    # --- in the background ---

    @work(group="actions")
    async def do(
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
            if self.is_current:
                try:
                    show(await self.feed.read(ask))
                    pause = every_s
                except Exception as error:
                    if not isinstance(error, (CronsoleError, OSError)):
                        self.log.error(one_line(error))
                    pause = min(pause * 2, max(every_s, 10.0))
            least = 1.0 if self.shell.low_bandwidth else 0.0
            await asyncio.sleep(max(pause, least) if self.is_current else 0.2)

    # --- actions that keys and commands share ---

    def ask_trigger(self, job: str | None = None) -> None:
        """Ask which job to run now; `job` is chosen already."""
        live = self.state.live
        if live is None or not live.jobs:
            self.tell("no jobs to trigger", "warn")
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
        self.do(lambda ops: ops.trigger(job), lambda new: self.started(job, new.run_id), f"{job} not triggered")

    def started(self, job: str, run_id: str) -> str:
        """What is told of a run that was triggered; its page is a key away."""
        self.shell.followed = run_id
        return f"✓ {job} runs as …{run_id[-8:]}, {self.key('follow')} follows it"

    def resume(self, target: str) -> None:
        """End the pause of ``job:NAME`` or ``queue:NAME``."""
        name = target.partition(":")[2]
        self.do(lambda ops: ops.resume(target), lambda _: f"✓ {name} goes on", f"{name} not resumed")
