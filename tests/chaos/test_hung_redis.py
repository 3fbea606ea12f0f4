"""A Redis that hangs, and goes on when nobody waits any more."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backends.connect import Settings
from backends.embedded import acquire
from backends.errors import CronsoleError
from backends.jobs.load import load_text
from backends.jobs.publish import publish_jobs
from backends.ops import Ops
from console import feed
from tests.backends.embedded_helpers import folder, pids  # noqa: F401
from tests.console.cli_helpers import JOBS
from tests.support.engine import until


class Nobody:
    """Looks at nothing that the feed tells."""

    def post_message(self, message: object) -> None:
        """Drop it."""


async def test_what_was_given_up_is_not_done_when_redis_goes_on(
    folder: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed, "ANSWER_S", 0.5)
    holder = acquire(folder)
    settings = Settings(redis_url=holder.redis_url, postgres_url=holder.postgres_url, namespace="prod", data_dir=folder)
    valkey = pids(folder)[0]
    assert valkey
    try:
        async with Ops.open(settings) as ops:
            file = load_text(JOBS)
            await publish_jobs(ops.servers.redis, settings.namespace, file)

            @asynccontextmanager
            async def opened() -> Any:
                yield ops

            reads = feed.Feed(opened, Nobody())
            reads.start()
            await until(lambda: answered(reads), "redis answers")
            await reads.act(lambda o: o.trigger("tick"))
            os.kill(valkey, signal.SIGSTOP)
            try:
                with pytest.raises(CronsoleError, match="redis does not answer; nothing was sent"):
                    await reads.act(lambda o: o.trigger("tick"))
            finally:
                os.kill(valkey, signal.SIGCONT)
            await until(lambda: goes_on(ops), "redis goes on")
            await reads.act(lambda o: o.trigger("tick"))
            lie = await ops.live.queue("default").status()
            assert lie.ready + lie.waiting == 2, "one from before it hung, one from after"
            reads.stop()
            await reads.closed()
    finally:
        holder.release()


async def answered(reads: feed.Feed) -> bool:
    return bool(reads._links["redis"].last_ok_ms)


async def goes_on(ops: Ops) -> bool:
    async with asyncio.timeout(5):
        return bool(await ops.servers.redis.ping())
