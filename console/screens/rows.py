"""From the nouns of the backend to what the widgets draw. Pure functions; every foreign text goes through the gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from itertools import groupby
from typing import TYPE_CHECKING

from backends.model import DeadLetter, EngineStatus, JobStatus, LastRun, QueueStatus, RunRow, to_ms
from console.records import Record, record
from widgets.safe import Cell, cell, cells
from widgets.sparkline import LEVELS, sparkline
from widgets.table import Column, Row
from widgets.timeline import Count, Lane
from widgets.timeline_geometry import ENDS, Bar

if TYPE_CHECKING:
    from backends.schedule import Schedule

QUEUE_COLUMNS = (
    Column("queue", 8, flex=3), Column("ready", 6, align="right"), Column("run", 4, align="right"),
    Column("later", 5, align="right", drop=1), Column("dead", 4, align="right"),
    Column("oldest", 6, align="right", drop=3), Column("depth", 6, flex=2, align="tail", drop=2),
)  # fmt: skip
DEAD_COLUMNS = (
    Column("age", 4, align="right"), Column("job", 12, flex=1), Column("queue", 10, drop=3),
    Column("try", 3, align="right", drop=2), Column("error", 12, flex=6),
)  # fmt: skip
RUN_COLUMNS = (
    Column("ended", 8), Column("outcome", 11), Column("job", 12, flex=2), Column("queue", 10, drop=3),
    Column("try", 3, align="right"), Column("took", 7, align="right"), Column("why", 8, drop=2),
    Column("engine", 14, drop=4), Column("error", 12, flex=7, drop=1),
)  # fmt: skip
HISTORY_COLUMNS = (Column("due", 8), *RUN_COLUMNS[1:])
"""Where runs stand in the order of their ids: by the planned instant, or when they were enqueued."""
FINE = ("succeeded", "skipped", "running")
WORDS = {"timed_out": "timed out"}
GLYPHS = {"succeeded": ("✓", "ok"), **{name: (end[0], end[1]) for name, end in ENDS.items() if name != "succeeded"}}
SPARK = 60


def outcome_cell(outcome: str, words: bool = True) -> Cell:
    """Glyph and word of an outcome."""
    glyph, tone = GLYPHS.get(outcome, ("?", "warn"))
    if not words:
        return cell(glyph, tone)
    return cell(f"{glyph} {WORDS.get(outcome, outcome)}", tone)


def duration(ms: float | None) -> str:
    """A length of time in at most seven columns."""
    if ms is None:
        return ""
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(int(ms / 1000), 60)
    if minutes < 60:
        return f"{minutes}m {seconds:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours < 48 else f"{hours // 24}d {hours % 24}h"


def so_far(ms: float) -> str:
    """How long something runs already: whole seconds, so that it changes once a second."""
    seconds = max(0, int(ms / 1000))
    return f"{seconds} s" if seconds < 60 else duration(seconds * 1000)


def age(ms: float) -> str:
    """How long ago, coarse."""
    seconds = max(0, int(ms / 1000))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def count(number: int) -> str:
    """A number in at most six columns."""
    if abs(number) < 100_000:
        return str(number)
    return f"{number / 1000:.0f}k" if abs(number) < 10_000_000 else f"{number / 1_000_000:.0f}M"


def number(value: int, tone: str = "") -> Cell:
    """A number; zero is faint."""
    return cell(count(value), tone if value else "faint")


def moment(at: datetime | None, now_ms: int, zone: tzinfo | None) -> str:
    """A time of day, or the day when it is not within 20 hours of now."""
    if at is None:
        return ""
    local = at.astimezone(zone)
    return local.strftime("%H:%M:%S" if abs(to_ms(at) - now_ms) < 72_000_000 else "%d %b")


def soon(at: datetime | None, now_ms: int, zone: tzinfo | None) -> str:
    """When something fires next: seconds only when it is near."""
    if at is None:
        return ""
    ahead = to_ms(at) - now_ms
    return at.astimezone(zone).strftime("%H:%M:%S" if ahead < 3_600_000 else "%H:%M" if ahead < 72_000_000 else "%d %b")


def depth_cell(depths: tuple[int, ...]) -> Cell:
    """A sparkline whose zeros are faint. Less than eight waiting never looks like a mountain."""
    drawn = sparkline(depths, SPARK, least_peak=8).lstrip()
    parts = [cell("".join(group), "faint" if low else "accent") for low, group in groupby(drawn, LEVELS[0].__eq__)]
    return cells(*parts)


def engine_name(engine: str) -> str:
    """Host and pid: what a list tells of an engine's id, which ends in a random part."""
    host, _, rest = engine.partition(":")
    return f"{host}:{rest.partition(':')[0]}" if rest else engine


def queue_rows(queues: Iterable[QueueStatus], depths: Mapping[str, tuple[int, ...]]) -> tuple[Row, ...]:
    """The queues; what an inbox holds counts as ready."""
    rows = []
    for q in queues:
        name = cells(cell("‖ ", "warn"), cell(q.name, "warn")) if q.paused else cell(q.name, "strong")
        oldest = age(q.oldest_ready_seconds * 1000) if q.oldest_ready_seconds is not None and q.ready else ""
        rows.append(
            Row(
                q.name,
                (
                    name, number(q.ready + q.waiting + q.inbox), number(q.running, "accent"), number(q.later, "plan"),
                    number(q.dead, "bad"), cell(oldest, "dim"), depth_cell(depths.get(q.name, ())),
                ),
            )
        )  # fmt: skip
    return tuple(rows)


