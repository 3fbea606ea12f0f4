"""What the timeline shows of what it knows: the order of the jobs, bars, clock changes, a moment in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from backends.history.timeline import PastFire
from backends.model import JobStatus, LastRun, RunRow, from_ms, to_ms
from backends.ops.timeline import TimelinePast
from backends.schedule import Schedule, fires_between
from backends.schedule.dst import ClockChange, clock_changes
from backends.schedule.errors import ScheduleError
from console.screens import rows as look
from console.screens.details import field
from widgets.safe import Cell, cell, cells
from widgets.table import Column, Row
from widgets.timeline_geometry import ENDS, Bar, Window
from widgets.timeline_wide import Past

DAY = 86_400_000
SORTS = ("name", "next fire", "trouble")
"""What the rows can be ordered by; `s` goes through them."""
TOGETHER_COLUMNS = (
    Column("fires", 8), Column("job", 12, flex=3), Column("times", 5, align="right"),
    Column("queue", 10, flex=1, drop=2), Column("usually", 8, align="right", drop=1),
)  # fmt: skip
MOST_ROWS = 500


def ordered(jobs: Sequence[JobStatus], by: str, last: Mapping[str, LastRun]) -> list[JobStatus]:
    """The jobs by name, by their next fire, or what went wrong first."""
    if by == "next fire":
        return sorted(jobs, key=lambda j: (j.next_fire is None or bool(j.held), j.next_fire or _FAR, j.name))
    if by == "trouble":
        return sorted(jobs, key=lambda j: (-_trouble(j, last.get(j.name) or j.last_run), j.name))
    return sorted(jobs, key=lambda j: j.name)


_FAR = datetime.max.replace(tzinfo=UTC)


def _trouble(job: JobStatus, last: LastRun | None) -> int:
    rank = ENDS.get(last.outcome, ENDS["failed"])[2] if last else 0
    return max(rank, 3 if job.held else 0)


def past_of(past: TimelinePast) -> Past:
    """What the plot draws."""
    found: dict[str, list[Bar]] = {job: list(bars) for job, bars in look.bars(past.runs).items()}
    for tally in past.tallies:
        bar = Bar(int(tally.end_ms - tally.took_ms), tally.end_ms, tally.outcome)
        found.setdefault(tally.job, []).append(bar)
    for fire in past.lost:
        found.setdefault(fire.job, []).append(Bar(fire.planned_ms, fire.planned_ms, fire.result))
    return Past({job: tuple(bars) for job, bars in found.items()}, past.silent, past.usual_ms)


@lru_cache(200)
def _changes(zone: str, year: int) -> tuple[ClockChange, ...]:
    """Those of a year and of the begin of the next."""
    try:
        found = clock_changes(zone, datetime(year, 1, 1, tzinfo=UTC) - timedelta(days=1), 12)
    except ScheduleError:
        return ()
    return tuple(change for change in found if change.at.year <= year + 1)


def changes_in(zone: str, start_ms: int, end_ms: int) -> tuple[ClockChange, ...]:
    """The clock changes of a zone in a stretch of time."""
    found = _changes(zone, from_ms(start_ms).year)
    return tuple(change for change in found if start_ms <= to_ms(change.at) < end_ms)


def jump_words(change: ClockChange) -> str:
    """How far the clock goes: +1h, -1h, +30m."""
    minutes = int(change.jump.total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    return ("+" if minutes > 0 else "-") + (f"{hours}h" if hours else "") + (f"{rest}m" if rest else "")


def clock(at_ms: int, zone: tzinfo | None, fine: bool = False) -> str:
    """A time of day."""
    return from_ms(at_ms).astimezone(zone).strftime("%H:%M:%S" if fine else "%H:%M")


def stretch(start_ms: int, end_ms: int, zone: tzinfo | None) -> str:
    """A column in words: its day, from when, to when."""
    start, end = (from_ms(at).astimezone(zone) for at in (start_ms, end_ms))
    form = "%H:%M:%S" if (end_ms - start_ms) % 60_000 else "%H:%M"
    if end_ms - start_ms >= DAY:
        return f"{start:%a %-d %b} {start:%H:%M} to {end:%a %-d %b} {end:%H:%M}"
    return f"{start:%a %-d %b} {start.strftime(form)}–{end.strftime(form)}"


def moment_cell(
    job: str,
    view: Window,
    column: int,
    past: TimelinePast | None,
    fires: Sequence[int],
    now_ms: int,
    zone: tzinfo | None,
) -> Cell:
    """The column under the cursor on the row of a job. `fires`: its planned instants there."""
    start, end = view.start_ms + column * view.step_ms, view.start_ms + (column + 1) * view.step_ms
    parts: list[Cell] = []
    if past is not None:
        ended = [(r.outcome, 1) for r in past.runs if r.job == job and _ends_in(r, start, end)]
        ended += [(t.outcome, t.n) for t in past.tallies if t.job == job and start <= t.end_ms < end]
        numbers: Counter[str] = Counter()
        for outcome, n in ended:
            numbers[outcome] += n
        for outcome, n in numbers.items():
            parts.append(cells(look.outcome_cell(outcome), cell(f" ×{n}" if n > 1 else "", "dim")))
        if (
            ended
            and len(ended) == 1
            and (one := next((r for r in past.runs if _ends_in(r, start, end) and r.job == job), None))
        ):
            parts.append(cell(look.duration(one.duration_ms), "dim"))
        lost = [f for f in past.lost if f.job == job and start <= f.planned_ms < end]
        for result in dict.fromkeys(f.result for f in lost):
            those = [f for f in lost if f.result == result]
            times = f" ×{len(those)}" if len(those) > 1 else f" {clock(those[0].planned_ms, zone)}"
            parts.append(cells(look.outcome_cell(result), cell(times, "dim"), cell(f" {those[0].reason[:60]}", "dim")))
        for begin, stop in past.silent:
            if begin < end and stop >= start:
                parts.append(cell(f"no engine {clock(begin, zone)}–{clock(stop, zone)}", "warn"))
    if fires and end > now_ms:
        said = (
            f"fires {clock(fires[0], zone)}"
            if len(fires) == 1
            else f"fires ×{len(fires)}, first {clock(fires[0], zone)}"
        )
        parts.append(cell(said, "plan"))
        usual = past.usual_ms.get(job) if past else None
        if usual:
            parts.append(cell(f"usually {look.duration(usual)}", "dim"))
    said_parts = [cells(cell(" · ", "faint"), part) for part in parts]
    return cells(cell(" " + stretch(start, end, zone), "strong"), "  ", cell(job, "accent"), *said_parts)


def _ends_in(run: RunRow, start_ms: int, end_ms: int) -> bool:
    at = run.finished_at or run.started_at
    return at is not None and start_ms <= to_ms(at) < end_ms


def together_rows(
    schedules: Mapping[str, Schedule], jobs: Iterable[JobStatus], start_ms: int, end_ms: int,
    usual: Mapping[str, float], zone: tzinfo | None,
) -> tuple[list[Row], int]:  # fmt: skip
    """The jobs that fire in a stretch of time, the first to fire on top, at most MOST_ROWS; and how many they are."""
    found = fires_between(schedules, from_ms(start_ms), from_ms(end_ms))
    queues = {job.name: job.queue for job in jobs}
    firing = sorted((fires[0], job, len(fires)) for job, fires in found.items() if fires)
    rows = [
        Row(
            job,
            (
                cell(clock(at, zone), "plan"), cell(job, "strong"), cell(times if times > 1 else "", "dim"),
                cell(queues.get(job, ""), "dim"), cell(look.duration(usual.get(job)), "dim"),
            ),
        )
        for at, job, times in firing[:MOST_ROWS]
    ]  # fmt: skip
    return rows, len(firing)


def fired_rows(
    found: tuple[Sequence[tuple[str, int, int]], int], jobs: Iterable[JobStatus], zone: tzinfo | None
) -> tuple[list[Row], int]:
    """The same of the past: (job, its first fire, how many), and of how many jobs."""
    queues = {job.name: job.queue for job in jobs}
    return [
        Row(
            job,
            (
                cell(clock(at, zone), "dim"), cell(job, "strong"), cell(times if times > 1 else "", "dim"),
                cell(queues.get(job, ""), "dim"), cell(""),
            ),
        )
        for job, at, times in found[0]
    ], found[1]  # fmt: skip


def day_clock(at_ms: int, zone: tzinfo | None) -> str:
    """A day and a time."""
    return from_ms(at_ms).astimezone(zone).strftime("%a %-d %b %Y %H:%M %Z")


def fires_told(
    job: str, lost: Sequence[PastFire], coming: Sequence[int], usual_ms: float | None,
    busiest: Callable[[int, int], tuple[int, int]], zone: tzinfo | None,
) -> list[Cell]:  # fmt: skip
    """The fires of one column, each in some lines: those that came to nothing, those that are to come."""
    lines: list[Cell] = [field("job", job, "strong"), ()]
    for fire in lost[:50]:
        lines += [field("planned", day_clock(fire.planned_ms, zone)), field("became", fire.result, "warn")]
        lines += [field("why", fire.reason or "–"), ()]
    for at in coming[:50]:
        lines += fire_lines(at, usual_ms, zone)
        many = busiest(at, at + 60_000)[1]
        lines.append(field("together", f"{many} fires on this minute" if many > 1 else "no other fire on this minute"))
        lines.append(())
    return lines


def fire_lines(at_ms: int, usual_ms: float | None, zone: tzinfo | None) -> list[Cell]:
    """A fire to come."""
    lines = [field("fires", day_clock(at_ms, zone), "plan")]
    if usual_ms:
        until = day_clock(int(at_ms + usual_ms), zone)
        lines.append(field("usually takes", f"{look.duration(usual_ms)}, so until about {until}"))
    return lines
