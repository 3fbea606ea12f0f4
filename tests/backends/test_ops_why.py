"""Why is this not running?"""

from __future__ import annotations

import pytest

from backends.errors import BadInputError
from backends.model import EngineStatus, RunningRow, new_run_id, now_ms
from backends.ops import Ops
from backends.queues.base import OnFull
from backends.queues.live import beat
from tests.backends.ops_helpers import bury
from tests.contract.helpers import run, take_one


async def engine(ops: Ops, busy: int = 0, queues: tuple[str, ...] = ("mail",), **more: object) -> None:
    """An engine that is alive."""
    now = now_ms()
    beat_ms = more.pop("beat_ms", now)
    status = EngineStatus("w1", "web-1", 7, "0.1.0", now, beat_ms, 4, busy, queues=queues, **more)  # type: ignore[arg-type]
    await beat(ops.servers.redis, ops.namespace, status)


async def reasons(ops: Ops, run_id: str) -> str:
    """All of them."""
    return "\n".join((await ops.why(run_id)).reasons)


class TestWhy:
    """One reason after the other."""

    async def test_ready(self, ops: Ops) -> None:
        """No engine, the wrong queue, stopping, full, behind others, next."""
        queue = ops.live.queue("mail")
        first, second, third = run(), run(), run(priority=0)
        await queue.enqueue([first, second])
        assert "no engine is alive" in await reasons(ops, first.run_id)
        await engine(ops, queues=("default",))
        assert "no engine takes the queue mail: 1 alive" in await reasons(ops, first.run_id)
        await engine(ops, draining=True)
        assert "is stopping" in await reasons(ops, first.run_id)
        await engine(ops, beat_ms=now_ms() - 12_000)
        assert "every engine that takes mail is silent, the last one was heard of 1" in await reasons(ops, first.run_id)
        await engine(ops, beat_ms=now_ms() - 60_000)
        assert "no engine is alive: start `cronsole engine`; w1 was last heard of" in await reasons(ops, first.run_id)
        await engine(ops, busy=4)
        assert "are full: 4 of 4 slots" in await reasons(ops, first.run_id)
        await engine(ops)
        assert await reasons(ops, first.run_id) == "it is ready: an engine takes it next"
        assert await reasons(ops, second.run_id) == "1 run goes before it"
        await queue.enqueue([third])
        assert await reasons(ops, second.run_id) == "2 runs go before it"
        await take_one(queue)
        assert await reasons(ops, second.run_id) == "1 run goes before it"
        await queue.enqueue([run(priority=0) for _ in range(150)])
        assert await reasons(ops, second.run_id) == "100 or more runs go before it"

    async def test_paused(self, ops: Ops) -> None:
        """By whom, why and until when."""
        await engine(ops)
        new = run("send_email")
        await ops.live.queue("mail").enqueue([new])
        await ops.pause("queue:mail", "deploy", 3600)
        await ops.pause("job:send_email")
        told = await reasons(ops, new.run_id)
        assert "queue mail is paused by" in told.splitlines()[0]
        assert "until " in told.splitlines()[0]
        assert "(deploy)" in told.splitlines()[0]
        assert "job send_email is paused by" in told.splitlines()[1]
        await take_one_paused(ops)

    async def test_slot(self, ops: Ops) -> None:
        """Held by whom, since when, where."""
        queue = ops.live.queue("mail")
        first, second = (run("tick", slot="job:tick", on_full=OnFull.WAIT) for _ in range(2))
        await queue.enqueue([first, second])
        await engine(ops)
        assert f"is held by run {first.run_id} of tick, which holds it since" in await reasons(ops, second.run_id)
        assert ", which is ready" in await reasons(ops, second.run_id)
        await take_one(queue)
        row = RunningRow(first.run_id, 1, "tick", "mail", now_ms() - 60_000)
        await engine(ops, running=(row,))
        told = await reasons(ops, second.run_id)
        assert ", which runs since" in told
        assert told.endswith(" on w1")
        assert await reasons(ops, first.run_id) == "it runs on w1, attempt 1"
        await ops.servers.redis.hdel(f"cronsole:{{{ops.namespace}}}:workers", "w1")
        assert "w1 had it and is gone" in await reasons(ops, first.run_id)

    async def test_later_and_dead(self, ops: Ops) -> None:
        """Due when; died when."""
        queue = ops.live.queue("mail")
        soon = run(due_ms=now_ms() + 184_000)
        await queue.enqueue([soon])
        await engine(ops)
        assert "it is due in 3 m" in await reasons(ops, soon.run_id)
        await ops.servers.redis.zadd(f"{queue.prefix}later", {soon.run_id: 1})
        assert "it was due" in await reasons(ops, soon.run_id)
        (died,) = await bury(queue, 1)
        assert f"cronsole dead retry {died}" in await reasons(ops, died)

    async def test_unknown(self, ops: Ops) -> None:
        """Neither in a queue nor in history."""
        with pytest.raises(BadInputError, match="no run"):
            await ops.why(new_run_id())
        with pytest.raises(BadInputError, match="not a run id"):
            await ops.why("nonsense")


async def take_one_paused(ops: Ops) -> None:
    """A worker that meets a paused job parks its run: it still says why."""
    queue = ops.live.queue("mail")
    await queue.resume()
    assert not (await queue.take("w1", 1)).deliveries
    assert (await queue.status()).waiting == 1
    (run_id,) = [r.decode() for r in await ops.servers.redis.zrange(f"{queue.prefix}wait:pause/send_email", 0, -1)]
    assert "job send_email is paused by" in (await ops.why(run_id)).reasons[0]
