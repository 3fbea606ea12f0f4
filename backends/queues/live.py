"""What is alive: engine heartbeats, the names of the queues and the capped stream of what just happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from backends.model import EngineStatus, LiveEvent, now_ms
from backends.queues.keys import events_key, queues_key, workers_key

EVENTS_KEPT = 2_000
ENGINE_SILENT_MS = 8_000
"""Four beats: an engine that was not heard of for so long may be dead, and what it said last is not the truth."""
ENGINE_GONE_MS = 30_000
"""So long a lease is: what it ran is given to others now."""
ENGINE_TOLD_MS = 3_600_000
GONE_TOLD = 20
"""So long, and of so many, it is told when they were last heard of; then their entries go."""

_status = msgspec.json.Decoder(EngineStatus)
_counts = msgspec.json.Decoder(dict[str, int])


class Fleet(msgspec.Struct, frozen=True):
    """The engines that are alive or silent, those that died without a word (the last one first), ids to forget."""

    alive: tuple[EngineStatus, ...]
    gone: tuple[EngineStatus, ...]
    forgotten: tuple[str, ...]


async def queue_names(client: Any, namespace: str) -> list[str]:
    """All queues of a namespace, sorted."""
    return sorted(name.decode() for name in await client.smembers(queues_key(namespace)))


async def beat(client: Any, namespace: str, status: EngineStatus) -> None:
    """Write an engine's heartbeat."""
    await client.hset(workers_key(namespace), status.id, msgspec.json.encode(status))


async def leave(client: Any, namespace: str, engine: str) -> None:
    """Take an engine off the list."""
    await client.hdel(workers_key(namespace), engine)


def read_engines(answer: Mapping[bytes, bytes], server_ms: int) -> Fleet:
    """Sort the heartbeat hash. Ages are by the server's clock, which the engines go by; `beat_ms` then is by ours."""
    alive: list[EngineStatus] = []
    gone: list[EngineStatus] = []
    forgotten, here = [], now_ms()
    for key, value in answer.items():
        try:
            status = _status.decode(value)
        except msgspec.DecodeError:
            forgotten.append(key.decode("utf-8", "replace"))
            continue
        age = max(0, server_ms - status.beat_ms)
        status = replace(status, beat_ms=here - age, silent_ms=age if age >= ENGINE_SILENT_MS else 0)
        (alive if age < ENGINE_GONE_MS else gone).append(status)
    gone.sort(key=lambda e: -e.beat_ms)
    told = [e for e in gone[:GONE_TOLD] if e.silent_ms < ENGINE_TOLD_MS]
    forgotten += [e.id for e in gone[len(told) :]]
    return Fleet(tuple(sorted(alive, key=lambda e: (e.host, e.pid))), tuple(told), tuple(forgotten))


async def fleet(client: Any, namespace: str) -> Fleet:
    """The engines; those long gone are forgotten."""
    pipe = client.pipeline(transaction=False)
    pipe.hgetall(workers_key(namespace))
    pipe.time()
    answer, time = await pipe.execute()
    found = read_engines(answer, server_ms(time))
    if found.forgotten:
        await client.hdel(workers_key(namespace), *found.forgotten)
    return found


async def engines(client: Any, namespace: str) -> tuple[EngineStatus, ...]:
    """The engines that are alive."""
    return (await fleet(client, namespace)).alive


def server_ms(time: tuple[int, int]) -> int:
    """The answer of TIME in milliseconds since the epoch."""
    return int(time[0]) * 1000 + int(time[1]) // 1000


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
