"""A private Valkey and a private PostgreSQL for everyone who has configured none.

All processes of a user share them. Each holds a shared lock on ``holders.lock`` while it lives; the kernel gives it
back however the process ends. A small watcher waits for the exclusive lock: when it gets it, nobody is left, and it
stops both servers. Starting and stopping happen under ``start.lock`` alone, so neither can meet the other half-way.
The watcher starts before the servers do, so there is no moment in which a kill could leave them without one.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from backends import embedded_servers as servers
from backends.embedded_places import open_log
from backends.errors import UnreachableError

if sys.platform != "win32":
    import fcntl

WATCHER_S = 20.0
OTHERS_S = 90.0
"""How long another process may take to start or stop the servers before we say so and give up."""

_held: set[int] = set()


@dataclass
class Holder:
    """Keeps the servers alive until it is released. The last one out stops them."""

    redis_url: str | None
    postgres_url: str | None
    _lock: int | None = field(default=None, repr=False)
    _root: Path | None = field(default=None, repr=False)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        lock, self._lock = self._lock, None
        if lock is None or lock not in _held:
            return
        try:
            if self._root is not None:
                _replace_watcher(self._root)
        finally:
            _held.discard(lock)
            os.close(lock)


@dataclass(frozen=True, slots=True)
class EmbeddedStatus:
    """What runs in a data directory: process ids, None where nothing does."""

    valkey_pid: int | None
    postgres_pid: int | None
    redis_url: str
    postgres_url: str


def open_lock(path: Path) -> int:
    """Open a lock file. The descriptor is close-on-exec: a child must not keep the servers alive."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def acquire(data_dir: Path, *, redis: bool = True, postgres: bool = True) -> Holder:
    """Start what is asked for and does not run yet, and hold it. Blocking: up to a second or two the first time."""
    if sys.platform == "win32":
        raise UnreachableError("there are no embedded servers on Windows", servers.NO_WHEEL)
    try:
        at = servers.layout(data_dir)
        servers.prepare(at)
        held = _acquire(at, redis, postgres)
    except (OSError, RuntimeError) as error:
        raise UnreachableError(
            f"the embedded servers can't use {data_dir}: {error}", "set CRONSOLE_DATA_DIR to another directory"
        ) from error
    _held.add(held)
    return Holder(at.redis_url if redis else None, at.postgres_url if postgres else None, held, at.root)


def status(data_dir: Path) -> EmbeddedStatus:
    """What runs there now. Touches nothing."""
    at = servers.layout(data_dir)
    valkey, postgres = servers.valkey_process(at), servers.postgres_process(at)
    return EmbeddedStatus(
        valkey.pid if valkey else None, postgres.pid if postgres else None, at.redis_url, at.postgres_url
    )


def _acquire(at: servers.Layout, redis: bool, postgres: bool) -> int:
    start = open_lock(at.root / "start.lock")
    try:
        _wait_for_turn(start, at.root)
        held = open_lock(at.root / "holders.lock")
        try:
            fcntl.flock(held, fcntl.LOCK_SH)
            watcher = _start_watcher(at.root)
            if redis:
                servers.start_valkey(at)
            if postgres:
                servers.start_postgres(at)
            if watcher is not None:
                _check_watcher(watcher, at.root)
        except BaseException:
            _give_up(at, held)
            raise
        return held
    finally:
        os.close(start)


def _wait_for_turn(start: int, root: Path) -> None:
    deadline = time.monotonic() + OTHERS_S
    while not _locked(start):
        if time.monotonic() > deadline:
            raise UnreachableError(
                f"another process has been starting or stopping the embedded servers for {OTHERS_S:.0f} s",
                f"see which one holds {root / 'start.lock'}",
            )
        time.sleep(0.01)


def _give_up(at: servers.Layout, held: int) -> None:
    """Let go after a start that failed; without a watcher and without other holders, stop what did start."""
    try:
        if not _watcher_lives(at.root) and _locked(held):
            servers.stop(at)
    finally:
        os.close(held)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start_watcher(root: Path) -> subprocess.Popen[bytes] | None:
    """Start a watcher unless one lives. It inherits ``watch.lock`` locked, and holds it as long as it lives.

    To be called under the start lock: a look at the lock takes it for a moment.
    """
    lock = open_lock(root / "watch.lock")
    log = -1
    try:
        if not _locked(lock):
            return None
        log = open_log(root / "watch.log")
        paths = [str(Path(__file__).resolve().parents[1]), *sys.path]
        return subprocess.Popen(
            [sys.executable, "-m", "backends.embedded_watch", str(root), str(lock)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            cwd="/",
            pass_fds=(lock,),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)},
        )
    finally:
        os.close(lock)
        if log >= 0:
            os.close(log)


def _check_watcher(watcher: subprocess.Popen[bytes], root: Path) -> None:
    """Wait until it is at its post."""
    assert watcher.stdout is not None
    with watcher.stdout as says:
        ready, _, _ = select.select([says], [], [], WATCHER_S)
        if not ready or not says.read(1):
            watcher.kill()
            watcher.wait()
            raise UnreachableError("the watcher of the embedded servers did not start", f"see {root / 'watch.log'}")


def _watcher_lives(root: Path) -> bool:
    lock = open_lock(root / "watch.lock")
    try:
        return not _locked(lock)
    finally:
        os.close(lock)


def _replace_watcher(root: Path) -> None:
    """If somebody killed the watcher, start another: we may be the last one out. Best effort; the next start tries too.

    When the start lock is taken there is nothing to do: a newcomer looks after the watcher, or it is at work itself.
    """
    try:
        start = open_lock(root / "start.lock")
    except OSError:  # the directory is gone
        return
    try:
        if _locked(start) and (watcher := _start_watcher(root)) is not None:
            _check_watcher(watcher, root)
    except (OSError, UnreachableError):
        pass
    finally:
        os.close(start)


def _forget_after_fork() -> None:
    """A forked child is no holder: it may outlive us by days."""
    for lock in _held:
        os.close(lock)
    _held.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_after_fork)
