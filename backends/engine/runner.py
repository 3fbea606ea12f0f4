"""The runner: executes Python jobs under the user's own interpreter. One file, standard library only, Python 3.8+.

Started by the engine as ``python runner.py SOCKET MEMORY OUTPUT`` (numbers of inherited descriptors):

* SOCKET: a stream socket. Frames are a 4-byte little-endian length and a body.
  To the runner: ``[[n, task, run_id, attempt, job, scheduled_for, payload_length], ...] NEWLINE [payload, ...]``, or a
  JSON object ``{"revoke": [n, ...]}`` or ``{"stop": true}``.
  To the engine, all JSON: ``{"ready": {...}}``, ``{"out": [n, text]}``, ``{"revoked": [n, ...]}`` and
  ``{"done": [[n, start_us, end_us, cpu_us] + optional [failed, class, error, frames, output, result], ...]}``.
* MEMORY: 16 shared bytes, two int64: the start (µs since the epoch) and the number n of the job that runs; -1: idle.
  They are written before each job, so that the engine knows what a crash or a time limit hit.
* OUTPUT: the read end of the pipe that is descriptors 1 and 2. The engine reads it while a job runs; what is left when
  a job ends is read here, so that it belongs to the right run. What ``sys.stdout`` and ``sys.stderr`` get stays here.

Jobs run in order, in the main thread. A second thread, asleep while there is nothing to do, sends results and output
while a long job runs and gives back jobs that have not started. When the engine is gone, the runner leaves at once.
"""

from __future__ import annotations

import collections
import ctypes
import fcntl
import importlib
import io
import json
import mmap
import os
import signal
import socket
import struct
import sys
import termios
import threading
import time
from typing import Any, Callable, Iterator, NoReturn  # noqa: UP035 - Python 3.8

TICK_S = 0.02
OUTPUT_MOST = 65536
RESULT_MOST = 8192
ERROR_MOST = 4000
CLASS_MOST = 200
FRAMES = 5
IDLE = -1
LENGTH = struct.Struct("<I")
MARK = struct.Struct("<qq")
HERE = os.path.abspath(__file__)
LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
NOTHING = struct.pack("=i", 0)


class BadPayload:
    """Stands in for a payload that this Python can't read."""

    def __init__(self, why: str) -> None:
        self.why = why


