"""What is kept of an operation until its undo ends: in Redis, beside the queues, written before the first step.

Keys are ``cronsole:{<namespace>}:ops…``. The hash itself, op → JSON, is written by whoever drives the operation and
nobody else; ``:driver`` op → the token of who that is: one that slept while somebody went on with it writes nothing any
more; ``:asked`` op → what others want of it (stop, undo) and how far that is; ``:marked`` op → letters that were marked
one by one, until it is done; ``:at`` and ``:until`` order the ops by when they began and by when their undo ends;
``:open`` are those that are not finished. What an operation did to a queue is kept by the queue itself
(``trash:<op>``): that is the truth, this only tells of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_hex
from typing import Any

import msgspec

from backends.model import now_ms
from backends.ops.kinds import BEAT_MS, GONE_ON, Marked, Operation
from backends.queues.keys import ops_key
from backends.queues.scripts import Arg, script

DAY_MS = 86_400_000
PURGE_MS = 7 * DAY_MS
"""So long a purge can be taken back."""
RETRY_MS = 3_600_000
"""So long a retry can be taken back after its last letter was due."""
KEPT_MS = DAY_MS
"""So long an operation is still told of after its undo has ended."""
_SWEPT = 50
"""Old operations forgotten each time a new one begins."""

OPEN = ("running", "stopping", "stopped", "undoing")
"""States of an operation that is not finished."""


class Stored(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An operation, with what its driver needs to go on with it."""

    id: str
    verb: str
    by: str
    at_ms: int
    until_ms: int
    driver: str = ""  # a token of whoever drives it
    state: str = "running"
    target: dict[str, Any] = {}
    matched: int = 0
    changed: int = 0
    total: int | None = None
    rate: float | None = None
    note: str = ""
    beat_ms: int = 0
    undone_by: str = ""
    undone_ms: int | None = None
    undone: int = 0
    audited: bool = False  # with its receipt
    queues: list[str] = []  # where it left something to take back
    hold_s: float = 0.0
    due_ms: float = 0.0  # of the last letter that was sent on
    before: Any = None  # what an undo puts back, where that is not kept by a queue

    @property
    def left(self) -> bool:
        """Whether its driver is gone without having ended it."""
        return self.state in ("running", "undoing", "stopping") and now_ms() - self.beat_ms > BEAT_MS

    def shown(self) -> Operation:
        """As an operator sees it."""
        over = self.state in ("done", "stopped", GONE_ON) and self.until_ms <= now_ms()
        state = "expired" if over else self.state
        return Operation(
            self.id, self.verb, self.by, self.at_ms, self.until_ms, state, self.target, self.matched, self.changed,
            self.total, self.rate, self.note, self.beat_ms, self.undone_by, self.undone_ms, self.undone,
        )  # fmt: skip


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody wants of an operation: that its driver stops ('stop'), or that it is taken back ('undo')."""

    what: str
    by: str
    at_ms: int  # when it was asked for; of an undo, when it was last heard of
    done: bool = False
    back: int = 0  # so many an undo has taken back


_decoder = msgspec.json.Decoder(Stored)
_asked = msgspec.json.Decoder(Asked)
_marked = msgspec.json.Decoder(tuple[tuple[str, str, int], ...])


class Records:
    """The operations of a namespace."""

    def __init__(self, client: Any, namespace: str) -> None:
        self._redis = client
        self._key = ops_key(namespace)

    async def begin(self, op: Stored, marked: Marked | None = None) -> None:
        """Keep a new operation; forget some whose undo has ended long ago."""
        op.beat_ms, op.driver = now_ms(), token_hex(8)
        pipe = self._redis.pipeline(transaction=True)
        pipe.hset(self._key, op.id, msgspec.json.encode(op))
        pipe.hset(f"{self._key}:driver", op.id, op.driver)
        pipe.zadd(f"{self._key}:at", {op.id: op.at_ms})
        pipe.zadd(f"{self._key}:until", {op.id: op.until_ms})
        pipe.sadd(f"{self._key}:open", op.id)
        if marked is not None:
            pipe.hset(f"{self._key}:marked", op.id, msgspec.json.encode(marked.letters))
        pipe.zrange(
            f"{self._key}:until", "-inf", f"({now_ms() - KEPT_MS}", byscore=True, offset=0, num=_SWEPT
        )  # fmt: skip
        if old := (await pipe.execute())[-1]:
            await self.forget(*[op_id.decode() for op_id in old])

    async def save(self, op: Stored) -> str:
        """Write how far it is; answers what somebody wants of it: '', 'stop' or 'undo'.

        Where somebody else drives it by now nothing is written, and the answer is 'undo' or 'taken'.
        """
        op.beat_ms = now_ms()
        return await self._save(op, msgspec.json.encode(op), over=op.state not in OPEN)

    async def drop(self, op: Stored) -> str:
        """Forget one that has changed nothing; answers as `save`."""
        return await self._save(op, b"", over=True)

    async def _save(self, op: Stored, record: bytes, *, over: bool) -> str:
        args: list[Arg] = [op.id, op.driver, record, op.until_ms, int(over)]
        written, asked = await script("op_save")(self._redis, [self._key], args)
        what = _asked.decode(asked).what if asked else ""
        return what if written or what == "undo" else "taken"

    async def take_over(self, op: Stored, undo: Asked | None = None) -> bool:
        """Drive an operation from now on, or its undo; False where somebody else has begun to since it was read."""
        was, op.driver = op.driver, token_hex(8)
        asked = msgspec.json.encode(undo) if undo else b""
        return bool(await script("op_take")(self._redis, [self._key], [op.id, was, op.driver, asked]))

    async def drives(self, op: Stored) -> bool:
        """Whether nobody else has taken it over."""
        driver = await self._redis.hget(f"{self._key}:driver", op.id)
        return (driver or b"").decode() == op.driver

    async def ask(self, op_id: str, asked: Asked | None) -> None:
        """Say what is wanted of an operation; None takes that back."""
        pipe = self._redis.pipeline(transaction=True)
        if asked is None:
            pipe.hdel(f"{self._key}:asked", op_id)
        else:
            pipe.hset(f"{self._key}:asked", op_id, msgspec.json.encode(asked))
            if asked.done:
                pipe.srem(f"{self._key}:open", op_id)
                pipe.hdel(f"{self._key}:marked", op_id)
            elif asked.what == "undo":
                pipe.sadd(f"{self._key}:open", op_id)
        await pipe.execute()

    async def get(self, op_id: str) -> Stored | None:
        """One operation."""
        return next(iter(await self._read([op_id])), None)

    async def _read(self, ids: Sequence[Any]) -> list[Stored]:
        pipe = self._redis.pipeline(transaction=False)
        pipe.hmget(self._key, ids)
        pipe.hmget(f"{self._key}:asked", ids)
        pipe.hmget(f"{self._key}:driver", ids)
        rows = zip(*await pipe.execute(), strict=True)
        return [_merged(_decoder.decode(op), what, driver) for op, what, driver in rows if op]

    async def marked(self, op_id: str) -> Marked | None:
        """The letters that were marked for it."""
        found = await self._redis.hget(f"{self._key}:marked", op_id)
        return Marked(_marked.decode(found)) if found else None

    async def newest(self, limit: int, unfinished: bool) -> list[Stored]:
        """Newest first; `unfinished`: only those that are not."""
        if unfinished:
            ids = sorted(await self._redis.smembers(f"{self._key}:open"), reverse=True)[:limit]
        else:
            ids = await self._redis.zrange(f"{self._key}:at", 0, limit - 1, desc=True)
        found = await self._read(ids) if ids else []
        return [op for op in found if op.state in OPEN] if unfinished else found

    async def forget(self, *op_ids: str) -> None:
        """As if they had never been."""
        pipe = self._redis.pipeline(transaction=True)
        for part in ("", ":asked", ":marked", ":driver"):
            pipe.hdel(f"{self._key}{part}", *op_ids)
        for part in (":at", ":until"):
            pipe.zrem(f"{self._key}{part}", *op_ids)
        pipe.srem(f"{self._key}:open", *op_ids)
        await pipe.execute()


def _merged(op: Stored, asked: bytes | None, driver: bytes | None) -> Stored:
    """An operation with what others want of it."""
    op.driver = (driver or b"").decode()
    if not asked:
        return op
    wish = _asked.decode(asked)
    if wish.what == "undo":
        op.state, op.undone_by, op.undone_ms = "undone" if wish.done else "undoing", wish.by, wish.at_ms
        op.beat_ms, op.undone = wish.at_ms, wish.back
    elif op.state == "running":
        op.state = "stopping"
    return op
