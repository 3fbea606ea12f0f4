"""What the pages of dead letters, of a run and of the audit read, from real servers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace

from backends.connect import Settings
from backends.errors import BadInputError
from backends.history.store import store
from backends.model import AttemptRecord, Outcome, new_run_id, now_ms
from backends.ops import Ops, output
from backends.queues.dead_index import record_key
from backends.queues.where import LOG_STEP
from tests.backends.ops_helpers import bury
from tests.contract.helpers import done, retry, run, take_one


async def keep(ops: Ops, *records: AttemptRecord) -> None:
    async with ops.history(), (await ops.servers.pool()).connection() as connection:
        await store(connection, list(records), [])


def attempt(run_id: str, number: int = 1, **more: object) -> AttemptRecord:
    at = now_ms() * 1000
    record = AttemptRecord(
        run_id=run_id, attempt=number, job="tick", queue="default", outcome=Outcome.FAILED, started_us=at - 500_000,
        finished_us=at, worker="h:1:ab", final=False,
    )  # fmt: skip
    return msgspec.structs.replace(record, **more)


class TestDeadHeads:
    """The list of letters without their envelopes."""

    async def test_pages_over_queues_newest_first(self, ops: Ops) -> None:
        """As `dead_list` has them, whatever the size of a page; no envelope travels."""
        a, b = ops.live.queue("default"), ops.live.queue("mail")
        for n in range(7):
            await bury(a if n % 3 else b, 1)
        whole = [replace(letter, envelope=b"") for letter in (await ops.dead_list(50)).items]
        for limit in (1, 3, 7, 50):
            seen = []
            cursor = None
            while True:
                page = await ops.dead_heads(limit, cursor)
                assert page.total == 7
                seen += page.items
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert seen == whole
        assert [d.queue for d in (await ops.dead_heads(queue="mail")).items] == ["mail"] * 3
        with pytest.raises(BadInputError, match="did you mean 'mail'"):
            await ops.dead_heads(queue="mial")

    async def test_a_head_longer_than_the_first_read_is_read_again(self, ops: Ops) -> None:
        """An error of 4 kB of control characters takes six times as many bytes in JSON."""
        error = "\x1b" * 4000
        (run_id,) = await bury(ops.live.queue("mail"), 1, error=error)
        mail = ops.live.queue("mail")
        letter = await mail.dead_get(run_id)
        assert letter is not None
        stored = await ops.servers.redis.get(record_key(mail.prefix, letter.sequence))
        assert 2_048 < stored.index(b"\n") < 65_536
        assert (await ops.dead_heads()).items[0].error == error

    async def test_kinds_are_the_groups_of_all_queues(self, ops: Ops) -> None:
        """The largest first; how many there are; the newest letter stands for its group."""
        await bury(ops.live.queue("mail"), 2, error="refused", group="1" * 16)
        await bury(ops.live.queue("default"), 3, job="tick", error="boom", group="2" * 16)
        await bury(ops.live.queue("default"), 1, job="tick", error="refused", group="1" * 16)
        page = await ops.dead_group_page()
        assert (await ops.dead_group_page(queue="default")).items == (page.items[0], page.items[2])
        with pytest.raises(BadInputError, match="no queue 'nope'"):
            await ops.dead_group_page(queue="nope")
        assert [(g.queue, g.count) for g in page.items] == [("default", 3), ("mail", 2), ("default", 1)]
        page = await ops.dead_group_page(1)
        assert (len(page.items), page.total) == (1, 3)
        one = await ops.dead_heads(queue="default", group="1" * 16)
        assert [d.error for d in one.items] == ["refused"]
        assert one.total == 1

    async def test_some_groups_are_one_list(self, ops: Ops) -> None:
        """Of two queues, page by page; a group of another queue is not meant."""
        mail, default = ops.live.queue("mail"), ops.live.queue("default")
        wanted: list[str] = []
        for _ in range(3):
            wanted += await bury(mail, 1, group="1" * 16)
            await bury(mail, 1, group="3" * 16)
            wanted += await bury(default, 1, job="tick", group="2" * 16)
            await bury(default, 1, job="tick", group="1" * 16)
        groups = (("mail", "1" * 16), ("default", "2" * 16), ("gone", "1" * 16))
        first = await ops.dead_heads(4, groups=groups)
        rest = await ops.dead_heads(4, first.next_cursor, groups=groups)
        assert [d.id for d in (*first.items, *rest.items)] == wanted[::-1]
        assert (first.total, rest.next_cursor) == (6, None)

    async def test_nothing_is_an_empty_page(self, ops: Ops) -> None:
        """No letter, no group."""
        assert (await ops.dead_heads()).items == (await ops.dead_group_page()).items == ()


class TestRunPage:
    """Where a run is and how it went."""

    async def test_from_ready_to_its_end(self, ops: Ops) -> None:
        """Each place a run can be in is told, with what is known of it."""
        queue = ops.live.queue("mail")
        body = b'{"type":"send_email","trigger":"manual","by":"ana","scheduledFor":"2026-11-24T03:00:00Z"}'
        new = run("send_email", envelope=body)
        before = now_ms() - 5_000
        await queue.enqueue([new])
        page = await ops.run_page(new.run_id)
        place = page.place
        assert place
        assert (place.queue, place.state, place.job, place.attempt) == ("mail", "ready", "send_email", 1)
        assert (place.trigger, place.by, place.scheduled_for) == ("manual", "ana", "2026-11-24T03:00:00Z")
        assert place.since_ms
        assert before < place.since_ms < now_ms() + 5_000

        taken = await take_one(queue)
        place = await ops.run_place(new.run_id)
        assert place
        assert (place.state, place.engine) == ("running", "w1")

        due = now_ms() + 60_000
        await queue.settle("w1", [retry(taken, due)])
        place = await ops.run_place(new.run_id)
        assert place
        assert (place.state, place.due_ms, place.attempt, place.job) == ("later", due, 2, "send_email")

        await keep(ops, attempt(new.run_id), attempt(new.run_id, 2, outcome=Outcome.SUCCEEDED, final=True, cpu_ms=7))
        await ops.cancel(new.run_id)
        page = await ops.run_page(new.run_id)
        assert page.place is None
        assert [(a.attempt, a.outcome, a.final, a.cpu_ms) for a in page.attempts] == [
            (1, "failed", False, None), (2, "succeeded", True, 7),
        ]  # fmt: skip

    async def test_a_run_that_waits_says_for_what(self, ops: Ops) -> None:
        """The slot that another run holds."""
        first, second = [run("tick", slot="job:tick", slots=1) for _ in range(2)]
        queue = ops.live.queue("default")
        await queue.enqueue([first, second])
        place = await ops.run_place(second.run_id)
        assert place
        assert (place.state, place.waits_for, place.job) == ("waiting", "job:tick", "tick")
        await queue.settle("w1", [done(await take_one(queue))])
        place = await ops.run_place(second.run_id)
        assert place
        assert place.state == "ready"

    async def test_a_dead_one_and_an_unknown_one(self, ops: Ops) -> None:
        """A letter is a place too; what nobody knows is an error."""
        (run_id,) = await bury(ops.live.queue("mail"), 1)
        page = await ops.run_page(run_id)
        assert page.place
        assert (page.place.state, page.place.job) == ("dead", "send_email")
        for unknown in (new_run_id(), "nonsense"):
            with pytest.raises(BadInputError):
                await ops.run_page(unknown)

    async def test_without_postgres_the_queue_still_answers(self, ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run in hand can be watched while history is away; the page says what is missing."""
        (run_id,) = await bury(ops.live.queue("mail"), 1)
        monkeypatch.setattr(ops.servers, "postgres_url", "postgresql://nobody@127.0.0.1:1/none")
        await (await ops.servers.pool()).close()
        page = await ops.run_page(run_id)
        assert page.place
        assert "Postgres" in page.missing

    async def test_a_history_that_is_silent_holds_nobody_up(
        self, ops: Ops, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A server that takes connections and says nothing."""
        (run_id,) = await bury(ops.live.queue("mail"), 1)
        monkeypatch.setattr(output, "HISTORY_S", 0.2)
        silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        url = f"postgresql://nobody@127.0.0.1:{silent.sockets[0].getsockname()[1]}/none"
        async with silent, Ops.open(replace(settings, postgres_url=url)) as other:
            page = await asyncio.wait_for(other.run_page(run_id), 10)
        assert page.place
        assert "no answer within 0.2 s" in page.missing

    async def test_output_is_of_one_attempt(self, ops: Ops) -> None:
        """Without it, None."""
        run_id = new_run_id()
        await keep(ops, attempt(run_id, output="one\n"), attempt(run_id, 2))
        assert await ops.run_output(run_id, 1) == "one\n"
        assert await ops.run_output(run_id, 2) is None


class TestLiveOutput:
    """What a run prints while it runs."""

    async def test_only_what_is_new_is_read(self, ops: Ops) -> None:
        """From the last id on; broken bytes as they are."""
        run_id, redis = new_run_id(), ops.servers.redis
        key = f"{ops.live.queue('mail').prefix}log:{run_id}"
        assert (await ops.run_log("mail", run_id)).chunks == ()
        await redis.xadd(key, {"d": b"one\n"})
        await redis.xadd(key, {"d": b"\xff\x00two"})
        first = await ops.run_log("mail", run_id)
        assert (first.chunks, first.cut, first.more) == ((b"one\n", b"\xff\x00two"), False, False)
        assert (await ops.run_log("mail", run_id, first.last)).chunks == ()
        await redis.xadd(key, {"d": b"three"})
        assert (await ops.run_log("mail", run_id, first.last)).chunks == (b"three",)

    async def test_a_long_log_begins_with_its_newest_part(self, ops: Ops) -> None:
        """A first look at much output costs one read; then it follows in steps."""
        run_id, redis = new_run_id(), ops.servers.redis
        key = f"{ops.live.queue('mail').prefix}log:{run_id}"
        for n in range(LOG_STEP + 5):
            await redis.xadd(key, {"d": b"%d" % n})
        part = await ops.run_log("mail", run_id)
        assert part.cut
        assert (part.chunks[0], part.chunks[-1]) == (b"5", b"%d" % (LOG_STEP + 4))
        for _ in range(LOG_STEP + 1):
            await redis.xadd(key, {"d": b"x"})
        following = await ops.run_log("mail", run_id, part.last)
        assert following.more
        assert len(following.chunks) == LOG_STEP
        last = await ops.run_log("mail", run_id, following.last)
        assert (len(last.chunks), last.more) == (1, False)


class TestAudit:
    """Who did what."""

    async def test_pages_newest_first(self, ops: Ops) -> None:
        """Every action once, in order; the cursor is checked."""
        for n in range(5):
            await ops.pause("queue:mail", f"note {n}")
        seen = []
        cursor = None
        while True:
            page = await ops.actions(2, cursor)
            seen += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        assert [a.target["note"] for a in seen] == [f"note {n}" for n in range(4, -1, -1)]
        assert {(a.verb, a.matched, a.changed) for a in seen} == {("pause", 1, 1)}
        assert abs((datetime.now(UTC) - seen[0].at).total_seconds()) < 60
        with pytest.raises(BadInputError, match="cursor"):
            await ops.actions(2, "x")
