"""Live output as engines write it and screens read it, over a real server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backends.connect import Settings
from backends.engine.logs import CHUNK, LiveLogs
from backends.queues.keys import queue_prefix
from backends.queues.where import read_log


@pytest.fixture
def prefix(settings: Settings) -> str:
    """Of the keys of a queue."""
    return queue_prefix(settings.namespace, "q")


class Hands:
    """Which attempt of the run `r` is in hand."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.attempt: int | None = 1

    def __call__(self, run_id: str) -> tuple[str, int] | None:
        return None if self.attempt is None else (self.prefix, self.attempt)


async def flushed(logs: LiveLogs) -> None:
    """Everything that was written so far is on the server."""
    stop = asyncio.Event()
    stop.set()
    await logs.run(stop)
    await logs._flush()


async def text(redis: Any, prefix: str, attempt: int | None = None) -> bytes:
    return b"".join((await read_log(redis, prefix, "r", attempt=attempt)).chunks)


async def test_each_attempt_has_its_own_output(redis: Any, prefix: str) -> None:
    """One stream a run; its entries say whose they are."""
    hands = Hands(prefix)
    logs = LiveLogs(redis, hands)
    logs.write("r", b"first\n")
    hands.attempt = 2
    logs.write("r", b"second\n")
    await flushed(logs)
    assert await text(redis, prefix, 1) == b"first\n"
    assert await text(redis, prefix, 2) == b"second\n"
    assert await text(redis, prefix) == b"first\nsecond\n"


async def test_the_last_words_of_an_attempt_are_written_after_it_left(redis: Any, prefix: str) -> None:
    """It is in hand when it writes, and no longer when that is flushed; what comes later is nobody's."""
    hands = Hands(prefix)
    logs = LiveLogs(redis, hands)
    logs.write("r", b"the last words\n")
    hands.attempt = None
    logs.write("r", b"of a grandchild\n")
    await flushed(logs)
    assert await text(redis, prefix, 1) == b"the last words\n"


async def test_what_comes_too_fast_is_counted(redis: Any, prefix: str) -> None:
    """The newest part is kept; how much is missing before it is told."""
    logs = LiveLogs(redis, Hands(prefix))
    for n in range(100):
        logs.write("r", b"%02d" % n + b"x" * 998)
    await flushed(logs)
    found = await text(redis, prefix)
    assert found.startswith(b"\n... %d bytes came too fast to be kept live ...\n" % (100_000 - CHUNK))
    assert found.endswith(b"99" + b"x" * 998)
    assert len(found) < CHUNK + 100
