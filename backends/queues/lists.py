"""Plain Redis lists as inboxes: any program RPUSHes an envelope, the engine moves it into the native queue.

An entry leaves the list in the same script in which it enters the queue, so it is never in no place or in two.
What can't be run (malformed JSON, no type, unknown job, too large) becomes a dead letter with its raw bytes and
the reason.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import msgspec

from backends.fingerprint import fingerprint
from backends.model import AttemptRecord, Envelope, Outcome, new_run_id, now_ms
from backends.queues.base import BATCH, NewRun
from backends.queues.dead_index import DeadHeader, packed_head
from backends.queues.scripts import Arg, script
from backends.queues.streams import StreamQueue

MAX_ENVELOPE = 1_000_000
"""Bytes. Larger payloads make every page, log and transfer slow; put the data elsewhere and send a reference."""

PEEK_BYTES = 4_000_000

_envelope = msgspec.json.Decoder(Envelope)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why an entry can't be run. ``job`` is what it says it is, as far as that could be read."""

    error_class: str
    error: str
    job: str = ""


def inspect(raw: bytes, known: Container[str], priorities: dict[str, int]) -> NewRun | Rejected:
    """Check one raw entry: the run it becomes, or why not."""
    if len(raw) > MAX_ENVELOPE:
        return Rejected("EnvelopeTooLarge", f"{len(raw):,} bytes; at most {MAX_ENVELOPE:,} are taken")
    envelope = read_envelope(raw)
    if isinstance(envelope, str):
        return Rejected("BadEnvelope", envelope)
    if b"\\u0000" in raw:
        return Rejected("BadEnvelope", "contains a NUL character", envelope.type[:100])
    if envelope.type not in known:
        return Rejected("UnknownJob", f"no job is called {envelope.type[:100]!r}", envelope.type[:100])
    return NewRun(new_run_id(), envelope.type, raw, priorities.get(envelope.type, 1))


def read_envelope(raw: bytes) -> Envelope | str:
    """What is in an envelope, or why it can't be read: in the same words wherever it is read."""
    try:
        raw.decode()
        return _envelope.decode(raw)
    except UnicodeDecodeError as error:
        return f"not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}"
    except msgspec.ValidationError as error:
        return str(error)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"not a JSON object: {error}"


class ListInbox:
    """Drains one list into one native queue. Any number of engines may drain the same list."""

    def __init__(self, queue: StreamQueue, client: Any, key: str) -> None:
        self.queue = queue
        self.key = key
        self._redis = client

    async def length(self) -> int:
        """Entries waiting in the list."""
        return int(await self._redis.llen(self.key))

    async def drain(self, jobs: dict[str, int]) -> int:
        """Move one batch; `jobs`: the declared jobs and their priorities. Returns how many entries were moved."""
        found = await script("peek_list")(self._redis, [self.queue.prefix, self.key], [BATCH, PEEK_BYTES])
        if not found:
            return 0
        await self.queue.announce()
        args: list[Arg] = []
        for raw in found:
            verdict = inspect(raw, jobs, jobs)
            if isinstance(verdict, NewRun):
                args += (raw, verdict.run_id, verdict.priority, verdict.job, "run", "", "")
            else:
                args += (raw, *self._refuse(verdict))
        return int(await script("drain_list")(self._redis, [self.queue.prefix, self.key], args))

    def _refuse(self, why: Rejected) -> list[Arg]:
        run_id, job = new_run_id(), why.job or "?"
        group = fingerprint(job, why.error_class, (), why.error)
        at = now_ms()
        header = DeadHeader(
            job=job, attempts=1, error_class=why.error_class, error=why.error, failed_ms=at, group=group
        )
        record = AttemptRecord(
            run_id=run_id, attempt=1, job=job, queue=self.queue.name, outcome=Outcome.FAILED, finished_us=at * 1000,
            error_class=why.error_class, error=why.error, fingerprint=group,
        )  # fmt: skip
        return [run_id, 1, job, "dead", packed_head(header), msgspec.json.encode(record)]
