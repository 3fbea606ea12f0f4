"""Operations from the command line: selections, why, retry and purge with a receipt, edit, undo."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from backends.connect import Settings
from backends.history.store import store
from backends.model import AttemptRecord, Outcome
from backends.ops import Ops
from tests.console.cli_helpers import Cli
from tests.contract.helpers import dead, take_one


class TestLooks:
    """What changes nothing."""

    def test_dead_list_filters_and_both_directions(self, cli: Cli, world: list[str]) -> None:
        """Payload text, until; the page above a cursor."""
        assert [r["id"] for r in cli("dead", "--payload-text", "X-UNKNOWN", "--json").json["items"]] == [world[1]]
        assert cli("dead", "--until", "1h", "--json").json["total"] == 0
        assert cli("dead", "--since", "1h", "--json").json["total"] == 2
        cursor = cli("dead", "--limit", "1", "--json").json["next_cursor"]
        (below,) = cli("dead", "--limit", "1", "--cursor", cursor, "--json").json["items"]
        assert below["id"] == world[1]
        (above,) = cli("dead", "--newer", f"{int(cursor.partition('.')[0]) - 1}.mail", "--json").json["items"]
        assert above["id"] == world[2]
        assert cli("dead", "--newer", cursor, "--cursor", cursor).code == 2

    def test_why(self, cli: Cli, world: list[str]) -> None:
        """A line of where it is, then the reasons; JSON; an unknown run is bad input."""
        answer = cli("why", world[1])
        assert answer.out.startswith("attempt 1 of send_email is dead in the queue mail\n  it died")
        found = cli("why", world[1], "--json").json
        assert (found["run_id"], found["place"]["state"], len(found["reasons"])) == (world[1], "dead", 1)
        assert cli("why", world[0]).out.startswith("its attempt 1 ended")
        assert cli("why", world[0], "--json").json["place"] is None
        assert cli("why", "0190f7a0-0000-7000-8000-000000000000").code == 2

    def test_a_class_stands_before_an_error_that_lacks_it(self) -> None:
        """And is not told twice."""
        from datetime import UTC, datetime

        from backends.model import DeadGroup
        from console.cli.dead import _error

        at = datetime.now(UTC)

        def said(error_class: str, error: str) -> str:
            return _error(DeadGroup("g", "q", "j", error_class, error, 1, at, at))

        assert said("KeyError", "KeyError: 'customer'") == "KeyError: 'customer'"
        assert said("HttpError", "500") == "HttpError: 500"
        assert said("WorkerLost", "") == "WorkerLost"

    def test_what_an_operation_is_at(self) -> None:
        """Left, with the last sign of life; how many were taken back, where not all were."""
        from backends.model import now_ms
        from backends.ops.kinds import Operation
        from console.cli.operations import _state

        def said(state: str, **more: int) -> str:
            return _state(Operation("r", "dead_retry", "me", 0, 0, state, changed=2499, **more))

        now = now_ms()
        assert said("running", beat_ms=now) == "running"
        assert said("running", beat_ms=now - 120_500).startswith("left, last heard of 2m")
        assert said("undone", undone=1517) == "undone 1,517 of 2,499"
        assert said("undone", undone=2499) == said("undone") == "undone"

    def test_an_interrupt_after_the_work_does_not_hide_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """While connections are closed; before that it ends the command."""
        from contextlib import asynccontextmanager
        from types import SimpleNamespace

        from console.cli import common

        @asynccontextmanager
        async def opened(*_: object, **__: object) -> AsyncIterator[SimpleNamespace]:
            yield SimpleNamespace(warnings=[])
            raise KeyboardInterrupt

        async def act(_: Ops) -> str:
            return "done"

        async def interrupted(_: Ops) -> str:
            raise KeyboardInterrupt

        monkeypatch.setattr(Ops, "open", opened)
        monkeypatch.setattr(common, "current_settings", lambda: None)
        assert common.with_ops(act) == "done"
        with pytest.raises(KeyboardInterrupt):
            common.with_ops(interrupted)


class TestActs:
    """What changes something has a receipt."""

    def test_purge_and_undo(self, cli: Cli, world: list[str]) -> None:
        """The contract of --json; `ops`; undo once."""
        assert cli("dead", "purge", "--all", "--dry-run", "--json").json == {
            "matched": 2, "changed": 0, "receipt": None,
        }  # fmt: skip
        careful = cli("dead", "purge", "--queue", "mail")
        assert (careful.code, careful.out) == (2, "")
        assert "2 dead letters match; add --yes to purge them" in careful.err
        done = cli("dead", "purge", "--queue", "mail", "--yes", "--json").json
        assert list(done) == ["matched", "changed", "receipt"]
        assert (done["matched"], done["changed"]) == (2, 2)
        (op,) = cli("ops", "--json").json
        assert list(op) == [
            "receipt", "verb", "by", "at", "until", "state", "target", "matched", "changed", "total", "rate", "note",
            "heard_at", "undone_by", "undone",
        ]  # fmt: skip
        assert (op["receipt"], op["verb"], op["state"]) == (done["receipt"], "dead_purge", "done")
        assert done["receipt"] in cli("ops").out
        assert cli("ops", "--unfinished").out == ""
        assert cli("undo", done["receipt"].upper()).out == "2 of 2 taken back\n"
        again = cli("undo", done["receipt"])
        assert (again.code, again.out) == (2, "")
        assert "was taken back already, by" in again.err
        assert cli("dead", "--json").json["total"] == 2

    def test_a_receipt_is_told_without_a_terminal(self, cli: Cli, world: list[str]) -> None:
        """Of a letter, and of new runs; with --json too."""
        for line in (f"dead retry {world[1]}", "enqueue mail send_email"):
            told = cli(*line.split())
            receipt = cli("ops", "--json").json[0]["receipt"]
            assert f"cronsole undo {receipt} takes it back" in told.err
        made = cli("enqueue", "mail", "send_email", "--json").json
        assert made["receipt"] == cli("ops", "--json").json[0]["receipt"]

    def test_a_group_that_is_not_there(self, cli: Cli, world: list[str]) -> None:
        """Is bad input, before anything is asked."""
        for verb in ("retry", "purge"):
            answer = cli("dead", verb, "--group", "ffff", "--yes")
            assert answer.code == 2
            assert "`cronsole dead groups` lists them" in answer.err

    def test_what_is_done_can_not_be_gone_on_with(self, cli: Cli, world: list[str]) -> None:
        """In shown words; what refuses is not offered."""
        receipt = cli("dead", "purge", "--all", "--yes", "--json").json["receipt"]
        assert f"purge dead is done; `cronsole undo {receipt}`" in cli("ops", "resume", receipt).err
        cli("undo", receipt)
        told = cli("ops", "resume", receipt).err
        assert "purge dead is undone" in told
        assert "cronsole undo" not in told

    def test_a_cancel_of_nothing_is_not_in_the_audit(self, cli: Cli, world: list[str]) -> None:
        before = len(cli("audit", "--json").json["items"])
        assert cli("cancel", world[0]).code == 2
        assert len(cli("audit", "--json").json["items"]) == before

    def test_bad_receipts(self, cli: Cli, world: list[str]) -> None:
        """Of every command that takes one."""
        for argv in (["undo", "nonsense"], ["ops", "resume", "00000000000"], ["ops", "stop", "00000000000"]):
            assert cli(*argv).code == 2

    def test_retry_with_rate_and_hold(self, cli: Cli, world: list[str]) -> None:
        """One needs no --yes; many ids do; the options are checked."""
        assert (
            cli("dead", "retry", "--error", "boom", "--rate", "300/m", "--hold", "1m").out == "1 matched, 1 put back\n"
        )
        (op,) = cli("ops", "--json").json
        assert op["rate"] == 5
        assert cli("queues", "--json").json[1]["later"] == 1
        assert cli("undo", op["receipt"], "--json").json == {"matched": 1, "changed": 1, "note": ""}
        assert cli("dead", "retry", world[1], world[2]).code == 2
        for bad in (("--rate", "fast"), ("--rate", "0/s"), ("--rate", "5/d"), ("--hold", "soon"), ("--hold", "48h")):
            answer = cli("dead", "retry", world[1], *bad)
            assert (answer.code, answer.out) == (2, ""), bad
        assert cli("dead", "retry", world[1], world[2], "--yes", "--hold", "0").out == "2 matched, 2 put back\n"
        assert cli("queues", "--json").json[1]["ready"] == 2

    def test_edit(self, cli: Cli, world: list[str]) -> None:
        """--set and --payload; what is wrong with them."""
        for argv, error in (
            ([], "no terminal to edit in"),
            (["--payload", "[1]"], "not a JSON object"),
            (["--payload", "{"], "not JSON"),
            (["--set", "n"], "no key and value"),
            (["--set", "n.m=1"], "is no object"),
            (["--set", "n=1"], "is as it was"),
            (["--set", "n=2", "--payload", "{}"], "exclude each other"),
            (["--payload", '{"x":"' + "y" * 1_000_000 + '"}'], "1,000,"),
        ):
            answer = cli("dead", "edit", world[1], *argv)
            assert (answer.code, answer.out) == (2, ""), argv
            assert error in answer.err, answer.err
        made = cli("dead", "edit", world[1], "--set", "n=[2]", "--set", "who.name=Ada", "--json").json
        assert list(made) == ["run_id", "replay_of", "receipt"]
        assert cli("dead", "edit", world[1], "--set", "n=3").code == 2
        place = cli("why", made["run_id"], "--json").json["place"]
        assert (place["state"], place["trigger"]) == ("later", "replay")
        assert cli("undo", made["receipt"]).code == 0
        assert cli("dead", "show", world[1]).code == 0

    def test_the_original_of_an_edit(
        self, cli: Cli, world: list[str], settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Beside the run of the letter, and beside the one that went in its place, dead again or not; not once it is
        taken back."""
        hostile = cli("dead", "show", world[2], "--json").json
        assert hostile["originals"] == []
        assert cli("dead", "show", world[2], "--original").code == 2
        new = cli("dead", "edit", world[2], "--payload", '{"n": 2}', "--hold", "0", "--json").json

        async def die() -> None:
            async with Ops.open(settings) as ops:
                mail = ops.live.queue("mail")
                await mail.settle("w1", [dead(await take_one(mail))])
                past = AttemptRecord(
                    run_id=world[2], attempt=1, job="send_email", queue="mail", outcome=Outcome.FAILED, finished_us=1
                )
                async with ops.history(), (await ops.servers.pool()).connection() as connection:
                    await store(connection, [past], [])

        place = f"original: it went in place of run {world[2]}, whose letter was edited "
        assert place in cli("runs", "show", new["run_id"]).out
        asyncio.run(die())
        for argv, told in (
            (("runs", "show", new["run_id"]), place),
            (("dead", "show", new["run_id"]), place),
            (("runs", "show", world[2]), f", run {new['run_id']} went in its place; --original shows that\n"),
        ):
            (found,) = cli(*argv, "--json").json["originals"]
            assert list(found) == [
                "run_id", "replaced_by", "edited_at", "receipt", "queue", "job", "attempts", "error", "failed_at",
                "envelope",
            ]  # fmt: skip
            assert (found["run_id"], found["replaced_by"]) == (world[2], new["run_id"])
            assert (found["receipt"], found["envelope"]) == (new["receipt"], hostile["envelope"])
            assert told in cli(*argv).out
            whole = cli(*argv, "--original").out
            assert "envelope  \\xff\\x1b[31m no json" in whole
            assert all(line.isprintable() for line in whole.split("\n"))
        monkeypatch.setenv("CRONSOLE_POSTGRES_URL", "postgresql://x@127.0.0.1:1/x")
        shown = cli("dead", "show", new["run_id"])
        assert (shown.code, "whether its letter was edited is not known" in shown.err) == (0, True)

    def test_the_original_of_an_edit_that_is_taken_back(self, cli: Cli, world: list[str]) -> None:
        """Is the letter itself."""
        new = cli("dead", "edit", world[1], "--set", "n=2", "--json").json
        assert cli("undo", new["receipt"]).code == 0
        assert cli("dead", "show", world[1], "--json").json["originals"] == []

    def test_read_only(self, cli: Cli, world: list[str]) -> None:
        """Exit code 4, before anything is asked; a dry run is a look."""
        for line in ("dead purge --all", f"dead retry {world[1]}", f"dead edit {world[1]} --set n=2",
                     "undo 00000000000", f"runs replay {world[0]}", "ops resume 00000000000", "ops stop 00000000000",
                     ):  # fmt: skip
            assert cli("--read-only", *line.split()).code == 4, line
        assert cli("--read-only", "dead", "purge", "--all", "--dry-run").code == 0

    def test_unreachable(self, cli: Cli, world: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """Exit code 3."""
        monkeypatch.setenv("CRONSOLE_REDIS_URL", "redis://127.0.0.1:1")
        for line in ("dead purge --all --yes", "dead retry x", "undo 00000000000", "ops", f"why {world[1]}"):
            assert cli(*line.split()).code == 3, line

    def test_replay(self, cli: Cli, world: list[str]) -> None:
        """A run whose envelope was not kept says so; a dead letter goes as it is."""
        answer = cli("runs", "replay", world[0])
        assert answer.code == 2
        assert "was not kept" in answer.err
        made = cli("runs", "replay", world[1], "--json").json
        assert list(made) == ["run_id", "replay_of", "receipt"]
        assert cli("dead", "--json").json["total"] == 1

    def test_every_act_has_its_receipt_in_json(self, cli: Cli, world: list[str]) -> None:
        """And `undo` takes it."""
        cli("pause", "queue:mail")
        run = cli("trigger", "send_email", "--json").json
        for words, back in (
            (("cancel", run["run_id"]), "1 of 1 taken back"),
            (("resume", "queue:mail"), "queue:mail is paused, as before"),
            (("pause", "job:send_email"), "job:send_email is not paused, as before"),
        ):  # fmt: skip
            receipt = cli(*words, "--json").json["receipt"]
            assert cli("undo", receipt).out == back + "\n"

    def test_a_file_of_nothing_has_no_receipt(self, cli: Cli, world: list[str], tmp_path: Path) -> None:
        empty = tmp_path / "empty.jsonl"
        empty.write_text("\n")
        made = cli("enqueue", "mail", "send_email", "--file", str(empty), "--json").json
        assert made == {"enqueued": 0, "run_ids": [], "receipt": None}

    def test_a_cancel_that_has_no_undo(self, cli: Cli, world: list[str], settings: Settings) -> None:
        """The run ran: `ops` names no time until when it could be taken back."""

        async def taken() -> str:
            async with Ops.open(settings) as ops:
                return (await take_one(ops.live.queue("mail"))).run_id

        cli("enqueue", "mail", "send_email")
        told = cli("cancel", asyncio.run(taken()))
        assert (told.code, told.err) == (0, "")
        (op, before) = cli("ops", "--json").json
        assert (op["verb"], op["until"], before["until"] is None) == ("cancel", None, False)
        cells = cli("ops").out.splitlines()[1].split()
        assert (cells[0], cells[-1]) == (op["receipt"], "-")
        assert "ran does not come back" in cli("undo", op["receipt"]).err

    def test_bump_and_move(self, cli: Cli, world: list[str]) -> None:
        """With receipts; bad input is told."""
        first, second = (cli("trigger", "send_email").out.strip() for _ in range(2))
        assert list(cli("bump", second, "--json").json) == ["run_id", "receipt"]
        assert cli("why", first).out.endswith("1 run goes before it\n")
        assert cli("bump", world[0]).code == 2
        moved = cli("move", first, second, "--to", "default", "--json").json
        assert (list(moved), moved["changed"]) == (["matched", "changed", "receipt"], 2)
        assert cli("move", first, "--to", "nowhere").code == 2
        again = cli("move", first, "--to", "default")
        assert (again.code, "nothing was moved: 1 is there already" in again.err) == (2, True)
        assert cli("undo", moved["receipt"]).out == "2 of 2 taken back\n"

    def test_a_bump_tells_of_the_pause_that_holds_it(self, cli: Cli, world: list[str]) -> None:
        """Of the job or of the queue; its undo says where the run is."""
        first, second = (cli("trigger", "send_email").out.strip() for _ in range(2))
        assert "pause" not in cli("bump", first).err
        cli("pause", "job:send_email")
        assert "it starts when the pause of the job send_email ends" in cli("bump", second).err
        receipt = cli("ops", "--json").json[0]["receipt"]
        cli("pause", "queue:mail")
        assert "it starts when the pause of the queue mail ends" in cli("bump", second).err
        assert cli("undo", receipt).out == "it is at the end of its priority\n"


class TestAsked:
    """In a terminal: the larger, the harder."""

    @pytest.fixture
    def types(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        """What somebody types who sits there."""
        for module in ("acting", "edit"):
            monkeypatch.setattr(f"console.cli.{module}.can_ask", lambda: True)

        def type_it(text: str) -> None:
            monkeypatch.setattr(sys, "stdin", io.StringIO(text))

        return type_it

    def test_by_how_much_it_is(self, cli: Cli, world: list[str], types: Callable[[str], None]) -> None:
        """None for one, y for many with their count, the name for all of a queue, "all" for all."""
        for line, typed, error in (
            ("dead purge --job send_email", "n\n", "Purge 2 dead letters? [y/N]: "),
            ("dead purge --queue mail", "y\n", "Purge all of the queue mail, 2 dead letters? Type mail to do it: "),
            ("dead retry --all", "mail\n", "Retry all of all queues, 2 dead letters? Type all to do it: "),
            (f"dead retry {world[1]} {world[2]}", "\n", "Retry 2 dead letters? [y/N]: "),
        ):
            types(typed)
            answer = cli(*line.split())
            assert (answer.code, answer.err) == (0, error), line
            assert answer.out == "nothing was done\n", line
        for line, typed in (("dead purge --queue mail", "mail\n"), ("dead purge --all", "all\n")):
            types(typed)
            assert cli(*line.split()).out == "2 matched, 2 purged\n"
            assert cli("undo", cli("ops", "--json").json[0]["receipt"]).code == 0
        types("")
        assert cli("dead", "retry", world[1]).out == "1 matched, 1 put back\n"

    def test_an_edit_in_an_editor(
        self, cli: Cli, world: list[str], types: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """What is no JSON comes again; the difference is shown; an editor that fails sends nothing."""
        script = tmp_path / "editor.py"
        monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")
        script.write_text(
            "import pathlib, sys; p = pathlib.Path(sys.argv[1]); t = p.read_text()\n"
            "p.write_text(t.replace('1', '2') + '}' if '1' in t else t.replace('}', '') + '}')\n"
        )
        types("y\ny\n")
        answer = cli("dead", "edit", world[1])
        assert answer.code == 0, answer.err
        assert "line 4, column 1: not JSON" in answer.err
        assert '-  "n": 1\n+  "n": 2\n' in answer.err
        assert "Send it? [y/N]: " in answer.err
        assert len(answer.out.strip()) == 36
        script.write_text("import sys; sys.exit(1)")
        types("")
        refused = cli("dead", "edit", world[2], "--payload", "{}")
        assert (refused.code, refused.out) == (130, "")
        (other,) = cli("dead", "--json").json["items"]
        assert other["id"] == world[2]

    def test_a_rate_and_the_time_left(self) -> None:
        """The line of a progress."""
        from backends.ops import Progress
        from console.cli.progress import progress_words

        assert progress_words(Progress(1000, 250, 250, 250, 0.0, 10.0)) == "250 of 1,000 · 25/s · 30.0s left"
        assert progress_words(Progress(1000, 500, 7, 0, 0.0, 10.0)) == "7 · 500 of 1,000 looked at · 50/s · 10.0s left"
        assert progress_words(Progress(None, 0, 0, 0, 0.0, 0.0)) == "0"
