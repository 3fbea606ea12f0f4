"""A job file, from text to specs, and every mistake of it at once."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.errors import BadInputError
from backends.jobs import Backoff, BackoffKind, HttpSpec, JobFileError, JobSpec, Problem, QueueSpec
from backends.jobs.load import load, load_text
from backends.jobs.words import duration
from backends.model import Catchup, Overlap

FULL = """
[defaults]
timezone = "Europe/Berlin"
queue = "main"
env = { A = "1", B = "2" }
attempts = 5

[jobs.cleanup]
description = "Delete sessions older than 30 days"
schedule = "0  3 * * *"
command = "cd $APP_DIR && dart run bin/cleanup.dart"   # runs in a shell
env = { APP_DIR = "/var/www/myapp", B = "3" }
timeout = "10m"
attempts = 3
backoff = { kind = "linear", base = "10s", cap = "10m", jitter = false }
overlap = "queue_one"
catchup = "all"
catchup_window = "2h"
jitter = "5m"
overdue_after = "25h"
priority = 0
grace = "1m30s"
alert = ["ops"]
cwd = "work"

[jobs.send_email]
task = "myapp.jobs:send_email"
python = ".venv/bin/python"
payload = { to = "a@example.org", tries = [1, 2.5, { deep = true }] }

[jobs.list]
command = ["echo", "hello world"]
timezone = "Asia/Kolkata"
schedule = "@daily"

[jobs.ping]
schedule = "*/5 * * * *"
http = { method = "post", url = "https://example.org:8080/health", expect = [200, 204], body = { a = 1 } }

[queues."myapp:jobs"]
inbox = "list"
concurrency = 20
hot_max = 5_000

[queues.main]
inbox = "list"
inbox_key = "old:list"

[alerts.ops]
url = "slack://x"
"""

TEN = """\
[defaults]
timezone = "Europe/Berlni"

[jobs.cleanup]
schedule = "60 3 * * *"
command = "true"
overlap = "skp"
attempts = 101
env = { N = 5 }

[jobs.ping]
http = { url = "ftp://example.org", expct = 200 }
timeout = "10 parsecs"

[jobs.both]
command = ["a"]
task = "a.b:c"

