"""The cron lab: what a typed line says at once, what becomes of a mistake, and the parts beneath the screen."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from textual import events

from backends.model import from_ms
from backends.overview import Overview
from backends.schedule import Schedule, parse
from backends.schedule.compare import Comparison, compare
from console.screens import cronlab_elsewhere
from console.screens import cronlab_looks as look
from console.screens.cronlab import CronLabScreen
from console.screens.cronlab_elsewhere import ElsewhereTable
from console.screens.cronlab_layout import SYSTEMS, layout
from console.screens.cronlab_lines import Lines, put
from console.screens.cronlab_state import Lab
from console.screens.dialog import TextDialog
from console.times import ahead
from tests.console.app_helpers import Console, console
from tests.console.fake_ops import HOSTILE, T0, FakeOps
from widgets.calendar import Calendar
from widgets.entry import LONGEST, Entry
from widgets.rowlist import RowList
from widgets.safe import Cell
from widgets.table import Table

BERLIN = "Europe/Berlin"
NOW = from_ms(T0)


def text(content: Cell) -> str:
    return "".join(part for part, _ in content)


class LabConsole(Console):
    """The console with the lab in front."""

    @property
    def lab(self) -> CronLabScreen:
        screen = self.app.get_screen("lab")
        assert isinstance(screen, CronLabScreen)
        return screen

    @property
    def lines(self) -> Lines:
        return self.lab.query_one(Lines)

    def row(self, number: int) -> str:
        """A line of the screen."""
        return self.screen().split("\n")[number].strip("│ ")

    async def enter(self, expression: str, timezone: str = BERLIN) -> None:
        """Put these into the lines at once, and wait for all that they mean."""
        self.lines.fill(expression, timezone)
        await self.pilot.pause()
        found = self.lab.query_one(ElsewhereTable)
        await self.until(lambda: not found.display or (found.comparison and found.comparison.schedule is self.schedule))
        await self.pilot.pause()

    @property
    def schedule(self) -> Schedule:
        """The last one that meant something."""
        assert self.lab.lab.good is not None
        return self.lab.lab.good.schedule


@asynccontextmanager
async def the_lab(
    size: tuple[int, int] = (120, 36), ops: FakeOps | None = None, **choices: Any
) -> AsyncIterator[LabConsole]:
    async with console(size, ops, **choices) as plain:
        c = LabConsole(plain.app, plain.pilot, plain.ops, plain.clock)
        await c.pilot.press("7")
        yield c


# --------------------------------------------------------------------------- on the screen


async def test_everything_about_an_expression() -> None:
    async with the_lab() as c:
        await c.enter("30 2 * * *")
        shown = c.screen()
        for words in (
            "backup_history · changed here only, r takes its own",
            "next in 2 h 46 min · Tue 24 Nov 2026 02:30 CET · 1 in the next 24 h",
            "At 02:30, every day",
            "minute  30        minute 30",
            "Warnings · 2",
            "! dst_gap: on Sunday 28 March 2027 02:30 does not exist",
            "Wed 25 Nov  02:30 +01:00 25 Nov 01:30 in 1 d 2 h",
            "November 2026 · 30 fires",
            "[23]1   24 1",
            "on the night of Sun 28 Mar 2027, 02:00 → 03:00",
            "cronsole        03:00                                              02:30 CEST",
            "systemd timer   ! differs: skipped: 02:30 does not exist           = same",
        ):  # fmt: skip
            assert words in shown, words
        c.lab.query_one(Calendar).choose(date(2027, 3, 28))
        await c.pilot.pause()
        shown = c.screen()
        for words in (
            "Fires from Sun 28 Mar 2027",
            "March 2027 · 31 fires · Sun 28: 1",
            "▌28!1",
            "▌! Sun 28 Mar  03:00 +02:00 28 Mar 01:00 in 124 d      after a gap",
            "! 28 Mar 03:00: 02:30 does not exist that night",
            "next in 2 h 46 min",
        ):  # fmt: skip
            assert words in shown, words
        await c.pilot.press("j")
        assert "does not exist that night" not in c.screen()
        c.clock.ms += 3 * 3_600_000
        c.lab.show_time()
        c.lab.query_one(Calendar).action_today()
        await c.until(lambda: "▌  Wed 25 Nov  02:30" in c.screen())
        await c.pilot.press("o")
        c.lab.query_one(ElsewhereTable).choose(3)
        await c.pilot.press("enter")
        await c.until(lambda: isinstance(c.app.screen, TextDialog))
        assert "fires twice: 02:30 comes twice" in c.screen()
        assert 'timeZone: "Europe/Berlin"' in c.screen()


async def test_the_answer_to_each_key_is_there_when_the_key_is_handled() -> None:
    async with the_lab() as c:
        await c.pilot.press("n")
        assert "the schedule is empty" in c.row(4)
        said = []
        for key in "0 6 * * *":
            await c.pilot.press("space" if key == " " else key)
            said.append(c.row(4))
        assert [line[:8] for line in said] == ["✗ column"] * 8 + ["✓ next i"]
        assert "has 4 fields" in said[-2]
        assert c.row(3) == "─ weekday 0–7 · every day of the week"
        await c.pilot.press("home", "right", "right")
        assert c.row(3).startswith("─ hour 0–23 · hour 6")


async def test_a_mistake_is_marked_and_the_last_good_result_stays_faint() -> None:
    async with the_lab() as c:
        await c.enter("0 6 * * *")
        fields, fires = (c.lab.query_one(f"#{name}", Table) for name in ("fields", "fires"))
        before = [text(cell) for row in (*fields.rows, *fires.rows) for cell in row.cells]
        c.lines.fill("0 61 * * *", BERLIN)
        await c.pilot.pause()
        assert c.row(3) == "^^"
        assert c.screen().split("\n")[3].index("^") == c.screen().split("\n")[2].index("61")
        assert c.row(4) == "✗ column 3: hour '61' is out of range; it goes from 0 to 23"
        assert c.row(5) == "before: At 06:00, every day"
        rows = [*fields.rows, *fires.rows, *c.lab.query_one(ElsewhereTable).rows]
        assert {tone for row in rows for cell in row.cells for _, tone in cell} == {"faint"}
        assert [text(cell) for row in (*fields.rows, *fires.rows) for cell in row.cells] == before
        c.lines.fill("0 61 * * " + " " * 100 + "*", BERLIN)
        await c.pilot.pause()
        assert c.row(3) == "‹", "it stands further left, out of sight"
        c.lines.expression.scroll_to(x=0, animate=False, force=True, immediate=True)
        assert c.row(3) == "^^", "the wheel has scrolled it"
        await c.pilot.press("e", "end", "home")
        assert c.row(3) == "^^"
        await c.enter("0 6 * * *")
        assert c.row(5) == "At 06:00, every day"
        assert any(tone != "faint" for row in fires.rows for cell in row.cells for _, tone in cell)


async def test_a_zone_is_proposed_and_enter_takes_it() -> None:
    async with the_lab() as c:
        await c.enter("0 6 * * *")
        await c.pilot.press("z")
        c.lines.zone.value = "Europe/Berlni"
        await c.pilot.pause()
        assert c.row(4) == "✗ no time zone 'Europe/Berlni'; did you mean 'Europe/Berlin'? (Enter takes it)"
        line, marks = c.screen().split("\n")[2:4]
        assert (marks.index("^"), marks.count("^")) == (line.index("Europe/Berlni"), len("Europe/Berlni"))
        await c.pilot.press("enter")
        assert c.lines.zone.value == BERLIN
        assert c.row(4).startswith("✓ next")
        put(c.lines.zone, "Asia/Kathmandu")
        await c.pilot.press("enter")
        await c.until(lambda: isinstance(c.app.focused, RowList))
        assert "+05:45" in c.screen()
        await c.until(lambda: "Asia/Kathmandu has no clock changes ahead" in c.screen())
        await c.until(lambda: c.lines.zone.suggester)
        await c.pilot.press("z", "ctrl+u", *"europe/berl")
        await c.until(lambda: c.lines.zone._suggestion)
        await c.pilot.press("right")
        assert c.lines.zone.value.lower() == "europe/berlin"


async def test_esc_leaves_the_line_then_the_screen_and_the_job_in_hand_is_taken_over() -> None:
    async with the_lab() as c:
        assert (c.lines.expression.value, c.lines.zone.value) == ("*/15 * * * *", BERLIN)
        await c.pilot.press("e", "q", "escape")
        assert c.lines.expression.value == "*/15 * * * *q", "typed, not obeyed"
        assert isinstance(c.app.focused, RowList)
        await c.pilot.press("r")
        assert c.lines.expression.value == "*/15 * * * *"
        await c.pilot.press("e", "space", "escape", "escape")
        assert c.app.screen is c.app.overview
        await c.pilot.press("7")
        assert c.lines.expression.value == "*/15 * * * * ", "the same job: what was typed stays"
        await c.pilot.press("1")
        c.timeline.choose(5)
        await c.pilot.press("7")
        assert "Cron lab · nightly_invoices" in c.row(1)
        assert c.lines.expression.value == "30 2 * * *"


class Changed(FakeOps):
    """A deploy gives the first job another schedule."""

    schedule = "*/15 * * * *"

    async def overview(self) -> Overview:
        found = await super().overview()
        return replace(found, jobs=(replace(found.jobs[0], schedule=self.schedule), *found.jobs[1:]))


async def test_a_schedule_that_a_deploy_changed_is_taken_over_unless_something_was_typed() -> None:
    ops = Changed()
    async with the_lab(ops=ops) as c:
        for schedule, typed, expected in (("0 1 * * *", "", "0 1 * * *"), ("0 2 * * *", "9", "0 1 * * *9")):
            c.lines.expression.value += typed
            await c.pilot.press("1")
            ops.schedule = schedule
            await c.ticked()
            await c.pilot.press("7")
            assert c.lines.expression.value == expected
        await c.pilot.press("r")
        assert c.lines.expression.value == "0 2 * * *"


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (200, 60)])
async def test_whatever_is_pasted_each_line_is_as_wide_as_the_screen(size: tuple[int, int]) -> None:
    async with the_lab(size, ascii=size[0] == 80) as c:
        for hostile in (HOSTILE, "0 日本 " + "語" * 200, "x" * 10_000, "\x1b[2J\x00\x9b31m", "*/5 " * 100):
            await c.pilot.press("n")
            for entry in (c.lines.expression, c.lines.zone):
                entry.post_message(events.Paste(hostile))
                await c.pilot.pause()
                assert entry.value.isprintable()
                assert len(entry.value) <= LONGEST
                assert entry.value
            shown = c.screen().split("\n")
            assert [line for line in shown if cell_len(line) != size[0]] == []
            assert all(line.isprintable() for line in shown)
            assert c.lab.lab.wrong, "it enters, cut, and is told to be none"
            await c.pilot.press("escape", "o")


async def test_schedules_without_times() -> None:
    async with the_lab() as c:
        for expression, words in (
            ("@reboot", ("once an engine start", "When an engine starts", "none", "· 0 fires", "reboot:")),
            ("@daily", ("Fields · the same as 0 0 * * *", "At 00:00, every day", "in 16 min")),
            ("0 0 30 2 *", ("! no fire is ahead", "never:", "Never: no month of it", "none")),
            ("0 0 29 2 1", ("day_or:", "on day 29 of the month or on Monday, in February", "Mon 01 Feb  00:00")),
        ):  # fmt: skip
            await c.enter(expression)
            for part in words:
                assert part in c.screen(), (expression, part)


async def test_views_take_turns_where_not_all_have_room() -> None:
    async with the_lab((70, 20)) as c:
        await c.pilot.press("e")
        titles = ("─Next fires─", "─November 2026 · ", "─Elsewhere · ")
        for title in (*titles, titles[0]):
            await c.until(lambda title=title: [t for t in titles if t in c.screen()] == [title])
            await c.pilot.press("ctrl+o")
            assert isinstance(c.app.focused, Entry)
        await c.pilot.resize_terminal(200, 60)
        await c.until(lambda: all(title[1:-1] in c.screen() for title in (*titles, "─ Warnings ─")))
        c.lab.query_one(Calendar).choose(date(2027, 3, 28))
        await c.enter("30 2 * * *")
        assert "in 124 d      02:30 does not exist that night" in c.screen()


async def test_a_slow_comparison_never_stays_for_another_expression(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def slow(schedule: Schedule, now: datetime) -> Comparison:
        if schedule.expression.startswith("7"):
            gate.wait(20)
        return compare(schedule, now)

    monkeypatch.setattr(cronlab_elsewhere, "compare", slow)
    async with the_lab() as c:
        await c.enter("30 2 * * *")
        table = c.lab.query_one(ElsewhereTable)
        c.lines.fill("7 7 * * *", BERLIN)
        await c.until(lambda: {tone for row in table.rows for cell in row.cells for _, tone in cell} == {"faint"})
        assert "02:30 does not exist" in c.screen(), "the older one stays until the new one is there"
        await c.enter("30 2 * * *")
        gate.set()
        await c.until(lambda: not table._comparing)
        assert table.comparison is not None
        assert table.comparison.schedule is c.schedule
        assert "02:30 does not exist" in c.screen()


# --------------------------------------------------------------------------- the parts


@pytest.mark.parametrize(
    ("typed", "view", "span", "under"),
    [
        ("61 * * * *", (0, 30), (0, 2), "  ^^"),
        ("0 日本 * *", (0, 30), (2, 4), "    ^^^^"),
        ("日日 61", (0, 30), (3, 5), "       ^^"),
        ("日日 61", (3, 30), (3, 5), "    ^^"),
        ("日日 61", (6, 30), (3, 5), "  ^"),
        ("61 日日 61", (4, 30), (0, 2), "  ‹"),
        ("0123456789 61", (0, 10), (11, 13), "           ›"),
        ("0123456789", (0, 5), (3, 9), "     ^^"),
        ("", (0, 30), (0, 1), "  ^"),
    ],
)  # fmt: skip
def test_marks_stand_under_what_they_mark(typed: str, view: tuple[int, int], span: tuple[int, int], under: str) -> None:
    assert text(look.marks("zz", typed, view, span, "bad")) == under


def test_panels_fit_and_do_not_depend_on_what_they_show() -> None:
    for width in range(20, 260, 3):
        for height in range(8, 80):
            frame = 1 if height < 34 or width < 90 else 2
            shape = layout(width, height, frame)
            rest = height - 2 - 4 - frame - shape.meaning - (shape.elsewhere_height if shape.elsewhere else 0)
            assert rest >= 4 or not shape.meaning, (width, height)
            assert rest >= 7 or not shape.elsewhere, (width, height)
            assert shape.elsewhere_height == SYSTEMS + 1 + frame
            assert shape.calendar_width + 28 < width or not shape.calendar, (width, height)
            assert shape.zone_width == 26 or width < 67, (width, height)


def test_what_was_good_stays_known() -> None:
    lab = Lab()
    assert not lab.read("nonsense", "Europe/Berlni", NOW)
    assert (lab.good, lab.meant, lab.counter(2026, 2).counts) == (None, BERLIN, ())
    assert lab.read("0 6 * * *", BERLIN, NOW)
    good, counter = lab.good, lab.counter
    assert lab.read(" 0 6  * * * ", BERLIN, NOW + timedelta(minutes=1))
    assert lab.counter is counter, "the same schedule: the months that are known stay known"
    assert not lab.read("0 6 * *", BERLIN, NOW)
    assert not lab.read("0 7 * * *", "Nowhere", NOW)
    assert lab.good is not None
    assert good is not None
    assert (lab.good.description, lab.stale, lab.wrong) == (good.description, True, None)
    assert lab.read("0 7 * * *", BERLIN, NOW)
    assert lab.counter is not counter
    assert counter(2026, 11).counts == (1,) * 30
    lab.find_fires(NOW, date(2027, 3, 28))
    assert lab.fires[0].at == datetime(2027, 3, 28, 5, tzinfo=UTC)
    fire, count = lab.ahead(NOW)
    assert fire is not None
    assert (fire.at, count) == (datetime(2026, 11, 24, 6, tzinfo=UTC), 1)


def test_what_a_clock_change_did_is_a_sentence_or_two_words() -> None:
    lab = Lab()
    lab.read("30 2 * * *", BERLIN, NOW)
    lab.find_fires(NOW, date(2027, 10, 31))
    for room, words in ((12, "first time"), (70, "02:30 comes twice that night, it fires the first time only")):
        row = look.fire_rows(lab.fires, NOW, brief=False, room=room)[0]
        assert [text(part) for part in row.cells][-2:] == ["in 341 d", words]
        assert text(row.cells[1]) == "31 Oct 2027 02:30", "a year where the day alone could be of another one"
    assert [text(part) for part in look.fire_rows(lab.fires, NOW, brief=True, room=0)[0].cells][-1] == "in 341 d"
    assert look.mark_line(lab.fires[1]) == ()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "in 0 s"), (59.6, "in 1 min"), (110, "in 1 min 50 s"), (180, "in 3 min"), (3700, "in 1 h 1 min"),
        (-7200, "2 h ago"), (86_400 * 2.5, "in 2 d 12 h"), (86_400 * 400, "in 1 y 35 d"), (86_400 * 1200, "in 3 y"),
    ],
)  # fmt: skip
def test_how_far_away(seconds: float, words: str) -> None:
    assert ahead(timedelta(seconds=seconds)) == words


def test_elsewhere_where_it_can_not_be_said() -> None:
    comparison = compare(parse("30 1 */2 * 1", BERLIN), NOW)
    rows = {row.key: [text(part) for part in row.cells] for row in cronlab_elsewhere.elsewhere_rows(comparison)}
    assert rows["eventbridge"][1] == "x no: can't express this schedule"
    told = "\n".join(map(text, cronlab_elsewhere.elsewhere_lines(comparison, "eventbridge")))
    assert "not at all" in told
    assert "By its documents" in told
    alone = compare(parse("@reboot", BERLIN), NOW)
    assert cronlab_elsewhere.change_titles(alone) == ("at any time", "", "")
    assert len(cronlab_elsewhere.elsewhere_rows(alone)) == SYSTEMS


@pytest.mark.parametrize(("key", "steps"), [("6", "jjj"), ("2", "jjj"), ("5", ""), ("4", "j"), ("8", "")])
async def test_the_lab_takes_the_job_that_was_looked_at_on_whichever_screen(key: str, steps: str) -> None:
    async with console() as c:
        await c.pilot.press(key)
        await c.until(lambda: c.app.front().begun and c.app.front() is not c.app.overview)
        front = c.app.front()
        await c.until(front.job_in_hand)
        await c.pilot.press(*steps)
        job = front.job_in_hand()
        assert job != c.app.overview.job_in_hand(), "else nothing is shown by this"
        if job in c.ops.schedules:
            await c.pilot.press("7")
            await c.until(lambda: f"Cron lab · {job}" in c.screen())


async def test_pages_of_one_thing_tell_their_job() -> None:
    async with console() as c:
        letter, run = c.ops.dead[0], c.ops.ended[5]
        for page, subject, job in (("job", "disk_report", "disk_report"), ("letter", letter.id, letter.job),
                                   ("run", run.run_id, run.job)):  # fmt: skip
            c.app.open(page, subject)
            await c.until(lambda: c.app.front().begun and c.app.front().job_in_hand() == job)  # noqa: B023
