"""The rules of the runner pool: slow jobs, time limits, crashes, cancellation, and the end of runners."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from backends.engine.executors import link as link_module
from backends.engine.executors import python as pool_module
from backends.engine.executors.base import Attempt
from backends.engine.executors.python import RunnerPool
from backends.model import Outcome
from tests.backends.exec_helpers import Answers, alive, task, until

USERCODE = """
import ctypes, os, signal, subprocess, sys, time

def noop(**payload):
    return None

def pid():
    return os.getpid()

def nap(s, mark=""):
    if mark:
        open(mark, "w").write(str(os.getpid()))
    time.sleep(s)
    return "woke"

def gentle(mark):
    try:
        open(mark, "w").close()
        time.sleep(60)
    finally:
        print("cleaned up")

def stubborn(mark):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(mark, "w").close()
    time.sleep(60)

def family(mark):
    child = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
    with open(mark + "~", "w") as f:
        f.write(str(child.pid))
    os.rename(mark + "~", mark)
    time.sleep(60)

def kill_me():
    os.kill(os.getpid(), 9)

def leave():
    print("told to a file descriptor", file=sys.__stderr__, flush=True)
    os._exit(7)

def segfault():
    ctypes.string_at(0)

def talk(mark):
    print("first words")
    while not os.path.exists(mark):
        time.sleep(0.01)
    print("last words")
"""


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    """A directory with the user's code."""
    (tmp_path / "usercode.py").write_text(USERCODE)
    return tmp_path


@pytest.fixture
async def pool(cwd: Path) -> AsyncIterator[RunnerPool]:
    """A pool of one runner."""
    pool = RunnerPool(sys.executable, str(cwd), {}, 1)
    yield pool
    await pool.close(0.0)


def payload(**values: object) -> bytes:
    """A payload."""
    import msgspec

    return msgspec.json.encode(values)


@pytest.fixture
def nothing_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """No job is slow, however busy the machine: those behind it stay where they are."""
    monkeypatch.setattr(link_module, "SLOW_S", 60.0)


# --- slow jobs ----------------------------------------------------------------------------------------------


async def test_a_slow_job_holds_back_neither_results_before_it_nor_jobs_behind_it(pool: RunnerPool, cwd: Path) -> None:
    answers = Answers()
    before = [task(cwd, "noop") for _ in range(3)]
    slow = task(cwd, "nap", payload(s=3.0))
    behind = [task(cwd, "noop") for _ in range(5)]
    pool.submit([*before, slow, *behind], answers.on_done, answers.on_back)
    await until(lambda: len(answers.back) == 5, "the jobs behind came back")
    assert [a.run_id for a in answers.back] == [a.run_id for a in behind]
    assert answers.ended.keys() == {a.run_id for a in before}
    assert (await answers.of(slow)).result == '"woke"'


async def test_results_flow_while_a_batch_of_middling_jobs_runs(
    pool: RunnerPool, cwd: Path, nothing_comes_back: None
) -> None:
    answers = Answers()
    batch = [task(cwd, "nap", payload(s=0.03)) for _ in range(30)]
    pool.submit(batch, answers.on_done, answers.on_back)
    await answers.of(batch[2])
    assert len(answers.ended) < 25
    await answers.of(batch[-1])
    assert not answers.back


async def test_a_batch_waits_for_a_runner_and_gets_it(pool: RunnerPool, cwd: Path) -> None:
    answers = Answers()
    first, second = task(cwd, "nap", payload(s=0.3)), task(cwd, "noop")
    pool.submit([first], answers.on_done, answers.on_back)
    assert pool.free_slots() == 0
    pool.submit([second], answers.on_done, answers.on_back)
    await answers.of(first)
    assert (await answers.of(second)).outcome is Outcome.SUCCEEDED
    assert pool.free_slots() == 1


