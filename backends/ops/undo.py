"""Undo: an operation is taken back by its receipt, as far as nothing has started since."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace

from backends.errors import BadInputError
from backends.model import ActionResult, from_ms, now_ms
from backends.ops.acts import ended_words, op_of, started_words, whoami
from backends.ops.kinds import GONE_ON, Progress, Tell
from backends.ops.moving import MovingActs
from backends.ops.record import Asked, Stored
from backends.ops.steering import SteeringActs
from backends.ops.talk import redis_talk, stop_if_cancelled
from backends.ops.walk import STEP

OPEN_MOST = 100
"""So many unfinished operations are looked at."""


@dataclass
class _Back:
    """How far an undo is."""

    back: int = 0
    left: int = 0
    at_work: int = 0

    def note(self, op: Stored) -> str:
        """What became of those that are not back."""
        elsewhere = self.left - self.at_work
        notes = [started_words(self.at_work)] if self.at_work else []
        if elsewhere and op_of(op).kind in ("retry", "enter"):  # runs, which go on by themselves
            notes.append(ended_words(elsewhere))
        elif elsewhere:
            notes.append(f"{elsewhere:,} {'is' if elsewhere == 1 else 'are'} not there any more")
        return ", ".join(notes)


class UndoActs(SteeringActs, MovingActs):
    """Takes back what the other actions did."""

    async def undo(self, receipt: str, progress: Tell | None = None) -> ActionResult:
        """Take an operation back: letters are dead again, new runs that have not started are gone.

        What has started meanwhile is left alone and counted in the note. One that a crash has left half-way is taken
        back as far as it came. Raises BadInputError for an unknown receipt, one whose time is over, one that was taken
        back before, and where nothing is left to take back.
        """
        self.check_write("undo")
        op = await self._stored(receipt)
        self._undoable(op)
        if op.state in ("running", "stopping") and not op.left:
            raise BadInputError(f"{op.id} is at work, driven by {op.by}", f"stop it first: `cronsole ops stop {op.id}`")
        one = {
            "pause": self._undo_pause, "resume": self._undo_pause, "bump": self._undo_bump, "move": self._undo_move
        }.get(op.verb)  # fmt: skip
        who = op.undone_by or whoami()  # who began it; an engine may go on with it
        with redis_talk(self.servers.redis_url):
            if not await self.records.take_over(op, Asked("undo", who, now_ms()) if one is None else None):
                raise BadInputError(f"somebody else is at {op.id} right now", "wait until that is done")
        if one is None:
            return await self._restore(op, who, progress)
        result = await one(op)
        await self._undone(op, who, result)
        return result

    async def finish_undos(self) -> int:
        """Finish undos that were begun and that nobody goes on with; how many. For engines."""
        with redis_talk(self.servers.redis_url):
            left = [op for op in await self.records.newest(OPEN_MOST, True) if op.state == "undoing" and op.left]
        for op in left:
            with suppress(BadInputError):  # there was nothing to take back, or somebody else was faster
                await self.undo(op.id)
        return len(left)

    def _undoable(self, op: Stored) -> None:
        if op.state == "undone":
            when = f"{from_ms(op.undone_ms or 0).astimezone():%Y-%m-%d %H:%M:%S}"
            raise BadInputError(
                f"{op.id} was taken back already, by {op.undone_by} at {when}", "there is no more to do"
            )
        if op.state == "undoing" and not op.left and op.undone_by:
            raise BadInputError(f"{op.undone_by} is taking {op.id} back right now", "wait until that is done")
        if op.until_ms <= now_ms() and op.state != "undoing":
            ended = f"{from_ms(op.until_ms).astimezone():%Y-%m-%d %H:%M:%S}"
            raise BadInputError(f"the time to take {op.id} back ended at {ended}", "`cronsole audit` tells what it did")
        if op.verb == "cancel" and op.note == "asked":
            raise BadInputError(
                "a run that was cancelled while it ran does not come back",
                f"start it anew: `cronsole runs replay {op.target.get('run_id', 'RUN_ID')}`",
            )

    async def _restore(self, op: Stored, who: str, progress: Tell | None) -> ActionResult:
        """Step by step, as the queues do it. A crash leaves the rest to the engines, or to another call."""
        began, told = time.monotonic(), _Back()
        names = await self.kept_in(op)
        with redis_talk(self.servers.redis_url):
            total = sum([await self.live.queue(name).op_size(op.id) for name in names])
            try:
                for name in names:
                    await self._restore_queue(op, who, name, total, told, progress, began)
            except BaseException:
                self.warnings.append(f"stopped half-way: an engine goes on with it, or `cronsole undo {op.id}`")
                raise
        result = ActionResult(told.back + told.left, told.back, note=told.note(op))
        if not told.back and (told.left or (op.changed and op.state != "undoing")):
            await self._not_undone(op)
            what = result.note or "what it did has gone on since"
            hint = "cancel` ends a run that runs" if told.at_work else "why RUN_ID` tells where a run is"
            raise BadInputError(f"nothing left to take back: {what}", f"`cronsole {hint}")
        await self._undone(op, who, result)
        return result

    async def _not_undone(self, op: Stored) -> None:
        """Nothing is left to take back, or only what its queues keep as it may come back.

        One that was not finished can't go on any more either, for its queues have let go of it.
        """
        op.state = "done" if await self.held(op) else GONE_ON
        with redis_talk(self.servers.redis_url):
            await self.records.ask(op.id, None)
            await self.records.save(op)

    async def _restore_queue(
        self, op: Stored, who: str, name: str, total: int, told: _Back, progress: Tell | None, began: float
    ) -> None:
        """Others may take steps of it too: the queue says how many came back in all."""
        queue, before = self.live.queue(name), replace(told)
        while True:
            stop_if_cancelled()
            step = await queue.restore(op.id, STEP)
            told.back, told.left = before.back + step.all_back, before.left + step.all_left
            told.at_work = before.at_work + step.at_work
            if progress:
                done = told.back + told.left
                progress(Progress(max(total, done), done, done, told.back, began, receipt=op.id))
            if not step.more:
                return
            await self.records.ask(op.id, Asked("undo", who, now_ms()))

    async def _undone(self, op: Stored, who: str, result: ActionResult) -> None:
        """Say so in the record and in the audit, unless somebody else has finished it meanwhile."""
        with redis_talk(self.servers.redis_url):
            if not await self.records.drives(op):
                return
            await self.records.ask(op.id, Asked("undo", who, now_ms(), True, result.changed))
        target = {"receipt": op.id, "verb": op.verb, **{k: v for k, v in op.target.items() if v}}
        await self._audit("undo", target, result.matched, result.changed, op.id, result.note, by=who)
