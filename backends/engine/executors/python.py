"""Runs Python callables in a pool of runner processes under the user's own interpreter."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Mapping

from backends.engine.executors.base import Attempt, Ended, failed, job_environ, now_us
from backends.engine.executors.batch import Batch, OnBack, OnDone
from backends.engine.executors.link import TICK_S, Link
from backends.engine.executors.process import why_not_started
from backends.model import Outcome

SPARE_IDLE_S = 30.0
"""Idle runners beyond one are stopped after this."""
LAST_IDLE_S = 300.0
HOUSE_S = 10.0
STARTING_MOST = max(1, (os.cpu_count() or 2) // 2)
"""Interpreters that start at once: more would only slow each other down."""
BARREN_MOST = 3
"""Runners in a row that end before they begin a job; then what they were given fails instead of going round."""


class RunnerPool:
    """Runners of one interpreter, working directory and environment. All methods are called inside the event loop.

    Every attempt that is submitted is answered once: in `on_done` when it has ended, in `on_back` when it did not
    start and may be given to anybody. Answers come in later turns of the loop, never inside a call.
    """

    def __init__(
        self,
        interpreter: str,
        cwd: str | None,
        env: Mapping[str, str],
        max_runners: int,
        on_output: Callable[[str, bytes], None] | None = None,
    ) -> None:
        """`on_output` gets (run id, chunk) while a run that takes longer writes."""
        self._interpreter = interpreter
        self._cwd = cwd
        self._env = dict(env)
        self._max = max(1, max_runners)
        self._on_output = on_output
        self._links: list[Link] = []
        self._waiting: deque[Batch] = deque()
        self._ticking: asyncio.TimerHandle | None = None
        self._house: asyncio.TimerHandle | None = None
        self._barren = 0
        self._closed = False

    def free_slots(self) -> int:
        """Batches that can start now, each on a runner of its own."""
        if self._closed or self._waiting:
            return 0
        busy = sum(1 for link in self._links if link.usable and not link.idle)
        return max(0, self._max - busy)

    def submit(self, batch: list[Attempt], on_done: OnDone, on_back: OnBack) -> None:
        """Hand a batch to one runner; when none has room, it waits for the first that has."""
        if not batch:
            return
        work = Batch(batch, on_done, on_back)
        if self._closed:
            work.back(batch)
            return
        self._waiting.append(work)
        self._pump()

    def cancel(self, run_id: str) -> bool:
        """End a run; False if it is not here. Its answer is CANCELLED, unless it ended by itself before."""
        for batch in self._waiting:
            for attempt in batch.attempts:
                if attempt.run_id == run_id:
                    batch.attempts.remove(attempt)
                    batch.left -= 1
                    if not batch.attempts:
                        self._waiting.remove(batch)
                    now = now_us()
                    how = Ended(
                        Outcome.CANCELLED, now, now, error_class="Cancelled", error="cancelled before it started"
                    )  # fmt: skip
                    batch.done([(attempt, how)])
                    return True
        return any(link.cancel(run_id) for link in self._links)

    async def close(self, grace_s: float) -> None:
        """Stop all runners. What waits is given back; what still runs after `grace_s` ends as CANCELLED."""
        self._closed = True
        while self._waiting:
            batch = self._waiting.popleft()
            batch.back(batch.attempts)
        self._pump()
        if self._links:
            await asyncio.wait([link.gone for link in self._links], timeout=grace_s)
        for link in self._links:
            link.end(Outcome.CANCELLED)
        if self._links:
            self._watch()
            await asyncio.wait([link.gone for link in self._links])
        for timer in (self._ticking, self._house):
            if timer is not None:
                timer.cancel()
        await asyncio.sleep(0)  # the last answers are on their way

    # --- giving work to runners -----------------------------------------------------------------------------

    def _pump(self) -> None:
        while self._waiting:
            link = self._room_for(self._waiting[0])
            if link is None:
                break
            link.send(self._waiting.popleft())
        if self._closed:
            for link in self._links:
                if link.idle:
                    link.stop()
        self._watch()

    def _room_for(self, batch: Batch) -> Link | None:
        """The runner used last is the first to be used again, so that spare ones become idle and end."""
        idle = [link for link in self._links if link.idle]
        if idle:
            return max(idle, key=lambda link: link.idle_since)
        if not batch.alone:
            for link in self._links:
                if link.takes_more:
                    return link
        usable = [link for link in self._links if link.usable]
        if len(usable) < self._max and sum(1 for link in usable if not link.ready) < STARTING_MOST:
            return self._start()
        return None

    def _start(self) -> Link | None:
        try:
            link = Link(self._interpreter, self._cwd, job_environ(self._env), self._on_output, self._changed)
        except (OSError, ValueError) as error:
            self._fail_waiting("NotStarted", self._why_not(error))
            return None
        self._links.append(link)
        return link

    def _why_not(self, error: OSError | ValueError) -> str:
        why = why_not_started(error, self._interpreter, self._cwd)
        return why.replace("command not found:", "python interpreter not found:", 1)

    def _fail_waiting(self, error_class: str, error: str) -> None:
        now = now_us()
        while self._waiting:
            batch = self._waiting.popleft()
            batch.done([(attempt, failed(now, error_class, error)) for attempt in batch.attempts])

    def _changed(self, link: Link) -> None:
        """A runner is ready, has room, or is gone."""
        if link.started_any:
            self._barren = 0
        if link.gone.done() and link in self._links:
            self._links.remove(link)
            if link.ready and not link.started_any:
                self._barren += 1
        if self._barren >= BARREN_MOST:
            self._barren = 0
            self._fail_waiting("NotStarted", "its runners end before they begin a job")
        self._pump()

    # --- watching -------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Keep the timers going that are needed, and no others: an idle pool costs nothing."""
        loop = asyncio.get_running_loop()
        if self._ticking is None and any(not link.idle for link in self._links):
            self._ticking = loop.call_later(TICK_S, self._tick)
        if self._house is None and self._links and not self._closed:
            self._house = loop.call_later(HOUSE_S, self._keep_house)

    def _tick(self) -> None:
        self._ticking = None
        for link in list(self._links):
            link.tick()
        self._watch()

    def _keep_house(self) -> None:
        """Stop runners that have been idle for long, those longest idle first."""
        self._house = None
        now = time.monotonic()
        idle = sorted((link for link in self._links if link.idle), key=lambda link: link.idle_since)
        for link in idle:
            spare = link is not idle[-1] or any(other.usable and not other.idle for other in self._links)
            if now - link.idle_since >= (SPARE_IDLE_S if spare else LAST_IDLE_S):
                link.stop()
        self._watch()
