"""`cronsole engine` and `trigger --wait`, each as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path
from termios import FIONREAD
from typing import Any

import pytest

from backends.connect import Settings
from tests.console.cli_helpers import Cli

ROOT = Path(__file__).parents[2]
JOBS = """
[jobs.good]
command = "echo fine"

[jobs.bad]
command = "echo oh no; exit 7"
attempts = 1
"""


@pytest.fixture
def env(settings: Settings, tmp_path: Path) -> dict[str, str]:
    """The environment of a command on this test's servers, with a job file."""
    (tmp_path / "jobs.toml").write_text(JOBS)
    assert settings.redis_url
    assert settings.postgres_url
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("CRONSOLE_")},
        "PYTHONPATH": str(ROOT),
        "CRONSOLE_REDIS_URL": settings.redis_url,
        "CRONSOLE_POSTGRES_URL": settings.postgres_url,
        "CRONSOLE_NAMESPACE": settings.namespace,
        "CRONSOLE_JOBS": str(tmp_path / "jobs.toml"),
    }


def start(env: dict[str, str], *argv: str) -> subprocess.Popen[str]:
    """A command as a process."""
    return subprocess.Popen(
        [sys.executable, "-c", "from console.cli import main; main()", *argv],
        env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def ask(env: dict[str, str], *argv: str) -> tuple[int, str]:
    """Run a command to its end; its exit code and output."""
    process = start(env, *argv)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


@pytest.fixture
def engine(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A live engine."""
    process = start(env, "engine", "--log-format", "json", "--concurrency", "2", "--grace", "5s")
    try:
        deadline = time.monotonic() + 30
        while json.loads(ask(env, "workers", "--json")[1]) == []:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
        yield process
    finally:
        process.kill()
        process.communicate()


def test_trigger_waits_for_the_outcome(env: dict[str, str], engine: Any) -> None:
    """0 for a success, 1 for a failure; then SIGTERM ends the engine with 0 and JSON log lines."""
    code, out = ask(env, "trigger", "good", "--wait", "--json")
    assert code == 0
    assert list(json.loads(out)) == ["run_id", "outcome"]
    assert json.loads(out)["outcome"] == "succeeded"
    code, out = ask(env, "trigger", "bad", "--wait", "--json")
    assert (code, json.loads(out)["outcome"]) == (1, "failed")
    run_id = json.loads(out)["run_id"]
    code, out = ask(env, "runs", "show", run_id)
    assert "oh no" in out
    assert "now: dead" in out
    engine.send_signal(signal.SIGTERM)
    _, err = engine.communicate(timeout=30)
    assert engine.returncode == 0
    assert all(json.loads(line)["level"] for line in err.splitlines())


def test_a_run_is_followed_to_its_end(env: dict[str, str], engine: Any, tmp_path: Path) -> None:
    """What it prints comes while it runs."""
    (tmp_path / "jobs.toml").write_text(JOBS + f"""
[jobs.slow]
command = "echo begun; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo over"
""")  # fmt: skip
    engine.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 30
    while (answer := ask(env, "trigger", "slow"))[0]:
        assert time.monotonic() < deadline
    following = start(env, "runs", "log", "-f", answer[1].strip())
    try:
        assert following.stdout
        assert following.stdout.readline() == "begun\n"
        (tmp_path / "go").touch()
        assert following.communicate(timeout=30) == ("over\n", "")
        assert following.returncode == 0
    finally:
        following.kill()
        following.communicate()


def test_a_bad_job_file_or_queue_is_2(env: dict[str, str], tmp_path: Path) -> None:
    """The engine does not start."""
    (tmp_path / "jobs.toml").write_text("[jobs.a]\ncomand = 'x'\n")
    assert ask(env, "engine")[0] == 2
    (tmp_path / "jobs.toml").write_text(JOBS)
    assert ask(env, "engine", "--queues", "nope")[0] == 2


def test_no_job_file_is_2(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine without jobs could run nothing."""
    monkeypatch.chdir(tmp_path)
    answer = cli("engine")
    assert (answer.code, answer.out) == (2, "")
    assert f"there is no jobs.toml in {tmp_path}, and neither -j nor CRONSOLE_JOBS names a job file" in answer.err


def test_drain_leaves_when_all_is_done(env: dict[str, str]) -> None:
    """An engine with nothing to do ends by itself; what it published stays."""
    assert ask(env, "engine", "--drain")[0] == 0
    assert len(json.loads(ask(env, "jobs", "--json")[1])) == 2


def test_ctrl_c_while_it_reads_standard_input(env: dict[str, str], settings: Settings) -> None:
    """130 at once, and nothing went in; the input is still open."""
    assert ask(env, "engine", "--drain")[0] == 0  # publishes the jobs
    process = subprocess.Popen(
        [sys.executable, "-c", "from console.cli import main; main()", "enqueue", "default", "good", "--file", "-"],
        env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # whoever runs the tests may ignore it
    )  # fmt: skip
    try:
        assert process.stdin
        process.stdin.write(b"{}\n" * 20)
        process.stdin.flush()
        deadline = time.monotonic() + 30
        while unread(process.stdin):
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr
        assert b"Traceback" not in process.stderr.read()
        assert [q["ready"] for q in json.loads(ask(env, "queues", "--json")[1])] == [0]
    finally:
        process.kill()
        process.communicate()


def unread(pipe: Any) -> int:
    """Bytes in a pipe that its reader has not taken yet."""
    left = array("i", [0])
    ioctl(pipe, FIONREAD, left)
    return left[0]


def test_a_reader_that_leaves_is_no_error(env: dict[str, str]) -> None:
    """`cronsole … | head` prints no traceback."""
    process = start(env, "next", "* * * * *", "-n", "10000")
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) in (0, 141)
    process.stderr.close()
