"""Dead letters by the many: marks, groups, all that a filter means; how far it is, stop, go on, undo."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from textual.screen import ModalScreen

from backends.model import ActionResult, from_ms
from console.acts import RECENT_MS, STARTS_MS
from console.screens.acts_looks import left_words
from console.screens.bulk_dialog import BulkDialog, rate_of
from console.screens.dead import DeadScreen
from console.screens.dialog import AskDialog
from tests.console.app_helpers import SIZES, Console, console
from tests.console.fake_ops import HOSTILE, T0, FakeOps
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
        await c.pilot.press("r")
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
        await c.until(lambda: "not taken back: nothing left to take back: 1 had started" in c.screen())
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
        c.app.front().trigger("disk_report")
        await c.until(lambda: "u takes back the run of disk_report" in c.screen())
        c.clock.ms += STARTS_MS
        await c.until(lambda: "u takes back" not in c.screen(), 8)


async def test_newest_first_and_across_screens() -> None:
    ops = many(5)
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


# --- many -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_a_group_is_counted_first_then_asked_about(size: tuple[int, int]) -> None:
    ops = many(500)
    async with console(size, ops) as c:
        await opened(c, 100)
        await c.pilot.press("shift+tab", "r")
        await c.until(lambda: "choose one; R means all" in c.screen())
        groups(c).choose(2)
        await c.pilot.press("r")
        await c.until(lambda: "Retry 10 letters?" in c.screen() and "mail: SMTP" not in c.screen())
        assert "in the queue default" in c.screen()
        await c.pilot.press("enter")
        await c.until(lambda: "✓ 10 retried" in c.screen())
        assert ops.calls == [("dead_retry", [f"id-{n}" for n in range(450, -1, -50)])], "the oldest first"
        await c.until(lambda: "u takes back the retry of 10 letters" in c.screen())
        await c.until(lambda: [row.key for row in groups(c).rows] == ["", "a" * 16 + "/default"])
        await c.pilot.press("u")
        await c.until(lambda: len(ops.dead) == 500)


async def test_when_the_chosen_group_is_gone_the_bar_stands_on_what_is_acted_on() -> None:
    ops = many(500)
    ops.dead = [replace(d, job="third", group="c" * 16) if n % 50 == 1 else d for n, d in enumerate(ops.dead)]
    async with console(ops=ops) as c:
        await opened(c, 100)
        await c.pilot.press("shift+tab", "j", "j")
        gone = groups(c).cursor_key
        await c.until(lambda: len(letters(c).rows) == 10)
        ops.dead = [d for d in ops.dead if f"{d.group}/default" != gone]
        await c.until(lambda: len(groups(c).rows) == 3 and len(letters(c).rows) == 100, 8)
        assert groups(c).cursor_key == "", "all of them are shown, and all is under the bar"
        await c.pilot.press("j")
        await c.until(lambda: len(groups(c).rows) == 3 and "Dead letters · sync" in c.screen())
        await c.pilot.press("slash")
        entry = c.app.screen.query_one(Entry)
        entry.value = "job:nothing"
        await c.until(lambda: not groups(c).rows)
        entry.value = ""
        await c.until(lambda: len(groups(c).rows) == 3 and len(letters(c).rows) == 100)
        assert (groups(c).cursor_key, c.app.screen._chosen) == ("", "")


async def test_all_there_are_need_all_to_be_typed() -> None:
    ops = many(500)
    async with console(ops=ops) as c:
        await opened(c, 100)
        await c.pilot.press("X")
        await c.until(lambda: "Purge 500 letters?" in c.screen() and 'type "all"' in c.screen())
        await c.pilot.press("enter")
        await c.until(lambda: "that is not the name" in c.screen())
        await c.pilot.press("A", "l", "l", "enter")
        await c.pilot.pause()
        assert not ops.calls
        await c.pilot.press("backspace", "backspace", "backspace", "a", "l", "l", "enter")
        await c.until(lambda: not ops.dead and "✓ 500 purged" in c.screen())
        await c.pilot.press("u")
        await c.until(lambda: len(ops.dead) == 500)


async def test_all_of_a_queue_need_its_name() -> None:
    ops = FakeOps()
    ops.dead = [replace(d, queue="mail" if n % 2 else "default") for n, d in enumerate(ops.dead)]
    async with console(ops=ops) as c:
        await opened(c, 37)
        await c.pilot.press("slash")
        c.app.screen.query_one(Entry).value = "queue:mai"
        await c.until(lambda: len(letters(c).rows) == 18)
        await c.pilot.press("enter", "R")
        await c.until(lambda: "Retry 18 letters?" in c.screen() and 'type "mail"' in c.screen())
        await c.pilot.press("m", "a", "i", "l", "tab", "6", "0", "slash", "m", "enter")
        await c.until(lambda: ops.calls == [("dead_retry", (18, 1.0))])
        await c.until(lambda: "✓ 18 retried · they start over the next 18 s; u takes the rest back" in c.screen())
        assert {d.queue for d in ops.dead} == {"default"}


async def test_what_the_filter_shows_is_what_is_acted_on_and_not_what_died_since() -> None:
    ops = many(500)
    async with console(ops=ops) as c:
        await opened(c, 100)
        await c.pilot.press("slash")
        c.app.screen.query_one(Entry).value = "job:mai !id-100"
        await c.until(lambda: len(letters(c).rows) == 9)
        await c.pilot.press("enter", "X")
        await c.until(lambda: "Purge 9 letters?" in c.screen() and "all that match /job:mai !id-100" in c.screen())
        ops.dead.insert(0, replace(ops.dead[0], id="late", sequence=20_000_000))
        await c.pilot.press("y")
        await c.until(lambda: "✓ 9 purged" in c.screen())
        assert [d.id for d in ops.dead if d.job == "mail"] == ["late", "id-100"]


async def test_a_filter_by_payload_and_time_reads_what_it_needs() -> None:
    ops = many(60)
    hour = 3_600_000
    ops.dead = [
        replace(d, sequence=(T0 - n * hour) * 1000, failed_at=from_ms(T0 - n * hour), envelope=b'{"to": "Eva%d"}' % n)
        for n, d in enumerate(ops.dead)
    ]
    async with console(ops=ops) as c:
        await opened(c, 60)
        await c.pilot.press("slash")
        entry = c.app.screen.query_one(Entry)
        for text, found in (
            ("payload:eva7", ["id-7"]),
            ("since:150m until:30m", ["id-1", "id-2"]),
            ("error:oserror", None),
        ):
            entry.value = text
            wanted = found or ["id-0", "id-50"]
            await c.until(lambda wanted=wanted: [r.key for r in letters(c).rows] == wanted)
        entry.value = "until:x"
        await c.until(lambda: "until:x is no length of time" in c.screen())


async def test_progress_is_shown_esc_stops_and_it_goes_on() -> None:
    ops = many(1_000)
    async with console((80, 24), ops) as c:
        await opened(c, 100)
        await c.pilot.press("X")
        await c.until(lambda: "Purge 1,000 letters?" in c.screen())
        ops.gate.clear()
        await c.pilot.press("a", "l", "l", "enter")
        await c.until(lambda: "purging" in c.screen() and "0 of 1,000" in c.screen())
        await c.pilot.press("x")
        await c.until(
            lambda: "purging is under way: Esc stops it" in c.screen() or ("dead_purge", ["id-0"]) in ops.calls
        )
        await c.pilot.press("R")
        await c.until(lambda: "purging is under way: Esc stops it" in c.screen())
        await c.pilot.press("escape")
        await c.until(lambda: "stops after this step" in c.screen() and any(call[0] == "stop" for call in ops.calls))
        ops.gate.set()
        await c.until(lambda: "Stopped. Go on?" in c.screen())
        left = len(ops.dead)
        assert 0 < left < 1_001
        await c.pilot.press("y")
        await c.until(lambda: not ops.dead)
        await c.until(lambda: "are done" in c.screen())


async def test_what_is_typed_while_it_is_counted_is_kept_and_does_nothing_to_the_screen() -> None:
    ops = many(1_000)
    async with console(ops=ops) as c:
        await opened(c, 100)
        ops.gate.clear()
        await c.pilot.press("X")
        assert isinstance(c.app.screen, BulkDialog)
        await c.pilot.press("a", "l", "l", "enter")
        await c.until(lambda: "counting …" in c.screen() and "they are still counted" in c.screen())
        ops.gate.set()
        await c.until(lambda: "Purge 1,000 letters?" in c.screen())
        assert c.app.screen.query_one("#name", Entry).value == "all"
        assert not ops.calls
        await c.pilot.press("enter")
        await c.until(lambda: not ops.dead)


async def test_counting_can_be_stopped_too() -> None:
    ops = many(1_000)
    async with console(ops=ops) as c:
        await opened(c, 100)
        ops.gate.clear()
        await c.pilot.press("R")
        await c.until(lambda: "counting" in c.screen())
        await c.pilot.press("escape")
        await c.until(lambda: "counting is stopped" in c.screen() and c.app.acts.driving is None)
        ops.gate.set()
        assert not ops.calls


async def test_redis_that_goes_away_half_way_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    ops = many(1_000)
    told: list[str] = []
    tell = DeadScreen.tell

    def noted(screen: DeadScreen, text: str, tone: str = "ok") -> None:
        told.append(text)
        tell(screen, text, tone)

    monkeypatch.setattr(DeadScreen, "tell", noted)
    async with console(ops=ops) as c:
        await opened(c, 100)
        await c.pilot.press("X")
        await c.until(lambda: "Purge 1,000 letters?" in c.screen())
        ops.gate.clear()
        await c.pilot.press("a", "l", "l", "enter")
        await c.until(lambda: "0 of 1,000" in c.screen())
        c.app.acts.driving.progress = replace(c.app.acts.driving.progress, changed=200)  # type: ignore[union-attr]
        ops.redis_error = "redis is away"
        ops.gate.set()
        await c.until(lambda: "✗ not purged: redis is away · resume or undo it in the audit" in told)
        assert c.app.acts.driving is None


async def test_what_could_not_be_noted_in_the_audit_is_told() -> None:
    ops = many(3)
    async with console(ops=ops) as c:
        await opened(c, 3)
        ops.postgres_error = "postgres is away"
        await c.pilot.press("x")
        await c.until(lambda: "mail is purged · the audit will tell of this later: postgres" in c.screen())
        ops.postgres_error = ""
        await c.pilot.press("j", "x")
        await c.until(lambda: "✓ 1 letter of sync is purged" in c.screen() and "later" not in c.screen())


async def test_a_context_is_not_left_while_an_operation_is_under_way() -> None:
    ops = many(500)
    async with console(ops=ops) as c:
        await opened(c, 100)
        c.app.contexts["other"] = c.app.context._replace(name="other")
        ops.gate.clear()
        await c.pilot.press("R")
        await c.until(lambda: "counting" in c.screen())
        c.app.switch_context("other")
        await c.until(lambda: "counting is under way: Esc stops it" in c.screen())
        assert c.app.context.name == "prod-eu"
        ops.gate.set()
        await c.until(lambda: isinstance(c.app.screen, BulkDialog))


async def test_nothing_there_and_read_only_are_told() -> None:
    ops = many(0)
    async with console(ops=ops) as c:
        await c.pilot.press("4")
        await c.until(lambda: "Dead letters · 0" in c.screen())
        await c.pilot.press("R")
        await c.until(lambda: "there is nothing to retry" in c.screen())
    ops = many(5)
    ops.read_only = True
    async with console(ops=ops) as c:
        await opened(c, 5)
        for key in ("X", "x", "R", "r", "e"):
            await c.pilot.press(key)
            await c.until(lambda: "✗ this context is read-only" in c.screen())
            assert not isinstance(c.app.screen, ModalScreen)
            c.app.front()._forget_notice(c.app.front()._notices)
            await c.until(lambda: "this context is read-only" not in c.screen())
        assert not ops.calls


async def test_hostile_letters_are_acted_on_like_others() -> None:
    ops = FakeOps(hostile=True)
    async with console(ops=ops) as c:
        await opened(c, 38)
        hostile = next(n for n, r in enumerate(groups(c).rows) if HOSTILE in r.key)
        await c.pilot.press("space", "j", "space", "r")
        await c.until(lambda: isinstance(c.app.screen, BulkDialog))
        assert not any(not ch.isprintable() for ch in c.screen().replace("\n", ""))
        await c.pilot.press("escape", "M", "shift+tab")
        groups(c).choose(hostile)
        await c.until(lambda: len(letters(c).rows) == 1)
        await c.pilot.press("x")
        await c.until(lambda: "Purge 1 letter?" in c.screen())
        assert not any(not ch.isprintable() for ch in c.screen().replace("\n", ""))
        await c.pilot.press("y")
        await c.until(lambda: not any(d.job == HOSTILE for d in ops.dead))
        await c.until(lambda: "u takes back" in c.screen())
        assert not any(not ch.isprintable() for ch in c.screen().replace("\n", ""))


@pytest.mark.parametrize(
    ("text", "rate"), [("", None), ("50", 50.0), (" 50/s ", 50.0), ("300/min", 5.0), ("3600/h", 1.0), ("60/m", 1.0)]
)
def test_a_rate(text: str, rate: float | None) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize("text", ["x", "0", "-5", "5/x", "nan", "inf", "1e99", "/s"])
def test_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        rate_of(text)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (59.5, "1 m"), (3_595, "60 m"), (7 * 86_400 - 5, "7 d"), (86_401, "2 d")]
)
def test_what_is_left_is_rounded_up(seconds: float, words: str) -> None:
    assert left_words(seconds) == words
