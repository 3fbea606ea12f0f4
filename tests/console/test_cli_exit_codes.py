"""Exit codes, one line an error, what a help page costs."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from backends.connect import Settings
from tests.console.cli_helpers import ROOT, Cli, subprocess_cli


class TestExitCodes:
    """0 done, 1 it ran and failed, 2 bad input, 3 unreachable, 4 refused; one line, no traceback."""

    def test_read_only_is_4(self, cli: Cli, world: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """Every action."""
        monkeypatch.setenv("CRONSOLE_READ_ONLY", "1")
        for argv in (
            ["trigger", "tick"],
            ["enqueue", "mail", "send_email"],
            ["pause", "job:tick"],
            ["resume", "job:tick"],
            ["cancel", "x"],
            ["dead", "retry", world[1]],
        ):
            answer = cli(*argv)
            assert (answer.code, answer.out) == (4, ""), argv
            assert answer.err.startswith("cronsole: this context is read-only")
            assert answer.err.count("\n") == 1
        assert cli("dead", "list").code == 0

    def test_the_read_only_flag_is_4_too(self, cli: Cli, world: list[str]) -> None:
        """For this one command line; also where a process would do the changing."""
        for argv in (["trigger", "tick"], ["engine"], ["demo"]):
            answer = cli("--read-only", *argv)
            assert (answer.code, answer.err.count("\n")) == (4, 1)
        assert cli("--read-only", "status", "--json").json["read_only"] is True
        assert cli("trigger", "tick").code == 0

    @pytest.mark.parametrize("argv", [["queues"], ["trigger", "x"], ["status"], ["dead", "list", "--json"]])
    def test_wrong_redis_is_3(self, settings: Settings, argv: list[str]) -> None:
        """In a process of its own: one line with the remedy."""
        assert settings.postgres_url
        answer = subprocess_cli(
            argv, CRONSOLE_REDIS_URL="redis://:secret@127.0.0.1:1/0", CRONSOLE_POSTGRES_URL=settings.postgres_url
        )
        assert answer.returncode == 3
        told = answer.stdout if argv == ["status"] else answer.stderr
        assert "CRONSOLE_REDIS_URL" in told
        assert "secret" not in answer.stdout + answer.stderr
        assert "Traceback" not in answer.stderr
        if argv != ["status"]:
            assert answer.stderr.count("\n") == 1

    def test_wrong_postgres_is_3_for_history_alone(self, cli: Cli, world: list[str], monkeypatch: Any) -> None:
        """Lists of the live state go on."""
        monkeypatch.setenv("CRONSOLE_POSTGRES_URL", "postgresql://x:secret@127.0.0.1:1/x")
        answer = cli("runs", "list")
        assert answer.code == 3
        assert answer.err.count("\n") == 1
        assert "secret" not in answer.err
        assert cli("queues").code == 0
        jobs = cli("jobs", "--json")
        assert jobs.code == 0
        assert len(jobs.json) == 2
        assert "last runs are not known" in jobs.err
        assert cli("status").code == 3

    def test_malformed_url_is_2(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not a URL at all."""
        monkeypatch.setenv("CRONSOLE_REDIS_URL", "localhost:6379")
        answer = cli("queues")
        assert answer.code == 2
        assert "CRONSOLE_REDIS_URL" in answer.err

    def test_usage_is_2_in_one_line(self, cli: Cli) -> None:
        """Unknown commands, options and values."""
        for argv in (
            ["quees"],
            ["queues", "--jsn"],
            ["runs", "list", "--limit", "0"],
            ["runs", "list", "--since", "x"],
        ):
            answer = cli(*argv)
            assert answer.code == 2
            assert answer.err.startswith("cronsole: ")
            assert answer.err.count("\n") == 1
        assert "did you mean 'queues'" in cli("quees").err
        assert cli("runs", "list", "--cursor", "zz").code == 2
        assert cli("dead", "list", "--cursor", "zz").code == 2
        assert cli("runs", "show", "zz").code == 2
        assert cli("dead", "show", "zz").code == 2

    def test_console_without_a_terminal(self) -> None:
        """One line that names the plain command."""
        answer = subprocess_cli([])
        assert answer.returncode == 2
        assert "cronsole status" in answer.stderr
        assert answer.stderr.count("\n") == 1

    def test_a_bug_is_one_line_and_a_traceback_on_request(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        """CRONSOLE_DEBUG=1 shows where."""

        def broken(*_: Any, **__: Any) -> None:
            raise RuntimeError("oh\x1b no")

        monkeypatch.setattr("backends.connect.settings_from_env", broken)
        answer = cli("queues")
        assert answer.code == 1
        assert answer.err.startswith("cronsole: RuntimeError: oh\\x1b no; this is a bug")
        monkeypatch.setenv("CRONSOLE_DEBUG", "1")
        with pytest.raises(RuntimeError):
            cli("queues")

    def test_interrupt_is_130(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C."""

        def interrupted(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("backends.connect.settings_from_env", interrupted)
        assert cli("queues").code == 130


def test_help_imports_nothing_heavy() -> None:
    """Neither Textual nor a driver is loaded for a help page."""
    code = (
        "import sys; from console.cli.root import run; run(['--help']); "
        "bad = {'textual', 'rich', 'redis', 'psycopg', 'msgspec', 'httpx', 'asyncio', 'croniter'} & set(sys.modules); "
        "sys.exit(repr(bad) if bad else 0)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr


def test_every_command_has_a_help_page(cli: Cli) -> None:
    """Each name of the table leads to a command."""
    from console.cli.root import COMMANDS

    for name in COMMANDS:
        answer = cli(name, "--help")
        assert answer.code == 0
        assert answer.out.startswith(f"Usage: cronsole {name}")
