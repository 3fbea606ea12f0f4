"""How many fires fall together: ahead what is planned, behind what fired."""

from __future__ import annotations

from backends.model import from_ms
from backends.schedule import parse
from console.screens.timeline import TimelineScreen
from console.screens.timeline_herd import CHUNK, MINUTE, Fired, Herd
from tests.console.app_helpers import Console, console
from tests.console.fake_ops import T0, FakeOps
from widgets.timeline_axis import window_at
from widgets.timeline_geometry import Window

NOW = T0 // MINUTE * MINUTE
EVERY = {"a": parse("* * * * *"), "b": parse("* * * * *")}
DAY = CHUNK * MINUTE


def hour_around_now() -> Window:
    return window_at(NOW, 30, MINUTE, 60, NOW)


def counted(fired: Fired, now: int = NOW) -> Herd:
    herd = Herd(EVERY, fired, lambda: now)
    for chunk in herd.missing(hour_around_now()):
        for _ in herd.counting(chunk):
            pass
    return herd


def test_left_of_now_only_what_fired_counts() -> None:
    fired, view = Fired(), hour_around_now()
    assert counted(fired).peaks(view) == (*[0] * 31, *[2] * 29)
    ((start, end),) = fired.missing(view, NOW)
    fired.take(start, end, {NOW - 5 * MINUTE: 7, NOW - 4 * MINUTE: 1}, NOW)
    herd = counted(fired)
    assert herd.peaks(view)[24:32] == (0, 7, 1, 0, 0, 0, 0, 2)
    assert herd.busiest(view.start_ms, view.end_ms) == (NOW - 5 * MINUTE, 7)
    assert herd.busiest(NOW + MINUTE, view.end_ms) == (NOW + MINUTE, 2)
    assert herd.busiest(view.start_ms, NOW - 6 * MINUTE) == (view.start_ms, 0)


def test_a_day_is_read_once_and_the_last_minutes_again() -> None:
    fired, view = Fired(), window_at(NOW, 60, 30 * MINUTE, 80, NOW)
    missing = fired.missing(view, NOW)
    assert next(end for _, end in missing) == NOW
    assert all(start // DAY == (end - 1) // DAY for start, end in missing)
    for start, end in missing:
        fired.take(start, end, {}, NOW)
    assert fired.missing(view, NOW) == [(NOW - 3 * MINUTE, NOW)]
    fired.take(NOW - 3 * MINUTE, NOW, {NOW - MINUTE: 4}, NOW)
    assert fired.missing(view, NOW + MINUTE) == [(NOW - 3 * MINUTE, NOW + MINUTE)]
    line = fired.minutes(NOW // DAY)
    assert line is not None
    assert line[(NOW - MINUTE) // MINUTE % CHUNK] == 4


def together(c: Console) -> str:
    return next(line for line in c.screen().splitlines() if "together" in line)


async def test_the_time_line_invents_no_fires_of_a_time_without_engines() -> None:
    ops = FakeOps()
    ops.first_engine = T0 - 3_600_000
    async with console((120, 36), ops) as c:
        await c.pilot.press("2")
        await c.until(lambda: "≤" in together(c) and ops.fired_asked)
        screen = c.app.screen
        assert isinstance(screen, TimelineScreen)
        left, plot = screen._plot.label_width, screen._plot
        now = plot.view.now_column
        await c.until(lambda: together(c)[left + now - 5 : left + now].strip(" ╱"))
        first = plot.view.column(ops.first_engine)
        assert not together(c)[left + 2 : left + first - 1].strip(), "nothing fired before the first engine"
        assert together(c)[left + now + 2 :].strip(" │")
        await c.pilot.press("h", "h", "h", "h")
        await c.until(lambda: plot.view.end_ms < ops.first_engine)
        await c.until(lambda: together(c)[left:].strip(" │") == "")
        await c.pilot.press("a")
        await c.until(lambda: "no job fired in this column" in c.screen())


async def test_who_fired_in_a_column_of_the_past_comes_from_the_record() -> None:
    ops = FakeOps()
    async with console((120, 36), ops) as c:
        await c.pilot.press("2")
        await c.until(lambda: "≤" in together(c))
        await c.pilot.press("left", "left", "left", "a")
        await c.until(lambda: "jobs fired " in c.screen())
        assert "health_ping" in c.screen()
        assert from_ms(T0).year == 2026
