"""What is done to runs: replay, its links, why one does not run; cancel, bump and move in a queue."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from backends.queues.where import RunPlace
from console.screens.dialog import AskDialog, PickDialog
from console.screens.run import RunScreen
from tests.console.app_helpers import SIZES, Console, console
from tests.console.fake_ops import HOSTILE, FakeOps
from tests.console.fake_pages import as_attempt
from widgets.table import Table

pytestmark = pytest.mark.usefixtures("notices_stay")


def ended(ops: FakeOps, job: str, outcome: str) -> str:
    run_id = next(r.run_id for r in ops.ended if r.job == job and r.outcome == outcome)
    ops.envelopes[run_id] = b'{"payload": {}}'
    ops.ended = [r for r in ops.ended if r.run_id != run_id or r.outcome == outcome]
    return run_id


def subject(c: Console) -> str | None:
    screen = c.app.screen
    return screen.subject if isinstance(screen, RunScreen) else None


async def test_a_failed_run_is_replayed_at_once_and_its_page_leads_there_and_back() -> None:
    ops = FakeOps()
    run_id = ended(ops, "sync_prices", "failed")
    async with console(ops=ops) as c:
        c.app.open("run", run_id)
        await c.until(lambda: "✗ failed" in c.screen())
        await c.pilot.press("n")
        await c.until(lambda: "it was not replayed" in c.screen())
        await c.pilot.press("o")
        await c.until(lambda: "it replays no other run" in c.screen())
        await c.pilot.press("r")
        await c.until(lambda: ops.calls == [("replay", (run_id, None))])
        new = ops.ended[0].run_id
        await c.until(lambda: f"replayed as …{new[-12:]}  n opens it" in c.screen())
        await c.until(lambda: "u takes back the replay of sync_prices" in c.screen())
        ops.attempts[new] = [as_attempt(ops.ended[0], True, replay_of=run_id)]
        await c.pilot.press("n")
        await c.until(lambda: subject(c) == new and f"replay of …{run_id[-12:]}  o opens it" in c.screen())
        await c.pilot.press("o")
        await c.until(lambda: subject(c) == run_id)


async def test_one_that_succeeded_runs_again_after_a_question() -> None:
    ops = FakeOps()
    run_id = ended(ops, "disk_report", "succeeded")
    async with console(ops=ops) as c:
        c.app.open("run", run_id)
        await c.until(lambda: "✓ succeeded" in c.screen())
        await c.pilot.press("r")
        await c.until(lambda: isinstance(c.app.screen, AskDialog) and "It succeeded." in c.screen())
        await c.pilot.press("r")
        assert not ops.calls
        await c.pilot.press("y")
        await c.until(lambda: ops.calls == [("replay", (run_id, None))])


async def test_what_was_not_kept_is_told_and_several_replays_are_chosen_from() -> None:
    ops = FakeOps()
    run_id = ended(ops, "sync_prices", "failed")
    ops.envelopes.clear()
    others = [r.run_id for r in ops.ended if r.job == "health_ping"][:2]
    ops.replays[run_id] = others
    async with console(ops=ops) as c:
        c.app.open("run", run_id)
        await c.until(lambda: "replayed as …" in c.screen())
        await c.pilot.press("r")
        await c.until(lambda: "sync_prices not replayed: what it was given was not kept" in c.screen())
        await c.pilot.press("n")
        await c.until(lambda: isinstance(c.app.screen, PickDialog))
        await c.pilot.press("j", "y")
        await c.until(lambda: subject(c) in others)


@pytest.mark.parametrize("size", SIZES)
async def test_a_queued_run_says_why_it_does_not_run(size: tuple[int, int]) -> None:
    ops = FakeOps()
    run_id = "0193b3a0-0000-7000-8000-00000000000a"
    ops.places[run_id] = RunPlace("mail", "ready", "send_email", 1)
    ops.reasons[run_id] = ("queue mail is paused by ana: bug", "12 runs go before it")
    async with console(size, ops) as c:
        c.app.open("run", run_id)
        await c.until(lambda: "Why it does not run" in c.screen())
        assert "✗ queue mail is paused by ana: bug" in c.screen()
        assert "12 runs go before it" in c.screen()
        ops.reasons[run_id] = ("it is ready: an engine takes it next",)
        await c.until(lambda: "an engine takes it next" in c.screen() and "paused" not in c.screen(), 10)
        await c.pilot.press("r")
        await c.until(lambda: "there is nothing to replay" in c.screen())
        ops.places[run_id] = RunPlace("mail", "running", "send_email", 1)
        await c.until(lambda: "Why it does not run" not in c.screen(), 10)


# --- in a queue -------------------------------------------------------------------------------------------


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
        await c.until(lambda: ops.calls == [("move", (sorted([keys[0], keys[2]]), "billing"))])
        await c.until(lambda: "2 of 2 are in another queue" in c.screen() and not lying(c).marked)
        await queue(c, "default")
        await c.until(lambda: "disk_report" in c.screen())
        for _ in range(4):
            if "on web-1:4711" in c.screen():
                break
            await c.pilot.press("l")
            await c.pilot.pause(0.1)
        for key in ("b", "m", "space"):
            await c.pilot.press(key)
            await c.until(lambda: "it runs already" in c.screen())
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
