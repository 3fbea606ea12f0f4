"""What leaves the console: the terminal's clipboard, files, a pager."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path

import pytest

from console.export import as_csv, as_json, clipboard, guarded, pager, write_new
from tests.console.app_helpers import console
from tests.console.fake_ops import HOSTILE, FakeOps
from widgets.safe import cell
from widgets.table import Column, Row

COLUMNS = (Column("job", 9), Column("", 4), Column("job", 4))


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1"])
def test_a_formula_is_put_behind_an_apostrophe(text: str) -> None:
    assert guarded(text) == "'" + text


@pytest.mark.parametrize("text", ["", "-5", "+1,000.5", "12%", "backup", "a=b"])
def test_numbers_and_plain_text_stay(text: str) -> None:
    assert guarded(text) == text


def test_a_table_as_csv_and_json() -> None:
    rows = [Row("=k", (cell('say "hi", all'), cell("-x"), cell(HOSTILE)))]
    head, row = csv.reader(io.StringIO(as_csv(COLUMNS, rows)))
    assert head == ["key", "job", "column 2", "job 3"]
    assert row[:3] == ["'=k", 'say "hi", all', "'-x"]
    assert "\x1b" not in row[3]
    (found,) = json.loads(as_json(COLUMNS, rows))
    assert found["key"] == "=k"
    assert found["column 2"] == "-x"


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
