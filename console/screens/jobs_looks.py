"""How jobs look. Pure functions; every foreign text goes through the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from itertools import groupby

from backends.history.stats import STRIP, JobFire, JobStats
from backends.jobs.spec import JobSpec
from backends.model import JobStatus, LastRun, RunRow, from_ms, to_ms
from backends.schedule import Schedule
from backends.schedule.hints import Hint
from backends.schedule.preview import NextFire
from backends.schedule.words import describe
from console.screens.queues_looks import pause_words
from console.screens.rows import FINE, GLYPHS, age, duration, engine_name, moment, outcome_cell, soon
from widgets.safe import Cell, cell, cells
from widgets.table import Column, Row

JOB_COLUMNS = (
    Column("job", 20, flex=3), Column("schedule", 14, flex=2, drop=5), Column("next", 8, align="right"),
    Column("last", 6, align="right", drop=2), Column("newest 20", 20, align="right"),
    Column("ok", 4, align="right"), Column("p50", 7, align="right", drop=1), Column("p95", 7, align="right", drop=3),
    Column("queue", 9, flex=1, drop=6), Column("what for", 12, flex=4, drop=7),
)  # fmt: skip
JOB_RUN_COLUMNS = (
    Column("ended", 8), Column("outcome", 11), Column("try", 3, align="right"), Column("took", 7, align="right"),
    Column("why", 8, drop=1), Column("engine", 14, drop=3), Column("error", 10, flex=5, drop=2),
)  # fmt: skip
FIRE_COLUMNS = (Column("planned", 12), Column("result", 9), Column("reason", 14, flex=4))
RESULTS = {"fired": ("✓", "ok"), "skipped": ("»", "warn"), "missed": ("◌", "bad")}


def strip(outcomes: Sequence[str]) -> Cell:
    """Outcomes as glyphs, oldest first, the newest on the right."""
    looks = [GLYPHS.get(outcome, ("?", "warn")) for outcome in outcomes[-STRIP:]]
    return cells(*[cell("".join(glyph for glyph, _ in same), tone) for tone, same in groupby(looks, lambda at: at[1])])


def success_cell(stats: JobStats | None) -> Cell:
    """The part that succeeded, in percent; 100 only where all did."""
    if stats is None or stats.success is None:
        return cell("·", "faint")
    part = min(stats.success * 100, 99.0 if stats.success < 1 else 100.0)
    return cell(f"{part:.0f}%", "ok" if part == 100 else "warn" if part >= 80 else "bad")


def next_cell(job: JobStatus, now_ms: int, zone: tzinfo | None) -> Cell:
    """When it fires next."""
    if job.held:
        return cell("paused" if job.paused else "queue ‖", "warn")
    return cell(
        soon(job.next_fire, now_ms, zone) or ("–" if job.schedule else "on call"), "plan" if job.next_fire else "faint"
    )


def job_row(
    job: JobStatus, last: LastRun | None, stats: JobStats | None, running: bool, now_ms: int, zone: tzinfo | None
) -> Row:
    """A job in one line."""
    running = running and not job.paused
    glyph, tone = ("▶", "accent") if running else ("‖", "warn") if job.held else ("·", "faint")
    if not job.held and not running and last is not None:
        glyph, tone = GLYPHS.get(last.outcome, ("?", "warn"))
    name = cells(cell(f"{glyph} ", tone), cell(job.name, "warn" if job.held else "strong"))
    ago = age(now_ms - to_ms(last.started_at)) if last and last.started_at else ""
    return Row(
        job.name,
        (
            name, cell(job.schedule or "on call", "dim" if job.schedule else "faint"), next_cell(job, now_ms, zone),
            cell(ago, "dim"), strip(stats.outcomes) if stats else cell("·", "faint"), success_cell(stats),
            cell(duration(stats.p50_ms) if stats else ""), cell(duration(stats.p95_ms) if stats else "", "dim"),
            cell(job.queue, "dim"), cell(job.description, "dim"),
        ),
    )  # fmt: skip


def job_state(job: JobStatus, last: LastRun | None, running: bool, now_ms: int, zone: tzinfo | None) -> Cell:
    """How it is, in one line."""
    if job.paused:
        return pause_words(job.paused, now_ms, zone)
    if job.queue_paused:
        runs = cell("▶ runs now   " if running else "", "accent")
        return cells(runs, pause_words(job.queue_paused, now_ms, zone, f"its queue {job.queue} is paused"))
    parts: list[Cell] = [cell("▶ runs now   ", "accent")] if running else []
    if last is not None:
        ago = f" {age(now_ms - to_ms(last.started_at))} ago" if last.started_at else ""
        parts += [cell("last ", "dim"), outcome_cell(last.outcome), cell(ago, "dim"), cell("   ")]
    else:
        parts += [cell("never ran   ", "dim")]
    if job.next_fire is not None:
        ahead = to_ms(job.next_fire) - now_ms
        parts += [cell("next ", "dim"), cell(soon(job.next_fire, now_ms, zone), "plan"),
                  cell(f" in {age(ahead)}" if ahead > 0 else " now", "dim")]  # fmt: skip
    return cells(*parts)


def stats_line(stats: JobStats | None, *, drawn: bool = False) -> Cell:
    """The numbers of its newest attempts, and of how many they are; `drawn`: with the strip before them."""
    if stats is None or not stats.attempts:
        return cell("no attempt is recorded", "dim")
    took = [cell("   p50 ", "dim"), cell(duration(stats.p50_ms)), cell("   p95 ", "dim"),
            cell(duration(stats.p95_ms))] if stats.p50_ms is not None else []  # fmt: skip
    return cells(
        *([strip(stats.outcomes), cell("   ")] if drawn else []), cell(f"newest {stats.judged}: ", "dim"),
        success_cell(stats), cell(" ok", "dim"), *took,
    )  # fmt: skip


def run_of_job(run: RunRow, when: str) -> Row:
    """A run on the page of its job."""
    wrong = run.outcome not in FINE
    error = run.error or ("" if run.exit_code in (None, 0) else f"exit {run.exit_code}")
    return Row(
        f"{run.run_id}/{run.attempt}",
        (
            cell(when, "dim"), outcome_cell(run.outcome), cell(run.attempt, "warn" if run.attempt > 1 else "dim"),
            cell(duration(run.duration_ms)), cell(run.trigger, "dim" if run.trigger == "schedule" else "plan"),
            cell(engine_name(run.worker or ""), "dim"), cell(error, "" if wrong else "dim"),
        ),
    )  # fmt: skip


def fire_row(fire: JobFire, now_ms: int, zone: tzinfo | None) -> Row:
    """A planned instant and what became of it."""
    glyph, tone = RESULTS.get(fire.result, ("?", "warn"))
    local = fire.planned_at.astimezone(zone)
    same_day = local.date() == from_ms(now_ms).astimezone(zone).date()
    when = local.strftime("%H:%M:%S" if same_day else "%d %b %H:%M")
    return Row(
        fire.planned_at.isoformat(),
        (cell(when, "dim"), cell(f"{glyph} {fire.result}", tone),
         cell(fire.reason or (f"run …{fire.run_id[-12:]}" if fire.run_id else ""), "" if fire.reason else "faint")),
    )  # fmt: skip


# --- the page of a job ------------------------------------------------------------------------------------


def schedule_lines(
    job: JobStatus, schedule: Schedule | None, hints: Sequence[Hint], fires: Sequence[NextFire], zone: tzinfo | None,
    *, brief: bool,
) -> list[Cell]:  # fmt: skip
    """When it fires: as it is written, in words, the next times, and what may surprise. `brief`: in few lines."""
    if job.schedule is None:
        return [cell("On call: it runs when a run of it is put into its queue, or by hand.", "dim")]
    written = cells(cell(job.schedule, "strong"), cell(f"  {job.timezone}", "dim"))
    words = cell(describe(schedule.fields)) if schedule else cell("")
    if brief:
        out = [cells(written, cell("   "), words)]
        if fires:
            out.append(
                cells(
                    cell("Next  ", "dim"), cell(" · ".join(f"{f.at.astimezone(zone):%a %H:%M}" for f in fires), "plan")
                )
            )
    else:
        out = [written, words]
        if fires:
            out += [(), cell("Next", "key"), *[fire_line(fire, job.timezone, zone) for fire in fires]]
    if hints:
        out += [*([] if brief else [(), cell("Good to know", "key")])]
        out += [cells(cell("! ", "warn"), cell(hint.message)) for hint in hints]
    return out


def fire_line(fire: NextFire, timezone: str, zone: tzinfo | None) -> Cell:
    """A fire to come; where the schedule's wall shows another time, that too."""
    here = fire.at.astimezone(zone)
    there = "" if here.utcoffset() == fire.local.utcoffset() else f"{fire.local:%H:%M} {timezone}"
    moved = fire.mark.text if fire.mark else ""
    told = [cell("  " + part, tone) for part, tone in ((there, "dim"), (moved, "warn")) if part]
    return cells(cell(f"  {here:%a %d %b %H:%M}", "plan"), *told)


