"""What is done to the runs of a queue: cancel, to the front, to another queue; one, or many that are marked."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from msgspec.structs import replace

from backends.errors import UnreachableError
from backends.model import ActionResult
from console.screens.bulk_dialog import BulkDialog
from console.screens.by_one import Each
from console.screens.dialog import AskDialog, PickDialog
from console.screens.queue_acts import bumped_many
from tests.console.app_helpers import SIZES, Console, console
from tests.console.fake_ops import HOSTILE, FakeOps
from widgets.table import Table

pytestmark = pytest.mark.usefixtures("notices_stay")


async def queue(c: Console, name: str) -> None:
    c.ops.depth = 250
    await c.ticked()  # the page begins with what lies there
    c.app.open("queue", name)
    await c.until(lambda: c.app.screen.query("#lying"))


def lying(c: Console) -> Table:
    return c.app.screen.query_one("#lying", Table)


async def test_a_run_goes_to_the_front_or_to_another_queue() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        await queue(c, "mail")
        await c.until(lambda: len(lying(c).rows) == 100)
        keys = [row.key for row in lying(c).rows]
        await c.pilot.press("j", "j", "b")
        await c.until(lambda: ops.calls == [("bump", keys[2])])
        await c.until(lambda: lying(c).rows[0].key == keys[2] and "send_email is next" in c.screen())
        lying(c).choose(3)
        await c.pilot.press("m")
        await c.until(lambda: isinstance(c.app.screen, PickDialog) and "Move send_email to which queue?" in c.screen())
        await c.pilot.press("m")
        assert len(ops.calls) == 1
        await c.pilot.press("j", "y")
        await c.until(lambda: ops.calls[1:] == [("move", ([keys[3]], "default"))])
        await c.until(lambda: "send_email is in another queue" in c.screen() and keys[3] not in lying(c).keys)
        await c.until(lambda: "u takes back the move of send_email to default" in c.screen())


async def test_marked_runs_are_moved_together_and_what_runs_is_left() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        await queue(c, "mail")
        await c.until(lambda: len(lying(c).rows) == 100)
        keys = [row.key for row in lying(c).rows]
        await c.pilot.press("space", "j", "space")
        assert sorted(lying(c).marked) == sorted([keys[0], keys[2]])
        assert "2 marked" in c.screen()
        await c.pilot.press("m")
        await c.until(lambda: "Move 2 marked runs to which queue?" in c.screen())
        await c.pilot.press("enter")
        await c.until(lambda: ops.calls == [("move", ([keys[0], keys[2]], "billing"))])
        await c.until(lambda: "2 of 2 are in another queue" in c.screen() and not lying(c).marked)
        await queue(c, "default")
        await c.until(lambda: "disk_report" in c.screen())
        for _ in range(4):
            if "on web-1:4711" in c.screen():
                break
            await c.pilot.press("l")
            await c.pilot.pause(0.1)
        for key in ("b", "m", "space", "b", "m"):  # a run at work can be marked: to be cancelled
            c.app.screen.tell("")  # type: ignore[attr-defined]
            await c.pilot.press(key)
            await c.until(lambda key=key: ("1 marked" if key == "space" else "it runs already") in c.screen())  # type: ignore[misc]
        assert len(ops.calls) == 1


async def test_a_cancelled_run_comes_back_by_undo_and_one_that_left_is_told() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        await queue(c, "mail")
        await c.until(lambda: len(lying(c).rows) == 100)
        first = lying(c).rows[0].key
        await c.pilot.press("c", "y")
        await c.until(lambda: "cancelled before it started" in c.screen() and first not in lying(c).keys)
        await c.until(lambda: "u takes back the cancel of send_email" in c.screen())
        await c.pilot.press("u")
        await c.until(lambda: any(r.run_id == first for r in ops.lying["mail", "ready"]))
        gone = lying(c).rows[0].key
        bump = ops.bump

        async def late(run_id: str) -> object:
            ops.lying["mail", "ready"] = [r for r in ops.lying["mail", "ready"] if r.run_id != gone]
            return await bump(run_id)

        ops.bump = late  # type: ignore[assignment,method-assign]
        lying(c).choose(0)
        await c.pilot.press("b")
        await c.until(lambda: "not put in front: it is in no queue any more" in c.screen())


async def test_hostile_runs_are_marked_and_moved_safely() -> None:
    ops = FakeOps(hostile=True)
    run = replace(ops.lying[HOSTILE, "ready"][0])
    async with console(ops=ops) as c:
        await queue(c, HOSTILE)
        await c.until(lambda: lying(c).rows)
        await c.pilot.press("h")
        await c.until(lambda: "▸ready" in c.screen() and lying(c).rows)
        await c.pilot.press("space", "m")
        await c.until(lambda: isinstance(c.app.screen, PickDialog))
        assert not any(not ch.isprintable() for ch in c.screen().replace("\n", ""))
        await c.pilot.press("y")
        await c.until(lambda: ops.calls and ops.calls[0][1][0] == [run.run_id])


# --- many -------------------------------------------------------------------------------------------------


async def marked(c: Console, count: int) -> list[str]:
    """The first runs of mail, marked."""
    await queue(c, "mail")
    await c.until(lambda: len(lying(c).rows) == 100)
    await c.pilot.press(*["space"] * count)
    keys = [row.key for row in lying(c).rows[:count]]
    assert lying(c).marked == frozenset(keys)
    return keys


def there(ops: FakeOps) -> list[str]:
    return [run.run_id for run in ops.lying["mail", "ready"]]


@pytest.mark.parametrize("size", SIZES)
async def test_marked_runs_are_cancelled_after_a_question_and_come_back_by_one_undo(size: tuple[int, int]) -> None:
    ops = FakeOps()
    async with console(size, ops=ops) as c:
        keys = await marked(c, 3)
        await c.pilot.press("c", "c")
        await c.until(lambda: isinstance(c.app.screen, BulkDialog) and "Cancel 3 runs?" in c.screen())
        assert "        3 send_email" in c.screen()
        assert "Those that wait leave the queue; undo brings them back." in c.screen()
        assert "at work" not in c.screen()
        assert not ops.calls
        await c.pilot.press("y")
        await c.until(lambda: "3 cancelled before they started" in c.screen() and not lying(c).marked)
        assert ops.calls == [("cancel", key) for key in keys]
        await c.until(lambda: "u takes back the cancel of 3 runs" in c.screen() and keys[0] not in lying(c).keys)
        await c.pilot.press("u")
        await c.until(lambda: "taken back: the cancel of 3 runs" in c.screen())
        receipts = [receipt for verb, receipt in ops.calls[3:] if verb == "undo"]
        assert receipts == list(ops.kept)[::-1], "what was done last is taken back first"
        assert set(keys) <= set(there(ops))
        assert c.app.acts.newest(c.clock.ms) is None


async def test_what_can_not_be_cancelled_is_counted_and_what_runs_is_ended_for_good() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        keys = await marked(c, 4)
        ops.started.add(keys[1])
        ops.lying["mail", "ready"] = [
            replace(run, state="running") if run.run_id == keys[2] else run for run in ops.lying["mail", "ready"]
        ]
        c.app.screen._pager.begin_anew()  # type: ignore[attr-defined]
        await c.until(lambda: c.app.screen.marks[keys[2]].state == "running")  # type: ignore[attr-defined]
        await c.pilot.press("c")
        await c.until(lambda: "1 at work: the processes are ended for good." in c.screen())
        await c.pilot.press("enter")
        words = "✓ 2 cancelled before they started · 1 is ended by its engine · 1 had ended already"
        await c.until(lambda: words in c.screen())
        await c.until(lambda: "u takes back the cancel of 2 runs" in c.screen())


async def test_marked_runs_go_to_the_front_in_the_order_of_their_marks() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        await queue(c, "mail")
        await c.until(lambda: len(lying(c).rows) == 100)
        keys = [row.key for row in lying(c).rows]
        for index in (7, 3, 5):
            lying(c).choose(index)
            await c.pilot.press("space")
        gone = keys[3]
        await c.pilot.press("b")
        await c.until(lambda: "Put 3 runs in front?" in c.screen())
        ops.lying["mail", "ready"] = [
            replace(run, state="running") if run.run_id == gone else run for run in ops.lying["mail", "ready"]
        ]
        await c.pilot.press("b")
        assert not ops.calls
        await c.pilot.press("y")
        await c.until(lambda: "✓ 2 of 3 are next · 1 not: has started" in c.screen())
        assert there(ops)[:2] == [keys[7], keys[5]]
        await c.until(lambda: lying(c).rows[0].key == keys[7] and not lying(c).marked)
        await c.until(lambda: "u takes back the bump of 2 runs" in c.screen())
        receipt = next(iter(ops.kept))
        ops.kept[receipt] = replace(ops.kept[receipt], state="undone", undone_by="bob")
        await c.pilot.press("u")
        words = "✓ taken back: the bump of 2 runs: 1 of 2 · 1 not: was taken back already, by bob"
        await c.until(lambda: words in c.screen())
        assert c.app.acts.newest(c.clock.ms) is None


async def test_those_that_wait_for_a_slot_are_bumped_from_the_last_to_the_first() -> None:
    """Each goes to the head of the line."""
    ops = FakeOps()
    async with console(ops=ops) as c:
        await queue(c, "default")
        await c.until(lambda: "disk_report" in c.screen())
        await c.pilot.press("h")
        await c.until(lambda: "▸waiting" in c.screen() and len(lying(c).rows) == 2)
        keys = [row.key for row in lying(c).rows]
        await c.pilot.press("space", "space", "b", "y")
        await c.until(lambda: ops.calls == [("bump", keys[1]), ("bump", keys[0])])


@pytest.mark.parametrize(
    ("held", "told"),
    [(0, "2 are next"), (1, "2 are next · 1: it starts when"), (2, "2 are next · they start when")],
)
def test_what_a_pause_holds_back_is_told_of_those_it_holds(held: int, told: str) -> None:
    found = Each(2, 2, notes=+Counter({"it starts when": held, "": 2 - held}))
    assert bumped_many(found) == told


async def test_one_marked_run_is_as_the_chosen_one() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        (key,) = await marked(c, 1)
        assert lying(c).cursor_key != key
        await c.pilot.press("c")
        await c.until(lambda: isinstance(c.app.screen, AskDialog) and key in c.screen())
        await c.pilot.press("escape", "b")
        await c.until(lambda: ops.calls == [("bump", key)] and not lying(c).marked)


async def test_a_server_that_goes_away_half_way_leaves_the_rest_marked() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        keys = await marked(c, 3)
        cancel = ops.cancel

        async def breaks(run_id: str) -> ActionResult:
            if run_id == keys[2]:
                raise UnreachableError("redis is away", "start it")
            return await cancel(run_id)

        ops.cancel = breaks  # type: ignore[method-assign]
        await c.pilot.press("c", "y")
        words = "✗ 2 cancelled before they started · 1 left as it was · redis is away; start it"
        await c.until(lambda: words in c.screen())
        assert lying(c).marked == {keys[2]}
        await c.until(lambda: "u takes back the cancel of 2 runs" in c.screen())
        await c.pilot.press("c", "y")
        await c.until(lambda: "✗ not cancelled: redis is away; start it" in c.screen())
        assert lying(c).marked == {keys[2]}


async def test_esc_stops_after_the_one_under_way() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        keys = await marked(c, 3)
        cancel, gate = ops.cancel, asyncio.Event()

        async def slow(run_id: str) -> ActionResult:
            await gate.wait()
            return await cancel(run_id)

        ops.cancel = slow  # type: ignore[method-assign]
        await c.pilot.press("c", "y")
        await c.until(lambda: "cancelling" in c.screen() and "0 of 3" in c.screen() and "Esc stops" in c.screen())
        await c.pilot.press("escape")
        await c.until(lambda: "cancelling is stopped" in c.screen())
        gate.set()
        await c.until(lambda: "✓ 1 cancelled before it started · 2 left as they were" in c.screen())
        assert ops.calls == [("cancel", keys[0])]
        assert lying(c).marked == set(keys[1:])


async def test_a_read_only_context_asks_nothing_of_marked_runs() -> None:
    ops = FakeOps(read_only=True)
    async with console(ops=ops) as c:
        await marked(c, 2)
        for key in ("c", "b", "m"):
            c.app.screen.tell("")  # type: ignore[attr-defined]
            await c.pilot.press(key)
            await c.until(lambda: "this context is read-only" in c.screen())
        assert not ops.calls
