"""From how an attempt ended to where its run goes. Pure: no I/O, so the rules are tested as a table."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from backends.engine.executors.base import Ended
from backends.fingerprint import fingerprint
from backends.jobs.spec import JobSpec
from backends.model import ENVELOPE_MOST, NO_ENVELOPE, AttemptRecord, Outcome, Trigger, now_ms
from backends.queues.base import Delivery, Settle, Settlement
from backends.queues.dead_index import CLASS_MOST, ERROR_MOST, NAME_MOST, DeadHeader, packed_head

MAX_CRASHES = 3
"""Crashes (of an engine or a runner) after which a run is a dead letter: it is taken to be what crashes them."""
FLAT_BYTES = 800
"""An envelope shorter than this can't be nested so deeply that a reader of the record gives up."""
FLAT_BRACKETS = 400

_encode = msgspec.json.Encoder().encode


class Header(msgspec.Struct, rename="camel", gc=False):
    """The engine's view of an envelope: the payload stays as it came."""

    type: str
    id: str = ""
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    trigger: str = Trigger.ENQUEUE.value
    scheduled_for: str | None = None
    by: str | None = None
    replay_of: str | None = None
    timeout: str | float | None = None


def settle(
    delivery: Delivery,
    spec: JobSpec | None,
    header: Header | None,
    ended: Ended,
    worker: str,
    rnd: Callable[[], float] = random.random,
    clock_ms: Callable[[], int] = now_ms,
) -> Settlement:
    """Decide: done, retry (when), or dead; and write the record for history.

    Failures and timeouts use up the job's attempts; crashes are counted apart and end in a dead letter at MAX_CRASHES.
    """
    ended = _within(ended)
    outcome = ended.outcome
    failures, crashes, due_ms = delivery.failures, delivery.crashes, 0
    if outcome in (Outcome.SUCCEEDED, Outcome.CANCELLED):
        to = Settle.DONE
    elif outcome is Outcome.LOST:
        crashes += 1 if ended.blamed else 0
        to = Settle.DEAD if crashes >= MAX_CRASHES else Settle.RETRY
    elif spec is None:  # nothing can run it: no use in trying again
        to = Settle.DEAD
    else:
        failures += 1
        to = Settle.DEAD if failures >= spec.attempts else Settle.RETRY
        if to is Settle.RETRY:
            due_ms = clock_ms() + int(spec.backoff.delay_s(failures, rnd) * 1000)
    print_ = None
    if outcome not in (Outcome.SUCCEEDED, Outcome.CANCELLED):
        print_ = fingerprint(delivery.job, ended.error_class or outcome.value, ended.frames, ended.error or "")
    record = _encode(
        AttemptRecord(
            run_id=delivery.run_id,
            attempt=delivery.attempt,
            job=delivery.job[:NAME_MOST],
            queue=delivery.queue,
            outcome=outcome,
            finished_us=ended.finished_us,
            final=to is not Settle.RETRY,
            started_us=ended.started_us,
            enqueued_ms=delivery.ready_ms,
            trigger=header.trigger if header else Trigger.ENQUEUE.value,
            scheduled_ms=_scheduled_ms(header),
            worker=worker,
            exit_code=ended.exit_code,
            error_class=ended.error_class,
            error=ended.error,
            fingerprint=print_,
            output=ended.output,
            result=ended.result,
            producer_id=header.id if header else None,
            by=header.by if header else None,
            replay_of=header.replay_of if header else None,
            max_rss_kb=ended.max_rss_kb,
            cpu_ms=ended.cpu_ms,
            envelope=NO_ENVELOPE if to is Settle.RETRY else _kept(delivery.envelope, header),
        )
    )
    if to is not Settle.DEAD:
        return Settlement(delivery, to, record, due_ms, failures, crashes)
    dead = DeadHeader(
        job=delivery.job,
        attempts=delivery.attempt,
        error_class=ended.error_class or outcome.value,
        error=ended.error or "",
        failed_ms=ended.finished_us // 1000,
        group=print_ or "",
        priority=delivery.priority,
        slot=delivery.slot,
        worker=worker,
    )
    return Settlement(delivery, to, record, header=packed_head(dead))


def _within(ended: Ended) -> Ended:
    """Its texts as long as the record and the letter take them, whichever executor or user's code has made them."""
    error_class, error = ended.error_class or "", ended.error or ""
    if len(error_class) <= CLASS_MOST and len(error) <= ERROR_MOST:
        return ended
    return replace(ended, error_class=error_class[:CLASS_MOST] or None, error=error[:ERROR_MOST] or None)


def _kept(envelope: bytes, header: Header | None) -> msgspec.Raw:
    """The envelope as part of the record: as it is, or as a string where that might not be readable in there."""
    if len(envelope) > ENVELOPE_MOST:
        return NO_ENVELOPE
    flat = len(envelope) < FLAT_BYTES or envelope.count(b"[") + envelope.count(b"{") < FLAT_BRACKETS
    if header is not None and flat:
        return msgspec.Raw(envelope)
    text = envelope.decode("utf-8", "surrogateescape")  # bytes that are no UTF-8 stay what they are
    return msgspec.Raw(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogateescape"))


def _scheduled_ms(header: Header | None) -> int | None:
    if header is None or header.scheduled_for is None:
        return None
    from datetime import datetime

    try:
        return int(datetime.fromisoformat(header.scheduled_for).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None  # a producer's own words; the envelope keeps them
