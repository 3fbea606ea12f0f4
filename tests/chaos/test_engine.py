"""Engines in processes of their own: drain, reload, sharing, cancelling, and a Redis that loses its data."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.connect import Servers
from backends.history import History
from backends.model import new_run_id, to_ms
from backends.queues.base import NewRun
from backends.queues.keys import jobs_key
from backends.queues.streams import StreamQueue
from tests.support.engine import EngineProcess, until

Jobs = Callable[[str], Path]


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    def write(text: str) -> Path:
        path = tmp_path / "jobs.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def queue(connected: Servers) -> StreamQueue:
    return StreamQueue(connected.redis, connected.settings.namespace, "default")


async def history(servers: Servers) -> History:
    return History(await servers.pool())


def envelope(job: str) -> bytes:
    return b'{"type":"%s"}' % job.encode()


async def running(queue: StreamQueue, count: int = 1) -> bool:
    return (await queue.status()).running >= count


async def test_sigterm_finishes_what_runs_and_leaves_the_rest(
    connected: Servers, queue: StreamQueue, jobs: Jobs
) -> None:
    file = jobs('[jobs.nap]\ncommand = "sleep 0.6; echo woke"\n')
    ids = [new_run_id() for _ in range(6)]
    await queue.enqueue([NewRun(i, "nap", envelope("nap")) for i in ids])
    engine = EngineProcess(connected.settings, file, slots=2)
    await until(lambda: running(queue, 2), "two run")
    assert await engine.stop() == 0
    status = await queue.status()
    assert (status.ready, status.running, status.dead, status.outbox) == (4, 0, 0, 0)
    items = (await (await history(connected)).runs()).items
    assert [r.outcome for r in items] == ["succeeded", "succeeded"]
    assert "engine has left" in engine.said()


async def test_what_outlives_the_grace_period_is_given_back_without_blame(
    connected: Servers, queue: StreamQueue, jobs: Jobs
) -> None:
    file = jobs('[jobs.long]\ncommand = "sleep 60"\ngrace = "1s"\n')
    run_id = new_run_id()
    await queue.enqueue([NewRun(run_id, "long", envelope("long"))])
    engine = EngineProcess(connected.settings, file, grace_s=0.3)
    await until(lambda: running(queue), "it runs")
    assert await engine.stop() == 0
    assert await queue.find(run_id) == "ready"
    (d,) = (await queue.take("w", 1)).deliveries
    assert (d.attempt, d.failures, d.crashes) == (2, 0, 0)
    (row,) = await (await history(connected)).run(run_id)
    assert (row["outcome"], row["final"], row["error_class"]) == ("lost", False, "Shutdown")


async def test_sighup_reads_the_job_file_again_and_refuses_a_bad_one(
    connected: Servers, queue: StreamQueue, jobs: Jobs
) -> None:
    file = jobs('[jobs.one]\ncommand = "true"\n')
    engine = EngineProcess(connected.settings, file)

    async def said(text: str) -> bool:
        return text in engine.said()

    try:
        await until(lambda: said("engine_up"), "it is up")
        jobs('[jobs.two]\ncomand = "true"\n')
        engine.process.send_signal(signal.SIGHUP)
        await until(lambda: said("reload_refused"), "a bad file is refused")
        jobs('[jobs.one]\ncommand = "true"\n[jobs.two]\ncommand = "true"\n')
        async with (await connected.pool()).connection() as postgres:
            await postgres.execute("alter table cronsole.schedule rename to schedule_away")
            engine.process.send_signal(signal.SIGHUP)
            await until(lambda: said("reload_failed"), "what can't be published is not taken over")
            assert await connected.redis.hkeys(jobs_key(connected.settings.namespace)) == [b"one"]
            await postgres.execute("alter table cronsole.schedule_away rename to schedule")
        engine.process.send_signal(signal.SIGHUP)
        engine.process.send_signal(signal.SIGHUP)
        await until(lambda: said("job file read again: 2 jobs"), "a good one is taken over")
        run_id = new_run_id()
        await queue.enqueue([NewRun(run_id, "two", envelope("two"))])

        async def done() -> bool:
            return await queue.find(run_id) is None

        await until(done, "the new job runs")
    finally:
        assert await engine.stop() == 0


async def test_reboot_runs_once_however_many_engines_the_host_has(
    connected: Servers, queue: StreamQueue, jobs: Jobs
) -> None:
    file = jobs('[jobs.warm]\nschedule = "@reboot"\ncommand = "true"\noverlap = "allow"\n')
    h = await history(connected)
    day = timedelta(days=1)

    async def starts(count: int) -> bool:
        return len(await h.fires("warm", datetime.now(UTC) - day, datetime.now(UTC) + day)) == count

    def up(engine: EngineProcess) -> Callable[[], Awaitable[bool]]:
        async def said() -> bool:
            return "engine_up" in engine.said()

        return said

    first, second = EngineProcess(connected.settings, file), EngineProcess(connected.settings, file)
    try:
        await until(up(first), "it is up")
        await until(up(second), "it is up")
        await until(lambda: starts(1), "the job was fired")
        third = EngineProcess(connected.settings, file)
        await until(up(third), "it is up")
        assert await third.stop() == 0
        assert await starts(1), "the host did not start anew"
    finally:
        for engine in (first, second):
            assert await engine.stop() == 0
    again = EngineProcess(connected.settings, file)
    await until(lambda: starts(2), "the host's engine started again")
    assert await again.stop() == 0


async def test_two_engines_fire_each_instant_once(connected: Servers, queue: StreamQueue, jobs: Jobs) -> None:
    file = jobs(
        '[jobs.tick]\nschedule = "* * * * *"\ncommand = "true"\ncatchup = "all"\ncatchup_max = 200\noverlap = "allow"\n'
    )
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    await queue.set_mark("tick", to_ms(now - timedelta(minutes=90)))
    engines = [EngineProcess(connected.settings, file) for _ in range(2)]
    h = await history(connected)

    async def fired() -> bool:
        both = all("engine_up" in e.said() for e in engines)
        return both and len(await h.fires("tick", now - timedelta(hours=2), now + timedelta(hours=1))) >= 90

    try:
        await until(fired, "all fires are recorded")

        async def through() -> bool:
            s = await queue.status()
            return not (s.ready or s.running or s.outbox)

        await until(through, "all runs ended")
    finally:
        for engine in engines:
            assert await engine.stop() == 0
    fires = await h.fires("tick", now - timedelta(hours=2), now + timedelta(hours=1))
    assert {f[1] for f in fires} == {"fired"}, fires[:3]
    planned = [f[0] for f in fires]
    assert planned == [planned[0] + timedelta(minutes=n) for n in range(len(planned))]
    runs = (await h.runs(200, job="tick")).items
    assert sorted(r.scheduled_for for r in runs if r.scheduled_for) == planned
    assert len({r.run_id for r in runs}) == len(runs)


async def test_a_running_command_is_cancelled(connected: Servers, queue: StreamQueue, jobs: Jobs) -> None:
    file = jobs('[jobs.long]\ncommand = "sleep 60"\n')
    run_id = new_run_id()
    await queue.enqueue([NewRun(run_id, "long", envelope("long"))])
    engine = EngineProcess(connected.settings, file)
    try:
        await until(lambda: running(queue), "it runs")
        assert await queue.cancel(run_id, "me") == "asked"

        async def gone() -> bool:
            return await queue.find(run_id) is None

        await until(gone, "it is cancelled")
    finally:
        await engine.stop()
    (row,) = await (await history(connected)).run(run_id)
    assert (row["outcome"], row["final"]) == ("cancelled", True)
    assert await queue.cancels() == set()


async def test_data_that_is_flushed_under_a_running_job(connected: Servers, queue: StreamQueue, jobs: Jobs) -> None:
    """Only this test's keys are deleted: what FLUSHALL does to them."""
    file = jobs('[jobs.nap]\ncommand = "sleep 1; echo woke"\n')
    run_id, later = new_run_id(), new_run_id()
    await queue.enqueue([NewRun(run_id, "nap", envelope("nap"))])
    engine = EngineProcess(connected.settings, file)
    h = await history(connected)
    try:
        await until(lambda: running(queue), "it runs")
        keys = [k async for k in connected.redis.scan_iter(f"cronsole:{{{connected.settings.namespace}*")]
        await connected.redis.delete(*keys)
        await queue.announce()
        await connected.redis.sadd(f"cronsole:{{{connected.settings.namespace}}}:queues", "default")

        async def recorded() -> bool:
            return len(await h.run(run_id)) == 1

        await until(recorded, f"its outcome is recorded all the same\n{engine.said()[-1500:]}")
        await queue.enqueue([NewRun(later, "nap", envelope("nap"))])

        async def later_recorded() -> bool:
            return len(await h.run(later)) == 1

        await until(later_recorded, "and work goes on")
    finally:
        await engine.stop()
    (row,) = await h.run(run_id)
    assert (row["outcome"], row["orphan"]) == ("succeeded", True)
    (row,) = await h.run(later)
    assert (row["outcome"], row["orphan"]) == ("succeeded", False)


