"""The text of detail dialogs: everything known about a dead letter, a run, a job or a queue."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from typing import Any

from backends.model import DeadLetter, JobStatus, LastRun, QueueStatus, from_ms
from console.screens.rows import age, duration, outcome_cell
from widgets.safe import Cell, SafeText, cell, cells, safe_lines

_KEY = re.compile(r'^(\s*)("(?:[^"\\]|\\.)*")(:.*)$')
_LABEL = 14


def field(label: str, value: object, tone: str = "") -> Cell:
    """``label  value`` on one line."""
    return cells(cell(label.ljust(_LABEL), "dim"), cell(value, tone))


def heading(text: str) -> Cell:
    """A heading line."""
    return cell(text, "key")


def json_lines(text: str) -> list[Cell]:
    """JSON, indented, with its keys set off; what is not JSON as it is."""
    try:
        pretty = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return [cell(line) for line in safe_lines(text)]
    out: list[Cell] = []
    for line in safe_lines(pretty):
        found = _KEY.match(line)
        if found:
            lead, key, rest = (SafeText(part) for part in found.groups())
            out.append(((lead, ""), (key, "accent"), (rest, "")))
        else:
            out.append(((line, ""),))
    return out


def envelope_lines(raw: bytes) -> list[Cell]:
    """The bytes that came in: as JSON where they are, else as text with broken UTF-8 shown as ``\\xNN``."""
    if not raw:
        return [cell("(empty)", "dim")]
    try:
        return json_lines(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8", "backslashreplace")
        return [cell(f"not UTF-8: {error.reason} at byte {error.start}", "warn"), *map(cell, safe_lines(text))]


def _time(at: datetime | None, zone: tzinfo | None) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + at.astimezone(zone).strftime(" %Z") if at else ""


def dead_lines(letter: DeadLetter, zone: tzinfo | None) -> list[Cell]:
    """A dead letter: what died, why, and the envelope."""
    return [
        field("job", letter.job, "strong"),
        field("queue", letter.queue),
        field("run", letter.id),
        field("died", _time(letter.failed_at, zone)),
        field("attempts", letter.attempts),
        field("error group", letter.group, "dim"),
        *([field("engine", letter.worker)] if letter.worker else []),
        (),
        heading(f"Error  {letter.error_class}"),
        *[cell(line, "bad") for line in safe_lines(letter.error)],
        (),
        heading(f"Envelope  {len(letter.envelope)} bytes"),
        *envelope_lines(letter.envelope),
    ]


_FIRST = ("run_id", "attempt", "job", "queue", "outcome", "trigger", "error_class", "error")
_NAMES = {"duration_ms": "took", "worker": "engine", "run_id": "run", "max_rss_kb": "memory kB", "cpu_ms": "CPU ms"}
_TALL = ("output", "result", "error")


def _value(key: str, value: object, zone: tzinfo | None) -> Cell:
    if key == "outcome":
        return outcome_cell(str(value))
    if isinstance(value, datetime):
        return cell(_time(value, zone))
    if key == "duration_ms" and isinstance(value, (int, float)):
        return cell(duration(value))
    if value is True:
        return cell("yes")
    return cell(value, "bad" if key in ("error", "error_class") else "")


def run_lines(attempts: Iterable[Mapping[str, Any]], zone: tzinfo | None) -> list[Cell]:
    """A run: each attempt with every field that has a value, the newest attempt first."""
    out: list[Cell] = []
    for attempt in sorted(attempts, key=lambda a: -int(a.get("attempt") or 0)):
        if out:
            out.append(())
        out.append(heading(f"Attempt {attempt.get('attempt', '?')}"))
        names = [name for name in _FIRST if name in attempt] + [name for name in attempt if name not in _FIRST]
        tall: list[tuple[str, object]] = []
        for name in names:
            value = attempt[name]
            if value is None or value is False or value == "":
                continue
            if name in _TALL and (len(str(value)) > 60 or "\n" in str(value)):
                tall.append((name, value))
                continue
            label = _NAMES.get(name, name.replace("_", " "))
            out.append(cells(cell(label.ljust(_LABEL), "dim"), _value(name, value, zone)))
        for name, value in tall:
            out += [(), heading(name.capitalize())]
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            out += json_lines(text) if name == "result" else [
                cell(line, "bad" if name == "error" else "") for line in safe_lines(text)
            ]  # fmt: skip
    return out or [cell("history has nothing on this run yet", "dim")]


def job_lines(job: JobStatus, last: LastRun | None, zone: tzinfo | None) -> list[Cell]:
    """A job: what it is, when it fires, how it went."""
    out = [
        field("job", job.name, "strong"),
        *([field("what for", job.description)] if job.description else []),
        field("kind", job.kind),
        field("queue", job.queue),
        field("schedule", f"{job.schedule}  ({job.timezone})" if job.schedule else "none: runs when it is called"),
        field("next fire", _time(job.next_fire, zone) or "–"),
    ]
    if job.usual_ms is not None:
        out.append(field("usually takes", duration(job.usual_ms)))
    if job.paused:
        out += [(), *pause_lines(job.paused.by, job.paused.note, job.paused.until_ms, zone)]
    newest = last or job.last_run
    if newest:
        out += [
            (),
            heading("Last run"),
            cells(cell("outcome".ljust(_LABEL), "dim"), outcome_cell(newest.outcome)),
            field("began", _time(newest.started_at, zone)),
            field("took", duration(newest.duration_ms)),
            field("run", newest.run_id),
        ]
    return out


def pause_lines(by: str, note: str, until_ms: int | None, zone: tzinfo | None) -> list[Cell]:
    """Who paused it and why."""
    until = _time(from_ms(until_ms), zone) if until_ms else "resumed by hand"
    return [heading("Paused"), field("by", by or "unknown"), field("note", note or "–"), field("until", until)]


def queue_lines(queue: QueueStatus, zone: tzinfo | None) -> list[Cell]:
    """A queue: every number it has."""
    oldest = age(queue.oldest_ready_seconds * 1000) if queue.oldest_ready_seconds is not None else "–"
    out = [
        field("queue", queue.name, "strong"), field("kind", queue.kind), (),
        field("ready", queue.ready), field("running", queue.running), field("later", queue.later),
        field("waiting", queue.waiting), field("inbox", queue.inbox), field("dead", queue.dead),
        field("oldest ready", oldest), field("engines", queue.workers),
        field("to history", f"{queue.outbox} finished attempts not stored yet"),
    ]  # fmt: skip
    if queue.paused:
        out += [(), *pause_lines(queue.paused.by, queue.paused.note, queue.paused.until_ms, zone)]
    return out
