"""A real terminal for the console: a pty, and an emulator that knows what is on the screen."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence

import pyte


class Terminal:
    """Runs a program on a pty of a given size."""

    def __init__(self, args: Sequence[str], env: Mapping[str, str], columns: int = 120, rows: int = 40) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self.raw = bytearray()
        self._fd = ours
        self.process = subprocess.Popen(
            list(args), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # whoever runs the tests may ignore it
            env={**env, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"},
        )  # fmt: skip
        os.close(theirs)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                return
            if not data:
                return
            with self._lock:
                self.raw += data
                self._stream.feed(data)

    def text(self) -> str:
        """What the screen shows."""
        with self._lock:
            return "\n".join(line.rstrip() for line in self.screen.display)

    def keys(self, text: str) -> None:
        """Type."""
        os.write(self._fd, text.encode())

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

    def ended(self, seconds: float = 10.0) -> int:
        """Wait for the program to end; returns its exit code."""
        return self.process.wait(seconds)

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._fd)
