"""`check`: no server is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from console.cli.root import run as run_cli

Cli = Callable[..., tuple[int, str, str]]

TEN_MISTAKES = """
[defaults]
timezon = "UTC"

[jobs.a]
command = 5

[jobs.b]
schedule = "61 * * * *"
command = "true"

[jobs.c]
command = "true"
atempts = 3

[jobs.d]
command = "true"
timeout = "10 parsecs"

[jobs.e]
description = "nothing to run"

[jobs.f]
command = "true"
overlap = "never"

[jobs.g]
command = "true"
attempts = 0

[jobs.h]
command = "true"
task = "a:b"

[queues."bad name!"]
concurrency = 3
"""


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command line in an empty directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("CRONSOLE_JOBS", "CRONSOLE_REDIS_URL", "CRONSOLE_POSTGRES_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CRONSOLE_DATA_DIR", str(tmp_path / "data"))

    def call(*argv: str) -> tuple[int, str, str]:
        capsys.readouterr()
        return (run_cli(argv), *capsys.readouterr())

    return call


def test_ten_mistakes_are_ten_lines(cli: Cli) -> None:
    """All at once, each with file and line; exit 2."""
    Path("jobs.toml").write_text(TEN_MISTAKES)
    code, out, err = cli("check")
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert len(lines) == 10, err
    assert all(line.startswith("jobs.toml:") for line in lines)
    code, out, _ = cli("check", "--json")
    found = json.loads(out)
    assert (code, found["ok"], len(found["problems"])) == (2, False, 10)
    assert list(found["problems"][0]) == ["file", "line", "key", "message", "hint"]


def test_a_good_file(cli: Cli) -> None:
    """Counts and warnings; exit 0."""
    Path("good.toml").write_text(
        '[jobs.a]\nschedule = "@daily"\ncommand = "true"\n[jobs.b]\ncommand = "true"\njitter = 3\n'
    )
    code, out, err = cli("check", "good.toml")
    assert code == 0
    assert out == "good.toml: OK, 2 jobs (1 scheduled), 1 queue, 1 warning\n"
    assert "has no effect without a schedule" in err
    found = json.loads(cli("check", "good.toml", "--json")[1])
    assert list(found) == ["ok", "jobs", "scheduled", "queues", "problems", "warnings", "hints"]


def test_no_file(cli: Cli) -> None:
    """One line that says how to name one."""
    code, _, err = cli("check")
    assert code == 2
    assert err.count("\n") == 1
