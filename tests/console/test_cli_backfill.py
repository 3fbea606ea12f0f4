"""`cronsole backfill`: the list, the question, the refusals, the shapes of --json."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.console.cli_helpers import ROOT, Cli

RANGE = ("--from", "2026-06-01T02:00", "--to", "2026-06-01T02:15")
"""Three fires of `tick`; in Berlin it is summer."""


class TestList:
    """--dry-run."""

    def test_text(self, cli: Cli, world: list[str]) -> None:
        """Local time, UTC, what became of each, and the number; nothing is put in."""
        answer = cli("backfill", "tick", *RANGE, "--dry-run")
        assert answer.code == 0
        lines = answer.out.splitlines()
        assert lines[0].split() == ["TIME", "UTC", "FIRE", "BACKFILL"]
        assert lines[1] == "Mon 2026-06-01 02:00 CEST  2026-06-01 00:00  no record  -"
        assert lines[-1] == "3 fires would run"
        assert len(lines) == 5
        assert {q["ready"] for q in cli("queues", "--json").json} == {0}

    def test_json(self, cli: Cli, world: list[str]) -> None:
        """Key by key, before and after."""
        answer = cli("backfill", "tick", *RANGE, "--dry-run", "--json").json
        assert list(answer) == ["job", "matched", "fires"]
        assert (answer["job"], answer["matched"]) == ("tick", 3)
        assert answer["fires"][0] == {
            "planned": "2026-06-01T00:00:00.000Z", "result": None, "outcome": None, "backfill": None,
        }  # fmt: skip
        made = cli("backfill", "tick", *RANGE, "--yes", "--json").json
        receipt = cli("ops", "--json").json[0]["receipt"]
        assert made == {"job": "tick", "matched": 3, "changed": 3, "receipt": receipt}
        answer = cli("backfill", "tick", *RANGE, "--dry-run", "--json").json
        assert [fire["backfill"] for fire in answer["fires"]] == ["queued"] * 3

    def test_nothing_matches(self, cli: Cli, world: list[str]) -> None:
        """Said beside standard output."""
        answer = cli("backfill", "tick", *RANGE, "--only", "missed", "--dry-run")
        assert (answer.code, answer.out, answer.err) == (0, "0 fires would run\n", "no fire matches\n")
        assert cli("backfill", "tick", *RANGE, "--only", "missed").out == "0 matched, 0 put into the queue\n"


class TestRun:
    """What changes something."""

    def test_once_and_again(self, cli: Cli, world: list[str]) -> None:
        """The same range twice runs nothing twice, unless it is asked for."""
        done = cli("backfill", "tick", *RANGE, "--yes")
        assert done.out == "3 matched, 3 put into the queue\n"
        assert done.err == f"cronsole undo {cli('ops', '--json').json[0]['receipt']} takes it back\n"
        told = "3 matched, 0 put into the queue, 3 were backfilled before (see --again)\n"
        assert cli("backfill", "tick", *RANGE, "--yes").out == told
        again = cli("backfill", "tick", *RANGE)
        assert (again.out, again.err) == (told, "")
        assert "0 fires would run, 3 were" in cli("backfill", "tick", *RANGE, "--dry-run").out
        assert "3 fires would run\n" in cli("backfill", "tick", *RANGE, "--dry-run", "--again").out
        assert cli("backfill", "tick", *RANGE, "--again", "--yes").out == "3 matched, 3 put into the queue\n"

    def test_without_a_terminal_it_needs_yes(self, cli: Cli, world: list[str]) -> None:
        """Number, first and last are told; nothing is put in."""
        answer = cli("backfill", "tick", *RANGE)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err == (
            "cronsole: 3 fires of tick, Mon 2026-06-01 02:00 CEST to Mon 2026-06-01 02:10 CEST;"
            " add --yes to run them, or --dry-run to only list them\n"
        )
        assert {q["ready"] for q in cli("queues", "--json").json} == {0}

    @pytest.mark.parametrize(("said", "put"), [(b"y\n", 3), (b"n\n", 0)])
    def test_in_a_terminal_it_asks(self, cli: Cli, world: list[str], tmp_path: Path, said: bytes, put: int) -> None:
        """With what the live fires do meanwhile, and a line of progress."""
        shown, out = in_a_terminal(["backfill", "tick", *RANGE], said, tmp_path)
        assert "Meanwhile live fires are skipped (overlap = skip)." in shown
        assert "Run 3 fires of tick, Mon 2026-06-01 02:00 CEST to Mon 2026-06-01 02:10 CEST? [y/N]" in shown
        assert ("3 of 3" in shown) is (put == 3)
        assert out == f"3 matched, {put} put into the queue\n"

    def test_read_only_is_4(self, cli: Cli, world: list[str]) -> None:
        """Before anything is asked; the list is a read."""
        answer = cli("--read-only", "backfill", "tick", *RANGE, "--yes")
        assert (answer.code, answer.out, answer.err.count("\n")) == (4, "", 1)
        assert cli("--read-only", "backfill", "tick", *RANGE, "--dry-run").code == 0

    def test_without_history_it_is_3(self, cli: Cli, world: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """What ran before can't be told."""
        monkeypatch.setenv("CRONSOLE_POSTGRES_URL", "postgresql://x@127.0.0.1:1/x")
        answer = cli("backfill", "tick", *RANGE, "--yes")
        assert (answer.code, answer.out, answer.err.count("\n")) == (3, "", 1)

    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            (["tik", *RANGE], "did you mean 'tick'"),
            (["t\x1b[31m\nk", *RANGE], "no job"),
            (["send_email", *RANGE], "'send_email' has no schedule"),
            (["tick", "--from", "soon", "--to", "2026-06-01"], "write 2026-11-23T03:00"),
            (["tick", "--from", "2026-06-02", "--to", "2026-06-01"], "not before its end"),
            (["tick", "--from", "2026-06-01", "--to", "2199-01-01"], "not in the past"),
            (["tick", "--from", "2026-06-01"], "--to"),
            (["tick", *RANGE, "--limit", "2"], "more than 2 fires of 'tick' match"),
            (["tick", *RANGE, "--limit", "10001"], "--limit"),
            (["tick", *RANGE, "--concurrency", "2"], "never runs twice at once"),
            (["tick", *RANGE, "--only", "lost"], "--only"),
            (["tick", *RANGE, "--payload", "[1]"], "--payload is not a JSON object"),
        ],
    )
    def test_bad_input_is_2(self, cli: Cli, world: list[str], argv: list[str], words: str) -> None:
        """One line with what to do; nothing is put in."""
        answer = cli("backfill", *argv, "--yes")
        assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
        assert words in answer.err
        assert "\x1b" not in answer.err
        assert {q["ready"] for q in cli("queues", "--json").json} == {0}


def in_a_terminal(argv: list[str], said: bytes, tmp_path: Path) -> tuple[str, str]:
    """Run the command with a terminal as standard input and error; (what that showed, standard output)."""
    mine, its = pty.openpty()
    shown = b""
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", "from console.cli import main; main()", *argv],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=its, stdout=out, stderr=its,
        )  # fmt: skip
    os.close(its)
    answered = False
    while select.select([mine], [], [], 60)[0]:
        try:
            data = os.read(mine, 4096)
        except OSError:  # it has closed its end
            break
        if not data:
            break
        shown += data
        if b"[y/N]" in shown and not answered:
            os.write(mine, said)
            answered = True
    assert process.wait(60) == 0, shown
    os.close(mine)
    return shown.decode(), (tmp_path / "out").read_text()
