"""A group, or all that a filter means: counted, asked about, how far it is, stop and going on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from textual.screen import ModalScreen

from backends.errors import UnreachableError
from backends.model import from_ms
from console.screens.acts_looks import left_words
from console.screens.bulk_dialog import BulkDialog, rate_of
from console.screens.dead import DeadScreen
from console.screens.dialog import CALM_S
from tests.console.app_helpers import SIZES, console
from tests.console.fake_ops import HOSTILE, T0, FakeOps
from tests.console.test_acts import opened
from tests.console.test_dead import groups, letters, many
from widgets.entry import Entry

pytestmark = pytest.mark.usefixtures("notices_stay")


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


async def test_after_an_act_on_the_oldest_letters_the_oldest_are_still_shown() -> None:
    ops = many(3_000)
    ids = [letter.id for letter in ops.dead]
    async with console(ops=ops) as c:
        await opened(c, 100)
        await c.pilot.press("G")
        await c.until(lambda: letters(c).cursor_key == ids[-1])
        await c.pilot.press("space", "k", "space", "r")
        await c.until(lambda: "Retry 2 letters?" in c.screen())
        await c.pilot.press("enter")
        await c.until(lambda: "✓ 2 retried" in c.screen())
        await c.until(lambda: letters(c).rows[-1].key == ids[-3] == letters(c).cursor_key)
        assert "newer above" in c.screen()


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
        c.type_ahead(("enter", "j", "y"))
        await c.until(lambda: not c.app.keys_are_due)
        await c.pilot.pause()
        assert "Stopped. Go on?" in c.screen(), "what was typed just then was for the list"
        assert len(ops.dead) == left
        await asyncio.sleep(CALM_S)
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


async def test_a_name_that_is_typed_hits_nothing_behind_a_count_that_failed() -> None:
    ops = many(1_000)
    ops.gate.clear()

    async def goes_away(*_: object) -> int:
        await ops.gate.wait()
        raise UnreachableError("redis is gone")

    async with console(ops=ops) as c:
        await opened(c, 100)
        ops.dead_count = goes_away  # type: ignore[assignment,method-assign]
        c.type_ahead("Xa")
        await c.until(lambda: "counting …" in c.screen() and not c.app.keys_are_due)
        ops.gate.set()
        await c.until(lambda: "they could not be counted" in c.screen())
        c.type_ahead(("l", "x", "l", "enter"))
        await c.until(lambda: "they could not be counted: nothing is done" in c.screen() and not c.app.keys_are_due)
        await c.pilot.press("escape")
        assert not ops.calls
        assert isinstance(c.app.screen, DeadScreen)


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

    def noted(screen: DeadScreen, text: str, tone: str = "ok", *rest: Any, **more: Any) -> None:
        told.append(text)
        tell(screen, text, tone, *rest, **more)

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
    ("text", "rate"),
    [("", None), ("50", 50.0), (" 50/s ", 50.0), ("300/min", 5.0), ("3600/h", 1.0), ("60/m", 1.0), ("1/h", 1 / 3600)],
)
def test_a_rate(text: str, rate: float | None) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize("text", ["x", "0", "-5", "5/x", "nan", "inf", "1e99", "/s", "1e-300", "0.9/h", "1000001"])
def test_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        rate_of(text)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (59.5, "1 m"), (3_595, "60 m"), (7 * 86_400 - 5, "7 d"), (86_401, "2 d")]
)
def test_what_is_left_is_rounded_up(seconds: float, words: str) -> None:
    assert left_words(seconds) == words
