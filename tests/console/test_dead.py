"""Dead letters: groups, pages, the filter, retry; a letter's page; the payload as a tree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model import DeadLetter, Page, from_ms
from console.screens.dead import PAGE, DeadScreen
from console.screens.letter import LetterScreen
from console.screens.pager import ROWS_HELD
from console.screens.run import RunScreen
from tests.console.app_helpers import SIZES, Console, console
from tests.console.fake_ops import HOSTILE, T0, FakeOps
from widgets.entry import Entry
from widgets.table import Table
from widgets.tree import Tree
from widgets.tree_data import BRANCH, Node, children, parse


def many(count: int) -> FakeOps:
    """Letters of two errors in one queue; every 50th is of the second."""
    ops = FakeOps()
    model = ops.dead[0]
    kinds = (
        {"job": "sync", "queue": "default", "group": "a" * 16, "error": "ValueError: a"},
        {"job": "mail", "queue": "default", "group": "b" * 16, "error": "OSError: b"},
    )
    ops.dead = [
        replace(model, id=f"id-{n}", sequence=10_000_000 - n, failed_at=from_ms(T0 - n * 60_000), **kinds[n % 50 == 0])
        for n in range(count)
    ]
    return ops


def letters(c: Console) -> Table:
    return c.app.screen.query_one("#letters", Table)


def groups(c: Console) -> Table:
    return c.app.screen.query_one("#groups", Table)


async def test_a_long_list_is_read_a_page_at_a_time_and_says_how_long_it_is() -> None:
    ops = many(3_000)
    asked: list[tuple[int, str | None]] = []
    read = ops.dead_heads

    async def noted(limit: int = 100, cursor: str | None = None, **more: Any) -> Page[DeadLetter]:
        asked.append((limit, cursor))
        return await read(limit, cursor, **more)

    ops.dead_heads = noted  # type: ignore[method-assign]
    async with console(ops=ops) as c:
        await c.pilot.press("4")
        await c.until(lambda: len(letters(c).rows) == PAGE)
        assert "Dead letters · 3,000" in c.screen()
        assert {limit for limit, _ in asked} == {PAGE}
        for _ in range(15):
            held = letters(c).rows[-1].key
            letters(c).choose(len(letters(c).rows) - 1)
            await c.until(lambda held=held: letters(c).rows[-1].key != held)
            assert len(letters(c).rows) <= ROWS_HELD + PAGE
        assert letters(c).rows[-1].key == "id-1599"


async def test_a_group_narrows_the_letters_and_the_filter_both() -> None:
    async with console(ops=many(500)) as c:
        await c.pilot.press("4")
        await c.until(lambda: len(groups(c).rows) == 3 and letters(c).rows)
        assert [row.key for row in groups(c).rows] == ["", "a" * 16 + "/default", "b" * 16 + "/default"]
        groups(c).choose(2)
        await c.until(lambda: len(letters(c).rows) == 10)
        assert "mail: SMTP" not in c.screen()
        assert {row.key for row in letters(c).rows} == {f"id-{n}" for n in range(0, 500, 50)}
        groups(c).choose(0)
        await c.until(lambda: len(letters(c).rows) == PAGE)
        await c.pilot.press("slash")
        entry = c.app.screen.query_one(Entry)
        entry.value = "job:mai"
        await c.until(lambda: len(letters(c).rows) == 10)
        assert [row.key for row in groups(c).rows] == ["", "b" * 16 + "/default"]
        entry.value = "!oserror job:mail"
        await c.until(lambda: "no letter matches" in c.screen())
        assert not groups(c).rows
        entry.value = "jbo:x"
        await c.until(lambda: "did you mean job:?" in c.screen())


async def test_a_rare_job_is_looked_up_and_not_searched_for() -> None:
    ops = many(2_000)
    ops.dead[1_900] = replace(ops.dead[1_900], job="rare", group="c" * 16)
    async with console(ops=ops) as c:
        await c.pilot.press("4")
        await c.until(lambda: len(groups(c).rows) == 4 and letters(c).rows)
        await c.pilot.press("slash")
        c.app.screen.query_one(Entry).value = "job:rar"
        await c.until(lambda: [row.key for row in letters(c).rows] == ["id-1900"])
        assert "1 match · /job:rar" in c.screen()
        ops.dead.insert(0, replace(ops.dead[0], id="new", sequence=20_000_000, job="rarer", group="d" * 16))
        await c.until(lambda: [row.key for row in letters(c).rows] == ["new", "id-1900"], 8)


async def test_retry_takes_one_letter_back_once_and_tells_it() -> None:
    ops = many(300)
    async with console(ops=ops) as c:
        await c.pilot.press("4")
        await c.until(lambda: len(letters(c).rows) == PAGE)
        letters(c).choose(70)
        await c.until(lambda: len(letters(c).rows) == 2 * PAGE)
        letters(c).choose(151)
        await c.pilot.press("r")
        await c.until(lambda: "1 letter of sync is back in its queue" in c.screen())
        await c.pilot.press("r")
        await c.until(lambda: "nothing to retry: back in its queue already" in c.screen())
        await c.pilot.press("e")
        await c.until(lambda: "nothing to edit: back in its queue already" in c.screen())
        assert ops.calls == [("dead_retry", ["id-151"])]
        assert "→ back in its queue" in c.screen(), "a row further down stays, and says what became of it"
        await c.until(lambda: "Dead letters · 299" in c.screen())
        await c.pilot.press("g", "r")
        await c.until(lambda: "Dead letters · 298" in c.screen())
        assert letters(c).cursor_key == "id-0"
        await c.pilot.press("j")
        await c.until(lambda: letters(c).rows[0].key == letters(c).cursor_key == "id-1")
        ops.read_only = True
        await c.pilot.press("r")
        await c.until(lambda: "not retried: this context is read-only" in c.screen())


async def test_a_letter_that_died_again_can_be_retried_again() -> None:
    ops = many(3)
    async with console(ops=ops) as c:
        await c.pilot.press("4")
        await c.until(lambda: len(letters(c).rows) == 3)
        again = replace(ops.dead[0], sequence=20_000_000)
        await c.pilot.press("r")
        await c.until(lambda: "Dead letters · 2" in c.screen() and "→ back in its queue" in c.screen())
        ops.dead.insert(0, again)
        await c.until(lambda: "Dead letters · 3" in c.screen() and "→ back in its queue" not in c.screen())
        assert "back in its queue" not in str(letters(c).rows[0].cells)
        letters(c).choose(0)
        await c.pilot.press("r")
        await c.until(lambda: len(ops.calls) == 2)


async def test_redis_away_is_told_and_comes_back() -> None:
    ops = many(5)
    async with console(ops=ops) as c:
        ops.redis_error = "redis is away"
        await c.pilot.press("4")
        await c.until(lambda: "✗ redis is away" in c.screen())
        ops.redis_error = ""
        await c.until(lambda: len(letters(c).rows) == 5, 8)
        assert "Dead letters · 5" in c.screen()


async def test_nothing_dead_is_said() -> None:
    ops = FakeOps()
    ops.dead = []
    async with console(ops=ops) as c:
        await c.pilot.press("4")
        await c.until(lambda: "nothing has died" in c.screen() and "Dead letters · 0" in c.screen())
        await c.pilot.press("r", "enter")
        await c.until(lambda: "no dead letter to retry" in c.screen())


# --- one letter ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_a_letter_shows_payload_error_and_every_attempt(size: tuple[int, int]) -> None:
    ops = FakeOps()
    frames = 'Traceback (most recent call last):\n  File "app.py", line 7, in send\nSMTPError: 550 no such user'
    letter = ops.dead[0] = replace(ops.dead[0], error=frames, error_class="SMTPError")
    ops.outputs[letter.id, 3] = "connecting\n" + HOSTILE
    async with console(size, ops) as c:
        await c.pilot.press("4")
        await c.until(lambda: letters(c).rows)
        await c.pilot.press("enter")
        await c.until(lambda: "Attempt 3" in c.screen())
        assert isinstance(c.app.screen, LetterScreen)
        text = c.screen()
        for word in (
            "dead letter",
            letter.job,
            letter.id,
            "template: ",
            '"receipt"',
            'File "app.py", line 7',
            "SMTPError: 550",
        ):
            assert word in text, word
        assert not any(not ch.isprintable() for ch in text.replace("\n", ""))
        await c.pilot.press("r", "r")
        await c.until(lambda: "→ back in its queue" in c.screen())
        assert ops.calls == [("dead_retry", [letter.id])]
        await c.pilot.press("escape")
        assert isinstance(c.app.screen, DeadScreen)


async def test_a_letter_without_history_or_gone_says_so() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        ops.postgres_error = "postgres is away"
        c.app.open("letter", ops.dead[2].id)
        await c.until(lambda: "its attempts are not known" in c.screen())
        assert ops.dead[2].error.split(":")[0] in c.screen()
        gone = ops.dead[2]
        await c.until(lambda: "✗ dead letter" in c.screen())
        ops.postgres_error = ""
        await c.until(lambda: "its attempts are not known" not in c.screen(), 8)
        ops.dead.remove(gone)
        await c.until(lambda: "no longer dead" in c.screen(), 8)
        ops.dead.insert(2, gone)
        c.app.open("letter", "nobody")
        await c.until(lambda: "it is no dead letter (any more)" in c.screen())
        assert ops.dead[2].id not in c.screen()
        await c.pilot.press("r")
        await c.until(lambda: "nothing to retry" in c.screen())
        await c.pilot.press("o")
        await c.until(lambda: isinstance(c.app.screen, RunScreen))


# --- the tree -----------------------------------------------------------------------------------------------


def shown(nodes: list[Node]) -> list[str]:
    return [f"{node.label}={node.text}" for node in nodes]


def test_values_stay_as_they_were_written() -> None:
    raw = b'{"a":1.0,"a":1e400,"n":12345678901234567890123,"t":true,"z":null,"s":"x\\u0000\\ud800","e":[],"o":{}}'
    nodes, wrong = parse(raw)
    assert not wrong
    assert shown(nodes) == [
        "a=1.0", "a=1e400", "n=12345678901234567890123", "t=true", "z=null", 's="x\\u0000\ud800"', "e=[]", "o={}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "says", "first"),
    [
        (b"\xff\x00abc", "not UTF-8: invalid start byte at byte 0", "=\\xff\x00abc"),
        (b"{'a': 1}", "not JSON", "={'a': 1}"),
        (b"[" * 100_000, "not JSON", "0 … "),
        (b"", "", "=(empty)"),
        (b"9" * 5_000, "", "=999"),
        (b'"one\\ntwo"', "", "=one"),
    ],
)
def test_what_is_no_json_is_shown_as_what_it_is(raw: bytes, says: str, first: str) -> None:
    nodes, wrong = parse(raw)
    assert says in wrong
    assert bool(says) == bool(wrong)
    assert shown(nodes)[0].startswith(first)


def test_no_node_has_more_than_a_hundred_rows_and_nothing_is_lost() -> None:
    nodes, _ = parse(json.dumps({"list": list(range(123_456))}).encode())
    found: list[str] = []
    stack = [nodes[0]]
    while stack:
        node = stack.pop()
        inside = list(children(node))
        assert len(inside) <= BRANCH
        found += [node.label] if not node.foldable else []
        stack += inside
    assert len(found) == 123_456
    assert {int(label) for label in found} == set(range(123_456))


async def test_the_tree_opens_and_closes_and_keeps_its_place() -> None:
    ops = FakeOps()
    body = {"payload": {"deep": {"er": [{"x": 1}] * 30, "k": HOSTILE}}, "last": list(range(1000))}
    ops.dead[0] = replace(ops.dead[0], envelope=json.dumps(body).encode())
    async with console(ops=ops) as c:
        c.app.open("letter", ops.dead[0].id)
        await c.until(lambda: "0 … 99" in c.screen())
        tree = c.app.screen.query_one(Tree)
        assert "0 … 99" in c.screen()
        rows = len(tree.keys)
        await c.pilot.press("space")
        assert list(tree.keys) == ["/0", "/1"] if rows == 2 else len(tree.keys) < rows
        tree.choose(0)
        closed = len(tree.keys)
        await c.pilot.press("l", "l", "l")
        assert len(tree.keys) > closed
        assert tree.cursor_key == "/0/0/0"
        await c.pilot.press("h", "h")
        assert tree.cursor_key == "/0/0"
        await c.pilot.press("h", "h", "h")
        assert (tree.cursor_key, len(tree.keys)) == ("/0", closed)
        assert not any(not ch.isprintable() for ch in c.screen().replace("\n", ""))


async def test_g_jumps_to_the_oldest_letter_at_once_and_the_way_up_has_no_gap() -> None:
    """Of all, and of a group; where words are searched for, it searches on."""
    ops = many(3_000)
    ids = [letter.id for letter in ops.dead]

    def place(c: Console) -> int:
        """Of the first row that is held; all that follow are there."""
        keys = [row.key for row in letters(c).rows]
        first = ids.index(keys[0])
        assert keys == ids[first : first + len(keys)]
        return first

    async with console(ops=ops) as c:
        await c.pilot.press("4")
        await c.until(lambda: len(letters(c).rows) == PAGE)
        letters(c).focus()
        await c.pilot.press("G")
        await c.until(lambda: letters(c).cursor_key == ids[-1])
        assert "Dead letters · 3,000 · newer above" in c.screen()
        while place(c) > 1_500:
            first = place(c)
            letters(c).choose(10)
            await c.until(lambda first=first: place(c) < first)  # type: ignore[misc]
            assert len(letters(c).rows) <= ROWS_HELD + PAGE
        while letters(c).rows[-1].key != ids[-1]:  # down again
            held = letters(c).rows[-1].key
            letters(c).choose(len(letters(c).rows) - 1)
            await c.until(lambda held=held: letters(c).rows[-1].key != held)  # type: ignore[misc]
            place(c)
        await c.pilot.press("g")
        await c.until(lambda: letters(c).cursor_key == ids[0] and "newer above" not in c.screen())
        await c.pilot.press("slash", *"job:mail", "enter")
        await c.until(lambda: len(letters(c).rows) == 60)
        await c.pilot.press("escape", "slash", *"sync", "enter")
        await c.until(lambda: len(letters(c).rows) > PAGE - 5)
        letters(c).focus()
        await c.pilot.press("G")
        await c.until(lambda: len(letters(c).rows) > PAGE)
        assert "newer above" not in c.screen()
