"""The recorder: outbox streams → Postgres. One active writer; others stand by for its advisory lock.

An entry leaves the outbox only after its transaction is committed; what is delivered twice is stored once. A record
that can't be stored never stops the stream: the batch is halved until the offender is alone, and that one is parked in
``out:bad`` with the reason, beside an incident. While Postgres or Redis is away it waits, with growing pauses.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from backends.history.store import note_incident, store
from backends.model import AttemptRecord, FireRecord, OutboxRecord

GROUP = "history"
ENTRIES = 25
"""Outbox entries a read, of every stream: up to 5,000 attempts a transaction."""
BLOCK_MS = 500
KEYS_EVERY_S = 2.0
CLAIM_IDLE_MS = 30_000
LOCK = 0x63726F70
STANDBY_S = 2.0
LONGEST_PAUSE_S = 15.0

log = logging.getLogger("cronsole.history")

_many = msgspec.json.Decoder(list[OutboxRecord])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_one = msgspec.json.Decoder(OutboxRecord)

Item = tuple[OutboxRecord, bytes]  # the record, and the text it came as


class Recorder:
    """Records what ended. Run one in each engine; one of them works, the others stand by."""

    def __init__(
        self,
        redis: Any,
        pool: Any,
        out_keys: Callable[[], Awaitable[Sequence[str]]],
        name: str,
    ) -> None:
        """`redis`: a client whose time-out is above BLOCK_MS. `out_keys`: the outbox streams there are now."""
        self._redis = redis
        self._pool = pool
        self._out_keys = out_keys
        self._name = name
        self._keys: list[str] = []
        self._keys_at = -KEYS_EVERY_S
        self.stored = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop`; then what is still in the outbox, once more."""
        pause = 0.2
        while not stop.is_set():
            try:
                async with self._pool.connection() as connection:
                    await connection.set_autocommit(True)
                    if not await self._lead(connection):
                        await _sleep(stop, STANDBY_S)
                        continue
                    try:
                        await self._adopt(connection)
                        pause = 0.2
                        while not stop.is_set():
                            await self._step(connection, BLOCK_MS)
                        while await self._step(connection, None):
                            pass
                    finally:
                        with contextlib.suppress(Exception):
                            await connection.execute("select pg_advisory_unlock(%s)", (LOCK,))
            except Exception as error:
                log.warning("history waits: %s", error, extra={"action": "history_waits"})
                await _sleep(stop, pause * random.uniform(0.8, 1.2))
                pause = min(pause * 2, LONGEST_PAUSE_S)

    async def drain_once(self) -> int:
        """Record everything that is in the outbox now, without standing by; returns the attempts stored."""
        before = self.stored
        async with self._pool.connection() as connection:
            await self._adopt(connection, idle_ms=0)
            while await self._step(connection, None):
                pass
        return self.stored - before

    async def _lead(self, connection: Any) -> bool:
        cursor = await connection.execute("select pg_try_advisory_lock(%s)", (LOCK,))
        return bool((await cursor.fetchone())[0])

    async def _streams(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        if now - self._keys_at >= KEYS_EVERY_S:
            keys = list(await self._out_keys())
            for key in keys:
                if key not in self._keys:
                    await self._make_group(key)
            self._keys, self._keys_at = keys, now
        return self._keys

    async def _make_group(self, key: str) -> None:
        from redis.exceptions import ResponseError

        try:
            await self._redis.xgroup_create(key, GROUP, "0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _adopt(self, connection: Any, idle_ms: int | None = None) -> None:
        """Take over what a recorder before us read and never finished. We hold the lock, so it is not at work."""
        self._keys_at = -KEYS_EVERY_S
        for key in await self._streams():
            start: Any = "0-0"
            while True:
                start, entries, *_ = await self._redis.xautoclaim(
                    key, GROUP, self._name, min_idle_time=0 if idle_ms is None else idle_ms, start_id=start,
                    count=ENTRIES,
                )  # fmt: skip
                await self._record(connection, [(key, entries)])
                if start in (b"0-0", "0-0"):
                    break

    async def _step(self, connection: Any, block_ms: int | None) -> int:
        """Read once and record; returns how many entries there were."""
        from redis.exceptions import ResponseError

        keys = await self._streams()
        if not keys:
            await asyncio.sleep((block_ms or 0) / 1000)
            return 0
        try:
            got: Any = await self._redis.xreadgroup(
                GROUP, self._name, dict.fromkeys(keys, ">"), count=ENTRIES, block=block_ms
            )
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            self._keys, self._keys_at = [], -KEYS_EVERY_S  # the data was flushed: make the groups again
            return 0
        if not got:
            return 0
        found = list(got.items()) if isinstance(got, dict) else got
        streams = [(k.decode() if isinstance(k, bytes) else k, _entries(v)) for k, v in found]
        await self._record(connection, streams)
        return sum(len(entries) for _, entries in streams)

    async def _record(self, connection: Any, streams: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Store the entries of several streams in one transaction, then take them off."""
        items: list[Item] = []
        home: dict[int, str] = {}
        for key, entries in streams:
            for _, fields in entries:
                raw = (fields or {}).get(b"r", b"")
                try:
                    records = _many.decode(raw)
                    fresh: list[Item] = [(r, raw) for r in records]
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    fresh = await self._sift(connection, key, raw)
                for item in fresh:
                    home[id(item)] = key
                items += fresh
        if items:
            await self._store(connection, items, home)
        pipe = self._redis.pipeline(transaction=True)
        for key, entries in streams:
            ids = [entry_id for entry_id, _ in entries]
            if ids:
                pipe.xack(key, GROUP, *ids)
                pipe.xdel(key, *ids)
        await pipe.execute()

    async def _sift(self, connection: Any, key: str, raw: bytes) -> list[Item]:
        """An entry that is not wholly readable: keep what is, park the rest."""
        try:
            parts = _raws.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            await self._park(connection, key, raw, error)
            return []
        good: list[Item] = []
        for part in parts:
            try:
                good.append((_one.decode(part), bytes(part)))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                await self._park(connection, key, bytes(part), error)
        return good

    async def _store(self, connection: Any, items: list[Item], home: dict[int, str]) -> None:
        import psycopg

        attempts = [r for r, _ in items if isinstance(r, AttemptRecord)]
        fires = [r for r, _ in items if isinstance(r, FireRecord)]
        try:
            self.stored += await store(connection, attempts, fires)
        except (psycopg.DataError, psycopg.IntegrityError, ValueError, OverflowError, struct.error) as error:
            if len(items) == 1:
                record = items[0][0]
                await self._park(connection, home[id(items[0])], msgspec.json.encode(record), error)
                return
            half = len(items) // 2
            await self._store(connection, items[:half], home)
            await self._store(connection, items[half:], home)

    async def _park(self, connection: Any, key: str, raw: bytes, error: BaseException) -> None:
        log.error(
            "a record can't be stored and was parked in %s:bad: %s", key, error, extra={"action": "record_parked"}
        )
        await self._redis.xadd(f"{key}:bad", {"r": raw, "why": str(error)[:500]})
        await note_incident(connection, "bad_record", f"{key}:bad: {error}")


def _entries(value: Any) -> list[Any]:
    """RESP3 nests the entries of a stream one level deeper than RESP2."""
    return value[0] if value and isinstance(value[0], list) and value[0] and isinstance(value[0][0], tuple) else value


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        pass
