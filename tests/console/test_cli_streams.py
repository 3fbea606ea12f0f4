"""Standard streams that are closed, full, or without a reader: one line, an exit code, and no act half told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

from tests.console.cli_helpers import JOBS, ROOT, Answer, Cli

PURGE = ("dead", "purge", "--job", "send_email", "--yes")
FULL = "standard output takes nothing: No space left on device"


def ran(
    argv: Sequence[str], *, close: Sequence[int] = (), out: str | IO[bytes] = "", err: str = "", **env: str
) -> Answer:
    """What a command did as a process of its own, some of whose streams are closed or go to a file."""

    def shut() -> None:
        for fd in close:
            os.close(fd)

    with ExitStack() as files:
        stdout = files.enter_context(open(out, "wb")) if isinstance(out, str) and out else out
        stderr = files.enter_context(open(err, "wb")) if err else subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-c", "from console.cli import main; main()", *argv],
            env={**os.environ, "PYTHONPATH": str(ROOT), **env}, stdin=subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE, stderr=stderr, preexec_fn=shut, text=True,
        )  # fmt: skip
    told = process.communicate(timeout=60)
    return Answer(process.returncode, told[0] or "", told[1] or "")


def letters(cli: Cli) -> int:
    return int(cli("dead", "--json").json["total"])


class TestClosed:
    """By whoever starts it, as with >&-."""

    @pytest.mark.parametrize("argv", [PURGE, (*PURGE, "--dry-run"), ("dead",), ("next", "@daily")])
    def test_output(self, cli: Cli, world: list[str], argv: tuple[str, ...]) -> None:
        """Nothing is begun whose answer nobody would get."""
        answer = ran(argv, close=[1])
        told = "cronsole: standard output is closed; redirect it, to /dev/null if nobody reads it\n"
        assert (answer.code, answer.err) == (2, told)
        assert letters(cli) == 2

    def test_errors(self, cli: Cli, world: list[str]) -> None:
        """There is nobody to tell them to; the receipt stands in the answer."""
        answer = ran([*PURGE, "--json"], close=[2])
        assert answer.code == 0
        assert answer.json["receipt"] == cli("ops", "--json").json[0]["receipt"]
        assert ran(["dead", "show", "x"], close=[0, 2]) == Answer(2, "", "")

    def test_all(self, cli: Cli, world: list[str]) -> None:
        assert ran(PURGE, close=[0, 1, 2]) == Answer(2, "", "")
        assert ran([], close=[0, 1, 2]) == Answer(2, "", "")
        assert letters(cli) == 2

    def test_an_engine_prints_nothing(self, cli: Cli, world: list[str], tmp_path: Path) -> None:
        """So it needs no output."""
        (tmp_path / "jobs.toml").write_text(JOBS)
        assert ran(["engine", "-j", str(tmp_path / "jobs.toml"), "--drain"], close=[0, 1]).code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no file that is always full")
class TestFull:
    """A disk without room."""

    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_output(self, cli: Cli, world: list[str], unbuffered: str) -> None:
        """The act is told all the same, on stderr."""
        answer = ran(PURGE, out="/dev/full", PYTHONUNBUFFERED=unbuffered)
        receipt = cli("ops", "--json").json[0]["receipt"]
        assert answer.code == 74
        assert answer.err == (f"cronsole undo {receipt} takes it back\ncronsole: {FULL}; what was to be done is done\n")
        assert letters(cli) == 0
        for argv in (["--help"], ["--version"], ["dead", "--help"], ["queues"], ["jobs", "--json"]):
            answer = ran(argv, out="/dev/full", PYTHONUNBUFFERED=unbuffered)
            assert (answer.code, answer.err.count("\n"), FULL in answer.err) == (74, 1, True), argv

    def test_errors(self, cli: Cli, world: list[str]) -> None:
        answer = ran([*PURGE, "--json"], err="/dev/full")
        assert (answer.code, answer.json["changed"]) == (0, 2)
        assert ran(["dead", "show", "x"], err="/dev/full").code == 2


def test_a_reader_that_left(cli: Cli, world: list[str]) -> None:
    """141 as in a shell; what was done is told on stderr."""
    for argv in (PURGE, ["--help"], ["jobs"]):
        out, into = os.pipe()
        os.close(out)
        with open(into, "wb") as pipe:
            answer = ran(argv, out=pipe)
        hint = f"cronsole undo {cli('ops', '--json').json[0]['receipt']} takes it back\n"
        assert (answer.code, answer.err) == (141, hint if argv is PURGE else "")
    assert letters(cli) == 0
