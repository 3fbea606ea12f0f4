"""The engine as a process: opens the servers, starts the parts in order, handles signals, leaves in order.

SIGTERM or SIGINT: stop taking, finish within the grace period, give back the rest; a second one leaves at once.
SIGHUP: read the job file again; a bad one is refused and the old one stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import msgspec

from backends.connect import Servers, Settings
from backends.engine.chores import Chores
from backends.engine.clock import ServerClock
from backends.engine.dispatch import Executors
from backends.engine.lease import LEASE_S
from backends.engine.logs import LiveLogs
from backends.engine.marks import known_marks
from backends.engine.reboot import fire_reboots
from backends.engine.scheduler import Scheduler
from backends.engine.worker import Worker
from backends.errors import BadInputError
from backends.history import History, migrate
from backends.history.recorder import Recorder
from backends.jobs.load import load
from backends.jobs.publish import publish_jobs
from backends.jobs.spec import JobFile, JobSpec
from backends.queues import live
from backends.queues.keys import queue_prefix
from backends.queues.lists import ListInbox
from backends.queues.streams import StreamQueue

DEFAULT_SLOTS = 10
GRACE_S = 30.0

log = logging.getLogger("cronsole.engine")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the command line may set. `queues` empty: all of the job file. `drain`: leave when nothing is left to do."""

    jobs: Path | None = None
    queues: tuple[str, ...] = ()
    slots: int = DEFAULT_SLOTS
    grace_s: float = GRACE_S
    schedule: bool = True
    record: bool = True
    drain: bool = False
    lease_s: float = LEASE_S


def engine_name() -> str:
    """Unique a process: host, pid and a random part (pids come back)."""
    return f"{socket.gethostname()}:{os.getpid()}:{token_hex(2)}"


class Engine:
    """One engine in this process's event loop."""

    def __init__(self, servers: Servers, options: EngineOptions) -> None:
        self.name = engine_name()
        self.servers = servers
        self.options = options
        self.file = JobFile()
        self.stop_asked = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._queues: dict[str, StreamQueue] = {}
        self._inboxes: dict[str, ListInbox] = {}
        self._blocking: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stop_parts = asyncio.Event()
        self.logs = LiveLogs(servers.redis, lambda run_id: self.worker.place_of(run_id))
        self.executors = Executors(options.slots, self.logs)
        self.clock = ServerClock(self._server_ms)
        self.worker = Worker(self.name, options.slots, self.executors, options.lease_s, self.clock)
        self.scheduler: Scheduler | None = None

    @property
    def namespace(self) -> str:
        """The namespace of all its keys."""
        return self.servers.settings.namespace

    def queue(self, name: str) -> StreamQueue:
        """The queue of that name; one object a name."""
        found = self._queues.get(name)
        if found is None:
            if self._blocking is None:
                self._blocking = self.servers.redis_client("wait")
            found = self._queues[name] = StreamQueue(
                self.servers.redis, self.namespace, name,
                blocking=self._blocking, sync_client=lambda: self.servers.redis_sync("lease"),
            )  # fmt: skip
        return found

    def served(self) -> list[str]:
        """The queues this engine serves."""
        chosen = self.options.queues
        return sorted(q for q in self.file.queues if not chosen or q in chosen)

    def inboxes(self) -> list[ListInbox]:
        """The lists this engine drains."""
        return list(self._inboxes.values())

    async def start(self) -> None:
        """Bring history up to date, publish the jobs, start all parts."""
        pool = await self.servers.pool()
        for version in await migrate(pool):
            log.info("history schema is now at version %d", version, extra={"action": "migrated", "version": version})
        history = History(pool)
        await self.clock.probe()

        async def marks(jobs: Sequence[str]) -> dict[str, tuple[int, str]]:
            names = await live.queue_names(self.servers.redis, self.namespace)
            return await known_marks(jobs, [self.queue(name) for name in names], history.marks, self.clock())

        self.scheduler = Scheduler(self.name, self.namespace, self.queue, marks, self.clock, self.clock.probe)
        chores = Chores(self)
        self.worker.start()
        await self._take_over(load(self.options.jobs) if self.options.jobs else JobFile())
        if self.options.record:
            recorder = Recorder(self.servers.redis_client("recorder"), pool, self._out_keys, self.name)
            self._spawn(recorder.run(self._stop_parts), "recorder")
        await chores.beat()
        if self.options.schedule:
            await self._fire_reboots()
            self._spawn(self.scheduler.run(self._stop_parts), "scheduler")
        self._spawn(self.logs.run(self._stop_parts), "logs")
        for name, part in chores.parts():
            self._spawn(part, name)
        log.info(
            "engine %s is up: %d jobs, queues %s", self.name, len(self.file.jobs), ", ".join(self.served()) or "none",
            extra={"action": "engine_up", "engine": self.name, "jobs": len(self.file.jobs)},
        )  # fmt: skip

    async def reload(self) -> None:
        """Read the job file again; keep the old one if the new one is bad or can't be published. One at a time."""
        if self.options.jobs is None:
            return
        async with self._reloading:
            try:
                file = await asyncio.to_thread(load, self.options.jobs)
                await self._take_over(file)
            except BadInputError as error:
                log.error("the job file is kept as it was: %s", error, extra={"action": "reload_refused"})
            except Exception as error:
                log.error(
                    "the job file is kept as it was, it can't be published: %s; SIGHUP again when the servers answer",
                    error, extra={"action": "reload_failed"},
                )  # fmt: skip
            else:
                extra = {"action": "reloaded", "jobs": len(file.jobs)}
                log.info("job file read again: %d jobs", len(file.jobs), extra=extra)

    async def _take_over(self, file: JobFile) -> None:
        """First what can fail, then, without a pause, what this engine itself goes by."""
        unknown = sorted(set(self.options.queues) - set(file.queues))
        if unknown:
            raise BadInputError(
                f"no job uses the queue {', '.join(unknown)}", f"the job file has {', '.join(sorted(file.queues))}"
            )
        for warning in file.warnings:
            log.warning("%s", warning, extra={"action": "job_file_warning"})
        chosen = self.options.queues
        for name in file.queues:
            if not chosen or name in chosen:
                await self.queue(name).announce()
        specs = {name: msgspec.json.encode(spec.to_row()) for name, spec in file.jobs.items()}
        origin = f"{socket.gethostname()}:{file.path.absolute() if file.path else ''}"
        await History(await self.servers.pool()).publish(specs, origin)
        await publish_jobs(self.servers.redis, self.namespace, file)
        self.file = file
        self.worker.set_jobs(file.jobs)
        self._inboxes = {
            name: ListInbox(self.queue(name), self.servers.redis, file.queues[name].inbox_key)
            for name in self.served()
            if file.queues[name].inbox == "list"
        }
        for name in self.served():
            self.worker.serve(self.queue(name), file.queues[name].concurrency)
        if self.scheduler is not None:
            self.scheduler.set_jobs(self.scheduled())

    def scheduled(self) -> dict[str, JobSpec]:
        """The jobs whose queue this engine serves."""
        served = set(self.served())
        return {n: s for n, s in self.file.jobs.items() if s.queue in served}

    async def _fire_reboots(self) -> None:
        redis = self.servers.redis
        engines = await live.engines(redis, self.namespace)
        await fire_reboots(self.scheduled(), engines, self.name, self.namespace, self.queue, self.clock())

    async def _server_ms(self) -> int:
        return live.server_ms(await self.servers.redis.time())

    async def stop(self, grace_s: float | None = None) -> None:
        """Leave in order: no new work, finish or give back, record what is left in the outbox, say good-bye."""
        log.info("engine is stopping", extra={"action": "engine_stop", "in_hand": self.worker.in_hand})
        await self.worker.stop(self.options.grace_s if grace_s is None else grace_s)
        self._stop_parts.set()
        _, late = await asyncio.wait(self._tasks, timeout=10.0)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self.executors.close()
        log.info("engine has left", extra={"action": "engine_left", "ended": self.worker.counts.total})

    def _spawn(self, part: Any, name: str) -> None:
        async def guarded() -> None:
            try:
                await part
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("part %s ended unexpectedly; leaving", name, extra={"action": "part_failed"})
                self.stop_asked.set()
                raise

        self._tasks.append(asyncio.create_task(guarded(), name=name))

    async def _out_keys(self) -> Sequence[str]:
        return [
            f"{queue_prefix(self.namespace, n)}out" for n in await live.queue_names(self.servers.redis, self.namespace)
        ]

    @property
    def parts_stopping(self) -> asyncio.Event:
        """Set when the parts are to end."""
        return self._stop_parts