async def test_a_poison_job_does_not_take_others_along(
    connected: Servers, queue: StreamQueue, jobs: Jobs, tmp_path: Path
) -> None:
    (tmp_path / "steps.py").write_text(
        "import os, signal\ndef poison():\n    os.kill(os.getpid(), signal.SIGKILL)\ndef fine(n):\n    return n\n"
    )
    file = jobs(
        '[jobs.poison]\ntask = "steps:poison"\n'
        '[jobs.fine]\ntask = "steps:fine"\nbackoff = { kind = "fixed", base = "10ms" }\n'
    )
    poison = new_run_id()
    runs = [NewRun(new_run_id(), "fine", b'{"type":"fine","payload":{"n":%d}}' % n) for n in range(200)]
    await queue.enqueue([*runs[:100], NewRun(poison, "poison", envelope("poison")), *runs[100:]])
    engine = EngineProcess(connected.settings, file)

    async def through() -> bool:
        s = await queue.status()
        return not (s.ready or s.running or s.later or s.outbox)

    try:
        await until(through, "all ended")
    finally:
        assert await engine.stop() == 0
    h = await history(connected)
    attempts = await h.run(poison)
    assert [a["outcome"] for a in attempts] == ["lost"] * 3
    letter = await queue.dead_get(poison)
    assert letter is not None
    assert letter.error_class == "RunnerCrashed"
    finals = [r for r in (await h.runs(500, job="fine")).items if r.outcome == "succeeded"]
    assert len(finals) == 200


