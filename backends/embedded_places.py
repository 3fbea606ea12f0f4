"""Where the embedded servers of a data directory live, and what may be done to their processes.

Layout: ``valkey/`` (append-only file, log, pid), ``postgres/`` (``data/``), ``postgres.log``, ``watch.log``, lock
files. The sockets lie in ``valkey/`` and ``postgres/`` too or, where that path is too long for a socket address (about
107 bytes) or holds characters that a URL or a server's settings would read as something else, in a short private
directory of the same owner.
"""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import psutil

from backends.errors import UnreachableError

SOCKET_PATH_MOST = 100
START_S = 20.0
"""How long a server may stay silent after its start."""
LOAD_S = 600.0
"""How long it may take to load its data or to recover, as long as it says that it does."""
STOP_S = 30.0
LOG_MOST = 8 << 20
NO_WHEEL = "set CRONSOLE_REDIS_URL and CRONSOLE_POSTGRES_URL to servers of your own"

State = Literal["silent", "busy", "ready"]

_PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")
_OURS = {"start.lock", "holders.lock", "valkey", "postgres"}
_BESIDE = {"log", "state"}
"""What the console may have put there before."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of one data directory lies."""

    root: Path
    valkey_socket: Path
    postgres_sockets: Path

    @property
    def valkey(self) -> Path:
        """Valkey's working directory."""
        return self.root / "valkey"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's own directory."""
        return self.root / "postgres"

    @property
    def postgres_data(self) -> Path:
        """PGDATA."""
        return self.postgres / "data"

    @property
    def redis_url(self) -> str:
        """Where clients find Valkey."""
        return f"unix://{self.valkey_socket}"

    @property
    def postgres_url(self) -> str:
        """Where clients find PostgreSQL; with the port, which PGPORT would change otherwise."""
        return f"postgresql:///cronsole?host={self.postgres_sockets}&port=5432&user=cronsole"


def layout(root: Path) -> Layout:
    """Tell where everything is. Touches nothing."""
    root = root.resolve()
    sockets = root
    if len(os.fsencode(root / "postgres" / ".s.PGSQL.5432")) > SOCKET_PATH_MOST or not _PLAIN.fullmatch(str(root)):
        # /tmp itself, not TMPDIR: every process of this user must come to the same place.
        sockets = Path("/tmp") / f"cronsole-{os.geteuid()}-{sha256(os.fsencode(root)).hexdigest()[:12]}"
    return Layout(root, sockets / "valkey" / "valkey.sock", sockets / "postgres")


def prepare(at: Layout) -> None:
    """Make the directories. Refuses one that holds something else: its mode is about to be changed."""
    if at.root.is_dir():
        found = set(os.listdir(at.root)) - _BESIDE
        if found - {"log"} and not found & _OURS:  # the console may have begun its log there
            raise UnreachableError(
                f"{at.root} holds other things than the data of the embedded servers",
                "set CRONSOLE_DATA_DIR to a directory of its own",
            )
    owner = postgres_user()
    for top in (at.root, at.postgres_sockets.parent):
        # As root, the user of PostgreSQL has to pass through; it sees nothing on the way.
        private_dir(top, mode=0o700 if owner is None else 0o711)
    for path in (at.valkey, at.valkey_socket.parent):
        private_dir(path)
    for path in (at.postgres, at.postgres_sockets):
        private_dir(path, owner)


def private_dir(path: Path, owner: int | None = None, mode: int = 0o700) -> Path:
    """Make `path` a directory of ours (or of `owner`) with that mode; refuses one that belongs to somebody else."""
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid not in (os.geteuid(), owner):
        raise UnreachableError(f"{path} is not a directory of this user", "remove it, or set CRONSOLE_DATA_DIR")
    if owner is not None and info.st_uid != owner:
        os.chown(path, owner, -1)
    if stat.S_IMODE(info.st_mode) != mode:
        path.chmod(mode)
    return path


def postgres_user() -> int | None:
    """The user id that PostgreSQL runs as, because it refuses to be root; None: our own."""
    if os.geteuid() != 0:
        return None
    import pwd

    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise UnreachableError("PostgreSQL can't run as root and there is no user postgres or nobody", NO_WHEEL)


