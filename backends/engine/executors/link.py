"""The engine's end of one runner process. The protocol is described in `backends/engine/runner.py`."""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.engine.executors.base import Attempt, Ended, Tail, last_line, now_us, scheduled_for
from backends.engine.executors.batch import Batch
from backends.engine.executors.process import Child
from backends.engine.executors.wire import Wire
from backends.model import Outcome

SLOW_S = 0.1
"""A job that runs longer than this with others behind it: they are asked back."""
TICK_S = 0.05
START_S = 30.0
"""How long an interpreter may take until it is ready."""
QUICK_BATCH_S = 0.02
"""A runner whose last batch took less gets the next one before the present one is finished."""
DEPTH = 2
IDLE = -1

RUNNER: Final = str(Path(__file__).resolve().parent.parent / "runner.py")
_MARK = struct.Struct("<qq")
_READ = 1 << 18

_encode = msgspec.json.Encoder().encode


class Link:
    """One runner. It is `usable` until it is told to leave or is gone."""

    def __init__(
        self,
        interpreter: str,
        cwd: str | None,
        env: Mapping[str, str],
        on_output: Callable[[str, bytes], None] | None,
        on_change: Callable[[Link], None],
    ) -> None:
        """Start the process. Raises OSError or ValueError. `on_change`: it is ready, has room again, or is gone."""
        self._loop = asyncio.get_running_loop()
        self._on_output = on_output
        self._on_change = on_change
        self.usable = True
        self.ready = False
        self.started_any = False  # it has begun at least one job
        self.idle_since = self._tick_at = self._batch_end = time.monotonic()
        self._start_by = self.idle_since + START_S
        self._kill_at: float | None = None
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._flight: dict[int, tuple[Attempt, Batch]] = {}
        self._next = 0
        self._batches = 0
        self._alone = False
        self._last_batch_s = 1.0
        self._seen = IDLE  # the number that was current at the last tick, and since when
        self._seen_at = 0.0
        self._asked_back = IDLE
        self._cancelled: set[int] = set()
        self._ending: tuple[Outcome, int] | None = None
        self._live: dict[int, Tail] = {}
        self._start_output = Tail(4096)
        self._spawn(interpreter, cwd, env)

    def _spawn(self, interpreter: str, cwd: str | None, env: Mapping[str, str]) -> None:
        with tempfile.TemporaryFile() as memory:
            memory.write(_MARK.pack(0, IDLE))
            memory.flush()
            self._memory = mmap.mmap(memory.fileno(), _MARK.size)
            ours, theirs = socket.socketpair()
            self._output, write = os.pipe()
            try:
                fds = (theirs.fileno(), memory.fileno(), self._output)
                self._child = Child(
                    [interpreter, RUNNER, *map(str, fds)], cwd=cwd, env=env, output=write, pass_fds=fds
                )  # fmt: skip
            except BaseException:
                ours.close()
                os.close(self._output)
                self._memory.close()
                raise
            finally:
                theirs.close()
                os.close(write)
        os.set_blocking(self._output, False)
        self._wire = Wire(ours, self._on_frame, self._on_nonsense)
        self._loop.add_reader(self._output, self._on_pipe)
        self._child.exited.add_done_callback(self._on_exit)

    # --- what the pool asks ---------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """It has nothing to do."""
        return self.usable and not self._flight

    @property
    def takes_more(self) -> bool:
        """It is so quick that one more batch may wait behind the present one."""
        return (
            self.usable
            and self.ready
            and 0 < self._batches < DEPTH
            and not self._alone
            and self._last_batch_s < QUICK_BATCH_S
            and time.monotonic() - self._batch_end < SLOW_S
        )

    def send(self, batch: Batch) -> None:
        """Hand over a batch."""
        flight, first = self._flight, self._next
        heads = []
        for n, a in enumerate(batch.attempts, first):
            flight[n] = (a, batch)
            heads.append((n, a.job.task, a.run_id, a.attempt, a.job.name, scheduled_for(a), len(a.payload_raw)))
        self._next = first + len(heads)
        batch.sent = time.monotonic()
        if not self._batches:
            self._batch_end = batch.sent
        self._batches += 1
        self._alone = self._alone or batch.alone
        self._wire.write(_encode(heads) + b"\n[" + b",".join([a.payload_raw for a in batch.attempts]) + b"]")

    def cancel(self, run_id: str) -> bool:
        """End a run that is here; what has not started is taken back, what runs is ended with its runner."""
        for n, (attempt, _) in self._flight.items():
            if attempt.run_id == run_id:
                self._cancelled.add(n)
                if n == self._current()[1]:
                    self.end(Outcome.CANCELLED, n)
                else:
                    self._wire.write(_encode({"revoke": [n]}))
                return True
        return False

    def stop(self) -> None:
        """Let an idle runner leave by itself."""
        self.usable = False
        self._kill_at = time.monotonic() + START_S
        self._wire.write(b'{"stop":true}')

    def end(self, why: Outcome, n: int | None = None) -> None:
        """End the process, politely first: job n is the reason, None: whatever runs."""
        if self._ending is not None:
            return
        current = self._current()[1]
        n = current if n is None else n
        self._ending = (why, n)
        self.usable = False
        entry = self._flight.get(n)
        self._kill_at = time.monotonic() + (entry[0].job.grace_s if entry else 1.0)
        self._child.signal_group(signal.SIGTERM)

    def tick(self) -> None:
        """Look at what runs: time limits, cancellations, jobs that hold up others. Called every TICK_S while busy."""
        now, before = time.monotonic(), self._tick_at
        self._tick_at = now
        if self.gone.done():
            return
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._child.signal_group(signal.SIGKILL)
            return
        if not self.ready:
            if now >= self._start_by:
                self.usable = False
                self._start_output.add(b"\nnot ready after %g s" % START_S)
                self._child.signal_group(signal.SIGKILL)
            return
        start_us, n = self._current()
        entry = self._flight.get(n)
        if entry is None:
            return
        if n != self._seen:  # the wall clock may jump; it counts for the time since the last look at most
            self._seen = n
            self._seen_at = now - min(max(0.0, (now_us() - start_us) / 1e6), now - before)
        elapsed = now - self._seen_at
        limit = entry[0].timeout_s
        if n in self._cancelled:
            self.end(Outcome.CANCELLED, n)
        elif limit is not None and elapsed >= limit:
            self.end(Outcome.TIMED_OUT, n)
        elif elapsed > SLOW_S and self._asked_back != n:
            self._asked_back = n
            behind = [m for m in self._flight if m > n]
            if behind:
                self._wire.write(_encode({"revoke": behind}))

    def _current(self) -> tuple[int, int]:
        """Start (µs since the epoch) and number of the job that runs; number IDLE when none does."""
        start, n = _MARK.unpack_from(self._memory)
        return start, n

    # --- what the runner says -------------------------------------------------------------------------------

    def _on_nonsense(self) -> None:
        """User code has written into the socket: nothing the runner says can be trusted any more."""
        self.usable = False
        self._child.signal_group(signal.SIGKILL)

    def _on_frame(self, frame: dict[str, Any]) -> None:
        if "done" in frame:
            self._on_done(frame["done"])
        elif "out" in frame:
            n, text = frame["out"]
            self._add_output(n, text.encode("utf-8", "replace"))
        elif "revoked" in frame:
            self._on_revoked(frame["revoked"])
        elif "ready" in frame:
            self.ready = True
            self._on_change(self)

    def _on_done(self, rows: list[list[Any]]) -> None:
        self.started_any = True
        flight, live = self._flight, self._live
        batch: Batch | None = None
        ended: list[tuple[Attempt, Ended]] = []
        for row in rows:
            entry = flight.pop(row[0], None)
            if entry is None:
                continue
            attempt = entry[0]
            if entry[1] is not batch:
                if batch is not None:
                    self._report(batch, ended)
                batch, ended = entry[1], []
            if len(row) == 4 and not live:
                ended.append((attempt, Ended(Outcome.SUCCEEDED, row[1], row[2], cpu_ms=row[3] // 1000)))
            else:
                ended.append((attempt, self._ended(attempt, *row)))
        if batch is not None:
            self._report(batch, ended)

    def _ended(
        self, attempt: Attempt, n: int, start: int, end: int, cpu_us: int, failed: int = 0,
        error_class: str | None = None, error: str | None = None, frames: Iterable[str] | None = None,
        output: str | None = None, result: str | None = None,
    ) -> Ended:  # fmt: skip
        tail = self._live.pop(n, None)
        if tail is not None:
            rest = (output or "").encode()
            if rest and self._on_output is not None:
                self._on_output(attempt.run_id, rest)
            tail.add(rest)
            output = tail.text()
        return Ended(
            Outcome.FAILED if failed else Outcome.SUCCEEDED, start, end, None, error_class, error,
            tuple(frames or ()), output or None, result, None, cpu_us // 1000,
        )  # fmt: skip

    def _on_revoked(self, numbers: list[int]) -> None:
        self._unstarted([(n, *self._flight.pop(n)) for n in numbers if n in self._flight])

    def _unstarted(self, entries: list[tuple[int, Attempt, Batch]]) -> None:
        """These will not start here: give them back, or end them if they were cancelled."""
        now = now_us()
        ended: dict[Batch, list[tuple[Attempt, Ended]]] = {}
        back: dict[Batch, list[Attempt]] = {}
        for n, attempt, batch in entries:
            if n in self._cancelled:
                how = Ended(Outcome.CANCELLED, now, now, error_class="Cancelled", error="cancelled before it started")
                ended.setdefault(batch, []).append((attempt, how))
            else:
                back.setdefault(batch, []).append(attempt)
        for batch, attempts in back.items():
            batch.back(attempts)
            self._less(batch, len(attempts))
        for batch, pairs in ended.items():
            self._report(batch, pairs)

    def _report(self, batch: Batch, ended: list[tuple[Attempt, Ended]]) -> None:
        batch.done(ended)
        self._less(batch, len(ended))

    def _less(self, batch: Batch, count: int) -> None:
        batch.left -= count
        if batch.left or self.gone.done():
            return
        now = time.monotonic()
        self._batches -= 1
        self._last_batch_s = now - max(batch.sent, self._batch_end)
        self._batch_end = now
        if not self._flight:
            self._alone = False
            self._cancelled.clear()
            self.idle_since = now
        self._on_change(self)

    # --- output of descriptors 1 and 2 ----------------------------------------------------------------------

    def _on_pipe(self) -> bool:
        """Read once; False when there is nothing more."""
        n = self._current()[1]
        try:
            chunk = os.read(self._output, _READ)
        except BlockingIOError:
            return False
        if not chunk:
            self._loop.remove_reader(self._output)
            return False
        if not self.ready:
            self._start_output.add(chunk)
        self._add_output(n, chunk)
        return True

    def _add_output(self, n: int, chunk: bytes) -> None:
        entry = self._flight.get(n)
        if entry is None:  # written by what a finished run has left running
            return
        tail = self._live.get(n)
        if tail is None:
            tail = self._live[n] = Tail()
        tail.add(chunk)
        if self._on_output is not None:
            self._on_output(entry[0].run_id, chunk)

    # --- the end --------------------------------------------------------------------------------------------

    def _on_exit(self, _: asyncio.Future[None]) -> None:
        """The process is gone: hear its last words, then say what becomes of what it had."""
        self.usable = False
        while self._wire.read():
            pass
        for _turn in range(64):
            if not self._on_pipe():
                break
        usage = self._child.reap()
        start, current = self._current()
        self.gone.set_result(None)
        self._close()
        self.started_any = self.started_any or current != IDLE
        entries, self._flight = self._flight, {}
        unstarted: list[tuple[int, Attempt, Batch]] = []
        ended: dict[Batch, list[tuple[Attempt, Ended]]] = {}
        for n, (attempt, batch) in entries.items():
            if n > current and (self.ready or n in self._cancelled):
                unstarted.append((n, attempt, batch))
                continue
            if not self.ready:
                how = self._never_ready(usage.code)
            elif n == current:
                how = self._cut_short(attempt, n, start, usage.code, usage.max_rss_kb)
            else:
                how = Ended(
                    Outcome.LOST, start, now_us(), error_class="RunnerCrashed", blamed=False,
                    error="result lost with its runner",
                )  # fmt: skip
            ended.setdefault(batch, []).append((attempt, how))
        for batch, pairs in ended.items():
            self._report(batch, pairs)
        self._unstarted(unstarted)
        self._on_change(self)

    def _never_ready(self, code: int) -> Ended:
        said = last_line(self._start_output.text())
        how = f"signal {-code}" if code < 0 else f"code {code}"
        error = f"python did not start: it exited with {how}" + (f": {said}" if said else "")
        now = now_us()
        return Ended(Outcome.FAILED, now, now, code, "NotStarted", error, output=self._start_output.text())

    def _cut_short(self, attempt: Attempt, n: int, start: int, code: int, rss: int | None) -> Ended:
        """The job that ran when the process ended."""
        tail = self._live.pop(n, None)
        output = tail.text() if tail else None
        outcome, blamed = Outcome.LOST, True
        if self._ending == (Outcome.TIMED_OUT, n):
            outcome, error_class, error = Outcome.TIMED_OUT, "TimedOut", f"timed out after {attempt.timeout_s:g} s"
        elif n in self._cancelled or self._ending == (Outcome.CANCELLED, n):
            outcome, error_class, error = Outcome.CANCELLED, "Cancelled", "cancelled while it ran"
        elif self._ending is not None:
            error_class, error, blamed = "RunnerStopped", "its runner was stopped because of another run", False
        else:
            how = f"signal {-code}" if code < 0 else f"code {code}"
            error_class, error = "RunnerCrashed", f"runner exited with {how}"
        return Ended(
            outcome, start, now_us(), code, error_class, error, output=output, max_rss_kb=rss, blamed=blamed
        )  # fmt: skip

    def _close(self) -> None:
        self._wire.close()
        self._loop.remove_reader(self._output)
        os.close(self._output)
        self._memory.close()
