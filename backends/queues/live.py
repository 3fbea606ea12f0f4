"""What is alive: engine heartbeats, the names of the queues and the capped stream of what just happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from backends.model import EngineStatus, LiveEvent, now_ms
from backends.queues.keys import events_key, queues_key, workers_key

EVENTS_KEPT = 2_000
ENGINE_GONE_MS = 30_000
"""A heartbeat older than this is not shown as alive; the entry goes after ten times as long."""

_status = msgspec.json.Decoder(EngineStatus)
_counts = msgspec.json.Decoder(dict[str, int])


async def queue_names(client: Any, namespace: str) -> list[str]:
    """All queues of a namespace, sorted."""
    return sorted(name.decode() for name in await client.smembers(queues_key(namespace)))


async def beat(client: Any, namespace: str, status: EngineStatus) -> None:
    """Write an engine's heartbeat."""
    await client.hset(workers_key(namespace), status.id, msgspec.json.encode(status))


async def leave(client: Any, namespace: str, engine: str) -> None:
    """Take an engine off the list."""
    await client.hdel(workers_key(namespace), engine)


def read_engines(answer: Mapping[bytes, bytes]) -> tuple[list[EngineStatus], list[str]]:
    """Split the heartbeat hash into engines that are alive and ids long gone."""
    alive, gone = [], []
    for key, value in answer.items():
        try:
            status = _status.decode(value)
        except msgspec.DecodeError:
            gone.append(key.decode("utf-8", "replace"))
            continue
        age = now_ms() - status.beat_ms
        if age < ENGINE_GONE_MS:
            alive.append(status)
        elif age > 10 * ENGINE_GONE_MS:
            gone.append(status.id)
    return sorted(alive, key=lambda e: (e.host, e.pid)), gone


async def engines(client: Any, namespace: str) -> list[EngineStatus]:
    """The engines that are alive."""
    alive, gone = read_engines(await client.hgetall(workers_key(namespace)))
    if gone:
        await client.hdel(workers_key(namespace), *gone)
    return alive


async def publish_event(client: Any, namespace: str, queue: str, counts: Mapping[str, int]) -> None:
    """Tell consoles how many attempts of a queue ended how, since the last event of this engine."""
    await client.xadd(
        events_key(namespace), {"q": queue, "n": msgspec.json.encode(counts)}, maxlen=EVENTS_KEPT, approximate=True
    )


async def read_events(client: Any, namespace: str, after: str = "-", count: int = 500) -> tuple[list[LiveEvent], str]:
    """Events after an id (exclusive; '-' for the start), and the id to go on from."""
    low = after if after == "-" else f"({after}"
    events, last = [], after
    for key, fields in await client.xrange(events_key(namespace), low, "+", count=count):
        last = key.decode()
        events.append(LiveEvent(int(last.partition("-")[0]), fields[b"q"].decode(), _counts.decode(fields[b"n"])))
    return events, last
