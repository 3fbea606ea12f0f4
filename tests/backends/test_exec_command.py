"""Commands: what they see, what is recorded, and that they always end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from backends.engine.executors.base import Attempt, Ended
from backends.engine.executors.command import run_command
from backends.jobs.spec import JobSpec
from backends.model import Outcome, new_run_id
from tests.backends.exec_helpers import alive, until


def attempt(
    command: str | tuple[str, ...], payload: bytes = b"{}", timeout_s: float | None = None, **job: Any
) -> Attempt:
    """An attempt of a command."""
    spec = JobSpec(name="cmd", kind="command", command=command, **job)
    return Attempt(new_run_id(), 2, spec, payload, scheduled_for="2026-11-23T03:00:00+00:00", timeout_s=timeout_s)


async def run(command: str | tuple[str, ...], *args: Any, **more: Any) -> Ended:
    """Run a command to its end."""
    return await run_command(attempt(command, *args, **more), cancelled=asyncio.Event())


async def test_text_goes_to_the_shell_and_a_list_does_not() -> None:
    assert (await run("echo $((1 + 1)); echo x >&2")).output == "2\nx\n"
    assert (await run(("echo", "$((1 + 1))", "a b"))).output == "$((1 + 1)) a b\n"


async def test_a_success_is_measured() -> None:
    ended = await run("i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done")
    assert (ended.outcome, ended.exit_code, ended.error) == (Outcome.SUCCEEDED, 0, None)
    assert ended.cpu_ms is not None
    assert ended.cpu_ms > 5
    assert 0 < ended.finished_us - ended.started_us < 20e6


async def test_peak_memory_is_that_of_the_command_or_unknown(tmp_path: Path) -> None:
    small = await run("true")
    assert small.max_rss_kb is None  # below the engine's own peak, which the kernel counts in
    import resource
    import sys

    floor_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    ended = await run((sys.executable, "-c", f"b = bytearray({floor_mb + 100} << 20)"))
    assert ended.max_rss_kb is not None
    assert floor_mb + 100 <= ended.max_rss_kb // 1024 < floor_mb + 200


@pytest.mark.parametrize(
    ("command", "code", "error_class", "error"),
    [
        ("exit 3", 3, "Exit3", "exit code 3"),
        ("echo first; echo 'disk \x1b[31mfull\x1b[0m'; echo; exit 3", 3, "Exit3", "exit code 3: disk full"),
        ("kill -SEGV $$", -11, "SIGSEGV", "ended by SIGSEGV"),
        (("/nowhere/tool", "x"), None, "NotStarted", "command not found: /nowhere/tool"),
        (("no-such-tool-here",), None, "NotStarted", "command not found: no-such-tool-here"),
        (("/etc/passwd",), None, "NotStarted", "not executable: /etc/passwd"),
        (("echo", "a\0b"), None, "BadCommand", "the command contains a NUL byte"),
        ("echo a\0b", None, "BadCommand", "the command contains a NUL byte"),
        ((), None, "BadCommand", "the command is empty"),
        (("echo", "x" * 3_000_000), None, "NotStarted", "arguments and environment are too long for this system"),
    ],
)
async def test_failures_are_one_line(
    command: str | tuple[str, ...], code: int | None, error_class: str, error: str
) -> None:
    ended = await run(command)
    assert ended.outcome is Outcome.FAILED
    assert (ended.exit_code, ended.error_class, ended.error) == (code, error_class, error)


async def test_broken_surroundings_are_one_line_too(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/nowhere/interpreter\n")
    script.chmod(0o755)
    plain = tmp_path / "plain"
    plain.write_text("echo no first line\n")
    plain.chmod(0o755)
    cases: list[tuple[Any, dict[str, Any], str]] = [
        ("true", {"cwd": str(tmp_path / "gone")}, f"working directory not found: {tmp_path / 'gone'}"),
        ("true", {"cwd": str(script)}, f"working directory not found: {script}"),
        ("true", {"env": {"A": "x\0y"}}, "environment variable 'A' contains a NUL byte"),
        ("true", {"env": {"A=B": "x"}}, "'A=B' can't be the name of an environment variable"),
        ((str(script),), {}, f"the interpreter in the first line of {script} was not found"),
        ((str(plain),), {}, f"not executable: {plain} (no #! in its first line?)"),
    ]
    for command, job, error in cases:
        ended = await run(command, **job)
        assert (ended.outcome, ended.error) == (Outcome.FAILED, error)


async def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONSOLE_REDIS_URL", "redis://:secret@host")
    monkeypatch.setenv("CRONSOLE_POSTGRES_URL", "postgresql://secret@host")
    monkeypatch.setenv("CRONSOLE_PAYLOAD", "an old one")
    names = ("RUN_ID", "ATTEMPT", "JOB", "SCHEDULED_FOR", "PAYLOAD", "REDIS_URL", "POSTGRES_URL")
    show = "pwd; for n in " + " ".join(names) + '; do eval "echo \\$CRONSOLE_$n"; done; echo "$OWN"; cat'
    job = attempt(show, b'{"a": "b c"}', cwd=str(tmp_path), env={"OWN": "x", "CRONSOLE_POSTGRES_URL": "mine"})
    ended = await run_command(job, cancelled=asyncio.Event())
    assert ended.output is not None
    assert ended.output.splitlines() == [
        str(tmp_path), job.run_id, "2", "cmd", "2026-11-23T03:00:00+00:00", '{"a": "b c"}', "", "mine", "x",
    ]  # fmt: skip
    big = await run('echo "${CRONSOLE_PAYLOAD-unset}"', b'{"a": "' + b"x" * 200_000 + b'"}')
    assert big.output == "unset\n"


async def test_output_is_live_and_its_tail_is_kept() -> None:
    chunks: list[bytes] = []
    job = attempt("head -c 3000000 /dev/zero | tr '\\0' 'x'; printf '\\0\\377end'")
    ended = await run_command(job, on_output=chunks.append, cancelled=asyncio.Event())
    assert sum(map(len, chunks)) == 3_000_005
    assert ended.output is not None
    assert ended.output.endswith("xx\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}end")
    assert 65_000 < len(ended.output.encode()) <= 65_536


async def test_a_time_limit_ends_the_whole_group_politely() -> None:
    ended = await run("trap 'echo tidied; exit 0' TERM; echo here; while :; do sleep 0.05; done", timeout_s=1.5)
    assert (ended.outcome, ended.error) == (Outcome.TIMED_OUT, "timed out after 1.5 s")
    assert (ended.output or "").splitlines()[:1] == ["here"]
    assert (ended.output or "").splitlines()[-1:] == ["tidied"]


async def test_who_ignores_sigterm_is_killed_after_the_grace() -> None:
    began = time.monotonic()
    ended = await run("trap '' TERM; while :; do sleep 0.05; done", timeout_s=0.2, grace_s=0.3)
    assert (ended.outcome, ended.exit_code) == (Outcome.TIMED_OUT, -signal.SIGKILL)
    assert time.monotonic() - began < 5


async def test_cancel(tmp_path: Path) -> None:
    cancelled, mark = asyncio.Event(), tmp_path / "m"
    running = asyncio.create_task(run_command(attempt(f"touch {mark}; sleep 60"), cancelled=cancelled))
    await until(mark.exists, "it runs")
    cancelled.set()
    ended = await running
    assert (ended.outcome, ended.error, ended.exit_code) == (Outcome.CANCELLED, "cancelled while it ran", -15)


@pytest.mark.parametrize("trap", ["", "trap '' TERM HUP; "])
async def test_what_is_left_in_the_background_neither_hangs_the_run_nor_lives_on(tmp_path: Path, trap: str) -> None:
    began = time.monotonic()
    ended = await run(f"({trap}while :; do sleep 0.05; done) & echo $! > pid; echo done", cwd=str(tmp_path))
    assert (ended.outcome, ended.output) == (Outcome.SUCCEEDED, "done\n")
    assert time.monotonic() - began < 5
    assert ended.finished_us - ended.started_us < 0.9e6  # the wait for the pipe is not the command's
    left = int((tmp_path / "pid").read_text())
    await until(lambda: not alive(left), "the background process is gone")


async def test_cancelling_the_task_kills_the_command(tmp_path: Path) -> None:
    running = asyncio.create_task(run("echo $$ > pid~; mv pid~ pid; sleep 60", cwd=str(tmp_path)))
    mark = tmp_path / "pid"
    await until(mark.exists, "it runs")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: not alive(int(mark.read_text())), "the command is gone")


async def test_the_loop_is_not_blocked_by_many_at_once() -> None:
    ends = await asyncio.gather(*[run(("sh", "-c", f"sleep 0.2; echo {n}")) for n in range(30)])
    assert [e.output for e in ends] == [f"{n}\n" for n in range(30)]


async def test_without_pidfd_a_thread_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    ended = await run("sleep 60 & echo hello; exit 4")
    assert (ended.exit_code, ended.output) == (4, "hello\n")
    assert (await run("sleep 60", timeout_s=0.1)).outcome is Outcome.TIMED_OUT


def test_commands_work_on_uvloop() -> None:
    import uvloop

    async def both() -> tuple[Ended, Ended]:
        return await run("echo hello; exit 4"), await run("sleep 60", timeout_s=0.1)

    failed, late = uvloop.run(both())
    assert (failed.exit_code, failed.output, late.outcome) == (4, "hello\n", Outcome.TIMED_OUT)
