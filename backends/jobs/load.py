"""From a job file to a :class:`JobFile`, or to everything that is wrong with it."""

from __future__ import annotations

import re
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unicodedata import category

from msgspec import UNSET

from backends.errors import BadInputError, CronsoleError
from backends.jobs import lines as toml
from backends.jobs.check import check, misspellings
from backends.jobs.problems import JobFileError, Problem
from backends.jobs.shape import (
    QUEUE_NAME,
    BackoffTable,
    DefaultsTable,
    FileTable,
    HttpTable,
    JobTable,
    QueueTable,
    ShellLine,
    expand,
)
from backends.jobs.spec import (
    BACKOFF_CAP_S,
    CATCHUP_MAX,
    CATCHUP_WINDOW_S,
    GRACE_S,
    HOT_MAX,
    Backoff,
    HttpSpec,
    JobFile,
    JobKind,
    JobSpec,
    QueueSpec,
)
from backends.jobs.words import nearest, show, suggestion
from backends.model import Catchup, Overlap
from backends.schedule.hints import entered

ACTIONS = ("command", "task", "http", "uses")
READY_MADE: tuple[str, ...] = ()
"""The ready-made jobs that `uses` can name."""
SCHEDULED_ONLY = ("timezone", "catchup", "catchup_window", "catchup_max", "jitter")
MAX_BYTES = 16 * 1024 * 1024


