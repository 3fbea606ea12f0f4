"""The frame of all screens: numbers, back and forward, the state that outlives a screen; the engines screen in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.app import ComposeResult
from textual.screen import ModalScreen

from backends.errors import UnreachableError
from console.screens.base import ConsoleScreen
from console.screens.registry import NUMBERED, SCREENS
from console.settings import Preferences
from console.trail import Trail
from tests.console.app_helpers import QUICK, SIZES, Clock, Console, Recorded, console
from tests.console.fake_ops import HOSTILE, FakeOps
from widgets.rowlist import RowList
from widgets.safe import cell
from widgets.statusline import StatusLine
from widgets.table import Table


def test_the_trail_goes_back_and_forward() -> None:
    trail = Trail()
    assert trail.back() == ("overview", None)
    for name in ("runs", "runs", "jobs", "engines"):
        trail.go(name)
    assert [trail.back().screen for _ in range(4)] == ["jobs", "runs", "overview", "overview"]
    assert [trail.forward().screen, trail.forward().screen] == ["runs", "jobs"]
    assert trail.go("audit").screen == "audit"
    assert trail.forward().screen == "audit"
    assert trail.back().screen == "jobs"


def test_the_trail_knows_what_each_screen_was_opened_for() -> None:
    trail = Trail()
    for subject in ("a", "a", "b", None):
        trail.go("job", subject)
    assert [trail.back(), trail.back(), trail.back()] == [("job", "b"), ("job", "a"), ("overview", None)]
    assert trail.forward() == ("job", "a")


class Page(ConsoleScreen):
    """A screen about one thing."""

    NAME = "page"

    def body(self) -> ComposeResult:
        yield StatusLine(id="about")

    def on_mount(self) -> None:
        super().on_mount()
        self._about = self.query_one("#about", StatusLine)

    def show_subject(self, subject: str | None) -> None:
        self._about.show(cell(f"about {subject}"))


async def test_a_screen_is_opened_for_something_and_esc_comes_back_to_it() -> None:
    async with console() as c:
        c.app.install_screen(Page(), Page.NAME)
        c.app.open("page", "first")
        await c.until(lambda: "about first" in c.screen())
        c.app.open("page", "second")
        await c.until(lambda: "about second" in c.screen())
        await c.pilot.press("8", "escape")
        await c.until(lambda: "about second" in c.screen())
        await c.pilot.press("escape")
        await c.until(lambda: "about first" in c.screen())
        await c.pilot.press("right_square_bracket")
        await c.until(lambda: "about second" in c.screen())
        c.app.open("page")
        await c.until(lambda: "about None" in c.screen())


async def test_numbers_esc_and_forward() -> None:
    async with console() as c:
        for key, name, _ in NUMBERED[1:]:
            await c.pilot.press(key)
            await c.until(lambda name=name: getattr(c.app.screen, "NAME", "") == name)
        last = c.app.screen
        await c.pilot.press("1")
        assert c.app.screen is c.app.overview
        await c.pilot.press("escape")
        assert c.app.screen is last
        await c.pilot.press("right_square_bracket")
        assert c.app.screen is c.app.overview
        assert len(c.app.screen_stack) <= 2


@pytest.mark.parametrize("size", SIZES)
async def test_every_screen_shows_hostile_text_and_dead_servers(size: tuple[int, int]) -> None:
    ops = FakeOps(hostile=True)
    async with console(size, ops) as c:
        for name in SCREENS:
            c.app.action_go(name)
            await c.pilot.pause()
            text = c.screen()
            assert not any(not ch.isprintable() for ch in text.replace("\n", ""))
            assert text.count("\n") == size[1] - 1
        ops.redis_error, ops.postgres_error = "redis is away", "postgres is away"
        for name in SCREENS:
            c.app.action_go(name)
            await c.until(lambda: "✗ redis" in c.screen())


async def test_a_list_that_was_never_read_does_not_say_that_nothing_is_there() -> None:
    ops = FakeOps()
    async with console((80, 24), ops=ops) as c:
        ops.redis_error, ops.postgres_error = "redis is away", "postgres is away"
        await c.until(lambda: all(link.state == "down" for link in c.app.state.links.values()))
        empty = ("nothing has died", "no dead letter", "no run is recorded", "nobody has done", "nothing is ready",
                 "no fire is", "not published", "no attempt is")  # fmt: skip
        c.app.open("jobs")
        await c.until(lambda: "last ✓ succeeded" in c.screen())
        assert "no attempt is" not in c.screen()
        screens = {"runs": None, "audit": None, "dead": None, "queue": "mail", "job": "backup_history"}
        for name, subject in screens.items():
            c.app.open(name, subject)
            await c.until(lambda: "can't be read: no answer from redis and postgres" in c.screen())
            assert not [words for words in empty if words in c.screen()], name
        ops.redis_error = ops.postgres_error = ""
        words = {"runs": "100 read", "audit": "retry dead", "dead": "exit 3", "queue": "taken next", "job": "fired"}
        ops.depth = 250
        for name, subject in screens.items():
            c.app.open(name, subject)
            await c.until(lambda name=name: words[name] in c.screen() and "can't be read" not in c.screen())  # type: ignore[misc]


@asynccontextmanager
async def dead_from_the_start(size: tuple[int, int], opens: bool) -> AsyncIterator[Console]:
    """`opens`: the context does, and then no server answers."""
    clock = Clock()
    ops = FakeOps(clock)
    ops.redis_error = ops.postgres_error = "no server at db.eu"

    @asynccontextmanager
    async def open_ops() -> AsyncIterator[FakeOps]:
        if ops.redis_error and not opens:
            raise UnreachableError(ops.redis_error)
        yield ops

    app = Recorded(open_ops, "prod-eu", preferences=Preferences(timezone="UTC"), clock=clock, pace=QUICK)
    async with app.run_test(size=size) as pilot:
        yield Console(app, pilot, ops, clock)


AWAY = "can't be read: no answer from redis and postgres"
PAGES = {
    "run": ("Attempts · 1 ended", "no attempt of it"), "letter": ("attempts 3", "it is no dead letter"),
    "queue": ("Forecast", "nothing is ready"), "job": ("command  ", "not published"),
}  # fmt: skip
"""What stands there when all is known, and what must not before."""


@pytest.mark.parametrize(("size", "opens"), [(SIZES[0], True), (SIZES[1], False)])
@pytest.mark.parametrize("name", PAGES)
async def test_the_page_of_one_thing_says_which_server_does_not_answer(
    name: str, size: tuple[int, int], opens: bool
) -> None:
    async with dead_from_the_start(size, opens) as c:
        ops, (known, unknown) = c.ops, PAGES[name]
        subjects = {"run": ops.ended[0].run_id, "letter": ops.dead[0].id, "queue": "mail", "job": "backup_history"}
        c.app.open(name, subjects[name])
        await c.until(lambda: AWAY in c.screen() and "reading …" not in c.screen())
        assert unknown not in c.screen()
        assert name != "queue" or c.screen().count("can't be read") == 3 <= c.screen().count("and postgres")
        ops.redis_error = ops.postgres_error = ""
        # its own next look may be seconds away
        await c.until(lambda: known in c.screen() and "can't be read" not in c.screen(), 2.5)


async def test_every_list_says_which_server_does_not_answer() -> None:
    async with dead_from_the_start((80, 24), True) as c:
        for name in ("overview", "queues", "jobs", "engines", "dead", "runs", "timeline", "audit"):
            c.app.open(name)
            await c.until(lambda: AWAY in c.screen() and "reading …" not in c.screen())
            for rows in c.app.screen.query(RowList).results(RowList):
                if rows.page_rows > 1 and rows.display:  # also where it takes two lines
                    lines = [rows.render_line(rows.HEAD + y).text for y in range(2)]
                    assert " ".join(lines).split() == AWAY.split(), (name, rows.id)
        c.ops.redis_error = c.ops.postgres_error = ""
        await c.until(lambda: "Audit · " in c.screen() and "can't be read" not in c.screen())


async def test_what_fails_while_the_console_is_left_is_told_to_nobody() -> None:
    async with console() as c:
        await c.pilot.press("8")
        await c.until(lambda: "web-2:991" in c.screen())
        screen = c.app.get_screen("engines")
        await screen.query_one("#keys").remove()  # as at the end, while the last answers come
        screen.tell("✗ not cancelled")  # type: ignore[attr-defined]


async def test_before_anything_arrived_no_list_says_that_it_is_empty() -> None:
    @asynccontextmanager
    async def never() -> AsyncIterator[FakeOps]:
        await asyncio.sleep(60)
        yield FakeOps()

    app = Recorded(never, "prod-eu", preferences=Preferences(timezone="UTC"), clock=Clock(), pace=QUICK)
    async with app.run_test(size=(120, 40)) as pilot:
        c = Console(app, pilot, FakeOps(), Clock())
        for name in ("overview", "queues", "jobs", "engines", "timeline"):
            app.open(name)
            await c.until(lambda: "reading …" in c.screen())
            assert not [
                words for words in ("no queues yet", "no jobs yet", "nothing", "no engine is") if words in c.screen()
            ]


async def test_engines_show_what_they_run_and_cancel_it() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        await c.pilot.press("8")
        await c.until(lambda: "web-2:991" in c.screen())
        text = c.screen()
        for word in ("web-1:4711", "2/16", "slow_export", "sync_prices", "Running here · 2"):
            assert word in text, word
        await c.pilot.press("j")
        await c.until(lambda: "Running here · 0" in c.screen())
        await c.pilot.press("k", "enter", "c", "y")
        await c.until(lambda: ops.calls)
        ((verb, run_id),) = ops.calls
        assert verb == "cancel"
        assert run_id in {r.run_id for e in c.app.state.live.engines for r in e.running}  # type: ignore[union-attr]
        await c.until(lambda: "its engine will end it" in c.screen())


@pytest.mark.parametrize("size", SIZES)
async def test_an_engine_that_was_killed_is_silent_then_told_as_gone(size: tuple[int, int]) -> None:
    ops = FakeOps()
    async with console(size, ops=ops) as c:
        await c.pilot.press("8")
        ops.silence = {"web-1:4711": 8_200}
        await c.until(lambda: "silent 8 s" in c.screen())
        head = c.screen().splitlines()[0]
        assert "1 silent" in head
        assert "◌ web-1:4711" in c.screen()
        assert "1/16" in head, "what the silent one said of itself is not told as true"
        assert "2/16" not in c.screen()
        assert "Running here · 2 as of 8 s ago" in c.screen()
        ops.silence |= {"web-2:991": 12_000}
        await c.until(lambda: "◌ 2 eng" in c.screen().splitlines()[0])
        head = c.screen().splitlines()[0]
        assert " silent 8 s" in head
        assert "/16" not in head
        ops.silence = {"web-1:4711": 60_000}
        await c.until(lambda: "at 22:42:10" in c.screen())
        assert "✗ web-1:4711, la" in c.screen()
        assert "none is alive" not in c.screen()
        ops.silence = {"web-1:4711": 60_000, "web-2:991": 70_000}
        await c.until(lambda: "none is alive: start one with `cronsole engine`" in c.screen())
        assert "✗ no engine" in c.screen().splitlines()[0]
        assert "was last heard of at 22:4" in c.screen()


async def test_a_screen_in_the_back_is_true_when_it_comes_to_the_front() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        await c.pilot.press("8")
        await c.until(lambda: "web-2:991" in c.screen())
        await c.pilot.press("1")
        ops.read_only = True
        assert HOSTILE not in c.screen()
        await c.pilot.press("8")
        table = c.app.screen.query_one("#engines", Table)
        await c.until(lambda: table.rows and table.rows[0].key == "web-1:4711")


async def test_f_follows_the_run_that_was_triggered_last() -> None:
    async with console() as c:
        await c.pilot.press("F")
        await c.until(lambda: "nothing was triggered from here yet: t triggers a job" in c.screen())
        await c.until(lambda: c.timeline.keys)
        await c.pilot.press("j", "t", "enter")
        await c.until(lambda: "cleanup_temp runs as" in c.screen() and "F follows it" in c.screen())
        await c.pilot.press("F")
        await c.until(lambda: "cleanup_temp   queue default   by manual" in c.screen())


async def test_a_narrow_header_drops_latencies_before_it_cuts_a_word() -> None:
    async with console((80, 24)) as c:
        c.ops.dead = [*c.ops.dead] * 20
        await c.until(lambda: "✗ 740 dead " in c.screen())
        assert " ms" not in c.screen().split("\n")[0]
    async with console((120, 30)) as c:
        assert " ms" in c.screen().split("\n")[0]


@pytest.mark.parametrize(("size", "beside"), [((120, 36), True), ((80, 36), False)])
async def test_help_stands_in_two_columns_where_there_is_room(size: tuple[int, int], beside: bool) -> None:
    async with console(size) as c:
        await c.pilot.press("question_mark")
        await c.until(lambda: "Here" in c.screen())
        line = next(line for line in c.screen().split("\n") if "Here" in line)
        assert any(title in line for title in ("In lists", "Everywhere", "Screens")) is beside


@pytest.mark.parametrize("width", [80, 97, 120])
async def test_the_count_of_rows_above_covers_no_title(width: int) -> None:
    async with console((width, 14)) as c:
        for name in ("timeline", "runs", "jobs", "dead", "audit", "job"):
            c.app.open(name, "health_ping" if name == "job" else None)
            await c.until(lambda: isinstance(c.app.screen.focused, RowList) and len(c.app.screen.focused.keys) > 8)
            rows = c.app.screen.focused
            assert isinstance(rows, RowList)
            before = rows._head(rows.count_line).text
            rows.choose(len(rows.keys) - 1)
            await c.until(lambda rows=rows: rows.top)  # type: ignore[misc]
            after = rows._head(rows.count_line).text
            assert f" ↑ {rows.top}" in after
            assert set(after.split()) - {"↑", str(rows.top)} <= set(before.split()), name
            assert len(after) == len(before)


async def test_a_screen_that_comes_while_the_console_is_left_is_no_crash() -> None:
    class Late(ModalScreen[None]):
        def on_mount(self) -> None:
            self.query_one("#not-there")

    async with console() as c:
        c.app.exit()
        late = Late()
        c.app.push_screen(late)
        await c.until(lambda: not late.is_running or late.is_mounted)
    assert c.app.return_code == 0
