"""``@reboot``: once when the engine of a host starts, as cron does when the host's cron starts (crontab(5))."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping, Sequence

import psutil

from backends.engine.scheduler import fire_envelope, stable_jitter_ms
from backends.jobs.spec import JobSpec
from backends.model import EngineStatus, FireResult, Trigger, fire_run_id
from backends.queues.base import NewFire, NewRun
from backends.queues.streams import StreamQueue
from backends.schedule import parse

CLOCK_MS = 5_000
"""So much a clock may have been put right between the begin of a process and what it says of itself."""

log = logging.getLogger("cronsole.scheduler")


def alive(pid: int, started_ms: int) -> bool:
    """Whether the process that said so at `started_ms` still lives: not a zombie, nor another one with its pid."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() * 1000 <= started_ms + CLOCK_MS
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


async def fire_reboots(
    specs: Mapping[str, JobSpec],
    engines: Sequence[EngineStatus],
    me: str,
    namespace: str,
    queue: Callable[[str], StreamQueue],
    at_ms: int,
) -> list[str]:
    """Fire the ``@reboot`` jobs for the start of engine `me` at `at_ms`; returns the names of those that fired.

    A host whose other engine is alive, and has fired since that one started, was not started anew: nothing fires, and
    the mark moves on, so that this engine is the one that counts when the other has left.
    Engines that start together fire once, by compare-and-set on a mark of the job and host.
    """
    host = socket.gethostname()
    since = [e.started_ms for e in engines if e.host == host and e.id != me and alive(e.pid, e.started_ms)]
    fired: list[str] = []
    for spec in specs.values():
        if spec.schedule is None or not parse(spec.schedule, spec.timezone).reboot:
            continue
        target, field = queue(spec.queue), f"@reboot {host} {spec.name}"
        mark = await target.mark(field)
        if mark is not None and (mark >= at_ms or any(mark >= start for start in since)):
            if mark < at_ms:
                await target.move_mark(field, mark, at_ms)
            continue
        run_id = fire_run_id(namespace, f"{spec.name}@{host}", at_ms)
        jitter = stable_jitter_ms(namespace, spec.name, spec.jitter_s)
        envelope = fire_envelope(spec, run_id, at_ms, Trigger.SCHEDULE, me)
        run = NewRun(run_id, spec.name, envelope, spec.priority, due_ms=at_ms + jitter if jitter else 0)
        (answer,) = await target.fire([NewFire(at_ms, mark, run, spec.overlap, me, field)])
        if answer.result is FireResult.FIRED:
            fired.append(spec.name)
            log.info("fired %s: @reboot", spec.name, extra={"action": "fire", "job": spec.name, "run_id": run_id})
        elif answer.early:
            log.warning("@reboot of %s did not fire: this clock is ahead of the server's", spec.name)
        elif answer.result is FireResult.SKIPPED:
            log.info("skipped @reboot of %s: %s", spec.name, answer.reason, extra={"action": "fire", "job": spec.name})
    return fired
