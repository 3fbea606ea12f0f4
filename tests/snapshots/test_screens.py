"""Every screen as an operator sees it: an ordinary system, an empty one, a broken one, hostile data, poor terminals."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.console.fake_ops import HOSTILE, FakeOps
from tests.snapshots.stage import looks, scenes, stage, take, usual

pytestmark = pytest.mark.timeout(400)  # many screens a test
SMALL = (80, 24)
SIZES = (SMALL, (120, 40), (200, 60))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_usual(size: tuple[int, int], shown: SnapshotAssertion) -> None:
    async with stage(usual(), size) as c:
        for scene in scenes():
            assert await take(c, scene) == shown(name=scene.name)


async def test_empty(shown: SnapshotAssertion) -> None:
    ops = FakeOps()
    ops.make_empty()
    pages = ("queue", "letter", "run", "run-live", "job", "trigger", "ask", "help")
    async with stage(ops, SMALL) as c:
        for scene in scenes():
            if scene.name not in pages:
                assert await take(c, scene) == shown(name=scene.name)


async def test_servers_down(shown: SnapshotAssertion) -> None:
    """What was known stays, with its age; what was never read says why."""
    ops = usual()
    async with stage(ops, SMALL) as c:
        for scene in scenes()[:3]:
            await take(c, scene)
        ops.redis_error = ops.postgres_error = "no server at db.eu; start it"  # one: the foot tells the last that came
        await c.until(lambda: all(link.state == "down" for link in c.app.state.links.values()), 30)
        c.clock.ms += 75_000
        for scene in scenes():
            if scene.name not in ("help", "ask", "run"):
                assert await take(c, scene) == shown(name=scene.name)


async def test_hostile(shown: SnapshotAssertion) -> None:
    async with stage(FakeOps(hostile=True), SMALL) as c:
        for scene in scenes(job=HOSTILE, queue=HOSTILE):
            if scene.name not in ("run-live", "help", "ask"):
                text = await take(c, scene)
                assert text == shown(name=scene.name)
                assert all(char.isprintable() for char in text.replace("\n", ""))


async def test_no_colour(shown: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but grey, and everything is told by glyphs and words."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage(usual(), SMALL, recorded=True) as c:
        for scene in scenes():
            if scene.name in ("overview", "timeline", "dead", "letter"):
                await take(c, scene)
                assert looks(c) == shown(name=scene.name)


async def test_colours(shown: SnapshotAssertion) -> None:
    """Where which colour is."""
    async with stage(usual(), SMALL, recorded=True) as c:
        for scene in scenes():
            if scene.name in ("overview", "run"):
                await take(c, scene)
                assert looks(c) == shown(name=scene.name)


async def test_ascii(shown: SnapshotAssertion) -> None:
    async with stage(usual(), SMALL, recorded=True, ascii=True) as c:
        for scene in scenes():
            if scene.name not in ("audit", "jobs", "runs", "trigger", "ask"):
                text = await take(c, scene)
                assert text == shown(name=scene.name)
                assert text.isascii()
