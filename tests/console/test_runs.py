"""The runs screen: pages, the filter line, what is new on top; and the parts beneath it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from backends.errors import BadInputError
from backends.model import Page, RunRow, from_ms, new_run_id
from console.screens.filters import Filter, parse_filter
from console.screens.pager import ROWS_HELD, SEARCHED_MOST
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


@pytest.mark.parametrize("text", ["job:", "!", "job: !", "since:  outcome:"])
def test_what_is_not_typed_to_its_end_asks_for_nothing_yet(text: str) -> None:
    assert parse_filter(text, FIELDS) == Filter()
    assert parse_filter(f"smtp {text}", FIELDS) == parse_filter("smtp", FIELDS)
    assert parse_filter("Error:", FIELDS).words == ("error:",), "any other word may end with a colon"


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


def key(run: RunRow) -> str:
    return f"{run.run_id}/{run.attempt}"


def place(ops: FakeOps, c: Console) -> int:
    """Where the newest row that is held stands in the history; what is held has no gap and nothing twice."""
    keys = [row.key for row in rows(c).rows]
    first = next(n for n, run in enumerate(ops.ended) if key(run) == keys[0])
    assert next((n for n, k in enumerate(keys) if k != key(ops.ended[first + n])), None) is None
    return first


async def test_a_long_history_is_read_a_page_at_a_time() -> None:
    ops = many(2_050)
    async with console(ops=ops) as c:
        await c.pilot.press("5")
        await c.until(lambda: len(rows(c).rows) == PAGE)
        while rows(c).rows[-1].key != key(ops.ended[-1]):
            held = len(rows(c).rows), rows(c).rows[-1].key
            rows(c).choose(len(rows(c).rows) - 1)
            await c.until(lambda held=held: (len(rows(c).rows), rows(c).rows[-1].key) != held)
            assert len(rows(c).rows) <= ROWS_HELD + PAGE
            place(ops, c)
        await c.pilot.press("G")
        assert rows(c).cursor_key == key(ops.ended[-1])
        assert "Runs · 2050 ─" in c.screen()
        assert place(ops, c) > 900
        while place(ops, c) > 0:  # the way back, row by row
            first = place(ops, c)
            rows(c).choose(10)
            await c.until(lambda first=first: place(ops, c) < first)
            assert rows(c).cursor_key == key(ops.ended[first + 10])


async def test_g_jumps_to_the_oldest_run_at_once_and_the_way_up_has_no_gap() -> None:
    ops = many(2_050)
    asked: list[bool] = []
    read = ops.runs

    async def counted(*args: Any, **more: Any) -> Page[RunRow]:
        asked.append(bool(more.get("oldest")))
        return await read(*args, **more)

    ops.runs = counted  # type: ignore[method-assign]
    async with console(ops=ops) as c:
        await c.pilot.press("5")
        await c.until(lambda: len(rows(c).rows) == PAGE)
        await c.pilot.press("G")
        await c.until(lambda: rows(c).cursor_key == key(ops.ended[-1]))
        assert asked.count(True) == 1, "one page, however long the list is"
        assert "Runs · the oldest 100, newer above" in c.screen()
        ops.ended.insert(0, replace(ops.ended[0], run_id=new_run_id(T0 + 400_000)))
        await c.ticked()
        assert rows(c).cursor_key == key(ops.ended[-1])
        await c.pilot.press("G")
        assert asked.count(True) == 1
        while place(ops, c) > 700:
            first = place(ops, c)
            rows(c).choose(10)
            await c.until(lambda first=first: place(ops, c) < first)  # type: ignore[misc]
            assert rows(c).cursor_key == key(ops.ended[first + 10])
            assert len(rows(c).rows) <= ROWS_HELD + PAGE
        assert "newer above, older below" in c.screen()
        while rows(c).rows[-1].key != key(ops.ended[-1]):  # down again
            held = rows(c).rows[-1].key
            rows(c).choose(len(rows(c).rows) - 1)
            await c.until(lambda held=held: rows(c).rows[-1].key != held)  # type: ignore[misc]
            place(ops, c)
        while place(ops, c) > 0:  # and up to the newest, which is followed then
            first = place(ops, c)
            rows(c).choose(10)
            await c.until(lambda first=first: place(ops, c) < first)  # type: ignore[misc]
        await c.until(lambda: "read, older below" in c.screen())
        ops.ended.insert(0, replace(ops.ended[0], run_id=new_run_id(T0 + 500_000)))
        await c.until(lambda: place(ops, c) == 0 and rows(c).rows[0].key == key(ops.ended[0]))
        await c.pilot.press("G")
        await c.until(lambda: rows(c).cursor_key == key(ops.ended[-1]))
        await c.pilot.press("g")
        await c.until(lambda: rows(c).cursor_key == key(ops.ended[0]) and "the oldest" not in c.screen())


async def test_g_jumps_within_what_is_looked_up_and_searches_on_for_words() -> None:
    ops = many(1_050)
    async with console(ops=ops) as c:
        await c.pilot.press("5", "slash", *"outcome:failed", "enter")
        await c.until(lambda: len(rows(c).rows) == 21)
        await c.pilot.press("escape", "slash", *"outcome:succ", "enter")
        await c.until(lambda: len(rows(c).rows) == PAGE)
        await c.pilot.press("G")
        await c.until(lambda: rows(c).cursor_key == key(ops.ended[-1]))
        await c.pilot.press("escape", "slash", *"row-1", "enter")
        await c.until(lambda: "G looks further" in c.screen() or "row-1" in c.screen())
        await c.pilot.press("G")
        await c.pilot.pause()
        assert "the oldest" not in c.screen()


async def test_a_reader_further_down_keeps_his_place_whatever_arrives() -> None:
    ops = many(1_500)
    async with console(ops=ops) as c:
        await c.pilot.press("5")
        await c.until(lambda: len(rows(c).rows) == PAGE)
        rows(c).choose(90)
        await c.until(lambda: len(rows(c).rows) == 2 * PAGE)
        chosen, seen = rows(c).cursor_key, rows(c).top
        ops.ended[:0] = [
            replace(ops.ended[0], run_id=new_run_id(T0 + n * 1000)) for n in range(3 * PAGE, 0, -1)
        ]  # more than a page
        await c.until(lambda: "300 read, older below" in c.screen())
        assert (rows(c).cursor_key, rows(c).top) == (chosen, seen)
        rows(c).choose(5)
        await c.until(lambda: place(ops, c) == 0)
        assert rows(c).cursor_key == key(ops.ended[305])
        rows(c).choose(150)
        ops.ended.insert(0, replace(ops.ended[0], run_id=new_run_id(T0 + 400_000)))
        await c.until(lambda: place(ops, c) == 0)
        chosen = rows(c).cursor_key
        assert f"↑ {rows(c).top}" in c.screen()
        await c.pilot.press("g")
        await c.until(lambda: rows(c).cursor_key == key(ops.ended[0]) != chosen)


async def test_a_search_goes_on_until_enough_is_found_and_then_waits() -> None:
    ops = many((SEARCHED_MOST + 5) * PAGE)
    for n in (60, 700, 5_400):
        ops.ended[n] = replace(ops.ended[n], error="needle")
    asked: list[str | None] = []
    read = ops.runs

    async def counted(limit: int = 50, cursor: str | None = None, **more: Any) -> Page[RunRow]:
        asked.append(cursor)
        return await read(limit, cursor, **more)

    ops.runs = counted  # type: ignore[method-assign]
    async with console(ops=ops) as c:
        await c.pilot.press("5", "slash")
        c.app.screen.query_one(Entry).value = "needle"
        await c.until(lambda: len([x for x in asked if x is not None]) >= SEARCHED_MOST - 1)
        await c.until(lambda: f"2 of the newest {SEARCHED_MOST * PAGE}, G looks further" in c.screen())
        for _ in range(3):
            await c.ticked()
        older = [x for x in asked if x is not None]
        assert len(older) == len(set(older)), "nothing is read twice because something new ended"
        ops.ended.insert(0, replace(ops.ended[60], run_id=new_run_id(T0 + 5000)))
        await c.until(lambda: len(rows(c).rows) == 3)
        await c.pilot.press("enter", "G")
        await c.until(lambda: [row.key for row in rows(c).rows] == [key(r) for r in ops.ended if r.error == "needle"])
        assert "Runs · 4 ·" in c.screen()


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
        await c.until(lambda: "/outcome:failed" in c.screen())
        await c.pilot.press("enter", "j")
        assert rows(c).cursor_index == 1
        await c.pilot.press("escape")
        await c.until(lambda: len(rows(c).rows) == PAGE)
        assert isinstance(c.app.screen, RunsScreen)
        await c.pilot.press("slash", *"jbo:x")
        await c.until(lambda: "did you mean job:?" in c.screen())
        await c.pilot.press("escape")
        await c.pilot.press("slash")
        c.app.screen.query_one(Entry).value = "outcome:boom"
        await c.until(lambda: "no run ends as boom; use succeeded, failed" in c.screen())
        c.app.screen.query_one(Entry).value = "job:job3 outcome:lost"
        await c.until(lambda: "no run matches" in c.screen())
        c.app.screen.query_one(Entry).value = "job:job3"
        ops.ended[3] = replace(ops.ended[3], outcome="timed_out")
        await c.pilot.press("enter", "f")
        await c.until(lambda: [row.key for row in rows(c).rows] == [key(ops.ended[3]), key(ops.ended[150])])
        assert "job:job3 outcome:failed,timed_out,lost" in c.screen()
        await c.pilot.press("f")
        await c.until(lambda: len(rows(c).rows) > 40)
        await c.pilot.press("escape", "slash", *"row-333-")
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


async def test_another_size_keeps_the_cursor_in_sight_and_leaves_no_line_blank() -> None:
    ops = many(60)
    async with console(size=(80, 24), ops=ops) as c:
        await c.pilot.press("5")
        await c.until(lambda: len(rows(c).rows) == 60)
        await c.pilot.press("G")
        for size in ((120, 50), (80, 24), (200, 70)):
            await c.pilot.resize_terminal(*size)
            await c.until(lambda: c.app.screen.size == c.app.size)
            await c.pilot.pause()
            shown = [line for line in c.screen().splitlines() if "mail" in line]
            assert len(shown) == min(60, rows(c).page_rows)
            assert any("▌" in line for line in shown)
            assert ("↑" in c.screen()) == (len(shown) < 60)
