"""What goes into an executor and what comes out, and what all executors share."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping

import msgspec

from backends.jobs.spec import JobSpec
from backends.model import Outcome

OUTPUT_MOST = 65_536
"""Bytes of output that are kept of a run: its tail."""
ERROR_MOST = 4_000
LINE_MOST = 500
PAYLOAD_ENV_MOST = 100_000
"""Bytes of payload that a command gets as CRONSOLE_PAYLOAD; Linux takes 128 kB a variable. Larger: not set."""
SCHEDULED_FOR_MOST = 64
SECRETS = ("CRONSOLE_REDIS_URL", "CRONSOLE_POSTGRES_URL")
"""The engine's own passwords: a job gets them only when its own `env` says so."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Attempt(msgspec.Struct, frozen=True):
    """One attempt on its way to an executor."""

    run_id: str
    attempt: int
    job: JobSpec
    payload_raw: bytes = b"{}"  # the text of a JSON object; executors pass it on undecoded
    queue: str = "default"
    trigger: str = "enqueue"
    scheduled_for: str | None = None
    timeout_s: float | None = None
    alone: bool = False  # it was there when something crashed: no other attempt shares its runner


class Ended(msgspec.Struct, frozen=True, gc=False):
    """How an attempt ended. Times are microseconds since the epoch. All text is valid UTF-8 without NUL."""

    outcome: Outcome
    started_us: int
    finished_us: int
    exit_code: int | None = None  # command: code, negative for a signal; HTTP: status
    error_class: str | None = None
    error: str | None = None  # one line, at most ERROR_MOST characters
    frames: tuple[str, ...] = ()  # `module:function` of the user's code, innermost last
    output: str | None = None  # tail, at most OUTPUT_MOST bytes
    result: str | None = None  # JSON, at most 8 kB
    max_rss_kb: int | None = None
    cpu_ms: int | None = None
    blamed: bool = True  # False on LOST: the attempt did not cause it


def now_us() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def failed(started_us: int, error_class: str, error: str) -> Ended:
    """An attempt that could not even begin, or broke without output."""
    return Ended(Outcome.FAILED, started_us, now_us(), error_class=error_class, error=one_line(error, ERROR_MOST))


def one_line(text: str, most: int = LINE_MOST) -> str:
    """`text` on one line, without control characters and terminal escapes, at most `most` characters."""
    line = _CONTROL.sub(" ", _ESCAPES.sub("", text[: 4 * most]))
    line = " ".join(line.split()).encode("utf-8", "replace").decode()
    return line if len(line) <= most else line[: most - 1] + "…"


def last_line(output: str | None) -> str:
    """The last line of `output` that says something."""
    for line in reversed((output or "")[-8 * LINE_MOST :].splitlines()):
        if text := one_line(line):
            return text
    return ""


class Tail:
    """The newest `most` bytes of a stream of any length."""

    __slots__ = ("_data", "_most")

    def __init__(self, most: int = OUTPUT_MOST) -> None:
        self._data = bytearray()
        self._most = most

    def add(self, chunk: bytes) -> None:
        """Append; what is too old is forgotten."""
        self._data += chunk
        if len(self._data) > 2 * self._most:
            del self._data[: len(self._data) - self._most]

    def text(self) -> str | None:
        """The tail as text, at most `most` bytes of UTF-8, without NUL; None if there is none."""
        data = bytes(self._data[-self._most :])
        text = data.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        if len(self._data) > self._most:
            text = text.lstrip("\N{REPLACEMENT CHARACTER}")  # half a character at the cut
        encoded = text.encode()
        if len(encoded) > self._most:
            text = encoded[-self._most :].decode("utf-8", "ignore")
        return text or None


def job_environ(job_env: Mapping[str, str]) -> dict[str, str]:
    """The engine's environment without its passwords, plus the job's own."""
    env = {k: v for k, v in os.environ.items() if k not in SECRETS}
    env.update(job_env)
    return env


def scheduled_for(attempt: Attempt) -> str:
    """The planned instant as it goes to the job; what a producer wrote there and can't be a time is left out."""
    at = attempt.scheduled_for or ""
    return at if len(at) <= SCHEDULED_FOR_MOST and at.isascii() and at.isprintable() else ""


def attempt_environ(attempt: Attempt) -> dict[str, str]:
    """Everything that a process started for `attempt` gets as environment."""
    env = job_environ(attempt.job.env)
    env["CRONSOLE_RUN_ID"] = attempt.run_id
    env["CRONSOLE_ATTEMPT"] = str(attempt.attempt)
    env["CRONSOLE_JOB"] = attempt.job.name
    env["CRONSOLE_SCHEDULED_FOR"] = scheduled_for(attempt)
    env.pop("CRONSOLE_PAYLOAD", None)
    if len(attempt.payload_raw) <= PAYLOAD_ENV_MOST:
        env["CRONSOLE_PAYLOAD"] = os.fsdecode(attempt.payload_raw)
    return env
