"""What a job file says, checked and complete: every default applied, every duration in seconds."""

from __future__ import annotations

import random as _random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import msgspec

from backends.errors import BadInputError
from backends.jobs.words import nearest
from backends.model import Catchup, Overlap

JobKind = Literal["command", "task", "http"]

BACKOFF_CAP_S = 600.0
CATCHUP_WINDOW_S = 86_400.0
CATCHUP_MAX = 10
GRACE_S = 10.0
HOT_MAX = 1_000_000


class BackoffKind(StrEnum):
    """How the wait between attempts grows."""

    EXPONENTIAL = "exponential"
    LINEAR = "linear"
    FIXED = "fixed"


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long a failed run waits for its next attempt. Times are seconds."""

    kind: BackoffKind = BackoffKind.EXPONENTIAL
    base_s: float = 10.0
    cap_s: float = BACKOFF_CAP_S
    jitter: bool = True

    def delay_s(self, failures: int, random: Callable[[], float] = _random.random) -> float:
        """Seconds to wait after the `failures`-th failure (counted from 1).

        With n = failures: exponential ``base · 2ⁿ⁻¹``, linear ``base · n``, fixed ``base``; never more than ``cap``.
        With jitter the result is multiplied by a number from 0.5 to 1 (``0.5 + random() / 2``), so that runs that
        failed together do not come back together, and the cap still holds.
        """
        n = max(1, failures)
        match self.kind:
            case BackoffKind.EXPONENTIAL:
                delay = self.base_s * 2.0 ** min(n - 1, 64)
            case BackoffKind.LINEAR:
                delay = self.base_s * n
            case BackoffKind.FIXED:
                delay = self.base_s
        delay = min(delay, self.cap_s)
        return delay * (0.5 + random() / 2) if self.jitter else delay


class HttpSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP call. `expect` is the status that means success; None: any 2xx. The time limit is the job's."""

    url: str
    method: str = "GET"
    expect: int | tuple[int, ...] | None = None
    headers: dict[str, str] = {}
    body: Any = None  # text is sent as it is; anything else as JSON


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One job of a job file. Exactly one of `command`, `task` and `http` is set, and `kind` says which."""

    name: str
    kind: JobKind
    description: str = ""
    schedule: str | None = None  # None: a handler, run by name only
    timezone: str = "UTC"
    queue: str = "default"
    command: str | tuple[str, ...] | None = None  # a string goes to /bin/sh, a list is run as it is
    task: str | None = None  # "pkg.mod:func"
    python: str | None = None  # interpreter of a task; None: the engine's own
    http: HttpSpec | None = None
    env: dict[str, str] = {}
    cwd: str | None = None  # absolute; None only where there is no job file
    timeout_s: float | None = None
    attempts: int = 3  # in all
    backoff: Backoff = Backoff()
    overlap: Overlap = Overlap.SKIP
    catchup: Catchup = Catchup.LATEST
    catchup_window_s: float = CATCHUP_WINDOW_S  # a missed fire older than this is not caught up
    catchup_max: int = CATCHUP_MAX  # so many missed fires are run at most with catchup "all": the newest
    jitter_s: float = 0.0  # a fire starts up to this late, by the same amount every time
    overdue_after_s: float | None = None
    priority: int = 1  # 0 first, 2 last
    payload: dict[str, Any] = {}  # of fires, and of triggers that bring none
    grace_s: float = GRACE_S  # between the polite and the forced end

    def to_row(self) -> dict[str, Any]:
        """This job as JSON-able data; :meth:`from_row` gives back an equal one."""
        row = msgspec.to_builtins(self)
        assert isinstance(row, dict)
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any] | bytes | str) -> JobSpec:
        """The job of a row or of its JSON text. Keys of a newer release are ignored. Raises BadInputError."""
        try:
            if isinstance(row, bytes | str):
                return msgspec.json.decode(row, type=cls)
            return msgspec.convert(row, cls)
        except msgspec.MsgspecError as error:
            raise BadInputError(f"a published job can't be read: {error}", "publish the job file again") from error


class QueueSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One queue. With inbox "list", other programs RPUSH envelopes to the Redis list `inbox_key`."""

    name: str
    inbox: Literal["list"] | None = None
    inbox_key: str = ""
    concurrency: int | None = None  # runs at once on one engine; None: as many as the engine has slots
    hot_max: int = HOT_MAX  # dead letters in Redis; the oldest beyond go to the archive in Postgres

    def __post_init__(self) -> None:
        if not self.inbox_key:
            msgspec.structs.force_setattr(self, "inbox_key", self.name)


@dataclass(frozen=True, slots=True)
class JobFile:
    """A whole job file. Every queue that a job names is in `queues`."""

    path: Path | None = None
    jobs: dict[str, JobSpec] = field(default_factory=dict)
    queues: dict[str, QueueSpec] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def job(self, name: str) -> JobSpec:
        """The job of that name. Raises BadInputError with the nearest names."""
        try:
            return self.jobs[name]
        except KeyError:
            where = str(self.path) if self.path else "the job file"
            close = nearest(name, self.jobs, count=3)
            if close:
                remedy = "did you mean " + " or ".join(f"'{c}'" for c in close) + "?"
            elif self.jobs:
                remedy = f"`cronsole jobs` lists the {len(self.jobs)} there are"
            else:
                remedy = "it has no jobs"
            raise BadInputError(f"no job '{name}' in {where}", remedy) from None
