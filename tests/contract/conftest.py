"""The adapters that the contract is run against: add one here and every test of this folder runs it."""

from __future__ import annotations

import pytest

from backends.connect import Servers
from backends.queues.base import Queue
from backends.queues.streams import StreamQueue


@pytest.fixture(params=["streams"])
async def queue(request: pytest.FixtureRequest, connected: Servers) -> Queue:
    return StreamQueue(
        connected.redis, connected.settings.namespace, "contract", sync_client=lambda: connected.redis_sync("lease")
    )
