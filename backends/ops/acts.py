"""What every action passes: the read-only refusal, the record that an undo needs, the audit."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from backends.connect import Servers
from backends.errors import BadInputError, CronsoleError, RefusedError
from backends.history import streams
from backends.model import ActionRecord, ActionResult, now_ms
from backends.ops.kinds import Marked, new_receipt
from backends.ops.reads import Reads
from backends.ops.record import DAY_MS, Records, Stored
from backends.ops.talk import redis_talk
from backends.queues.base import Op
from backends.queues.operations import keepers

QUEUE_KINDS = {
    "dead_retry": "retry", "dead_replay": "retry", "dead_purge": "purge", "cancel": "cancel",
}  # fmt: skip
"""How a queue takes back what a verb did to it; what isn't here has put runs in."""


DONE = {"dead_retry": "dead letters were put back", "dead_purge": "dead letters were taken away"}


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


def op_of(stored: Stored) -> Op:
    """What a queue needs to know of an operation."""
    return Op(stored.id, QUEUE_KINDS.get(stored.verb, "enter"), stored.by, stored.until_ms)


def result_of(op: Stored) -> ActionResult:
    """What an operation did; with a receipt where there is something to take back."""
    return ActionResult(op.matched, op.changed, op.id if op.changed else None, op.note)


def started_words(count: int) -> str:
    """Of runs that an undo came too late for."""
    return f"{count:,} had started and {'goes' if count == 1 else 'go'} on"


def ended_words(count: int) -> str:
    """Of runs that are not where an undo looks for them."""
    return f"{count:,} {'has' if count == 1 else 'have'} ended, or been moved or cancelled"


def _told(op: Stored) -> str:
    """What an operation that was interrupted did, and what can be done about it."""
    what = f"{op.changed:,} {DONE.get(op.verb, 'runs are in the queue')}"
    if op.state != "stopped":
        return f"{what}; `cronsole undo {op.id}` takes it back"
    on = f"`cronsole ops resume {op.id}` goes on, " if op.verb in ("dead_retry", "dead_purge") else ""
    return f"stopped half-way: {what}; {on}`cronsole undo {op.id}` takes it back"