[queues."a{b}"]
concurrency = 3
"""


def problems(text: str) -> list[str]:
    with pytest.raises(JobFileError) as caught:
        load_text(text)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return [str(problem) for problem in caught.value.problems]


def test_everything_a_job_can_say(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(FULL, encoding="utf-8")
    file = load(path)
    assert list(file.jobs) == ["cleanup", "send_email", "list", "ping"]
    assert file.jobs["cleanup"] == JobSpec(
        name="cleanup",
        kind="command",
        description="Delete sessions older than 30 days",
        schedule="0  3 * * *",
        timezone="Europe/Berlin",
        queue="main",
        command="cd $APP_DIR && dart run bin/cleanup.dart",
        env={"A": "1", "B": "3", "APP_DIR": "/var/www/myapp"},
        cwd=str(tmp_path / "work"),
        timeout_s=600.0,
        attempts=3,
        backoff=Backoff(kind=BackoffKind.LINEAR, base_s=10.0, cap_s=600.0, jitter=False),
        overlap=Overlap.QUEUE_ONE,
        catchup=Catchup.ALL,
        catchup_window_s=7200.0,
        jitter_s=300.0,
        overdue_after_s=90_000.0,
        priority=0,
        grace_s=90.0,
    )
    email = file.jobs["send_email"]
    assert (email.kind, email.task, email.attempts) == ("task", "myapp.jobs:send_email", 5)
    assert email.python == str(tmp_path / ".venv/bin/python")
    assert email.cwd == str(tmp_path)
    assert email.payload == {"to": "a@example.org", "tries": [1, 2.5, {"deep": True}]}
    assert file.jobs["list"].command == ("echo", "hello world")
    assert file.jobs["list"].timezone == "Asia/Kolkata"
    assert file.jobs["ping"].http == HttpSpec(
        url="https://example.org:8080/health", method="POST", expect=(200, 204), body={"a": 1}
    )
    assert file.queues == {
        "myapp:jobs": QueueSpec(name="myapp:jobs", inbox="list", inbox_key="myapp:jobs", concurrency=20, hot_max=5000),
        "main": QueueSpec(name="main", inbox="list", inbox_key="old:list"),
    }
    assert [w.partition("jobs.toml:")[2] for w in file.warnings] == ["49: alerts: alerts are not sent by this version"]


def test_the_least_a_job_can_say() -> None:
    file = load_text('[jobs.a]\ncommand = "true"')
    assert file.jobs == {"a": JobSpec(name="a", kind="command", command="true")}
    assert file.queues == {"default": QueueSpec(name="default")}
    assert file.warnings == ()
    assert file.jobs["a"].timezone == "UTC"


def test_published_jobs_come_back_as_they_were(tmp_path: Path) -> None:
    for job in load_text(FULL, tmp_path / "jobs.toml").jobs.values():
        row = job.to_row()
        assert JobSpec.from_row(row) == job
        assert JobSpec.from_row({**row, "a_key_of_a_newer_release": 1}) == job
        assert JobSpec.from_row(json.dumps(row)) == job
        assert JobSpec.from_row(json.dumps(row).encode()) == job
    with pytest.raises(BadInputError, match="publish"):
        JobSpec.from_row({"name": 5})


def test_ten_mistakes_are_ten_messages() -> None:
    found = problems(TEN)
    assert found == [
        "jobs.toml:2: defaults.timezone: no time zone 'Europe/Berlni'; did you mean 'Europe/Berlin'?",
        "jobs.toml:5: jobs.cleanup.schedule: '60 3 * * *', column 1: minute '60' is out of range; "
        "the full hour is minute 0",
        "jobs.toml:7: jobs.cleanup.overlap: 'skp' is not one of skip, queue_one, queue_all, allow, replace; "
        "did you mean 'skip'?",
        "jobs.toml:8: jobs.cleanup.attempts: expected a whole number from 1 to 100, got 101",
        'jobs.toml:9: jobs.cleanup.env: N must be text, got the number 5; write it in quotes: N = "5"',
        "jobs.toml:12: jobs.ping.http.url: 'ftp://example.org' is not an http or https address; "
        "write http://host/path or https://host/path",
        "jobs.toml:12: jobs.ping.http.expct: unknown key; did you mean 'expect'?",
        "jobs.toml:13: jobs.ping.timeout: '10 parsecs' is not a duration; "
        'write "30s", "10m", "1h30m", "250ms" or a number of seconds',
        "jobs.toml:17: jobs.both.task: command and task exclude each other; keep one of them",
        "jobs.toml:19: queues.\"a{b}\": 'a{b}' can't name a queue; use letters, digits and . _ : - only, "
        "at most 100 of them",
    ]


def test_exactly_ten_of_one_job() -> None:
    text = """[jobs.a]
