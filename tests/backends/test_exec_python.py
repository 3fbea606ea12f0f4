"""Python jobs in runner processes: what a job sees, and what is recorded of it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.engine.executors.base import Attempt, Ended
from backends.engine.executors.python import RunnerPool
from backends.model import Outcome
from tests.backends.exec_helpers import Answers, task, until

USERCODE = """
import asyncio, contextlib, os, subprocess, sys, threading

COUNT = []

def noop(**payload):
    return None

def echo(**payload):
    return payload

def count():
    COUNT.append(1)
    return len(COUNT)

async def later(x):
    await asyncio.sleep(0.001)
    return x

async def same_loop():
    return id(asyncio.get_running_loop())

def environment():
    names = ("RUN_ID", "ATTEMPT", "JOB", "SCHEDULED_FOR", "REDIS_URL", "POSTGRES_URL")
    inside = {n: os.environ.get("CRONSOLE_" + n) for n in names}
    shell = "".join("$CRONSOLE_%s|" % n for n in names)
    outside = subprocess.run(["/bin/sh", "-c", 'printf %s "' + shell + '"'], stdout=subprocess.PIPE).stdout.decode()
    return {"inside": inside, "outside": outside, "own": os.environ.get("OWN")}

def speak(word):
    print(word, "out")
    print(word, "err", file=sys.stderr)
    sys.stdout.buffer.write(word.encode() + b" raw\\n")
    subprocess.run(["/bin/sh", "-c", "echo %s child" % word])
    os.write(2, word.encode() + b" fd\\n")

def flood():
    for n in range(40000):
        print("line", n)

def odd_text():
    print("a\\0b\\udc80c")

def steals_stdout():
    sys.stdout = open(os.devnull, "w")
    sys.stderr = None

def fail(x):
    helper(x)

def helper(x):
    raise KeyError("no user %d" % x)

class Broken(Exception):
    def __str__(self):
        raise RuntimeError

def fail_oddly():
    raise Broken

def fail_at_length():
    raise type("A" * 70000, (Exception,), {})("boom")

def leave():
    sys.exit(3)

def interrupt():
    raise KeyboardInterrupt

def big():
    return "x" * 100000

def not_json():
    return {1, }

def nul():
    return "a\\0b"

def nan():
    return float("nan")

def where():
    return [os.getcwd(), sys.path[0], sys.argv[1:], "backends" in sys.modules]

def forks():
    pid = os.fork()
    if pid == 0:
        return "child"
    os.waitpid(pid, 0)
    return "parent"

not_callable = 3
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
    await pool.close(5.0)


async def run(pool: RunnerPool, *attempts: Attempt) -> list[Ended]:
    """Run attempts as one batch; those behind one that was slow come back and are handed in again, as engines do."""
    answers = Answers()

    def again(back: list[Attempt]) -> None:
        pool.submit(back, answers.on_done, again)

    again(list(attempts))
    return [await answers.of(a) for a in attempts]


async def test_payload_keys_are_arguments_and_the_value_is_the_result(pool: RunnerPool, cwd: Path) -> None:
    text = b'{"a": [1, null, "\xc3\xa9"], "b": {"c": 1.5}}'
    (ended,) = await run(pool, task(cwd, "echo", text))
    assert ended.outcome is Outcome.SUCCEEDED
    assert ended.result is not None
    assert json.loads(ended.result) == json.loads(text)
    assert ended.started_us <= ended.finished_us
    assert ended.cpu_ms is not None


async def test_a_batch_runs_in_order_in_one_process_with_modules_imported_once(pool: RunnerPool, cwd: Path) -> None:
    ended = await run(pool, *[task(cwd, "count") for _ in range(50)])
    assert [e.result for e in ended] == [str(n) for n in range(1, 51)]


async def test_no_result_no_output(pool: RunnerPool, cwd: Path) -> None:
    (ended,) = await run(pool, task(cwd, "noop", b'{"n": 1}'))
    assert (ended.outcome, ended.output, ended.result, ended.error) == (Outcome.SUCCEEDED, None, None, None)


