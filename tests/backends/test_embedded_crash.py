"""The embedded servers when their users, their watcher, they themselves or the machine are killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from backends.embedded import acquire
from backends.embedded_places import as_user, layout, postgres_user, prepare
from backends.errors import UnreachableError
from tests.backends.embedded_helpers import HOLD, PATHS, folder, hold, kill_watcher, nothing_runs, pids, stopped, until

__all__ = ["folder"]


def test_kill_9_of_the_only_holder_stops_the_servers(folder: Path) -> None:
    process = hold(folder)
    assert all(pids(folder))
    process.kill()
    process.wait()
    until(lambda: stopped(folder), "no server runs for ever")
    again = acquire(folder)
    assert all(pids(folder))
    again.release()


def test_a_killed_watcher_is_replaced_by_the_next_start(folder: Path) -> None:
    first = acquire(folder)
    kill_watcher(folder)
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


def test_a_half_made_database_is_made_again(folder: Path) -> None:
    at = layout(folder)
    (at.postgres / "new-half").mkdir(parents=True)
    holder = acquire(folder)
    assert not list(at.postgres.glob("new-*"))
    holder.release()


def test_a_crowd_starts_them_once(folder: Path) -> None:
    env = {**os.environ, "PYTHONPATH": PATHS}
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )
        for _ in range(6)
    ]
    for process in crowd:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
    both = pids(folder)
    assert all(both)
    for process in crowd[:-1]:
        process.kill()
        process.wait()
    assert pids(folder) == both
    crowd[-1].communicate("")
    until(lambda: stopped(folder), "the last one out stops them")


def test_coming_while_they_stop(folder: Path) -> None:
    for _ in range(5):
        holder = acquire(folder)
        with redis.Redis.from_url(holder.redis_url or "") as r:
            r.incr("n")
        with psycopg.connect(holder.postgres_url or "") as c:
            assert c.execute("select 1").fetchone() == (1,)
        holder.release()
    holder = acquire(folder)
    with redis.Redis.from_url(holder.redis_url or "") as r:
        assert r.get("n") == b"5"
    holder.release()


def test_children_of_a_holder_are_no_holders(folder: Path) -> None:
    """Neither a job that inherits every descriptor it can, nor a fork."""
    children = """
import os, signal, subprocess
job = subprocess.Popen(["sleep", "600"], close_fds=False)
fork = os.fork()
if not fork:
    signal.pause()
print(job.pid, fork, flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.replace("print(", children + "print("), str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": PATHS},
    )  # fmt: skip
    assert process.stdout is not None
    family = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
    try:
        assert process.stdout.readline() == "held\n"
        process.kill()
        process.wait()
        until(lambda: stopped(folder), "the children do not keep them")
        assert [p.is_running() for p in family] == [True, True]
    finally:
        for p in family:
            p.kill()


def test_a_killed_watcher_is_replaced_by_the_last_one_out(folder: Path) -> None:
    holder = acquire(folder)
    kill_watcher(folder)
    holder.release()
    until(lambda: stopped(folder), "the new watcher stops them")


def test_a_start_that_fails_half_way_leaves_nothing(folder: Path) -> None:
    at = layout(folder)
    prepare(at)
    at.postgres_data.mkdir(mode=0o700)
    (at.postgres_data / "PG_VERSION").write_text("7")
    with pytest.raises(UnreachableError, match="embedded PostgreSQL ended at once"):
        acquire(folder)
    until(lambda: stopped(folder), "Valkey had been started")


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_killed_while_it_starts_them(folder: Path, after_s: float) -> None:
    """Its watcher comes up when nobody listens to it any more; it has to do its work all the same."""
    acquire(folder).release()
    until(lambda: stopped(folder), "stopped")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": PATHS},
    )  # fmt: skip
    until(lambda: pids(folder)[0] is not None, "Valkey runs")
    deadline = time.monotonic() + after_s
    until(lambda: time.monotonic() >= deadline, "a moment of the start")
    process.kill()
    process.wait()
    until(lambda: nothing_runs(folder), "servers and watcher end")


def test_a_process_that_fails_to_start_them_and_ends(folder: Path) -> None:
    at = layout(folder)
    prepare(at)
    at.postgres_data.mkdir(mode=0o700)
    (at.postgres_data / "PG_VERSION").write_text("7")
    done = subprocess.run(
        [sys.executable, "-c", HOLD, str(folder)], env={**os.environ, "PYTHONPATH": PATHS},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "UnreachableError" in done.stderr
    until(lambda: nothing_runs(folder), "Valkey had been started")


def test_a_watcher_that_does_not_start(folder: Path) -> None:
    script = HOLD.replace("holder =", "sys.executable = '/bin/false'\nholder =")
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], env={**os.environ, "PYTHONPATH": PATHS},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "the watcher of the embedded servers did not start" in done.stderr
    until(lambda: stopped(folder), "servers without a watcher are stopped")


def test_what_a_killed_machine_left(folder: Path) -> None:
    """Pid files that name a living process of somebody else, and sockets that nobody listens at."""
    holder = acquire(folder)
    before = pids(folder)
    at = layout(folder)
    left = (at.postgres_data / "postmaster.pid").read_text().split("\n")
    holder.release()
    until(lambda: stopped(folder), "stopped")
    with subprocess.Popen(["sleep", "600"], **as_user(postgres_user())) as other:
        (at.postgres_data / "postmaster.pid").write_text("\n".join([str(other.pid), *left[1:]]))
        (at.postgres_sockets / ".s.PGSQL.5432.lock").write_text("\n".join([str(other.pid), *left[1:]]))
        (at.valkey / "valkey.pid").write_text(str(other.pid))
        for path in (at.postgres_sockets / ".s.PGSQL.5432", at.valkey_socket):
            path.unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX) as s:
                s.bind(str(path))
        again = acquire(folder)
        assert all(pids(folder))
        assert pids(folder) != before
        assert other.poll() is None, "it was not ours to kill"
        again.release()
        other.kill()


def test_postgres_killed_under_a_busy_session(folder: Path) -> None:
    """The session outlives its postmaster, and its memory keeps a new one from starting."""
    holder = acquire(folder, redis=False)
    c = psycopg.connect(holder.postgres_url or "", autocommit=True)
    c.pgconn.send_query(b"select count(*) from generate_series(1, 2000000000)")
    postgres, session = pids(folder)[1], psutil.Process(c.info.backend_pid)
    assert postgres
    os.kill(postgres, signal.SIGKILL)
    until(lambda: stopped(folder), "it is gone")
    assert session.is_running()
    again = acquire(folder, redis=False)
    c.close()
    with psycopg.connect(again.postgres_url or "") as c:
        assert c.execute("select 1").fetchone() == (1,)
    again.release()
    holder.release()


def test_a_directory_deleted_under_them(folder: Path) -> None:
    holder = acquire(folder)
    processes = [psutil.Process(pid) for pid in pids(folder) if pid]
    while folder.exists():  # PostgreSQL still takes files away itself
        shutil.rmtree(folder, ignore_errors=True)
    again = acquire(folder)
    with psycopg.connect(again.postgres_url or "") as c:
        assert c.execute("select 1").fetchone() == (1,)
    holder.release()
    until(lambda: not any(p.is_running() and p.status() != "zombie" for p in processes), "the old ones are gone")
    assert all(pids(folder)), "the new ones are not"
    again.release()