schedule = "* * *"
timezone = "Mars/Base"
queue = "no spaces"
command = []
timeout = -1
attempts = "3"
backoff = { kind = "exp", base = "1h", cap = "1m" }
catchup = 7
priority = 3
"""
    assert len(problems(text)) == 10


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "has nothing to run; add one of command, task, http or uses"),
        ('command = ""', "is empty; write a string for /bin/sh"),
        ("command = 5", "expected text or a list of texts, got the number 5"),
        ('command = ["a", 5]', 'got the number 5; write it in quotes: "5"'),
        ('command = "a\\u0000b"', "has a NUL character in it"),
        ('task = "myapp.jobs.send"', "did you mean 'myapp.jobs:send'?"),
        ('task = "5:x"', 'write "package.module:function"'),
        ('http = { method = "GET" }', "jobs.a.http.url: is missing"),
        ('http = { url = "http://" }', "is not an http or https address"),
        ('http = { url = "http://h:99999/" }', "is not an http or https address"),
        ('http = { url = "http://h", method = "FETCH" }', "'FETCH' is not one of GET"),
        ('http = { url = "http://h", expect = 99 }', "99 is not an HTTP status"),
        ('http = { url = "http://h", headers = { "X-A" = "a\\nb" } }', "has a line break in it"),
        ('http = "http://h"', "expected a table, got the text 'http://h'"),
        ('uses = "postgres-backup"\nwith = { keep = "7d" }', "no ready-made job 'postgres-backup'"),
        ('command = "a"\nwith = {}', "goes with `uses` only"),
        ('command = "a"\nbackoff = { base = "1m", cap = "1s" }', "cap is shorter than base"),
        ('command = "a"\nbackoff = { jitter = "yes" }', "expected true or false, got the text 'yes'"),
        ('command = "a"\npayload = { at = 2026-01-01 }', "JSON can't carry"),
        ('command = "a"\npayload = { x = nan }', "JSON can't carry"),
        ('command = "a"\nalert = ["ops"]', "no alert 'ops'; add [alerts.ops]"),
        ('command = "a"\nalert = "ops"', "expected a list of texts, got the text 'ops'"),
        ('command = "a"\ndescription = 5', "expected text, got the number 5"),
        ('command = "a"\nattempts = true', "got the truth value true"),
        ('command = "a"\ntimeout = 0', "must be longer than 0"),
        ('command = "a"\ntimeout = inf', "longer than ten years"),
        ('command = "a"\nenv = { "A=B" = "x" }', "'A=B' can't be a name here"),
        ('command = "a"\nschedule = "0 3 * *"', "has 4 fields, cron has 5"),
        ('comand = "a"', "comand: unknown key; did you mean 'command'?"),
        ('command = "a"\nschdule = "@daily"', "did you mean 'schedule'?"),
    ],
)
def test_one_mistake_is_one_message(body: str, message: str) -> None:
    found = problems(f"[jobs.a]\n{body}\n")
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jobs = 5", "jobs.toml:1: jobs: expected a table, got the number 5"),
        ("[jobs]\na = 5", "jobs.toml:2: jobs.a: expected a table, got the number 5"),
        ("[job.a]\ncommand = 'a'", "jobs.toml:1: job: unknown key; did you mean 'jobs'?"),
        ("[defaults]\nschedule = '@daily'", "defaults.schedule: unknown key"),
        ('[jobs." a"]\ncommand = "a"', "can't start or end with a space"),
        ('[jobs.""]\ncommand = "a"', "needs visible characters"),
        ('[jobs."a\\u001bb"]\ncommand = "a"', "no control characters"),
        (f'[jobs.{"a" * 101}]\ncommand = "a"', "at most 100 characters, this one has 101"),
        ("[alerts.ops]\nlevel = 1", "alerts.ops.level: unknown key"),
        ("[queues.a]\ninbox_key = 'b'", 'needs an inbox; add inbox = "list"'),
        ("[queues.a]\ninbox = 'stream'", "'stream' is not one of list"),
        ("[jobs.a\ncommand = 'a'", "jobs.toml:1: not valid TOML"),
        ("a = 1\nb = yes", "jobs.toml:2: not valid TOML: Invalid value (column 5)"),
        ("a = 1\na = 2", "jobs.toml:2: not valid TOML: Cannot overwrite a value"),
        ("a = '''\nx", "at the end of the file"),
    ],
)
def test_mistakes_around_jobs(text: str, message: str) -> None:
    found = problems(text)
    assert any(message in line for line in found), found
    assert all("\x1b" not in line for line in found)


def test_lines_are_found_behind_strings_arrays_and_dotted_keys() -> None:
    found = problems(
        '[jobs.a]\ndescription = """\n[jobs.b]\noverlap = "x"\n"""\ncommand = [\n  "a", # ]\n  "b",\n]\n'
        'http.url = "http://h"\n\n[jobs."b.c"] # here\ncommand = "a"\r\n  overlap   = "x"\n\n[ jobs . d ]\ntask = 1\n'
    )
    assert [line.split(": ")[:2] for line in found] == [
        ["jobs.toml:10", "jobs.a.http"],
        ["jobs.toml:14", 'jobs."b.c".overlap'],
        ["jobs.toml:17", "jobs.d.task"],
    ]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no job file at .*; name one with -j FILE"):
        load(tmp_path / "none.toml")
    with pytest.raises(BadInputError, match="can't be read"):
        load(tmp_path)
    bad = tmp_path / "bad.toml"
    bad.write_bytes(b"# ok\n# \xff\n")
    with pytest.raises(JobFileError, match=r"bad\.toml:2: byte 0xff is not UTF-8"):
        load(bad)
    bad.write_bytes(b"\xef\xbb\xbf[jobs.a]\r\ncommand = 'a'\r\n")
    assert list(load(bad).jobs) == ["a"]
    bad.write_text("a = " + "[" * 5000 + "]" * 5000)
    with pytest.raises(JobFileError):
        load(bad)


def test_warnings_are_for_what_has_no_effect() -> None:
    file = load_text('[jobs.a]\ncommand = "a"\ncatchup = "all"\npython = "python3"\n')
    assert file.warnings == (
        "jobs.toml:3: jobs.a.catchup: has no effect without a schedule",
        "jobs.toml:4: jobs.a.python: has no effect without task",
    )
    assert load_text("").warnings == ("jobs.toml: declares no jobs",)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    text = '[jobs.a]\ntask = "a:b"\npython = "{}"\ncwd = "{}"'
    job = load_text(text.format("python3.12", "~/x"), tmp_path / "jobs.toml").jobs["a"]
    assert (job.python, job.cwd) == ("python3.12", "/home/me/x")
    job = load_text(text.format("../v/bin/python", "/srv/./y"), tmp_path / "jobs.toml").jobs["a"]
    assert (job.python, job.cwd) == (str(tmp_path.parent / "v/bin/python"), "/srv/y")


def test_job_by_name() -> None:
    file = load_text('[jobs.cleanup]\ncommand = "a"\n[jobs.clean]\ncommand = "a"\n')
    assert file.job("cleanup").name == "cleanup"
    with pytest.raises(BadInputError, match="no job 'Cleanupp' in the job file; did you mean 'cleanup'"):
        file.job("Cleanupp")
    with pytest.raises(BadInputError, match="`cronsole jobs` lists the 2 there are"):
        file.job("zzz")
    with pytest.raises(BadInputError, match="it has no jobs"):
        load_text("").job("a")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10m", 600), ("1h30m", 5400), ("250ms", 0.25), ("1.5s", 1.5), ("1d", 86400), ("2w", 1209600), (7, 7), (0.5, 0.5)],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-5s", "5 x", "1e3s", "٣s", -1, float("nan"), True, None, 10**400])
def test_no_durations(text: Any) -> None:
    with pytest.raises(ValueError, match=r"duration"):
        duration(text)


def test_backoff() -> None:
    plain = Backoff(base_s=10, cap_s=100, jitter=False)
    assert [plain.delay_s(n) for n in (1, 2, 3, 4, 5, 10_000)] == [10, 20, 40, 80, 100, 100]
    linear = Backoff(kind=BackoffKind.LINEAR, base_s=10, cap_s=35, jitter=False)
    assert [linear.delay_s(n) for n in (1, 2, 3, 4)] == [10, 20, 30, 35]
    fixed = Backoff(kind=BackoffKind.FIXED, base_s=10, jitter=False)
    assert [fixed.delay_s(n) for n in (1, 9)] == [10, 10]
    shaken = Backoff(base_s=10, cap_s=100)
    assert shaken.delay_s(3, lambda: 0.0) == 20
    assert shaken.delay_s(3, lambda: 1.0) == 40
    assert shaken.delay_s(99, lambda: 1.0) == 100
    long = load_text('[jobs.a]\ncommand = "a"\nbackoff = { base = "1h" }').jobs["a"].backoff
    assert (long.base_s, long.cap_s) == (3600, 3600)


VALUES = st.recursive(
    st.one_of(
        st.integers(-5, 200), st.booleans(), st.floats(), st.text(max_size=8), st.sampled_from(["10m", "a:b", "skip"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=4,
)
KEYS = st.sampled_from([
    "schedule", "timezone", "queue", "command", "task", "python", "http", "uses", "with", "env", "cwd", "timeout",
    "attempts", "backoff", "overlap", "catchup", "jitter", "priority", "payload", "grace", "alert", "description", "x",
])  # fmt: skip


def toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\U{ord(c):08x}" for c in value) + '"'
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
        case _:
            return repr(value)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=6)), max_size=3))
def test_any_valid_toml_is_a_job_file_or_a_list_of_problems(jobs: dict[str, Any]) -> None:
    text = f"jobs = {toml(jobs)}\n"
    tomllib.loads(text)
    found: tuple[Problem, ...] = ()
    jobs_found: list[JobSpec] = []
    try:
        jobs_found += load_text(text).jobs.values()
    except JobFileError as error:
        found = error.problems
    assert all(problem.message and str(problem).isprintable() for problem in found)
    assert all(JobSpec.from_row(job.to_row()) == job for job in jobs_found)
    assert len(jobs_found) == (0 if found else len(jobs))
