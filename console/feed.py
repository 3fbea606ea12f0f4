"""The one place that turns the state of the servers into messages for the screen.

Two loops, one a server: a dead Postgres does not stop the queues from moving, and the other way round. A loop never
overlaps with itself and never gives up. What goes wrong is a message too; the last truth stays where it was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec.structs import replace
from textual.message import Message

from backends.errors import CronsoleError
from backends.model import (
    ServerHealth,
    now_ms,
)
from backends.overview import HistoryOverview, Overview
from console.console_ops import ConsoleOps, OpenOps
from console.wake import woken

log = logging.getLogger("cronsole.console")
T = TypeVar("T")
ANSWER_S = 10.0
"""So long an action waits for a server that does not answer; then it is not done at all."""


class Sink(Protocol):
    """Who is told."""

    def post_message(self, message: Message, /) -> Any:
        """Take a message; returns at once."""


class Link(msgspec.Struct, frozen=True):
    """What is known about one server. Times in milliseconds since the epoch; 0 is never."""

    name: str
    state: str  # connecting, ok, down
    since_ms: int
    last_ok_ms: int = 0
    latency_ms: float | None = None
    error: str = ""
    version: str = ""  # "Valkey 9.1.0"


class LinkChanged(Message):
    """A server answered, or did not."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link


