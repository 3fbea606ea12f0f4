"""Dead letters in bulk: count, retry, purge; steps that can be stopped, gone on with and taken back."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import msgspec

from backends.errors import BadInputError, UnreachableError
from backends.jobs.words import MAX_SECONDS, show
from backends.model import ActionResult, as_run_id, now_ms
from backends.ops.acts import Acts, op_of, result_of, whoami
from backends.ops.archived import WholeQueue
from backends.ops.kinds import BEAT_MS, LEAST_RATE, MOST_RATE, Chosen, Marked, Operation, Progress, Tell, shown_verb
from backends.ops.letters import Selection, freeze, parts
from backends.ops.reads import unknown
from backends.ops.record import PURGE_MS, RETRY_MS, Asked, Stored
from backends.ops.talk import redis_talk, stop_if_cancelled
from backends.ops.walk import STEP, Step, steps
from backends.queues.base import BATCH, Pair, chunks

HOLD_S = 5.0
"""So long a retried letter waits before it starts: time to take it back."""
LONGEST_HOLD_S = 86_400.0
SAVE_S = 1.0
"""A walk that finds nothing says so often that it is alive."""

Act: TypeAlias = Callable[[WholeQueue, Sequence[Pair]], Awaitable[Sequence[bool]]]


class BulkActs(Acts):
    """What acts on dead letters, be it one or a million."""

    async def freeze(self, selection: Selection) -> Selection:
        """The selection as of now, to be counted, shown and then acted on: what dies later is not in it."""
        queues = await self.all_queues()
        with redis_talk(self.servers.redis_url):
            return await _frozen(queues, selection)

    async def dead_count(self, chosen: Chosen, progress: Tell | None = None) -> int:
        """How many dead letters are chosen. Only conditions on text need a look at the letters themselves."""
        chosen = await self._settled(chosen)
        with redis_talk(self.servers.redis_url):
            if isinstance(chosen, Marked):
                return sum([sum(there) for _, _, there in [each async for each in self._there(chosen)]])
            found = await parts(await self.all_queues(), chosen)
            sizes = [await part.size() for part in found]
            if not any(part.test for part in found):
                return sum(sizes)
            matched, scanned, began = 0, 0, time.monotonic()
            async for step in steps(found):
                stop_if_cancelled()
                matched += len(step.pairs)
                scanned += step.scanned
                if progress:
                    progress(Progress(sum(sizes), scanned, matched, 0, began))
            return matched

    async def dead_retry(
        self,
        chosen: Chosen,
        *,
        dry_run: bool = False,
        rate: float | None = None,
        hold_s: float = HOLD_S,
        progress: Tell | None = None,
    ) -> ActionResult:
        """Put dead letters back into their queues with a fresh retry budget, the oldest first, in steps of 100.

        They start after `hold_s`; with `rate`, so many a second. A selection that is not frozen yet is frozen when this
        begins: what dies meanwhile is not touched. Cancelling the task stops between two steps.
        """
        if not dry_run:
            self.check_write("retry dead letters")
        if rate is not None and not LEAST_RATE <= rate <= MOST_RATE:
            raise BadInputError(f"{rate:g} a second is no rate", "give 1/h to 1,000,000/s, as 50/s or 300/m")
        if not 0 <= hold_s <= LONGEST_HOLD_S:
            raise BadInputError(f"a hold of {hold_s:g} s is none", "give 0s to 24h")
        return await self._begin("dead_retry", chosen, dry_run, progress, rate=rate, hold_s=hold_s)

    async def dead_purge(self, chosen: Chosen, *, dry_run: bool = False, progress: Tell | None = None) -> ActionResult:
        """Take dead letters away; the receipt brings them back for a week. All of a queue goes in one step."""
        if not dry_run:
            self.check_write("purge dead letters")
        return await self._begin("dead_purge", chosen, dry_run, progress)

    async def operations(self, limit: int = 50, unfinished: bool = False) -> tuple[Operation, ...]:
        """What operators did lately, newest first, with the receipts; `unfinished`: only what is not done.

        Of one whose driver is gone, what its queues have of it is counted: its record may not tell of the last steps.
        """
        with redis_talk(self.servers.redis_url):
            found = await self.records.newest(limit, unfinished)
            for op in found:
                if op.left and op.state != "undoing":
                    try:
                        op.changed = max(op.changed, await self.held(op))
                    except UnreachableError as error:
                        self.warn_once(f"what {op.id} did is not counted: {error}")
            return tuple(op.shown() for op in found)

    async def operation(self, receipt: str) -> Operation:
        """One operation, by its receipt. Raises BadInputError where there is none."""
        return (await self._stored(receipt)).shown()

    async def resume_operation(self, receipt: str, progress: Tell | None = None) -> ActionResult:
        """Go on with a retry or a purge that was stopped or that a crash has left; what it has done counts as done."""
        self.check_write("go on with an operation")
        op = await self._stored(receipt)
        if op.verb not in ("dead_retry", "dead_purge") or op.state not in ("running", "stopping", "stopped"):
            undoes = f"`cronsole undo {op.id}` takes back what it did"
            shown = op.shown().state
            raise BadInputError(
                f"{op.id} can't be gone on with: {shown_verb(op.verb)} is {shown}",
                undoes if shown in ("done", "running") else "`cronsole audit` tells what it did",
            )
        if op.state != "stopped" and not op.left:
            raise self._at_work(op)
        with redis_talk(self.servers.redis_url):
            if not await self.records.take_over(op):
                raise self._at_work(op)
            marked = await self.records.marked(op.id)
            await self.records.ask(op.id, None)
            op.queues, op.changed = await self.kept_in(op), await self.held(op)
        chosen: Any = marked or msgspec.convert(op.target, Selection, strict=False)
        op.state, op.note, op.matched = "running", "", op.changed
        return await self._drive(op, chosen, progress)

    def _at_work(self, op: Stored) -> BadInputError:
        return BadInputError(
            f"{op.id} is at work, driven by {op.by}",
            f"if that is gone, try again in {BEAT_MS // 1000} s; `cronsole ops stop {op.id}` stops it",
        )

    async def stop_operation(self, receipt: str) -> ActionResult:
        """Have whoever drives an operation stop after its step."""
        self.check_write("stop an operation")
        op = await self._stored(receipt)
        if op.state not in ("running", "stopping"):
            raise BadInputError(f"{op.id} does not run: it is {op.shown().state}", "`cronsole ops` lists them")
        with redis_talk(self.servers.redis_url):
            await self.records.ask(op.id, None if op.left else Asked("stop", whoami(), now_ms()))
            if op.left and await self.records.take_over(op):  # nobody is there to hear it
                op.state = "stopped"
                await self.records.save(op)
        await self._audit("stop", {"receipt": op.id, "verb": op.verb}, 1, 1)
        return ActionResult(1, 1, op.id, "it had stopped" if op.state == "stopped" else "it stops after its step")

    # --- how they go ----------------------------------------------------------------------------------------

    async def _begin(self, verb: str, chosen: Chosen, dry_run: bool, progress: Tell | None, **how: Any) -> ActionResult:
        chosen = await self._settled(chosen)
        if dry_run:
            return ActionResult(await self.dead_count(chosen, progress), 0)
        total = await self._size(chosen)
        if not total:
            shown = chosen.counted if isinstance(chosen, Selection) and chosen.counted else 0
            return ActionResult(shown, 0, None, _gone(shown))
        lasts = PURGE_MS
        if verb == "dead_retry":
            takes = how["hold_s"] + total / (how["rate"] or math.inf)
            if takes > MAX_SECONDS:
                raise BadInputError(f"{total:,} letters would take more than ten years", "give a higher rate")
            lasts = round(takes * 1000) + RETRY_MS
        marked = chosen if isinstance(chosen, Marked) else None
        async with self._operation(verb, target_row(chosen), lasts_ms=lasts, marked=marked, total=total, **how) as op:
            await self._walk(op, chosen, progress)
        return result_of(op)

    async def _drive(self, op: Stored, chosen: Chosen, progress: Tell | None) -> ActionResult:
        async with self._driven(op):
            await self._walk(op, chosen, progress)
        return result_of(op)

    async def _walk(self, op: Stored, chosen: Chosen, progress: Tell | None) -> None:
        """All steps of an operation: first what it will do is written down, then it is done."""
        began, scanned, saved = time.monotonic(), 0, 0.0
        before = op.changed
        act = self._retrying(op) if op.verb == "dead_retry" else self._purging(op)
        with redis_talk(self.servers.redis_url):
            if op.verb == "dead_purge" and isinstance(chosen, Selection) and chosen.whole:
                await self._purge_whole(op, chosen, progress)
                return
            async for step in self._steps(chosen):
                stop_if_cancelled()
                scanned += step.scanned
                op.matched += len(step.pairs)
                if step.pairs and step.queue.name not in op.queues:
                    op.queues.append(step.queue.name)
                dues = self._dues(op, len(step.pairs))
                if (step.pairs or time.monotonic() - saved > SAVE_S) and await self._asked(op):
                    op.matched -= len(step.pairs)
                    return
                saved = time.monotonic()
                if step.pairs:
                    op.changed += sum(await act(step, dues))
                if progress:
                    progress(Progress(op.total, scanned + before, op.matched, op.changed, began, receipt=op.id))
        self._count_gone(op, chosen)

    def _dues(self, op: Stored, count: int) -> list[int]:
        """When the letters of a step are due: after the hold, and as far apart as the rate wants it."""
        if op.verb != "dead_retry" or not (op.hold_s or op.rate):
            return []
        gap = 1000 / op.rate if op.rate else 0.0
        first = max(now_ms() + op.hold_s * 1000, op.due_ms + gap)
        dues = [round(first + n * gap) for n in range(count)]
        if dues:
            op.due_ms = first + (count - 1) * gap
            op.until_ms = max(op.until_ms, dues[-1] + RETRY_MS)
        return dues

    def _retrying(self, op: Stored) -> Callable[[Step, list[int]], Awaitable[Sequence[bool]]]:
        async def act(step: Step, dues: list[int]) -> Sequence[bool]:
            return await step.queue.dead_retry(op_of(op), step.pairs, dues)

        return act

    def _purging(self, op: Stored) -> Callable[[Step, list[int]], Awaitable[Sequence[bool]]]:
        async def act(step: Step, _: list[int]) -> Sequence[bool]:
            return await step.queue.dead_purge(op_of(op), step.pairs)

        return act

    async def _purge_whole(self, op: Stored, chosen: Selection, progress: Tell | None) -> None:
        """Each queue in two steps, one for what lies in Redis and one for its archive, however much it is."""
        began = time.monotonic()
        found = await parts(await self.all_queues(), chosen)
        op.queues = [part.queue.name for part in found]
        op.changed = 0
        for part in found:
            stop_if_cancelled()
            if await self._asked(op):
                return
            op.matched += await part.size()
            others = op.changed
            await part.queue.dead_purge_all(op_of(op), part.upto)
            while True:
                op.changed = others + await part.queue.op_size(op.id)
                op.matched = max(op.matched, op.changed)
                if progress:
                    progress(Progress(op.total, op.changed, op.matched, op.changed, began, receipt=op.id))
                stop_if_cancelled()
                if await self._asked(op):
                    return
                if not await part.queue.purge_archived(op_of(op), part.upto):
                    break
        self._count_gone(op, chosen)

    def _count_gone(self, op: Stored, chosen: Chosen) -> None:
        """Letters that were there when they were counted, and that somebody else has changed since."""
        expected = op.matched
        if isinstance(chosen, Marked):
            expected = max(expected, len(chosen.letters))
        elif not chosen_texts(chosen):
            expected = max(expected, op.total or 0)
        if isinstance(chosen, Selection) and chosen.counted:
            expected = max(expected, chosen.counted)
        op.matched = expected
        op.note = _gone(expected - op.changed)

    # --- what is meant --------------------------------------------------------------------------------------

    async def _settled(self, chosen: Chosen) -> Marked | Selection:
        """The pairs of ids, or a frozen selection. Raises BadInputError where nothing is selected."""
        if isinstance(chosen, Marked):
            return chosen
        queues = await self.all_queues()
        with redis_talk(self.servers.redis_url):
            if not isinstance(chosen, Selection):
                return await self._pairs_of(chosen, queues)
            if chosen.empty:
                raise BadInputError("no dead letters are selected", "give ids, a filter, or --all")
            if chosen.queue and chosen.queue not in {q.name for q in queues}:
                raise unknown("queue", chosen.queue, [q.name for q in queues], "queues")
            return await _frozen(queues, chosen)

    async def _pairs_of(self, ids: Sequence[str], queues: Sequence[WholeQueue]) -> Marked:
        wanted = list(dict.fromkeys(map(as_run_id, ids)))
        found: list[tuple[str, str, int]] = []
        for those in (self.hot(queues), queues):  # the archives are asked only for what Redis does not have
            known = {run for _, run, _ in found}
            missing = [run for run in wanted if run not in known]
            for queue, part in ((queue, part) for queue in those for part in chunks(missing)):
                there = await queue.dead_there(part)
                found += [(queue.name, run, sequence) for run, sequence in zip(part, there, strict=True) if sequence]
        return Marked(tuple(sorted(found, key=lambda letter: (letter[0], letter[2]))))

    async def _there(self, marked: Marked) -> AsyncIterator[tuple[WholeQueue, Sequence[Pair], list[bool]]]:
        """Marked letters in steps, by queue, oldest first, with whether each is still there."""
        known = {q.name: q for q in await self.all_queues()}
        by_queue: dict[str, list[Pair]] = {}
        for name, run, sequence in sorted(set(marked.letters), key=lambda letter: (letter[0], letter[2])):
            by_queue.setdefault(name, []).append((run, sequence))
        for name, pairs in by_queue.items():
            if name not in known:
                continue
            for part in chunks(pairs, STEP):
                there = await known[name].dead_there([run for run, _ in part])
                yield known[name], part, [s == sequence for s, (_, sequence) in zip(there, part, strict=True)]

    async def _steps(self, chosen: Chosen) -> AsyncIterator[Step]:
        if isinstance(chosen, Marked):
            async for queue, pairs, there in self._there(chosen):
                wanted = [pair for pair, is_there in zip(pairs, there, strict=True) if is_there]
                yield Step(queue, wanted, len(pairs))
            return
        assert isinstance(chosen, Selection)
        async for step in steps(await parts(await self.all_queues(), chosen)):
            yield step

    async def _size(self, chosen: Marked | Selection) -> int:
        """How many letters have to be looked at."""
        if isinstance(chosen, Marked):
            return await self.dead_count(chosen) and len(chosen.letters)
        with redis_talk(self.servers.redis_url):
            return sum([await part.size() for part in await parts(await self.all_queues(), chosen)])


async def _frozen(queues: Sequence[WholeQueue], selection: Selection) -> Selection:
    """The selection as of now. Raises BadInputError for a group of which there is nothing."""
    if selection.group and selection.upto is None:
        there = [q for q in queues if selection.queue in ("", q.name)]
        if not sum([await queue.dead_count(groups=[selection.group]) for queue in there]):
            raise BadInputError(
                f"no dead letters of a group {show(selection.group)}", "`cronsole dead groups` lists them"
            )
    return await freeze(queues, selection)


def chosen_texts(chosen: Chosen) -> bool:
    """Whether letters are looked at that may not be meant."""
    return isinstance(chosen, Selection) and chosen.texts


def target_row(chosen: Marked | Selection) -> dict[str, Any]:
    """What was chosen, as it is kept."""
    if isinstance(chosen, Selection):
        row: dict[str, Any] = {k: v for k, v in msgspec.to_builtins(chosen).items() if v}
        return row
    return {"ids": [run for _, run, _ in chosen.letters[:BATCH]], "count": len(chosen.letters)}


def _gone(count: int) -> str:
    if count <= 0:
        return ""
    return "1 was there no more" if count == 1 else f"{count:,} were there no more"
