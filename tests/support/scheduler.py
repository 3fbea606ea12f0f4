"""A scheduler in a process of its own, on a clock that runs sixty times as fast: a minute of cron is a second here.

``python -m tests.support.scheduler NAME REDIS_URL NAMESPACE SECONDS_AT_ZERO VIRTUAL_MS_AT_ZERO SKEW_MS < jobs.json``.
A line on standard input sets the skew anew, as ``date -s`` does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from backends.jobs.spec import JobSpec

SPEED = 60
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class FastClock:
    """Milliseconds since the epoch in the world of the test."""

    zero_s: float  # of time.time()
    zero_ms: int
    skew_ms: int = 0

    def __call__(self) -> int:
        return self.zero_ms + self.skew_ms + int((time.time() - self.zero_s) * 1000 * SPEED)


class SchedulerProcess:
    """One of them, to be killed."""

    def __init__(self, name: str, redis_url: str, namespace: str, clock: FastClock, skew_ms: int, jobs: bytes) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "tests.support.scheduler", name, redis_url, namespace,
                repr(clock.zero_s), str(clock.zero_ms), str(skew_ms),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        assert self.process.stdin
        self.process.stdin.write(jobs + b"\n")
        self.process.stdin.flush()

    def set_clock(self, skew_ms: int) -> None:
        """Set its clock back or forward."""
        assert self.process.stdin
        self.process.stdin.write(b"%d\n" % skew_ms)
        self.process.stdin.flush()

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin
        self.process.stdin.close()


async def _main(name: str, redis_url: str, namespace: str, zero_s: str, zero_ms: str, skew_ms: str) -> None:
    import redis.asyncio

    from backends.engine import scheduler
    from backends.queues.streams import StreamQueue

    scheduler.LONGEST_SLEEP_S /= SPEED
    clock = FastClock(float(zero_s), int(zero_ms), int(skew_ms))
    specs = msgspec.json.decode(sys.stdin.buffer.readline(), type=list[JobSpec])
    queue = StreamQueue(redis.asyncio.Redis.from_url(redis_url), namespace, "default")

    async def known(_: Sequence[str]) -> Mapping[str, tuple[int, str]]:
        return {}

    # A second of this clock is a sixtieth of a real one.
    part = scheduler.Scheduler(name, namespace, lambda _: queue, known, clock)
    part.set_jobs({spec.name: spec for spec in specs})

    def line() -> None:
        text = sys.stdin.buffer.readline()
        if text:
            clock.skew_ms = int(text)
        else:
            asyncio.get_running_loop().remove_reader(0)

    asyncio.get_running_loop().add_reader(0, line)
    while True:
        try:
            delay = await part.tick()
        except Exception as error:
            print(f"{name}: {error}", file=sys.stderr)
            delay = 6.0
        await asyncio.sleep(delay / SPEED)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
