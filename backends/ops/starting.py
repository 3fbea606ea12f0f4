"""New runs: trigger, enqueue, backfill. What has not started can be taken back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from backends.errors import BadInputError
from backends.jobs.spec import JobSpec
from backends.model import ActionResult, NewRuns, Overlap, Trigger, from_ms, new_run_id, now_ms
from backends.ops.acts import Acts, op_of, result_of, whoami
from backends.ops.backfill import MOST, Backfill, Only, plan_backfill, start_alone, window_slot
from backends.ops.kinds import Progress, Tell
from backends.ops.reads import unknown
from backends.ops.record import Stored
from backends.ops.talk import redis_talk, stop_if_cancelled
from backends.queues.base import BATCH, Entered, NewRun, OnFull, chunks
from backends.queues.lists import Rejected, inspect
from backends.queues.streams import StreamQueue, overlap_slot

CHECKED_FIRST = 50_000
CHECKED_BYTES = 64_000_000
"""So many runs, or bytes of envelopes, are held to be checked before the first of them is put in."""


class StartingActs(Acts):
    """What puts new runs into queues."""

    async def trigger(self, job: str, payload: dict[str, Any] | None = None, by: str | None = None) -> NewRuns:
        """Run a job now. A scheduled job still never overlaps itself: the run waits its turn."""
        self.check_write("trigger")
        spec = await self.spec(job)
        run = new_run(job, spec.payload if payload is None else payload, Trigger.MANUAL, by, spec.priority,
                      slot_of(spec))  # fmt: skip
        async with self._operation("trigger", {"job": job, "run_id": run.run_id}, by=by, queues=[spec.queue]) as op:
            await self._put_in(self.live.queue(spec.queue), op, [run])
        return NewRuns((run.run_id,), op.id)

    async def enqueue(self, queue: str, job: str, payloads: Iterable[dict[str, Any]], by: str | None = None) -> NewRuns:
        """Put runs of a declared job into a queue, one a payload.

        The first `CHECKED_FIRST` payloads are all checked before the first run is put in, so a bad one among them
        leaves nothing behind; what follows goes in as it comes. If it stops half-way, a warning says how many are in.
        """
        self.check_write("enqueue")
        specs = await self.specs()
        if job not in specs:
            raise unknown("job", job, list(specs), "jobs")
        there = {q.name for q in await self.all_queues()} | {s.queue for s in specs.values()}
        if queue not in there:
            raise unknown("queue", queue, sorted(there), "queues")
        priority = specs[job].priority
        runs = _blocks(new_run(job, payload, Trigger.ENQUEUE, by, priority) for payload in payloads)
        first = next(runs, [])
        ids: list[str] = []
        async with self._operation("enqueue", {"queue": queue, "job": job}, by=by, queues=[queue]) as op:
            block: list[NewRun] | None = first
            while block:
                for part in chunks(block):
                    stop_if_cancelled()
                    ids += await self._put_in(self.live.queue(queue), op, part)
                    with redis_talk(self.servers.redis_url):
                        if await self._asked(op):
                            break
                block = next(runs, None) if op.state == "running" else None
        return NewRuns(tuple(ids), op.id if ids else "")

    async def backfill_plan(
        self, job: str, start: datetime, end: datetime, only: Only = "all", *, limit: int = MOST, dry_run: bool = False
    ) -> Backfill:
        """What a backfill of the job's fires from `start` to `end` (exclusive) would run, oldest first.

        Naive times are in the job's zone. Without `dry_run` a read-only context refuses, as `backfill` itself would.
        Raises BadInputError for a job without a schedule, a range that is empty or not past, more than `limit` fires.
        """
        if not dry_run:
            self.check_write("backfill")
        spec = await self.spec(job)
        async with self.history() as history:
            return await plan_backfill(self, history, spec, start, end, only, limit)

    async def backfill(
        self,
        plan: Backfill,
        payload: dict[str, Any] | None = None,
        *,
        concurrency: int = 1,
        again: bool = False,
        by: str | None = None,
        progress: Tell | None = None,
    ) -> ActionResult:
        """Put the runs of a plan into the job's queue, oldest first, in steps of at most 200.

        `concurrency` of them run at once. A fire that was backfilled before is passed over, unless `again`. If it stops
        half-way, a warning says how many went in; the same plan, made anew, goes on there.
        """
        self.check_write("backfill")
        spec = plan.spec
        slot, slots = window_slot(spec, concurrency)
        who, began = by or whoami(), time.monotonic()
        given = spec.payload if payload is None else payload
        target = {**plan.row(), "again": again}
        async with self._operation("backfill", target, by=by, queues=[spec.queue]) as op:
            async with start_alone(self, plan, again=again) as wanted:
                runs = [
                    new_run(spec.name, given, Trigger.BACKFILL, who, spec.priority, slot, slots, run_id, planned)
                    for run_id, planned in wanted
                ]
                for n, part in enumerate(chunks(runs)):
                    stop_if_cancelled()
                    await self._put_in(self.live.queue(spec.queue), op, part)
                    if progress:
                        progress(Progress(len(runs), n * BATCH + len(part), len(runs), op.changed, began))
                    with redis_talk(self.servers.redis_url):
                        if await self._asked(op):
                            break
            op.matched = len(plan.fires)
        return ActionResult(len(plan.fires), op.changed, result_of(op).receipt)

    async def _put_in(self, queue: StreamQueue, op: Stored, runs: Sequence[NewRun]) -> list[str]:
        """Put runs into a queue, noted so that an undo finds them; those that are in.

        A run that is there already stays out, and so does each once somebody has begun to take this back.
        """
        op.matched += len(runs)
        with redis_talk(self.servers.redis_url):
            answers = await queue.enter(op_of(op), runs)
        entered = [
            run.run_id
            for run, answer in zip(runs, answers, strict=True)
            if answer not in (Entered.DUPLICATE, Entered.SKIPPED)
        ]
        op.changed += len(entered)
        return entered


def slot_of(spec: JobSpec) -> str:
    """The slot that runs of a job share, so that one that is started by hand never overlaps a fire."""
    return overlap_slot(spec.name, spec.overlap)[0] if spec.schedule and spec.overlap is not Overlap.ALLOW else ""


def new_run(
    job: str,
    payload: dict[str, Any],
    trigger: Trigger,
    by: str | None,
    priority: int,
    slot: str = "",
    slots: int = 1,
    run_id: str = "",
    planned: datetime | None = None,
) -> NewRun:
    """A run with an envelope of ours. Raises BadInputError for a payload that can't travel."""
    run_id = run_id or new_run_id()
    fields = {
        "id": run_id,
        "type": job,
        "payload": payload,
        "createdAt": from_ms(now_ms()).isoformat(timespec="milliseconds"),
        "attempts": 0,
        "trigger": trigger.value,
        **({"scheduledFor": planned.isoformat()} if planned else {}),
        "by": by or whoami(),
    }
    return NewRun(run_id, job, sealed(job, fields), priority, slot=slot, slots=slots, on_full=OnFull.WAIT)


def sealed(job: str, fields: dict[str, Any]) -> bytes:
    """An envelope, as JSON. Raises BadInputError for what an engine would not take."""
    try:
        envelope = msgspec.json.encode(fields)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise BadInputError(f"the payload can't be written as JSON: {error}", "use plain JSON values") from error
    verdict = inspect(envelope, {job}, {})
    if isinstance(verdict, Rejected):
        raise BadInputError(f"the payload can't be used: {verdict.error}", "mend it, or send a reference to it")
    return envelope


def _blocks(runs: Iterable[NewRun]) -> Iterator[list[NewRun]]:
    """First a block as large as may be held in memory, then small ones."""
    block: list[NewRun] = []
    most, size = CHECKED_FIRST, 0
    for run in runs:
        block.append(run)
        size += len(run.envelope)
        if len(block) >= most or size >= CHECKED_BYTES:
            yield block
            block, size, most = [], 0, BATCH
    if block:
        yield block
