"""The overview screen driven by keys, on an in-memory Ops with a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.pilot import Pilot
from textual.screen import Screen

from backends.errors import UnreachableError
from backends.overview import HistoryOverview
from console.app import ConsoleApp
from console.feed import ConsoleOps, Pace
from console.screens.dialog import AskDialog, PickDialog, TextDialog
from console.settings import Preferences
from tests.console.fake_ops import HOSTILE, T0, FakeOps, opener
from tests.console.terminal import Terminal
from widgets.celldiff import RunsUpdate
from widgets.statusline import StatusLine
from widgets.table import Table
from widgets.timeline import Timeline

SIZES = ((80, 24), (200, 60))
QUICK = Pace(0.02, 0.02, 0.02, 0.04, depth_s=0, first_pause_s=0.02, longest_pause_s=0.05)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.ms = T0

    def __call__(self) -> int:
        return self.ms


class Recorded(ConsoleApp):
    """Applies every frame twice: as Textual sends it, and as the cell diff sends it."""

    terminals: tuple[Terminal, Terminal] | None = None
    frames = 0
    drawn_for: object = None

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        if isinstance(renderable, (LayoutUpdate, ChopsUpdate)) and not self._batch_count:
            if self.terminals is None or self.drawn_for != self.size:
                self.drawn_for = self.size
                self.forget_screen()
                self.terminals = (Terminal(*self.size), Terminal(*self.size))
            plain, diffed = self.terminals
            plain.feed(renderable.render_segments(self.console))
            diffed.feed(RunsUpdate(self.changed_runs(renderable, *self.size)).render_segments(self.console))
            assert plain.cells == diffed.cells
            self.frames += 1
        super()._display(screen, renderable)


class Console:
    """The app under test with its parts at hand."""

    def __init__(self, app: Recorded, pilot: Pilot[int], ops: FakeOps, clock: Clock) -> None:
        self.app, self.pilot, self.ops, self.clock = app, pilot, ops, clock

    def table(self, name: str) -> Table:
        return self.app.overview.query_one(f"#{name}", Table)

    @property
    def timeline(self) -> Timeline:
        return self.app.overview.query_one(Timeline)

    def line(self, name: str) -> str:
        left, right = self.app.overview.query_one(f"#{name}", StatusLine).content
        return "".join(text for text, _ in (*left, *right))

    def screen(self) -> str:
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    async def until(self, true: Callable[[], object], seconds: float = 5.0) -> None:
        """Wait until something holds; fails after a deadline."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not true():
            assert asyncio.get_running_loop().time() < deadline, f"did not happen; on the screen:\n{self.screen()}"
            await self.pilot.pause(0.01)

    async def ticked(self) -> None:
        """Wait until data asked for after this moment has arrived."""
        self.clock.ms += 1
        live, history = self.app.overview._live, self.app.overview._history
        await self.until(lambda: self.app.overview._live is not live and self.app.overview._history is not history)
        await self.pilot.pause()


@asynccontextmanager
async def console(
    size: tuple[int, int] = (120, 36), ops: FakeOps | None = None, **choices: Any
) -> AsyncIterator[Console]:
    clock = Clock()
    ops = ops or FakeOps(clock)
    ops.clock = clock
    preferences = Preferences(timezone="UTC", **choices)
    app = Recorded(opener(ops), "prod-eu", preferences=preferences, clock=clock, pace=QUICK)
    async with app.run_test(size=size) as pilot:
        c = Console(app, pilot, ops, clock)
        await c.until(lambda: app.overview._live and app.overview._history)
        await pilot.pause()
        yield c


@pytest.mark.parametrize("size", SIZES)
async def test_shows_everything_at_a_glance(size: tuple[int, int]) -> None:
    async with console(size) as c:
        shown = c.screen()
        redis = "● redis" if size[0] < 100 else "● Valkey 9.1.0"
        for words in ("prod-eu", redis, "37 dead", "22:43:10", "Time line", "▼ now", "backup_history", "Queues",
                      "mail", "Dead letters", "SMTP", "Latest runs", "running", "t trigger", "? help"):  # fmt: skip
            assert words in shown, words
        assert "2 eng" in shown
        assert "◦" in shown
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
        assert "no jobs yet" in c.screen()
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
        await c.until(lambda: chosen[1][0] not in dead.keys)
        await c.until(lambda: "back in its queue" in c.line("keys"))


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
        await c.until(lambda: "disk_report runs as" in c.line("keys"))


async def test_t_lets_choose_another_job() -> None:
    async with console() as c:
        await c.pilot.press("t")
        await c.pilot.pause()
        await c.pilot.press("j", "enter")
        await c.until(lambda: c.ops.calls == [("trigger", "cleanup_temp")])


