"""Debian's own Redis and PostgreSQL instead of the embedded ones: other versions, of which we promise that they do.

`CRONSOLE_TEST_SERVERS=debian` has every test that takes the fixture `embedded` run on them (packages redis-server and
postgresql).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from backends.embedded import Holder

START_S = 30.0


def _newest_postgres() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise FileNotFoundError("no PostgreSQL of Debian's: apt-get install postgresql")
    return found[-1].parent


@contextmanager
def debian_servers() -> Iterator[Holder]:
    """Both, in a directory of their own, on Unix sockets; gone afterwards with all they stored."""
    root = Path(tempfile.mkdtemp(prefix="cs-"))
    root.chmod(0o711)
    redis_dir, data = root / "redis", root / "pg"
    redis_dir.mkdir()
    data.mkdir()
    binaries, as_user = _newest_postgres(), []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(data, "postgres", "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    subprocess.run(
        [*as_user, binaries / "initdb", "-D", data / "data", "-U", "cronsole", "-A", "trust", "-E", "UTF8", "-N",
         "--locale=C.UTF-8"],
        check=True, stdout=subprocess.DEVNULL, cwd=data,
    )  # fmt: skip
    redis = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", redis_dir / "redis.sock", "--dir", redis_dir, "--appendonly",
         "yes", "--save", "", "--maxmemory-policy", "noeviction"],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    postgres = subprocess.Popen(
        [*as_user, binaries / "postgres", "-D", data / "data", "-k", data, "-c", "listen_addresses=", "-c", "fsync=off",
         "-c", "max_connections=200"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=data,
    )  # fmt: skip
    url = f"postgresql:///cronsole?host={data}&port=5432&user=cronsole"
    try:
        _wait(url.replace("/cronsole?", "/postgres?"), redis_dir / "redis.sock")
        with psycopg.connect(url.replace("/cronsole?", "/postgres?"), autocommit=True) as connection:
            connection.execute("create database cronsole")
        yield Holder(f"unix://{redis_dir / 'redis.sock'}", url)
    finally:
        for process in (redis, postgres):
            process.terminate()
        for process in (redis, postgres):
            process.wait(30)
        shutil.rmtree(root, ignore_errors=True)


def _wait(url: str, socket: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(url).close()
            if socket.exists():
                return
        except psycopg.OperationalError:
            pass
        assert time.monotonic() < deadline, "Debian's servers do not start"
        time.sleep(0.02)
