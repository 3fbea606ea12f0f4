"""The console at a given moment over given data, and a walk through its screens."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from string import ascii_letters
from typing import Any, NamedTuple

from textual.color import Color

from backends.model import Pause, fire_run_id
from console.app import ConsoleApp
from console.feed import Pace
from console.screens.base import ConsoleScreen
from console.screens.dialog import AskDialog
from console.screens.registry import NUMBERED
from console.settings import Preferences
from console.theme import BUILT_IN, COLORS
from tests.console.app_helpers import Clock, Console, Recorded
from tests.console.fake_ops import HOSTILE, T0, FakeOps, opener
from tests.console.terminal import PLAIN, Look
from widgets.safe import cell, cells

PACE = Pace(0.06, 0.06, 0.06, 0.1, depth_s=1e9, first_pause_s=0.03, longest_pause_s=0.06)
DEPTHS = {
    "mail": (0, 2, 9, 31, 84, 140, 96, 41, 12, 4, 1, 0, 0, 3, 8),
    "default": (0, 1, 2, 2, 1, 0, 2),
    "billing": (0,) * 9,
}
"""What the queues held before; the clock stands still, so nothing is added."""


class Scene(NamedTuple):
    """One picture: its name, what leads to it, and a word that is there once it is shown."""

    name: str
    show: Callable[[Console], Any]
    word: str = ""


def usual() -> FakeOps:
    """An ordinary evening: some letters, a flaky job, a queue that somebody paused."""
    ops = FakeOps()
    ops.depth = 250
    ops.paused["queue:billing"] = Pause("ana", "until the invoice bug is fixed", T0 - 840_000, T0 + 960_000)
    run = fire_run_id("fake", "b", T0)
    ops.logs[run] = [b"connecting to prices.example.net\n", b"retry in 2 s\n", b"retry in 4 s\n"]
    return ops


@asynccontextmanager
async def stage(
    ops: FakeOps, size: tuple[int, int], *, recorded: bool = False, **choices: Any
) -> AsyncIterator[Console]:
    """The console, connected, before the first picture is taken. `recorded`: what it sends is put into a terminal."""
    clock = Clock()
    ops.clock = clock
    kind: Any = Recorded if recorded else ConsoleApp
    app = kind(opener(ops), "prod-eu", preferences=Preferences(timezone="UTC", **choices), clock=clock, pace=PACE)
    app.feed._depths = {name: deque(depths, maxlen=120) for name, depths in DEPTHS.items()}
    app.feed._depth_at = T0
    async with app.run_test(size=size) as pilot:
        c = Console(app, pilot, ops, clock)
        await c.until(lambda: app.state.live and app.state.history, 30)
        yield c


def opens(name: str, subject: Callable[[FakeOps], str] | None = None) -> Callable[[Console], None]:
    """Show a screen, for one thing if `subject` says which."""
    return lambda c: c.app.open(name, subject(c.ops) if subject else None)


def here(c: Console) -> ConsoleScreen:
    """The screen in front."""
    screen = c.app.screen
    assert isinstance(screen, ConsoleScreen)
    return screen


def a_run(job: str) -> Callable[[FakeOps], str]:
    """The newest run of a job."""
    return lambda ops: next(r.run_id for r in ops.ended if r.job == job)


def ask(c: Console) -> None:
    """A question."""
    lines = [
        cells(cell("job    ", "dim"), cell("send_email", "strong")),
        cells(cell("error  ", "dim"), cell("boom", "bad")),
    ]
    c.app.push_screen(AskDialog("Retry this dead letter?", lines, "retry it"))


def scenes(*, job: str = "flaky_import", queue: str = "mail") -> tuple[Scene, ...]:
    """Every screen, each page for one thing of the data."""
    lists = tuple(Scene(name, opens(name)) for _, name, _ in NUMBERED)
    return (
        *lists,
        Scene("queue", opens("queue", lambda _: queue), "running 1" if queue == HOSTILE else "taken next"),
        Scene("letter", opens("letter", lambda ops: ops.dead[0].id), "Error and attempts"),
        Scene("run", opens("run", a_run(job)), "line two"),
        Scene("run-live", opens("run", lambda ops: fire_run_id("fake", "b", T0)), "retry in 4 s"),
        Scene("job", opens("job", lambda _: job), "Job"),
        Scene("help", lambda c: here(c).action_help(), "Esc"),
        Scene("palette", lambda c: here(c).action_command(), "Esc"),
        Scene("trigger", lambda c: here(c).ask_trigger(job), "Esc"),
        Scene("ask", ask, "Esc"),
    )


async def take(c: Console, scene: Scene) -> str:
    """Go there, wait until nothing changes any more, and read the terminal."""
    while len(c.app.screen_stack) > 1 and not isinstance(c.app.screen, ConsoleScreen):
        c.app.pop_screen()
        await c.pilot.pause()
    scene.show(c)
    await c.pilot.pause()
    await c.until(lambda: scene.word in picture(c) or "down" in picture(c), 30)
    await settled(c)
    return picture(c)


async def settled(c: Console) -> None:
    """Everything that was asked for has come: some ticks of the feed have passed, and the picture stayed."""
    before, same = "", 0
    while same < 2:
        await ticked(c)
        now = picture(c)
        before, same = now, (same + 1 if now == before else 0)


async def ticked(c: Console) -> None:
    """The feed has said something new, or again that it can't."""
    links = dict(c.app.state.links)
    live = c.app.state.live
    await c.until(lambda: c.app.state.live is not live or c.app.state.links != links or c.ops.redis_error, 30)
    await c.pilot.pause(0.03)


def picture(c: Console) -> str:
    """What is shown, row by row."""
    text = c.app.terminals[1].text() if isinstance(c.app, Recorded) and c.app.terminals else c.screen()
    return "\n".join(line.rstrip() for line in text.split("\n")) + "\n"


def looks(c: Console) -> str:
    """The picture with the looks of its cells below: a letter each, and what the letters mean."""
    assert c.app.terminals
    letters: dict[Look, str] = {PLAIN: "."}
    rows = []
    for line in c.app.terminals[1].cells:
        row = ""
        for char, look in line:
            seen = look if char.strip() or look[2] else PLAIN
            row += letters.setdefault(seen, ascii_letters[len(letters) - 1])
        rows.append(row.rstrip("."))
    meant = []
    for (attributes, color, ground), letter in letters.items():
        how = " bold" if "1" in attributes else ""
        meant.append(f"{letter}  {color_name(color)} on {color_name(ground)}{how}")
    return "\n".join((picture(c), *rows, "", *meant)) + "\n"


def color_name(code: str) -> str:
    """What the theme calls it; Textual rounds some of its colours."""
    if not code:
        return "-"
    rgb = tuple(map(int, code.split(";")[1:]))
    theme = BUILT_IN["dark"]
    known = theme.variables | {name: str(getattr(theme, name)) for name in COLORS}
    for name, value in reversed(known.items()):
        if all(abs(a - b) <= 1 for a, b in zip(rgb, Color.parse(value).rgb, strict=True)):
            return name
    return f"grey {rgb[0]}" if len(set(rgb)) == 1 else code
