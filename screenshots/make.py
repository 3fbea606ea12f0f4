"""Draw the console into pictures: ``python screenshots/make.py [DIRECTORY] [NAME …]``.

The real app over the embedded servers, with data from a seed and a clock that is moved by hand: the same code makes the
same pictures. Writes an SVG each and a PNG beside it. Needs libfaketime for the servers' clock, rsvg-convert and the
font Fira Code (Debian: faketime, librsvg2-bin, fonts-firacode).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}  # whatever terminal this is started from
os.environ.pop("NO_COLOR", None)

from clock import Clock  # noqa: E402
from company import CONTEXT, NAMESPACE, NOW_MS, ZONE  # noqa: E402
from present import Shop  # noqa: E402
from shots import SHOTS, Shot  # noqa: E402
from textual.pilot import Pilot  # noqa: E402

from backends.connect import Servers, Settings  # noqa: E402
from backends.embedded import acquire  # noqa: E402
from backends.ops import Ops  # noqa: E402
from backends.overview import HistoryOverview, Overview  # noqa: E402
from console.app import ConsoleApp  # noqa: E402
from console.contexts import Choice  # noqa: E402
from console.feed import Pace  # noqa: E402
from console.settings import Preferences  # noqa: E402

STEP_MS = 2_000
CALM, WAVE = (1, 0, 1, 0, 0, 1, 1, 0, 2, 0, 0, 1, 0), (7, 19, 16, 9, 4, 1, 1)
MAILS = (*CALM, *WAVE, *CALM, *WAVE)
"""So many mails come in, a step each."""
PACE = Pace(busy_s=0.02, idle_s=0.02, history_s=0.05, history_idle_s=0.1, depth_s=2.0)
DEPTHS = 120
STILL, LONGEST_S = 5, 30.0


class Steady(Ops):
    """Answers took as long as they always do: what is measured differs from day to day."""

    async def overview(self) -> Overview:
        """The live part."""
        found = await super().overview()
        return replace(found, redis=replace(found.redis, latency_ms=0.4))

    async def history_overview(self) -> HistoryOverview:
        """The recorded part."""
        found = await super().history_overview()
        return replace(found, postgres=replace(found.postgres, latency_ms=1.6))


class Studio:
    """The shop, one connection to it for all pictures, and what the queues' depths were meanwhile."""

    def __init__(self, shop: Shop, ops: Ops, clock: Clock) -> None:
        self.shop, self.ops, self.clock = shop, ops, clock
        self.depths: dict[str, deque[int]] = {}

    def app(self, theme: str) -> ConsoleApp:
        """The console, as `prod-eu` in red."""

        @asynccontextmanager
        async def opens() -> AsyncIterator[Ops]:
            yield self.ops

        choice = Choice(CONTEXT, opens, "red")  # type: ignore[arg-type]
        preferences = Preferences(timezone=ZONE, ascii=False, theme=theme)
        return ConsoleApp(opens, CONTEXT, contexts=[choice], preferences=preferences, clock=self.clock, pace=PACE)  # type: ignore[arg-type]

    async def live(self) -> None:
        """Let some time pass and look: rates and depths come from looking."""
        for n, mails in enumerate(MAILS, 1):
            await self.shop.step(NOW_MS + n * STEP_MS, mails)
            await self.ops.queue_flows()
            for queue in (await self.ops.overview()).queues:
                depth = self.depths.setdefault(queue.name, deque(maxlen=DEPTHS))
                depth.append(queue.ready + queue.waiting + queue.inbox)

    async def take(self, shot: Shot) -> str:
        """The screen as SVG."""
        app = self.app(shot.theme)
        app.feed._depths = {name: depths.copy() for name, depths in self.depths.items()}  # noqa: SLF001
        app.feed._depth_at = self.clock.ms  # noqa: SLF001
        async with app.run_test(size=shot.size) as pilot:
            await until(pilot, lambda: app.state.live is not None and app.state.history is not None)
            await settled(pilot, ())
            for key in shot.keys:
                await pilot.press(key)
                await settled(pilot, ())
            await settled(pilot, shot.sees)
            svg = app.export_screenshot(title="cronsole")
        return svg.replace("<svg ", '<svg xml:space="preserve" ', 1)


def text(pilot: Pilot[Any]) -> str:
    """What is on the screen."""
    return "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips())  # noqa: SLF001


async def until(pilot: Pilot[Any], true: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = asyncio.get_running_loop().time() + LONGEST_S
    while not true():
        if asyncio.get_running_loop().time() > deadline:
            raise SystemExit(f"waited in vain; on the screen:\n{text(pilot)}")
        await pilot.pause(0.01)


async def settled(pilot: Pilot[Any], sees: tuple[str, ...]) -> None:
    """Wait until those words are there and nothing has moved for a while."""
    last, same = "", 0

    def still() -> bool:
        nonlocal last, same
        now = text(pilot)
        same = same + 1 if now == last and "reading …" not in now and all(word in now for word in sees) else 0
        last = now
        return same >= STILL

    await until(pilot, still)


def make_room() -> Path:
    """A directory for the servers."""
    root = Path(tempfile.mkdtemp(prefix="cs-"))
    root.chmod(0o711)  # the embedded PostgreSQL may have to run as another user
    (root / "clock").mkdir(mode=0o755)
    return root


@asynccontextmanager
async def studio(seed: int) -> AsyncIterator[Studio]:
    """Servers of their own, full of the shop."""
    root = make_room()
    clock = Clock(root / "clock" / "now", NOW_MS)
    holder = await asyncio.to_thread(acquire, root / "data")
    try:
        settings = Settings(holder.redis_url, holder.postgres_url, NAMESPACE, root / "data", context=CONTEXT)
        async with await Servers.open(settings, role="pictures") as servers, Steady.open(settings) as ops:
            shop = Shop(servers, clock, HERE / "jobs.toml", seed)
            await shop.fill(ops)
            yield Studio(shop, ops, clock)
    finally:
        await asyncio.to_thread(holder.release)
        shutil.rmtree(root, ignore_errors=True)


def save(svg: str, path: Path, converter: str) -> None:
    """The picture in both forms; with pngquant the PNG has fewer colours and a third of the bytes."""
    path.write_text(svg, encoding="utf-8")
    png = str(path.with_suffix(".png"))
    subprocess.run([converter, str(path), "-o", png], check=True)
    if shutil.which("pngquant"):
        subprocess.run(["pngquant", "--force", "--ext", ".png", "--speed", "1", "128", png], check=True)


async def make(directory: Path, shots: Sequence[Shot], converter: str) -> None:
    """These pictures."""
    async with studio(seed=7) as place:
        await place.live()
        for shot in shots:
            save(await place.take(shot), directory / f"{shot.name}.svg", converter)


def main(directory: Path, names: Sequence[str]) -> None:
    """All pictures, or those of that name."""
    converter = shutil.which("rsvg-convert")
    if converter is None:
        raise SystemExit("no PNG can be made: apt-get install librsvg2-bin fonts-firacode")
    directory.mkdir(parents=True, exist_ok=True)
    asyncio.run(make(directory, [shot for shot in SHOTS if not names or shot.name in names], converter))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE, sys.argv[2:])
