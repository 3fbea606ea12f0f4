"""The command line against real servers: shapes of --json key by key, hostile text, actions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.console.cli_helpers import HOSTILE, Answer, Cli


class TestLists:
    """Each list in JSON, key by key, and as a table."""

    def test_jobs(self, cli: Cli, world: list[str]) -> None:
        """The contract of `jobs --json`."""
        rows = cli("jobs", "--json").json
        tick = next(r for r in rows if r["name"] == "tick")
        assert list(tick) == ["name", "schedule", "timezone", "queue", "kind", "paused", "next_fire", "last_run"]
        assert list(tick["last_run"]) == ["run_id", "outcome", "started_at", "duration_ms"]
        assert (tick["schedule"], tick["timezone"], tick["kind"]) == ("*/5 * * * *", "Europe/Berlin", "command")
        assert tick["last_run"]["run_id"] == world[0]
        assert tick["last_run"]["duration_ms"] == pytest.approx(500)
        mail = next(r for r in rows if r["name"] == "send_email")
        assert (mail["next_fire"], mail["last_run"], mail["paused"]) == (None, None, False)
        assert "tick" in cli("jobs").out

    def test_queues(self, cli: Cli, world: list[str]) -> None:
        """The contract of `queues --json`."""
        rows = cli("queues", "--json").json
        keys = ["name", "kind", "ready", "running", "later", "dead", "paused", "oldest_ready_seconds", "workers"]
        assert [list(r) for r in rows] == [keys, keys]
        assert {r["name"]: r["dead"] for r in rows} == {"default": 0, "mail": 2}
        lines = cli("queues").out.splitlines()
        assert lines[0].startswith("QUEUE")
        assert len(lines) == 3

    def test_workers(self, cli: Cli, world: list[str]) -> None:
        """The engine that beats is listed."""
        assert [e["id"] for e in cli("workers", "--json").json] == ["h:1:ab"]
        assert "h:1:ab" in cli("workers").out

    def test_runs(self, cli: Cli, world: list[str]) -> None:
        """The contract of `runs list --json`, paging, and `runs show`."""
        page = cli("runs", "list", "--json").json
        assert list(page) == ["items", "next_cursor"]
        assert list(page["items"][0]) == [
            "run_id", "attempt", "job", "queue", "outcome", "trigger", "scheduled_for", "started_at", "finished_at",
            "duration_ms", "worker", "exit_code", "error",
        ]  # fmt: skip
        assert page["items"][0]["run_id"] == world[0]
        assert page["items"][0]["started_at"].endswith("Z")
        cursor = cli("runs", "list", "--json", "--limit", "1").json["next_cursor"]
        assert cli("runs", "list", "--json", "--cursor", cursor).json == {"items": [], "next_cursor": None}
        assert cli("runs", "list", "--json", "--outcome", "succeeded").json["items"] == []
        assert len(cli("runs", "list", "--json", "--since", "1h").json["items"]) == 1
        assert cli("runs", "--json").json == page
        shown = cli("runs", "show", world[0], "--json").json
        assert shown["attempts"][0]["exit_code"] == 3

    def test_dead(self, cli: Cli, world: list[str]) -> None:
        """The contract of `dead list --json`; groups; show."""
        page = cli("dead", "list", "--json").json
        assert list(page) == ["items", "total", "next_cursor"]
        keys = ["id", "queue", "job", "attempts", "error", "failed_at", "payload", "group"]
        assert [list(d) for d in page["items"]] == [keys, keys]
        assert [d["id"] for d in page["items"]] == [world[2], world[1]]
        assert cli("dead", "--json").json == page
        assert page["total"] == 2
        assert page["items"][1]["payload"] == {"n": 1}
        assert page["items"][0]["payload"].startswith("\\xff")
        assert [g["count"] for g in cli("dead", "groups", "--json").json] == [2]
        assert cli("dead", "show", world[1], "--json").json["envelope"].startswith('{"id":"77"')
        assert cli("dead", "list", "--json", "--error", "BOOM").json["items"][0]["id"] == world[1]

    def test_status(self, cli: Cli, world: list[str]) -> None:
        """Both servers, the engine, the totals."""
        answer = cli("status", "--json")
        assert answer.code == 0
        assert list(answer.json) == [
            "namespace", "read_only", "redis", "postgres", "engines", "queues", "totals", "last_runs", "warnings",
        ]  # fmt: skip
        assert [r["run_id"] for r in answer.json["last_runs"]] == [world[0]]
        assert answer.json["totals"]["dead"] == 2
        text = cli("status").out
        assert "3 of 10 slots busy" in text
        assert "PostgreSQL" in text
        assert "tick failed in 500ms" in text

    def test_status_without_redis_still_shows_the_last_runs(
        self, cli: Cli, world: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One server down never hides what the other knows."""
        monkeypatch.setenv("CRONSOLE_REDIS_URL", "redis://127.0.0.1:1/0")
        answer = cli("status", "--json")
        assert answer.code == 3
        assert (answer.json["redis"]["ok"], answer.json["postgres"]["ok"]) == (False, True)
        assert [r["run_id"] for r in answer.json["last_runs"]] == [world[0]]

    def test_next_of_a_published_job(self, cli: Cli, world: list[str], monkeypatch: Any, tmp_path: Path) -> None:
        """Asked for where the job file here does not have it."""
        monkeypatch.chdir(tmp_path)
        for _ in range(2):
            assert cli("next", "tick", "--json").json["expression"] == "*/5 * * * *"
            Path("jobs.toml").write_text('[jobs.other]\ncommand = "true"')
        answer = cli("next", "othr")
        assert (answer.code, "did you mean 'other'" in answer.err) == (2, True)

    def test_empty_lists_say_so(self, cli: Cli) -> None:
        """Nothing on standard output, a hint beside it, JSON stays JSON."""
        for name in ("jobs", "queues", "workers"):
            assert cli(name, "--json").json == []
            answer = cli(name)
            assert (answer.code, answer.out) == (0, "")
            assert "cronsole engine" in answer.err


