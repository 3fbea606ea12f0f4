"""The text of detail dialogs: everything known about a job or a queue; JSON as lines."""

from __future__ import annotations

import json
import re
from datetime import datetime, tzinfo

from backends.model import JobStatus, LastRun, QueueStatus, from_ms
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


def _time(at: datetime | None, zone: tzinfo | None) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + at.astimezone(zone).strftime(" %Z") if at else ""


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