async def test_slow_jobs_run_side_by_side(cwd: Path) -> None:
    pool, answers = RunnerPool(sys.executable, str(cwd), {}, 3), Answers()
    naps = [task(cwd, "nap", payload(s=0.5)) for _ in range(3)]
    for nap in naps:
        pool.submit([nap], answers.on_done, answers.on_back)
    ends = [await answers.of(nap) for nap in naps]
    assert max(e.started_us for e in ends) < min(e.finished_us for e in ends)
    await pool.close(1.0)


# --- time limits --------------------------------------------------------------------------------------------


async def test_a_time_limit_ends_the_job_and_nobody_else(pool: RunnerPool, cwd: Path) -> None:
    answers = Answers()
    fine = task(cwd, "nap", payload(s=0.25), timeout_s=8)
    late = task(cwd, "gentle", payload(mark=str(cwd / "m")), timeout_s=0.4)
    behind = task(cwd, "noop")

    def again(back: list[Attempt]) -> None:
        pool.submit(back, answers.on_done, again)

    pool.submit([fine, late, behind], answers.on_done, again)
    ended = await answers.of(late)
    assert (ended.outcome, ended.error) == (Outcome.TIMED_OUT, "timed out after 0.4 s")
    assert ended.output == "cleaned up\n"
    assert 0.4e6 <= ended.finished_us - ended.started_us < 3e6
    assert (await answers.of(fine)).outcome is Outcome.SUCCEEDED
    assert (await answers.of(behind)).outcome is Outcome.SUCCEEDED


async def test_a_job_that_ignores_sigterm_is_killed_after_its_grace(pool: RunnerPool, cwd: Path) -> None:
    answers = Answers()
    job = task(cwd, "stubborn", payload(mark=str(cwd / "m")), timeout_s=0.2, job={"grace_s": 0.3})
    pool.submit([job], answers.on_done, answers.on_back)
    ended = await answers.of(job)
    assert (ended.outcome, ended.exit_code) == (Outcome.TIMED_OUT, -signal.SIGKILL)


async def test_what_a_job_started_ends_with_its_runner(pool: RunnerPool, cwd: Path) -> None:
    answers, mark = Answers(), cwd / "m"
    job = task(cwd, "family", payload(mark=str(mark)), job={"grace_s": 0.3})
    pool.submit([job], answers.on_done, answers.on_back)
    await until(mark.exists, "the grandchild runs")
    grandchild = int(mark.read_text())
    assert alive(grandchild)
    pool.cancel(job.run_id)
    assert (await answers.of(job)).outcome is Outcome.CANCELLED
    await until(lambda: not alive(grandchild), "the grandchild is gone")


# --- crashes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "error", "code", "output"),
    [
        ("kill_me", "runner exited with signal 9", -9, ""),
        ("leave", "runner exited with code 7", 7, "told to a file descriptor"),
        ("segfault", "runner exited with signal 11", -11, "Fatal Python error: Segmentation fault"),
    ],
)
async def test_a_crash_is_blamed_on_the_job_that_ran_and_costs_one_runner(
    pool: RunnerPool, cwd: Path, function: str, error: str, code: int, output: str
) -> None:
    answers = Answers()
    first, bad, behind = task(cwd, "noop"), task(cwd, function), [task(cwd, "pid") for _ in range(3)]
    pool.submit([first, bad, *behind], answers.on_done, answers.on_back)
    ended = await answers.of(bad)
    assert (ended.outcome, ended.error_class, ended.error) == (Outcome.LOST, "RunnerCrashed", error)
    assert ended.blamed
    assert ended.exit_code == code
    assert output in (ended.output or "")
    before = await answers.of(first)
    if before.outcome is Outcome.LOST:  # it had ended, but its result went with the runner
        assert (before.error, before.blamed) == ("result lost with its runner", False)
    await until(lambda: len(answers.back) == 3, "the jobs behind came back")
    pool.submit(answers.back, answers.on_done, answers.on_back)
    assert (await answers.of(behind[2])).outcome is Outcome.SUCCEEDED


