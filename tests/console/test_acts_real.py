"""The console acts on real servers: what it says was done was done, once, and is taken back whole."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.connect import Settings
from backends.jobs.load import load_text
from backends.jobs.publish import publish_jobs
from backends.model import new_run_id, now_ms
from backends.ops import Ops
from backends.queues.base import NewRun
from backends.queues.streams import StreamQueue
from console.app import ConsoleApp
from console.contexts import open_ops
from console.screens.bulk_dialog import BulkDialog
from console.screens.editing import EditedDialog
from console.settings import Preferences
from tests.backends.ops_helpers import bury, there
from tests.console.app_helpers import QUICK, Clock, Console, Recorded
from tests.console.cli_helpers import JOBS
from tests.console.fake_ops import FakeOps
from tests.console.test_dead import groups, letters
from widgets.table import Table

pytestmark = pytest.mark.usefixtures("notices_stay")


@pytest.fixture
async def ops(settings: Settings) -> AsyncIterator[Ops]:
    async with Ops.open(settings) as opened:
        file = load_text(JOBS)
        await publish_jobs(opened.servers.redis, settings.namespace, file)
        for name in file.queues:
            await opened.live.queue(name).announce()
        yield opened


@pytest.fixture
def mail(ops: Ops) -> StreamQueue:
    return ops.live.queue("mail")


@asynccontextmanager
async def real(settings: Settings, rows: int) -> AsyncIterator[Console]:
    """The console on its dead letters."""
    app = Recorded(
        lambda: open_ops(settings), "here", preferences=Preferences(timezone="UTC"), clock=now_ms,
        pace=replace(QUICK, give_up_s=20),
    )  # fmt: skip
    async with app.run_test(size=(120, 36)) as pilot:
        c = Console(app, pilot, FakeOps(), Clock())
        await c.until(lambda: app.state.live, 20)
        await pilot.press("4")
        await c.until(lambda: app.screen.query("#letters") and len(letters(c).rows) == rows and groups(c).rows, 20)
        yield c


async def sequences(mail: StreamQueue) -> list[tuple[str, int]]:
    return [(d.id, d.sequence) for d in (await mail.dead_page(200)).items]


async def test_a_group_is_retried_and_u_puts_back_the_very_same_letters(
    ops: Ops, mail: StreamQueue, settings: Settings
) -> None:
    await bury(mail, 3, error="boom", group="1" * 16)
    await bury(mail, 2, error="bang", group="2" * 16)
    before = await sequences(mail)
    async with real(settings, 5) as c:
        groups(c).focus()
        groups(c).choose(1)
        await c.until(lambda: len(letters(c).rows) == 3)
        await c.pilot.press("r")
        await c.until(lambda: "Retry 3 letters?" in c.screen(), 20)
        await c.pilot.press("y")
        await c.until(lambda: "✓ 3 retried" in c.screen(), 20)
        assert await there(mail) == {"later": 3, "dead": 2}
        await c.until(lambda: "u takes back the retry of 3 letters" in c.screen())
        await c.pilot.press("u")
        await c.until(lambda: "✓ taken back: the retry of 3 letters" in c.screen(), 20)
    assert await sequences(mail) == before
    assert await there(mail) == {"dead": 5}


async def test_marked_letters_are_purged_and_all_of_a_queue_after_its_name(
    ops: Ops, mail: StreamQueue, settings: Settings
) -> None:
    await bury(mail, 6)
    before = await sequences(mail)
    async with real(settings, 6) as c:
        await c.pilot.press("space", "space", "x")
        await c.until(lambda: isinstance(c.app.screen, BulkDialog) and "Purge 2 letters?" in c.screen())
        await c.pilot.press("y")
        await c.until(lambda: "✓ 2 purged" in c.screen() and len(letters(c).rows) == 4, 20)
        assert await sequences(mail) == before[2:]
        await c.pilot.press("X")
        await c.until(lambda: "Purge 4 letters?" in c.screen(), 20)
        await c.pilot.press("a", "l", "l", "enter")
        await c.until(lambda: "✓ 4 purged" in c.screen(), 20)
        assert await there(mail) == {}
        for words in ("the purge of 4 letters", "the purge of 2 letters"):
            await c.until(lambda words=words: f"u takes back {words}" in c.screen(), 20)
            await c.pilot.press("u")
            await c.until(lambda words=words: f"✓ taken back: {words}" in c.screen(), 20)
    assert await sequences(mail) == before


async def test_the_count_that_is_asked_about_is_what_the_list_shows(
    ops: Ops, mail: StreamQueue, settings: Settings
) -> None:
    await bury(mail, 3, error="Connection refused", group="1" * 16)
    await bury(mail, 2, error="boom", group="2" * 16)
    async with real(settings, 5) as c:
        for text, number in (("refus", 3), ("!refus", 2), ("job:send error:boom", 2), ("group:111 queue:mai", 3)):
            await c.pilot.press("slash")
            entry = c.app.screen.query_one("#entry")
            entry.value = text  # type: ignore[attr-defined]
            await c.until(lambda number=number: len(letters(c).rows) == number, 20)
            await c.pilot.press("enter", "X")
            await c.until(lambda number=number: f"Purge {number} letters?" in c.screen(), 20)
            await c.pilot.press("escape")
    assert await there(mail) == {"dead": 5}


async def test_two_consoles_retry_the_same_letters_and_each_goes_once(
    ops: Ops, mail: StreamQueue, settings: Settings
) -> None:
    await bury(mail, 4)
    async with real(settings, 4) as one, real(settings, 4) as other:
        for c in (one, other):
            await c.pilot.press("R")
            await c.until(lambda c=c: "Retry 4 letters?" in c.screen(), 20)
        await one.pilot.press("a", "l", "l", "enter")
        await other.pilot.press("a", "l", "l", "enter")
        for c in (one, other):
            await c.until(lambda c=c: "retried" in c.screen() and c.app.acts.driving is None, 20)
        shown = one.screen() + other.screen()
    assert "✓ 4 retried" in shown
    assert "✓ 0 of 4 retried" in shown
    assert await there(mail) == {"later": 4}


async def test_an_edited_letter_becomes_a_new_run_that_says_what_it_replays(
    ops: Ops, mail: StreamQueue, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_id,) = await bury(mail, 1)

    @contextlib.contextmanager
    def suspend(_: ConsoleApp) -> Iterator[None]:
        yield

    program = tmp_path / "e.py"
    program.write_text("import sys, pathlib\npathlib.Path(sys.argv[1]).write_text('{\"new\": true}')")
    monkeypatch.setattr(ConsoleApp, "suspend", suspend)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {program}")
    monkeypatch.delenv("VISUAL", raising=False)
    async with real(settings, 1) as c:
        await c.pilot.press("e")
        await c.until(lambda: isinstance(c.app.screen, EditedDialog), 20)
        await c.pilot.press("y")
        await c.until(lambda: "with what you wrote" in c.screen(), 20)
        assert await there(mail) == {"later": 1}
        held = await ops.servers.redis.hgetall(f"{mail.prefix}held")
        ((new, packed),) = held.items()
        assert new.decode() != run_id
        envelope = packed[packed.index(b"{") :]
        assert json.loads(envelope[: envelope.rindex(b"}") + 1])["payload"] == {"new": True}
        assert run_id.encode() in packed
        await c.until(lambda: "u takes back" in c.screen())
        await c.pilot.press("u")
        await c.until(lambda: "✓ taken back" in c.screen(), 20)
    assert await there(mail) == {"dead": 1}


async def test_marked_runs_go_to_the_front_are_cancelled_and_are_back_by_one_key(
    ops: Ops, mail: StreamQueue, settings: Settings
) -> None:
    await bury(mail, 1)
    ids = [new_run_id() for _ in range(6)]
    await mail.enqueue([NewRun(run_id, "send", b"{}") for run_id in ids])

    async def ready() -> list[str]:
        return [run.run_id for run in (await ops.queue_runs("mail", "ready")).items]

    async with real(settings, 1) as c:
        c.app.open("queue", "mail")
        await c.until(
            lambda: c.app.screen.query("#lying") and len(c.app.screen.query_one("#lying", Table).rows) == 6, 20
        )
        lying = c.app.screen.query_one("#lying", Table)
        for index in (4, 2):
            lying.choose(index)
            await c.pilot.press("space")
        await c.pilot.press("b")
        await c.until(lambda: "Put 2 runs in front?" in c.screen())
        await c.pilot.press("y")
        await c.until(lambda: "✓ 2 are next" in c.screen() and lying.keys[:2] == [ids[4], ids[2]], 20)
        assert await ready() == [ids[4], ids[2], ids[0], ids[1], ids[3], ids[5]]
        lying.choose(0)
        await c.pilot.press("space", "space", "c")
        await c.until(lambda: "Cancel 2 runs?" in c.screen())
        await c.pilot.press("y")
        await c.until(lambda: "✓ 2 cancelled before they started" in c.screen(), 20)
        assert await ready() == [ids[0], ids[1], ids[3], ids[5]]
        for words in ("the cancel of 2 runs", "the bump of 2 runs"):
            await c.until(lambda words=words: f"u takes back {words}" in c.screen(), 20)
            await c.pilot.press("u")
            await c.until(lambda words=words: f"✓ taken back: {words}" in c.screen(), 20)
        assert sorted(await ready()) == sorted(ids)


async def test_a_read_only_context_refuses_in_ops(ops: Ops, mail: StreamQueue, settings: Settings) -> None:
    await bury(mail, 2)
    async with real(replace(settings, read_only=True), 2) as c:
        for key in ("r", "x"):
            await c.pilot.press(key)
            await c.until(lambda: "✗ this context is read-only" in c.screen(), 20)
            c.app.front()._forget_notice(c.app.front()._notices)
    assert await there(mail) == {"dead": 2}
