"""The part of FakeOps that acts: every action keeps what an undo needs, as Ops does, and a bulk one goes in steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from backends.errors import BadInputError, RefusedError, UnreachableError
from backends.model import ActionResult, DeadLetter, NewRuns, Pause, RunRow, from_ms, new_run_id
from backends.ops.kinds import GONE_ON, Chosen, Marked, Operation, Progress, Tell, Why, new_receipt
from backends.ops.letters import Selection
from backends.queues.peek import QueuedRun
from backends.queues.where import RunPlace

STEP = 200
HOUR_MS = 3_600_000
BY = "ana@web-1"


class FakeActs:
    """Needs `dead`, `ended`, `clock`, `lying`, `places`, `redis_error` and `read_only`, which FakeOps has."""

    clock: Callable[[], int]
    dead: list[DeadLetter]
    ended: list[RunRow]
    lying: dict[tuple[str, str], list[QueuedRun]]
    places: dict[str, RunPlace]
    redis_error: str
    postgres_error: str
    read_only: bool
    calls: list[tuple[str, Any]]
    payloads: list[dict[str, Any] | None]
    paused: dict[str, Pause]
    gate: asyncio.Event
    """Bulk operations wait for it before each step."""
    kept: dict[str, Operation]
    """Receipt → the operation."""
    started: set[str]
    """Run ids that have started: undo leaves them alone."""
    envelopes: dict[str, bytes]
    """Run id → what a past run was given."""
    reasons: dict[str, tuple[str, ...]]
    """Run id → why it does not run."""

    def make_acts(self) -> None:
        """Nothing was done yet."""
        self.kept, self.started, self.envelopes, self.reasons = {}, set(), {}, {}
        self.new_runs_wait = False  # else a new run has ended at once
        self.waits: set[str] = set()
        self.warnings: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._back: dict[str, Callable[[], tuple[int, int]]] = {}
        self._left: dict[str, list[tuple[str, str, int]]] = {}
        self._gone: dict[str, list[DeadLetter]] = {}
        self._asked: set[str] = set()
        self._in_front: set[str] = set()

    def _may(self, what: str) -> None:
        if self.read_only:
            raise RefusedError(f"this context is read-only: it may not {what}", "use another context")
        if self.redis_error:
            raise UnreachableError(self.redis_error)

    # --- operations ---

    def _begin(self, verb: str, target: dict[str, Any], lasts_ms: int = 24 * HOUR_MS, **more: Any) -> str:
        receipt = new_receipt(self.clock())
        now = self.clock()
        self.kept[receipt] = Operation(receipt, verb, BY, now, now + lasts_ms, "running", target, beat_ms=now, **more)
        return receipt

    def _note(self, receipt: str, **more: Any) -> None:
        self.kept[receipt] = replace(self.kept[receipt], beat_ms=self.clock(), **more)

    def _end(self, receipt: str, matched: int, changed: int, note: str = "") -> ActionResult:
        if self.postgres_error:
            self.warnings.append(f"the audit will tell of this later: {self.postgres_error}")
        self._note(receipt, state="done", matched=matched, changed=changed, note=note)
        return ActionResult(matched, changed, receipt if changed else None, note)

    async def operations(self, limit: int = 50, unfinished: bool = False) -> tuple[Operation, ...]:
        """Newest first."""
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        found = [
            replace(o, state="stopping") if o.state == "running" and o.id in self._asked else o
            for o in self.kept.values()
        ]
        open_ = ("running", "stopping", "stopped", "undoing")
        found = [o for o in found if not unfinished or o.state in open_]
        return tuple(sorted(found, key=lambda o: -o.at_ms)[:limit])

    async def stop_operation(self, receipt: str) -> ActionResult:
        """The driver stops before its next step."""
        self._may("stop an operation")
        self.calls.append(("stop", receipt))
        self._asked.add(receipt)
        return ActionResult(1, 1)

    async def undo(self, receipt: str, progress: Tell | None = None) -> ActionResult:
        """Take an operation back."""
        self._may("undo")
        self.calls.append(("undo", receipt))
        op = self.kept.get(receipt)
        if op is None:
            raise BadInputError(f"no operation {receipt}", "`cronsole ops` lists those that can be taken back")
        if op.state == "undone":
            raise BadInputError(f"{receipt} was taken back already, by {op.undone_by}", "there is no more to do")
        if op.until_ms <= self.clock():
            raise BadInputError(f"the time to take {receipt} back ended", "`cronsole audit` tells what it did")
        back, started = self._back[receipt]()
        note = f"{started:,} had started and {'goes' if started == 1 else 'go'} on" if started else ""
        if not back:
            self._note(receipt, state=GONE_ON)
            raise BadInputError(f"nothing left to take back: {note}", "`cronsole cancel` ends a run that runs")
        self._note(receipt, state="undone", undone_by=BY, undone_ms=self.clock(), undone=back)
        return ActionResult(back + started, back, note=note)

    # --- dead letters ---

    def _matching(self, selection: Selection) -> list[DeadLetter]:
        return [
            d for d in self.dead
            if selection.queue in ("", d.queue) and selection.group in ("", d.group) and selection.matches(d)
            and (selection.upto is None or d.sequence <= selection.upto.get(d.queue, -1))
        ]  # fmt: skip

    def _pairs(self, chosen: Chosen) -> list[tuple[str, str, int]]:
        if isinstance(chosen, Marked):
            return list(chosen.letters)
        found = self._matching(chosen) if isinstance(chosen, Selection) else [d for d in self.dead if d.id in chosen]
        return [(d.queue, d.id, d.sequence) for d in sorted(found, key=lambda d: d.sequence)]

    async def freeze(self, selection: Selection) -> Selection:
        """As of now."""
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        upto: dict[str, int] = {}
        for d in self.dead:
            upto[d.queue] = max(upto.get(d.queue, 0), d.sequence)
        return replace(selection, upto=upto)

    async def dead_count(self, chosen: Chosen, progress: Tell | None = None) -> int:
        """Counts in steps."""
        pairs = self._pairs(chosen)
        for n in range(0, len(pairs), STEP):
            await self.gate.wait()
            if progress:
                progress(Progress(None, n, n))
        return len(pairs)

    async def dead_retry(
        self, chosen: Chosen, *, dry_run: bool = False, rate: float | None = None, hold_s: float = 5.0,
        progress: Tell | None = None,
    ) -> ActionResult:  # fmt: skip
        """Takes the letters off the list."""
        self._may("retry dead letters")
        return await self._take("dead_retry", chosen, HOUR_MS, progress, rate)

    async def dead_purge(self, chosen: Chosen, *, dry_run: bool = False, progress: Tell | None = None) -> ActionResult:
        """Likewise."""
        self._may("purge dead letters")
        return await self._take("dead_purge", chosen, 7 * 24 * HOUR_MS, progress)

    async def _take(
        self, verb: str, chosen: Chosen, lasts_ms: int, progress: Tell | None, rate: float | None = None
    ) -> ActionResult:
        pairs = self._pairs(chosen)
        self.calls.append((verb, [run_id for _, run_id, _ in pairs] if rate is None else (len(pairs), rate)))
        receipt = self._begin(verb, {"count": len(pairs)}, lasts_ms, total=len(pairs), rate=rate)
        self._left[receipt], self._gone[receipt] = pairs, []
        self._back[receipt] = lambda: self._bury(self._gone[receipt])
        return await self._drive(receipt, progress)

    def _bury(self, letters: list[DeadLetter]) -> tuple[int, int]:
        back = [d for d in letters if d.id not in self.started]
        self.dead = sorted([*self.dead, *back], key=lambda d: -d.sequence)
        return len(back), len(letters) - len(back)

    async def _drive(self, receipt: str, progress: Tell | None) -> ActionResult:
        op, gone = self.kept[receipt], self._gone[receipt]
        total, done = op.total or 0, op.matched
        while left := self._left[receipt]:
            if progress:
                progress(Progress(total, done, done, len(gone), receipt=receipt))
            await self.gate.wait()
            if self.redis_error:
                raise UnreachableError(self.redis_error)
            if receipt in self._asked:
                self._asked.remove(receipt)
                self._note(receipt, state="stopped", matched=done, changed=len(gone))
                return ActionResult(done, len(gone), receipt if gone else None)
            step = set(left[:STEP])
            self._left[receipt] = left[STEP:]
            done += len(step)
            taken = [d for d in self.dead if (d.queue, d.id, d.sequence) in step]
            gone += taken
            self.dead = [d for d in self.dead if (d.queue, d.id, d.sequence) not in step]
            self._note(receipt, matched=done, changed=len(gone))
        return self._end(receipt, done, len(gone))

    async def resume_operation(self, receipt: str, progress: Tell | None = None) -> ActionResult:
        """Goes on with what is left."""
        self._may("resume an operation")
        self.calls.append(("resume_operation", receipt))
        self._note(receipt, state="running")
        return await self._drive(receipt, progress)

    async def dead_replay(self, letter: DeadLetter, payload: dict[str, Any], *, hold_s: float = 5.0) -> NewRuns:
        """The letter goes, a new run comes."""
        self._may("edit and replay")
        there = next((d for d in self.dead if d.id == letter.id), None)
        if there is None:
            raise BadInputError("it is no dead letter any more", "look at its run")
        if there.sequence != letter.sequence:
            raise BadInputError("it died again meanwhile", "edit that one")
        self.calls.append(("dead_replay", (letter.id, payload)))
        self.dead.remove(there)
        receipt, run_id = self._begin("dead_replay", {"run_id": letter.id}, HOUR_MS), new_run_id(self.clock())
        self._back[receipt] = lambda: self._bury([there])
        self._end(receipt, 1, 1)
        return NewRuns((run_id,), receipt)

    # --- runs ---

    def _new_run(self, verb: str, job: str, target: dict[str, Any]) -> NewRuns:
        run_id, now = new_run_id(self.clock()), from_ms(self.clock())
        self.ended.insert(0, RunRow(run_id, 1, job, "default", "succeeded", "manual", None, now, now, 12.0))
        self.waits |= {run_id} if self.new_runs_wait else set()
        receipt = self._begin(verb, target | {"run_id": run_id})
        self._back[receipt] = lambda: (int(run_id not in self.started), int(run_id in self.started))
        self._end(receipt, 1, 1)
        return NewRuns((run_id,), receipt)

    async def trigger(self, job: str, payload: dict[str, Any] | None = None) -> NewRuns:
        """Notes the call and adds a finished run."""
        self._may("trigger")
        self.calls.append(("trigger", job))
        self.payloads.append(payload)
        return self._new_run("trigger", job, {"job": job})

    async def run_envelope(self, run_id: str) -> bytes | None:
        """Of a dead letter or of `envelopes`."""
        return next((d.envelope for d in self.dead if d.id == run_id), None) or self.envelopes.get(run_id)

    async def replay(self, run_id: str, payload: dict[str, Any] | None = None) -> NewRuns:
        """A new run of what `envelopes` has."""
        self._may("replay")
        if run_id not in self.envelopes:
            raise BadInputError("what it was given was not kept", "trigger its job instead")
        self.calls.append(("replay", (run_id, payload)))
        return self._new_run("replay", next(r.job for r in self.ended if r.run_id == run_id), {"replay_of": run_id})

    async def cancel(self, run_id: str) -> ActionResult:
        """A queued one goes, one that runs is asked to end."""
        self._may("cancel")
        self.calls.append(("cancel", run_id))
        found = self._queued(run_id)
        receipt = self._begin("cancel", {"run_id": run_id})
        if run_id in self.started:
            return self._end(receipt, 0, 0, "unknown")
        if found is None or found[1].state == "running":
            return replace(self._end(receipt, 1, 1, "asked"), receipt=None)
        where, run = found
        self.lying[where].remove(run)
        self._back[receipt] = lambda: (self.lying[where].append(run), (1, 0))[1]  # type: ignore[func-returns-value]
        return self._end(receipt, 1, 1, "cancelled")

    def _queued(self, run_id: str) -> tuple[tuple[str, str], QueuedRun] | None:
        return next(((w, r) for w, runs in self.lying.items() for r in runs if r.run_id == run_id), None)

    async def bump(self, run_id: str) -> ActionResult:
        """To the front of its queue, behind those that were put there before."""
        self._may("bump")
        self.calls.append(("bump", run_id))
        found = self._queued(run_id)
        if found is None:
            raise BadInputError("it is in no queue any more", "`cronsole why` tells where it is")
        (queue, _), run = found
        if run.state == "running":
            raise BadInputError(f"run '{run_id}' has started", "there is nothing to bump")
        self.lying[found[0]].remove(run)
        ready = self.lying.setdefault((queue, "ready"), [])
        behind = sum(other.run_id in self._in_front for other in ready)
        ready.insert(behind, replace(run, state="ready", ready_ms=self.clock()))
        self._in_front.add(run_id)
        receipt = self._begin("bump", {"run_id": run_id})
        self._back[receipt] = lambda: (1, 0)
        return self._end(receipt, 1, 1)

    async def move(self, run_ids: Sequence[str], to_queue: str) -> ActionResult:
        """To the end of another queue."""
        self._may("move")
        self.calls.append(("move", (list(run_ids), to_queue)))
        moved = 0
        for run_id in run_ids:
            found = self._queued(run_id)
            if found is not None and found[1].state != "running":
                self.lying[found[0]].remove(found[1])
                self.lying.setdefault((to_queue, found[1].state), []).append(found[1])
                moved += 1
        receipt = self._begin("move", {"count": len(run_ids), "to": to_queue})
        self._back[receipt] = lambda: (moved, 0)
        return self._end(receipt, len(run_ids), moved)

    async def why(self, run_id: str) -> Why:
        """What `reasons` says."""
        if self.redis_error:
            raise UnreachableError(self.redis_error)
        return Why(self.places.get(run_id), self.reasons.get(run_id, ()))

    # --- steering ---

    async def pause(self, target: str, note: str = "", for_s: float | None = None) -> ActionResult:
        """Pauses."""
        self._may("pause")
        self.calls.append(("pause", target))
        receipt, before = self._begin("pause", {"target": target}), self.paused.get(target)
        self.paused[target] = Pause(BY, note, self.clock())
        return self._paused(receipt, target, before)

    async def resume(self, target: str) -> ActionResult:
        """Resumes."""
        self._may("resume")
        self.calls.append(("resume", target))
        receipt, before = self._begin("resume", {"target": target}), self.paused.pop(target, None)
        return self._paused(receipt, target, before)

    def _paused(self, receipt: str, target: str, before: Pause | None) -> ActionResult:
        def back() -> tuple[int, int]:
            self.paused.pop(target, None)
            if before is not None:
                self.paused[target] = before
            return 1, 0

        self._back[receipt] = back
        return self._end(receipt, 1, 1)
