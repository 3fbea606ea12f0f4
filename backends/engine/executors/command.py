"""Runs commands: a text through /bin/sh, a list as it is."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from backends.engine.executors.base import (
    ERROR_MOST,
    Attempt,
    Ended,
    Tail,
    attempt_environ,
    failed,
    last_line,
    now_us,
    one_line,
)
from backends.engine.executors.process import Child, Usage, why_not_started
from backends.model import Outcome

PIPE_GRACE_S = 1.0
"""How long output is still read after the command has ended, if something it left behind keeps the pipe open."""
_READ = 65_536

OnOutput = Callable[[bytes], None]


async def run_command(attempt: Attempt, *, on_output: OnOutput | None = None, cancelled: asyncio.Event) -> Ended:
    """Run the attempt's command to its end. Whatever goes wrong is in the answer; only cancelling the task raises.

    On timeout and when `cancelled` is set: SIGTERM to the process group, `grace_s` later SIGKILL. What the command
    leaves running in its group is killed when it ends. `on_output` gets output as it comes.
    """
    job, started = attempt.job, now_us()
    command = job.command or ()
    argv = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
    env = attempt_environ(attempt)
    if problem := _problem(argv, env):
        return failed(started, "BadCommand", problem)
    read, write = os.pipe()
    try:
        child = Child(argv, cwd=job.cwd, env=env, output=write)
    except (OSError, ValueError) as error:
        os.close(read)
        return failed(started, "NotStarted", why_not_started(error, argv[0], job.cwd))
    finally:
        os.close(write)
    pipe = _Pipe(read, on_output)
    try:
        stopped = await _wait(child, cancelled, attempt.timeout_s, job.grace_s)
        finished = now_us()
        await pipe.finish(PIPE_GRACE_S)
        return _ended(started, finished, stopped, child.reap(), pipe.tail.text(), attempt)
    finally:
        if not child.exited.done():
            child.abandon()
        else:
            child.reap()
        pipe.close()


def _problem(argv: list[str], env: dict[str, str]) -> str:
    if not argv:
        return "the command is empty"
    if any("\0" in word for word in argv):
        return "the command contains a NUL byte"
    for name, value in env.items():
        if "\0" in name or "\0" in value:
            return f"environment variable {name!r} contains a NUL byte"
        if not name or "=" in name:
            return f"{name!r} can't be the name of an environment variable"
    return ""


async def _wait(child: Child, cancelled: asyncio.Event, timeout_s: float | None, grace_s: float) -> Outcome | None:
    """Wait for the end, or bring it about; None: it ended by itself."""
    asked = asyncio.ensure_future(cancelled.wait())
    either: set[asyncio.Future[Any]] = {child.exited, asked}
    try:
        await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if child.exited.done():
            return None
        stopped = Outcome.CANCELLED if asked.done() else Outcome.TIMED_OUT
        child.signal_group(signal.SIGTERM)
        await asyncio.wait({child.exited}, timeout=grace_s)
        if not child.exited.done():
            child.signal_group(signal.SIGKILL)
            await asyncio.wait({child.exited})
        return stopped
    finally:
        asked.cancel()


def _ended(
    started: int, finished: int, stopped: Outcome | None, usage: Usage, output: str | None, attempt: Attempt
) -> Ended:
    outcome, error_class, error = Outcome.SUCCEEDED, None, None
    if stopped is Outcome.TIMED_OUT:
        outcome, error_class, error = stopped, "TimedOut", f"timed out after {attempt.timeout_s:g} s"
    elif stopped is not None:
        outcome, error_class, error = stopped, "Cancelled", "cancelled while it ran"
    elif usage.code:
        outcome = Outcome.FAILED
        if usage.code < 0:
            error_class = _signal_name(-usage.code)
            error = f"ended by {error_class}"
        else:
            error_class, error = f"Exit{usage.code}", f"exit code {usage.code}"
        if line := last_line(output):
            error = one_line(f"{error}: {line}", ERROR_MOST)
    return Ended(
        outcome, started, finished, usage.code, error_class, error,
        output=output, max_rss_kb=usage.max_rss_kb, cpu_ms=usage.cpu_ms,
    )  # fmt: skip


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class _Pipe:
    """The read end of a command's output."""

    def __init__(self, descriptor: int, on_output: OnOutput | None) -> None:
        self.tail = Tail()
        self._fd = descriptor
        self._on_output = on_output
        self._eof = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._read)

    async def finish(self, seconds: float) -> None:
        """Wait for the end of the output, at most `seconds`."""
        try:
            await asyncio.wait_for(self._eof.wait(), seconds)
        except TimeoutError:
            pass

    def close(self) -> None:
        """Read no more."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> None:
        try:
            chunk = os.read(self._fd, _READ)
        except BlockingIOError:
            return
        if not chunk:
            self._eof.set()
            self.close()
            return
        self.tail.add(chunk)
        if self._on_output is not None:
            self._on_output(chunk)
