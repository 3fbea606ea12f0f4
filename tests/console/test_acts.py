"""Letters that are marked or chosen, and what is done to them; undo."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from backends.model import ActionResult
from console.acts import RECENT_MS, STARTS_MS, Act, Acts
from console.screens.bulk_dialog import BulkDialog
from console.screens.dialog import AskDialog
from tests.console.app_helpers import Console, console
from tests.console.fake_ops import FakeOps
from tests.console.test_dead import groups, letters, many
from widgets.entry import Entry
from widgets.table import MARK

pytestmark = pytest.mark.usefixtures("notices_stay")


async def opened(c: Console, rows: int) -> None:
    await c.pilot.press("4")
    await c.until(lambda: len(letters(c).rows) == rows and groups(c).rows)


def marked(c: Console) -> list[str]:
    return sorted(letters(c).marked)


def line(c: Console, key: str) -> str:
    table = letters(c)
    return table.render_line(table.HEAD + list(table.keys).index(key) - table.top).text


# --- marks ------------------------------------------------------------------------------------------------


async def test_space_marks_a_letter_without_colour_and_goes_on_to_the_next() -> None:
    ops = many(30)
    async with console(ops=ops) as c:
        await opened(c, 30)
        await c.pilot.press("space", "j", "space")
        assert marked(c) == ["id-0", "id-2"]
        assert letters(c).cursor_key == "id-3"
        assert "2 marked" in c.screen()
        assert [MARK in line(c, key) for key in ("id-0", "id-1", "id-2")] == [True, False, True]
        await c.pilot.press("k", "space")
        assert marked(c) == ["id-0"]
        await c.pilot.press("M")
        assert marked(c) == []
        assert "marked" not in c.screen()
        await c.pilot.press("shift+tab", "space")
        await c.until(lambda: "Space marks letters" in c.screen())


async def test_marks_stay_on_their_letters_whatever_arrives_and_only_those_are_retried() -> None:
    ops = many(30)
    async with console(ops=ops) as c:
        await opened(c, 30)
        await c.pilot.press("space", "j", "space")
        ops.dead.insert(0, replace(ops.dead[1], id="new", sequence=20_000_000))
        await c.until(lambda: letters(c).rows[0].key == "new", 8)
        assert marked(c) == ["id-0", "id-2"]
        await c.pilot.press("slash")
        entry = c.app.screen.query_one(Entry)
        entry.value = "job:mail"
        await c.until(lambda: [r.key for r in letters(c).rows] == ["id-0"])
        await c.pilot.press("escape")
        await c.until(lambda: len(letters(c).rows) == 31)
        assert marked(c) == ["id-0", "id-2"]
        await c.pilot.press("r")
        await c.until(lambda: isinstance(c.app.screen, BulkDialog) and "Retry 2 letters?" in c.screen())
        await c.pilot.press("r", "R")
        assert not ops.calls, "the key that asked does not confirm"
        await c.pilot.press("y")
        await c.until(lambda: ops.calls == [("dead_retry", ["id-0", "id-2"])])
        await c.until(lambda: marked(c) == [] and len(letters(c).rows) == 29)


async def test_a_mark_does_not_follow_a_run_into_its_next_death() -> None:
    ops = many(3)
    async with console(ops=ops) as c:
        await opened(c, 3)
        await c.pilot.press("space")
        ops.dead[0] = replace(ops.dead[0], sequence=20_000_000)
        await c.until(lambda: marked(c) == [], 8)


async def test_one_marked_letter_is_retried_without_a_question_wherever_the_cursor_is() -> None:
    ops = many(3)
    async with console(ops=ops) as c:
        await opened(c, 3)
        await c.pilot.press("space", "r")
        await c.until(lambda: ops.calls == [("dead_retry", ["id-0"])])
        assert marked(c) == []


async def test_a_group_stays_as_long_as_its_last_letter_is_shown() -> None:
    ops = many(3)
    async with console(ops=ops) as c:
        await opened(c, 3)
        groups(c).choose(2)
        await c.until(lambda: [row.key for row in letters(c).rows] == ["id-0"])
        await c.pilot.press("x")
        await c.until(lambda: len(ops.dead) == 2 and "Groups by error · 2" in c.screen())
        await c.until(lambda: groups(c).rows[0].cells[0][0][0] == "2", 8)
        await c.pilot.press("x")
        assert (groups(c).cursor_key, [row.key for row in letters(c).rows]) == ("b" * 16 + "/default", ["id-0"])
        assert len(ops.calls) == 1


async def test_a_mark_repaints_its_line_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(ops=many(30)) as c:
        await opened(c, 30)
        table = letters(c)
        lines: list[tuple[int, int]] = []
        monkeypatch.setattr(table, "refresh_lines", lambda first, count=1: lines.append((first, count)))
        table.mark(frozenset({"id-4", "id-29000"}))
        assert lines == [(table.HEAD + 4, 1)]


# --- one letter -------------------------------------------------------------------------------------------


async def test_purge_takes_one_away_and_u_brings_it_back() -> None:
    ops = many(5)
    async with console(ops=ops) as c:
        await opened(c, 5)
        await c.pilot.press("j", "x")
        await c.until(lambda: "✓ 1 letter of sync is purged" in c.screen())
        assert ops.calls == [("dead_purge", ["id-1"])]
        await c.until(lambda: "u takes back the purge of 1 letter of sync · for 7 d" in c.screen())
        await c.until(lambda: "Dead letters · 4" in c.screen())
        assert (letters(c).cursor_key, len(letters(c).rows)) == ("id-1", 5), "it stays, so that nothing moves"
        await c.pilot.press("x")
        assert "→ purged" in line(c, "id-1")
        await c.pilot.press("j")
        await c.until(lambda: len(letters(c).rows) == 4 and letters(c).cursor_key == "id-2")
        assert len(ops.calls) == 1
        await c.pilot.press("u")
        await c.until(lambda: "✓ taken back: the purge of 1 letter of sync" in c.screen())
        await c.until(lambda: len(letters(c).rows) == 5)
        assert "u takes back" not in c.screen()
        await c.pilot.press("u")
        await c.until(lambda: "nothing that was done from here can be taken back" in c.screen())


async def test_what_came_back_can_be_acted_on_again_on_every_screen() -> None:
    ops = FakeOps()
    first = ops.dead[0]
    async with console(ops=ops) as c:
        c.app.open("letter", first.id)
        await c.until(lambda: "✗ dead letter" in c.screen())
        await opened(c, 37)
        await c.pilot.press("x")
        await c.until(lambda: first not in ops.dead and "u takes back" in c.screen())
        await c.pilot.press("u")
        await c.until(lambda: first in ops.dead and "✓ taken back" in c.screen())
        await c.until(lambda: letters(c).keys[0] == first.id and "→ purged" not in c.screen())
        await c.pilot.press("1")
        c.table("dead").focus()
        await c.until(lambda: c.table("dead").cursor_key == first.id)
        await c.pilot.press("g", "r")
        await c.until(lambda: first not in ops.dead and "u takes back the retry" in c.screen())
        await c.pilot.press("u")
        await c.until(lambda: first in ops.dead and "→ retrying" not in c.screen())
        c.app.open("letter", first.id)
        await c.until(lambda: "✗ dead letter" in c.screen())
        await c.pilot.press("x")
        await c.until(lambda: "→ purged" in c.screen() and "u takes back the purge" in c.screen())
        await c.pilot.press("u")
        await c.until(lambda: first in ops.dead and "✗ dead letter" in c.screen())
        assert [name for name, _ in ops.calls] == ["dead_purge", "undo", "dead_retry", "undo", "dead_purge", "undo"]


async def test_a_retry_says_when_it_begins_and_undo_says_what_had_started() -> None:
    ops = many(5)
    async with console(ops=ops) as c:
        await opened(c, 5)
        await c.pilot.press("r")
        await c.until(lambda: "u takes back the retry of 1 letter of mail · begins in 5 s" in c.screen())
        c.clock.ms += 5_000
        await c.until(lambda: "u takes back the retry of 1 letter of mail · for 60 m" in c.screen(), 8)
        ops.started.add("id-0")
        await c.pilot.press("u")
        await c.until(lambda: "undo: nothing left to take back: 1 had started" in c.screen())
        assert "c on its page ends a run that runs" in " ".join(c.screen().split()), "no command of the shell"
        await c.until(lambda: "u takes back" not in c.screen())
        assert c.app.acts.newest(c.clock()) is None


async def test_what_was_done_a_while_ago_is_not_taken_back_by_one_key() -> None:
    ops = many(5)
    async with console(ops=ops) as c:
        await opened(c, 5)
        await c.pilot.press("x")
        await c.until(lambda: "u takes back" in c.screen())
        c.clock.ms += RECENT_MS
        await c.until(lambda: "u takes back" not in c.screen(), 8)
        await c.pilot.press("u")
        await c.until(lambda: isinstance(c.app.screen, AskDialog) and "done 1 m ago" in c.screen())
        await c.pilot.press("u")
        assert len(ops.calls) == 1
        await c.pilot.press("y")
        await c.until(lambda: len(ops.dead) == 5)


async def test_a_run_that_has_surely_started_is_not_offered_any_more() -> None:
    async with console() as c:
        c.ops.new_runs_wait = True
        c.app.front().trigger("disk_report")
        await c.until(lambda: "u takes back the run of disk_report" in c.screen())
        c.clock.ms += STARTS_MS
        await c.until(lambda: "u takes back" not in c.screen(), 8)


async def test_a_run_that_is_known_to_have_begun_is_not_offered_and_u_does_not_mean_what_was_before_it() -> None:
    ops = many(5)
    ops.new_runs_wait = True
    async with console(ops=ops) as c:
        await opened(c, 5)
        await c.pilot.press("x")
        await c.until(lambda: "u takes back the purge" in c.screen())
        c.app.front().trigger("disk_report")
        await c.until(lambda: "u takes back the run of disk_report" in c.screen())
        ops.waits.clear()
        await c.until(lambda: "u takes back" not in c.screen())
        await c.pilot.press("u")
        await c.until(lambda: "too late to take back the run of disk_report: it has ended" in c.screen())
        assert [name for name, _ in ops.calls] == ["dead_purge", "trigger"]
        await c.until(lambda: "u takes back the purge" in c.screen())


async def test_a_letter_that_runs_again_is_not_offered_and_its_earlier_death_does_not_count() -> None:
    acts, at = Acts(), 1_000_000
    acts.add(Act(("r",), "the retry of 1 letter", at, runs={"id": 3}))
    acts.look(running=set(), ended={("id", 2), ("id", 3), ("other", 9)})
    assert (acts.newest(at) or Act((), "", 0)).late == ""
    acts.look(running={("id", 4)}, ended={("id", 3)})
    assert (acts.newest(at) or Act((), "", 0)).late == "has begun"
    acts.look(running=set(), ended={("id", 4)})
    assert (acts.newest(at) or Act((), "", 0)).late == "has ended"
    acts.look(running=set(), ended=set())
    assert (acts.newest(at) or Act((), "", 0)).late == "has ended", "what is known once stays known"


async def test_newest_first_and_across_screens() -> None:
    ops = many(5)
    ops.new_runs_wait = True
    async with console(ops=ops) as c:
        await opened(c, 5)
        await c.pilot.press("x")
        await c.until(lambda: len(ops.dead) == 4 and "u takes back the purge of 1 letter of mail" in c.screen())
        await c.pilot.press("1")
        c.app.front().trigger("disk_report")
        await c.until(lambda: "u takes back the run of disk_report" in c.screen())
        await c.pilot.press("u")
        await c.until(lambda: "u takes back the purge of 1 letter of mail" in c.screen())
        await c.pilot.press("u")
        await c.until(lambda: len(ops.dead) == 5)


async def test_one_letter_of_which_nothing_is_left_is_told() -> None:
    ops = many(3)
    async with console(ops=ops) as c:
        await opened(c, 3)
        take = ops.dead_purge

        async def late(*args: Any, **more: Any) -> ActionResult:
            ops.dead.pop(0)
            return await take(*args, **more)

        ops.dead_purge = late  # type: ignore[method-assign]
        await c.pilot.press("x")
        await c.until(lambda: "mail was not there any more" in c.screen())
        assert "u takes back" not in c.screen()
