"""What a context remembers: kept at the end and at each switch, found again; a broken file is as none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from console.memory import LARGEST, Memory
from console.screens.palette import Palette
from console.settings import Preferences
from tests.console.app_helpers import QUICK, Clock, Console, Recorded
from tests.console.fake_ops import FakeOps, opener
from tests.console.test_contexts import Servers
from widgets.entry import Entry


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[Console]:
    clock = Clock()
    ops, contexts = FakeOps(clock), Servers()
    choices = [contexts.of("prod-eu", ops), contexts.of("stage", FakeOps(clock))]
    app = Recorded(
        opener(ops), "prod-eu", contexts=choices, preferences=Preferences(timezone="UTC"), clock=clock, pace=QUICK,
        memory=Memory(folder),
    )  # fmt: skip
    async with app.run_test(size=(120, 36)) as pilot:
        c = Console(app, pilot, ops, clock)
        await c.until(lambda: app.state.live and app.state.history)
        yield c


def path(folder: Path, context: str = "prod-eu") -> Path:
    return folder / f"console-{context}.json"


async def test_screen_filter_and_history_are_found_again(tmp_path: Path) -> None:
    async with started(tmp_path) as c:
        await c.pilot.press("5")
        await c.until(lambda: "100 read" in c.screen())
        await c.pilot.press("slash")
        await c.until(lambda: isinstance(c.app.focused, Entry))
        await c.pilot.press(*"job", "colon", *"mail", "enter")
        await c.until(lambda: "/job:mail" in c.screen())
        await c.pilot.press("colon")
        await c.until(lambda: isinstance(c.app.screen, Palette))
        await c.pilot.press(*"eng", "enter")
        await c.until(lambda: c.app.trail.here.screen == "engines")
        await c.pilot.press("5")
        c.app.open("run", "some-run")
        await c.until(lambda: "no such run" in c.screen())
    kept = json.loads(path(tmp_path).read_text())
    assert kept["screen"] == "runs", "a page of one thing is left for its list"
    assert kept["history"] == ["engines"]
    async with started(tmp_path) as c:
        await c.until(lambda: "/job:mail" in c.screen())
        await c.pilot.press("escape", "escape")
        await c.until(lambda: c.app.screen is c.app.overview)
    kept = json.loads(path(tmp_path).read_text())
    assert (kept["screen"], kept["screens"]["runs"]) == ("overview", {})


async def test_the_scale_of_the_time_line_is_found_again(tmp_path: Path) -> None:
    async with started(tmp_path) as c:
        await c.pilot.press("minus", "minus")
        coarse = c.timeline.view.step_ms
    assert json.loads(path(tmp_path).read_text())["screens"]["overview"] == {"step_ms": coarse}
    async with started(tmp_path) as c:
        await c.until(lambda: c.timeline.view.step_ms == coarse)
        await c.pilot.press("0")
        assert c.timeline.view.step_ms != coarse
    assert json.loads(path(tmp_path).read_text())["screens"]["overview"] == {}


@pytest.mark.parametrize("step", ["60", 61_000, 1_500, -1, True, 10**30])
async def test_a_scale_that_there_is_not_is_as_none(tmp_path: Path, step: object) -> None:
    path(tmp_path).write_text(json.dumps({"version": 1, "screens": {"overview": {"step_ms": step}}}))
    async with started(tmp_path) as c:
        assert c.timeline.chosen_step_ms is None


async def test_each_context_remembers_its_own(tmp_path: Path) -> None:
    async with started(tmp_path) as c:
        await c.pilot.press("8")
        await c.until(lambda: c.app.trail.here.screen == "engines")
        c.app.switch_context("stage")
        await c.until(lambda: c.app.context.name == "stage" and c.app.screen is c.app.overview)
        c.app.switch_context("prod-eu")
        await c.until(lambda: c.app.context.name == "prod-eu" and c.app.trail.here.screen == "engines")
        await c.until(lambda: "web-2:991" in c.screen())
    assert json.loads(path(tmp_path, "stage").read_text())["screen"] == "overview"


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"version": 99, "screen": "runs"}', "[" * 100_000,
        '{"version": 1, "x": "' + "1" * LARGEST + '"}',
        '{"version": 1, "screen": ["runs"], "screens": {"overview": 3, "runs": {"filter": 3}}, "history": [1, {}]}',
        '{"version": 1, "screen": "run", "screens": []}', '{"version": 1, "screen": "no such screen"}',
    ],
)  # fmt: skip
async def test_a_broken_file_is_as_none(tmp_path: Path, text: str) -> None:
    path(tmp_path).write_text(text)
    async with started(tmp_path) as c:
        assert c.app.screen is c.app.overview
        await c.pilot.press("5")
        await c.until(lambda: c.app.trail.here.screen == "runs")
    assert json.loads(path(tmp_path).read_text())["screen"] == "runs"


def test_what_can_not_be_kept_hinders_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Memory(tmp_path / "file").write("a", {})
    Memory(tmp_path).write("../a", {})
    Memory().write("a", {})
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert Memory().read("a") == {}
