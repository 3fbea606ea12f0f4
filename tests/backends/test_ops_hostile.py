"""A dead letter whose header somebody has made unreadable: found, archived and acted on as others are."""

from __future__ import annotations

from typing import Any

import pytest

from backends.ops import Ops, Selection
from backends.queues.streams import StreamQueue
from tests.backends.ops_helpers import bury, there, to_archive


@pytest.mark.parametrize("head", [b"\xff not json", b"[" * 5_000, b"{}", b'{"group":"a:b"}', b""])
async def test_it_is_one_of_them(ops: Ops, queue: StreamQueue, head: bytes) -> None:
    ids = await bury(queue, 3)
    letter = await ops.dead_show(ids[1])
    redis: Any = ops.servers.redis
    await redis.set(f"{queue.prefix}dead:#{letter.sequence}", head + b"\n" + letter.envelope)
    broken = Selection(error="not readable")

    async def seen() -> list[Any]:
        assert {d.id for d in (await ops.dead_list()).items} == set(ids)
        (found,) = (await ops.dead_list(selection=broken)).items
        assert (found.id, found.error_class, found.envelope) == (ids[1], "BadHeader", letter.envelope)
        assert await ops.dead_count(broken) == 1
        assert sum(group.count for group in (await ops.dead_group_page()).items) == 3
        return [await ops.dead_show(run_id) for run_id in ids]

    hot = await seen()
    assert await to_archive(ops, queue, 3) == 3
    assert await seen() == hot
    result = await ops.dead_retry(Selection(everything=True), hold_s=0)
    assert (result.changed, await there(queue)) == (3, {"ready": 3})
    assert (await ops.undo(result.receipt or "")).changed == 3
    assert await seen() == hot
