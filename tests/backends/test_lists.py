"""List inboxes: what other programs push becomes runs, or dead letters with the raw bytes and the reason."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from backends.connect import Servers
from backends.engine.settling import settle
from backends.engine.worker import _read as read
from backends.engine.worker import _refused
from backends.model import now_ms
from backends.queues.base import Op
from backends.queues.dead_index import DeadHeader
from backends.queues.lists import MAX_ENVELOPE, ListInbox, Rejected, inspect
from backends.queues.streams import StreamQueue
from tests.contract.helpers import RETRY, take_one

ROOT = Path(__file__).resolve().parents[2]
KNOWN = {"send_email": 1, "urgent": 0}

BAD = {
    b"": "BadEnvelope",
    b"not json": "BadEnvelope",
    b'{"type":"send_email"': "BadEnvelope",
    b"[1, 2]": "BadEnvelope",
    b"null": "BadEnvelope",
    b"{}": "BadEnvelope",
    b'{"type": 7}': "BadEnvelope",
    b'{"type":"send_email","payload":[1]}': "BadEnvelope",
    b'{"type":"send_email","payload":null}': "BadEnvelope",
    b'{"type":"send_email","payload":{"a":"\xff\xfe"}}': "BadEnvelope",
    b'{"type":"send_email","payload":{"a":"\\u0000"}}': "BadEnvelope",
    b'{"type":"send_email","payload":{"a":"\x00"}}': "BadEnvelope",
    b"\x00\x00\x00": "BadEnvelope",
    b'{"type":"nobody_knows"}': "UnknownJob",
    b'{"type":"send_email","payload":{"a":"' + b"x" * 5_000_000 + b'"}}': "EnvelopeTooLarge",
    b"[" * 100_000: "BadEnvelope",
}


@pytest.fixture
def queue(connected: Servers) -> StreamQueue:
    return StreamQueue(connected.redis, connected.settings.namespace, "mail")


@pytest.mark.parametrize(("raw", "error_class"), BAD.items(), ids=[str(n) for n in range(len(BAD))])
def test_bad_entries_are_told_apart(raw: bytes, error_class: str) -> None:
    verdict = inspect(raw, KNOWN, KNOWN)
    assert isinstance(verdict, Rejected)
    assert verdict.error_class == error_class
    assert verdict.error
    assert len(verdict.job) <= 100


@pytest.mark.parametrize("raw", BAD, ids=[str(n) for n in range(len(BAD))])
async def test_a_letter_that_is_retried_gets_the_same_diagnosis_and_group(
    connected: Servers, queue: StreamQueue, raw: bytes
) -> None:
    header, problem = read(raw)
    if not problem and raw != b'{"type":"nobody_knows"}':
        return  # an inbox is stricter: what is well formed but no good there may run when an operator says so
    inbox = ListInbox(queue, connected.redis, f"{connected.settings.namespace}:mail")
    await connected.redis.rpush(inbox.key, raw)
    await drain(inbox)
    (letter,) = (await queue.dead_page(9)).items
    await queue.dead_retry(RETRY, [(letter.id, letter.sequence)])
    d = await take_one(queue)
    again = msgspec.json.decode(settle(d, None, header, _refused(d, None, problem), "w").header, type=DeadHeader)
    assert (again.error_class, again.error, again.group) == (letter.error_class, letter.error, letter.group)


def test_an_entry_of_the_dart_queue_is_a_run() -> None:
    raw = b'{"id":"1764000000000","type":"urgent","payload":{"n":1},"createdAt":"2026-11-23T10:00:00.000","attempts":0}'
    verdict = inspect(raw, KNOWN, KNOWN)
    assert not isinstance(verdict, Rejected)
    assert (verdict.job, verdict.priority, verdict.envelope) == ("urgent", 0, raw)


async def drain(inbox: ListInbox) -> int:
    moved = 0
    while n := await inbox.drain(KNOWN):
        moved += n
    return moved


async def test_nothing_is_dropped(connected: Servers, queue: StreamQueue) -> None:
    inbox = ListInbox(queue, connected.redis, f"{connected.settings.namespace}:mail")
    good = b'{"type":"send_email","id":"1","payload":{"to":"a"}}'
    await connected.redis.rpush(inbox.key, good, *BAD, good)
    assert await drain(inbox) == len(BAD) + 2
    assert await inbox.length() == 0
    status = await queue.status()
    assert (status.ready, status.dead) == (2, len(BAD))
    letters = (await queue.dead_page(100)).items
    assert {letter.envelope for letter in letters} == set(BAD), "the raw bytes are kept"
    assert {letter.envelope: letter.error_class for letter in letters} == BAD


@pytest.mark.parametrize("raw", [b'{"type":"nobody_knows"}', b"not json", b'{"type": 7}'])
async def test_what_is_refused_again_after_a_retry_is_the_same_error(
    connected: Servers, queue: StreamQueue, raw: bytes
) -> None:
    """The engine that takes it says so in other words; the group of the letter is the one it had."""
    inbox = ListInbox(queue, connected.redis, f"{connected.settings.namespace}:mail")
    await connected.redis.rpush(inbox.key, raw)
    await drain(inbox)
    (first,) = (await queue.dead_page(9)).items
    await queue.dead_retry(Op("r", "retry", "me", now_ms() + 9_999), [(first.id, first.sequence)])
    (taken,) = (await queue.take("w", 9)).deliveries
    header, problem = read(taken.envelope)
    await queue.settle("w", [settle(taken, None, header, _refused(taken, None, problem), "w")])
    (again,) = (await queue.dead_page(9)).items
    assert (again.error_class, again.group) == (first.error_class, first.group)
    assert [g.count for g in await queue.dead_groups()] == [1]


async def test_many_engines_drain_one_list(connected: Servers, queue: StreamQueue) -> None:
    key = f"{connected.settings.namespace}:mail"
    for n in range(20):
        await connected.redis.rpush(key, *[b'{"type":"send_email","id":"%d"}' % (n * 100 + k) for k in range(100)])
    inboxes = [ListInbox(queue, connected.redis, key) for _ in range(5)]
    moved = 0
    while await inboxes[0].length():
        moved += sum(await asyncio.gather(*(i.drain(KNOWN) for i in inboxes)))
    assert moved == 2000
    seen: list[bytes] = []
    while taken := (await queue.take("w", 200)).deliveries:
        seen += [d.envelope for d in taken]
    assert len(seen) == len(set(seen)) == 2000


async def test_equal_ids_are_different_runs(connected: Servers, queue: StreamQueue) -> None:
    inbox = ListInbox(queue, connected.redis, f"{connected.settings.namespace}:mail")
    await connected.redis.rpush(inbox.key, *[b'{"type":"send_email","id":"1764000000000"}'] * 3)
    await drain(inbox)
    taken = (await queue.take("w", 10)).deliveries
    assert len({d.run_id for d in taken}) == 3


async def test_a_producer_that_is_another_program(connected: Servers, queue: StreamQueue) -> None:
    """The demo's neighbour: plain sockets and JSON, no client library, ids from a millisecond clock."""
    key = f"{connected.settings.namespace}:mail"
    path = connected.redis_url.removeprefix("unix://")
    program = ROOT / "console" / "demo" / "neighbour.py"
    done = subprocess.run(
        [sys.executable, str(program), path, key, "200"], input="push\n", capture_output=True, text=True, check=True
    )
    assert "pushed" in done.stdout
    assert await drain(ListInbox(queue, connected.redis, key)) == 200
    assert (await queue.status()).ready == 200
    taken = (await queue.take("w", 200)).deliveries
    assert len({d.run_id for d in taken}) == 200


def test_the_limit_is_a_limit() -> None:
    padding = MAX_ENVELOPE - len(b'{"type":"send_email","x":""}')
    fits = b'{"type":"send_email","x":"' + b"y" * padding + b'"}'
    assert not isinstance(inspect(fits, KNOWN, KNOWN), Rejected)
    assert isinstance(inspect(fits + b" ", KNOWN, KNOWN), Rejected)
