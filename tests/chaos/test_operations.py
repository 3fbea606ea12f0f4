"""A console that dies in the middle of a retry: another one goes on; nothing is lost, nothing goes twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from backends.connect import Settings
from backends.model import now_ms
from backends.ops import Ops
from backends.ops.kinds import BEAT_MS
from backends.queues.streams import StreamQueue
from tests.backends.ops_helpers import bury_many
from tests.console.cli_helpers import ROOT
from tests.contract.keyspace import keys_of, places
from tests.support.engine import until

LETTERS = 6_000


@pytest.fixture
async def ops(settings: Settings) -> AsyncIterator[Ops]:
    """The one who goes on."""
    async with Ops.open(settings) as ops:
        yield ops


@pytest.fixture
async def queue(ops: Ops) -> StreamQueue:
    """With some thousand dead letters."""
    queue = ops.live.queue("mail")
    await bury_many(queue, LETTERS)
    return queue


@contextmanager
def retrying(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """`cronsole dead retry` as a process of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CRONSOLE_")}
    own = {
        "PYTHONPATH": str(ROOT), "CRONSOLE_REDIS_URL": settings.redis_url or "",
        "CRONSOLE_POSTGRES_URL": settings.postgres_url or "", "CRONSOLE_NAMESPACE": settings.namespace,
    }  # fmt: skip
    command = "dead retry --error boom --yes --hold 1h"
    process = subprocess.Popen(
        [sys.executable, "-c", "from console.cli import main; main()", *command.split()], env=clean | own, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # background jobs ignore it
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def some_are_back(queue: StreamQueue) -> bool:
    """It is in the middle."""
    return (await queue.status()).later >= 300


async def test_kill_9_in_the_middle_of_a_retry(settings: Settings, ops: Ops, queue: StreamQueue) -> None:
    before = {(d.id, d.sequence) for d in (await ops.dead_list(LETTERS)).items}
    with retrying(settings) as process:
        await until(lambda: some_are_back(queue), "it has put some back", 30)
        process.send_signal(signal.SIGKILL)
        process.wait()
    (op,) = await ops.operations(unfinished=True)
    assert (op.verb, op.state, op.total) == ("dead_retry", "running", LETTERS)
    there = await queue.status()
    assert 0 < there.dead < LETTERS
    assert there.dead + there.later == LETTERS
    places(await keys_of(queue, ops.servers.redis))

    await silent(ops, op.id)
    result = await ops.resume_operation(op.id)
    assert (result.matched, result.changed) == (LETTERS, LETTERS)
    assert (await queue.status()).later == LETTERS
    places(await keys_of(queue, ops.servers.redis))
    assert (await ops.undo(op.id)).changed == LETTERS
    assert {(d.id, d.sequence) for d in (await ops.dead_list(LETTERS)).items} == before
    assert not [name for name in await keys_of(queue, ops.servers.redis) if name.startswith(("trash", "later", "held"))]


async def test_ctrl_c_stops_between_two_steps(settings: Settings, ops: Ops, queue: StreamQueue) -> None:
    with retrying(settings) as process:
        await until(lambda: some_are_back(queue), "it has put some back", 30)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    (op,) = await ops.operations(unfinished=True)
    assert (op.state, op.changed) == ("stopped", (await queue.status()).later)
    assert f"stopped half-way: {op.changed:,} dead letters were put back" in said
    assert f"`cronsole ops resume {op.id}` goes on, `cronsole undo {op.id}` takes it back" in said
    assert (await ops.resume_operation(op.id)).changed == LETTERS


async def silent(ops: Ops, op_id: str) -> None:
    """As if its driver had not been heard of for long."""
    key = f"cronsole:{{{ops.namespace}}}:ops"
    stored = msgspec.json.decode(await ops.servers.redis.hget(key, op_id))
    await ops.servers.redis.hset(key, op_id, msgspec.json.encode(stored | {"beat_ms": now_ms() - BEAT_MS - 1}))
