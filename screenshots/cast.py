"""Record a short session of the console: ``python screenshots/cast.py [FILE]``, an asciinema recording (version 2).

A real console in a real terminal, over the shop of the pictures; its clock goes on. `asciinema play FILE` shows it.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from company import CONTEXT, NAMESPACE, NOW_MS, ZONE  # noqa: E402
from make import Studio, studio  # noqa: E402

from tests.support.terminal import Terminal  # noqa: E402

COLUMNS, ROWS = 120, 34
BEAT_S = 0.5
SESSION: tuple[tuple[float, str], ...] = (
    # seconds before it, what is typed
    (2.5, "2"), (1.6, "-"), (0.8, "m"), (1.2, "a"), (2.0, "\x1b"),
    (0.6, "4"), (1.2, "\t"), (0.6, "j"), (1.4, "r"), (2.0, "y"),
    (3.0, ":"), *((0.14, letter) for letter in "warm"), (0.8, "\r"), (1.6, "t"), (1.0, "\r"), (0.9, "F"),
    (7.0, "\x1b"), (0.8, "c"), (2.2, ""),
)  # fmt: skip
PROGRAM = """
import sys, time
away, real, real_ns = int(sys.argv.pop(1)), time.time, time.time_ns
time.time, time.time_ns = lambda: real() + away, lambda: real_ns() + away * 10**9
from console.cli import main
main()
"""
CONFIG = """
[console]
timezone = "{zone}"
[contexts.{context}]
redis_url = "{redis}"
postgres_url = "{postgres}"
namespace = "{namespace}"
color = "red"
"""


async def keep_going(place: Studio) -> None:
    """The shop's little engine."""
    beat = 0
    while True:
        beat += 1
        await place.shop.step(place.clock.ms, int(beat % 3 == 0))
        await asyncio.sleep(BEAT_S)


def play(terminal: Terminal) -> None:
    """The session."""
    terminal.until(["product_feed", "running"])
    for pause, keys in SESSION:
        time.sleep(pause)
        terminal.keys(keys)


def recording(terminal: Terminal) -> str:
    """What was written, and when, from the first frame on."""
    head = {"version": 2, "width": COLUMNS, "height": ROWS, "timestamp": NOW_MS // 1000, "title": "cronsole",
            "env": {"TERM": "xterm-256color"}}  # fmt: skip
    lines = [json.dumps(head)]
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    began, before = terminal.chunks[0][0], 0
    for at, end in terminal.chunks:
        text = decode(bytes(terminal.raw[before:end]))
        before = end
        if text:
            lines.append(json.dumps([round(at - began, 3), "o", text], ensure_ascii=False))
    return "\n".join(lines) + "\n"


def show(place: Studio, away_s: int) -> str:
    """Start the console and play."""
    settings = place.shop.servers.settings
    config = settings.data_dir.parent / "config.toml"
    config.write_text(
        CONFIG.format(zone=ZONE, context=CONTEXT, redis=settings.redis_url, postgres=settings.postgres_url,
                      namespace=NAMESPACE)
    )  # fmt: skip
    home = config.parent
    env = {**os.environ, "PYTHONPATH": str(HERE.parent), "CRONSOLE_CONFIG": str(config), "HOME": str(home),
           "CRONSOLE_DATA_DIR": str(home / "console"), "XDG_STATE_HOME": str(home / "state")}  # fmt: skip
    args = [sys.executable, "-c", PROGRAM, str(away_s), "--context", CONTEXT]
    terminal = Terminal(args, env, COLUMNS, ROWS)
    try:
        play(terminal)
        return recording(terminal)
    finally:
        terminal.close()


async def record() -> str:
    """The recording."""
    async with studio(seed=7) as place:
        away_s = place.clock.run()
        going = asyncio.create_task(keep_going(place))
        try:
            return await asyncio.to_thread(show, place, away_s)
        finally:
            going.cancel()


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "cronsole.cast").write_text(asyncio.run(record()), "utf-8")
