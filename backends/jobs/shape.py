"""The shape of a job file as it is written: one struct a table. What each key means is in docs/reference/jobs.md.

Key by key, a value is decoded by msgspec into the declared type; the types below that are no builtins are made by
:data:`DECODERS`, which say in plain words why a value can't be one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from backends.errors import CronsoleError
from backends.jobs.spec import BackoffKind
from backends.jobs.words import DURATION_HINT, duration, kind_of, show
from backends.model import Catchup, Overlap
from backends.schedule import zone

QUEUE_NAME = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_TASK = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class HintedError(ValueError):
    """A value that can't be what its key needs, with the way out."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Seconds(float):
    """A duration that may be zero."""


class SomeSeconds(float):
    """A duration above zero."""


class Zone(str):
    """An IANA time zone."""


class Cron(str):
    """A cron expression."""


class QueueName(str):
    """A queue's name."""


class TaskPath(str):
    """A Python callable, ``pkg.mod:func``."""


class Url(str):
    """An http or https address."""


class Method(str):
    """An HTTP method, in capitals."""


class Expect(tuple[int, ...]):
    """The HTTP statuses that mean success."""


class CommandLine(tuple[str, ...]):
    """A command that is run as it is."""


class ShellLine(str):
    """A command for /bin/sh."""


class Command:
    """What `command` may be: becomes a ShellLine or a CommandLine."""


class Text(str):
    """Text that is not empty."""


class Env(dict[str, str]):
    """Environment variables."""


class Headers(dict[str, str]):
    """HTTP headers."""


class Json:
    """Anything that JSON can carry, unchanged."""


class Payload(dict[str, Any]):
    """A JSON object."""


class BackoffTable(Struct):
    kind: BackoffKind = BackoffKind.EXPONENTIAL
    base: Seconds = Seconds(10)
    cap: Seconds | UnsetType = UNSET
    jitter: bool = True


class HttpTable(Struct):
    url: Url
    method: Method = Method("GET")
    expect: Expect = Expect()
    headers: Headers = Headers()
    body: Json | None = None


class DefaultsTable(Struct):
    timezone: Zone | UnsetType = UNSET
    queue: QueueName | UnsetType = UNSET
    timeout: SomeSeconds | UnsetType = UNSET
    attempts: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET
    backoff: BackoffTable | UnsetType = UNSET
    overlap: Overlap | UnsetType = UNSET
    catchup: Catchup | UnsetType = UNSET
    env: Env | UnsetType = UNSET
    priority: Annotated[int, Meta(ge=0, le=2)] | UnsetType = UNSET
    python: Text | UnsetType = UNSET
    cwd: Text | UnsetType = UNSET


class JobTable(DefaultsTable):
    description: str | UnsetType = UNSET
    schedule: Cron | UnsetType = UNSET
    command: Command | UnsetType = UNSET
    task: TaskPath | UnsetType = UNSET
    http: HttpTable | UnsetType = UNSET
    uses: Text | UnsetType = UNSET
    with_: dict[str, Any] | UnsetType = msgspec.field(default=UNSET, name="with")
    payload: Payload | UnsetType = UNSET
    catchup_window: Seconds | UnsetType = UNSET
    catchup_max: Annotated[int, Meta(ge=1, le=1_000)] | UnsetType = UNSET
    jitter: Seconds | UnsetType = UNSET
    overdue_after: SomeSeconds | UnsetType = UNSET
    grace: Seconds | UnsetType = UNSET
    alert: list[str] | UnsetType = UNSET


class QueueTable(Struct):
    inbox: Literal["list"] | UnsetType = UNSET
    inbox_key: Text | UnsetType = UNSET
    concurrency: Annotated[int, Meta(ge=1, le=10_000)] | UnsetType = UNSET
    hot_max: Annotated[int, Meta(ge=0, le=100_000_000)] | UnsetType = UNSET


class AlertTable(Struct):
    url: Text


class FileTable(Struct):
    defaults: DefaultsTable | UnsetType = UNSET
    jobs: dict[str, JobTable] | UnsetType = UNSET
    queues: dict[str, QueueTable] | UnsetType = UNSET
    alerts: dict[str, AlertTable] | UnsetType = UNSET


def _need(value: object, kind: type, expected: str, hint: str = "") -> None:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise HintedError(f"expected {expected}, got {kind_of(value)}", hint)


def _text(value: object, hint: str = "") -> str:
    _need(value, str, "text", hint)
    text = str(value)
    if not text.strip():
        raise HintedError("is empty", hint)
    return text


def _seconds(value: object, least: type[float]) -> float:
    try:
        seconds = duration(value)
    except ValueError as error:
        raise HintedError(str(error), DURATION_HINT) from None
    if least is SomeSeconds and seconds == 0:
        raise HintedError("must be longer than 0", DURATION_HINT)
    return least(seconds)


