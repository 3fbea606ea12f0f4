"""A console that slept: its connections are dead without a word, and it shows the truth again all the same."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from msgspec.structs import replace

from backends.connect import Servers
from backends.model import new_run_id
from backends.queues.base import NewRun
from backends.queues.streams import StreamQueue
from console.wake import SLEPT_S
from tests.e2e.test_console import console
from tests.support.engine import until


class Line:
    """A TCP port in front of a Unix socket that can go silent, as a firewall does with connections it has forgotten."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._age = 0
        self.port = 0
        self.opened = 0

    def forget(self) -> None:
        """From now on not a byte passes on what is open; what is opened later works."""
        self._age += 1

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Line]:
        """Take connections."""
        tasks: set[asyncio.Task[None]] = set()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.opened += 1
            there, back = await asyncio.open_unix_connection(self._path)
            age = self._age
            for source, target in ((reader, back), (there, writer)):
                tasks.add(asyncio.create_task(self._pass(source, target, age)))

        server = await asyncio.start_server(take, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, age: int) -> None:
        while data := await source.read(65536):
            if self._age != age:
                await asyncio.Event().wait()
            target.write(data)
        target.close()


async def test_after_a_sleep_it_connects_anew_and_says_of_no_server_that_it_is_down(connected: Servers) -> None:
    settings = connected.settings
    queue = StreamQueue(connected.redis, settings.namespace, "mail")
    await queue.enqueue([NewRun(new_run_id(), "send", b"{}")])
    postgres = urlsplit(str(settings.postgres_url))
    folder = parse_qs(postgres.query)["host"][0]
    async with (
        Line(urlsplit(str(settings.redis_url)).path).listening() as to_redis,
        Line(f"{folder}/.s.PGSQL.5432").listening() as to_postgres,
    ):
        there = replace(
            settings,
            redis_url=f"redis://127.0.0.1:{to_redis.port}",
            postgres_url=f"postgresql://{parse_qs(postgres.query)['user'][0]}@127.0.0.1:{to_postgres.port}{postgres.path}",
        )
        terminal = await asyncio.to_thread(console, there)
        try:
            await asyncio.to_thread(terminal.until, ["● Valkey", "● PostgreSQL", "mail  "])
            opened, shown = to_postgres.opened, len(terminal.raw)
            os.kill(terminal.process.pid, signal.SIGSTOP)
            await asyncio.sleep(SLEPT_S + 1.5)
            to_redis.forget()
            to_postgres.forget()
            await queue.enqueue([NewRun(new_run_id(), "send", b"{}") for _ in range(6)])
            os.kill(terminal.process.pid, signal.SIGCONT)
            await asyncio.to_thread(terminal.until, [" 7 "])
            await until(lambda: asyncio.sleep(0, to_postgres.opened > opened), "it has connected to Postgres anew")
            await asyncio.to_thread(terminal.quiet)
            told = terminal.raw[shown:].decode("utf-8", "replace")
            assert "no answer" not in told
            assert "✗ redis" not in told
            assert "✗ postgres" not in told
        finally:
            await asyncio.to_thread(terminal.close)
