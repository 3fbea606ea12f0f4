"""What leaves the console: the terminal's clipboard, files, a pager."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backends.model import Pause, QueueStatus, from_ms
from backends.ops.audit import Action
from backends.queues.peek import QueuedRun
from console.export import clipboard, pager, shown, write_new
from console.records import as_csv, as_json, guarded, record
from tests.console.app_helpers import console
from tests.console.fake_ops import HOSTILE, T0, FakeOps
from tests.console.test_runs import many
from widgets.safe import cell
from widgets.table import Column, Row, Table

COLUMNS = (Column("job", 9), Column("", 4), Column("job", 4))


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1"])
def test_a_formula_is_put_behind_an_apostrophe(text: str) -> None:
    assert guarded(text) == "'" + text


@pytest.mark.parametrize("text", ["", "-5", "+1,000.5", "12%", "backup", "a=b"])
def test_numbers_and_plain_text_stay(text: str) -> None:
    assert guarded(text) == text


def test_a_table_without_records_is_written_as_it_looks() -> None:
    rows = [Row("=k", (cell('say "hi", all'), cell("-x"), cell(HOSTILE)))]
    head, row = csv.reader(io.StringIO(as_csv(shown(COLUMNS, rows))))
    assert head == ["key", "job", "column 2", "job 3"]
    assert row[:3] == ["'=k", 'say "hi", all', "'-x"]
    assert "\x1b" not in row[3]
    (found,) = json.loads(as_json(shown(COLUMNS, rows)))
    assert found["key"] == "=k"
    assert found["column 2"] == "-x"


def test_records_are_values_with_dates_zones_numbers_and_plain_words() -> None:
    run = FakeOps().ended[0]
    found = record(run, ZoneInfo("Europe/Berlin"))
    assert found["outcome"] == run.outcome
    assert found["duration_ms"] == pytest.approx(run.duration_ms, abs=0.001)
    assert datetime.fromisoformat(found["started_at"]) == run.started_at
    assert found["started_at"].endswith("+01:00")
    paused = QueueStatus("mail", paused=Pause("ana", "why", T0), oldest_ready_seconds=0.1 + 0.2)
    found = record(paused, UTC)
    assert (found["paused_by"], found["paused_since"]) == ("ana", "2026-11-23T22:43:10+00:00")
    assert found["oldest_ready_seconds"] == 0.3
    queued = record(QueuedRun("r", "ready", "j", 1, ready_ms=T0, cursor="1|0-1"), UTC)
    assert (queued["ready"], "cursor" in queued) == ("2026-11-23T22:43:10+00:00", False)
    lines = list(csv.reader(io.StringIO(as_csv([found, record(QueueStatus("b"), UTC), {"hostile": HOSTILE}]))))
    assert len({len(line) for line in lines}) == 1
    assert "\x1b" not in str(lines)
    assert "\x1b" not in as_json([{"hostile": HOSTILE, "more": [HOSTILE]}])


def test_the_clipboard_is_asked_for_through_tmux_and_screen() -> None:
    asked = "\x1b]52;c;" + base64.b64encode("añb".encode()).decode() + "\x07"
    assert clipboard("añb", {}) == asked
    within = clipboard("añb", {"TMUX": "/tmp/t,1,0"})
    assert within == asked + "\x1bPtmux;\x1b" + asked + "\x1b\\"
    pieces = clipboard("x" * 3000, {"STY": "1.pts"}).split("\x1b\\")
    assert all(piece.startswith("\x1bP") and len(piece) < 768 for piece in pieces[:-1])
    assert "".join(piece[2:] for piece in pieces) == clipboard("x" * 3000, {})


def test_a_file_is_never_overwritten_and_no_link_is_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    (tmp_path / "t.csv").symlink_to(kept)
    first, second = write_new(tmp_path, "t", "csv", "a"), write_new(tmp_path, "t", "csv", "b")
    assert (first.name, second.name, kept.read_text()) == ("t-1.csv", "t-2.csv", "kept")
    assert first.stat().st_mode & 0o777 == 0o600


def test_the_pager_is_the_operators_own() -> None:
    assert pager({"PAGER": "less -S", "EDITOR": "vi"}) == ["less", "-S"]
    assert pager({"EDITOR": "vi"}) == ["vi"]


async def test_w_writes_the_table_in_focus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with console(ops=FakeOps(hostile=True)) as c:
        c.table("dead").focus()
        await c.pilot.press("w")
        await c.until(lambda: list(tmp_path.glob("*.csv")) and "rows in" in c.screen())
        await c.pilot.press("W")
        await c.until(lambda: list(tmp_path.glob("*.json")))
        shown = len(c.table("dead").rows)
    (path,) = tmp_path.glob("*.csv")  # noqa: ASYNC240
    text = path.read_text("utf-8")
    assert "\x1b" not in text
    assert len(list(csv.reader(io.StringIO(text)))) == 1 + shown


async def test_a_list_that_is_read_page_by_page_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with console(ops=many(730)) as c:
        await c.pilot.press("5")
        await c.until(lambda: "100 read, older below" in c.screen())
        await c.pilot.press("w")
        await c.until(lambda: "✓ 730 rows in" in " ".join(c.screen().split()))
        await c.pilot.press("slash", *"outcome:failed row-1", "enter")
        await c.until(lambda: "1 of the newest" in c.screen() or "row-100" in c.screen())
        await c.pilot.press("W")
        await c.until(lambda: list(tmp_path.glob("*.json")))
        await c.until(lambda: "✓ 2 rows in" in " ".join(c.screen().split()))
    (path,) = tmp_path.glob("*.csv")  # noqa: ASYNC240
    lines = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    assert len({line["run_id"] for line in lines}) == 730
    assert {line["outcome"] for line in lines} == {"succeeded", "failed"}
    assert all(datetime.fromisoformat(line["finished_at"]).tzinfo for line in lines)


async def test_a_huge_list_is_cut_and_told_and_esc_stops_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("console.export.EXPORTED_MOST", 250)
    ops = many(730)
    async with console(ops=ops) as c:
        await c.pilot.press("5")
        await c.until(lambda: "100 read, older below" in c.screen())
        await c.pilot.press("w")
        await c.until(
            lambda: "✓ 250 rows in" in c.screen() and "there is more than that" in " ".join(c.screen().split())
        )
        gate, read = asyncio.Event(), ops.runs

        async def slow(*args: Any, **more: Any) -> Any:
            if len(args) > 1 and args[1]:
                await gate.wait()
            return await read(*args, **more)

        ops.runs = slow  # type: ignore[method-assign]
        await c.pilot.press("W")
        await c.until(lambda: "reading all of it" in c.screen() and "Esc stops" in c.screen())
        await c.pilot.press("escape")
        await c.until(lambda: c.app.acts.driving is None and "is stopped" in c.screen())
    assert not list(tmp_path.glob("*.json"))  # noqa: ASYNC240


@pytest.mark.parametrize(("key", "field", "value"), [
    ("3", "name", "mail"), ("6", "name", "send_email"), ("8", "id", "web-1:4711"), ("4", "queue", "mail"),
    ("9", "verb", "pause"),
])  # fmt: skip
async def test_every_list_has_values(
    key: str, field: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ops = FakeOps()
    ops.acts = [Action(2, from_ms(T0), "ana", "pause", {"target": "queue:x"}, 1, 1)]
    async with console(ops=ops) as c:
        await c.pilot.press(key)
        await c.until(lambda: isinstance(c.app.focused, Table) and c.app.focused.rows)
        await c.pilot.press("W")
        await c.until(lambda: "rows in" in " ".join(c.screen().split()))
    (path,) = tmp_path.glob("*.json")  # noqa: ASYNC240
    assert value in [row[field] for row in json.loads(path.read_text("utf-8"))]
