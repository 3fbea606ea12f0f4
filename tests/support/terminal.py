"""A real terminal for the console: a pty, and an emulator that knows what is on the screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence

import pyte

ASKED = re.compile(rb"\x1b\[\?2026\$p|(?:\x1b\[3b|\x1b\[1;(\d+)H)\x1b\[6n")
"""What is asked of a terminal: whether it draws whole frames, and where its cursor is."""
NOT_EMULATED = re.compile(rb"\x1b\[[?>=<][0-9;]*(?:\$p|u)")
"""Queries and keyboard modes that a terminal swallows and pyte would print."""
TICK_S = 0.01


class Terminal:
    """Runs a program on a pty of a given size, as its controlling terminal, and answers what Textual asks.

    `emulate`: keep a screen for `text`; without it only `raw` and `chunks` are kept, which costs next to nothing.
    `kbit_s`: the speed of the line to the terminal. `hold` stops reading, as a line that stalls does.
    """

    def __init__(
        self,
        args: Sequence[str],
        env: Mapping[str, str],
        columns: int = 120,
        rows: int = 40,
        *,
        emulate: bool = True,
        kbit_s: float | None = None,
        answers: bool = True,
    ) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen) if emulate else None
        self._lock = threading.Lock()
        self._reads = threading.Event()
        self._reads.set()
        self._answers = answers
        self.kbit_s = kbit_s
        self.raw = bytearray()
        self.chunks: list[tuple[float, int]] = []
        """(when, length of `raw` after it) of each piece that was read, by `time.perf_counter`."""
        self._fd = ours

        def begin() -> None:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            list(args), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=begin,
            env={"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", **_bare(env)},
        )  # fmt: skip
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            self._reads.wait()
            size = 65536 if self.kbit_s is None else max(1, int(self.kbit_s * 125 * TICK_S))
            try:
                data = os.read(self._fd, size)
            except OSError:
                return
            if not data:
                return
            self._answer(data)
            with self._lock:
                self.raw += data
                self.chunks.append((time.perf_counter(), len(self.raw)))
                if self._stream is not None:
                    self._stream.feed(NOT_EMULATED.sub(b"", data))
            if self.kbit_s is not None:
                time.sleep(len(data) / (self.kbit_s * 125))

    def _answer(self, data: bytes) -> None:
        known = bytes(self.raw[-16:])  # a question may come in two pieces
        for asked in ASKED.finditer(known + data) if self._answers else ():
            if asked.end() <= len(known):
                continue
            if asked[0].endswith(b"$p"):
                said = b"\x1b[?2026;2$y"
            elif asked[1]:
                said = b"\x1b[1;%bR" % asked[1]
            else:  # behind a character and the same three times more; pyte does not repeat it
                said = b"\x1b[1;5R" if self._stream is None else b"\x1b[1;2R"
            with contextlib.suppress(OSError):
                os.write(self._fd, said)

    def hold(self) -> None:
        """Read nothing any more (what a read that waits already gets is still taken)."""
        self._reads.clear()

    def go_on(self) -> None:
        """Read again."""
        self._reads.set()

    def text(self) -> str:
        """What the screen shows."""
        with self._lock:
            return "\n".join(line.rstrip() for line in self.screen.display)

    def keys(self, text: str | bytes) -> None:
        """Type."""
        os.write(self._fd, text.encode() if isinstance(text, str) else text)

    def resize(self, columns: int, rows: int) -> None:
        """Another size; the program is told."""
        with self._lock:
            self.screen.resize(rows, columns)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self) -> None:
        """Close the terminal, as a line that is cut does."""
        self._answers = False
        fd, self._fd = self._fd, os.open(os.devnull, os.O_RDWR)
        os.close(fd)

    def until(self, words: str | Sequence[str], seconds: float = 20.0, *, gone: bool = False) -> str:
        """Wait until all words are on the screen (or, `gone`, none is); returns the screen."""
        wanted = [words] if isinstance(words, str) else list(words)
        deadline = time.monotonic() + seconds
        while True:
            text = self.text()
            there = [w in text for w in wanted]
            if (not any(there)) if gone else all(there):
                return text
            assert self.process.poll() is None, f"the program ended ({self.process.returncode}):\n{text}"
            assert time.monotonic() < deadline, f"{'still' if gone else 'not'} there: {wanted}\n{text}"
            time.sleep(0.03)

    def until_raw(self, wanted: bytes, seconds: float = 20.0, *, after: int = 0) -> int:
        """Wait until those bytes have been written, `after` so many others; where they end."""
        deadline = time.monotonic() + seconds
        while (at := self.raw.find(wanted, after)) < 0:
            assert time.monotonic() < deadline, f"not written: {wanted!r}; the end: {bytes(self.raw[-300:])!r}"
            time.sleep(0.002)
        return at + len(wanted)

    def frame(self, key: str, still_s: float = 0.4) -> bytes:
        """The frame in which a list's cursor moves; it begins when nothing else is written."""
        self.quiet(still_s)
        before = len(self.raw)
        self.keys(key)
        end = self.until_raw(b"\x1b[?2026l", after=self.until_raw("▌".encode(), after=before))
        return bytes(self.raw[self.raw.rindex(b"\x1b[?2026h", before, end) : end])

    def arrived(self, position: int) -> float:
        """When the byte before `position` in `raw` was read, by `time.perf_counter`."""
        with self._lock:
            return next(at for at, end in self.chunks if end >= position)

    def quiet(self, seconds: float = 0.4, most: float = 10.0) -> None:
        """Wait until nothing has been written for so long."""
        deadline = time.monotonic() + most
        while time.monotonic() < deadline:
            last = self.chunks[-1][0] if self.chunks else self.started
            if time.perf_counter() - last >= seconds:
                return
            time.sleep(0.02)

    def left_behind(self) -> list[str]:
        """What the program has left behind in the terminal: nothing, if it is well-behaved."""
        raw, left = bytes(self.raw), []
        modes = dict(re.findall(rb"\x1b\[\?(\d+)([hl])", raw))
        left += [f"mode {n.decode()} is on" for n, state in modes.items() if state == b"h" and n not in (b"25", b"7")]
        left += [f"mode {n.decode()} is off" for n in (b"25", b"7") if modes.get(n) == b"l"]
        if raw.count(b"\x1b[<u") < len(re.findall(rb"\x1b\[>\d*u", raw)):
            left.append("the keyboard protocol is on")
        lines = termios.tcgetattr(self._fd)[3]
        left += [name for name in ("ICANON", "ECHO", "ISIG") if not lines & getattr(termios, name)]
        return left

    def ended(self, seconds: float = 10.0) -> int:
        """Wait for the program to end; returns its exit code."""
        return self.process.wait(seconds)

    def close(self) -> None:
        """End it if it still runs."""
        self.kbit_s = None
        self._reads.set()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._reader.join(5)  # the next terminal gets the number of our file: nobody else may read from it
        os.close(self._fd)


def _bare(env: Mapping[str, str]) -> dict[str, str]:
    """`env` without what whoever runs the tests has set for a terminal of his own."""
    own = {"TERM", "COLORTERM", "LANG", "NO_COLOR", "COLUMNS", "LINES", "LC_ALL", "TMUX", "STY"}
    return {name: value for name, value in env.items() if name not in own or value != os.environ.get(name)}
