"""The queues screen and a queue's page: what they say, why runs wait, pause with a note, cancel after a question."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from backends.forecast import PlannedJob, forecast
from backends.model import EngineStatus, Pause, QueueStatus, RunningRow, from_ms
from backends.ops.queueing import QueueFlow
from backends.overview import Overview
from backends.queues.peek import QueuedRun
from console.screens import queues_looks as look
from console.screens.queue import QueueScreen
from console.screens.queues import QueuesScreen
from console.screens.rows import moment
from console.screens.run import RunScreen
from tests.console.app_helpers import SIZES, Console, console
from tests.console.fake_ops import HOSTILE, T0, FakeOps
from widgets.bars import Bars, bar_lines
from widgets.safe import Cell
from widgets.table import Table


def text(shown: Cell) -> str:
    return "".join(part for part, _ in shown)


def table(c: Console, name: str) -> Table:
    return c.app.screen.query_one(f"#{name}", Table)


async def open_queue(c: Console, name: str) -> Table:
    c.app.open("queue", name)
    await c.until(lambda: c.app.screen.query("#lying"))
    return table(c, "lying")


@pytest.mark.parametrize("size", SIZES)
async def test_queues_tell_depth_rates_and_who_takes_them(size: tuple[int, int]) -> None:
    async with console(size) as c:
        await c.pilot.press("3")
        await c.until(lambda: "118" in c.screen())
        for word in ("Queues · 4", "mail", "in/min", "118", "96", "taken by web-1:4711", "a run takes 4m 50s"):
            assert word in c.screen(), word
        assert table(c, "queues").cursor_key == "billing"


async def test_queues_are_sorted_and_filtered() -> None:
    async with console() as c:
        await c.pilot.press("3")
        queues = table(c, "queues")
        await c.until(lambda: len(queues.rows) == 4)
        await c.pilot.press("s")
        await c.until(lambda: queues.rows[0].key == "default")
        assert "by trouble" in c.screen()
        await c.pilot.press("slash", "m", "a", "i", "enter")
        await c.until(lambda: [row.key for row in queues.rows] == ["mail"])
        assert "1 of 4" in c.screen()


async def test_a_queue_is_paused_with_a_note_and_the_asking_key_confirms_nothing() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        await c.pilot.press("3", "p", "p", "p")
        assert not ops.calls
        await c.pilot.press("tab", "x", "enter")
        assert "no length of time" in c.screen()
        assert not ops.calls, "what is wrong is not sent"
        await c.pilot.press("backspace", "1", "h", "enter")
        await c.until(lambda: ops.calls == [("pause", "queue:billing")])
        assert ops.paused["queue:billing"].note == "pp"
        await c.until(lambda: "‖ paused" in c.screen() and "by ana" in c.screen() and ": pp" in c.screen())
        await c.pilot.press("p")
        await c.until(lambda: ops.calls[-1] == ("resume", "queue:billing"))


async def test_a_read_only_context_asks_for_no_note() -> None:
    ops = FakeOps(read_only=True)
    async with console(ops=ops) as c:
        await c.pilot.press("3", "p")
        await c.until(lambda: "read-only" in c.screen())
        assert isinstance(c.app.screen, QueuesScreen)


async def test_a_row_is_made_anew_only_where_something_is_new() -> None:
    async with console() as c:
        await c.pilot.press("3")
        queues = table(c, "queues")
        await c.until(lambda: "118" in c.screen())
        before = {row.key: row for row in queues.rows}
        c.ops.depth = 5
        await c.until(lambda: queues.rows[3] is not before["mail"])
        assert all(row is before[row.key] for row in queues.rows if row.key != "mail")


# --- one queue ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_a_queue_shows_what_lies_in_it_and_what_will_be(size: tuple[int, int]) -> None:
    async with console(size) as c:
        c.app.open("queue", "default")
        await c.until(lambda: "planned fires" in c.screen())
        assert isinstance(c.app.screen, QueueScreen)
        for word in ("default", "Forecast", "Ended a minute", "▸ready", "disk_report", "assumes 240 planned"):
            assert word in c.screen(), word
        await c.pilot.press("h")
        await c.until(lambda: "slot held by run" in c.screen())
        await c.pilot.press("h")
        await c.until(lambda: "due in" in c.screen())
        await c.pilot.press("h")
        await c.until(lambda: "on web-1:4711" in c.screen())


async def test_a_long_queue_is_read_page_by_page() -> None:
    ops = FakeOps()
    ops.depth = 250
    async with console(ops=ops) as c:
        lying = await open_queue(c, "mail")
        await c.until(lambda: len(lying.rows) == 100)
        assert "100 of" in c.screen()
        for rows in (200, 250):
            lying.choose(len(lying.rows) - 1)
            await c.until(lambda rows=rows: len(lying.rows) == rows)
        key = lying.rows[0].key
        del c.ops.lying["mail", "ready"][:3]
        c.ops.depth += 1
        c.clock.ms += 6_000
        c.app.screen.show_time()  # type: ignore[attr-defined]
        lying.choose(0)
        await c.until(lambda: lying.rows[0].key != key)


async def test_g_jumps_to_the_end_of_a_queue_and_what_comes_there_is_seen() -> None:
    ops = FakeOps()
    model = ops.lying["mail", "ready"][0]
    there = ops.lying["mail", "ready"] = [replace(model, run_id=f"r{n:05}") for n in range(1_500)]
    ops.depth = 1_500
    async with console(ops=ops) as c:
        lying = await open_queue(c, "mail")
        await c.until(lambda: len(lying.rows) == 100)

        def place() -> int:
            """Of the first row that is held; all that follow are there."""
            held, keys = [row.key for row in lying.rows], [run.run_id for run in there]
            first = keys.index(held[0])
            assert held == keys[first : first + len(held)]
            return first

        async def come(count: int) -> None:
            first = int(there[-1].run_id[1:]) + 1
            there.extend(replace(model, run_id=f"r{first + n:05}") for n in range(count))
            c.clock.ms += 6_000
            c.app.screen.show_time()  # type: ignore[attr-defined]

        await c.pilot.press("G")
        await c.until(lambda: lying.cursor_key == "r01499")
        assert (place(), len(lying.rows)) == (1_400, 100)
        assert "Ready · the last 100 of" in c.screen()
        assert "more above" in c.screen()
        await come(30)
        await c.until(lambda: lying.rows[-1].key == "r01529")
        assert (lying.cursor_key, place(), len(lying.rows)) == ("r01499", 1_400, 130), "the cursor stays on its run"
        there.remove(next(run for run in there if run.run_id == "r01510"))
        c.app.screen.read_anew()  # type: ignore[attr-defined]
        await c.until(lambda: "r01510" not in lying.keys)
        assert (lying.cursor_key, lying.rows[-1].key) == ("r01499", "r01529"), "what was done there is seen there"
        await come(300)
        await c.until(lambda: "read, more above and below" in c.screen())
        assert lying.cursor_key == "r01499"
        await c.pilot.press("G")
        await c.until(lambda: lying.cursor_key == there[-1].run_id and "the last 100 of" in c.screen())
        while first := place():
            lying.choose(10)
            await c.until(lambda first=first: place() < first)  # type: ignore[misc]
            assert lying.cursor_key == there[first + 10].run_id
        await c.until(lambda: "more below" in c.screen() and "more above" not in c.screen())
        await c.pilot.press("G")
        await c.until(lambda: lying.cursor_key == there[-1].run_id)
        del there[:-60]
        await come(1)
        await c.until(lambda: len(lying.rows) == 61 and "more above" not in c.screen())
        await c.pilot.press("l")
        await c.until(lambda: "▸running" in c.screen() and len(lying.rows) == 0)


async def test_what_comes_where_the_last_page_begins_cuts_nothing_off() -> None:
    """As of what is due later: its place is by its time, not at the end."""
    ops = FakeOps()
    model = ops.lying["mail", "ready"][0]
    there = ops.lying["mail", "ready"] = [replace(model, run_id=f"r{n:05}") for n in range(0, 6_000, 10)]
    ops.depth = 600
    async with console(ops=ops) as c:
        lying = await open_queue(c, "mail")
        await c.until(lambda: len(lying.rows) == 100)
        await c.pilot.press("G")
        await c.until(lambda: lying.cursor_key == "r05990")
        there.extend(replace(model, run_id=f"r{n:05}") for n in range(6_000, 6_600, 10))
        c.app.screen.read_anew()  # type: ignore[attr-defined]
        await c.until(lambda: len(lying.rows) == 160)
        lying.choose(50)
        there.insert(561, replace(model, run_id="r05605"))
        c.app.screen.read_anew()  # type: ignore[attr-defined]
        await c.until(lambda: "r05605" in lying.keys)
        assert (len(lying.rows), lying.cursor_key) == (161, "r05500")
        assert list(lying.keys) == sorted(lying.keys)


async def test_a_run_is_cancelled_after_a_question() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        lying = await open_queue(c, "default")
        await c.until(lambda: len(lying.rows) == 2)
        run_id = lying.rows[0].key
        await c.pilot.press("c", "c")
        await c.until(lambda: "Cancel this run?" in c.screen())
        assert run_id in c.screen()
        assert not ops.calls
        await c.pilot.press("y")
        await c.until(lambda: ops.calls == [("cancel", run_id)])
        await c.until(lambda: run_id not in lying.keys)
        await c.pilot.press("k", "enter")
        await c.until(lambda: isinstance(c.app.screen, RunScreen))


async def test_a_queue_that_is_gone_or_a_server_that_is_away_is_told() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        c.app.open("queue", "nobody")
        await c.until(lambda: "there is no such queue" in c.screen())
        await c.pilot.press("p", "c")
        ops.postgres_error = "postgres is away"
        c.app.open("queue", "mail")
        await c.until(lambda: "history can't be asked" in c.screen())
        ops.redis_error = "redis is away"
        c.app.open("queue", "default")
        await c.until(lambda: "✗ redis" in c.screen())


@pytest.mark.parametrize("name", ["queue", "job"])
@pytest.mark.parametrize("size", SIZES)
async def test_hostile_text_is_shown_and_not_obeyed(size: tuple[int, int], name: str) -> None:
    async with console(size, FakeOps(hostile=True), ascii=False) as c:
        c.app.open(name, HOSTILE)
        await c.until(lambda: "PWNED" in c.screen())
        for _ in range(4):
            await c.pilot.press("l")
            await c.pilot.pause(0.05)
            assert not any(not ch.isprintable() for ch in c.screen().replace("\n", ""))


# --- reasons and words --------------------------------------------------------------------------------------

ENGINE = EngineStatus("e1", "h", 1, "1", 0, T0, 4, 1, queues=("q",))
FULL = replace(ENGINE, busy=4)


@pytest.mark.parametrize(
    ("run", "queue", "engines", "says"),
    [
        ({}, {}, (ENGINE,), "taken next"),
        ({}, {}, (FULL,), "its engines are full"),
        ({}, {}, (), "no engine takes it"),
        ({}, {}, (replace(ENGINE, queues=("other",)),), "no engine takes it"),
        ({}, {}, (replace(ENGINE, draining=True),), "its engines end"),
        ({}, {}, (replace(ENGINE, silent_ms=9_000),), "its engine is silent"),
        ({}, {}, (replace(ENGINE, silent_ms=9_000), ENGINE), "taken next"),
        ({}, {"paused": Pause("ana", "bug", T0 - 60_000)}, (ENGINE,), "‖ queue paused by ana: bug"),
        ({"job": "stopped"}, {}, (ENGINE,), "‖ job paused by bob"),
        ({"crashes": 1}, {}, (ENGINE,), "it crashed an engine 1×"),
        ({"state": "later", "due_ms": T0 + 180_000}, {}, (ENGINE,), "due in 3m 00s"),
        ({"state": "later", "due_ms": T0 + 5_000, "attempt": 2}, {}, (ENGINE,), "due in 5 s, tried again"),
        ({"state": "later", "due_ms": T0 - 5}, {}, (ENGINE,), "due now"),
        ({"state": "waiting", "waits_for": "job:x", "holder": "0" * 28 + "12345678"}, {}, (), "held by run …12345678"),
        ({"state": "waiting", "waits_for": "pause/stopped"}, {}, (), "‖ job paused by bob"),
        ({"state": "waiting", "waits_for": "pause/x"}, {}, (), "it comes back at once"),
        ({"state": "running", "engine": "e1", "seen_ms": 900}, {}, (), "on e1"),
        ({"state": "running", "engine": "e1", "seen_ms": 29_000}, {}, (), "on e1, last heard of 29 s ago"),
    ],
)  # fmt: skip
def test_every_run_says_why_it_is_there(
    run: dict[str, object], queue: dict[str, object], engines: tuple[EngineStatus, ...], says: str
) -> None:
    lying = QueuedRun(**{"run_id": "r", "state": "ready", "job": "j", "attempt": 1, **run})  # type: ignore[arg-type]
    live = Overview(T0, None, engines)  # type: ignore[arg-type]
    pauses = {"stopped": Pause("bob")}
    found = text(look.reason(lying, QueueStatus("q", **queue), live, pauses, T0))  # type: ignore[arg-type]
    assert says in found


@pytest.mark.parametrize(
    ("state", "since"), [("ready", from_ms(T0 - 60_000)), ("running", from_ms(T0 - 5_000)), ("waiting", None)]
)
def test_since_when_a_run_is_there_or_runs(state: str, since: datetime | None) -> None:
    """What runs was there to be taken long before, perhaps; that is not when it began."""
    run = RunningRow("r", 1, "j", "q", T0 - 5_000)
    lying = QueuedRun("r", state, "j", 1, ready_ms=None if state == "waiting" else T0 - 60_000, engine="e1")
    live = Overview(T0, None, (replace(ENGINE, running=(run,)),))  # type: ignore[arg-type]
    row = look.queued_row(lying, QueueStatus("q"), live, {}, T0, UTC)
    assert text(row.cells[3]) == (moment(since, T0, UTC) if since else "")
    unheard = look.queued_row(replace(lying, run_id="s"), QueueStatus("q"), live, {}, T0, UTC)
    assert text(unheard.cells[3]) == ("" if state == "running" else text(row.cells[3]))


def test_what_is_stuck_with_work_comes_first() -> None:
    queues = [
        QueueStatus("calm", ready=900), QueueStatus("dying", dead=1), QueueStatus("stuck", ready=1, paused=Pause()),
    ]  # fmt: skip
    engines = [replace(ENGINE, queues=("calm", "dying", "stuck"))]
    assert [q.name for q in sorted(queues, key=lambda q: look.trouble(q, engines))] == ["stuck", "dying", "calm"]


def test_the_spark_of_an_hour_always_is_the_whole_hour() -> None:
    minutes = [0] * 59 + [7]
    for width in (60, 30, 29, 20, 9, 6, 5):
        drawn = text(look.spark(minutes, width))
        assert len(drawn) <= width
        assert (drawn[-1], set(drawn[:-1])) == ("▇", {"▁"})


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"depth": 100, "slots": 1, "usual_ms": 1000}, "empty in 2 min"),
        ({"depth": 0, "slots": 1, "usual_ms": 10, "other_per_min": 3}, "nothing piles up"),
        ({"depth": 5, "other_per_min": 1}, "65 in an hour: no engine takes it"),
        ({"depth": 5}, "stays at 5: nothing fires without an engine"),
        ({"depth": 5, "slots": 1, "usual_ms": 60_000, "other_per_min": 2}, "65 in an hour"),
    ],
)
def test_the_forecast_in_words(args: dict[str, float], says: str) -> None:
    found = forecast(**args)  # type: ignore[arg-type]
    assert says in text(look.forecast_line(found, QueueStatus("q")))
    told = "0 planned fires" if found.slots else "nothing fires without an engine"
    assert text(look.assumed(found)).startswith(f"assumes {told} · ")


def test_the_forecast_tells_how_many_fires_are_skipped() -> None:
    found = forecast(1, planned=[PlannedJob("a", [1] * 60, 10, queued=True)], slots=1, paused_steps=60)
    queue = QueueStatus("q", ready=1, paused=Pause())
    assert text(look.forecast_line(found, queue)) == "1 in an hour unless resumed"
    assert "assumes 60 planned fires, 60 skipped · " in text(look.assumed(found))


def test_rates_and_numbers_in_words() -> None:
    assert [look.rate(v) for v in (None, 0, 0.25, 9.94, 61.4, 250_000)] == ["·", "0", "0.2", "9.9", "61", "250k"]
    shown = text(look.numbers_line(QueueStatus("q", ready=1, oldest_ready_seconds=90), QueueFlow(2, None, (), 1500)))
    assert "in 2.0/min" in shown
    assert "out ·/min" in shown
    assert "oldest 1 m" in shown
    assert "a run takes 1.5 s" in shown


def test_bars_reach_from_the_floor_to_the_top() -> None:
    assert bar_lines([0, 1, 2, 4], 4, 2) == ["   █", "▁▄██"]
    assert bar_lines([0, 1], 4, 1) == ["▁▁██"]
    assert bar_lines([1, 0, 0, 0, 0, 9], 3, 1) == ["▁▁█"]
    assert bar_lines([0, 0], 2, 2) == ["  ", "▁▁"]
    assert bar_lines([], 9, 2) == ["", ""]


async def test_next_to_nothing_does_not_fill_the_chart() -> None:
    assert bar_lines([0.02, 0.4, 1, 4], 4, 2, least_peak=4) == ["   █", "▁▂▄█"]
    assert bar_lines([0, 0.04, 0, 0.01], 4, 1, least_peak=4) == ["▁▁▁▁"]
    async with console() as c:
        await open_queue(c, "mail")
        ahead = c.app.screen.query_one("#ahead", Bars)
        ahead.show([0.001] * 30)
        assert ahead.render_line(0).text.strip() == "4", "the scale, and nothing beside it"
