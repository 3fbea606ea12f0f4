"""Child processes: own session, own group, watched without a thread, killed as a group, measured when they end.

What cannot be reached: a grandchild that makes a session of its own (a daemon) leaves the group and outlives it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

GUARD = r"""trap '' HUP INT TERM
groups=' '
while read -r what group; do
  case $what in
    +) groups="$groups$group " ;;
    -) groups="${groups%% $group *} ${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
"""
"""A shell that outlives the engine by an instant: when the engine is gone (kill -9 too), it kills the groups left."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How a process ended and what it used, its own waited-for children included."""

    code: int  # exit code, or the negative number of the signal
    cpu_ms: int
    max_rss_kb: int | None  # None: below what the kernel can tell (see `Child.reap`)


class _Guard:
    """The one guard of this process, started with the first child. Its pipe closes when this process ends, however."""

    def __init__(self) -> None:
        self._pipe: IO[bytes] | None = None
        self._groups: set[int] = set()

    def add(self, group: int) -> None:
        self._groups.add(group)
        self._say(f"+ {group}\n")

    def remove(self, group: int) -> None:
        if group in self._groups:
            self._groups.remove(group)
            self._say(f"- {group}\n")

    def _say(self, line: str) -> None:
        if self._pipe is None:
            line = "".join(f"+ {group}\n" for group in self._groups)
            self._start()
        assert self._pipe is not None
        try:
            self._pipe.write(line.encode())
        except OSError:  # somebody killed the guard: the next child starts a new one
            self._pipe = None

    def _start(self) -> None:
        guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD], bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, cwd="/",
        )  # fmt: skip
        guard.returncode = 0  # it ends after us: nobody waits for it
        self._pipe = guard.stdin


_guard = _Guard()


class Child:
    """A process in a session of its own, leader of its group. Lives in the event loop that spawned it.

    `exited` is done when the process has ended; it stays a zombie, so that its group id can't be given to anybody
    else, until `reap`. `reap` must be called.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None,
        env: Mapping[str, str],
        output: int,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start `argv`; stdin is empty, stdout and stderr go to the descriptor `output`. Raises OSError, ValueError."""
        loop = asyncio.get_running_loop()
        self._floor_kb = _max_rss_kb(resource.getrusage(resource.RUSAGE_SELF))
        self._popen = subprocess.Popen(
            argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=pass_fds,
            start_new_session=True,
        )  # fmt: skip
        self.pid = self._popen.pid
        self.exited: asyncio.Future[None] = loop.create_future()
        self._usage: Usage | None = None
        _guard.add(self.pid)
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not Linux, or an old one
            threading.Thread(target=self._wait_in_thread, args=(loop,), name=f"wait {self.pid}", daemon=True).start()
        else:
            loop.add_reader(self._pidfd, self._on_exit, loop)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to every process of the group; without effect when none is left."""
        if self._usage is not None:
            return
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):  # gone; or all that is left is a zombie (macOS)
            pass

    def reap(self) -> Usage:
        """Kill what is left of the group and forget the process. Call when `exited` is done; later calls repeat it."""
        if self._usage is None:
            self.signal_group(signal.SIGKILL)
            _guard.remove(self.pid)
            _, status, used = os.wait4(self.pid, 0)
            self._usage = self._measure(status, used)
        return self._usage

    def abandon(self) -> None:
        """Kill the group now; it is reaped when it is gone."""
        self.signal_group(signal.SIGKILL)
        self.exited.add_done_callback(lambda _: self.reap())

    def _on_exit(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        if not self.exited.done():
            self.exited.set_result(None)

    def _wait_in_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        _, status, used = os.wait4(self.pid, 0)

        def ended() -> None:
            self.signal_group(signal.SIGKILL)
            _guard.remove(self.pid)
            self._usage = self._measure(status, used)
            if not self.exited.done():
                self.exited.set_result(None)

        try:
            loop.call_soon_threadsafe(ended)
        except RuntimeError:  # the loop has been closed: nobody waits any more
            pass

    def _measure(self, status: int, used: resource.struct_rusage) -> Usage:
        """Linux starts a child's peak memory with that of its parent; only a higher one says anything."""
        code = self._popen.returncode = os.waitstatus_to_exitcode(status)
        rss = _max_rss_kb(used)
        return Usage(code, round((used.ru_utime + used.ru_stime) * 1000), rss if rss > self._floor_kb else None)


def _max_rss_kb(used: resource.struct_rusage) -> int:
    return used.ru_maxrss // 1024 if sys.platform == "darwin" else used.ru_maxrss


def why_not_started(error: OSError | ValueError, program: str, cwd: str | None) -> str:
    """One line for a person: why a process could not be started."""
    if not isinstance(error, OSError):
        return f"can't be started: {error}"
    if cwd is not None and error.filename == cwd and not os.path.isdir(cwd):
        return f"working directory not found: {cwd}"
    if cwd is not None and error.filename == cwd and not os.access(cwd, os.X_OK):
        return f"working directory not accessible: {cwd}"
    match error.errno:
        case errno.ENOENT if os.path.exists(program):
            return f"the interpreter in the first line of {program} was not found"
        case errno.ENOENT | errno.ENOTDIR:
            return f"command not found: {program}"
        case errno.EACCES | errno.EPERM:
            return f"not executable: {program}"
        case errno.ENOEXEC:
            return f"not executable: {program} (no #! in its first line?)"
        case errno.E2BIG:
            return "arguments and environment are too long for this system"
    return f"can't start {program}: {error.strerror}"
