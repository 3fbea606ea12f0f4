"""What cronsole costs while nothing happens: an idle engine, an idle console, and what starting costs.

python benchmarks/idle.py [--seconds 20]

Embedded servers, the demo's schedules (none due while it measures). Beside each figure, in the same run: a bare Python
process for start-up, and an empty Textual app for the console.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from backends.connect import Servers, Settings  # noqa: E402
from tests.support.terminal import Terminal  # noqa: E402

EMPTY_APP = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("READY")
Empty().run()
"""


def cpu_ms(args: list[str], env: dict[str, str]) -> float:
    """CPU of a whole process, the least of five runs."""
    best = 1e9
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(args, env=env, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return best


def watch(pid: int, seconds: float) -> tuple[float, float]:
    """(percent of a core, MB) of a process and its children."""
    top = psutil.Process(pid)
    group = [top, *top.children(recursive=True)]
    before = sum(sum(p.cpu_times()[:2]) for p in group)
    time.sleep(seconds)
    used = sum(sum(p.cpu_times()[:2]) for p in group) - before
    return 100 * used / seconds, top.memory_info().rss / 2**20


def first_frame(args: list[str], env: dict[str, str], words: str) -> tuple[float, Terminal]:
    """Seconds until the words are on the screen."""
    began = time.perf_counter()
    terminal = Terminal(args, env, 140, 40)
    terminal.until(words)
    return time.perf_counter() - began, terminal


async def bench(folder: Path, seconds: float) -> None:
    """Measure and print."""
    (folder / "jobs.toml").write_text(
        "".join(f'[jobs.j{n}]\nschedule = "0 0 1 1 *"\ncommand = "true"\n' for n in range(20))
    )
    async with await Servers.open(Settings(None, None, "idle", folder / "data"), role="bench") as servers:
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CRONSOLE_REDIS_URL": servers.redis_url,
            "CRONSOLE_POSTGRES_URL": servers.postgres_url,
            "CRONSOLE_NAMESPACE": "idle",
            "HOME": str(folder),
        }
        python = sys.executable
        bare = cpu_ms([python, "-c", "pass"], env)
        helped = cpu_ms([python, "-m", "console", "--help"], env)
        print(f"cronsole --help      {helped:6.0f} ms CPU   (bare Python {bare:.0f} ms)")
        log = (folder / "engine.log").open("wb")
        engine = await asyncio.to_thread(
            subprocess.Popen,
            [python, "-m", "console", "engine", "-j", str(folder / "jobs.toml")], env=env, stderr=log,
        )  # fmt: skip
        try:
            await asyncio.sleep(5)
            cpu, mb = await asyncio.to_thread(watch, engine.pid, seconds)
            print(f"idle engine          {cpu:6.2f} % of a core, {mb:.0f} MB")
            took, empty = await asyncio.to_thread(first_frame, [python, "-c", EMPTY_APP], env, "READY")
            empty_mb = psutil.Process(empty.process.pid).memory_info().rss / 2**20
            empty_cpu, _ = await asyncio.to_thread(watch, empty.process.pid, min(seconds, 5))
            empty.close()
            frame, console = await asyncio.to_thread(first_frame, [python, "-m", "console"], env, "Time line")
            try:
                began = time.perf_counter()
                await asyncio.to_thread(console.until, ["j19", "1 engine"])
                data = frame + time.perf_counter() - began
                await asyncio.sleep(5)
                before = len(console.raw)
                cpu, mb = await asyncio.to_thread(watch, console.process.pid, seconds)
                sent = (len(console.raw) - before) / seconds
            finally:
                console.close()
            print(f"console first frame  {frame:6.2f} s, with data {data:.2f} s   (empty Textual app {took:.2f} s)")
            print(f"idle console         {cpu:6.2f} % of a core, {mb:.0f} MB, {sent:.0f} B/s to the terminal"
                  f"   (empty app {empty_cpu:.2f} %, {empty_mb:.0f} MB)")  # fmt: skip
        finally:
            engine.terminate()
            await asyncio.to_thread(engine.wait, 20)


def main() -> None:
    """Run it in a directory of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cs-idle-"))
    folder.chmod(0o711)
    try:
        asyncio.run(bench(folder, args.seconds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
