"""Where one run is now: in which queue, in what state, since when, what it waits for; and its live output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from backends.model import Envelope
from backends.queues.dead_index import letter_from, record_key

FAR_MS = 1 << 53
LOG_STEP = 64
"""Chunks of output a read; a chunk is at most 16 kB."""

_envelope = msgspec.json.Decoder(Envelope)
_held = msgspec.msgpack.Decoder(list[msgspec.Raw])
_text = msgspec.msgpack.Decoder(str)


class RunPlace(msgspec.Struct, frozen=True):
    """A run that has not ended for good. Times in milliseconds.

    `state`: ready, running, later, waiting, moving (to another queue) or dead.
    `since_ms`: when it entered that state, as far as that is known. `due_ms`: when one that is `later` is due.
    """

    queue: str
    state: str
    job: str = ""
    attempt: int = 0
    since_ms: int | None = None
    due_ms: int | None = None
    waits_for: str = ""  # the slot, or pause/<job>; moving: the queue it goes to
    engine: str = ""
    trigger: str = ""
    scheduled_for: str = ""
    by: str = ""


class LogPart(msgspec.Struct, frozen=True):
    """What a run has written since the last look: chunks of bytes, the id to go on from, whether some is missing."""

    chunks: tuple[bytes, ...]
    last: str
    cut: bool = False
    more: bool = False  # there is more: ask again at once


async def find_run(client: Any, prefixes: Mapping[str, str], run_id: str) -> RunPlace | None:
    """Where a run is among the queues `prefixes` (name → key prefix); None where it is in none of them."""
    pipe = client.pipeline(transaction=False)
    for prefix in prefixes.values():
        pipe.hget(f"{prefix}live", run_id)
        pipe.zscore(f"{prefix}dead", run_id)
    answers: list[Any] = await pipe.execute() if prefixes else []
    moving: RunPlace | None = None
    for (name, prefix), where, dead in zip(prefixes.items(), answers[::2], answers[1::2], strict=True):
        if where and where[:1] == b"m":  # it may have arrived already
            moving = RunPlace(name, "moving", waits_for=where[1:].decode())
        elif where:
            return await _place(client, name, prefix, run_id, where.decode())
        if dead is not None:
            return await _dead(client, name, prefix, run_id, dead)
    return moving


async def _dead(client: Any, queue: str, prefix: str, run_id: str, sequence: float) -> RunPlace | None:
    packed = await client.get(record_key(prefix, int(sequence)))
    if packed is None:
        return None
    head, _, envelope = packed.partition(b"\n")
    letter = letter_from(run_id, queue, int(sequence), head)
    at = round(letter.failed_at.timestamp() * 1000)
    return RunPlace(queue, "dead", letter.job, letter.attempts, at, engine=letter.worker, **_told(envelope))


async def _place(client: Any, queue: str, prefix: str, run_id: str, where: str) -> RunPlace | None:
    if where[0] != "r":
        packed = await client.hget(f"{prefix}held", run_id)
        score = await client.zscore(f"{prefix}later", run_id)
        due = None if score is None else int(min(max(score, 0), FAR_MS))
        job, attempt, envelope = _unpacked(packed)
        waits_for = where[1:] if where[0] == "w" else ""
        return RunPlace(
            queue, "waiting" if waits_for else "later", job, attempt, due_ms=due,
            waits_for=waits_for, **_told(envelope),
        )  # fmt: skip
    place, _, entry = where[1:].partition(":")
    key = f"{prefix}ready:{place}"
    found = await client.xrange(key, entry, entry)
    if not found:
        return None
    fields = found[0][1]
    told = _told(fields[b"e"])
    job, attempt = fields[b"j"].decode("utf-8", "replace"), int(fields[b"a"])
    pending = await _pending(client, key, entry)
    if pending:
        return RunPlace(queue, "running", job, attempt, engine=pending[0]["consumer"].decode(), **told)
    return RunPlace(queue, "ready", job, attempt, int(entry.partition("-")[0]), **told)


async def _pending(client: Any, key: str, entry: str) -> list[Any]:
    from redis.exceptions import ResponseError

    try:
        return list(await client.xpending_range(key, "engine", entry, entry, 1))
    except ResponseError:  # nothing was ever taken: no group yet
        return []


def _unpacked(packed: bytes | None) -> tuple[str, int, bytes]:
    """(job, attempt, envelope) of a held entry; what can't be read is left out."""
    if packed is None:
        return "", 0, b""
    try:
        entry = _held.decode(packed)
        return _text.decode(entry[4]), int(msgspec.msgpack.decode(entry[0])), _text.decode(entry[5]).encode()
    except (msgspec.MsgspecError, ValueError, IndexError):
        return "", 0, b""


def _told(envelope: bytes) -> dict[str, Any]:
    """What an envelope says about why it is there."""
    try:
        e = _envelope.decode(envelope)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}
    return {"trigger": e.trigger.value, "scheduled_for": e.scheduled_for or "", "by": e.by or ""}


async def read_log(client: Any, prefix: str, run_id: str, after: str = "", attempt: int | None = None) -> LogPart:
    """Live output after the id `after`; from the beginning only its newest LOG_STEP chunks.

    `attempt`: only what this one printed, as far as the chunks say whose they are.
    """
    key = f"{prefix}log:{run_id}"
    if after:
        found = await client.xrange(key, f"({after}", "+", count=LOG_STEP)
    else:
        found = (await client.xrevrange(key, "+", "-", count=LOG_STEP))[::-1]
    full, whose = len(found) == LOG_STEP, b"%d" % (attempt or 0)
    return LogPart(
        tuple([_chunk(fields) for _, fields in found if attempt is None or fields.get(b"a", whose) == whose]),
        found[-1][0].decode() if found else after,
        cut=full and not after,
        more=full and bool(after),
    )


def _chunk(fields: Mapping[bytes, bytes]) -> bytes:
    """A chunk of output, after a line that tells what came too fast to be kept, where something did."""
    left_out = fields.get(b"s")
    told = b"\n... %d bytes came too fast to be kept live ...\n" % int(left_out) if left_out else b""
    return told + fields.get(b"d", b"")
