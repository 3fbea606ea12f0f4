"""The console under test: an in-memory Ops, a clock that stands still, every frame checked against plain Textual."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.screen import Screen

from console.app import ConsoleApp
from console.feed import Pace
from console.keymap import KeyMap
from console.settings import Preferences
from tests.console.fake_ops import T0, FakeOps, opener
from tests.console.terminal import Terminal
from widgets.celldiff import RunsUpdate
from widgets.pens import Pen
from widgets.statusline import StatusLine
from widgets.table import Table
from widgets.timeline import Timeline

SIZES = ((80, 24), (200, 60))
QUICK = Pace(0.02, 0.02, 0.02, 0.04, depth_s=0, first_pause_s=0.02, longest_pause_s=0.05)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.ms = T0

    def __call__(self) -> int:
        return self.ms


class Recorded(ConsoleApp):
    """Applies every frame twice: as Textual sends it, and as the cell diff sends it."""

    terminals: tuple[Terminal, Terminal] | None = None
    frames = 0
    drawn_for: object = None
    left: Pen | None = None

    async def _press_keys(self, keys: Iterable[str]) -> None:
        for key in keys:
            await super()._press_keys([key])
            for _ in range(2_000):
                if self._exit or not self.keys_are_due:
                    break
                await asyncio.sleep(0.001)

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        if isinstance(renderable, (LayoutUpdate, ChopsUpdate)) and not self._batch_count:
            if self.terminals is None or self.drawn_for != self.size:
                self.drawn_for = self.size
                self.forget_screen()
                self.left = None
                self.terminals = (Terminal(*self.size), Terminal(*self.size))
            plain, diffed = self.terminals
            plain.feed(renderable.render_segments(self.console))
            runs = self.changed_runs(renderable, *self.size, clears=self.frames % 2 == 0)
            sent = RunsUpdate(runs, repeats=True, held=self.left)
            diffed.feed(sent.render_segments(self.console))
            self.left = sent.held
            assert plain.cells == diffed.cells
            self.frames += 1
        super()._display(screen, renderable)


class Console:
    """The app under test with its parts at hand."""

    def __init__(self, app: Recorded, pilot: Pilot[int], ops: FakeOps, clock: Clock) -> None:
        self.app, self.pilot, self.ops, self.clock = app, pilot, ops, clock

    def table(self, name: str) -> Table:
        return self.app.overview.query_one(f"#{name}", Table)

    @property
    def timeline(self) -> Timeline:
        return self.app.overview.query_one(Timeline)

    def line(self, name: str) -> str:
        left, right = self.app.overview.query_one(f"#{name}", StatusLine).content
        return "".join(text for text, _ in (*left, *right))

    def screen(self) -> str:
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    async def until(self, true: Callable[[], object], seconds: float = 5.0) -> None:
        """Wait until something holds; fails after a deadline."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not true():
            assert asyncio.get_running_loop().time() < deadline, f"did not happen; on the screen:\n{self.screen()}"
            await self.pilot.pause(0.01)

    def type_ahead(self, keys: Iterable[str]) -> None:
        """Keys that come all at once, as they do over a slow line."""
        for key in keys:
            name = key if len(key) > 1 else _character_to_key(key)
            self.app.post_message(Key(name, key if len(key) == 1 else None))

    async def ticked(self) -> None:
        """Wait until data asked for after this moment has arrived."""
        self.clock.ms += 1
        live, history = self.app.state.live, self.app.state.history
        await self.until(lambda: self.app.state.live is not live and self.app.state.history is not history)
        await self.pilot.pause()


@asynccontextmanager
async def console(
    size: tuple[int, int] = (120, 36), ops: FakeOps | None = None, keymap: KeyMap | None = None, **choices: Any
) -> AsyncIterator[Console]:
    clock = Clock()
    ops = ops or FakeOps(clock)
    ops.clock = clock
    preferences = Preferences(timezone="UTC", **choices)
    app = Recorded(opener(ops), "prod-eu", preferences=preferences, keymap=keymap, clock=clock, pace=QUICK)
    async with app.run_test(size=size) as pilot:
        c = Console(app, pilot, ops, clock)
        await c.until(lambda: app.state.live and app.state.history)
        await pilot.pause()
        yield c
        if not app._exit:  # what is still being built finds nothing of itself while the pilot takes it down
            await c.until(lambda: all(screen.is_mounted for screen in app.screen_stack))
