"""What the native queue promises beyond the contract: transitions that take more than one call."""

from __future__ import annotations

from backends.connect import Servers
from backends.model import Pause
from backends.queues.scripts import script
from backends.queues.streams import StreamQueue
from tests.contract.helpers import WORKER, run


async def test_a_resume_that_was_cut_off_is_finished(connected: Servers) -> None:
    queue = StreamQueue(connected.redis, connected.settings.namespace, "default")
    await queue.pause(Pause(by="me"), job="a")
    await queue.enqueue([run("a") for _ in range(5)])
    assert (await queue.take(WORKER, 10)).deliveries == ()
    assert await script("resume")(connected.redis, [queue.prefix], ["pausejob:a", "a", 2, ""]) == [1, 2]
    assert len((await queue.take(WORKER, 10)).deliveries) == 2, "the pause is over at once"
    assert await queue.promote() == 3
    assert len((await queue.take(WORKER, 10)).deliveries) == 3
    assert await connected.redis.hkeys(f"{queue.prefix}ctl") == []
