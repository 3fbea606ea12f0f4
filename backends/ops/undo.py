"""Undo: an operation is taken back by its receipt, as far as nothing has started since."""

from __future__ import annotations

import time
from dataclasses import dataclass

from backends.errors import BadInputError
from backends.model import ActionResult, from_ms, now_ms
from backends.ops.acts import started_words, whoami
from backends.ops.kinds import Progress, Tell
from backends.ops.moving import MovingActs
from backends.ops.record import Asked, Stored
from backends.ops.steering import SteeringActs
from backends.ops.talk import redis_talk, stop_if_cancelled
from backends.ops.walk import STEP


@dataclass
class _Back:
    """How far an undo is."""

    back: int = 0
    started: int = 0


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
        if one is None:
            return await self._restore(op, progress)
        result = await one(op)
        await self._undone(op, result)
        return result

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

    async def _restore(self, op: Stored, progress: Tell | None) -> ActionResult:
        """Step by step, as the queues do it. A crash leaves the rest to the engines, or to another call."""
        began = time.monotonic()
        with redis_talk(self.servers.redis_url):
            await self.records.ask(op.id, Asked("undo", whoami(), now_ms()))
            total = sum([await self.live.queue(name).op_size(op.id) for name in op.queues])
            told = _Back()
            for name in op.queues:
                await self._restore_queue(op, name, total, told, progress, began)
        left = max(0, total - told.back - told.started)
        notes = [started_words(told.started)] if told.started else []
        notes += [f"{left:,} {'is' if left == 1 else 'are'} not there any more"] if left else []
        result = ActionResult(total, told.back, note=", ".join(notes))
        if not told.back and op.state != "undoing" and (total or op.changed):
            await self._not_undone(op)
            raise BadInputError(
                f"nothing left to take back: {result.note or 'what it did has gone on since'}",
                "`cronsole cancel` ends a run that runs",
            )
        await self._undone(op, result)
        return result

    async def _not_undone(self, op: Stored) -> None:
        """It stays what it was; one that was not finished can't go on any more, for its queues have let go of it."""
        with redis_talk(self.servers.redis_url):
            await self.records.ask(op.id, None)
            if op.state != "done":
                op.state = "done"
                await self.records.save(op)

    async def _restore_queue(
        self, op: Stored, name: str, total: int, told: _Back, progress: Tell | None, began: float
    ) -> None:
        queue = self.live.queue(name)
        while True:
            stop_if_cancelled()
            step = await queue.restore(op.id, STEP)
            told.back += step.back
            told.started += step.started
            if progress:
                done = told.back + told.started
                progress(Progress(total, done, done, told.back, began, receipt=op.id))
            if not step.more:
                return
            await self.records.ask(op.id, Asked("undo", whoami(), now_ms()))

    async def _undone(self, op: Stored, result: ActionResult) -> None:
        """Say so in the record and in the audit."""
        back = 0 if op.state == "undoing" else result.changed  # who went on with it has not told how far
        with redis_talk(self.servers.redis_url):
            await self.records.ask(op.id, Asked("undo", whoami(), now_ms(), True, back))
        target = {"receipt": op.id, "verb": op.verb, **{k: v for k, v in op.target.items() if v}}
        await self._audit("undo", target, result.matched, result.changed, op.id, result.note)
