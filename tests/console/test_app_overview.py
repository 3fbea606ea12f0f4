"""The overview screen driven by keys, on an in-memory Ops with a clock of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from backends.errors import UnreachableError
from backends.model import from_ms
from backends.overview import HistoryOverview
from console.console_ops import ConsoleOps
from console.feed import Link, Pace
from console.screens.dialog import AskDialog, PickDialog
from console.screens.header import link_cell
from console.settings import Preferences
from tests.console.app_helpers import QUICK, SIZES, Clock, Console, Recorded, console
from tests.console.fake_ops import T0, FakeOps, opener


@pytest.mark.parametrize("size", SIZES)
async def test_shows_everything_at_a_glance(size: tuple[int, int]) -> None:
    async with console(size) as c:
        shown = c.screen()
        redis = "● redis" if size[0] < 100 else "● Valkey 9.1.0"
        for words in ("prod-eu", redis, "37 dead", "22:43:10", "Time line", "▼ now", "backup_history", "Queues",
                      "mail", "Dead letters", "SMTP", "Latest runs", "running", "t trigger", "? help"):  # fmt: skip
            assert words in shown, words
        assert "2 eng" in shown
        assert "·" in shown
        assert "✗" in shown


async def test_first_frame_does_not_wait_for_the_servers() -> None:
    gate = asyncio.Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[ConsoleOps]:
        await gate.wait()
        yield FakeOps()

    app = Recorded(slow, "prod-eu", preferences=Preferences(timezone="UTC"), clock=Clock(), pace=QUICK)
    async with app.run_test(size=(80, 24)) as pilot:
        c = Console(app, pilot, FakeOps(), Clock())
        assert "redis connecting" in c.screen()
        assert "reading …" in c.screen()
        gate.set()
        await c.until(lambda: "backup_history" in c.screen())


async def test_a_context_that_can_not_be_opened_is_tried_for_ever() -> None:
    tries = 0

    @asynccontextmanager
    async def late() -> AsyncIterator[ConsoleOps]:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise UnreachableError("no Redis at 127.0.0.1:1", "start it")
        yield FakeOps()

    app = Recorded(late, "prod-eu", preferences=Preferences(timezone="UTC"), clock=Clock(), pace=QUICK)
    async with app.run_test(size=(120, 36)) as pilot:
        c = Console(app, pilot, FakeOps(), Clock())
        await c.until(lambda: "no Redis at 127.0.0.1:1; start it" in c.screen())
        await c.until(lambda: "backup_history" in c.screen())
        await c.until(lambda: c.line("banner") == "")


@pytest.mark.parametrize("size", SIZES)
async def test_the_chosen_row_stays_chosen_and_in_place(size: tuple[int, int]) -> None:
    async with console(size) as c:
        runs = c.table("runs")
        runs.focus()
        await c.pilot.press(*"jjjjjj")
        chosen, line = runs.cursor_key, runs.cursor_index - runs.top
        for _ in range(4):
            await c.ops.trigger("cleanup_temp")
        await c.ticked()
        assert runs.cursor_key == chosen
        assert runs.cursor_index - runs.top == line
        await c.pilot.press("g")
        assert runs.cursor_index == 0
        await c.pilot.press("G")
        assert runs.cursor_index == len(runs.rows) - 1


async def test_an_untouched_list_follows_the_newest_row() -> None:
    async with console() as c:
        await c.ops.trigger("cleanup_temp")
        await c.ticked()
        await c.until(lambda: "manual" in c.screen())
        assert c.table("runs").cursor_index == 0


async def test_the_cursor_goes_to_the_next_row_when_its_own_leaves() -> None:
    async with console() as c:
        dead = c.table("dead")
        dead.focus()
        await c.pilot.press("j", "j")
        keys = list(dead.keys)
        c.ops.dead = [d for d in c.ops.dead if d.id != keys[2]]
        await c.until(lambda: len(dead.keys) == len(keys) - 1)
        assert dead.cursor_key == keys[3]


async def test_r_retries_the_chosen_dead_letter() -> None:
    async with console() as c:
        dead = c.table("dead")
        dead.focus()
        await c.pilot.press("j", "r")
        await c.until(lambda: c.ops.calls)
        chosen = c.ops.calls[0]
        assert chosen[0] == "dead_retry"
        await c.until(lambda: "→ back in its queue" in c.screen())
        await c.ticked()
        await c.pilot.press("r")
        assert dead.cursor_key == chosen[1][0], "no other letter comes under the cursor"
        await c.pilot.press("j")
        await c.until(lambda: chosen[1][0] not in dead.keys)
        assert len(c.ops.calls) == 1


async def test_a_letter_that_died_again_is_shown_as_dead_and_retried_again() -> None:
    async with console() as c:
        dead = c.table("dead")
        dead.focus()
        await c.pilot.press("j")
        letter = next(d for d in c.ops.dead if d.id == dead.cursor_key)
        await c.pilot.press("r")
        await c.until(lambda: "→ back in its queue" in c.screen())
        await c.ticked()
        await c.pilot.press("r")
        await c.until(lambda: "nothing to retry: back in its queue already" in c.screen())
        c.ops.dead.insert(0, replace(letter, sequence=5000, error="died again", failed_at=from_ms(c.clock.ms)))
        await c.until(lambda: "died again" in c.screen())
        assert "→ back in its queue" not in c.screen()
        assert dead.cursor_key == letter.id
        await c.pilot.press("r")
        await c.until(lambda: len(c.ops.calls) == 2)


async def test_r_from_another_panel_asks_and_r_does_not_confirm() -> None:
    async with console() as c:
        await c.pilot.press("r")
        assert isinstance(c.app.screen, AskDialog)
        await c.pilot.press("r", "r")
        assert isinstance(c.app.screen, AskDialog)
        assert not c.ops.calls
        for refuses in ("escape", "n"):
            await c.pilot.press(refuses)
            assert not isinstance(c.app.screen, AskDialog)
            assert not c.ops.calls
            await c.pilot.press("r")
        await c.pilot.press("y")
        await c.until(lambda: c.ops.calls and c.ops.calls[0][0] == "dead_retry")


@pytest.mark.parametrize("confirms", ["y", "enter"])
async def test_t_picks_the_job_in_hand_and_t_does_not_confirm(confirms: str) -> None:
    async with console() as c:
        await c.pilot.press("j", "j", "t")
        assert isinstance(c.app.screen, PickDialog)
        await c.pilot.pause()
        await c.pilot.press("t", "t")
        assert not c.ops.calls
        await c.pilot.press(confirms)
        await c.until(lambda: c.ops.calls == [("trigger", "disk_report")])
        await c.until(lambda: "disk_report runs as" in c.screen())


async def test_t_lets_choose_another_job() -> None:
    async with console() as c:
        await c.pilot.press("t")
        await c.pilot.pause()
        await c.pilot.press("j", "enter")
        await c.until(lambda: c.ops.calls == [("trigger", "cleanup_temp")])


async def test_p_pauses_and_resumes_jobs_and_queues() -> None:
    async with console() as c:
        await c.pilot.press("j", "p")
        await c.until(lambda: "Pause job cleanup_temp" in c.screen())
        await c.pilot.press(*"bug", "enter")
        await c.until(lambda: any(j.paused for j in c.app.state.live.jobs))  # type: ignore[union-attr]
        await c.pilot.press("p")
        await c.until(lambda: len(c.ops.calls) == 2)
        c.table("queues").focus()
        await c.pilot.press("p", "p", "escape", "p")
        await c.until(lambda: "Pause queue billing" in c.screen())
        await c.pilot.press("enter")
        await c.until(lambda: "‖ billing" in c.screen())
        job, queue = "job:cleanup_temp", "queue:billing"
        assert c.ops.paused["queue:billing"].note == "", "what was typed before Esc is gone"
        assert c.ops.calls == [("pause", job), ("resume", job), ("pause", queue)]


async def test_a_read_only_context_refuses_and_says_so() -> None:
    async with console(ops=FakeOps(read_only=True)) as c:
        assert "read-only" in c.line("header")
        c.table("dead").focus()
        await c.pilot.press("r")
        await c.until(lambda: "this context is read-only" in c.screen())
        assert len(c.table("dead").rows) == 37
        assert "retrying" not in c.screen()


async def test_a_dead_server_is_a_banner_with_the_age_and_recovers() -> None:
    async with console() as c:
        c.ops.redis_error = "redis refused the connection"
        await c.until(lambda: "redis refused the connection" in c.screen())
        c.clock.ms += 75_000
        c.app.overview.pass_time()
        assert "as of 22:43:10, 1 m old" in c.line("banner")
        assert "redis down" in c.line("header")
        assert "● 2 engines" in c.line("header"), "what can't be read is not gone"
        assert "backup_history" in c.screen()
        await c.pilot.press("tab", "j", "tab", "j")
        c.ops.redis_error = ""
        await c.until(lambda: c.line("banner") == "" and "● Valkey 9.1.0 <1 ms" in c.line("header"))


async def test_postgres_away_does_not_stop_the_queues() -> None:
    async with console() as c:
        c.ops.postgres_error = "postgres is gone"
        await c.until(lambda: "postgres is gone" in c.screen())
        c.ops.depth = 777
        await c.until(lambda: any("777" in "".join(t for t, _ in row.cells[1]) for row in c.table("queues").rows))


async def test_a_slow_history_is_not_called_dead() -> None:
    """The pause between two looks is no part of the time a look may take."""

    class Slow(FakeOps):
        looks = 0

        async def history_overview(self) -> HistoryOverview:
            await asyncio.sleep(0.3)
            self.looks += 1
            return await super().history_overview()

    pace = Pace(0.02, 0.02, history_s=0.6, history_idle_s=0.7, give_up_s=0.8, first_pause_s=0.02)
    ops, seen = Slow(), set()
    app = Recorded(opener(ops), "prod-eu", preferences=Preferences(timezone="UTC"), clock=Clock(), pace=pace)
    async with app.run_test(size=(80, 24)) as pilot:
        c = Console(app, pilot, ops, Clock())

        def looked() -> bool:
            seen.add(app.state.links["postgres"].state)
            return ops.looks >= 3

        await c.until(looked)
    assert seen == {"connecting", "ok"}


async def test_enter_opens_details_and_escape_goes_back() -> None:
    async with console() as c:
        c.table("dead").focus()
        await c.pilot.press("enter")
        await c.until(lambda: 'template: "receipt"' in c.screen())
        await c.pilot.press("escape")
        c.table("runs").focus()
        await c.pilot.press("G", "enter")
        await c.until(lambda: "line two" in c.screen())
        await c.pilot.press("escape")
        c.timeline.focus()
        await c.pilot.press("enter")
        await c.until(lambda: "pg_dump of the history database" in c.screen())
        assert c.app.trail.here == ("job", "backup_history")
        await c.pilot.press("escape")
        c.table("queues").focus()
        await c.pilot.press("enter")
        await c.until(lambda: c.app.trail.here == ("queue", "billing"))
        await c.pilot.press("escape")
        await c.until(lambda: c.app.screen is c.app.overview)


async def test_help_comes_from_the_bindings() -> None:
    async with console() as c:
        await c.pilot.press("question_mark")
        await c.pilot.pause()
        for words in ("trigger", "pause/resume", "first row", "j ↓"):
            assert words in c.screen(), words
        await c.pilot.press("G")
        await c.pilot.pause()
        assert "planned fire" in c.screen()


async def test_tab_walks_through_the_panels() -> None:
    async with console() as c:
        seen = []
        for _ in range(4):
            seen.append(c.app.focused.id if c.app.focused else "")
            await c.pilot.press("tab")
        assert seen == ["timeline", "queues", "dead", "runs"]


async def test_a_notice_that_does_not_fit_beside_the_keys_has_its_own_line() -> None:
    async with console((80, 24)) as c:
        keys = c.line("keys")
        c.app.front().tell("not cancelled: 0192f3a4-5b6c-7d8e-9f01-23456789abcd has ended; its page tells how", "warn")
        await c.until(lambda: "not cancelled: …6789abcd has ended; its page tells how" in c.screen())
        assert c.line("keys") == keys
        c.app.front()._forget_notice(c.app.front()._notices)
        await c.until(lambda: "not cancelled" not in c.screen())


def test_a_latency_never_touches_what_stands_before_it() -> None:
    for ms in (1.0, 12.0, 112.0, 4_321.0):
        text = "".join(part for part, _ in link_cell(Link("postgres", "ok", T0, T0, ms), T0))
        assert re.fullmatch(rf"● postgres +{ms:.0f} ms", text)


async def test_jobs_that_went_wrong_come_first_where_not_all_are_in_sight() -> None:
    ops = FakeOps()
    async with console((140, 40), ops) as c:
        await c.until(lambda: c.timeline.keys and c.app.state.history)
        assert list(c.timeline.keys) == sorted(c.timeline.keys)
    async with console((80, 24), ops) as c:
        await c.until(lambda: c.timeline.keys and c.app.state.history)
        await c.until(lambda: c.timeline.keys[0] == "sync_prices")
        assert "trouble first" in c.screen()
        assert (c.timeline.cursor_key, c.timeline.top) == ("sync_prices", 0)
        rest = list(c.timeline.keys)[1:]
        assert rest == sorted(rest)