class OverviewArrived(Message):
    """The live part, with the recent depth of each queue (oldest first)."""

    def __init__(self, data: Overview, depths: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__()
        self.data = data
        self.depths = depths

    def can_replace(self, message: Message) -> bool:
        """Only the newest matters."""
        return isinstance(message, OverviewArrived)


class HistoryArrived(Message):
    """The recorded part."""

    def __init__(self, data: HistoryOverview) -> None:
        super().__init__()
        self.data = data

    def can_replace(self, message: Message) -> bool:
        """Only the newest matters."""
        return isinstance(message, HistoryArrived)


class Connected(Message):
    """The context is open: its name, and whether it refuses actions."""

    def __init__(self, context_name: str, read_only: bool) -> None:
        super().__init__()
        self.context_name = context_name
        self.read_only = read_only


class Pace(msgspec.Struct, frozen=True):
    """Seconds: between ticks while things happen and while nothing does, between looks at history, and limits."""

    busy_s: float = 0.5
    idle_s: float = 1.0
    history_s: float = 1.0
    history_idle_s: float = 3.0
    depth_s: float = 2.0
    give_up_s: float = 5.0
    first_pause_s: float = 0.5
    longest_pause_s: float = 5.0


class Feed:
    """Opens the context, reads it for ever, and tells `sink` (a screen) what it sees."""

    def __init__(
        self, open_ops: OpenOps, sink: Sink, *, clock: Callable[[], int] = now_ms, pace: Pace | None = None
    ) -> None:
        self._open = open_ops
        self._post = sink.post_message
        self._clock = clock
        self.pace = pace or Pace()
        self.ops: ConsoleOps | None = None
        self.warned = ""
        """What the newest action warned of: it was done, but not all that goes with it."""
        self._links = {name: Link(name, "connecting", clock()) for name in ("redis", "postgres")}
        self._depths: dict[str, deque[int]] = {}
        self._depth_at = 0
        self._seen: object = None
        self._busy_until = 0
        self._look = {"redis": asyncio.Event(), "postgres": asyncio.Event()}
        self._limits: dict[str, asyncio.Timeout] = {}
        self._sleeps = 0
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    # --- life ---

    def start(self) -> None:
        """Begin; returns at once."""
        self._task = asyncio.create_task(self._run(), name="feed")

    def stop(self) -> None:
        """Ask it to end; `closed` waits for it.

        The flag is needed beside the cancellation: client libraries swallow one that comes while they connect.
        """
        self._stopping = True
        if self._task is not None:
            self._task.cancel()

    async def closed(self, timeout_s: float = 10.0) -> None:
        """Wait until the context is closed."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=timeout_s)

    def look_now(self) -> None:
        """Don't wait for the next tick: an operator has just changed something."""
        for event in self._look.values():
            event.set()

    async def _run(self) -> None:
        pause = self.pace.first_pause_s
        while not self._stopping:
            try:
                async with self._open() as ops:
                    if self._stopping:
                        return
                    self.ops = ops
                    pause = self.pace.first_pause_s
                    self._post(Connected(ops.context_name, ops.read_only))
                    try:
                        async with asyncio.TaskGroup() as loops:
                            loops.create_task(self._loop("redis", self._tick, 0.0))
                            loops.create_task(self._loop("postgres", self._history, self.pace.history_s))
                            loops.create_task(self._after_sleep())
                    finally:
                        self.ops = None
            except Exception as error:
                log.warning("context can't be opened: %s", error)
                for name in self._links:
                    self._down(name, one_line(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, self.pace.longest_pause_s)

    async def _loop(self, name: str, step: Callable[[], Awaitable[float]], least: float) -> None:
        """`step` says how long to wait before the next one; failures wait longer and longer, but never for ever.

        `least`: seconds between two looks even when much happens; waited outside the time a look may take.
        """
        pause = self.pace.first_pause_s
        while not self._stopping:
            sleeps = self._sleeps
            try:
                # not wait_for: on Python 3.11 it swallows a cancellation that meets the result (bpo-37658)
                async with asyncio.timeout(self.pace.give_up_s) as self._limits[name]:
                    wait = await step()
                pause = self.pace.first_pause_s
            except TimeoutError:
                if self._sleeps != sleeps:  # it waited on a connection that was dropped
                    continue
                self._down(name, f"no answer within {self.pace.give_up_s:g} s")
                wait = pause
            except Exception as error:
                if self._sleeps != sleeps:
                    continue
                if not isinstance(error, (CronsoleError, OSError)):
                    log.warning("reading %s failed", name, exc_info=True)
                self._down(name, one_line(error))
                wait, pause = pause, min(pause * 2, self.pace.longest_pause_s)
            finally:
                self._limits.pop(name, None)
            event = self._look[name]
            await asyncio.sleep(least)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wait - least)):
                    await event.wait()
            event.clear()

    async def _after_sleep(self) -> None:
        """After a sleep connect anew and look at once.

        The other side, or a firewall between, has forgotten connections that this side still believes in: an answer
        on one of them would be waited for in vain.
        """
        while True:
            slept_s = await woken()
            if self.ops is None:
                continue
            log.info("slept for %.0f s; connecting anew", slept_s)
            self._sleeps += 1
            await self.ops.drop_connections()
            self._sleeps += 1  # what began in between may have taken an old one
            for limit in self._limits.values():
                limit.reschedule(asyncio.get_running_loop().time())
            self.look_now()

    # --- reading ---

    async def _tick(self) -> float:
        assert self.ops is not None
        data = await self.ops.overview()
        self._answered("redis", data.redis)
        now = self._clock()
        seen = (data.queues, data.dead_total, data.events[:1], tuple(e.running for e in data.engines))
        if seen != self._seen:
            self._seen = seen
            self._busy_until = now + 3000
            self._look["postgres"].set()
        self._sample(data, now)
        self._post(OverviewArrived(data, {name: tuple(depth) for name, depth in self._depths.items()}))
        return self.pace.busy_s if now < self._busy_until else self.pace.idle_s

    async def _history(self) -> float:
        assert self.ops is not None
        data = await self.ops.history_overview()
        self._answered("postgres", data.postgres)
        self._post(HistoryArrived(data))
        return self.pace.history_idle_s

    def _sample(self, data: Overview, now: int) -> None:
        if now - self._depth_at < self.pace.depth_s * 1000:
            return
        self._depth_at = now
        for queue in data.queues:
            depth = self._depths.setdefault(queue.name, deque(maxlen=120))
            depth.append(queue.ready + queue.waiting + queue.inbox)
        for name in self._depths.keys() - {queue.name for queue in data.queues}:
            del self._depths[name]

    # --- what is known about the servers ---

    def _answered(self, name: str, health: ServerHealth) -> None:
        if not health.ok:
            raise CronsoleError(health.detail or "no answer")
        now = self._clock()
        link = self._links[name]
        since = link.since_ms if link.state == "ok" else now
        self._set(Link(name, "ok", since, now, health.latency_ms, version=health.detail))

    def _down(self, name: str, error: str) -> None:
        link = self._links[name]
        since = link.since_ms if link.state == "down" else self._clock()
        self._set(replace(link, state="down", since_ms=since, latency_ms=None, error=error))

    def _set(self, link: Link) -> None:
        self._links[link.name] = link
        self._post(LinkChanged(link))

    # --- acting ---

    async def read(self, ask: Callable[[ConsoleOps], Awaitable[T]]) -> T:
        """Read something that the loops don't; raises CronsoleError, also when there is no connection."""
        if self.ops is None:
            raise CronsoleError("not connected", "wait until the header shows both servers")
        try:
            async with asyncio.timeout(self.pace.give_up_s):
                return await ask(self.ops)
        except TimeoutError as error:
            raise CronsoleError(f"no answer within {self.pace.give_up_s:g} s", "it is asked again") from error

    async def act(self, action: Callable[[ConsoleOps], Awaitable[T]], limit_s: float | None = 15) -> T:
        """Run an operator's action; raises CronsoleError, also when there is no connection.

        `limit_s`: how long it may take; None for a long one, which tells how far it is and can be stopped. To a server
        that does not answer nothing is sent: it would be done when nobody expects it any more.
        """
        self.warned = ""
        if self.ops is None or not self._links["redis"].last_ok_ms:  # nothing is changed on a server not yet looked at
            raise CronsoleError("not connected", "wait until the header shows both servers")
        try:
            async with asyncio.timeout(ANSWER_S):
                await self.ops.answers()
        except TimeoutError as error:
            raise CronsoleError("redis does not answer", "nothing was sent: try again when it does") from error
        try:
            async with asyncio.timeout(limit_s):
                before = len(self.ops.warnings)
                result = await action(self.ops)
                self.warned = " · ".join(self.ops.warnings[before:])
                return result
        except TimeoutError as error:
            within = "" if limit_s is None else f" within {limit_s:g} s"
            raise CronsoleError(f"no answer{within}", "look at the list before trying again") from error
        finally:
            self.look_now()


def one_line(error: BaseException) -> str:
    """The error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