def spec_lines(spec: JobSpec) -> list[Cell]:
    """What it is: what the job file says, where it says anything but the default."""
    what: object = spec.command or spec.task or (f"{spec.http.method} {spec.http.url}" if spec.http else "")
    if isinstance(what, tuple):
        what = " ".join(what)
    found: list[tuple[str, object]] = [(spec.kind, what), ("queue", spec.queue)]
    plain = JobSpec(name="", kind="command")
    seconds: Mapping[str, float | None] = {
        "timeout": spec.timeout_s, "jitter": spec.jitter_s or None, "overdue after": spec.overdue_after_s,
    }  # fmt: skip
    found += [("attempts", spec.attempts)]
    found += [(name, duration(value * 1000)) for name, value in seconds.items() if value is not None]
    if spec.schedule:
        found += [("overlap", spec.overlap.value), ("catch-up", spec.catchup.value)]
    found += [("priority", spec.priority)] if spec.priority != plain.priority else []
    found += [("python", spec.python)] if spec.python else []
    found += [("directory", spec.cwd)] if spec.cwd else []
    found += [("environment", ", ".join(sorted(spec.env)))] if spec.env else []
    return [cells(cell(name.ljust(14), "dim"), cell(value)) for name, value in found]


def about_lines(
    job: JobStatus, spec: JobSpec | None, when: Sequence[Cell], *, brief: bool, unread: str
) -> list[Cell]:  # fmt: skip
    """Everything that stands left of a job's lists, or above them (`brief`). `unread`: why `spec` is not known."""
    what = spec_lines(spec) if spec else [cell(unread or "it is not published any more", "dim")]
    told = [cell(job.description)] if job.description else []
    if brief:
        return [*told, *when, *what]
    return [
        *told, *([()] if told else []), cell("Schedule", "key"), *when, (), cell("What it does", "key"), *what,
    ]  # fmt: skip


def when_ended(run: RunRow, now_ms: int, zone: tzinfo | None) -> str:
    """The time a run ended."""
    return moment(run.finished_at or run.started_at, now_ms, zone)