async def test_async_functions_share_one_loop(pool: RunnerPool, cwd: Path) -> None:
    value, one, two = await run(pool, task(cwd, "later", b'{"x": 7}'), task(cwd, "same_loop"), task(cwd, "same_loop"))
    assert value.result == "7"
    assert one.result == two.result


async def test_environment_of_each_run_in_python_and_in_its_children(
    cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRONSOLE_REDIS_URL", "redis://:secret@host")
    monkeypatch.setenv("CRONSOLE_POSTGRES_URL", "postgresql://u:secret@host")
    pool = RunnerPool(sys.executable, str(cwd), {"OWN": "yes", "CRONSOLE_POSTGRES_URL": "mine"}, 1)
    a = task(cwd, "environment", attempt=12, scheduled_for="2026-11-23T03:00:00+00:00")
    b = task(cwd, "environment", attempt=3)
    long = task(cwd, "environment", job={"description": "a long name"})
    first, second, third = await run(pool, a, b, long)
    await pool.close(5.0)
    for attempt, ended in ((a, first), (b, second), (long, third)):
        seen = json.loads(ended.result or "")
        at = attempt.scheduled_for
        assert seen["inside"] == {
            "RUN_ID": attempt.run_id, "ATTEMPT": str(attempt.attempt), "JOB": "environment", "SCHEDULED_FOR": at,
            "REDIS_URL": None, "POSTGRES_URL": "mine",
        }  # fmt: skip
        assert seen["outside"] == f"{attempt.run_id}|{attempt.attempt}|environment|{at or ''}||mine|"
        assert seen["own"] == "yes"


async def test_a_scheduled_time_that_cannot_be_one_is_left_out(pool: RunnerPool, cwd: Path) -> None:
    odd, long = task(cwd, "environment", scheduled_for="a\0b"), task(cwd, "environment", scheduled_for="9" * 5000)
    for ended in await run(pool, odd, long):
        assert json.loads(ended.result or "")["inside"]["SCHEDULED_FOR"] is None


async def test_output_of_all_kinds_belongs_to_its_run(pool: RunnerPool, cwd: Path) -> None:
    words = ["one", "two", "three"]
    for word, ended in zip(
        words, await run(pool, *[task(cwd, "speak", b'{"word": "%s"}' % w.encode()) for w in words]), strict=True
    ):
        assert ended.output is not None
        lines = [f"{word} {kind}" for kind in ("child", "err", "fd", "out", "raw")]
        assert sorted(ended.output.splitlines()) == lines


async def test_of_much_output_the_tail_is_kept(pool: RunnerPool, cwd: Path) -> None:
    flood, after = await run(pool, task(cwd, "flood"), task(cwd, "noop"))
    assert flood.output is not None
    assert len(flood.output) == 65536
    assert flood.output.endswith("line 39998\nline 39999\n")
    assert after.output is None


async def test_output_is_valid_text_without_nul(pool: RunnerPool, cwd: Path) -> None:
    (ended,) = await run(pool, task(cwd, "odd_text"))
    assert ended.output == "a\N{REPLACEMENT CHARACTER}b?c\n"


async def test_a_run_that_replaces_stdout_harms_nobody(pool: RunnerPool, cwd: Path) -> None:
    _, ended = await run(pool, task(cwd, "steals_stdout"), task(cwd, "speak", b'{"word": "x"}'))
    assert ended.output is not None
    assert "x out" in ended.output


async def test_an_exception_is_a_failure_with_class_line_frames_and_traceback(pool: RunnerPool, cwd: Path) -> None:
    ended, after = await run(pool, task(cwd, "fail", b'{"x": 5}'), task(cwd, "noop"))
    assert ended.outcome is Outcome.FAILED
    assert ended.error_class == "KeyError"
    assert ended.error == "KeyError: 'no user 5'"
    assert ended.frames == ("usercode:fail", "usercode:helper")
    assert ended.output is not None
    assert ended.output.startswith("Traceback (most recent call last):\n")
    assert "runner.py" not in ended.output
    assert after.outcome is Outcome.SUCCEEDED


async def test_the_name_of_a_class_ends_before_its_error_does(pool: RunnerPool, cwd: Path) -> None:
    (ended,) = await run(pool, task(cwd, "fail_at_length"))
    assert ended.error_class == "usercode." + "A" * 191
    assert ended.error == "usercode." + "A" * 191 + ": boom"


@pytest.mark.parametrize(
    ("function", "payload", "error"),
    [
        ("leave", b"{}", "SystemExit: 3"),
        ("interrupt", b"{}", "KeyboardInterrupt"),
        ("fail_oddly", b"{}", "usercode.Broken: <its text can't be read>"),
        ("nowhere", b"{}", "ImportError: no function 'nowhere' in module 'usercode'"),
        ("not_callable", b"{}", "TypeError: 'not_callable' in module 'usercode' can't be called"),
        ("later", b'{"y": 1}', "TypeError: later() got an unexpected keyword argument 'y'"),
        ("echo", b'{"x": "\xff"}', "ValueError: the payload can't be read: 'utf-8' codec can't decode byte 0xff"),
        ("echo", b'{"x": %s}' % (b"[" * 100_000 + b"]" * 100_000), "ValueError: the payload can't be read: "),
    ],
)
async def test_whatever_user_code_does_the_runner_lives_on(
    pool: RunnerPool, cwd: Path, function: str, payload: bytes, error: str
) -> None:
    before, ended, after = await run(
        pool, task(cwd, "count"), task(cwd, function, payload), task(cwd, "count", b"{\n}")
    )
    assert ended.outcome is Outcome.FAILED
    assert ended.error is not None
    assert ended.error.startswith(error)
    assert (before.result, after.result) == ("1", "2")


async def test_a_module_that_could_not_be_imported_is_tried_again(pool: RunnerPool, cwd: Path) -> None:
    (cwd / "usercode.py").write_text("import missing_module")
    (ended,) = await run(pool, task(cwd, "noop"))
    assert ended.error == "ModuleNotFoundError: No module named 'missing_module'"
    assert ended.frames == ("usercode:<module>",)
    (cwd / "missing_module.py").write_text("")
    (cwd / "usercode.py").write_text("import missing_module\ndef noop(): return 'now there'")
    (ended,) = await run(pool, task(cwd, "noop"))
    assert ended.result == '"now there"'


@pytest.mark.parametrize(
    ("function", "result"),
    [("big", '"' + "'" + "x" * 1023 + '"'), ("not_json", '"{1}"'), ("nan", '"nan"'), ("nul", "\"'a\\\\x00b'\"")],
)
async def test_results_that_are_too_long_or_not_json(pool: RunnerPool, cwd: Path, function: str, result: str) -> None:
    (ended,) = await run(pool, task(cwd, function))
    assert ended.outcome is Outcome.SUCCEEDED
    assert ended.result == result


async def test_user_code_finds_its_own_modules_and_not_ours(pool: RunnerPool, cwd: Path) -> None:
    (ended,) = await run(pool, task(cwd, "where"))
    assert json.loads(ended.result or "") == [str(cwd), str(cwd), [], False]


async def test_a_forked_child_that_returns_does_not_answer(pool: RunnerPool, cwd: Path) -> None:
    forked, after = await run(pool, task(cwd, "forks"), task(cwd, "count"))
    assert (forked.result, after.result) == ('"parent"', "1")


async def test_many_batches_all_come_back_once(pool: RunnerPool, cwd: Path) -> None:
    answers = Answers()
    batches = [[task(cwd, "noop", b'{"n": %d}' % n) for n in range(200)] for _ in range(20)]
    for batch in batches:
        pool.submit(batch, answers.on_done, answers.on_back)
    await until(lambda: len(answers.ended) + len(answers.back) == 4000, "4,000 answers")
    assert {e.outcome for e in answers.ended.values()} == {Outcome.SUCCEEDED}
