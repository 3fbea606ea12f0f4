"""What is typed ahead means what it means one by one, or nothing: never another row, run, act or context."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from backends.model import DeadLetter, Page
from backends.overview import Overview
from console.contexts import Choice
from console.screens.acting import KEYS_WAIT_S
from console.screens.dead import DeadScreen
from console.screens.letter import LetterScreen
from console.settings import Preferences
from tests.console.app_helpers import QUICK, Clock, Console, Recorded, console
from tests.console.fake_ops import FakeOps
from tests.console.test_acts import opened
from tests.console.test_bulk_acts import many
from tests.console.test_contexts import Servers
from tests.console.test_dead import groups, letters
from tests.console.test_in_order import to_jobs
from widgets.table import Table

pytestmark = pytest.mark.usefixtures("notices_stay")


class Slow(FakeOps):
    """Takes a while for what is done to letters and jobs, and for a page of letters."""

    takes_s = 0.0
    reads_s = 0.0

    async def dead_retry(self, *args: object, **more: object) -> object:
        await asyncio.sleep(self.takes_s)
        return await super().dead_retry(*args, **more)  # type: ignore[arg-type]

    async def trigger(self, *args: object, **more: object) -> object:
        await asyncio.sleep(self.takes_s)
        return await super().trigger(*args, **more)  # type: ignore[arg-type]

    async def cancel(self, *args: object, **more: object) -> object:
        await asyncio.sleep(self.takes_s)
        return await super().cancel(*args, **more)  # type: ignore[arg-type]

    async def dead_heads(self, *args: object, **more: object) -> Page[DeadLetter]:
        await asyncio.sleep(self.reads_s)
        return await super().dead_heads(*args, **more)  # type: ignore[arg-type]


class FirstRunEnds(FakeOps):
    """The first of the runs that an engine has in hand ends."""

    first_is_over = False

    async def overview(self) -> Overview:
        live = await super().overview()
        first, *others = live.engines
        return replace(live, engines=(replace(first, running=first.running[self.first_is_over :]), *others))


async def to_letters(c: Console) -> None:
    await c.pilot.press("4")
    await c.until(lambda: letters(c).rows)


def two_contexts(clock: Clock, prod: FakeOps) -> Recorded:
    servers = Servers()
    contexts = [servers.of("prod-eu", prod), servers.of("lab", FakeOps(clock))]
    preferences = Preferences(timezone="UTC")
    return Recorded(contexts[0].opens, "prod-eu", contexts=contexts, preferences=preferences, clock=clock, pace=QUICK)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("6", "t", "enter"), "the run of backup_history was"), (("6", *("t", "enter") * 2), "2 actions were"),
        (("8", "c", "y"), "an action was"),
    ],
)  # fmt: skip
async def test_an_act_that_was_not_answered_before_its_context_was_left_is_told(
    typed: tuple[str, ...], told: str
) -> None:
    clock = Clock()
    prod = Slow(clock)
    prod.takes_s = 9.0
    app = two_contexts(clock, prod)
    async with app.run_test(size=(120, 36)) as pilot:
        c = Console(app, pilot, prod, clock)
        await c.until(lambda: app.state.live and app.state.history)
        for key in typed:
            c.type_ahead((key,))
            await c.until(lambda: not app.keys_are_due)
            await pilot.pause(0.1)
        c.type_ahead((":", *"ctx lab", "enter"))
        await c.until(
            lambda: app.context.name == "lab" and f"{told} not answered: look at the audit of prod-eu" in c.screen()
        )
        assert app.acts.newest(clock()) is None
    await app.closed()


async def test_keys_behind_a_change_of_context_are_for_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    prod = FakeOps(clock)
    app = two_contexts(clock, prod)
    async with app.run_test(size=(120, 36)) as pilot:
        c = Console(app, pilot, prod, clock)
        await c.until(lambda: app.state.live and app.state.history)
        await to_jobs(c)
        switch = app._switch

        async def as_on_a_busy_machine(context: Choice) -> None:
            await asyncio.sleep(0.1)
            await switch(context)

        monkeypatch.setattr(app, "_switch", as_on_a_busy_machine)
        c.type_ahead((":", *"ctx lab", "enter", "t", "enter"))
        await c.until(lambda: app.context.name == "lab" and not app.keys_are_due)
        await c.until(lambda: app.state.live and app.state.history)
        await pilot.pause()
        assert not prod.calls
    await app.closed()


@pytest.mark.parametrize("takes_s", [0.1, 1.5])
async def test_undo_takes_back_what_was_done_last_and_nothing_older(takes_s: float) -> None:
    ops = Slow()
    async with console((120, 36), ops) as c:
        await to_letters(c)
        await c.pilot.press("r")
        await c.until(lambda: c.app.acts.newest(c.clock()))
        first = c.app.acts.newest(c.clock())
        assert first
        ops.takes_s = takes_s
        c.type_ahead("jru")
        await c.until(lambda: len([call for call in ops.calls if call[0] == "dead_retry"]) == 2)
        await c.until(lambda: not c.app.keys_are_due)
        await c.pilot.pause(0.1)
        assert ("undo", first.receipts[0]) not in ops.calls
        if takes_s < 1:
            await c.until(lambda: any(call[0] == "undo" for call in ops.calls))
        else:
            assert "under way" in c.screen() or "back in its queue" in c.screen()


@pytest.mark.parametrize("takes_s", [0.1, 1.5])
async def test_follow_opens_the_run_that_was_just_triggered_and_no_older_one(takes_s: float) -> None:
    ops = Slow()
    async with console((120, 36), ops) as c:
        await to_jobs(c)
        c.type_ahead(("t", "enter"))
        await c.until(lambda: c.app.followed)
        before = c.app.followed
        ops.takes_s = takes_s
        c.type_ahead(("j", "t", "enter", "F"))
        await c.until(lambda: len(ops.calls) == 2)
        await c.until(lambda: c.app.followed != before and not c.app.keys_are_due)
        await c.pilot.pause()
        assert getattr(c.app.screen, "subject", None) != before
        if takes_s < 1:
            await c.until(lambda: getattr(c.app.screen, "subject", None) == c.app.followed)


async def test_the_cursor_of_a_list_that_is_still_read_goes_where_it_was_sent() -> None:
    ops = Slow()
    ops.reads_s = 0.05
    async with console((120, 36), ops) as c:
        third = ops.dead[2].id
        c.type_ahead("4jj")
        await c.until(lambda: c.app.screen.query("#letters") and letters(c).rows)
        await c.pilot.press("r")
        await c.until(lambda: ops.calls)
        assert ops.calls[0][1] == [third]


async def test_g_takes_back_the_moves_in_a_list_that_is_still_read() -> None:
    ops = Slow()
    ops.reads_s = 0.3
    async with console((120, 36), ops) as c:
        c.type_ahead("4jjg")
        await c.until(lambda: c.app.screen.query("#letters") and letters(c).rows)
        await c.until(lambda: not c.app.keys_are_due)
        assert letters(c).cursor_index == 0


async def test_a_row_that_the_cursor_came_to_by_itself_takes_no_act() -> None:
    ops = FakeOps()
    async with console((120, 36), ops) as c:
        await to_letters(c)
        table, gone = letters(c), ops.dead[1]
        await c.pilot.press("j")
        assert table.cursor_key == gone.id
        ops.dead = [letter for letter in ops.dead if letter.id != gone.id]
        await c.until(lambda: gone.id not in table.keys)
        c.type_ahead("rx ")
        await c.until(lambda: "is gone" in c.screen())
        await c.until(lambda: not c.app.keys_are_due)
        assert not ops.calls
        assert not table.marked
        c.type_ahead("jkr")
        await c.until(lambda: ops.calls)


@pytest.mark.parametrize("reads_s", [0.05, 0.8])
async def test_a_key_behind_the_jump_to_the_oldest_is_for_the_oldest_or_for_none(reads_s: float) -> None:
    ops = Slow()
    ops.dead = many(300).dead
    ids = [letter.id for letter in ops.dead]
    async with console((120, 36), ops) as c:
        await opened(c, 100)
        ops.reads_s = reads_s
        if reads_s < KEYS_WAIT_S:
            c.type_ahead("Gkr")
            await c.until(lambda: ops.calls)
            assert [call[1] for call in ops.calls] == [[ids[-2]]]
        else:
            c.type_ahead("Gk")
            await c.until(lambda: letters(c).cursor_key == ids[-1])
            c.type_ahead("r")
            await c.until(lambda: "is gone" in c.screen())
            assert not ops.calls


async def test_after_an_act_on_the_oldest_letters_the_cursor_is_where_it_was() -> None:
    ops = Slow()
    ops.dead = many(300).dead
    ids = [letter.id for letter in ops.dead]
    async with console((120, 36), ops) as c:
        await opened(c, 100)
        c.type_ahead("Gkkkk")
        await c.until(lambda: letters(c).cursor_key == ids[-5])
        letters(c).action_move(-1)
        c.app.screen.undone()  # type: ignore[attr-defined]
        ops.dead = ops.dead[:-1]
        await c.until(lambda: letters(c).rows[-1].key == ids[-2])
        assert letters(c).cursor_key == ids[-6]


async def test_enter_opens_no_row_that_the_cursor_came_to_by_itself() -> None:
    ops = FakeOps()
    async with console((120, 36), ops) as c:
        await to_letters(c)
        table, gone = letters(c), ops.dead[1]
        await c.pilot.press("j")
        ops.dead = [letter for letter in ops.dead if letter.id != gone.id]
        await c.until(lambda: gone.id not in table.keys)
        c.type_ahead(("enter", "r"))
        await c.until(lambda: not c.app.keys_are_due)
        await c.pilot.pause()
        assert isinstance(c.app.screen, DeadScreen)
        assert not ops.calls
        c.type_ahead(("j", "k", "enter"))
        await c.until(lambda: isinstance(c.app.screen, LetterScreen))


async def test_a_run_that_came_under_the_cursor_of_the_other_list_is_not_cancelled() -> None:
    """The engines have the keys, and what is cancelled is the run that is chosen below."""
    ops = FirstRunEnds()
    async with console((120, 36), ops) as c:
        await c.pilot.press("8")
        await c.until(lambda: c.app.screen.query("#running"))
        engines, running = (c.app.screen.query_one(f"#{name}", Table) for name in ("engines", "running"))
        await c.until(lambda: len(running.rows) == 2)
        assert c.app.focused is engines
        ops.first_is_over = True
        await c.until(lambda: len(running.rows) == 1)
        c.type_ahead("cy")
        await c.until(lambda: "is gone" in c.screen() and not c.app.keys_are_due)
        assert not ops.calls
        c.type_ahead("jkc")
        await c.until(lambda: "Cancel this run?" in c.screen())


async def test_an_action_that_came_on_top_of_the_audit_is_not_taken_back() -> None:
    ops = FakeOps()
    async with console((120, 36), ops) as c:
        await c.pilot.press("9")
        await c.until(lambda: c.app.screen.query("#actions") and c.app.screen.query_one("#actions", Table).rows)
        table = c.app.screen.query_one("#actions", Table)
        ops.acts.insert(0, replace(ops.acts[0], id=6_000))
        c.app.screen.show_history()  # type: ignore[attr-defined]
        await c.until(lambda: table.cursor_key == "6000")
        c.type_ahead(("u", "enter"))
        await c.until(lambda: "is gone" in c.screen() and not c.app.keys_are_due)
        assert not ops.calls


async def test_groups_that_are_read_anew_do_not_take_the_cursor_back_that_has_just_moved() -> None:
    async with console((120, 36)) as c:
        await to_letters(c)
        await c.until(lambda: len(groups(c).rows) > 3)
        await c.pilot.press("shift+tab")
        key = groups(c).rows[2].key
        groups(c).choose(2)
        screen = c.app.screen
        assert isinstance(screen, DeadScreen)
        screen._show_groups()
        assert groups(c).cursor_key == key
        c.type_ahead("r")
        await c.until(lambda: "Retry 8 letters?" in c.screen())