class Capture(io.TextIOBase):
    """``sys.stdout`` and ``sys.stderr``: keeps the newest text of the run that writes."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self) -> None:
        super().__init__()
        self.chunks: collections.deque[str] = collections.deque()
        self.size = 0
        self.lock = threading.Lock()
        self.buffer = RawCapture(self)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not " + type(text).__name__)
        self.chunks.append(text[-OUTPUT_MOST:])
        self.size += len(text)  # other threads may write too: it need not be exact
        if self.size > 2 * OUTPUT_MOST:
            with self.lock:
                kept = "".join(take_all(self.chunks))[-OUTPUT_MOST:]
                self.chunks.appendleft(kept)
                self.size = len(kept)
        return len(text)

    def take(self) -> str:
        """What was written since the last call."""
        with self.lock:
            self.size = 0
            return "".join(take_all(self.chunks))[-OUTPUT_MOST:]

    def fileno(self) -> int:
        return 1

    def reconfigure(self, **_: Any) -> None:
        """Accepted and ignored, as programs call it on the real thing."""

    def close(self) -> None:
        """The next run needs it."""


class RawCapture(io.BufferedIOBase):
    """``sys.stdout.buffer``."""

    def __init__(self, text: Capture) -> None:
        super().__init__()
        self.text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self.text.write(raw.decode("utf-8", "replace"))
        return len(raw)

    def fileno(self) -> int:
        return 1

    def close(self) -> None:
        """The next run needs it."""


class Variable:
    """One environment variable whose value changes with every run.

    setenv(3) never frees an old value, which at 50,000 runs a second is megabytes a second. So the variable is put
    there once, with putenv(3), and its value is overwritten in place.
    """

    def __init__(self, name: str, room: int) -> None:
        self.name = name
        self.key = name.encode()
        self.start = len(self.key) + 1
        self.value = b""
        self.places: list[Any] = []
        self.putenv = ctypes.CDLL(None).putenv
        self.python: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
        os.environ.pop(name, None)
        self.grow(room)

    def grow(self, room: int) -> None:
        """A larger place, not set as yet. The old one stays: somebody may hold a pointer into it."""
        self.room = room
        self.places.append(ctypes.create_string_buffer(self.key + b"=", self.start + room + 1))
        self.bytes = memoryview(self.places[-1]).cast("B")
        self.there = False

    def set(self, text: str) -> None:
        """Set the variable; an empty text unsets it."""
        value = text.encode("utf-8", "replace")
        if value == self.value:
            return
        self.value = value
        if not value:
            os.environ.pop(self.name, None)
            self.there = False
            return
        if len(value) > self.room:
            self.grow(2 * len(value))
        self.bytes[self.start : self.start + len(value) + 1] = value + b"\0"
        self.python[self.key] = value
        if not self.there:
            self.putenv(self.places[-1])
            self.there = True


class Runner:
    """All of a runner process."""

    def __init__(self, sock: socket.socket, memory: mmap.mmap, output: int) -> None:
        self.sock = sock
        self.memory = memory
        self.output = output
        self.received = bytearray()
        self.todo: collections.deque[tuple[list[Any], Any]] = collections.deque()
        self.done: collections.deque[list[Any]] = collections.deque()
        self.capture = Capture()
        self.captured = IDLE  # the run whose output was taken last: it has ended
        self.setters = [variable.set for variable in variables()]
        self.functions: dict[str, Callable[..., Any]] = {}
        self.loop: Any = None
        self.busy = threading.Event()
        self.reading = threading.Lock()
        self.sending = threading.Lock()
        self.ending = threading.Lock()  # between "output taken" and "output sent"
        self.stopping = False
        self.terminating = False
        self.in_job = False
        self.forked = False

    # --- frames ---------------------------------------------------------------------------------------------

    def send(self, what: dict[str, Any]) -> None:
        data = json.dumps(what, separators=(",", ":")).encode("ascii")
        try:
            self.sock.sendall(LENGTH.pack(len(data)) + data)
        except OSError:
            os._exit(1)  # the engine is gone

    def say(self, what: dict[str, Any]) -> None:
        """Send one frame."""
        with self.sending:
            self.send(what)

    def flush(self) -> None:
        """Send the results there are. On return nothing that was finished before is unsent."""
        with self.sending:
            rows = take_all(self.done)
            if rows:
                self.send({"done": rows})

    def receive(self, flags: int) -> None:
        """Read what the engine has sent. With MSG_DONTWAIT it may be nothing."""
        try:
            data = self.sock.recv(1 << 20, flags)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            os._exit(0)  # the engine is gone: nobody waits for what runs here
        received = self.received
        received += data
        while len(received) >= 4:
            end = 4 + LENGTH.unpack_from(received)[0]
            if len(received) < end:
                return
            body = bytes(received[4:end])
            del received[:end]
            self.accept(body)

    def accept(self, body: bytes) -> None:
        """Act on one frame."""
        if body[:1] == b"{":
            order = json.loads(body)
            if "revoke" in order:
                self.revoke(set(order["revoke"]))
            else:
                self.stopping = True
            return
        head, _, rest = body.partition(b"\n")
        heads = json.loads(head)
        try:
            payloads = json.loads(rest)
        except (ValueError, RecursionError):
            payloads = []
        if len(payloads) != len(heads):  # one of them can't be read: find out which
            payloads, at = [], 1
            for one in heads:
                payloads.append(parse(rest[at : at + one[6]]))
                at += one[6] + 1
        self.todo.extend(zip(heads, payloads))  # noqa: B905 - Python 3.8

    def revoke(self, numbers: set[int]) -> None:
        """Give back those that have not started. The main thread may take jobs meanwhile: each is in one hand only."""
        kept, gone = [], []
        for job in take_all(self.todo):
            if job[0][0] in numbers:
                gone.append(job[0][0])
            else:
                kept.append(job)
        self.todo.extend(kept)
        self.flush()
        self.say({"revoked": gone})

    # --- the two threads ------------------------------------------------------------------------------------

    def serve(self) -> None:
        """The main thread: wait for jobs, run them, send results."""
        while True:
            with self.reading:
                while not self.todo:
                    if self.stopping:
                        return
                    self.receive(0)
            self.busy.set()
            self.run_all()
            self.flush()
            self.busy.clear()
            MARK.pack_into(self.memory, 0, 0, IDLE)

    def watch(self) -> None:
        """The second thread: while jobs run, send what is finished and hear what the engine wants."""
        last = IDLE
        while True:
            self.busy.wait()
            time.sleep(TICK_S)
            current = MARK.unpack_from(self.memory)[1]
            self.flush()
            if current == last:
                self.send_output()
            last = current
            with self.reading:
                if self.busy.is_set():
                    self.receive(socket.MSG_DONTWAIT)

    def send_output(self) -> None:
        """Send what the job that runs has written so far."""
        with self.ending:
            current = MARK.unpack_from(self.memory)[1]
            if self.capture.chunks and current not in (IDLE, self.captured):
                self.say({"out": [current, clean(self.capture.take())]})

    # --- running --------------------------------------------------------------------------------------------

    def run_all(self) -> None:
        """Run what there is to do. Nothing that user code raises gets out of here."""
        popleft, append, functions = self.todo.popleft, self.done.append, self.functions
        mark, memory, capture, ending = MARK.pack_into, self.memory, self.capture, self.ending
        time_ns, cpu_ns = time.time_ns, time.process_time_ns
        ioctl, fionread, output = fcntl.ioctl, termios.FIONREAD, self.output
        set_run, set_attempt, set_job, set_at = self.setters
        start, cpu = time_ns() // 1000, cpu_ns()
        while True:
            try:
                head, payload = popleft()
            except IndexError:
                return
            n, task = head[0], head[1]
            mark(memory, 0, start, n)
            set_run(head[2])
            set_attempt(str(head[3]))
            set_job(head[4])
            set_at(head[5])
            failure = result = None
            try:
                self.in_job = True
                function = functions.get(task) or self.find(task)
                if payload.__class__ is BadPayload:
                    raise ValueError(payload.why)
                value = function(**payload)
                if value is not None:
                    if hasattr(value, "__await__"):
                        value = self.wait_for(value)
                    if value is not None:
                        result = as_result(value)
                self.in_job = False
            except BaseException as error:
                self.in_job = False
                failure = describe(error)
            if self.forked:
                os._exit(1 if failure else 0)  # a child that user code forked has come back to the wrong place
            if self.terminating:
                self.leave()
            with ending:
                text = capture.take() if capture.chunks else ""
                self.captured = n
            if ioctl(output, fionread, NOTHING) != NOTHING:
                text += self.drain()
            if sys.stdout is not capture or sys.stderr is not capture:
                sys.stdout = sys.stderr = capture
            end, cpu_end = time_ns() // 1000, cpu_ns()
            row = [n, start, end, (cpu_end - cpu) // 1000]
            if failure is not None:
                text += failure.pop()
                row += [1, *failure, clean(text[-OUTPUT_MOST:]), None]
            elif text or result is not None:
                row += [0, None, None, None, clean(text[-OUTPUT_MOST:]), result]
            append(row)
            start, cpu = end, cpu_end

    def find(self, task: str) -> Callable[..., Any]:
        """Import ``pkg.mod:func``; what failed is tried anew the next time."""
        module_name, _, path = task.partition(":")
        try:
            found: Any = importlib.import_module(module_name)
        except BaseException:
            importlib.invalidate_caches()
            raise
        for part in path.split("."):
            try:
                found = getattr(found, part)
            except AttributeError:
                raise ImportError("no function '" + path + "' in module '" + module_name + "'") from None
        if not callable(found):
            raise TypeError("'" + path + "' in module '" + module_name + "' can't be called")
        self.functions[task] = function = found
        return function  # type: ignore[no-any-return]

    def wait_for(self, awaitable: Any) -> Any:
        """Run an awaitable on the one event loop of this process; tasks that it leaves go on with the next one."""
        import asyncio

        if self.loop is None or self.loop.is_closed():
            self.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self.loop)
        return self.loop.run_until_complete(awaitable if asyncio.iscoroutine(awaitable) else wrap(awaitable))

    def drain(self) -> str:
        """What is left in the pipe of descriptors 1 and 2."""
        parts = []
        for _ in range(16):
            try:
                parts.append(os.read(self.output, 1 << 16))
            except BlockingIOError:
                break
        return b"".join(parts)[-OUTPUT_MOST:].decode("utf-8", "replace")

    # --- the end --------------------------------------------------------------------------------------------

    def on_term(self, *_: Any) -> None:
        """SIGTERM: the engine ends the current job. Its ``finally`` blocks run, then this process leaves."""
        self.terminating = True
        if self.in_job:
            raise SystemExit("terminated")
        if not self.busy.is_set():
            os._exit(143)

    def leave(self) -> NoReturn:
        """Say what there is to say, and end; the job that runs stays marked as the one that was cut short."""
        with self.ending:
            text = self.capture.take() + self.drain()
            if text:
                self.say({"out": [MARK.unpack_from(self.memory)[1], clean(text)]})
        self.flush()
        os._exit(143)

    def on_fork(self) -> None:
        """In a child that user code forked: the socket is not its own."""
        self.forked = True
        self.sock.close()


def take_all(items: collections.deque[Any]) -> list[Any]:
    """Empty a deque that other threads use; each item comes out in one place only."""
    taken: list[Any] = []
    while True:
        try:
            taken.append(items.popleft())
        except IndexError:
            return taken


async def wrap(awaitable: Any) -> Any:
    """Any awaitable as a coroutine."""
    return await awaitable


def parse(text: bytes) -> Any:
    """One payload."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return BadPayload("the payload can't be read: " + str(error))