def load(path: Path) -> JobFile:
    """The job file at `path`. Raises JobFileError with every problem, BadInputError where there is no file."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInputError(f"{path} is larger than {MAX_BYTES >> 20} MB", "split it, or name the right file")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise BadInputError(
            f"no job file at {path}", "name one with -j FILE or CRONSOLE_JOBS, or start one with `[jobs.NAME]`"
        ) from None
    except OSError as error:
        raise BadInputError(f"{path} can't be read: {error.strerror}", "name a readable file with -j FILE") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = Problem(str(path), line, "", f"byte 0x{raw[error.start]:02x} is not UTF-8", "save it as UTF-8")
        raise JobFileError([problem]) from None
    return load_text(text, path)


def load_text(text: str, path: Path | None = None) -> JobFile:
    """The job file with this content. `path` names it in messages, and its directory is where relative paths start."""
    name = str(path) if path else "jobs.toml"
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise JobFileError([_broken(text, name, str(error))]) from None
    except RecursionError:
        raise JobFileError([Problem(name, 0, "", "is nested too deeply", "flatten it")]) from None
    return _Loader(text, document, name, path).load()


def _broken(text: str, name: str, message: str) -> Problem:
    where = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if where is None:
        line, column = text.count("\n", 0, len(text.rstrip())) + 1, 0
        message = re.sub(r" \(at end of document\)$", " at the end of the file", message)
    else:
        line, column = int(where[1]), int(where[2])
        message = message[: where.start()]
    at = f" (column {column})" if column else ""
    hint = ""
    if message.startswith(("Invalid value", "Cannot overwrite", "Expected newline or end of document")):
        hint = "text needs quotes, and each key stands once"
    return Problem(name, line, "", f"not valid TOML: {message}{at}", hint)


def _set(*values: Any) -> Any:
    """The first value that is set; the last one is the built-in default."""
    return next((value for value in values[:-1] if value is not UNSET), values[-1])


class _Loader:
    """One load: collects problems and warnings while it goes through the document."""

    def __init__(self, text: str, document: dict[str, Any], name: str, path: Path | None) -> None:
        self.document, self.name, self.path = document, name, path
        self.base = path.absolute().parent if path else None
        self.lines = toml.Lines(text)
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def report(self, path: toml.Path, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.name, self.lines.find(path), toml.dotted(path), message, hint))

    def warn(self, path: toml.Path, message: str) -> None:
        self.warnings.append(str(Problem(self.name, self.lines.find(path), toml.dotted(path), message)))

    def load(self) -> JobFile:
        file = check(FileTable, self.document, (), self.report)
        defaults = _set(file.defaults, DefaultsTable())
        self.cap(("defaults",), defaults)
        tables: dict[str, JobTable] = _set(file.jobs, {})
        queues = {name: self.queue(name, table) for name, table in _set(file.queues, {}).items()}
        alerts = self.document.get("alerts", {})
        jobs = {}
        for name, table in tables.items():
            job = self.job(name, table, defaults, alerts if isinstance(alerts, dict) else {})
            if job is not None:
                jobs[name] = job
                queues.setdefault(job.queue, QueueSpec(name=job.queue))
        if file.alerts is not UNSET and file.alerts:
            self.warn(("alerts",), "alerts are not sent by this version")
        if not self.problems and not jobs:
            self.warn((), "declares no jobs")
        if self.problems:
            raise JobFileError(sorted(self.problems, key=lambda p: p.line))
        return JobFile(self.path, jobs, queues, tuple(self.warnings))

    def queue(self, name: str, table: QueueTable) -> QueueSpec:
        path = ("queues", name)
        if not QUEUE_NAME.fullmatch(name):
            hint = "use letters, digits and . _ : - only, at most 100 of them"
            self.report(path, f"{show(name)} can't name a queue", hint)
        if table.inbox_key is not UNSET and "inbox" not in self.document["queues"][name]:
            self.report((*path, "inbox_key"), "needs an inbox", 'add inbox = "list"')
        return QueueSpec(
            name=name,
            inbox=_set(table.inbox, None),
            inbox_key=str(_set(table.inbox_key, name)),
            concurrency=_set(table.concurrency, None),
            hot_max=_set(table.hot_max, HOT_MAX),
        )

    def job(self, name: str, table: JobTable, defaults: DefaultsTable, alerts: dict[str, Any]) -> JobSpec | None:
        """The job of one table; None, with the reasons reported, where it can't be one."""
        path = ("jobs", name)
        written: dict[str, Any] = self.document["jobs"][name]
        self.job_name(path, name)
        kind = self.action(path, table, written)
        timezone = _set(table.timezone, defaults.timezone, "UTC")
        if table.schedule is not UNSET:
            try:
                entered(table.schedule, timezone, datetime.now(UTC))
            except CronsoleError as error:
                self.report((*path, "schedule"), error.message, error.remedy)
        self.cap(path, table)
        self.alerts(path, table, alerts)
        self.no_effect(path, written)
        if self.problems or kind is None:
            return None
        env = {**_set(defaults.env, {}), **_set(table.env, {})}
        return JobSpec(
            name=name,
            kind=kind,
            description=_set(table.description, ""),
            schedule=str(table.schedule) if table.schedule is not UNSET else None,
            timezone=str(timezone),
            queue=str(_set(table.queue, defaults.queue, "default")),
            command=self.command(table),
            task=str(table.task) if table.task is not UNSET else None,
            python=self.python(_set(table.python, defaults.python, None)) if kind == "task" else None,
            http=self.http(table.http) if isinstance(table.http, HttpTable) else None,
            env=env,
            cwd=self.directory(_set(table.cwd, defaults.cwd, "")),
            timeout_s=_seconds(_set(table.timeout, defaults.timeout, None)),
            attempts=_set(table.attempts, defaults.attempts, 3),
            backoff=self.backoff(_set(table.backoff, defaults.backoff, BackoffTable())),
            overlap=_set(table.overlap, defaults.overlap, Overlap.SKIP),
            catchup=_set(table.catchup, defaults.catchup, Catchup.LATEST),
            catchup_window_s=float(_set(table.catchup_window, CATCHUP_WINDOW_S)),
            catchup_max=_set(table.catchup_max, CATCHUP_MAX),
            jitter_s=float(_set(table.jitter, 0.0)),
            overdue_after_s=_seconds(_set(table.overdue_after, None)),
            priority=_set(table.priority, defaults.priority, 1),
            payload=dict(_set(table.payload, {})),
            grace_s=float(_set(table.grace, GRACE_S)),
        )

    def job_name(self, path: toml.Path, name: str) -> None:
        if not name.strip() or any(category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in name):
            self.report(path, "a job's name needs visible characters, and no control characters")
        elif name != name.strip():
            self.report(path, "a job's name can't start or end with a space")
        elif len(name) > 100:
            self.report(path, f"a job's name has at most 100 characters, this one has {len(name)}")

    def action(self, path: toml.Path, table: JobTable, written: dict[str, Any]) -> JobKind | None:
        """What the job runs; exactly one of the four keys must be there."""
        there = [key for key in ACTIONS if key in written]
        if len(there) > 1:
            self.report((*path, there[1]), f"{' and '.join(there)} exclude each other", "keep one of them")
            return None
        if not there:
            if not misspellings(written, JobTable).intersection(ACTIONS):
                self.report(path, "has nothing to run", "add one of command, task, http or uses")
            return None
        if there == ["uses"]:
            if table.uses is not UNSET:
                known = suggestion(table.uses, READY_MADE) if READY_MADE else "this version has none yet, use command"
                self.report((*path, "uses"), f"no ready-made job {show(str(table.uses))}", known)
            return None
        if "with" in written:
            self.report((*path, "with"), "goes with `uses` only", "use payload or env")
        kinds: dict[str, JobKind] = {"command": "command", "task": "task", "http": "http"}
        return kinds[there[0]]

    def cap(self, path: toml.Path, table: DefaultsTable) -> None:
        backoff = table.backoff
        if isinstance(backoff, BackoffTable) and isinstance(backoff.cap, float) and backoff.cap < backoff.base:
            self.report((*path, "backoff"), "cap is shorter than base", "raise cap, or leave it out")

    def alerts(self, path: toml.Path, table: JobTable, alerts: dict[str, Any]) -> None:
        for name in _set(table.alert, []):
            if name not in alerts:
                close = nearest(name, alerts)
                hint = f"did you mean '{close[0]}'?" if close else f"add [alerts.{toml.dotted((name,))}]"
                self.report((*path, "alert"), f"no alert {show(name)}", hint)

    def no_effect(self, path: toml.Path, written: dict[str, Any]) -> None:
        if "schedule" not in written:
            for key in SCHEDULED_ONLY:
                if key in written:
                    self.warn((*path, key), "has no effect without a schedule")
        if "task" not in written and "python" in written:
            self.warn((*path, "python"), "has no effect without task")

    def directory(self, cwd: str) -> str | None:
        if self.base is None:
            return expand(cwd, ".") if cwd.startswith(("/", "~")) else None
        return expand(cwd, self.base)

    def python(self, python: str | None) -> str | None:
        """A bare name stays one, to be looked up in PATH; anything with a slash becomes absolute, links unresolved."""
        if python is None:
            return None
        separators = ("/", "\\") if sys.platform == "win32" else ("/",)
        if not any(s in python for s in separators):
            return str(python)
        return expand(python, self.base or ".")

    @staticmethod
    def command(table: JobTable) -> str | tuple[str, ...] | None:
        command: object = table.command
        if isinstance(command, ShellLine):
            return str(command)
        return tuple(command) if isinstance(command, tuple) else None

    @staticmethod
    def http(table: HttpTable) -> HttpSpec:
        expect = tuple(table.expect)
        return HttpSpec(
            url=str(table.url),
            method=str(table.method),
            expect=None if not expect else expect[0] if len(expect) == 1 else expect,
            headers=dict(table.headers),
            body=table.body,
        )

    @staticmethod
    def backoff(table: BackoffTable) -> Backoff:
        base = float(table.base)
        cap = _set(table.cap, max(BACKOFF_CAP_S, base))
        return Backoff(kind=table.kind, base_s=base, cap_s=float(cap), jitter=table.jitter)


def _seconds(value: float | None) -> float | None:
    return None if value is None else float(value)