def dead_rows(dead: Iterable[DeadLetter], now_ms: int, states: Mapping[tuple[str, int], str]) -> tuple[Row, ...]:
    """The dead letters; `states`: by run and death, what became of those that were acted on."""
    return tuple(
        Row(
            d.id,
            (
                cell(age(now_ms - to_ms(d.failed_at)), "dim"), cell(d.job, "strong"), cell(d.queue, "dim"),
                cell(d.attempts, "dim"),
                cell(states[d.id, d.sequence], "accent") if (d.id, d.sequence) in states
                else cell(d.error or d.error_class),
            ),
        )
        for d in dead
    )  # fmt: skip


def run_rows(
    runs: Iterable[RunRow], engines: Iterable[EngineStatus], now_ms: int, zone: tzinfo | None
) -> tuple[Row, ...]:
    """Attempts in hand first, the newest on top, then those that ended, the last one first."""
    rows: dict[str, Row] = {}
    ended = sorted(runs, key=lambda r: r.finished_at.timestamp() if r.finished_at else 0.0, reverse=True)
    done = {(r.run_id, r.attempt) for r in ended}
    running = sorted(((r, e.id) for e in engines for r in e.running), key=lambda pair: -pair[0].started_ms)
    for r, engine in running:
        if (r.run_id, r.attempt) in done or now_ms - r.started_ms < 500:
            continue
        key = f"{r.run_id}/{r.attempt}"
        rows[key] = Row(
            key,
            (
                cell("now", "accent"), outcome_cell("running"), cell(r.job, "strong"), cell(r.queue, "dim"),
                cell(r.attempt, "dim"), cell(so_far(now_ms - r.started_ms), "accent"), cell(""),
                cell(engine_name(engine), "dim"), cell(""),
            ),
        )  # fmt: skip
    for run in ended:
        row = run_row(run, moment(run.finished_at or run.started_at, now_ms, zone))
        rows[row.key] = row
    return tuple(rows.values())


def running_records(engines: Iterable[EngineStatus], zone: tzinfo | None) -> dict[str, Record]:
    """What is in hand, by the key of its row, with the engine that has it."""
    return {
        f"{r.run_id}/{r.attempt}": {**record(r, zone), "outcome": "running", "worker": e.id}
        for e in engines for r in e.running
    }  # fmt: skip


def run_row(run: RunRow, when: str) -> Row:
    """An attempt that ended; `when` is what stands in its first column."""
    trouble = run.outcome not in ("succeeded", "skipped")
    error = run.error or ("" if run.exit_code in (None, 0) else f"exit {run.exit_code}")
    return Row(
        f"{run.run_id}/{run.attempt}",
        (
            cell(when, "dim"), outcome_cell(run.outcome),
            cell(run.job, "strong" if trouble else ""), cell(run.queue, "dim"),
            cell(run.attempt, "warn" if run.attempt > 1 else "dim"), cell(duration(run.duration_ms)),
            cell(run.trigger, "dim" if run.trigger in ("schedule", "enqueue") else "plan"),
            cell(engine_name(run.worker or ""), "dim"), cell(error, "" if trouble else "dim"),
        ),
    )  # fmt: skip


def trouble(job: JobStatus, last: LastRun | None) -> tuple[int, str]:
    """Sorts what needs a look to the top: what went wrong last, then what is paused."""
    wrong = last is not None and last.outcome not in FINE
    return (0 if wrong else 1 if job.held else 2, job.name)


def lanes(
    jobs: Iterable[JobStatus], last: Mapping[str, LastRun], running: frozenset[str], now_ms: int, zone: tzinfo | None
) -> tuple[Lane, ...]:
    """The jobs as they stand left of the time line."""
    out = []
    for job in jobs:
        newest = last.get(job.name) or job.last_run
        runs = job.name in running and not job.paused
        state = (
            outcome_cell("running", words=False) if runs else cell("‖", "warn") if job.held
            else outcome_cell(newest.outcome, words=False) if newest else cell("·", "faint")
        )  # fmt: skip
        soonest = soon(job.next_fire, now_ms, zone)
        note = cell(soonest, "dim") if soonest else cell("–" if job.schedule else "on call", "faint")
        if job.held:
            note = cell("paused" if job.paused else "queue ‖", "warn")
        out.append(Lane(job.name, cell(job.name, "warn" if job.held else ""), state, note))
    return tuple(out)


def bars(runs: Iterable[RunRow]) -> dict[str, tuple[Bar, ...]]:
    """Finished attempts as bars, by job."""
    found: dict[str, list[Bar]] = {}
    for run in runs:
        end = run.finished_at or run.started_at or run.scheduled_for
        if end is not None:
            start = run.started_at or end
            found.setdefault(run.job, []).append(Bar(to_ms(start), to_ms(end), run.outcome))
    return {job: tuple(items) for job, items in found.items()}


def counter(schedules: Mapping[str, Schedule]) -> Count:
    """Counts the fires of some of the jobs."""
    from backends.schedule import counts  # not needed before there is data, nor for the first frame

    def count(jobs: Sequence[str], edges: Sequence[int]) -> Mapping[str, Sequence[int]]:
        return counts({job: schedules[job] for job in jobs if job in schedules}, edges).jobs

    return count


def running_bars(engines: Iterable[EngineStatus]) -> dict[str, tuple[Bar, ...]]:
    """Attempts in hand, by job."""
    found: dict[str, list[Bar]] = {}
    for engine in engines:
        for run in engine.running:
            found.setdefault(run.job, []).append(Bar(run.started_ms, run.started_ms, "running"))
    return {job: tuple(sorted(items, key=lambda bar: bar.start_ms)) for job, items in found.items()}
