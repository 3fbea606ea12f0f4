"""What the tests of history share: attempts to record, and an outbox with its recorder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from backends.connect import Servers
from backends.history.recorder import Recorder
from backends.model import AttemptRecord, Outcome, new_run_id, now_ms


def record(run_id: str | None = None, attempt: int = 1, **more: Any) -> AttemptRecord:
    at = now_ms() * 1000
    values: dict[str, Any] = {
        "job": "j", "queue": "q", "outcome": Outcome.SUCCEEDED, "started_us": at - 1500, "finished_us": at
    } | more  # fmt: skip
    return AttemptRecord(run_id=run_id or new_run_id(), attempt=attempt, **values)


class Outbox:
    """A recorder over one outbox of a test."""

    def __init__(self, servers: Servers, pool: Any) -> None:
        self.servers = servers
        self.redis = servers.redis
        self.url = servers.postgres_url
        self.pool = pool
        self.key = f"cronsole:{{{servers.settings.namespace}/q}}:out"
        self.keys = [self.key]
        self.recorder = self.another("r1")

    async def _keys(self) -> list[str]:
        return self.keys

    def another(self, name: str) -> Recorder:
        """A recorder of the same outbox."""
        return Recorder(self.servers.redis_client("recorder"), self.pool, self._keys, name)

    async def is_empty(self) -> bool:
        return not await self.redis.xlen(self.key)

    async def put(self, *records: Any) -> None:
        await self.put_raw(msgspec.json.encode(list(records)))

    async def put_raw(self, raw: bytes) -> None:
        await self.redis.xadd(self.key, {"r": raw})

    async def one(self, sql: str) -> Any:
        async with self.pool.connection() as c:
            row = await (await c.execute(sql)).fetchone()
            return row[0] if row and len(row) == 1 else row

    async def parked(self) -> list[Any]:
        entries: Any = await self.redis.xrange(self.key + ":bad")
        return [fields[b"r"] for _, fields in entries]


async def until(so: Callable[[], Awaitable[Any]], what: str, seconds: float = 30) -> None:
    """Wait until `so` answers something true."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await so():
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.02)
