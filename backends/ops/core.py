"""`Ops`: the reads, and every action. An action is refused in a read-only context and leaves a line in the audit."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Self

import msgspec

from backends.connect import Servers, Settings
from backends.errors import BadInputError, CronsoleError, RefusedError
from backends.model import (
    ActionResult,
    NewRuns,
    Overlap,
    Pause,
    Trigger,
    from_ms,
    new_run_id,
    now_ms,
)
from backends.ops.audit import AuditReads
from backends.ops.backfill import MOST, Backfill, Only, plan_backfill, start_alone, window_slot
from backends.ops.jobs import JobReads
from backends.ops.kinds import Progress, Tell, new_receipt
from backends.ops.letters import Selection, freeze, parts
from backends.ops.queueing import QueueingReads
from backends.ops.reads import unknown
from backends.ops.talk import redis_talk, stop_if_cancelled
from backends.ops.timeline import TimelineReads
from backends.ops.walk import steps
from backends.ops.why import WhyReads
from backends.queues.base import BATCH, Entered, NewRun, OnFull, Op, Pair, chunks
from backends.queues.lists import Rejected, inspect
from backends.queues.streams import StreamQueue, overlap_slot

CHECKED_FIRST = 50_000
CHECKED_BYTES = 64_000_000
"""So many runs, or bytes of envelopes, are held to be checked before the first of them is put in."""


def whoami() -> str:
    """Who acts: OS user (who became it by sudo, if anybody did) and host, and where the SSH session comes from."""
    try:
        import pwd

        user = pwd.getpwuid(os.getuid()).pw_name  # not $USER: anybody can set that
    except (ImportError, KeyError):  # no such thing on Windows; a uid without a name
        user = str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()
    login = os.environ.get("SUDO_USER")
    name = f"{login} as {user}" if login and login != user else user
    client = (os.environ.get("SSH_CLIENT") or os.environ.get("SSH_CONNECTION") or "").split()
    return f"{name}@{socket.gethostname()}" + (f" from {client[0]}" if client else "")


def refuse(what: str) -> RefusedError:
    """The answer of a read-only context."""
    return RefusedError(
        f"this context is read-only: it may not {what}",
        "leave out --read-only, unset CRONSOLE_READ_ONLY, or use another context",
    )


class Ops(AuditReads, WhyReads, QueueingReads, JobReads, TimelineReads):
    """Everything an operator can see and do in one context."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, *, role: str = "cli", need_postgres: bool = False, read_only: bool = False
    ) -> AsyncIterator[Self]:
        """Connect. Redis must be there; Postgres only with `need_postgres`, else it is asked for when it is needed.

        With `read_only`, or where the settings say so, every action is refused.
        """
        settings = replace(settings, read_only=settings.read_only or read_only)
        async with await Servers.open(settings, role=role, need_postgres=need_postgres) as servers:
            yield cls(servers, context_name=settings.context or settings.namespace)

    # --- new runs -------------------------------------------------------------------------------------------

    async def trigger(self, job: str, payload: dict[str, Any] | None = None, by: str | None = None) -> NewRuns:
        """Run a job now. A scheduled job still never overlaps itself: the run waits its turn."""
        self._may_write("trigger")
        spec = await self.spec(job)
        slot = overlap_slot(job, spec.overlap)[0] if spec.schedule and spec.overlap is not Overlap.ALLOW else ""
        run = self._new_run(job, spec.payload if payload is None else payload, Trigger.MANUAL, by, spec.priority, slot)
        with redis_talk(self.servers.redis_url):
            await self.live.queue(spec.queue).enqueue([run])
        await self._audit("trigger", {"job": job, "run_id": run.run_id}, 1, 1)
        return NewRuns((run.run_id,), "")

    async def enqueue(self, queue: str, job: str, payloads: Iterable[dict[str, Any]], by: str | None = None) -> NewRuns:
        """Put runs of a declared job into a queue, one a payload.

        The first `CHECKED_FIRST` payloads are all checked before the first run is put in, so a bad one among them
        leaves nothing behind; what follows goes in as it comes. If it stops half-way, a warning says how many are in.
        """
        self._may_write("enqueue")
        specs = await self.specs()
        if job not in specs:
            raise unknown("job", job, list(specs), "jobs")
        there = {q.name for q in await self.all_queues()} | {s.queue for s in specs.values()}
        if queue not in there:
            raise unknown("queue", queue, sorted(there), "queues")
        priority = specs[job].priority
        target = self.live.queue(queue)
        runs = (self._new_run(job, payload, Trigger.ENQUEUE, by, priority, "") for payload in payloads)
        ids: list[str] = []
        done = False
        try:
            for block in _blocks(runs):
                for part in chunks(block):
                    stop_if_cancelled()
                    with redis_talk(self.servers.redis_url):
                        await target.enqueue(part)
                    ids += [run.run_id for run in part]
            done = True
        finally:
            if ids and not done:
                self.warnings.append(f"stopped half-way: {len(ids)} runs are in the queue")
            if ids:
                await self._audit("enqueue", {"queue": queue, "job": job}, len(ids), len(ids))
        return NewRuns(tuple(ids), "")

    async def backfill_plan(
        self, job: str, start: datetime, end: datetime, only: Only = "all", *, limit: int = MOST, dry_run: bool = False
    ) -> Backfill:
        """What a backfill of the job's fires from `start` to `end` (exclusive) would run, oldest first.

        Naive times are in the job's zone. Without `dry_run` a read-only context refuses, as `backfill` itself would.
        Raises BadInputError for a job without a schedule, a range that is empty or not past, more than `limit` fires.
        """
        if not dry_run:
            self._may_write("backfill")
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
        self._may_write("backfill")
        spec = plan.spec
        slot, slots = window_slot(spec, concurrency)
        target, who = self.live.queue(spec.queue), by or whoami()
        given = spec.payload if payload is None else payload
        changed, done, began = 0, False, time.monotonic()
        try:
            async with start_alone(self, plan, again=again) as wanted:
                runs = [
                    self._new_run(spec.name, given, Trigger.BACKFILL, who, spec.priority, slot, slots, run_id, planned)
                    for run_id, planned in wanted
                ]
                for n, part in enumerate(chunks(runs)):
                    stop_if_cancelled()
                    with redis_talk(self.servers.redis_url):
                        changed += sum(a is not Entered.DUPLICATE for a in await target.enqueue(part))
                    if progress:
                        progress(Progress(len(runs), n * BATCH + len(part), len(runs), changed, began))
            done = True
        finally:
            if changed and not done:
                self.warnings.append(f"stopped half-way: {changed} runs are in the queue")
            if changed:
                await self._audit("backfill", {**plan.row(), "again": again}, len(plan.fires), changed)
        return ActionResult(len(plan.fires), changed)

    def _new_run(
        self,
        job: str,
        payload: dict[str, Any],
        trigger: Trigger,
        by: str | None,
        priority: int,
        slot: str,
        slots: int = 1,
        run_id: str = "",
        planned: datetime | None = None,
    ) -> NewRun:
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
        try:
            envelope = msgspec.json.encode(fields)
        except (TypeError, ValueError, msgspec.MsgspecError) as error:
            raise BadInputError(f"the payload can't be written as JSON: {error}", "use plain JSON values") from error
        verdict = inspect(envelope, {job}, {})
        if isinstance(verdict, Rejected):
            raise BadInputError(f"the payload can't be used: {verdict.error}", "mend it, or send a reference to it")
        return NewRun(run_id, job, envelope, priority, slot=slot, slots=slots, on_full=OnFull.WAIT)

    # --- steering -------------------------------------------------------------------------------------------

    async def pause(self, target: str, note: str = "", for_s: float | None = None) -> ActionResult:
        """Hand out no more runs of 'queue:NAME' or 'job:NAME', for `for_s` seconds or until resumed."""
        self._may_write("pause")
        if for_s is not None and for_s <= 0:
            raise BadInputError("a pause of no length pauses nothing", "give it a length: 30m, 2h")
        queues, job = await self._target(target)
        at = now_ms()
        pause = Pause(whoami(), note, at, None if for_s is None else at + round(for_s * 1000))
        with redis_talk(self.servers.redis_url):
            for queue in queues:
                await queue.pause(pause, job)
        await self._audit("pause", {"target": target, "note": note, "for_s": for_s}, 1, 1)
        return ActionResult(1, 1)

    async def resume(self, target: str) -> ActionResult:
        """End a pause; nothing is changed where there was none."""
        self._may_write("resume")
        queues, job = await self._target(target)
        with redis_talk(self.servers.redis_url):
            was = [await queue.resume(job) for queue in queues]
        await self._audit("resume", {"target": target}, 1, int(any(was)))
        return ActionResult(1, int(any(was)))

    async def _target(self, target: str) -> tuple[list[StreamQueue], str]:
        """The queues a pause is written to, and the job. A job may be in any queue, so it is all of them."""
        kind, _, name = target.partition(":")
        if kind not in ("queue", "job") or not name:
            raise BadInputError(f"{target[:100]!r} names nothing to pause", "write queue:NAME or job:NAME")
        queues = {q.name: q for q in await self.all_queues()}
        if kind == "job":
            home = (await self.spec(name)).queue
            queues.setdefault(home, self.live.queue(home))
            return list(queues.values()), name
        if name not in queues:
            raise unknown("queue", name, list(queues), "queues")
        return [queues[name]], ""

    async def cancel(self, run_id: str) -> ActionResult:
        """The note says 'cancelled' (it had not started), 'asked' (it runs; its engine will end it) or 'unknown'."""
        self._may_write("cancel")
        answer = "unknown"
        for queue in await self.all_queues():
            with redis_talk(self.servers.redis_url):
                answer = await queue.cancel(run_id, whoami())
            if answer != "unknown":
                break
        found = int(answer != "unknown")
        await self._audit("cancel", {"run_id": run_id, "answer": answer}, found, found)
        return ActionResult(found, found, note=answer)

    # --- dead letters ---------------------------------------------------------------------------------------

    async def dead_retry(
        self, chosen: Sequence[str] | Selection, *, dry_run: bool = False, progress: Tell | None = None
    ) -> ActionResult:
        """Put dead letters back into ready, by id or by selection.

        A selection that is not frozen yet is frozen when this begins: what dies meanwhile is not touched. Steps of 200;
        cancelling the task stops between two steps. If it stops half-way, a warning says how many were put back.
        """
        if not dry_run:
            self._may_write("retry dead letters")
        if isinstance(chosen, Selection) and chosen.empty:
            raise BadInputError("no dead letters are selected", "give ids, a filter, or --all")
        if isinstance(chosen, Selection):
            chosen = await self.freeze(chosen)
        matched = changed = 0
        done, began = False, time.monotonic()
        op = Op(new_receipt(), "retry", whoami(), now_ms() + 3_600_000)
        try:
            with redis_talk(self.servers.redis_url):
                async for queue, pairs in self._batches(chosen):
                    stop_if_cancelled()
                    matched += len(pairs)
                    if not dry_run:
                        changed += sum(await queue.dead_retry(op, pairs))
                    if progress:
                        progress(Progress(None, matched, matched, changed, began))
            done = True
        finally:
            if changed and not done:
                self.warnings.append(f"stopped half-way: {changed} dead letters were put back")
            if changed:
                await self._audit("dead_retry", _target_row(chosen), matched, changed)
        return ActionResult(matched, changed)

    async def freeze(self, selection: Selection) -> Selection:
        """The selection as of now, to be counted, shown and then acted on: what dies later is not in it."""
        queues = await self.all_queues()
        with redis_talk(self.servers.redis_url):
            return await freeze(queues, selection)

    async def _batches(self, chosen: Sequence[str] | Selection) -> AsyncIterator[tuple[StreamQueue, Sequence[Pair]]]:
        """(queue, letters) in steps of at most 200."""
        queues = {q.name: q for q in await self.all_queues()}
        if not isinstance(chosen, Selection):
            wanted = list(dict.fromkeys(chosen))
            for queue in queues.values():
                for part in chunks(wanted):
                    scores = await self.servers.redis.zmscore(f"{queue.prefix}dead", list(part))
                    there = [(run, int(score)) for run, score in zip(part, scores, strict=True) if score is not None]
                    if there:
                        yield queue, there
            return
        if chosen.queue and chosen.queue not in queues:
            raise unknown("queue", chosen.queue, list(queues), "queues")
        async for step in steps(self.servers.redis, await parts(list(queues.values()), chosen)):
            if step.pairs:
                yield step.queue, step.pairs

    # --- what every action passes ---------------------------------------------------------------------------

    def _may_write(self, what: str) -> None:
        if self.read_only:
            raise refuse(what)

    async def _audit(self, verb: str, target: dict[str, Any], matched: int, changed: int) -> None:
        """Note the action. It has happened: a history that can't be written is a warning, not a failure."""
        try:
            async with self.history() as history:
                await history.write_action(whoami(), verb, target, matched, changed)
        except CronsoleError as error:
            self.warnings.append(f"done, but not noted in the audit: {error}")


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


def _target_row(chosen: Sequence[str] | Selection) -> dict[str, Any]:
    if isinstance(chosen, Selection):
        row: dict[str, Any] = {k: v for k, v in msgspec.to_builtins(chosen).items() if v}
        return row
    return {"ids": list(chosen[:BATCH]), "count": len(chosen)}
