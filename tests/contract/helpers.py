"""What the contract tests build runs and settlements with."""

from __future__ import annotations

from typing import Any

import msgspec

from backends.model import AttemptRecord, Outcome, new_run_id
from backends.queues.base import Delivery, NewRun, Op, Queue, Settle, Settlement
from backends.queues.dead_index import DeadHeader

WORKER = "w1"
RETRY = Op("retry-1", "retry", "me", 4_000_000_000_000)


def run(job: str = "noop", **more: Any) -> NewRun:
    """A new run with an envelope that no decoder of ours may ever change."""
    raw = b'{"id":"77", "type":"' + job.encode() + b'","payload":{"n":1},"x-unknown":[1,2]}'
    return NewRun(more.pop("run_id", new_run_id()), job, more.pop("envelope", raw), **more)


def record(d: Delivery, outcome: Outcome = Outcome.SUCCEEDED, *, final: bool = True) -> bytes:
    """The JSON of the record that goes with a settlement."""
    return msgspec.json.encode(
        AttemptRecord(
            run_id=d.run_id, attempt=d.attempt, job=d.job, queue=d.queue, outcome=outcome, finished_us=1, final=final
        )
    )


def done(d: Delivery) -> Settlement:
    """It succeeded."""
    return Settlement(d, Settle.DONE, record(d))


def retry(d: Delivery, due_ms: int = 0, failures: int | None = None) -> Settlement:
    """It failed and is tried again."""
    count = d.failures + 1 if failures is None else failures
    return Settlement(
        d, Settle.RETRY, record(d, Outcome.FAILED, final=False), due_ms=due_ms, failures=count, crashes=d.crashes
    )


def dead(d: Delivery, group: str = "aaaa000011112222", error: str = "boom") -> Settlement:
    """It failed for the last time."""
    header = DeadHeader(
        job=d.job, attempts=d.attempt, error_class="ValueError", error=error, failed_ms=1_700_000_000_000, group=group,
        priority=d.priority, slot=d.slot, worker=WORKER,
    )  # fmt: skip
    return Settlement(d, Settle.DEAD, record(d, Outcome.FAILED), header=msgspec.json.encode(header))


async def take_one(queue: Queue, worker: str = WORKER) -> Delivery:
    """The next attempt; fails where there is none."""
    taken = await queue.take(worker, 1)
    assert len(taken.deliveries) == 1
    return taken.deliveries[0]


async def counts(queue: Queue) -> dict[str, int]:
    """Where the runs are."""
    s = await queue.status()
    return {k: v for k, v in vars_of(s).items() if v}


def vars_of(s: Any) -> dict[str, int]:
    """The counts of a status."""
    return {k: getattr(s, k) for k in ("ready", "running", "later", "waiting", "dead")}
