"""Edit and replay: a dead letter or any past run goes again, as it was or with another payload, as a run of its own."""

from __future__ import annotations

from typing import Any

import msgspec

from backends.errors import BadInputError, CronsoleError
from backends.history.originals import keep_original
from backends.jobs.spec import JobSpec
from backends.jobs.words import show
from backends.model import DeadLetter, NewRuns, Trigger, as_run_id, new_run_id, now_ms
from backends.ops.acts import op_of, whoami
from backends.ops.bulk import HOLD_S
from backends.ops.output import OutputReads
from backends.ops.record import RETRY_MS
from backends.ops.starting import StartingActs, sealed, slot_of
from backends.ops.talk import redis_talk
from backends.queues.base import NewRun, OnFull
from backends.queues.streams import StreamQueue

OWN = ("id", "type", "payload", "attempts", "lastError", "trigger", "by", "replayOf")
"""Keys of an envelope that a replay writes anew; the producer's others travel on."""


class EditActs(StartingActs, OutputReads):
    """What makes new runs of old ones."""

    async def run_envelope(self, run_id: str) -> bytes | None:
        """The envelope of a dead letter or of a past run; None where it was not kept."""
        if letter := await self.dead_find(run_id):
            return letter.envelope
        async with self.history() as history:
            return await history.envelope(run_id)

    async def dead_replay(self, letter: DeadLetter, payload: dict[str, Any], *, hold_s: float = HOLD_S) -> NewRuns:
        """A new run with this payload in place of a dead letter, which leaves the list; its history stays.

        Raises BadInputError where the letter is no longer the one that was edited, or the payload can't travel.
        """
        self.check_write("replay a dead letter")
        spec = (await self.specs()).get(letter.job)
        run = self._again(letter.id, letter.job, letter.envelope, payload, spec, hold_s)
        target = {"queue": letter.queue, "job": letter.job, "run_id": letter.id, "as": run.run_id}
        lasts = round(hold_s * 1000) + RETRY_MS
        async with self._operation("dead_replay", target, lasts_ms=lasts, queues=[letter.queue]) as op:
            queue, pair = self.live.queue(letter.queue), (letter.id, letter.sequence)
            with redis_talk(self.servers.redis_url):
                (record,) = await queue.reader().read([pair])
                answer = await queue.dead_replace(op_of(op), pair, run)
            if answer != "ok":
                raise _refused(letter, answer)
            op.matched = op.changed = 1
            await self._keep(op.id, letter, record or b"", run.run_id)
        return NewRuns((run.run_id,), op.id)

    async def _keep(self, receipt: str, letter: DeadLetter, record: bytes, replaced_by: str) -> None:
        """The original stays in history. It is replaced already: a history that is away is a warning."""
        try:
            async with self._pool() as pool:
                await keep_original(
                    pool, self.namespace, letter.queue, letter.id, letter.sequence, record, receipt, replaced_by
                )
        except CronsoleError as error:
            self.warnings.append(f"the original is kept until the undo ends, not longer: {error}")

    async def replay(self, run_id: str, payload: dict[str, Any] | None = None) -> NewRuns:
        """Run any past run again, as it was or with another payload; the new run says of which it is a replay.

        A dead letter leaves the list for it. Raises BadInputError for a run that has not ended, and for one of which
        no envelope was kept.
        """
        self.check_write("replay")
        run_id = as_run_id(run_id)
        place = await self.run_place(run_id)
        if place is not None and place.state == "dead":
            letter = await self.dead_show(run_id)
            return await self.dead_replay(letter, _payload(letter.envelope) if payload is None else payload)
        if place is not None:
            raise BadInputError(f"run {show(run_id)} has not ended: it is {place.state}", "`cronsole why` tells more")
        attempts = (await self.run_page(run_id)).attempts
        envelope = await self.run_envelope(run_id)
        if envelope is None:
            raise BadInputError(
                f"the envelope of run {show(run_id)} was not kept",
                "`cronsole trigger` or `cronsole enqueue` starts it anew",
            )
        last = attempts[-1]
        spec = await self.spec(last.job)
        run = self._again(run_id, last.job, envelope, _payload(envelope) if payload is None else payload, spec, 0.0)
        target = {"queue": last.queue, "job": last.job, "run_id": run_id, "as": run.run_id}
        async with self._operation("replay", target, queues=[last.queue]) as op:
            await self._put_in(self._queue_of(last.queue), op, [run])
        return NewRuns((run.run_id,), op.id)

    def _queue_of(self, name: str) -> StreamQueue:
        return self.live.queue(name)

    def _again(
        self, run_id: str, job: str, envelope: bytes, payload: dict[str, Any], spec: JobSpec | None, hold_s: float
    ) -> NewRun:
        """The run that goes again: the producer's envelope with what a replay changes in it."""
        new_id = new_run_id()
        old = _object(envelope)
        fields = {
            "id": old["id"] if isinstance(old.get("id"), str) and old["id"] else new_id,
            "type": job,
            "payload": payload,
            "attempts": 0,
            "trigger": Trigger.REPLAY.value,
            "by": whoami(),
            "replayOf": run_id,
            **{key: value for key, value in old.items() if key not in OWN},
        }
        due = now_ms() + round(hold_s * 1000) if hold_s else 0
        slot, priority = (slot_of(spec), spec.priority) if spec else ("", 1)
        return NewRun(new_id, job, sealed(job, fields), priority, due, slot=slot, on_full=OnFull.WAIT)


def _object(envelope: bytes) -> dict[str, Any]:
    """The JSON object of an envelope; empty where it is none."""
    try:
        found = msgspec.json.decode(envelope)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _payload(envelope: bytes) -> dict[str, Any]:
    """The payload of an envelope. Raises BadInputError where it is no JSON object."""
    found = _object(envelope).get("payload", {})
    if not isinstance(found, dict) or not _object(envelope):
        raise BadInputError("its envelope has no payload that can be used again", "give one with --payload")
    return found


def _refused(letter: DeadLetter, answer: str) -> BadInputError:
    if answer == "changed":
        return BadInputError(
            f"letter {show(letter.id)} has died again since it was read", "read it anew, and edit that one"
        )
    return BadInputError(
        f"letter {show(letter.id)} is not dead any more: somebody has retried or purged it",
        f"`cronsole runs show {letter.id}` tells what became of it",
    )
