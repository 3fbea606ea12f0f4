"""The audit screen: pages, the filter, one action; what an action was about in a line."""

from __future__ import annotations

from msgspec.structs import replace

from backends.model import Page, from_ms
from backends.ops.audit import Action
from console.audited import target_words
from console.screens.audit import PAGE
from console.screens.dialog import TextDialog
from console.screens.pager import ROWS_HELD
from tests.console.app_helpers import Console, console
from tests.console.cli_helpers import HOSTILE, Cli
from tests.console.fake_ops import T0, FakeOps
from widgets.entry import Entry
from widgets.table import Table


def rows(c: Console) -> Table:
    return c.app.screen.query_one("#actions", Table)


def test_what_an_action_was_about() -> None:
    assert target_words({"target": "queue:mail", "note": "busy", "for_s": None}) == "queue:mail · note: busy"
    assert target_words({"ids": ["a"], "count": 1}) == "a"
    assert target_words({"ids": ["a", "b"], "count": 950}) == "950 letters"
    assert target_words({"queue": "mail", "everything": True, "upto": {"mail": 7}}) == "mail · all"
    assert target_words({"queue": "slow", "run_ids": ["a", "b"], "count": 30}) == "slow · 30 runs"
    assert target_words({"error": "boom", "counted": 7, "ids": []}) == "error: boom"
    assert target_words({}) == ""


async def test_who_did_what_newest_first_in_pages_and_by_filter() -> None:
    ops = FakeOps()
    model = ops.acts[0]
    ops.acts = [
        replace(model, id=1_000 - n, who=f"u{n % 10}@host", verb=("pause", "cancel")[n % 2]) for n in range(250)
    ]
    async with console(ops=ops) as c:
        await c.pilot.press("9")
        await c.until(lambda: len(rows(c).rows) == PAGE)
        rows(c).choose(80)
        await c.until(lambda: len(rows(c).rows) == 2 * PAGE)
        rows(c).choose(180)
        await c.until(lambda: len(rows(c).rows) == 250)
        assert [row.key for row in rows(c).rows] == [str(1_000 - n) for n in range(250)]
        await c.pilot.press("g")
        ops.acts.insert(0, replace(model, id=2_000, who="ana@web-1", target={"job": "backup"}))
        await c.until(lambda: rows(c).rows[0].key == "2000", 8)
        await c.pilot.press("slash")
        entry = c.app.screen.query_one(Entry)
        for text, found in (("who:U3 what:cancel", 25), ("who:U3 what:pause", 0), ("backup", 1), ("what:dead", 1)):
            entry.value = text
            await c.until(lambda text=text, found=found: len(rows(c).rows) == found and f"/{text}" in c.screen())
        await c.pilot.press("enter", "enter")
        await c.until(lambda: isinstance(c.app.screen, TextDialog) and "Action 2000" in c.screen())
        assert '"job": "backup"' in c.screen()


async def test_g_jumps_to_the_oldest_action_at_once_and_the_way_up_has_no_gap() -> None:
    ops = FakeOps()
    ops.acts = [replace(ops.acts[0], id=5_000 - n, who=f"u{n % 10}@host") for n in range(1_350)]
    keys = [str(action.id) for action in ops.acts]

    def place(c: Console) -> int:
        """Of the first row that is held; all that follow are there."""
        held = [row.key for row in rows(c).rows]
        first = keys.index(held[0])
        assert held == keys[first : first + len(held)]
        return first

    async with console(ops=ops) as c:
        await c.pilot.press("9")
        await c.until(lambda: len(rows(c).rows) == PAGE)
        await c.pilot.press("G")
        await c.until(lambda: rows(c).cursor_key == keys[-1])
        assert (place(c), len(rows(c).rows)) == (1_250, PAGE)
        assert "Audit · the oldest 100, newer above" in c.screen()
        while first := place(c):
            rows(c).choose(0)
            await c.until(lambda first=first: place(c) < first)  # type: ignore[misc]
            assert rows(c).cursor_key == keys[first], "it is no first row that goes on to what is newer"
            assert len(rows(c).rows) <= ROWS_HELD
        ops.acts.insert(0, replace(ops.acts[0], id=6_000))
        keys.insert(0, "6000")
        await c.pilot.press("G")
        await c.until(lambda: rows(c).cursor_key == keys[-1])
        await c.pilot.press("g")
        await c.until(lambda: rows(c).cursor_key == "6000" and "the oldest" not in c.screen())
        await c.pilot.press("slash", *"who:u3", "enter")
        await c.until(lambda: "G looks further" in c.screen())
        await c.pilot.press("G")
        await c.pilot.pause()
        assert "the oldest" not in c.screen(), "what is searched for may be anywhere"


async def test_a_filter_by_time_reads_no_further_than_that() -> None:
    ops = FakeOps()
    ops.acts = [replace(ops.acts[0], id=1_000 - n, at=from_ms(T0 - n * 1_700_000)) for n in range(450)]
    asked: list[str | None] = []
    read = ops.actions

    async def noted(limit: int = 100, cursor: str | None = None, *, oldest: bool = False) -> Page[Action]:
        asked.append(cursor)
        return await read(limit, cursor, oldest=oldest)

    ops.actions = noted  # type: ignore[method-assign]
    async with console(ops=ops) as c:
        await c.pilot.press("9")
        await c.until(lambda: len(rows(c).rows) == PAGE)
        await c.pilot.press("slash")
        c.app.screen.query_one(Entry).value = "since:2h"
        await c.until(lambda: "Audit · 5 · /since:2h" in c.screen())
        for _ in range(3):
            await c.ticked()
        assert set(asked) == {None}


async def test_history_away_is_told_and_comes_back() -> None:
    ops = FakeOps()
    ops.acts = []
    async with console(ops=ops) as c:
        ops.postgres_error = "postgres is away"
        await c.pilot.press("9")
        await c.until(lambda: "✗ postgres is away" in c.screen())
        ops.postgres_error = ""
        await c.until(lambda: "nobody has done anything yet" in c.screen(), 8)


def test_the_command_line_lists_it_too(cli: Cli, world: list[str]) -> None:
    """The contract of `audit --json`, paging, and hostile notes made visible."""
    assert cli("audit").err.startswith("nobody has done anything")
    cli("pause", "queue:mail", "--note", HOSTILE)
    cli("resume", "queue:mail")
    page = cli("audit", "--json").json
    assert list(page) == ["items", "next_cursor"]
    names = ["id", "at", "who", "verb", "target", "matched", "changed", "receipt", "note"]
    assert list(page["items"][0]) == names
    assert [item["verb"] for item in page["items"]] == ["resume", "pause"]
    assert page["items"][0]["at"].endswith("Z")
    cursor = cli("audit", "--json", "--limit", "1").json["next_cursor"]
    assert [item["verb"] for item in cli("audit", "--json", "--cursor", cursor).json["items"]] == ["pause"]
    shown = cli("audit")
    assert "queue:mail" in shown.out
    assert all(c.isprintable() for c in shown.out.replace("\n", ""))
    assert cli("audit", "--cursor", "x").code == 2