async def test_p_pauses_and_resumes_jobs_and_queues() -> None:
    async with console() as c:
        await c.pilot.press("j", "p")
        await c.until(lambda: "paused" in c.screen())
        await c.until(lambda: any(j.paused for j in c.app.overview._live.jobs))  # type: ignore[union-attr]
        await c.pilot.press("p")
        await c.until(lambda: len(c.ops.calls) == 2)
        c.table("queues").focus()
        await c.pilot.press("p")
        await c.until(lambda: "‖ billing" in c.screen())
        job, queue = "job:cleanup_temp", "queue:billing"
        assert c.ops.calls == [("pause", job), ("resume", job), ("pause", queue)]


async def test_a_read_only_context_refuses_and_says_so() -> None:
    async with console(ops=FakeOps(read_only=True)) as c:
        assert "read-only" in c.line("header")
        c.table("dead").focus()
        await c.pilot.press("r")
        await c.until(lambda: "the context is read-only" in c.line("keys"))
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
            seen.add(app.overview._links["postgres"].state)
            return ops.looks >= 3

        await c.until(looked)
    assert seen == {"connecting", "ok"}


async def test_enter_opens_details_and_escape_goes_back() -> None:
    async with console() as c:
        c.table("dead").focus()
        await c.pilot.press("enter")
        await c.until(lambda: '"template": "receipt"' in c.screen())
        await c.pilot.press("escape")
        c.table("runs").focus()
        await c.pilot.press("G", "enter")
        await c.until(lambda: "line one" in c.screen())
        await c.pilot.press("escape")
        c.timeline.focus()
        await c.pilot.press("enter")
        await c.until(lambda: "pg_dump of the history database" in c.screen())
        await c.pilot.press("escape")
        c.table("queues").focus()
        await c.pilot.press("enter")
        await c.until(lambda: "to history" in c.screen())
        await c.pilot.press("escape")
        assert not isinstance(c.app.screen, TextDialog)


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


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_text_is_shown_and_never_acted_on(size: tuple[int, int]) -> None:
    """`Terminal` raises on every sequence that is not a cursor move or a style, so each frame is checked."""
    async with console(size, FakeOps(hostile=True)) as c:
        c.table("dead").focus()
        await c.pilot.press("enter")
        await c.until(lambda: "[@click=app.quit]x[/] [red]r[/red] [/nope]" in c.screen())
        for bad in "\x1b\x9b\u202e\u200b\u200d\x00\x07\r":
            assert bad not in c.screen(), hex(ord(bad))
        assert "␛]2;PWNED" in c.screen()
        await c.pilot.press("escape")
        c.table("runs").focus()
        await c.pilot.press("G", "g", "enter")
        await c.pilot.pause()
        await c.pilot.press("escape", "t")
        await c.pilot.pause()
        await c.pilot.click(offset=(10, size[1] // 2))
        await c.pilot.press("escape")
        for panel in ("timeline", "queues"):
            c.app.overview.query_one(f"#{panel}").focus()
            await c.pilot.press("g", "p", "enter")
            await c.until(lambda: isinstance(c.app.screen, TextDialog))
            await c.pilot.press("escape")
        c.ops.redis_error = HOSTILE
        await c.until(lambda: "down" in c.line("header"))
        await c.pilot.pause()
        assert c.app.frames > 5
        assert c.app.is_running


async def test_cell_diff_leaves_the_same_screen_for_fewer_bytes() -> None:
    """Every frame is compared in `Recorded._display`."""
    async with console() as c:
        keys = (*"jj", "tab", "tab", *"jG", "enter", "escape", "question_mark", "j", "escape", "t", "escape", "minus")
        for key in keys:
            await c.pilot.press(key)
            c.clock.ms += 30_000
            c.app.overview.pass_time()
            await c.pilot.pause()
        assert c.app.terminals
        plain, diffed = c.app.terminals
        assert diffed.text() == c.screen()
        assert diffed.written < plain.written / 2


async def test_without_colour_all_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with console() as c:
        for words in ("✗ failed", "▶ running", "✓ succeeded", "▌"):
            assert words in c.screen()
        for segments in c.app.screen._compositor.render_strips():
            for segment in segments.apply_filter(c.app.get_line_filters()[-1], c.app.screen.background_colors[1]):
                if segment.style and segment.style.color and segment.style.color.triplet:
                    red, green, blue = segment.style.color.triplet
                    assert red == green == blue


async def test_without_utf8_only_ascii_reaches_the_terminal() -> None:
    async with console(ops=FakeOps(hostile=True), ascii=True) as c:
        await c.ticked()
        assert c.app.terminals
        assert c.app.terminals[0].text().isascii()
        for words in ("x failed", "> running", "+ succeeded", "v now"):
            assert words in c.app.terminals[0].text()


async def test_survives_every_size() -> None:
    async with console() as c:
        for width, height in ((1, 1), (10, 3), (40, 10), (80, 24), (300, 80), (80, 24)):
            await c.pilot.resize_terminal(width, height)
            await c.pilot.pause()
        await c.until(lambda: "backup_history" in c.screen())
