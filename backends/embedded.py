"""A private Valkey and a private PostgreSQL for everyone who has configured none.

All processes of a user share them. Each holds a shared lock on ``holders.lock`` while it lives; the kernel gives it
back however the process ends. A small watcher waits for the exclusive lock: when it gets it, nobody is left, and it
stops both servers. Starting and stopping happen under ``start.lock`` alone, so neither can meet the other half-way.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from backends import embedded_servers as servers
from backends.errors import UnreachableError

WATCHER_S = 5.0


@dataclass
class Holder:
    """Keeps the servers alive until it is released. The last one out stops them."""

    redis_url: str | None
    postgres_url: str | None
    _lock: int | None = field(default=None, repr=False)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@dataclass(frozen=True, slots=True)
class EmbeddedStatus:
    """What runs in a data directory: process ids, None where nothing does."""

    valkey_pid: int | None
    postgres_pid: int | None
    redis_url: str
    postgres_url: str


def open_lock(path: Path) -> int:
    """Open a lock file. The descriptor is close-on-exec: a child must not keep the servers alive."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def acquire(data_dir: Path, *, redis: bool = True, postgres: bool = True) -> Holder:
    """Start what is asked for and does not run yet, and hold it. Blocking: up to a second or two the first time."""
    if sys.platform == "win32":
        raise UnreachableError("there are no embedded servers on Windows", servers.NO_WHEEL)
    try:
        at = servers.layout(data_dir)
        start = open_lock(at.root / "start.lock")
    except OSError as error:
        raise UnreachableError(
            f"the data directory {data_dir} can't be used: {error.strerror}", "set CRONSOLE_DATA_DIR to another one"
        ) from error
    held: int | None = None
    try:
        fcntl.flock(start, fcntl.LOCK_EX)
        held = open_lock(at.root / "holders.lock")
        fcntl.flock(held, fcntl.LOCK_SH)
        if redis:
            servers.start_valkey(at)
        if postgres:
            servers.start_postgres(at)
        _watch(at.root)
    except BaseException:
        if held is not None:
            os.close(held)
        raise
    finally:
        os.close(start)
    return Holder(at.redis_url if redis else None, at.postgres_url if postgres else None, held)


def status(data_dir: Path) -> EmbeddedStatus:
    """What runs there now."""
    at = servers.layout(data_dir)
    valkey, postgres = servers.valkey_process(at), servers.postgres_process(at)
    return EmbeddedStatus(
        valkey.pid if valkey else None, postgres.pid if postgres else None, at.redis_url, at.postgres_url
    )


def _watch(root: Path) -> None:
    """Start a watcher unless one lives; it holds ``watch.lock`` as long as it does."""
    if _watcher_lives(root):
        return
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    with (root / "watch.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "backends.embedded_watch", str(root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)},
        )
    deadline = time.monotonic() + WATCHER_S
    while not _watcher_lives(root):
        if child.poll() is not None or time.monotonic() > deadline:
            raise UnreachableError("the watcher of the embedded servers did not start", f"see {root / 'watch.log'}")
        time.sleep(0.005)


def _watcher_lives(root: Path) -> bool:
    lock = open_lock(root / "watch.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
