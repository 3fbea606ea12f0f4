"""The console in tmux: what an operator types and sees. A server of its own, which ends with the test."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence

NAMES = {"Enter": "Enter", "Esc": "Escape", "Tab": "Tab", "Space": "Space"}
"""Keys as the guide writes them, and as tmux does."""


class Tmux:
    """A terminal of a given size with a program in it. `pressed`: every key, as the guide writes it."""

    def __init__(self, args: Sequence[str], env: Mapping[str, str], columns: int = 120, rows: int = 36) -> None:
        program = shutil.which("tmux")
        assert program, "these tests need tmux: apt-get install tmux"
        self._folder = tempfile.mkdtemp(prefix="tm-")  # short: the path of a socket has hardly more than 100 bytes
        self._tmux = [program, "-u", "-S", f"{self._folder}/s", "-f", "/dev/null"]
        self.pressed: list[str] = []
        words = [f"{name}={value}" for name, value in env.items()]
        self._run("new-session", "-d", "-x", str(columns), "-y", str(rows), "env", "-i", *words, *args)

    def _run(self, *args: str) -> str:
        return subprocess.run([*self._tmux, *args], check=True, capture_output=True, encoding="utf-8").stdout

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.pressed.append(key)
            self._run("send-keys", *([NAMES[key]] if key in NAMES else ["-l", key]))

    def screen(self) -> str:
        """What is to be seen."""
        return self._run("capture-pane", "-p")

    def until(self, *words: str, seconds: float = 90.0) -> str:
        """Wait until all words are to be seen; the screen."""
        return self._wait(words, True, seconds)

    def gone(self, *words: str, seconds: float = 90.0) -> str:
        """Wait until none of these words is to be seen any more."""
        return self._wait(words, False, seconds)

    def _wait(self, words: Sequence[str], there: bool, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while True:
            text = self.screen()
            if all((word in text) is there for word in words):
                return text
            assert time.monotonic() < deadline, f"{'not' if there else 'still'} there: {words}\n{text}"
            time.sleep(0.05)

    def close(self) -> None:
        """End the server, and what runs in it."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)
        shutil.rmtree(self._folder, ignore_errors=True)