async def test_a_shell_script_is_producer_enough(connected: Servers, queue: StreamQueue, jobs: Jobs) -> None:
    """A producer in another language: bash, printf and a socket are all it needs."""
    key = f"{connected.settings.namespace}-in"
    file = jobs(
        f'[jobs.hi]\ncommand = "echo $CRONSOLE_PAYLOAD"\n[queues.default]\ninbox = "list"\ninbox_key = "{key}"\n'
    )
    script = """
    set -eu
    for n in 1 2 3; do
      job='{"id":"'$n'","type":"hi","payload":{"n":'$n'},"createdAt":"2026-11-23T10:00:00.000","attempts":0}'
      printf '*3\\r\\n$5\\r\\nRPUSH\\r\\n$%d\\r\\n%s\\r\\n$%d\\r\\n%s\\r\\n' ${#KEY} "$KEY" ${#job} "$job"
    done
    """
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", script, env={"KEY": key, "PATH": "/usr/bin:/bin"}, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    reader, writer = await asyncio.open_unix_connection(connected.redis_url.removeprefix("unix://"))
    writer.write(said)
    assert [await reader.readline() for _ in range(3)] == [b":1\r\n", b":2\r\n", b":3\r\n"]
    writer.close()
    engine = EngineProcess(connected.settings, file)
    h = await history(connected)

    async def ran() -> bool:
        return len((await h.runs(job="hi")).items) == 3

    try:
        await until(ran, "all three ran")
    finally:
        assert await engine.stop() == 0
    outputs = [(await h.run(r.run_id))[0]["output"] for r in (await h.runs(job="hi")).items]
    assert sorted(outputs) == ['{"n":1}\n', '{"n":2}\n', '{"n":3}\n']
