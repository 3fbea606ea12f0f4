"""One clock for the embedded servers and for this process: it stands still until it is moved.

The servers run under libfaketime (Debian: faketime), which reads a file; here `time.time_ns` and `time.time` answer the
same. What waits, waits by the monotonic clock, which nobody touches.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from backends import embedded_places

LIBRARIES = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")


class Clock:
    """Milliseconds since the epoch, for everybody. To be made before the servers are started."""

    def __init__(self, file: Path, ms: int) -> None:
        library = next(LIBRARIES, None)
        if library is None:
            raise SystemExit("the servers' clock can't be set: apt-get install faketime")
        self._file = file
        self._offset_ms: int | None = None
        self._real_ns = time.time_ns
        self.set(ms)
        file.chmod(0o644)  # PostgreSQL may have to run as another user
        clean = embedded_places.clean_env
        fake = {
            "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1", "NO_FAKE_STAT": "1",
        }  # fmt: skip
        embedded_places.clean_env = lambda: {**clean(), **fake}
        time.time_ns = lambda: self.ms * 1_000_000
        time.time = lambda: self.ms / 1000

    @property
    def ms(self) -> int:
        """What time it is."""
        return self._ms if self._offset_ms is None else self._real_ns() // 1_000_000 + self._offset_ms

    def __call__(self) -> int:
        return self.ms

    @property
    def runs(self) -> bool:
        """Whether time passes by itself."""
        return self._offset_ms is not None

    def set(self, ms: int) -> None:
        """Now it is this time."""
        self._ms = ms
        self._write(f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S.%f}")

    def run(self) -> int:
        """From now on time passes; how many seconds it is away from the machine's own."""
        seconds = round(self._ms / 1000 - self._real_ns() / 1e9)
        self._offset_ms = seconds * 1000
        self._write(f"{seconds:+d}")
        return seconds

    def _write(self, text: str) -> None:
        new = self._file.with_suffix(".new")  # nobody may ever read half of it
        new.write_text(text + "\n")
        new.chmod(0o644)
        os.replace(new, self._file)