async def serve(settings: Settings, options: EngineOptions) -> int:
    """Run an engine until it is told to stop; returns the exit code."""
    servers = await Servers.open(settings, role="engine")
    try:
        for warning in servers.warnings:
            log.warning("%s", warning, extra={"action": "server_warning"})
        engine = Engine(servers, options)
        loop = asyncio.get_running_loop()

        def asked() -> None:
            if engine.stop_asked.is_set():
                os._exit(130)
            engine.stop_asked.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked)
        reloads: set[asyncio.Task[None]] = set()

        def hup() -> None:
            task = asyncio.create_task(engine.reload())
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, hup)
        await engine.start()
        failed = False
        if options.drain:
            await _until_drained(engine)
        else:
            await engine.stop_asked.wait()
        failed = any(t.done() and not t.cancelled() and t.exception() for t in engine._tasks)  # noqa: SLF001
        await engine.stop()
        return 1 if failed else 0
    finally:
        await servers.close()


async def _until_drained(engine: Engine) -> None:
    """Until no queue has anything ready, running, or on its way into history."""
    while not engine.stop_asked.is_set():
        left = 0
        for name in engine.served():
            status = await engine.queue(name).status()
            left += status.ready + status.running + status.outbox
        for inbox in engine.inboxes():
            left += await inbox.length()
        if not left and not engine.worker.in_hand:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(engine.stop_asked.wait(), 0.2)


def run_engine(settings: Settings, options: EngineOptions, *, log_format: str = "text") -> int:
    """Entry of `cronsole engine`. Raises CronsoleError for what an operator can mend."""
    from backends.engine.logsetup import set_up

    set_up(log_format)
    try:
        import uvloop

        runner: Any = uvloop.run
    except ImportError:  # no wheel for this platform: plain asyncio is slower, not wrong
        runner = asyncio.run
    return int(runner(serve(settings, options)))
