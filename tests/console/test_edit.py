"""Edit and replay from the console: the editor, what is wrong, what differs, what is sent; nothing typed is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.app import SuspendNotSupported

from backends.errors import UnreachableError
from backends.model import DeadLetter, fire_run_id
from console.app import ConsoleApp
from console.editor import check
from console.screens.dead import DeadScreen
from console.screens.dialog import AskDialog
from console.screens.editing import EditedDialog, OpensDialog, wrong_lines
from console.screens.letter import LetterScreen
from tests.console.app_helpers import SIZES, Console, console
from tests.console.fake_ops import HOSTILE, FakeOps
from tests.console.test_dead import letters

pytestmark = pytest.mark.usefixtures("notices_stay")

Writes = Callable[[str], None]


@pytest.fixture
def writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writes:
    """$EDITOR is a line of Python, with `text` to be changed."""
    program = tmp_path / "editor.py"

    def write(code: str) -> None:
        begin = "import sys, pathlib\npath = pathlib.Path(sys.argv[1])\ntext = path.read_text()\n"
        program.write_text(f"{begin}{code}\npath.write_text(text)\n")

    @contextlib.contextmanager
    def suspend(_: ConsoleApp) -> Iterator[None]:
        yield

    monkeypatch.setattr(ConsoleApp, "suspend", suspend)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {program}")
    monkeypatch.delenv("VISUAL", raising=False)
    return write


def one_letter(hostile: str = "") -> FakeOps:
    ops = FakeOps()
    body = {"id": "1", "type": "send_email", "payload": {"to": "a@b", "n": 1, "x": hostile}}
    ops.dead = [replace(ops.dead[0], id="L", job=hostile or "send_email", envelope=json.dumps(body).encode())]
    return ops


async def dead(c: Console) -> None:
    await c.pilot.press("4")
    await c.until(lambda: letters(c).rows)


def asked(c: Console) -> bool:
    return isinstance(c.app.screen, EditedDialog)


@pytest.mark.parametrize("size", SIZES)
async def test_what_differs_is_shown_and_only_y_sends_it(size: tuple[int, int], writes: Writes) -> None:
    ops = one_letter()
    writes("text = text.replace('a@b', 'c@d')")
    async with console(size, ops) as c:
        await dead(c)
        await c.pilot.press("e")
        await c.until(lambda: asked(c) and '-  "to": "a@b",' in c.screen() and '+  "to": "c@d",' in c.screen())
        await c.pilot.press("enter")
        await c.pilot.pause()
        assert not ops.calls, "Enter may have been meant for the editor"
        await c.pilot.press("y")
        await c.until(lambda: ops.calls == [("dead_replay", ("L", {"to": "c@d", "n": 1, "x": ""}))])
        await c.until(lambda: "send_email runs as …" in c.screen() and "u takes back the edited replay" in c.screen())
        assert not c.app.acts.drafts
        await c.pilot.press("u")
        await c.until(lambda: [d.id for d in ops.dead] == ["L"])


async def test_keys_behind_e_hit_nothing_and_esc_leaves_an_editor_that_is_not_there_yet(writes: Writes) -> None:
    ops = one_letter()
    writes("text = text.replace('a@b', 'c@d')")
    gate, show = asyncio.Event(), ops.dead_show

    async def late(letter_id: str) -> DeadLetter:
        await gate.wait()
        return await show(letter_id)

    ops.dead_show = late  # type: ignore[assignment,method-assign]
    async with console(ops=ops) as c:
        await dead(c)
        c.type_ahead("exqrX ")
        await c.until(lambda: isinstance(c.app.screen, OpensDialog) and not c.app.keys_are_due)
        c.type_ahead(("escape",))
        await c.until(lambda: not isinstance(c.app.screen, OpensDialog))
        assert not letters(c).marked
        c.type_ahead("ex")
        await c.until(lambda: isinstance(c.app.screen, OpensDialog) and not c.app.keys_are_due)
        gate.set()
        await c.until(lambda: asked(c) and '+  "to": "c@d",' in c.screen())
        assert not ops.calls
        c.type_ahead("y")
        await c.until(lambda: ops.calls)
        assert [name for name, _ in ops.calls] == ["dead_replay"]
        await c.until(lambda: len(c.app.screen_stack) == 2)


@pytest.mark.usefixtures("notices_stay")
@pytest.mark.parametrize("error", [None, UnreachableError("redis is gone"), RuntimeError("odd")])
async def test_a_question_that_comes_before_the_editor_is_answered_and_leaves_nothing_behind(
    error: Exception | None,
) -> None:
    ops = one_letter()
    gate, show = asyncio.Event(), ops.dead_show
    answers: list[bool | None] = []

    async def late(letter_id: str) -> DeadLetter:
        await gate.wait()
        if error:
            raise error
        return await show(letter_id)

    ops.dead_show = late  # type: ignore[assignment,method-assign]
    async with console(ops=ops) as c:
        await dead(c)
        await c.pilot.press("e")
        c.app.push_screen(AskDialog("Stopped. Go on?", [], "go on"), answers.append)
        gate.set()
        await c.until(lambda: not any(worker.group == "editing" for worker in c.app.workers))
        await c.pilot.press("y")
        await c.until(lambda: isinstance(c.app.screen, DeadScreen))
        await c.until(lambda: (f"✗ {error}" if error else "edit it again") in c.screen())
        assert answers == [True]


async def test_nothing_changed_is_told_and_true_is_not_one(writes: Writes) -> None:
    ops = one_letter()
    writes("import json; text = json.dumps(json.loads(text))")
    async with console(ops=ops) as c:
        await dead(c)
        await c.pilot.press("e")
        await c.until(lambda: "nothing was changed, nothing is sent" in c.screen())
        writes("text = text.replace('1', 'true')")
        await c.pilot.press("e")
        await c.until(lambda: asked(c) and '+  "n": true' in c.screen())


async def test_what_is_no_json_is_edited_again_and_nothing_typed_is_lost(writes: Writes) -> None:
    ops = one_letter()
    writes("""text = text.replace('"n": 1', '"n" 77')""")
    async with console(ops=ops) as c:
        await dead(c)
        await c.pilot.press("e")
        await c.until(lambda: asked(c) and "in line 3, column 7" in c.screen() and "^ here" in c.screen())
        await c.pilot.press("y")
        await c.pilot.pause()
        assert asked(c)
        await c.pilot.press("escape")
        await c.until(lambda: "what you wrote is there" in c.screen())
        writes("""text = text.replace('"n" 77', '"n": 77')""")
        await c.pilot.press("e")
        await c.until(lambda: asked(c) and '+  "n": 77,' in c.screen())
        writes("text = text.replace('77', '78')")
        await c.pilot.press("e")
        await c.until(lambda: asked(c) and '+  "n": 78,' in c.screen())
        await c.pilot.press("y")
        await c.until(lambda: ops.calls and ops.calls[0][1][1]["n"] == 78)


async def test_a_letter_that_died_again_or_is_gone_is_refused_in_words_and_the_text_is_kept(writes: Writes) -> None:
    ops = one_letter()
    letter = ops.dead[0]
    writes("text = text.replace('1', '2')")
    async with console(ops=ops) as c:
        await dead(c)
        await c.pilot.press("e")
        await c.until(lambda: asked(c))
        ops.dead = [replace(letter, sequence=letter.sequence + 1)]
        await c.pilot.press("y")
        await c.until(lambda: "send_email not sent: it died again meanwhile" in c.screen())
        assert "L" in c.app.acts.drafts
        await c.until(lambda: "→ sending" not in c.screen())
        ops.dead = []
        c.app.open("letter", "L")
        await c.until(lambda: isinstance(c.app.screen, LetterScreen) and "no dead letter" in c.screen())
        await c.pilot.press("e")
        await c.until(lambda: "nothing to edit" in c.screen())
        assert not ops.calls


async def test_an_editor_that_fails_and_a_terminal_that_stays_are_told(
    writes: Writes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops = one_letter()
    writes("sys.exit(3)")
    async with console((160, 40), ops) as c:
        await dead(c)
        await c.pilot.press("e")
        await c.until(lambda: "ended with 3: nothing is sent" in c.screen())
        monkeypatch.setenv("EDITOR", "/no/such/editor")
        await c.pilot.press("e")
        await c.until(lambda: "/no/such/editor can't be started" in c.screen())

        def stays(_: ConsoleApp) -> None:
            raise SuspendNotSupported

        monkeypatch.setattr(ConsoleApp, "suspend", stays)
        await c.pilot.press("e")
        await c.until(lambda: "`cronsole dead edit` does the same" in c.screen())


@pytest.mark.parametrize("envelope", [b"\xff", b"[1]", b'{"payload": 3}', b"{"])
async def test_an_envelope_without_a_payload_is_told(envelope: bytes, writes: Writes) -> None:
    ops = one_letter()
    ops.dead = [replace(ops.dead[0], envelope=envelope)]
    async with console((160, 40), ops) as c:
        await dead(c)
        await c.pilot.press("e")
        await c.until(lambda: "there is nothing to edit" in c.screen())


async def test_hostile_payloads_are_edited_safely(writes: Writes) -> None:
    ops = one_letter(HOSTILE)
    writes("assert text.replace('\\n', '').isprintable()\ntext = text.replace('a@b', 'c@d')")
    async with console(ops=ops) as c:
        c.app.open("letter", "L")
        await c.until(lambda: "✗ dead letter" in c.screen())
        await c.pilot.press("e")
        await c.until(lambda: asked(c) and '+  "to": "c@d"' in c.screen())
        assert not any(not ch.isprintable() for ch in c.screen().replace("\n", ""))
        await c.pilot.press("y")
        await c.until(lambda: ops.calls and ops.calls[0][1][1]["x"] == HOSTILE)
        await c.until(lambda: "→ replayed with changes" in c.screen())


async def test_a_past_run_is_edited_and_runs_again(writes: Writes) -> None:
    ops = FakeOps()
    run = next(r for r in ops.ended if r.job == "disk_report")
    ops.envelopes[run.run_id] = b'{"type": "disk_report", "payload": {"deep": 1}}'
    writes("text = text.replace('1', '2')")
    async with console((160, 40), ops) as c:
        c.app.open("run", run.run_id)
        await c.until(lambda: "✓ succeeded" in c.screen())
        await c.pilot.press("e")
        await c.until(lambda: asked(c))
        await c.pilot.press("y")
        await c.until(lambda: ops.calls == [("replay", (run.run_id, {"deep": 2}))])
        await c.until(lambda: "replayed as …" in c.screen())
        c.app.open("run", fire_run_id("fake", "a", c.clock.ms))
        await c.until(lambda: "▶ running" in c.screen())
        await c.pilot.press("e")
        await c.until(lambda: "it has not ended" in c.screen())
        other = next(r for r in ops.ended if r.job == "health_ping")
        c.app.open("run", other.run_id)
        await c.until(lambda: "health_ping" in c.screen())
        await c.pilot.press("e")
        await c.until(lambda: "was not kept: it can't be edited" in c.screen())


def test_the_place_that_is_wrong_is_marked_under_wide_characters_and_in_long_lines() -> None:
    for text, before in (('{"日本": 1,\n "a" 2}', 5), ('{"日本" 2}', 8), ('{"' + "x" * 500 + '" 1}', 40)):
        _, wrong = check(text)
        assert wrong is not None
        shown = ["".join(part for part, _ in line) for line in wrong_lines(text, wrong)]
        assert shown[-1 if "^" in shown[-1] else -2] == " " * (6 + before) + "^ here", shown
