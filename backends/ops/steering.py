"""pause, resume, cancel: what steers runs that are there already, and how the first two are taken back."""

from __future__ import annotations

from typing import Any

import msgspec

from backends.errors import BadInputError
from backends.model import ActionResult, Pause, as_run_id, now_ms
from backends.ops.acts import Acts, op_of, result_of, whoami
from backends.ops.reads import unknown
from backends.ops.record import Stored
from backends.ops.talk import redis_talk
from backends.queues.streams import StreamQueue


class SteeringActs(Acts):
    """What changes how runs go on."""

    async def pause(self, target: str, note: str = "", for_s: float | None = None) -> ActionResult:
        """Hand out no more runs of 'queue:NAME' or 'job:NAME', for `for_s` seconds or until resumed."""
        self.check_write("pause")
        if for_s is not None and for_s <= 0:
            raise BadInputError("a pause of no length pauses nothing", "give it a length: 30m, 2h")
        queues, job = await self._target(target)
        at = now_ms()
        pause = Pause(whoami(), note, at, None if for_s is None else at + round(for_s * 1000))
        was = await self._pauses(queues, job)
        before = {"was": was, "set": msgspec.to_builtins(pause)}
        async with self._operation("pause", {"target": target, "note": note, "for_s": for_s}, before=before) as op:
            with redis_talk(self.servers.redis_url):
                for queue in queues:
                    await queue.pause(pause, job)
            op.matched = op.changed = 1
        return result_of(op)

    async def resume(self, target: str) -> ActionResult:
        """End a pause; nothing is changed where there was none."""
        self.check_write("resume")
        queues, job = await self._target(target)
        before = {"was": await self._pauses(queues, job), "set": None}
        async with self._operation("resume", {"target": target}, before=before) as op:
            op.matched = 1
            with redis_talk(self.servers.redis_url):
                op.changed = int(any([await queue.resume(job) for queue in queues]))
        return result_of(op)

    async def _undo_pause(self, op: Stored) -> ActionResult:
        """A pause or a resume is as if it had not been, unless somebody has changed it since."""
        target = str(op.target["target"])
        queues, job = await self._target(target)
        set_now = op.before["set"]
        if set_now and set_now["until_ms"] and set_now["until_ms"] <= now_ms():
            set_now = None
        was = {name: _in_force(pause) for name, pause in op.before["was"].items()}
        known, back = msgspec.convert(set_now, Pause | None), False
        with redis_talk(self.servers.redis_url):
            for queue in queues:
                back |= await queue.pause_instead(known, was.get(queue.name), job)
        if not back:
            there = [pause for pause in (await self._pauses(queues, job)).values() if pause]
            if not (there or known):
                raise BadInputError("nothing left to take back: the pause would be over by now", "pause it anew")
            how = f"was paused by {there[0]['by']}" if there else "was resumed"
            raise BadInputError(f"{target} {how} since", "pause or resume it as it shall be")
        return ActionResult(1, 1, note=f"{target} is {'paused' if any(was.values()) else 'not paused'}, as before")

    async def _pauses(self, queues: list[StreamQueue], job: str) -> dict[str, Any]:
        """Queue → its pause of that job, or its own; None where there is none."""
        with redis_talk(self.servers.redis_url):
            found = {queue.name: (await queue.pauses()).get(job) for queue in queues}
        return {name: pause and msgspec.to_builtins(pause) for name, pause in found.items()}

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
        self.check_write("cancel")
        run_id = as_run_id(run_id)
        answer = "unknown"
        async with self._operation("cancel", {"run_id": run_id}) as op:
            for queue in await self.all_queues():
                op.queues = [queue.name]
                with redis_talk(self.servers.redis_url):
                    answer = await queue.cancel(run_id, whoami(), op_of(op))
                if answer != "unknown":
                    break
            op.target = {**op.target, "answer": answer}
            op.matched = op.changed = int(answer != "unknown")
            op.note = answer
        receipt = op.id if answer == "cancelled" else None
        return ActionResult(op.matched, op.changed, receipt, answer)


def _in_force(pause: Any) -> Pause | None:
    found = msgspec.convert(pause, Pause | None)
    return None if found is None or (found.until_ms is not None and found.until_ms <= now_ms()) else found