async def test_a_runner_killed_from_outside_while_idle_is_replaced(pool: RunnerPool, cwd: Path) -> None:
    answers = Answers()
    first, second = task(cwd, "pid"), task(cwd, "pid")
    pool.submit([first], answers.on_done, answers.on_back)
    pid = int((await answers.of(first)).result or "")
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not psutil.pid_exists(pid), "the runner was reaped")
    pool.submit([second], answers.on_done, answers.on_back)
    assert int((await answers.of(second)).result or "") != pid


# --- cancellation -------------------------------------------------------------------------------------------


async def test_cancel_what_runs_what_is_behind_it_and_what_waits(
    pool: RunnerPool, cwd: Path, nothing_comes_back: None
) -> None:
    answers, mark = Answers(), cwd / "m"
    running, behind = task(cwd, "gentle", payload(mark=str(mark))), task(cwd, "noop")
    waiting, other = task(cwd, "noop"), task(cwd, "noop")
    pool.submit([running, behind], answers.on_done, answers.on_back)
    pool.submit([waiting, other], answers.on_done, answers.on_back)
    await until(mark.exists, "it runs")
    assert pool.cancel(behind.run_id)
    assert pool.cancel(waiting.run_id)
    assert pool.cancel(running.run_id)
    assert not pool.cancel("nobody")
    for attempt, error in ((behind, "before it started"), (waiting, "before it started"), (running, "while it ran")):
        ended = await answers.of(attempt)
        assert (ended.outcome, ended.error) == (Outcome.CANCELLED, f"cancelled {error}")
    assert answers.ended[running.run_id].output == "cleaned up\n"
    assert (await answers.of(other)).outcome is Outcome.SUCCEEDED


async def test_close_ends_what_runs_and_gives_back_what_waits(cwd: Path) -> None:
    pool, answers, mark = RunnerPool(sys.executable, str(cwd), {}, 1), Answers(), cwd / "m"
    running, waiting = task(cwd, "nap", payload(s=60, mark=str(mark))), task(cwd, "noop")
    pool.submit([running], answers.on_done, answers.on_back)
    pool.submit([waiting], answers.on_done, answers.on_back)
    await until(mark.exists, "it runs")
    await pool.close(0.1)
    assert answers.ended[running.run_id].outcome is Outcome.CANCELLED
    assert [a.run_id for a in answers.back] == [waiting.run_id]
    pool.submit([waiting], answers.on_done, answers.on_back)
    await until(lambda: len(answers.back) == 2, "a closed pool gives back at once")


# --- output while it runs -----------------------------------------------------------------------------------


async def test_output_is_live_and_complete(cwd: Path) -> None:
    seen: list[tuple[str, bytes]] = []
    pool, answers = RunnerPool(sys.executable, str(cwd), {}, 1, lambda r, c: seen.append((r, c))), Answers()
    job = task(cwd, "talk", payload(mark=str(cwd / "m")))
    pool.submit([job], answers.on_done, answers.on_back)
    await until(lambda: bool(seen), "output arrives while it runs")
    assert not answers.ended
    assert seen == [(job.run_id, b"first words\n")]
    (cwd / "m").touch()
    ended = await answers.of(job)
    assert ended.output == "first words\nlast words\n"
    assert b"".join(c for _, c in seen) == b"first words\nlast words\n"
    await pool.close(1.0)


# --- runners that can't start, and runners nobody needs -------------------------------------------------------


