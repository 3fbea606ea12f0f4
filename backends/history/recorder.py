"""The recorder: outbox streams → Postgres. One active writer; others stand by for its advisory lock.

An entry leaves the outbox only after its transaction is committed; what is delivered twice is stored once. A record
that can't be stored never stops the stream: the batch is halved until the offender is alone, and that one is parked in
``out:bad`` with the reason, beside an incident. While Postgres or Redis is away it waits, with growing pauses.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import struct
import time
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from zlib import crc32

import msgspec

from backends.history.store import note_incident, store
from backends.history.streams import GROUP, finish, open_group
from backends.model import ActionRecord, AttemptRecord, FireRecord, OutboxRecord

ROWS = 4_000
"""About so many records a transaction …"""
BYTES = 8_000_000
"""… and about so many bytes of JSON."""
MOST_ENTRIES = 100
"""Outbox entries a read, of every stream, at most; fewer when they are large."""
BLOCK_MS = 500
KEYS_EVERY_S = 2.0
LOCK = 0x63726F70
STANDBY_S = 2.0
PARTITION_TRIES = 3
LAST_DRAIN_S = 5.0
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 15.0
MOST_INCIDENTS = 20
"""Incidents a transaction; everything parked is in ``out:bad`` anyway."""

log = logging.getLogger("cronsole.history")

_many = msgspec.json.Decoder(list[OutboxRecord])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_one = msgspec.json.Decoder(OutboxRecord)

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)

Entries = Sequence[tuple[bytes, dict[bytes, bytes] | None]]


def _parts(raw: bytes) -> list[bytes]:
    """The records of an entry, each as JSON. Raises one of UNREADABLE when it is no list of anything."""
    try:
        return [bytes(part) for part in _raws.decode(raw)]
    except UNREADABLE:  # half a surrogate pair, which this decoder takes for the end
        found = json.loads(raw.decode("utf-8", "replace"))
        if not isinstance(found, list):
            raise
        return [json.dumps(part, ensure_ascii=False).encode("utf-8", "replace") for part in found]


class _Batch:
    """What goes into one transaction, and which outbox entry each record came from."""

    def __init__(self) -> None:
        self.records: list[OutboxRecord] = []
        self.entries: list[tuple[str, bytes]] = []  # (stream, entry id)
        self.starts: list[int] = []  # index of each entry's first record
        self.parked: dict[tuple[str, bytes], list[tuple[bytes, str]]] = {}
        self.bytes = 0

    @property
    def full(self) -> bool:
        return len(self.records) >= ROWS or self.bytes >= BYTES

    def add(self, key: str, entry_id: bytes, raw: bytes) -> None:
        """Decode an entry; what of it is not readable is parked, the rest is kept."""
        self.entries.append((key, entry_id))
        self.starts.append(len(self.records))
        self.bytes += len(raw)
        try:
            self.records += _many.decode(raw)
            return
        except UNREADABLE:
            pass
        try:
            parts = _parts(raw)
        except UNREADABLE as error:
            self._park(-1, raw, error)
            return
        for part in parts:
            try:
                self.records.append(_one.decode(part))
            except UNREADABLE as error:
                self._park(-1, part, error)

    def park_record(self, index: int, error: BaseException) -> None:
        """Park one decoded record."""
        self._park(bisect_right(self.starts, index) - 1, msgspec.json.encode(self.records[index]), error)

    def _park(self, entry: int, raw: bytes, error: BaseException) -> None:
        key, entry_id = self.entries[entry]
        why = str(error).split("\n", 1)[0][:500]
        log.error("a record can't be stored and was parked in %s:bad: %s", key, why, extra={"action": "record_parked"})
        self.parked.setdefault((key, entry_id), []).append((raw, why))


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
        self._count = 10  # entries to ask for, of every stream
        self._pause_s = FIRST_PAUSE_S
        self.stored = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop`; then what is still in the outbox, for LAST_DRAIN_S at most."""
        while not stop.is_set():
            try:
                async with self._pool.connection() as connection:
                    if await self._lead(connection):
                        await self._work(connection, stop)
                        continue
                await _sleep(stop, STANDBY_S)
            except Exception as error:
                log.warning("history waits: %s", error, extra={"action": "history_waits"})
                await _sleep(stop, self._pause_s * random.uniform(0.8, 1.2))
                self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    async def drain_once(self) -> int:
        """Record everything that is in the outbox now, without standing by; returns the attempts stored."""
        before = self.stored
        async with self._pool.connection() as connection:
            await self._adopt(connection)
            while await self._step(connection, None):
                pass
        return self.stored - before

    async def _work(self, connection: Any, stop: asyncio.Event) -> None:
        """Be the one that records. The lock goes with the session at the latest."""
        try:
            await self._adopt(connection)
            while not stop.is_set():
                await self._step(connection, BLOCK_MS)
            until = time.monotonic() + LAST_DRAIN_S
            while time.monotonic() < until and await self._step(connection, None):
                pass
            await connection.execute("select pg_advisory_unlock_all()")
        except BaseException:
            await connection.close()
            raise

    async def _lead(self, connection: Any) -> bool:
        """Whether we are the one for these outboxes: of this namespace, on this Redis server.

        When the server's identity changes (failover) there may be two for a while. That is safe: what both store is
        stored once.
        """
        keys = await self._out_keys()
        if not keys:
            return False
        spaces = sorted({key.partition("/")[0] for key in keys})
        server = (await self._redis.info("replication")).get("master_replid", "")
        scope = crc32("\0".join([str(server), *spaces]).encode()) - 2**31
        # So that the server notices a host that is gone without a word. Without effect on a Unix socket.
        await connection.execute(
            "select set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),"
            " set_config('tcp_keepalives_count', '3', false)"
        )
        cursor = await connection.execute("select pg_try_advisory_lock(%s, %s)", (LOCK, scope))
        return bool((await cursor.fetchone())[0])

    async def _streams(self) -> list[str]:
        from redis.exceptions import ResponseError

        now = time.monotonic()
        if now - self._keys_at >= KEYS_EVERY_S:
            usable = []
            for key in await self._out_keys():
                try:
                    if key not in self._keys:
                        await open_group(self._redis, key, self._name)
                    usable.append(key)
                except ResponseError as error:
                    if "WRONGTYPE" not in str(error):
                        raise
                    log.error("%s is not an outbox: %s", key, error, extra={"action": "outbox_unusable"})
            self._keys, self._keys_at = usable, now
        return self._keys

    async def _adopt(self, connection: Any) -> None:
        """Take over what recorders before us read and never finished. We hold the lock, so none is at work."""
        self._keys, self._keys_at = [], -KEYS_EVERY_S
        for key in await self._streams():
            start: Any = b"0-0"
            while True:
                start, entries, *_ = await self._redis.xautoclaim(
                    key, GROUP, self._name, min_idle_time=0, start_id=start, count=self._count
                )
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
                GROUP, self._name, dict.fromkeys(keys, ">"), count=self._count, block=block_ms
            )
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            self._keys, self._keys_at = [], -KEYS_EVERY_S  # the data was flushed: make the groups again
            return 0
        found = list(got.items()) if isinstance(got, dict) else got or []
        streams = [(k.decode() if isinstance(k, bytes) else k, _entries(v)) for k, v in found]
        await self._record(connection, streams)
        self._pause_s = FIRST_PAUSE_S
        return sum(len(entries) for _, entries in streams)

    async def _record(self, connection: Any, streams: Sequence[tuple[str, Entries]]) -> None:
        """Store the entries of several streams and take them off, in as few transactions as is sensible."""
        rows = size = 0
        batch = _Batch()
        for key, entries in streams:
            for entry_id, fields in entries:
                batch.add(key, entry_id, (fields or {}).get(b"r", b""))
                if batch.full:
                    rows, size = rows + len(batch.records), size + batch.bytes
                    await self._commit(connection, batch)
                    batch = _Batch()
                await asyncio.sleep(0)
        rows, size = rows + len(batch.records), size + batch.bytes
        if batch.entries:
            await self._commit(connection, batch)
        if rows > ROWS or size > BYTES:
            self._count = max(1, self._count // 2)
        elif rows * 2 <= ROWS and size * 2 <= BYTES and any(len(e) >= self._count for _, e in streams):
            self._count = min(MOST_ENTRIES, self._count * 2)

    async def _commit(self, connection: Any, batch: _Batch) -> None:
        await self._store(connection, batch, 0, len(batch.records))
        notes = [f"{key}:bad {entry.decode()}: {bad[0][1]}" for (key, entry), bad in batch.parked.items()]
        for note in notes[:MOST_INCIDENTS]:
            await note_incident(connection, "bad_record", note)
        await finish(self._redis, batch.entries, batch.parked)

    async def _store(self, connection: Any, batch: _Batch, low: int, high: int) -> None:
        """Store the records from `low` up to `high`; those that Postgres can't take are parked."""
        import psycopg

        if low == high:
            return
        part = batch.records[low:high]
        attempts = [r for r in part if isinstance(r, AttemptRecord)]
        fires = [r for r in part if isinstance(r, FireRecord)]
        actions = [r for r in part if isinstance(r, ActionRecord)]
        try:
            self.stored += await self._try(connection, attempts, fires, actions)
        except (
            psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded, ValueError, OverflowError,
            struct.error,
        ) as error:  # fmt: skip
            if high - low == 1:
                batch.park_record(low, error)
                return
            middle = (low + high) // 2
            await self._store(connection, batch, low, middle)
            await self._store(connection, batch, middle, high)

    async def _try(
        self, connection: Any, attempts: list[AttemptRecord], fires: list[FireRecord], actions: list[ActionRecord]
    ) -> int:
        """Store; again when a partition was attached just then.

        A row on its way into the default partition is refused when the partition it belongs to appears meanwhile.
        """
        import psycopg

        for _ in range(PARTITION_TRIES):
            try:
                return await store(connection, attempts, fires, actions)
            except psycopg.errors.CheckViolation as error:
                log.info("a partition came in between: %s", error, extra={"action": "store_again"})
        return await store(connection, attempts, fires, actions)


def _entries(value: Any) -> Entries:
    """RESP3 nests the entries of a stream one level deeper than RESP2."""
    nested = value and isinstance(value[0], list) and value[0] and isinstance(value[0][0], tuple)
    return value[0] if nested else value  # type: ignore[no-any-return]


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        pass
