"""From what is known of a run to what its page shows. Pure functions; every foreign text goes through the gate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from backends.model import RunningRow, from_ms, run_id_ms, to_ms
from console.error_words import names_itself
from console.screens.details import field, json_lines
from console.screens.rows import duration, engine_name, outcome_cell, so_far
from widgets.safe import Cell, cell, cells, safe_lines
from widgets.table import Column
from widgets.waterfall import Mark, Span

if TYPE_CHECKING:
    from backends.history.attempts import Attempt
    from backends.ops.output import RunPage
    from backends.queues.where import RunPlace

COLUMNS = (
    Column("outcome", 11), Column("waited", 7, align="right", drop=1), Column("took", 7, align="right"),
    Column("cpu", 7, align="right", drop=2), Column("memory", 7, align="right", drop=3),
    Column("engine", 14, drop=4),
)  # fmt: skip
STATES = {
    "ready": ("○ ready", "accent"), "running": ("▶ running", "accent"), "later": ("◦ later", "plan"),
    "waiting": ("‖ waiting", "warn"), "dead": ("✗ dead letter", "bad"),
}  # fmt: skip
NAME = 40
"""Characters of a job's name in the facts, so that what follows it is seen."""
FRAME = re.compile(r'^\s*(File "|at |from |#\d|\.\.\.|Caused by|Traceback)')
"""Lines of an error that say where it came from: Python, Java, JavaScript, C# and Ruby write them so."""


def clock_ms(at: datetime | None, zone: tzinfo | None) -> str:
    """A time to the millisecond, with its day."""
    if at is None:
        return ""
    local = at.astimezone(zone)
    return local.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + local.strftime(" %Z")


def short(at_ms: int, zone: tzinfo | None, fine: bool) -> str:
    """A time of day; `fine`: with milliseconds."""
    local = from_ms(at_ms).astimezone(zone)
    return local.strftime("%H:%M:%S.%f")[:-3] if fine else local.strftime("%H:%M:%S")


def state_cell(page: RunPage) -> Cell:
    """What a run is at, in a word."""
    if page.place is not None:
        text, tone = STATES.get(page.place.state, (page.place.state, "warn"))
        return cell(text, tone)
    return outcome_cell(page.attempts[-1].outcome) if page.attempts else cell("?", "warn")


def head_lines(
    page: RunPage, zone: tzinfo | None, replay: str | None = None, replay_key: str = "", original_key: str = ""
) -> tuple[Cell, Cell]:
    """What a run is: two lines. `replay`: the run that replays it; the keys open that one and the one it replays."""
    last, place = (page.attempts[-1] if page.attempts else None), page.place
    job = place.job if place and place.job else last.job if last else ""
    queue = place.queue if place else last.queue if last else ""
    trigger = (last.trigger if last else None) or (place.trigger if place else "")
    by = (last.operator if last else None) or (place.by if place else "")
    planned = planned_ms(page)
    first = [
        cells(" ", state_cell(page)),
        cell(job if len(job) <= NAME else f"{job[: NAME - 1]}…", "strong"),
        cells(cell("queue ", "dim"), cell(queue)),
    ]
    if trigger:
        first.append(cells(cell("by ", "dim"), cell(trigger), cell(f", {by}" if by else "", "dim")))
    if planned is not None:
        first.append(cells(cell("planned ", "dim"), cell(short(planned, zone, False))))
    second = [cells(cell(" run ", "dim"), cell(page.run_id)), cell(waits_words(page.place, zone), "warn")]
    if last and last.replay_of:
        second.append(link("replay of", last.replay_of, original_key))
    if replay:
        second.append(link("replayed as", replay, replay_key))
    if page.missing:
        second.insert(0, cell(f" ✗ {page.missing}", "warn"))
    return joined(first), joined(second)


def link(words: str, run_id: str, key: str) -> Cell:
    """Another run, and the key that opens it."""
    return cells(
        cell(f"{words} ", "dim"), cell(f"…{run_id[-12:]}", "accent"), cell(f"  {key}", "key"), cell(" opens it", "dim")
    )


