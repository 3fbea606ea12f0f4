"""The audit acts: what can still be taken back, what was left half-way, what is under way elsewhere."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from backends.model import from_ms
from backends.ops.audit import Action
from backends.ops.kinds import Operation
from console.screens.audit_looks import UNDO, action_lines, undo_cell, undone_words
from console.screens.dialog import AskDialog, TextDialog
from tests.console.app_helpers import SIZES, Console, console
from tests.console.fake_ops import HOSTILE, T0, FakeOps
from tests.console.test_acts import opened
from tests.console.test_dead import many
from widgets.safe import Cell
from widgets.table import Table

pytestmark = pytest.mark.usefixtures("notices_stay")

DAY = 86_400_000


def rows(c: Console, name: str = "actions") -> Table:
    return c.app.screen.query_one(f"#{name}", Table)


def plain(found: Cell) -> str:
    return "".join(text for text, _ in found)


def with_purge(state: str = "done", until_ms: int = T0 + 6 * DAY, **more: object) -> tuple[FakeOps, str]:
    """Ops with a purge in its audit."""
    ops, receipt = many(5), "0abcdefgh12"
    op = Operation(
        receipt, "dead_purge", "bob@web-2", T0 - 60_000, until_ms, state, {"queue": "mail"}, 3, 3, beat_ms=T0
    )
    ops.kept[receipt] = replace(op, **more)  # type: ignore[arg-type]
    ops._back[receipt] = lambda: (3, 0)
    ops.acts = [
        Action(2, from_ms(T0), "ana", "pause", {"target": "queue:x"}, 1, 1),
        Action(1, from_ms(T0), "bob@web-2", "dead_purge", {"queue": "mail"}, 3, 3, receipt, "a note"),
    ]
    return ops, receipt


@pytest.mark.parametrize("size", SIZES)
async def test_u_takes_the_chosen_line_back_after_a_question(size: tuple[int, int]) -> None:
    ops, receipt = with_purge()
    async with console(size, ops) as c:
        await c.pilot.press("9")
        await c.until(lambda: len(rows(c).rows) == 2 and "for 6 d" in c.screen())
        if size[0] > 100:
            assert receipt in c.screen()
        await c.pilot.press("u")
        await c.until(lambda: "there is nothing to take back" in c.screen())
        await c.pilot.press("j", "u")
        await c.until(lambda: isinstance(c.app.screen, AskDialog) and "Take this back?" in c.screen())
        await c.pilot.press("u")
        assert not ops.calls, "the key that asked does not confirm"
        await c.pilot.press("y")
        await c.until(lambda: ops.calls == [("undo", receipt)])
        await c.until(lambda: "✓ taken back: purge dead of 3" in c.screen() and " undone 3" in c.screen())
        await c.pilot.press("u", "y")
        await c.until(lambda: "was taken back already, by ana@web-1" in c.screen())
        await c.pilot.press("enter")
        await c.until(lambda: isinstance(c.app.screen, TextDialog) and receipt in c.screen())
        assert "a note" in c.screen()
        assert "by ana@web-1" in c.screen()


async def test_what_has_gone_on_is_not_said_to_be_taken_back_for_days() -> None:
    ops, receipt = with_purge()
    ops._back[receipt] = lambda: (0, 3)
    async with console(ops=ops) as c:
        await c.pilot.press("9")
        await c.until(lambda: "for 6 d" in c.screen())
        await c.pilot.press("j", "u", "y")
        await c.until(lambda: "nothing left to take back" in c.screen())
        await c.until(lambda: "gone on" in c.screen() and "for 6 d" not in c.screen())


async def test_the_bar_goes_on_to_the_newest_action_unless_it_was_moved_and_no_other_undo_is_offered() -> None:
    ops, _ = with_purge()
    async with console(ops=ops) as c:
        await c.pilot.press("9")
        await c.until(lambda: rows(c).cursor_key == "2")
        c.app.front().trigger("disk_report")
        await c.until(lambda: c.app.acts.newest(T0) is not None)
        c.app.front().show_acts()
        await c.pilot.pause()
        assert "u takes back" not in c.screen()
        ops.acts.insert(0, replace(ops.acts[0], id=3))
        await c.until(lambda: len(rows(c).rows) == 3 and rows(c).cursor_key == "3", 8)
        await c.pilot.press("j")
        ops.acts.insert(0, replace(ops.acts[0], id=4))
        await c.until(lambda: len(rows(c).rows) == 4, 8)
        assert rows(c).cursor_key == "2"


@pytest.mark.parametrize(
    ("case", "shown", "says"),
    [
        ({"until_ms": T0 - 1}, "over", "the time to take"),
        ({"state": "undone", "undone_by": "eva"}, "undone", "was taken back already, by eva"),
    ],
)
async def test_what_can_no_longer_be_taken_back_says_so(case: dict[str, object], shown: str, says: str) -> None:
    ops, _ = with_purge(**case)  # type: ignore[arg-type]
    async with console((160, 40), ops) as c:
        await c.pilot.press("9")
        await c.until(lambda: shown in c.screen())
        await c.pilot.press("j", "u", "y")
        await c.until(lambda: says in c.screen())


def test_a_cancel_of_a_run_that_ran_has_no_undo() -> None:
    """Neither in the list nor on its page."""
    asked = Operation("r", "cancel", "eva", T0, T0 + 1000, "done", {}, 1, 1, note="asked")
    assert plain(undo_cell(asked, T0)) == "none"
    page = action_lines(Action(1, from_ms(T0), "eva", "cancel", {}, 1, 1, "r"), asked, T0, None)
    assert "until" not in "".join(plain(line) for line in page)
    assert plain(undo_cell(replace(asked, note="cancelled"), T0)).startswith("for ")


async def test_a_time_beyond_the_calendar_is_shown() -> None:
    """In the list and on the page, as an older release has left it."""
    ops, _ = with_purge(until_ms=10**303, undone_ms=-(10**303), beat_ms=-(10**303))
    async with console((160, 40), ops) as c:
        await c.pilot.press("9")
        await c.until(lambda: "for ever" in c.screen())
        await c.pilot.press("j", "enter")
        await c.until(lambda: "until 9999-12-30" in c.screen())


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "undone"), (3, "undone 3"), (99, "undone 99"), (100, "100 back"), (1517, "1517 back"), (9999, "9999 back"),
        (10_000, "10k back"), (999_999, "999k back"), (1_234_567, "1M back"), (12_000_000, "12M back"),
    ],
)  # fmt: skip
def test_how_many_came_back_is_told_in_the_columns_there_are(number: int, shown: str) -> None:
    assert undone_words(number) == shown
    assert len(shown) <= UNDO


async def test_what_was_left_half_way_is_told_at_the_start_stands_on_top_and_goes_on() -> None:
    ops, receipt = with_purge("running", total=5, beat_ms=T0 - 60_000)
    ops._left[receipt], ops._gone[receipt] = [(d.queue, d.id, d.sequence) for d in ops.dead], []
    async with console(ops=ops) as c:
        await c.until(lambda: "an operation was left half-way" in c.screen())
        await c.pilot.press("9")
        await c.until(lambda: "Not finished · 1" in c.screen() and "✗ left" in c.screen())
        await c.pilot.press("r")
        await c.until(lambda: ops.calls == [("resume_operation", receipt)] and not ops.dead)
        await c.until(lambda: "are done" in c.screen() and "Not finished" not in c.screen(), 8)


async def test_what_runs_elsewhere_is_stopped_from_here() -> None:
    ops, receipt = with_purge("running", total=5)
    async with console(ops=ops) as c:
        await c.pilot.press("9")
        await c.until(lambda: "▶ running" in c.screen())
        await c.pilot.press("c")
        await c.until(lambda: ops.calls == [("stop", receipt)])
        await c.until(lambda: "▶ stopping" in c.screen(), 8)


async def test_with_nothing_to_go_on_with_it_is_said() -> None:
    ops, _ = with_purge()
    async with console(ops=ops) as c:
        await c.pilot.press("9")
        await c.until(lambda: len(rows(c).rows) == 2)
        assert not rows(c, "open").display
        await c.pilot.press("r")
        await c.until(lambda: "nothing was left half-way" in c.screen())
        await c.pilot.press("c")
        await c.until(lambda: "nothing is under way" in c.screen())


async def test_hostile_operations_are_shown_safely() -> None:
    ops, receipt = with_purge("stopped", target={HOSTILE: HOSTILE}, by=HOSTILE, verb=HOSTILE, note=HOSTILE)
    ops.acts = [replace(ops.acts[1], who=HOSTILE, note=HOSTILE, receipt=receipt)]
    async with console(ops=ops) as c:
        await c.pilot.press("9")
        await c.until(lambda: "‖ stopped" in c.screen())
        await c.pilot.press("u")
        await c.until(lambda: isinstance(c.app.screen, AskDialog))
        assert not any(not ch.isprintable() for ch in c.screen().replace("\n", ""))


async def test_leaving_while_an_operation_runs_asks_first() -> None:
    ops = many(1_000)
    async with console(ops=ops) as c:
        await opened(c, 100)
        await c.pilot.press("R")
        await c.until(lambda: "Retry 1,000 letters?" in c.screen())
        ops.gate.clear()
        await c.pilot.press("a", "l", "l", "enter")
        await c.until(lambda: c.app.acts.driving is not None and "retrying" in c.screen())
        await c.pilot.press("q")
        await c.until(lambda: isinstance(c.app.screen, AskDialog) and "retrying is under way" in c.screen())
        await c.pilot.press("escape", "q")
        await c.until(lambda: isinstance(c.app.screen, AskDialog))
        await c.pilot.press("y")
        await c.until(lambda: c.app._exit)