class TestHostileText:
    """What came from outside never reaches a terminal raw."""

    @pytest.mark.parametrize("argv", [["dead", "list"], ["dead", "groups"], ["runs", "list"]])
    def test_tables(self, cli: Cli, world: list[str], argv: list[str]) -> None:
        """One row a line; control, C1 and bidi characters visible."""
        answer = cli(*argv)
        assert not any(c in answer.out for c in "\x1b\x07\x9b\u202e\u2066")
        assert "\\x1b]0;owned" in answer.out
        assert all(line.isprintable() for line in answer.out.splitlines())

    def test_shows(self, cli: Cli, world: list[str]) -> None:
        """Also where several lines are printed."""
        for argv in (["dead", "show", world[2]], ["runs", "show", world[0]]):
            answer = cli(*argv)
            assert all(line.isprintable() for line in answer.out.split("\n")), answer.out
            assert "\\u202e" in answer.out

    def test_json_is_ascii(self, cli: Cli, world: list[str]) -> None:
        """JSON escapes them all, and gives them back."""
        answer = cli("dead", "list", "--json")
        assert answer.out.isascii()
        assert HOSTILE in answer.json["items"][0]["error"]

    def test_errors(self, cli: Cli) -> None:
        """An argument that comes back in an error line is escaped too."""
        answer = cli("trigger", "x\x1b[31m\nfake: line")
        assert answer.code == 2
        assert "\x1b" not in answer.err
        assert answer.err.count("\n") == 1