def joined(parts: list[Cell]) -> Cell:
    """Cells with room between them; empty ones are left out."""
    out: list[Cell | str] = []
    for part in parts:
        if any(text for text, _ in part):
            out += ["   ", part] if out else [part]
    return cells(*out)


def waits_words(place: RunPlace | None, zone: tzinfo | None) -> str:
    """What a run waits for."""
    if place is None:
        return ""
    if place.state == "later" and place.due_ms is not None:
        return f"due at {short(place.due_ms, zone, False)}"
    if place.state == "waiting":
        kind, _, name = place.waits_for.partition(":")
        if place.waits_for.startswith("pause/"):
            return f"{place.waits_for[6:]} is paused"
        return f"waits for another run of {name}" if kind == "job" else f"waits for {place.waits_for}"
    return "no engine has taken it yet" if place.state == "ready" else ""


def planned_ms(page: RunPage) -> int | None:
    """The planned instant of a run that has one."""
    for attempt in page.attempts:
        if attempt.scheduled_for:
            return to_ms(attempt.scheduled_for)
    try:
        return (
            to_ms(datetime.fromisoformat(page.place.scheduled_for)) if page.place and page.place.scheduled_for else None
        )
    except (ValueError, OverflowError):
        return None


def queued_ms(page: RunPage) -> int | None:
    """When a run entered its queue."""
    for attempt in page.attempts:
        if attempt.enqueued_at:
            return to_ms(attempt.enqueued_at)
    try:
        return run_id_ms(page.run_id) if planned_ms(page) is None else None
    except ValueError:
        return None


def spans(page: RunPage, running: RunningRow | None, now_ms: int) -> list[Span]:
    """A line an attempt, and one for what is not finished."""
    out: list[Span] = []
    waits = queued_ms(page)
    for attempt in page.attempts:
        starts = to_ms(attempt.started_at) if attempt.started_at else None
        ends = to_ms(attempt.finished_at)
        waited = starts - waits if starts is not None and waits is not None else None
        out.append(
            Span(
                str(attempt.attempt), str(attempt.attempt), waits, starts, ends, attempt.outcome,
                (
                    outcome_cell(attempt.outcome), cell(duration(waited) if waited and waited > 0 else "", "dim"),
                    cell(duration(attempt.duration_ms)),
                    cell("" if attempt.cpu_ms is None else duration(attempt.cpu_ms), "dim"),
                    cell(memory(attempt.max_rss_kb), "dim"), cell(engine_name(attempt.worker or ""), "faint"),
                ),
            )
        )  # fmt: skip
        waits = ends
    place = page.place
    if place is None or place.state == "dead":
        return out
    number = str(place.attempt or (page.attempts[-1].attempt + 1 if page.attempts else 1))
    if number in [span.key for span in out]:
        return out
    text, tone = STATES.get(place.state, (place.state, "warn"))
    starts = running.started_ms if running else None
    if place.state == "ready" and place.since_ms is not None and waits is None:
        waits = place.since_ms
    waited = (starts if starts is not None else now_ms) - waits if waits is not None else 0
    beside = (
        cell(text, tone), cell(so_far(waited) if waited >= 1000 else "", "dim"),
        cell(so_far(now_ms - starts) if starts is not None else "", "accent"), cell(""), cell(""),
        cell(engine_name(place.engine), "faint"),
    )  # fmt: skip
    outcome = "running" if place.state == "running" else ""
    out.append(Span(number, number, waits, starts, None, outcome, beside))
    return out


def marks(page: RunPage, lines: list[Span], now_ms: int, zone: tzinfo | None) -> list[Mark]:
    """The instants that are named: the first, the last, when the first attempt began."""
    times = [ms for s in lines for ms in (s.waits_ms, s.starts_ms, s.ends_ms) if ms is not None]
    planned = planned_ms(page)
    times += [planned] if planned is not None else []
    if not times:
        return []
    open_end = any(s.ends_ms is None for s in lines)
    first, last = min(times), now_ms if open_end else max(times)
    fine = last - first < 10_000
    started = next((s.starts_ms for s in lines if s.starts_ms is not None), None)
    named = [Mark(first, short(first, zone, fine)), Mark(last, "now" if open_end else short(last, zone, fine))]
    return named + ([Mark(started, short(started, zone, fine))] if started is not None else [])