class Acts(Reads):
    """The acting half of `Ops`, as far as all actions share it."""

    def __init__(self, servers: Servers, *, context_name: str = "default") -> None:
        super().__init__(servers, context_name=context_name)
        self.records = Records(servers.redis, self.namespace)

    def check_write(self, what: str) -> None:
        """Raise RefusedError in a read-only context."""
        if self.read_only:
            raise refuse(what)

    @asynccontextmanager
    async def _operation(
        self,
        verb: str,
        target: dict[str, Any],
        *,
        by: str | None = None,
        lasts_ms: int = DAY_MS,
        marked: Marked | None = None,
        **more: Any,
    ) -> AsyncIterator[Stored]:
        """A new operation, written before its first step and when it ends, however it ends. One that has changed
        nothing is forgotten again.

        The body tells in it what was matched and changed.
        """
        at = now_ms()
        op = Stored(id=new_receipt(at), verb=verb, by=by or whoami(), at_ms=at, until_ms=at + lasts_ms, target=target,
                    **more)  # fmt: skip
        with redis_talk(self.servers.redis_url):
            await self.records.begin(op, marked)
        async with self._driven(op):
            yield op

    @asynccontextmanager
    async def _driven(self, op: Stored) -> AsyncIterator[None]:
        """Drive an operation: however this ends, its record and the audit say how far it came."""
        try:
            yield
            if op.state == "running":
                op.state = "done"
        finally:
            if op.state == "running":
                op.state = "stopped"
            try:
                await self._end(op)
            except BaseException:  # interrupted here too: what can be taken back is told all the same
                if op.changed and not any(op.id in told for told in self.warnings):
                    self.warnings.append(_told(op))
                raise

    async def _asked(self, op: Stored) -> bool:
        """Write how far it is; whether somebody wants it to stop, or goes on with it himself."""
        asked = await self.records.save(op)
        if asked == "undo":
            op.state, op.note = "undoing", "it was taken back meanwhile"
        elif asked == "taken":
            op.state, op.note = "taken", "somebody else goes on with it"
        elif asked:
            op.state, op.note = "stopped", "stopped on request"
        return bool(asked)

    async def kept_in(self, op: Stored) -> list[str]:
        """The queues that keep something of an operation. They are asked: its record may be behind."""
        prefixes = {q.name: q.prefix for q in await self.all_queues()}
        with redis_talk(self.servers.redis_url):
            found = await keepers(self.servers.redis, prefixes, op.id)
        return list(dict.fromkeys((*op.queues, *found)))

    async def held(self, op: Stored) -> int:
        """How many runs or letters they keep."""
        with redis_talk(self.servers.redis_url):
            return sum([await self.live.queue(name).op_size(op.id) for name in await self.kept_in(op)])

    async def _end(self, op: Stored) -> None:
        again = op.audited
        try:
            with redis_talk(self.servers.redis_url):
                if op.state == "stopped" and op.queues and op.verb not in ("bump", "move"):
                    # what was under way when it stopped may have been done
                    op.changed = await self.held(op)
                    op.matched = max(op.matched, op.changed)
                op.audited = op.audited or op.changed > 0
                kept = op.changed or op.state == "undoing"
                if op.state == "taken" or await (self.records.save(op) if kept else self.records.drop(op)) == "taken":
                    self.warnings.append(f"{op.id}: somebody else goes on with it; `cronsole ops` tells how far it is")
                    return  # who does tells the audit
        except CronsoleError as error:
            self.warnings.append(f"{op.id} is not finished: {error}")
        if op.changed and op.state == "stopped":
            self.warnings.append(_told(op))
        elif op.state == "undoing" and op.verb not in DONE:
            self.warnings.append(f"{op.id} {op.note.removeprefix('it ')}: what was still to come stays out")
        if again:  # its receipt stands in the audit already
            await self._audit("ops_resume", {"receipt": op.id, "verb": op.verb}, op.matched, op.changed, note=op.note)
        elif op.matched or op.changed:
            receipt = op.id if op.changed and op.shown().undo_until_ms is not None else None
            await self._audit(op.verb, op.target, op.matched, op.changed, receipt, op.note, by=op.by)

    async def _audit(
        self,
        verb: str,
        target: dict[str, Any],
        matched: int,
        changed: int,
        receipt: str | None = None,
        note: str = "",
        by: str | None = None,
    ) -> None:
        """Note the action. It has happened: with history away the line goes through the outbox of a queue.

        Where that is not possible either, a warning says so.
        """
        line = ActionRecord(
            key=str(uuid4()), at_ms=now_ms(), who=by or whoami(), verb=verb, target=target, matched=matched,
            changed=changed, receipt=receipt, note=note,
        )  # fmt: skip
        try:
            async with self.history() as history:
                await history.write_action(
                    line.who, verb, target, matched, changed, receipt, note, key=line.key, at_ms=line.at_ms
                )
        except CronsoleError as error:
            try:
                with redis_talk(self.servers.redis_url):
                    queues = await self.all_queues()
                    if not queues:
                        raise error
                    await streams.put(self.servers.redis, f"{queues[0].prefix}out", [line])
                self.warnings.append(f"history can't be reached, so the audit will tell of this later: {error}")
            except CronsoleError as both:
                self.warnings.append(f"done, but not noted in the audit: {both}")

    async def _stored(self, receipt: str) -> Stored:
        """The record of an operation. Raises BadInputError where there is none."""
        from backends.ops.kinds import read_receipt

        op_id = read_receipt(receipt)
        with redis_talk(self.servers.redis_url):
            op = await self.records.get(op_id)
        if op is None:
            raise BadInputError(
                f"no operation {op_id}", "`cronsole ops` lists those that can be taken back, `cronsole audit` all"
            )
        return op
