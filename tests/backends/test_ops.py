"""Ops: what an operator sees and does, against real servers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from backends.connect import Servers, Settings
from backends.errors import BadInputError, RefusedError, UnreachableError
from backends.jobs import JobFile
from backends.jobs.load import load_text
from backends.jobs.publish import publish_jobs, read_jobs
from backends.model import EngineStatus, from_ms, now_ms
from backends.ops import Ops, Selection, system_status
from backends.ops.acts import whoami
from backends.queues.live import beat, publish_event
from backends.queues.streams import StreamQueue
from tests.backends.history_helpers import Outbox
from tests.backends.ops_helpers import bury
from tests.contract.helpers import take_one


class TestPublish:
    """The jobs hash."""

    async def test_read_gives_back_what_was_published(self, ops: Ops, file: JobFile) -> None:
        """Equal specs, by name."""
        assert await read_jobs(ops.servers.redis, ops.namespace) == dict(sorted(file.jobs.items()))

    async def test_a_removed_job_goes_and_another_files_job_stays(self, ops: Ops, settings: Settings) -> None:
        """Only the file that published a job takes it away."""
        from pathlib import Path

        other = load_text('[jobs.other]\ncommand = "true"', Path("/elsewhere/jobs.toml"))
        await publish_jobs(ops.servers.redis, settings.namespace, other)
        await publish_jobs(ops.servers.redis, settings.namespace, load_text('[jobs.tick]\ncommand = "true"'))
        assert set(await read_jobs(ops.servers.redis, settings.namespace)) == {"other", "tick"}

    async def test_what_cannot_be_read_is_passed_over(self, ops: Ops, settings: Settings) -> None:
        """A stranger's value spoils nothing."""
        await ops.servers.redis.hset(f"cronsole:{{{settings.namespace}}}:jobs", mapping={"x": b"\xff{", "y": "{}"})
        assert set(await read_jobs(ops.servers.redis, settings.namespace)) == {"send_email", "tick"}