def memory(kb: int | None) -> str:
    """Resident memory at its most."""
    if kb is None:
        return ""
    return f"{kb / 1024:.0f} MB" if kb < 10_000_000 else f"{kb / 1_048_576:.1f} GB"


def attempt_lines(run_id: str, attempt: Attempt, zone: tzinfo | None) -> list[Cell]:
    """Everything about an attempt but its output."""
    out = [*error_lines(attempt.error_class or "", attempt.error or "")]
    if out:
        out.append(())
    facts: list[tuple[str, str]] = [
        ("planned", clock_ms(attempt.scheduled_for, zone)), ("queued", clock_ms(attempt.enqueued_at, zone)),
        ("started", clock_ms(attempt.started_at, zone)), ("finished", clock_ms(attempt.finished_at, zone)),
        ("took", duration(attempt.duration_ms)),
        ("exit code", "" if attempt.exit_code is None else str(attempt.exit_code)),
        ("cpu", "" if attempt.cpu_ms is None else duration(attempt.cpu_ms)), ("memory", memory(attempt.max_rss_kb)),
        ("engine", attempt.worker or ""), ("trigger", attempt.trigger or ""), ("by", attempt.operator or ""),
        ("producer's id", (attempt.producer_id or "") if attempt.producer_id != run_id else ""),
        ("replay of", attempt.replay_of or ""),
        ("error group", attempt.fingerprint or ""),
        ("orphan", "the queue was flushed while it ran" if attempt.orphan else ""),
    ]  # fmt: skip
    out += [field(label, value) for label, value in facts if value]
    if attempt.result:
        out += [(), cell("Result", "key"), *json_lines(attempt.result)]
    return out


def place_lines(
    page: RunPage | None, running: RunningRow | None, zone: tzinfo | None, reasons: Sequence[str] = ()
) -> list[Cell]:
    """What is known of an attempt that has not ended; `reasons`: why it does not run, the first is what holds it."""
    place = page.place if page else None
    if page is None or place is None:
        return []
    planned, queued = planned_ms(page), queued_ms(page) if place.since_ms is None else place.since_ms
    facts = [
        ("planned", clock_ms(from_ms(planned), zone) if planned is not None else ""),
        ("queued", clock_ms(from_ms(queued), zone) if queued is not None else ""),
        ("started", clock_ms(from_ms(running.started_ms), zone) if running else ""),
        ("due", clock_ms(from_ms(place.due_ms), zone) if place.due_ms else ""),
        ("waits for", waits_words(place, zone) if place.state == "waiting" else ""),
        ("engine", place.engine), ("trigger", place.trigger), ("by", place.by),
    ]  # fmt: skip
    lines = [field(label, value) for label, value in facts if value]
    if reasons:
        first = cells(cell("✗ ", "warn"), cell(reasons[0], "warn"))
        lines = [cell("Why it does not run", "key"), first, *[cell(f"  {r}") for r in reasons[1:]], (), *lines]
    return lines


def error_lines(error_class: str, error: str) -> list[Cell]:
    """An error; the lines that say where it came from are set off."""
    if not error and not error_class:
        return []
    out = [cell(error_class, "bad")] if not names_itself(error, error_class) else []
    return out + framed_lines(error, "bad")


def framed_lines(text: str, tone: str = "") -> list[Cell]:
    """A text in lines; in a traceback the places are set off from the rest, and the error at its end is loud."""
    out: list[Cell] = []
    inside = False
    for line in safe_lines(text):
        indented = line.startswith((" ", "\t"))
        if FRAME.match(line):
            inside = True
            out.append(cell(line, "plan"))
        elif inside and indented:
            out.append(cell(line, "dim"))
        else:
            out.append(cell(line, "bad" if inside else tone))
            inside = False
    return out