# --- processes ------------------------------------------------------------------------------------------------


def our_process(pid: int, mark: str) -> psutil.Process | None:
    """The process of that id if its command line names `mark` (pids come back for others)."""
    try:
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE and any(mark in part for part in process.cmdline()):
            return process
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        pass
    return None


def age_s(process: psutil.Process) -> float:
    """Seconds since it was started."""
    try:
        return time.time() - process.create_time()
    except psutil.NoSuchProcess:
        return 0.0


def alive(process: psutil.Process) -> bool:
    """Still there, and not only waiting to be reaped."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def open_log(path: Path) -> int:
    """A descriptor that appends; a log that grew large begins anew."""
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.fstat(log).st_size > LOG_MOST:
        os.ftruncate(log, 0)
    return log


def clean_env() -> dict[str, str]:
    """Environment of the servers: nothing of whoever happened to start them (PGPORT alone would move the socket)."""
    kept = {k: os.environ[k] for k in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if k in os.environ}
    return {**kept, "PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def as_user(user: int | None) -> dict[str, Any]:
    """Arguments of `subprocess` that make a child run as that user."""
    if user is None:
        return {}
    import pwd

    return {"user": user, "group": pwd.getpwuid(user).pw_gid, "extra_groups": []}


def spawn(args: list[str], log: Path, *, cwd: Path, user: int | None = None) -> psutil.Process:
    """Start a server: a session of its own, so that no Ctrl-C reaches it, and none of our descriptors."""
    out = open_log(log)
    try:
        child = subprocess.Popen(
            args, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd, start_new_session=True, env=clean_env(),
            umask=0o077, **as_user(user),
        )  # fmt: skip
    finally:
        os.close(out)
    return psutil.Process(child.pid)


def wait_for(state: Callable[[], State], process: psutil.Process | None, name: str, log: Path) -> None:
    """Until it is ready. UnreachableError with the last line of its log when it ends or stays silent."""
    begun = time.monotonic()
    while (now := state()) != "ready":
        gone = process is not None and not alive(process)
        waited = time.monotonic() - begun
        if gone or waited > (LOAD_S if now == "busy" else START_S):
            what = "ended at once" if gone else f"was not ready within {waited:.0f} s"
            raise UnreachableError(f"the embedded {name} {what}: {last_line(log)}", f"see {log}")
        time.sleep(0.005 if waited < 2 else 0.1)


def last_line(log: Path) -> str:
    """What the server said last, in at most 300 characters."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    # PostgreSQL says why first and that it is down last.
    telling = [line for line in lines if "FATAL" in line or "ERROR" in line] or lines
    return telling[-1][:300] if telling else ""


def end(processes: Iterable[tuple[psutil.Process, signal.Signals]], within_s: float = STOP_S) -> None:
    """Ask each with its signal, wait until all are gone, kill what is left."""
    asked = []
    for process, number in processes:
        try:
            process.send_signal(number)
            asked.append(process)
        except psutil.NoSuchProcess:
            continue
    deadline = time.monotonic() + within_s
    for last in (False, True):
        while any(map(alive, asked)) and time.monotonic() < deadline:
            time.sleep(0.01)
        for process in asked if not last else ():
            if alive(process):
                process.kill()
        deadline += 5.0


def end_orphans(at: Layout) -> None:
    """Kill servers of this place whose directory was deleted under them: nobody can find them by a pid file any more.

    Told by /proc, hence on Linux only; elsewhere PostgreSQL notices by itself and Valkey stays.
    """
    marks = (str(at.valkey_socket), str(at.postgres_data))
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(mark in part for part in process.info["cmdline"] or () for mark in marks):
            try:
                if os.stat(f"/proc/{process.pid}/cwd").st_nlink == 0:
                    found.append((process, signal.SIGQUIT if "postgres" in process.name() else signal.SIGKILL))
            except (OSError, psutil.NoSuchProcess):
                continue
    end(found, 5.0)
