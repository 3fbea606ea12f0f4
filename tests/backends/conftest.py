"""Ops over a namespace of its own, with published jobs and announced queues."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backends.connect import Settings
from backends.jobs import JobFile
from backends.jobs.load import load_text
from backends.jobs.publish import publish_jobs
from backends.ops import Ops
from backends.queues.streams import StreamQueue

JOBS = """
[jobs.tick]
schedule = "* * * * *"
command = "true"
payload = { base = 1 }

[jobs.send_email]
queue = "mail"
task = "app:send"

[queues.mail]
inbox = "list"
inbox_key = "app:mail"
"""


@pytest.fixture
def file() -> JobFile:
    """Two jobs, two queues, one inbox."""
    return load_text(JOBS)


@pytest.fixture
async def ops(settings: Settings, file: JobFile) -> AsyncIterator[Ops]:
    """Ops over a namespace whose jobs are published and whose queues are announced."""
    async with Ops.open(settings) as ops:
        await publish_jobs(ops.servers.redis, settings.namespace, file)
        for name in file.queues:
            await ops.live.queue(name).announce()
        yield ops


@pytest.fixture
def queue(ops: Ops) -> StreamQueue:
    """The queue of most tests of operations."""
    return ops.live.queue("mail")