class TestOverview:
    """One look."""

    async def test_shows_jobs_queues_engines_fires_and_events(self, ops: Ops) -> None:
        """Everything that is there."""
        await beat(ops.servers.redis, ops.namespace, EngineStatus("e1", "h", 1, "0", 0, now_ms(), 10, 0))
        await publish_event(ops.servers.redis, ops.namespace, "mail", {"succeeded": 3})
        await ops.servers.redis.rpush("app:mail", b"{}", b"{}")
        view = await ops.overview()
        assert [j.name for j in view.jobs] == ["send_email", "tick"]
        assert {q.name: q.inbox for q in view.queues} == {"default": 0, "mail": 2}
        assert [e.id for e in view.engines] == ["e1"]
        assert [e.counts for e in view.events] == [{"succeeded": 3}]
        assert [(job, s.expression, s.timezone) for job, s in view.schedules.items()] == [("tick", "* * * * *", "UTC")]
        assert view.jobs[0].next_fire is None
        assert view.jobs[1].next_fire == view.schedules["tick"].after(from_ms(view.at_ms))
        assert view.redis.ok
        await ops.servers.redis.delete("app:mail")

    async def test_a_quiet_look_is_one_round_trip(self, ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
        """After the first look, only the pipeline goes out."""
        await bury(ops.live.queue("mail"), 2)
        first = await ops.overview()
        trips: list[int] = []
        pipeline = ops.servers.redis.pipeline

        def counted(**more: Any) -> Any:
            trips.append(1)
            return pipeline(**more)

        async def none(*_: Any, **__: Any) -> Any:
            raise AssertionError("a command outside of the pipeline")

        monkeypatch.setattr(ops.servers.redis, "pipeline", counted)
        monkeypatch.setattr(ops.servers.redis, "execute_command", none)
        again = await ops.overview()
        assert trips == [1]
        assert again.dead == first.dead
        assert again.dead_total == 2

    async def test_sees_changes(self, ops: Ops, settings: Settings) -> None:
        """New queues, letters, events and jobs appear; gone ones go."""
        await ops.overview()
        other = StreamQueue(ops.servers.redis, settings.namespace, "other")
        ids = await bury(other, 1)
        await publish_event(ops.servers.redis, ops.namespace, "other", {"failed": 1})
        await publish_jobs(ops.servers.redis, settings.namespace, load_text('[jobs.new]\ncommand = "true"'))
        view = await ops.overview()
        assert [q.name for q in view.queues] == ["default", "mail", "other"]
        assert [d.id for d in view.dead] == ids
        assert [j.name for j in view.jobs] == ["new"]
        assert len(view.events) == 1
        await ops.dead_retry(ids)
        assert (await ops.overview()).dead == ()
        assert len((await ops.overview()).events) == 1

    async def test_survives_a_restart_that_forgot_the_scripts(self, ops: Ops) -> None:
        """NOSCRIPT is answered by sending the script."""
        await ops.servers.redis.script_flush()
        assert len((await ops.overview()).queues) == 2

    async def test_dead_redis_is_unreachable(self, settings: Settings, ops: Ops) -> None:
        """One line with a remedy, not a driver's exception."""
        nowhere = await Servers.open(settings, role="test")
        await nowhere.redis.aclose()
        nowhere.redis.connection_pool.connection_kwargs["path"] = "/nonexistent/valkey.sock"
        nowhere.redis.connection_pool.reset()
        with pytest.raises(UnreachableError, match="can't be reached"):
            await Ops(nowhere).overview()
        await nowhere.close()

    async def test_history_overview_of_an_empty_history(self, ops: Ops) -> None:
        """Nothing has run: nothing to show, and no error."""
        view = await ops.history_overview()
        assert view.postgres.ok
        assert view.runs == ()

    async def test_history_overview_with_postgres_down(self, settings: Settings) -> None:
        """Raises; the live part still works."""
        gone = replace(settings, postgres_url="postgresql://x@127.0.0.1:1/x")
        async with Ops.open(gone) as ops:
            assert (await ops.overview()).redis.ok
            with pytest.raises(UnreachableError):
                await ops.history_overview()


class TestNewRuns:
    """trigger and enqueue."""

    async def test_trigger_writes_the_envelope_of_the_contract(self, ops: Ops) -> None:
        """camelCase, our run id, the job's own payload where none is given."""
        run_id = (await ops.trigger("tick")).run_id
        d = await take_one(ops.live.queue("default"))
        envelope = msgspec.json.decode(d.envelope)
        assert d.run_id == run_id
        assert set(envelope) == {"id", "type", "payload", "createdAt", "attempts", "trigger", "by"}
        assert (envelope["id"], envelope["type"], envelope["trigger"]) == (run_id, "tick", "manual")
        assert envelope["payload"] == {"base": 1}
        assert datetime.fromisoformat(envelope["createdAt"]).tzinfo is not None

    async def test_trigger_of_a_scheduled_job_does_not_overlap(self, ops: Ops) -> None:
        """The second waits until the first is done."""
        await ops.trigger("tick")
        second = (await ops.trigger("tick")).run_id
        assert await ops.find(second) == "waiting"

    async def test_unknown_job_names_the_nearest(self, ops: Ops) -> None:
        """A slip of the fingers is answered with the right name."""
        with pytest.raises(BadInputError, match="did you mean 'send_email'"):
            await ops.trigger("send_emial")

    async def test_enqueue_many_in_order(self, ops: Ops) -> None:
        """Run ids in the order of the payloads, more than a batch."""
        ids = (await ops.enqueue("mail", "send_email", ({"n": n} for n in range(450)))).run_ids
        assert len(set(ids)) == 450
        first = await take_one(ops.live.queue("mail"))
        assert first.run_id == ids[0]
        assert msgspec.json.decode(first.envelope)["trigger"] == "enqueue"

    async def test_enqueue_puts_in_all_or_nothing_of_bad_input(self, ops: Ops) -> None:
        """The third payload is bad: none goes in."""
        with pytest.raises(BadInputError, match="payload"):
            await ops.enqueue("mail", "send_email", [{"a": 1}, {"a": 2}, {"a": "\0"}])
        assert (await ops.live.queue("mail").status()).ready == 0

    async def test_enqueue_of_more_than_is_checked_first(self, ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing of a bad first block goes in; later, what went in is told and noted."""
        monkeypatch.setattr("backends.ops.starting.CHECKED_FIRST", 300)
        queue = ops.live.queue("mail")
        for bad, there in ((250, 0), (620, 500)):
            with pytest.raises(BadInputError, match="payload"):
                await ops.enqueue("mail", "send_email", ({"a": "\0" if n == bad else "x"} for n in range(1000)))
            assert (await queue.status()).ready == there
        assert "500 runs are in the queue" in ops.warnings[-1]
        async with ops.history() as history:
            assert (await history.actions())[0][5:7] == (500, 500)

    async def test_enqueue_knows_queues_and_jobs(self, ops: Ops) -> None:
        """Neither can be made up."""
        with pytest.raises(BadInputError, match="did you mean 'mail'"):
            await ops.enqueue("mial", "send_email", [{}])
        with pytest.raises(BadInputError, match="no job"):
            await ops.enqueue("mail", "rm -rf", [{}])


class TestSteering:
    """pause, resume, cancel."""

    async def test_pause_a_job_and_resume_it(self, ops: Ops) -> None:
        """Shown with its note; gone after resume; a second resume says that there was none."""
        await ops.pause("job:tick", note="disk full", for_s=60)
        paused = {j.name: j.paused for j in (await ops.overview()).jobs}["tick"]
        assert paused is not None
        assert paused.note == "disk full"
        assert paused.until_ms is not None
        assert (await ops.resume("job:tick")).changed
        assert not (await ops.resume("job:tick")).changed
        assert {j.name: j.paused for j in (await ops.overview()).jobs}["tick"] is None

    async def test_pause_a_queue(self, ops: Ops) -> None:
        """The queue's line tells."""
        await ops.pause("queue:mail")
        assert {q.name: bool(q.paused) for q in await ops.queues()} == {"default": False, "mail": True}
        jobs = {j.name: j for j in (await ops.overview()).jobs}
        assert (jobs["tick"].held, jobs["send_email"].paused) == (None, None)
        assert jobs["send_email"].held == jobs["send_email"].queue_paused is not None
        await ops.resume("queue:mail")
        assert not any(j.held for j in (await ops.overview()).jobs)

    @pytest.mark.parametrize("target", ["mail", "queue:", "host:x", "queue:nope", "job:nope"])
    async def test_bad_targets(self, ops: Ops, target: str) -> None:
        """What can't be paused is bad input."""
        with pytest.raises(BadInputError):
            await ops.pause(target)

    async def test_a_pause_has_a_length(self, ops: Ops) -> None:
        """None at all is a slip."""
        with pytest.raises(BadInputError, match="no length"):
            await ops.pause("queue:mail", for_s=0)

    async def test_cancel_searches_all_queues(self, ops: Ops) -> None:
        """Ready: cancelled; running: asked; else unknown."""
        waiting = (await ops.enqueue("mail", "send_email", [{}])).run_id
        assert (await ops.cancel(waiting)).note == "cancelled"
        running = (await ops.enqueue("mail", "send_email", [{}])).run_id
        await take_one(ops.live.queue("mail"))
        assert (await ops.cancel(running)).note == "asked"
        assert (await ops.cancel("0190f7a0-0000-7000-8000-000000000000")).note == "unknown"


class TestEveryWrite:
    """Read-only, audit, Postgres down."""

    async def test_read_only_refuses_each(self, settings: Settings, ops: Ops) -> None:
        """No action gets through, reads do."""
        async with Ops.open(replace(settings, read_only=True)) as closed:
            for action in (
                closed.trigger("tick"),
                closed.enqueue("mail", "send_email", [{}]),
                closed.pause("job:tick"),
                closed.resume("job:tick"),
                closed.cancel("x"),
                closed.dead_retry(Selection(everything=True)),
            ):
                with pytest.raises(RefusedError, match="read-only"):
                    await action
            assert len(await closed.jobs()) == 2
            assert (await closed.dead_retry(Selection(everything=True), dry_run=True)).matched == 0

    async def test_each_action_is_in_the_audit(self, ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who, what, how many."""
        monkeypatch.setenv("SSH_CLIENT", "192.0.2.7 5022 22")
        await ops.trigger("tick")
        new = await ops.enqueue("mail", "send_email", [{}, {}])
        await ops.pause("queue:mail")
        await ops.resume("queue:mail")
        await ops.cancel(new.run_ids[0])
        await ops.cancel(new.run_ids[0])  # which changes nothing, and is not told of
        ids = await bury(ops.live.queue("default"), 1)
        await ops.dead_retry(ids)
        async with ops.history() as history:
            rows = await history.actions()
        assert [r[3] for r in rows] == ["dead_retry", "cancel", "resume", "pause", "enqueue", "trigger"]
        assert all("@" in r[2] and r[2].endswith("from 192.0.2.7") for r in rows)
        assert {r[3]: (r[5], r[6]) for r in rows}["enqueue"] == (2, 2)

    async def test_read_only_by_argument(self, settings: Settings, ops: Ops) -> None:
        """As if the settings said so."""
        async with Ops.open(settings, read_only=True) as closed:
            assert closed.read_only
            with pytest.raises(RefusedError):
                await closed.trigger("tick")

    async def test_who_is_not_what_the_environment_claims(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """$USER and $LOGNAME are anybody's; who became root by sudo is named."""
        for name in ("USER", "LOGNAME", "USERNAME"):
            monkeypatch.setenv(name, "somebody-else")
        monkeypatch.delenv("SUDO_USER", raising=False)
        assert "somebody-else" not in whoami()
        plain = whoami()
        monkeypatch.setenv("SUDO_USER", "ada")
        assert whoami() == f"ada as {plain}"

    async def test_without_postgres_the_action_still_happens(self, settings: Settings, ops: Ops) -> None:
        """And its line in the audit comes through the outbox, with its receipt."""
        async with Ops.open(replace(settings, postgres_url="postgresql://x@127.0.0.1:1/x")) as lame:
            await lame.trigger("tick")
            assert (await lame.live.queue("default").status()).ready == 1
            assert "audit" in lame.warnings[-1]
            jobs = await lame.jobs()
            assert len(jobs) == 2
            assert all(job.last_run is None for job in jobs)
        (receipt,) = [op.id for op in await ops.operations()]
        outbox = Outbox(ops.servers, await ops.servers.pool())
        outbox.keys = [f"{queue.prefix}out" for queue in await ops.all_queues()]
        assert await outbox.recorder.drain_once() == 0
        (line,) = (await ops.actions()).items
        assert (line.verb, line.matched, line.changed, line.receipt) == ("trigger", 1, 1, receipt)


class TestSystemStatus:
    """Both servers' truth."""

    async def test_each_can_be_down_alone(self, settings: Settings) -> None:
        """One down never hides the other."""
        assert (await system_status(settings)).ok
        lame = await system_status(replace(settings, postgres_url="postgresql://x@127.0.0.1:1/x"))
        assert (lame.redis.ok, lame.postgres.ok) == (True, False)
        lame = await system_status(replace(settings, redis_url="redis://127.0.0.1:1/0"))
        assert (lame.redis.ok, lame.postgres.ok) == (False, True)
        assert "127.0.0.1:1" in lame.redis.detail
