"""Draw the console into pictures: ``python screenshots/make.py [DIRECTORY]``.

Seeded in-memory data and a fixed clock, so the same code makes the same pictures. Writes an SVG each, and a PNG beside
it where ``rsvg-convert`` is installed (Debian: librsvg2-bin, with the font package fonts-firacode).
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from console.app import ConsoleApp  # noqa: E402
from console.feed import OpenOps, Pace  # noqa: E402
from console.settings import Preferences  # noqa: E402
from tests.console.fake_ops import T0, FakeOps, opener  # noqa: E402

SHOTS: tuple[tuple[str, tuple[int, int], tuple[str, ...]], ...] = (
    ("overview", (120, 36), ()),
    ("overview-80x24", (80, 24), ()),
    ("overview-200x60", (200, 60), ()),
    ("dead-letter", (120, 36), ("tab", "tab", "j", "enter")),
    ("trigger", (120, 36), ("j", "t")),
    ("help", (120, 36), ("question_mark",)),
    ("cron-lab", (120, 36), (*"jjjjj7", *["greater_than_sign"] * 4, "tab", *"jjjjh", "shift+tab")),
)
PACE = Pace(busy_s=0.02, idle_s=0.02, history_s=0.05, history_idle_s=0.1)
TICKS, TICK_MS = 40, 2000


async def shoot(open_ops: OpenOps, size: tuple[int, int], keys: Sequence[str], clock: list[int]) -> str:
    """The screen as SVG, after the clock went on far enough for the depth of the queues to have a past."""
    preferences = Preferences(timezone="UTC", ascii=False)
    app = ConsoleApp(open_ops, "prod-eu", preferences=preferences, clock=lambda: clock[0], pace=PACE)
    async with app.run_test(size=size) as pilot:
        for _ in range(TICKS):
            clock[0] += TICK_MS
            app.overview.pass_time()
            await pilot.pause(0.03)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.05)
        await pilot.pause(0.1)
        svg = app.export_screenshot(title="cronsole")
    return svg.replace("<svg ", '<svg xml:space="preserve" ', 1)


def main(directory: Path) -> None:
    """All pictures."""
    directory.mkdir(parents=True, exist_ok=True)
    converter = shutil.which("rsvg-convert")
    for name, size, keys in SHOTS:
        clock = [T0 - TICKS * TICK_MS]
        ops = FakeOps(lambda clock=clock: clock[0])  # type: ignore[misc]
        svg = directory / f"{name}.svg"
        svg.write_text(asyncio.run(shoot(opener(ops), size, keys, clock)), encoding="utf-8")
        if converter:
            subprocess.run([converter, str(svg), "-o", str(svg.with_suffix(".png"))], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "screenshots")