class TestActions:
    """What changes something."""

    def test_trigger_and_cancel(self, cli: Cli, world: list[str]) -> None:
        """`trigger --json` has a run id; that run can be cancelled; once."""
        answer = cli("trigger", "send_email", "--payload", '{"to":"ada"}', "--json")
        assert list(answer.json) == ["run_id", "receipt"]
        assert cli("cancel", answer.json["run_id"], "--json").json["result"] == "cancelled"
        again = cli("cancel", answer.json["run_id"])
        assert again.code == 2
        assert "runs show" in again.err

    @pytest.mark.parametrize(
        "payload",
        ["[1]", "{", '"x"', "nul", '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', '{"a":' + "[" * 5000, "\udcff"],
    )
    def test_bad_payload(self, cli: Cli, world: list[str], payload: str) -> None:
        """Not an object, or nothing that JSON can carry: bad input, one line; never something else instead."""
        answer = cli("trigger", "send_email", "--payload", payload)
        assert answer.code == 2
        assert answer.err.count("\n") == 1

    def test_unknown_job(self, cli: Cli, world: list[str]) -> None:
        """The nearest is named."""
        answer = cli("trigger", "send_emial")
        assert answer.code == 2
        assert "did you mean 'send_email'" in answer.err

    def test_enqueue(self, cli: Cli, world: list[str], tmp_path: Path) -> None:
        """One, a file, and a file with a mistake: the line is named and nothing goes in."""
        assert cli("enqueue", "mail", "send_email", "--payload", "{}", "--json").json["enqueued"] == 1
        lines = tmp_path / "f.jsonl"
        lines.write_text("".join(f'{{"n": {n}}}\n' for n in range(300)) + "\n")
        assert cli("enqueue", "mail", "send_email", "--file", str(lines)).out == "300 enqueued\n"
        lines.write_text('{"n": 1}\n{"n": \n')
        answer = cli("enqueue", "mail", "send_email", "--file", str(lines))
        assert answer.code == 2
        assert "line 2" in answer.err
        lines.write_text('{"n": 1}\n{"n": "' + "x" * 1_000_001 + '"}\n')
        answer = cli("enqueue", "mail", "send_email", "--file", str(lines))
        assert answer.code == 2
        assert "line 2 is longer" in answer.err
        ready = {q["name"]: q["ready"] for q in cli("queues", "--json").json}
        assert ready["mail"] == 301

    @pytest.mark.parametrize(
        ("bad", "words"),
        [
            (b'{"a": "\\u0000"}', "NUL"),
            (b'{"a": "\x00"}', "not JSON"),
            (b'{"a": "' + b"x" * 999_950 + b'"}', "1,000,000"),
            (b'{"a": "\xff"}', "not JSON"),
            (b"[1]", "not a JSON object"),
            (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
        ],
    )
    def test_a_bad_line_is_told_by_its_number(
        self, cli: Cli, world: list[str], tmp_path: Path, bad: bytes, words: str
    ) -> None:
        """Whoever refuses it; empty lines count, and nothing goes in."""
        file = tmp_path / "f.jsonl"
        file.write_bytes(b'{"n": 1}\n\n' + bad + b'\n{"n": 2}\n')
        answer = cli("enqueue", "mail", "send_email", "--file", str(file))
        assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
        assert answer.err.startswith("cronsole: line 3")
        assert words in answer.err
        assert {q["ready"] for q in cli("queues", "--json").json} == {0}

    def test_a_file_that_begins_with_a_bom(self, cli: Cli, world: list[str], tmp_path: Path) -> None:
        """As editors on Windows write it. What is wrong elsewhere names no line."""
        file = tmp_path / "f.jsonl"
        file.write_bytes(b'\xef\xbb\xbf{"n": 1}\r\n{"n": 2}\r\n')
        assert cli("enqueue", "mail", "send_email", "--file", str(file)).out == "2 enqueued\n"
        assert "line" not in cli("enqueue", "mail", "send_emial", "--file", str(file)).err
        file.write_bytes(b"\xef\xbb\xbf\r\n")
        assert cli("enqueue", "mail", "send_email", "--file", str(file)).out == "0 enqueued\n"

    def test_pause_and_resume(self, cli: Cli, world: list[str]) -> None:
        """Shown with who and why; a job and a queue."""
        assert cli("pause", "job:tick", "--note", "disk \x1b full", "--for", "30m").code == 0
        shown = cli("jobs").out
        assert "disk \\x1b full" in shown
        assert next(j for j in cli("jobs", "--json").json if j["name"] == "tick")["paused"] is True
        assert "goes on" in cli("resume", "job:tick").out
        assert "was not paused" in cli("resume", "job:tick").out
        assert cli("pause", "queue:mail").code == 0
        assert {q["name"]: q["paused"] for q in cli("queues", "--json").json} == {"default": False, "mail": True}
        assert cli("pause", "tick").code == 2
        assert cli("pause", "job:tick", "--for", "soon").code == 2

    def test_dead_retry(self, cli: Cli, world: list[str]) -> None:
        """Dry run, refusal without --yes, selection, ids."""
        assert cli("dead", "retry", "--all", "--dry-run", "--json").json == {
            "matched": 2, "changed": 0, "receipt": None,
        }  # fmt: skip
        careful = cli("dead", "retry", "--all")
        assert careful.code == 2
        assert "2 dead letters match; add --yes" in careful.err
        assert cli("dead", "retry", "--job", "nothing_died_here") == Answer(0, "no dead letter matches\n", "")
        assert cli("dead", "retry").code == 2
        assert cli("dead", "retry", world[1], "--all").code == 2
        done = cli("dead", "retry", world[1], "--json").json
        assert list(done) == ["matched", "changed", "receipt"]
        assert (done["matched"], done["changed"], len(done["receipt"])) == (1, 1, 11)
        assert cli("dead", "retry", world[1]).code == 2
        mixed = cli("dead", "retry", world[1], world[2], "--dry-run")
        assert mixed.out == "1 matched, 0 put back (dry run)\n"
        assert "1 of 2 ids are no dead letters" in mixed.err
        assert cli("dead", "retry", "--job", "send_email", "--yes").out == "1 matched, 1 put back\n"
