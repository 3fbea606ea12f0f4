"""The calendar of numbers: how many months fit, which day is chosen, what a day looks like."""

from __future__ import annotations

from datetime import date

import pytest
from textual.app import App, ComposeResult

from console.theme import VARIABLES
from widgets.calendar import Calendar, Month, Plan, later, plan, short

TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("size", "found"),
    [
        ((49, 9), Plan(1, 1, 1, False)),
        ((49, 13), Plan(1, 1, 2, False)),
        ((49, 31), Plan(1, 2, 2, True)),
        ((101, 14), Plan(2, 1, 2, True)),
        ((101, 8), Plan(2, 1, 1, True)),
        ((500, 200), Plan(3, 4, 2, True)),
        ((5, 1), Plan(1, 1, 1, False)),
    ],
)
def test_as_many_months_as_fit(size: tuple[int, int], found: Plan) -> None:
    assert plan(*size) == found


def test_months_and_short_counts() -> None:
    assert later(TODAY, 2) == date(2027, 1, 1)
    assert later(TODAY, -11) == date(2025, 12, 1)
    assert (later(TODAY, 10**6), later(TODAY, -(10**6))) == (date(2198, 12, 1), date(1901, 1, 1))
    assert [short(n) for n in (0, 7, 999, 1440)] == ["·", "7", "999", "1k+"]


class Alone(App[None]):
    """Nothing but a calendar of odd days."""

    AUTO_FOCUS = ""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int]] = []
        self.moved: list[date | None] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return VARIABLES

    def compose(self) -> ComposeResult:
        yield Calendar()

    def on_mount(self) -> None:
        self.query_one(Calendar).show(self.count, TODAY)

    def count(self, year: int, month: int) -> Month:
        self.asked.append((year, month))
        return Month(tuple(day % 2 * day for day in range(1, 32)), frozenset({24}))

    def on_calendar_moved(self, event: Calendar.Moved) -> None:
        self.moved.append(event.day)


def lines(app: Alone) -> list[str]:
    calendar = app.query_one(Calendar)
    return [calendar.render_line(y).text.rstrip() for y in range(calendar.size.height)]


async def test_days_are_chosen_by_keys_and_by_mouse_and_stay_in_sight() -> None:
    app = Alone()
    async with app.run_test(size=(49, 7)) as pilot:
        calendar = app.query_one(Calendar)
        assert lines(app)[5] == "[23]23  24!·   25 25  26 ·   27 27  28 ·   29 29"
        assert not calendar.chosen
        calendar.focus()
        await pilot.press("l", "l", "j")
        assert calendar.day == date(2026, 12, 2)
        assert lines(app)[1].split()[:2] == ["1", "1"]
        assert "▌ 2 ·" in lines(app)[1]
        await pilot.press("k", "pageup")
        assert (calendar.day, calendar.chosen) == (date(2026, 10, 1), True)
        await pilot.press("pagedown")
        assert (calendar.day, calendar.chosen) == (TODAY, False), "in the present month: today"
        await pilot.click(Calendar, offset=(8, 5))
        assert calendar.day == date(2026, 11, 24)
        await pilot.click(Calendar, offset=(0, 1))
        assert calendar.day == date(2026, 11, 24), "no day is there"
        await pilot.press("g")
        assert not calendar.chosen
        assert app.moved[-2:] == [date(2026, 11, 24), None]
        assert len(app.asked) == len(set(app.asked)), "a month is counted once"
        calendar.show(app.count, date(2026, 12, 1))
        assert lines(app)[1].lstrip().startswith("▌ 1]1"), "the month of a new day comes into sight"
