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


SURPRISES = """
[defaults]
timezone = "Europe/Berlin"

[jobs.nightly]
schedule = "30 2 * * *"
command = "true"

[jobs.uneven]
schedule = "*/7 * * * *"
command = "true"

[jobs.plain]
schedule = "0 5 * * *"
command = "true"

[jobs.boot]
schedule = "@reboot"
command = "true"
"""


def test_what_may_surprise_stands_under_its_job(cli: Cli) -> None:
    """Warnings, exit 0; one each for a gap, a repeated hour and an uneven step."""
    Path("jobs.toml").write_text(SURPRISES)
    code, out, err = cli("check")
    assert code == 0
    assert out.endswith("3 warnings\n")
    lines = err.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["(dst_gap)", "(dst_overlap)", "(uneven_step)"]
    assert all(line.startswith("cronsole: warning: job nightly: on Sunday ") for line in lines[:2])
    assert lines[2].startswith("cronsole: warning: job uneven: `*/7`: every 7 minutes, but only 4 between")
    found = json.loads(cli("check", "--json")[1])
    assert found["ok"] is True
    assert [(hint["job"], hint["code"]) for hint in found["hints"]] == [
        ("nightly", "dst_gap"),
        ("nightly", "dst_overlap"),
        ("uneven", "uneven_step"),
    ]


@pytest.mark.parametrize(("jitter", "warnings"), [("", 1), ('jitter = "5m"', 0)])
def test_a_herd_of_jobs(cli: Cli, jitter: str, warnings: int) -> None:
    """Ten jobs at the same minute, unless a jitter spreads them."""
    job = f'schedule = "0 3 * * *"\ncommand = "true"\n{jitter}\n'
    Path("jobs.toml").write_text("".join(f"[jobs.job{n}]\n{job}" for n in range(10)))
    code, _, err = cli("check")
    assert code == 0
    assert err.count("cronsole: warning: jobs: 10 jobs fire at once") == warnings
    assert len(json.loads(cli("check", "--json")[1])["hints"]) == warnings


def test_a_schedule_that_never_fires_is_a_mistake_in_a_file(cli: Cli) -> None:
    """And a warning in a preview."""
    Path("jobs.toml").write_text('[jobs.a]\ncommand = "true"\nschedule = "0 0  30 2 *"\n')
    code, _, err = cli("check")
    assert code == 2
    assert err == (
        "jobs.toml:3: jobs.a.schedule: '0 0 30 2 *', column 6: never fires: February has no day 30;"
        " write a day that these months have\n"
    )
    code, out, _ = cli("next", "0 0  30 2 *", "--json")
    assert code == 0
    assert json.loads(out)["warnings"] == [{"code": "never", "message": "never fires: February has no day 30"}]


def test_no_file(cli: Cli) -> None:
    """One line that says how to name one."""
    code, _, err = cli("check")
    assert code == 2
    assert err.count("\n") == 1
