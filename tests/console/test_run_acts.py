"""What is done to runs: replay, its links, why one does not run."""

from __future__ import annotations

import pytest

from backends.queues.where import RunPlace
from console.screens.dialog import AskDialog, PickDialog
from console.screens.run import RunScreen
from tests.console.app_helpers import SIZES, Console, console
from tests.console.fake_ops import FakeOps
from tests.console.fake_pages import as_attempt

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
    ops.new_runs_wait = True
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
