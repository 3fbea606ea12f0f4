"""The embedded servers: shared, private, and gone when nobody needs them, however their users end."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from backends.embedded import acquire, status
from backends.embedded_servers import SOCKET_PATH_MOST, layout
from backends.errors import UnreachableError

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from pathlib import Path
from backends.embedded import acquire
holder = acquire(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="cse-"))
    root.chmod(0o711)
    yield root / "d"
    for process in psutil.process_iter(["cmdline"]):
        if any(str(root) in word for word in process.info["cmdline"] or ()):
            process.kill()
    shutil.rmtree(root, ignore_errors=True)


def pids(folder: Path) -> tuple[int | None, int | None]:
    s = status(folder)
    return s.valkey_pid, s.postgres_pid


def until(condition: Callable[[], bool], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the servers until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def stopped(folder: Path) -> bool:
    return pids(folder) == (None, None)


def test_both_work_and_the_second_holder_shares_them(folder: Path) -> None:
    first, second = acquire(folder), acquire(folder)
    assert first.redis_url == second.redis_url
    before = pids(folder)
    assert all(before)
    with redis.Redis.from_url(first.redis_url or "") as r:
        assert r.config_get("appendonly") in ({"appendonly": "yes"}, {b"appendonly": b"yes"})
        r.set("a", 1)
    with psycopg.connect(first.postgres_url or "") as c:
        assert c.execute("show listen_addresses").fetchone() == ("",)
    first.release()
    first.release()
    time.sleep(0.3)
    assert pids(folder) == before, "one holder is left"
    second.release()
    until(lambda: stopped(folder), "the last one out stops them")
    third = acquire(folder)
    with redis.Redis.from_url(third.redis_url or "") as r:
        assert r.get("a") == b"1", "the data is still there"
    third.release()


def test_nobody_else_can_look_in(folder: Path) -> None:
    holder = acquire(folder)
    at = layout(folder)
    for path in (at.valkey, at.postgres, at.postgres_data):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    assert stat.S_IMODE(folder.stat().st_mode) in (0o700, 0o711), "0711 only so that another user's server can pass"
    holder.release()


def test_kill_9_of_the_only_holder_stops_the_servers(folder: Path) -> None:
    process = hold(folder)
    assert all(pids(folder))
    process.kill()
    process.wait()
    until(lambda: stopped(folder), "no server runs for ever")
    again = acquire(folder)
    assert all(pids(folder))
    again.release()


def test_processes_share_and_the_last_one_out_stops(folder: Path) -> None:
    a, b = hold(folder), hold(folder)
    both = pids(folder)
    a.communicate("")
    time.sleep(0.2)
    assert pids(folder) == both
    b.communicate("")
    until(lambda: stopped(folder), "the last one out stops them")


def test_a_killed_watcher_is_replaced_by_the_next_start(folder: Path) -> None:
    first = acquire(folder)
    for p in psutil.process_iter(["cmdline"]):
        if p.info["cmdline"] and "backends.embedded_watch" in p.info["cmdline"] and str(folder) in p.info["cmdline"]:
            p.send_signal(signal.SIGKILL)
            p.wait(5)
    second = acquire(folder)
    first.release()
    second.release()
    until(lambda: stopped(folder), "the new watcher stops them")


def test_killed_servers_are_started_again(folder: Path) -> None:
    first = acquire(folder)
    for pid in pids(folder):
        assert pid
        os.kill(pid, signal.SIGKILL)
    until(lambda: stopped(folder), "they are gone")
    second = acquire(folder)
    with psycopg.connect(second.postgres_url or "") as c:
        assert c.execute("select 1").fetchone() == (1,)
    with redis.Redis.from_url(second.redis_url or "") as r:
        assert r.ping()
    first.release()
    second.release()


def test_a_long_path_gets_short_sockets(folder: Path) -> None:
    deep = folder / ("x" * 120)
    holder = acquire(deep)
    at = layout(deep)
    assert len(os.fsencode(at.valkey_socket)) <= SOCKET_PATH_MOST
    with psycopg.connect(holder.postgres_url or "") as c:
        assert c.execute("select 1").fetchone() == (1,)
    holder.release()
    until(lambda: stopped(deep), "stopped")
    shutil.rmtree(at.valkey_socket.parent.parent)


def test_a_half_made_database_is_made_again(folder: Path) -> None:
    at = layout(folder)
    (at.postgres / "new-half").mkdir(parents=True)
    holder = acquire(folder)
    assert not list(at.postgres.glob("new-*"))
    holder.release()


def test_a_data_directory_that_is_a_file(folder: Path) -> None:
    folder.write_text("not a directory")
    with pytest.raises(UnreachableError, match="CRONSOLE_DATA_DIR"):
        acquire(folder)
    folder.unlink()


AS_NOBODY = """
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
from pathlib import Path
from backends.embedded import acquire, status
holder = acquire(Path(sys.argv[1]))
s = status(Path(sys.argv[1]))
print(bool(s.valkey_pid and s.postgres_pid))
holder.release()
"""


def test_as_a_plain_user_and_as_root(folder: Path) -> None:
    """The other tests run as whoever runs them; as root, this one becomes nobody first.

    The interpreter of the tests may lie where nobody can't reach it; then the system's own is taken.
    """
    if os.geteuid() != 0:
        return
    folder.parent.chmod(0o777)
    paths = [str(ROOT), *(p for p in sys.path if p.endswith("site-packages"))]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HOME": str(folder.parent)}
    python = sys.executable
    needed = (*Path(python).resolve().parents, *Path(sys.base_prefix).resolve().parents)
    if not all(p.stat().st_mode & stat.S_IXOTH for p in needed):
        python = "/usr/bin/python3"
    done = subprocess.run(
        [python, "-c", AS_NOBODY, str(folder)], cwd="/", env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout == "True\n", done.stderr[-2000:]
