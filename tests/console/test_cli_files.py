"""`check` and `next`: no server is asked."""

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


def test_next_of_an_expression(cli: Cli) -> None:
    """The contract of `next --json`, across a clock change."""
    argv = ["next", "0 3 * * *", "-n", "3", "--tz", "Europe/Berlin", "--from", "2026-03-28T00:00"]
    found = json.loads(cli(*argv, "--json")[1])
    assert found == {
        "expression": "0 3 * * *",
        "description": "At 03:00, every day",
        "timezone": "Europe/Berlin",
        "warnings": [],
        "fires": ["2026-03-28T03:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T03:00:00+02:00"],
    }
    code, out, _ = cli(*argv)
    assert code == 0
    assert "Sun 2026-03-29T03:00:00+02:00" in out


def test_next_of_a_job(cli: Cli) -> None:
    """From the job file of this directory, in the job's own zone."""
    Path("jobs.toml").write_text(
        '[jobs.a]\nschedule = "@daily"\ntimezone = "Asia/Tokyo"\ncommand = "true"\n[jobs.b]\ncommand="x"'
    )
    found = json.loads(cli("next", "a", "-n", "1", "--from", "2026-01-01T12:00", "--json")[1])
    assert found["fires"] == ["2026-01-02T00:00:00+09:00"]
    assert cli("next", "b")[0] == 2
    assert "did you mean" in cli("next", "aa")[2]
    assert not Path("data").exists(), "a slip of the fingers starts no servers"


@pytest.mark.parametrize(
    "argv", [["0 25 * * *"], ["* * * *"], ["@daily", "--tz", "Mars/Base"], ["@daily", "--from", "noon"], ["@often"]]
)
def test_next_bad_input(cli: Cli, argv: list[str]) -> None:
    """Exit 2, one line."""
    code, out, err = cli("next", *argv)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_next_that_never_comes(cli: Cli) -> None:
    """A warning, not an endless search."""
    for expression, code in (("0 0 30 2 *", "never"), ("@reboot", "reboot")):
        found = json.loads(cli("next", expression, "--json")[1])
        assert found["fires"] == []
        assert found["warnings"][0]["code"] == code
