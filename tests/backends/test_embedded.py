"""The embedded servers in daily use: shared, private, gone when nobody needs them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from backends.embedded import acquire, status
from backends.embedded_places import SOCKET_PATH_MOST, layout
from backends.errors import UnreachableError
from tests.backends.embedded_helpers import ROOT, folder, hold, pids, stopped, until

__all__ = ["folder"]


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


def test_processes_share_and_the_last_one_out_stops(folder: Path) -> None:
    a, b = hold(folder), hold(folder)
    both = pids(folder)
    a.communicate("")
    time.sleep(0.2)
    assert pids(folder) == both
    b.communicate("")
    until(lambda: stopped(folder), "the last one out stops them")


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


def test_a_data_directory_that_is_a_file(folder: Path) -> None:
    folder.write_text("not a directory")
    with pytest.raises(UnreachableError, match="CRONSOLE_DATA_DIR"):
        acquire(folder)
    folder.unlink()


def test_the_environment_of_the_starter_does_not_matter(folder: Path) -> None:
    deep = folder / ("x" * 120)
    (folder / "tmp").mkdir(parents=True)
    os.environ.update(PGPORT="5999", PGDATA="/nowhere", TMPDIR=str(folder / "tmp"))
    try:
        process = hold(deep)
    finally:
        for name in ("PGPORT", "PGDATA", "TMPDIR"):
            del os.environ[name]
    before = pids(deep)
    assert all(before)
    holder = acquire(deep)
    assert pids(deep) == before
    with psycopg.connect(holder.postgres_url or "") as c:
        assert c.execute("select 1").fetchone() == (1,)
    holder.release()
    process.communicate("")
    until(lambda: stopped(deep), "stopped")
    shutil.rmtree(layout(deep).valkey_socket.parent.parent)


def test_odd_letters_and_links_in_the_path(folder: Path) -> None:
    odd = folder.parent / "a, b %41?ä"
    odd.mkdir()
    folder.symlink_to(odd)
    holder = acquire(folder)
    with psycopg.connect(holder.postgres_url or "") as c, redis.Redis.from_url(holder.redis_url or "") as r:
        assert c.execute("select 1").fetchone() == (1,)
        assert r.ping()
    holder.release()
    until(lambda: stopped(folder), "stopped")
    shutil.rmtree(layout(folder).valkey_socket.parent.parent)


def test_a_directory_in_use_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o1777)
    (folder / "letter.txt").write_text("dear")
    with pytest.raises(UnreachableError, match="CRONSOLE_DATA_DIR"):
        acquire(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    assert os.listdir(folder) == ["letter.txt"]


def test_what_the_console_wrote_before_the_first_start_is_no_stranger(folder: Path) -> None:
    for name in ("log", "state"):
        (folder / name).mkdir(parents=True)
    acquire(folder).release()
    until(lambda: stopped(folder), "stopped")


def test_looking_makes_nothing(folder: Path) -> None:
    assert status(folder).valkey_pid is None
    assert not folder.exists()


def test_where_the_other_user_may_not_pass(folder: Path) -> None:
    """As root only: PostgreSQL runs as somebody else then."""
    if os.geteuid() != 0:
        return
    folder.parent.chmod(0o700)
    with pytest.raises(UnreachableError, match="may not pass through"):
        acquire(folder)
    until(lambda: stopped(folder), "stopped")


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


def test_a_directory_that_has_only_the_console_s_log_is_taken(folder: Path) -> None:
    (folder / "log").mkdir(parents=True)
    acquire(folder).release()


def test_a_directory_with_other_things_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "letters.txt").write_text("mine")
    with pytest.raises(UnreachableError, match="holds other things"):
        acquire(folder)
