"""A payload in $EDITOR: the file, the check with its place, what differs, and what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from backends.errors import BadInputError
from console.editor import Wrong, check, diff, edit, editor, payload_of, pretty, same
from tests.console.cli_helpers import HOSTILE


def script(tmp_path: Path, code: str) -> list[str]:
    """An editor that is a line of Python; `path` is the file it is to edit."""
    program = tmp_path / "editor.py"
    program.write_text("import sys, os, pathlib\npath = pathlib.Path(sys.argv[1])\n" + code)
    return [sys.executable, str(program)]


def test_the_editor_is_the_operators_own() -> None:
    assert editor({"EDITOR": "code -w", "VISUAL": ""}) == ["code", "-w"]
    assert editor({"EDITOR": "vi", "VISUAL": "emacs"}) == ["emacs"]
    with pytest.raises(BadInputError, match="EDITOR can't be read"):
        editor({"EDITOR": "vi '"})


def test_without_an_editor_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BadInputError, match=r"no editor was found.*EDITOR"):
        editor({})


def test_the_text_goes_out_in_a_private_file_and_comes_back(tmp_path: Path) -> None:
    told = tmp_path / "told"
    words = script(
        tmp_path,
        "seen = f'{path} {os.stat(path).st_mode} {os.stat(path.parent).st_mode}'\n"
        f"pathlib.Path({str(told)!r}).write_text(seen)\n"
        "path.write_text(path.read_text().replace('1', '2'))\n",
    )
    assert edit('{"n": 1}\n', "a/../b c", words) == '{"n": 2}\n'
    path, mode, folder = told.read_text().split()
    assert (stat.S_IMODE(int(mode)), stat.S_IMODE(int(folder))) == (0o600, 0o700)
    assert Path(path).name == "a-b-c.json"
    assert not Path(path).exists()


def test_an_editor_that_saves_by_renaming_is_read_too(tmp_path: Path) -> None:
    words = script(tmp_path, "new = path.with_suffix('.new'); new.write_text('{}'); os.replace(new, path)")
    assert edit("[]", "x", words) == "{}"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("sys.exit(1)", "ended with 1: nothing is sent"),
        ('path.write_bytes(b\'{"a": "\\xff"}\')', "no UTF-8"),
        ("path.write_text(' ' * 1_000_001)", "too large"),
        ("path.unlink()", "can't be read"),
    ],
)
def test_what_an_editor_can_leave_behind(tmp_path: Path, code: str, says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        edit("{}", "x", script(tmp_path, code))


def test_an_editor_that_is_not_there_is_said() -> None:
    with pytest.raises(BadInputError, match=r"/no/such can't be started.*EDITOR"):
        edit("{}", "x", ["/no/such"])


def test_ctrl_c_in_the_editor_is_the_editors(tmp_path: Path) -> None:
    words = script(
        tmp_path,
        "import signal\n"
        "assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN\n"
        f"os.kill({os.getpid()}, signal.SIGINT)\n"
        "path.write_text('{}')",
    )
    before = signal.getsignal(signal.SIGINT)
    assert edit("[]", "x", words) == "{}"
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"a": 1}', None),
        ("{}", None),
        ('{"a": 1,\n "b" 2}', Wrong("not JSON: expecting ':' delimiter", 2, 6)),
        ("", Wrong("not JSON: expecting value", 1, 1)),
        ("[1]", Wrong('a payload is an object: {"key": "value"}', 1, 1)),
        ('{"a": {"b": 1, "b": 2}}', Wrong('the key "b" stands twice in one object')),
        ('{"a": NaN}', Wrong("NaN is no JSON")),
        ('{"a": -Infinity}', Wrong("-Infinity is no JSON")),
        ("[" * 100_000, Wrong("nested too deep")),
    ],
)
def test_the_check_says_what_and_where(text: str, wrong: Wrong | None) -> None:
    found, said = check(text)
    assert said == wrong
    assert (found is None) == (wrong is not None)


def test_a_number_longer_than_python_reads_is_said() -> None:
    found, wrong = check('{"n": ' + "9" * 5_000 + "}")
    assert found is None
    assert wrong is not None
    assert "digits" in wrong.text


def test_what_acts_on_a_terminal_is_written_out_and_nothing_is_lost() -> None:
    payload = {"text": HOSTILE + "\ud800 😀 \U000e0001 ä", "n": 12345678901234567890123}
    text = pretty(payload)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "😀" in text
    assert "ä" in text
    assert check(text) == (payload, None)
    text.encode("utf-8")


def test_the_payload_of_an_envelope() -> None:
    assert payload_of(b'{"type": "a", "payload": {"n": 1}}') == {"n": 1}
    assert payload_of(b'{"type": "a"}') == {}
    for bad in (b"\xff", b"[]", b'{"payload": 3}', b"{", b"[" * 100_000):
        assert payload_of(bad) is None


def test_true_is_not_one_and_order_does_not_count() -> None:
    assert same({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert not same({"a": 1}, {"a": True})
    assert not same({"a": 1}, {"a": 1.0})


def test_what_differs_needs_no_colour() -> None:
    before = {f"k{n}": n for n in range(20)}
    lines = diff(before, {**before, "k9": "nine"})
    assert [line for line in lines if line[0] in "+-"] == ['-  "k9": 9,', '+  "k9": "nine",']
    assert lines[0].startswith("@@")
    assert len(lines) == 1 + 3 + 2 + 3
    assert json.loads(pretty(before)) == before
