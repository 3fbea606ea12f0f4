"""The runs screen: pages, the filter line, what is new on top; and the parts beneath it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from backends.errors import BadInputError
from backends.model import from_ms, new_run_id
from console.screens.filters import parse_filter
from console.screens.pager import PAGES_HELD
from console.screens.runs import PAGE, RunsScreen, whole
from tests.console.app_helpers import Console, console
from tests.console.fake_ops import HOSTILE, T0, FakeOps
from widgets.entry import Entry, printable
from widgets.table import Table

FIELDS = ("job", "outcome", "since")


def test_a_filter_is_words_and_fields() -> None:
    found = parse_filter("Smtp !timeout job:send_email since:2h", FIELDS)
    assert found.fields == {"job": "send_email", "since": "2h"}
    assert found.matches("SMTPRefused") and not found.matches("smtp Timeout") and not found.matches("other")  # noqa: PT018
    assert found.since(datetime(2026, 1, 1, 12, tzinfo=UTC)) == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert not parse_filter("  ", FIELDS)
    assert parse_filter("a:b", ()).words == ("a:b",), "where there are no fields a colon is a colon"


@pytest.mark.parametrize(("text", "hint"), [("jb:x", "did you mean job:?"), ("since:soon", "since:30m")])
def test_a_filter_that_means_nothing_says_so(text: str, hint: str) -> None:
    with pytest.raises(BadInputError, match=hint.replace("?", r"\?")):
        parse_filter(text, FIELDS)


def test_nothing_that_a_terminal_obeys_can_be_typed() -> None:
    assert all(c.isprintable() for c in printable(HOSTILE))


def many(count: int) -> FakeOps:
    ops = FakeOps()
    model = ops.ended[0]
    ops.ended = [
        replace(
            model, run_id=new_run_id(T0 - n * 60_000), attempt=1, job=f"job{n % 7}", error=f"row-{n}-",
            outcome="failed" if n % 50 == 0 else "succeeded", finished_at=from_ms(T0 - n * 60_000),
        )
        for n in range(count)
    ]  # fmt: skip
    return ops


def rows(c: Console) -> Table:
    return c.app.screen.query_one("#runs", Table)


async def test_a_long_history_is_read_a_page_at_a_time() -> None:
    ops = many(5_000)
    async with console(ops=ops) as c:
        await c.pilot.press("5")
        await c.until(lambda: len(rows(c).rows) == PAGE)
        seen = {row.key for row in rows(c).rows}
        last = f"{ops.ended[-1].run_id}/1"
        deadline = asyncio.get_running_loop().time() + 20
        while rows(c).rows[-1].key != last:
            await c.pilot.press("G")
            await c.pilot.pause(0.01)
            seen |= {row.key for row in rows(c).rows}
            assert len(rows(c).rows) <= PAGE * PAGES_HELD
            assert asyncio.get_running_loop().time() < deadline
        assert seen == {f"{r.run_id}/1" for r in ops.ended}, "no row is left out between two pages"
        await c.pilot.press("G")
        assert rows(c).cursor_key == f"{ops.ended[-1].run_id}/1"
        while rows(c).cursor_key != f"{ops.ended[0].run_id}/1":
            await c.pilot.press("g")
            await c.pilot.pause(0.01)
            assert asyncio.get_running_loop().time() < deadline, "the way back to the newest"


async def test_new_runs_come_on_top_and_the_cursor_stays() -> None:
    ops = many(350)
    async with console(ops=ops) as c:
        await c.pilot.press("5")
        await c.until(lambda: len(rows(c).rows) == PAGE)
        await c.pilot.press("j", "j", "j")
        chosen = rows(c).cursor_key
        fresh = replace(ops.ended[0], run_id=new_run_id(T0 + 5000), error="brand new")
        ops.ended.insert(0, fresh)
        await c.until(lambda: rows(c).rows[0].key == f"{fresh.run_id}/1")
        assert rows(c).cursor_key == chosen
        assert len({row.key for row in rows(c).rows}) == len(rows(c).rows) == PAGE + 1


async def test_the_filter_counts_at_every_key_and_esc_drops_it() -> None:
    ops = many(400)
    async with console(ops=ops) as c:
        await c.pilot.press("5")
        await c.until(lambda: len(rows(c).rows) == PAGE)
        await c.pilot.press("slash", *"outcome:failed")
        await c.until(lambda: len(rows(c).rows) == 8)
        assert "/outcome:failed" in c.screen()
        await c.pilot.press("enter", "j")
        assert rows(c).cursor_index == 1
        await c.pilot.press("escape")
        await c.until(lambda: len(rows(c).rows) == PAGE)
        assert isinstance(c.app.screen, RunsScreen)
        await c.pilot.press("slash", *"jbo:x")
        await c.until(lambda: "did you mean job:?" in c.screen())
        await c.pilot.press("escape")
        await c.pilot.press("f")
        await c.until(lambda: len(rows(c).rows) == 8)
        await c.pilot.press("f", "slash", *"row-333-")
        await c.until(lambda: [row.key for row in rows(c).rows] == [f"{ops.ended[333].run_id}/1"])
        await c.pilot.press("escape", "escape", "escape")
        assert c.app.screen is c.app.overview


async def test_a_part_of_a_name_is_enough() -> None:
    assert whole("bac", ["backup", "tick"]) == "backup"
    assert whole("b", ["backup", "b", "b2"]) == "b"
    assert whole("b", ["backup", "b2"]) is None
    async with console() as c:
        await c.pilot.press("5", "slash", *"job:FLAKY")
        await c.until(lambda: rows(c).rows and all("flaky_import" in str(row.cells[2]) for row in rows(c).rows))
        await c.pilot.press("escape", "slash", *"job:e queue:def")
        await c.until(lambda: "/job:e queue:def" in c.screen() and len({str(r.cells[2]) for r in rows(c).rows}) > 2)


async def test_a_paste_into_the_filter_is_harmless() -> None:
    async with console() as c:
        await c.pilot.press("5", "slash")
        entry = c.app.screen.query_one(Entry)
        entry.insert_text_at_cursor(HOSTILE)
        await c.pilot.pause()
        assert all(ch.isprintable() for ch in entry.value)
        assert all(ch.isprintable() for ch in c.screen().replace("\n", ""))


async def test_history_that_is_away_is_told_and_comes_back() -> None:
    ops = many(20)
    ops.postgres_error = "postgres is away"
    async with console(ops=FakeOps()) as c:
        c.app.feed.ops = ops
        await c.pilot.press("5")
        await c.until(lambda: "postgres is away" in c.screen())
        ops.postgres_error = ""
        await c.until(lambda: len(rows(c).rows) == 20, 8)