def _zone(value: object) -> str:
    try:
        return zone(_text(value, "write an IANA name such as Europe/Berlin")).key
    except CronsoleError as error:
        raise HintedError(error.message, error.remedy) from None


def _queue(value: object) -> str:
    name = _text(value)
    if not QUEUE_NAME.fullmatch(name):
        raise HintedError(
            f"{show(name)} can't name a queue", "use letters, digits and . _ : - only, at most 100 of them"
        )
    return name


def _task(value: object) -> str:
    hint = 'write "package.module:function"'
    path = _text(value, hint)
    if not _TASK.fullmatch(path):
        if ":" not in path and _TASK.fullmatch(":".join(path.rsplit(".", 1))):
            hint = f"did you mean '{':'.join(path.rsplit('.', 1))}'?"
        raise HintedError(f"{show(path)} does not name a Python callable", hint)
    return path


def _url(value: object) -> str:
    hint = "write http://host/path or https://host/path"
    url = _text(value, hint)
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or any(c.isspace() or not c.isprintable() for c in url):
        raise HintedError(f"{show(url)} is not an http or https address", hint)
    return url


def _method(value: object) -> str:
    method = _text(value).upper()
    if method not in METHODS:
        raise HintedError(f"{show(value)} is not one of {', '.join(METHODS)}")
    return method


def _expect(value: object) -> tuple[int, ...]:
    statuses: list[Any] = value if isinstance(value, list) else [value]
    for status in statuses:
        if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
            raise HintedError(f"{show(status)} is not an HTTP status", "write one from 100 to 599, or a list of them")
    if not statuses:
        raise HintedError("is empty", "leave it out to accept any 2xx")
    return Expect(statuses)


def _command(value: object) -> str | tuple[str, ...]:
    hint = "write a string for /bin/sh, or a list of program and arguments"
    if isinstance(value, str):
        return ShellLine(_text(value, hint))
    _need(value, list, "text or a list of texts", hint)
    assert isinstance(value, list)
    for word in value:
        _need(word, str, "a list of texts", f'write it in quotes: "{word}"' if isinstance(word, int | float) else hint)
    if not value or not value[0].strip():
        raise HintedError("names no program", hint)
    return CommandLine(value)


def _strings(value: object, bad_name: re.Pattern[str], bad_value: re.Pattern[str]) -> dict[str, str]:
    _need(value, dict, "a table of texts", 'write { NAME = "value" }')
    assert isinstance(value, dict)
    for name, text in value.items():
        if not name or bad_name.search(name):
            raise HintedError(f"{show(name)} can't be a name here")
        if not isinstance(text, str):
            wanted = str(text).lower() if isinstance(text, bool) else text
            quoted = f'write it in quotes: {name} = "{wanted}"' if not isinstance(text, list | dict) else ""
            raise HintedError(f"{name} must be text, got {kind_of(text)}", quoted)
        if bad_value.search(text):
            raise HintedError(f"the value of {name} has a line break in it")
    return value


def _json(value: object) -> Any:
    try:
        if msgspec.json.decode(msgspec.json.encode(value)) == value:
            return value
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        pass
    raise HintedError("holds a value that JSON can't carry", "write dates as text; leave out nan, inf and huge numbers")


def _payload(value: object) -> dict[str, Any]:
    _need(value, dict, "a table", 'write { key = "value" }')
    payload: dict[str, Any] = _json(value)
    return payload


DECODERS: dict[Any, Callable[[Any], Any]] = {
    Seconds: lambda value: _seconds(value, Seconds),
    SomeSeconds: lambda value: _seconds(value, SomeSeconds),
    Text: lambda value: Text(_text(value)),
    Zone: lambda value: Zone(_zone(value)),
    Cron: lambda value: Cron(_text(value, 'write "minute hour day month weekday" or @daily')),
    QueueName: lambda value: QueueName(_queue(value)),
    TaskPath: lambda value: TaskPath(_task(value)),
    Url: lambda value: Url(_url(value)),
    Method: lambda value: Method(_method(value)),
    Expect: _expect,
    Command: _command,
    Env: lambda value: Env(_strings(value, re.compile("="), re.compile(r"(?!)"))),
    Headers: lambda value: Headers(_strings(value, re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]"), re.compile(r"[\r\n]"))),
    Json: _json,
    Payload: lambda value: Payload(_payload(value)),
}
"""What makes the types above out of a TOML value. Each raises HintedError."""


def expand(path: str, base: os.PathLike[str] | str) -> str:
    """An absolute path: ``~`` is the home directory, a relative path starts at `base`."""
    return os.path.normpath(os.path.join(base, os.path.expanduser(path)))