async def test_what_keeps_a_runner_from_starting_is_said_in_one_line(cwd: Path) -> None:
    script = cwd / "not-python"
    script.write_text("#!/bin/sh\necho 'no such thing as python' >&2\nexit 3\n")
    script.chmod(0o755)
    (cwd / "plain").write_text("x")
    cases = [
        ("/nowhere/python", cwd, "python interpreter not found: /nowhere/python"),
        (str(cwd / "plain"), cwd, f"not executable: {cwd / 'plain'}"),
        (sys.executable, cwd / "gone", f"working directory not found: {cwd / 'gone'}"),
        (str(script), cwd, "python did not start: it exited with code 3: no such thing as python"),
    ]
    for python, where, error in cases:
        pool, answers = RunnerPool(python, str(where), {}, 2), Answers()
        batch = [task(where, "noop") for _ in range(3)]
        pool.submit(batch, answers.on_done, answers.on_back)
        for attempt in batch:
            ended = await answers.of(attempt)
            assert (ended.outcome, ended.error_class, ended.error) == (Outcome.FAILED, "NotStarted", error)
        await pool.close(1.0)


async def test_a_python_that_is_never_ready_is_given_up(cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "START_S", 0.3)
    script = cwd / "sleeper"
    script.write_text("#!/bin/sh\nsleep 60\n")
    script.chmod(0o755)
    pool, answers = RunnerPool(str(script), str(cwd), {}, 1), Answers()
    job = task(cwd, "noop")
    pool.submit([job], answers.on_done, answers.on_back)
    ended = await answers.of(job)
    assert ended.error == "python did not start: it exited with signal 9: not ready after 0.3 s"
    await pool.close(1.0)


async def test_without_pidfd_a_thread_watches(cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    pool, answers = RunnerPool(sys.executable, str(cwd), {}, 1), Answers()
    fine, bad, after = task(cwd, "pid"), task(cwd, "kill_me"), task(cwd, "pid")
    for attempt in (fine, bad, after):
        pool.submit([attempt], answers.on_done, answers.on_back)
        await answers.of(attempt)
    assert answers.ended[bad.run_id].error == "runner exited with signal 9"
    assert answers.ended[fine.run_id].result != answers.ended[after.run_id].result
    await pool.close(1.0)


async def test_idle_runners_end_the_spare_ones_first(cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "HOUSE_S", 0.02)
    monkeypatch.setattr(pool_module, "SPARE_IDLE_S", 0.1)
    monkeypatch.setattr(pool_module, "LAST_IDLE_S", 4.0)
    pool, answers = RunnerPool(sys.executable, str(cwd), {}, 2), Answers()
    naps = [task(cwd, "nap", payload(s=0.3, mark=str(cwd / f"m{n}"))) for n in range(2)]
    for nap in naps:
        pool.submit([nap], answers.on_done, answers.on_back)
    for nap in naps:
        await answers.of(nap)
    pids = [int((cwd / f"m{n}").read_text()) for n in range(2)]
    at = time.monotonic()
    await until(lambda: sum(map(psutil.pid_exists, pids)) == 1, "the spare runner is gone")
    assert time.monotonic() - at < 3.9
    await until(lambda: not any(map(psutil.pid_exists, pids)), "the last runner is gone")
    await pool.close(1.0)


ENGINE = """
import asyncio, sys
from pathlib import Path
from backends.engine.executors.python import RunnerPool
from tests.backends.exec_helpers import Answers, task

async def main(cwd):
    pool, answers = RunnerPool(sys.executable, str(cwd), {}, 1), Answers()
    pool.submit([task(cwd, "family", b'{"mark": "%s/m"}' % str(cwd).encode())], answers.on_done, answers.on_back)
    await asyncio.sleep(60)

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_when_the_engine_is_killed_nothing_of_it_runs_on(cwd: Path) -> None:
    env = os.environ | {"PYTHONPATH": os.getcwd()}
    engine = await asyncio.create_subprocess_exec(sys.executable, "-c", ENGINE, str(cwd), env=env)
    mark = cwd / "m"
    await until(mark.exists, "the job runs")
    family = psutil.Process(engine.pid).children(recursive=True)
    assert int(mark.read_text()) in {p.pid for p in family}
    engine.kill()
    await engine.wait()
    await until(lambda: not any(alive(p.pid) for p in family), "runner, its child and the guard are gone")
