"""Queued runs to the front of their queue, or to another one; and how that is taken back."""

from __future__ import annotations

from collections.abc import Sequence

from backends.errors import BadInputError
from backends.jobs.words import show
from backends.model import ActionResult, as_run_id
from backends.ops.acts import Acts, result_of, started_words
from backends.ops.output import OutputReads
from backends.ops.reads import unknown
from backends.ops.record import Stored
from backends.ops.talk import redis_talk, stop_if_cancelled
from backends.queues.ahead import held_by
from backends.queues.base import chunks
from backends.queues.moves import carry

MOVED_MOST = 10_000
"""Run ids a call."""


class MovingActs(Acts, OutputReads):
    """What changes where runs wait."""

    async def bump(self, run_id: str) -> ActionResult:
        """A run that has not started goes before all others of its queue; one that is later is due now.

        Raises BadInputError for one that runs, or is in no queue.
        """
        self.check_write("bump")
        run_id = as_run_id(run_id)
        async with self._operation("bump", {"run_id": run_id}) as op:
            name, state = await self._queued(run_id)
            op.queues, op.before, op.target = [name], state, {"queue": name, **op.target}
            with redis_talk(self.servers.redis_url):
                await self.records.save(op)
                answer = await self.live.queue(name).bump(run_id)
            if answer != "ok":
                raise BadInputError(f"run {show(run_id)} has started", "`cronsole why` tells where it is")
            op.matched = op.changed = 1
            op.note = await self._held_note(name, run_id)
        return result_of(op)

    async def _held_note(self, name: str, run_id: str) -> str:
        """That a run in front does not start, where a pause or another run's slot holds it."""
        queue, reasons = self.live.queue(name), []
        with redis_talk(self.servers.redis_url):
            pauses, place = await queue.pauses(), await self.run_place(run_id)
            slot = place.waits_for if place and place.state == "waiting" else ""
            if holder := await held_by(self.servers.redis, queue.prefix, slot) if slot else None:
                reasons.append(f"run {holder[0]}, which has its slot, ends")
        if "" in pauses:
            reasons.append(f"the pause of the queue {name} ends")
        if place and place.job in pauses:
            reasons.append(f"the pause of the job {place.job} ends")
        return f"it starts when {' and '.join(reasons)}" if reasons else ""

    async def _undo_bump(self, op: Stored) -> ActionResult:
        run_id = str(op.target["run_id"])
        if not op.queues:
            raise BadInputError("nothing left to take back: it was interrupted before it began", "bump the run anew")
        with redis_talk(self.servers.redis_url):
            answer = await self.live.queue(op.queues[0]).unbump(run_id)
        if answer != "ok":
            raise BadInputError(
                f"nothing left to take back: run {show(run_id)} has started", f"`cronsole cancel {run_id}` ends it"
            )
        how = {
            "later": "it is at the end of its priority, and due: when it was due is not kept",
            "waiting": "it stays at the head of its line",
        }
        return ActionResult(1, 1, note=how.get(op.before, "it is at the end of its priority"))

    async def move(self, run_ids: Sequence[str], to_queue: str) -> ActionResult:
        """Runs that have not started go to another queue, in steps of 200; the note tells of those that do not.

        A crash leaves none in between: an engine brings it on. Raises BadInputError for a queue that is not known, and
        where no run can go.
        """
        self.check_write("move")
        wanted = list(dict.fromkeys(map(as_run_id, run_ids)))
        if not wanted or len(wanted) > MOVED_MOST:
            raise BadInputError(f"{len(wanted):,} runs can't be moved", f"give 1 to {MOVED_MOST:,} run ids")
        queues = {q.name for q in await self.all_queues()}
        there = queues | {spec.queue for spec in (await self.specs()).values()}
        if to_queue not in there:
            raise unknown("queue", to_queue, sorted(there), "queues")
        target = {"queue": to_queue, "run_ids": wanted[:20], "count": len(wanted)}
        async with self._operation("move", target, before={}) as op:
            op.matched = len(wanted)
            words = dict.fromkeys(wanted, "unknown")
            for name in sorted(queues):
                words |= await self._move_from(op, name, to_queue, [run for run in wanted if words[run] == "unknown"])
            op.note = _left(list(words.values()))
            if not op.changed:
                op.matched = 0
                raise BadInputError(f"nothing was moved: {op.note}", "`cronsole why RUN_ID` tells where a run is")
        return result_of(op)

    async def _move_from(self, op: Stored, name: str, target: str, run_ids: Sequence[str]) -> dict[str, str]:
        """What became of those that were found in a queue."""
        found: dict[str, str] = {}
        source = self.live.queue(name)
        with redis_talk(self.servers.redis_url):
            for part in chunks(run_ids):
                stop_if_cancelled()
                places = await self.servers.redis.hmget(f"{source.prefix}live", list(part))
                here = [run for run, place in zip(part, places, strict=True) if place and place[:1] != b"m"]
                if name == target:
                    found |= dict.fromkeys(here, "there")
                    continue
                if not here:
                    continue
                op.before.setdefault(name, []).extend(here)
                await self.records.save(op)
                words = dict(zip(here, await source.move_out(here, target), strict=True))
                moved = await carry(source, self.live.queue, await source.moving(here))
                op.changed += sum(moved.values())
                found |= {run: "moved" if moved.get(run) else word for run, word in words.items()}
        return found

    async def _undo_move(self, op: Stored) -> ActionResult:
        """Back to where they were, behind those that wait there; what has started goes on."""
        target = self.live.queue(str(op.target["queue"]))
        total = back = stay = 0
        for name, run_ids in op.before.items():
            with redis_talk(self.servers.redis_url):
                for part in chunks(run_ids):
                    total += len(part)
                    stay += (await target.move_out(part, name)).count("together")
                    back += sum((await carry(target, self.live.queue, await target.moving(part))).values())
        started = op.changed - back - stay
        told = [started_words(started)] if started > 0 else []
        note = ", ".join([*told, _left(["together"] * stay)] if stay else told)
        if not back:
            left = note if stay else "all have started"
            raise BadInputError(f"nothing left to take back: {left}", "`cronsole cancel` ends a run that runs")
        return ActionResult(op.changed, back, note=note)

    async def _queued(self, run_id: str) -> tuple[str, str]:
        """(queue, state) of a run that waits in a queue. Raises BadInputError."""
        for queue in await self.all_queues():
            with redis_talk(self.servers.redis_url):
                state = await queue.find(run_id)
            if state and state != "dead":
                return queue.name, state
        raise BadInputError(f"run {show(run_id)} is in no queue", "`cronsole runs show` tells how it ended")


def _left(words: Sequence[str]) -> str:
    """What could not be moved, in words."""
    what = {
        "running": ("runs already", "run already"),
        "there": ("is there already", "are there already"),
        "unknown": ("is in no queue", "are in no queue"),
        "together": (
            "stays: it takes turns with other runs of its job, which go with it or not at all",
            "stay: they take turns with other runs of their job, and all of these go or none",
        ),
        "ok": (
            "is back where it was: there is another run of that id",
            "are back where they were: there are other runs of those ids",
        ),
    }
    counts = {word: words.count(word) for word in what}
    return ", ".join(f"{n:,} {what[word][n > 1]}" for word, n in counts.items() if n)
