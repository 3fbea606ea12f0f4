"""Dead letters through Ops: lists over all queues, selections, retries."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backends.errors import BadInputError
from backends.ops import Ops, Progress, Selection
from backends.queues.dead_index import record_key
from tests.backends.ops_helpers import bury
from tests.contract.helpers import dead, run


class TestDead:
    """Lists and retries over all queues."""

    async def test_pages_over_queues_newest_first(self, ops: Ops) -> None:
        """No letter twice, none missing, whatever the page size."""
        a, b = ops.live.queue("default"), ops.live.queue("mail")
        made: list[str] = []
        for n in range(7):
            made += await bury(a if n % 3 else b, 1)
        for limit in (1, 2, 3, 7, 50):
            seen: list[str] = []
            cursor = None
            while True:
                page = await ops.dead_list(limit, cursor)
                assert page.total == 7
                seen += [letter.id for letter in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert seen == made[::-1]

    async def test_equal_sequences_in_two_queues_are_both_shown(self, ops: Ops) -> None:
        """The sequence is unique within a queue only."""
        a, b = ops.live.queue("default"), ops.live.queue("mail")
        ids = {*await bury(a, 1), *await bury(b, 1)}
        for queue in (a, b):
            (letter,) = (await queue.dead_page(1)).items
            await ops.servers.redis.zadd(f"{queue.prefix}dead", {letter.id: 1_000})
            await ops.servers.redis.rename(record_key(queue.prefix, letter.sequence), record_key(queue.prefix, 1_000))
        first = await ops.dead_list(1)
        second = await ops.dead_list(1, first.next_cursor)
        assert {first.items[0].id, second.items[0].id} == ids

    async def test_filters(self, ops: Ops) -> None:
        """By job, group, text, queue, time."""
        queue = ops.live.queue("mail")
        one = await bury(queue, 2, error="Connection refused", group="1" * 16)
        two = await bury(queue, 3, job="tick", error="boom", group="2" * 16)
        later = datetime.now(UTC) + timedelta(hours=2)

        async def ids(**more: Any) -> list[str]:
            return [d.id for d in (await ops.dead_list(50, selection=Selection(**more))).items]

        assert await ids(job="tick") == two[::-1]
        assert await ids(group="1" * 16) == one[::-1]
        assert await ids(error="connection") == one[::-1]
        assert len(await ids(queue="mail")) == 5
        assert await ids(since=later) == []
        assert await ids(words=("conn", "REFUSED")) == await ids(without=("Boom",)) == one[::-1]
        assert await ids(words=("conn",), without=("refused",)) == []
        assert await ids(words=(two[1],)) == [two[1]]
        assert await ids(like={"job": "IC", "queue": "ai", "group": "222"}) == two[::-1]
        assert await ids(like={"queue": "other"}) == []
        assert Selection().empty
        assert not Selection(without=("x",)).empty
        with pytest.raises(BadInputError, match="did you mean 'mail'"):
            await ids(queue="mial")
        assert [(g.group, g.count) for g in (await ops.dead_group_page()).items] == [("2" * 16, 3), ("1" * 16, 2)]

    async def test_retry_by_id_and_by_selection(self, ops: Ops) -> None:
        """Counts are exact; a dry run changes nothing; an empty selection never means all."""
        queue = ops.live.queue("mail")
        ids = await bury(queue, 3)
        assert (await ops.dead_retry([ids[0], "nope"], dry_run=True)).matched == 1
        assert (await queue.status()).dead == 3
        result = await ops.dead_retry([ids[0], ids[0], "nope"], hold_s=0)
        assert (result.matched, result.changed) == (1, 1)
        with pytest.raises(BadInputError):
            await ops.dead_retry(Selection())
        assert (await ops.dead_retry(Selection(job="other"))).changed == 0
        assert (await ops.dead_retry(Selection(everything=True))).changed == 2
        assert (await queue.status()).ready == 1
        assert (await queue.status()).later == 2, "held, so that they can be taken back"

    async def test_what_dies_during_a_bulk_retry_is_not_touched(self, ops: Ops) -> None:
        """The selection is frozen by its highest sequence; steps of 100."""
        queue = ops.live.queue("mail")
        runs = [run("send_email") for _ in range(250)]
        await queue.enqueue(runs)
        while (taken := await queue.take("w1", 200)).deliveries:
            await queue.settle("w1", [dead(d) for d in taken.deliveries])
        steps: list[tuple[int, int]] = []
        (newest,) = (await queue.dead_page(1)).items
        packed = await ops.servers.redis.get(record_key(queue.prefix, newest.sequence))
        sync = ops.servers.redis_sync("test")

        def note(p: Progress) -> None:
            changed = p.changed
            steps.append((p.matched, changed))
            sync.set(record_key(queue.prefix, newest.sequence + changed), packed)
            sync.zadd(f"{queue.prefix}dead", {f"late{changed}": newest.sequence + changed})

        result = await ops.dead_retry(Selection(everything=True), progress=note)
        assert steps == [(100, 100), (200, 200), (250, 250)]
        assert result.changed == 250
        assert {d.id for d in (await queue.dead_page(10)).items} == {"late100", "late200", "late250"}
        sync.close()

    async def test_a_frozen_selection_stays_what_was_counted(self, ops: Ops) -> None:
        """What dies between the count and the action is not touched, whichever queue it dies in."""
        mail, default = ops.live.queue("mail"), ops.live.queue("default")
        counted = await bury(mail, 3)
        frozen = await ops.freeze(Selection(everything=True))
        late = {*await bury(mail, 2), *await bury(default, 1)}
        assert (await ops.dead_retry(frozen, dry_run=True)).matched == 3
        assert (await ops.dead_retry(frozen)).changed == 3
        assert {d.id for d in (await ops.dead_list()).items} == late
        assert not late & set(counted)

    async def test_a_retry_that_stops_says_how_far_it_came(self, ops: Ops) -> None:
        """The steps that were done are noted."""
        queue = ops.live.queue("mail")
        await bury(queue, 2)

        def stop(_: Progress) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await ops.dead_retry(Selection(everything=True), progress=stop)
        assert ops.warnings[-1].startswith("stopped half-way: 2 dead letters were put back; `cronsole ops resume ")
        async with ops.history() as history:
            assert (await history.actions())[0][3] == "dead_retry"

    async def test_a_cancelled_retry_stops_at_the_next_step(self, ops: Ops) -> None:
        """Also on Python 3.11, where the Redis client may lose a cancellation."""
        queue = ops.live.queue("mail")
        runs = [run("send_email") for _ in range(450)]
        await queue.enqueue(runs)
        while (taken := await queue.take("w1", 200)).deliveries:
            await queue.settle("w1", [dead(d) for d in taken.deliveries])

        async def retry() -> None:
            task = asyncio.current_task()
            assert task
            await ops.dead_retry(Selection(everything=True), progress=lambda *_: task.cancel() and None)

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(retry())
        assert ops.warnings[-1].startswith("stopped half-way: 100 dead letters were put back; ")
        assert (await queue.status()).dead == 350

    async def test_show(self, ops: Ops) -> None:
        """One letter, or bad input."""
        (letter,) = await bury(ops.live.queue("mail"), 1)
        assert (await ops.dead_show(letter)).id == letter
        with pytest.raises(BadInputError):
            await ops.dead_show("nope")