def clean(text: str) -> str:
    """Valid Unicode without NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")


def as_result(value: Any) -> str:
    """A return value as JSON of at most RESULT_MOST bytes; what JSON can't say, or not so short, as its repr's head."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if len(text.encode("utf-8")) <= RESULT_MOST and "\\u0000" not in text:
            return text
    except (TypeError, ValueError, RecursionError):
        pass
    try:
        shown = repr(value)[: RESULT_MOST // 8]
    except Exception:
        shown = "<its text can't be read>"
    return json.dumps(clean(shown), ensure_ascii=False)


def describe(error: BaseException) -> list[Any]:
    """What is recorded of an exception: class, one line, the user's own frames, the traceback as Python prints it."""
    import traceback

    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = kind.__module__ + "." + name
    name = name[:CLASS_MOST]
    try:
        message = str(error)
    except BaseException:
        message = "<its text can't be read>"
    line = " ".join((name + ": " + message if message else name).split())
    trace = error.__traceback__
    while trace is not None and not is_foreign(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    frames = []
    step = trace
    while step is not None:
        code = step.tb_frame.f_code
        if is_users(code.co_filename):
            frames.append(str(step.tb_frame.f_globals.get("__name__")) + ":" + code.co_name)
        step = step.tb_next
    try:
        text = "".join(traceback.format_exception(kind, error, trace))
    except BaseException:
        text = line + "\n"
    return [clean(name), clean(line[:ERROR_MOST]), [clean(f) for f in frames[-FRAMES:]], text]


def is_foreign(path: str) -> bool:
    """Is this file not the runner?"""
    return path not in (HERE, __file__)


def is_users(path: str) -> bool:
    """Is this file the user's own: neither a library nor Python itself?"""
    if path.startswith(("<", LIBRARY)) or "site-packages" in path or "dist-packages" in path:
        return False
    return is_foreign(path)


def variables() -> Iterator[Variable]:
    """The variables that change from run to run, in the order of a job's head."""
    for name, room in (("RUN_ID", 40), ("ATTEMPT", 16), ("JOB", 200), ("SCHEDULED_FOR", 80)):
        yield Variable("CRONSOLE_" + name, room)


def main() -> None:
    """Begin: take over the descriptors, make ``sys.path`` what ``python -m`` makes it, serve."""
    import faulthandler

    sock_fd, memory_fd, output = (int(word) for word in sys.argv[1:4])
    for descriptor in (sock_fd, memory_fd, output):
        os.set_inheritable(descriptor, False)
    del sys.argv[1:]
    if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(HERE):
        sys.path[0] = os.getcwd()
    else:
        sys.path.insert(0, os.getcwd())
    faulthandler.enable(file=2)
    memory = mmap.mmap(memory_fd, MARK.size)
    os.close(memory_fd)
    runner = Runner(socket.socket(fileno=sock_fd), memory, output)
    sys.stdout = sys.stderr = runner.capture
    signal.signal(signal.SIGTERM, runner.on_term)
    os.register_at_fork(after_in_child=runner.on_fork)
    threading.Thread(target=runner.watch, name="cronsole", daemon=True).start()
    runner.say({"ready": {"pid": os.getpid(), "python": sys.version.split()[0]}})
    try:
        runner.serve()
    except BaseException:
        if runner.terminating:
            runner.leave()
        raise


if __name__ == "__main__":
    main()
