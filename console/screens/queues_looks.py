"""How queues and what lies in them look. Pure functions; every foreign text goes through the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from itertools import groupby

from backends.forecast import STEPS, Forecast
from backends.model import EngineStatus, Pause, QueueStatus, from_ms
from backends.ops.queueing import QueueFlow
from backends.overview import Overview
from backends.queues.peek import QueuedRun
from console.screens.rows import age, count, duration, engine_name, moment, number, soon
from widgets.safe import Cell, cell, cells
from widgets.sparkline import LEVELS, sparkline
from widgets.table import Column, Row

QUEUE_COLUMNS = (
    Column("queue", 12, flex=3), Column("ready", 6, align="right"), Column("run", 4, align="right"),
    Column("later", 5, align="right"), Column("wait", 4, align="right", drop=3),
    Column("inbox", 5, align="right", drop=5), Column("dead", 4, align="right"),
    Column("oldest", 6, align="right", drop=1), Column("in/min", 6, align="right"),
    Column("out/min", 7, align="right"), Column("engines", 7, align="right", drop=4),
    Column("last hour", 9, flex=4, align="tail", drop=2),
)  # fmt: skip
QUEUED_COLUMNS = (
    Column("run", 13), Column("job", 12, flex=2), Column("try", 3, align="right", drop=1),
    Column("since", 8, align="right"), Column("why it is here", 20, flex=5), Column("payload", 24, flex=4, drop=2),
)  # fmt: skip
MOVE_COLUMNS = (Column("queue", 12, flex=2), Column("ready", 6, align="right"), Column("taken by", 14, flex=1))
FULL = "its engines are full"


def rate(per_min: float | None) -> str:
    """Runs a minute in at most six columns."""
    if per_min is None:
        return "·"
    if per_min and per_min < 10:
        return f"{per_min:.1f}"
    return count(round(per_min))


def spark(minutes: Sequence[int], width: int) -> Cell:
    """The whole hour as a sparkline of at most `width` columns, each of as many minutes; its zeros are faint."""
    each = next((n for n in (1, 2, 3, 4, 5, 6, 10) if len(minutes) <= n * width), 12)
    parts = [sum(minutes[n : n + each]) for n in range(0, len(minutes), each)]
    drawn = sparkline(parts, len(parts), least_peak=4)
    return cells(*[cell("".join(g), "faint" if low else "accent") for low, g in groupby(drawn, LEVELS[0].__eq__)])


def takers(name: str, engines: Sequence[EngineStatus]) -> list[EngineStatus]:
    """The engines that take from a queue, as far as is known."""
    return [e for e in engines if name in e.queues and not e.silent_ms]


def stuck(queue: QueueStatus, engines: Sequence[EngineStatus]) -> str:
    """Why nothing of the queue is taken, in words; '' where something is."""
    taking = takers(queue.name, engines)
    if queue.paused:
        return "paused"
    if not taking:
        return "its engine is silent" if any(queue.name in e.queues for e in engines) else "no engine takes it"
    return "its engines end" if all(e.draining for e in taking) else ""


def trouble(queue: QueueStatus, engines: Sequence[EngineStatus]) -> tuple[int, int, str]:
    """Sorts what needs a look to the top: stuck with work, then dead letters, then depth."""
    there = queue.ready + queue.inbox + queue.waiting
    held = bool(there) and bool(stuck(queue, engines))
    return (0 if held else 1 if queue.dead else 2, -there, queue.name)


def queue_row(queue: QueueStatus, flow: QueueFlow | None, engines: Sequence[EngineStatus], width: int) -> Row:
    """A queue in one line; `width`: of the column of the last hour."""
    why = stuck(queue, engines)
    name = cell(queue.name, "strong")
    if queue.paused:
        name = cells(cell("‖ ", "warn"), cell(queue.name, "warn"))
    elif why and queue.ready + queue.inbox:
        name = cells(cell("✗ ", "bad"), cell(queue.name, "warn"))
    oldest = age(queue.oldest_ready_seconds * 1000) if queue.oldest_ready_seconds is not None and queue.ready else ""
    taking = len(takers(queue.name, engines))
    return Row(
        queue.name,
        (
            name, number(queue.ready), number(queue.running, "accent"), number(queue.later, "plan"),
            number(queue.waiting, "plan"), number(queue.inbox), number(queue.dead, "bad"), cell(oldest, "dim"),
            rate_cell(flow.in_per_min if flow else None), rate_cell(flow.out_per_min if flow else None),
            cell(taking, "dim") if taking else cell("none", "warn" if queue.ready + queue.inbox else "faint"),
            spark(flow.ended, width) if flow and flow.ended else cell("·", "faint"),
        ),
    )  # fmt: skip


def taken_cell(queue: QueueStatus, live: Overview) -> Cell:
    """Whether anybody takes from a queue, in a few words."""
    why, taking = stuck(queue, live.engines), len(takers(queue.name, live.engines))
    return cell(why, "warn") if why else cell(f"{taking} engine{'s' if taking > 1 else ''}", "dim")


def rate_cell(per_min: float | None) -> Cell:
    """A rate; none and nothing are faint."""
    return cell(rate(per_min), "" if per_min else "faint")


def pause_words(pause: Pause, now_ms: int, zone: tzinfo | None, what: str = "paused") -> Cell:
    """Who paused it, until when and why."""
    until = ""
    if pause.until_ms is not None:
        until = f" until {soon(from_ms(pause.until_ms), now_ms, zone)}"
    since = f" for {age(now_ms - pause.since_ms)}" if pause.since_ms else ""
    who = cells(cell(f"‖ {what}", "warn"), cell(f"{since} by ", "dim"), cell(pause.by or "somebody"))
    return cells(who, cell(until or " until it is resumed", "dim"), *([cell(f": {pause.note}")] if pause.note else []))


def state_line(queue: QueueStatus, engines: Sequence[EngineStatus], now_ms: int, zone: tzinfo | None) -> Cell:
    """Whether runs of the queue are taken, by whom, or why not."""
    if queue.paused:
        return pause_words(queue.paused, now_ms, zone)
    taking = takers(queue.name, engines)
    why = stuck(queue, engines)
    if why:
        return cells(cell(f"✗ {why}", "bad" if queue.ready + queue.inbox else "warn"))
    free, slots = sum(max(0, e.slots - e.busy) for e in taking), sum(e.slots for e in taking)
    named = ", ".join(engine_name(e.id) for e in taking[:3]) + (
        f" and {len(taking) - 3} more" if len(taking) > 3 else ""
    )
    room = cell(f"{free} of {slots} slots free", "" if free else "warn")
    return cells(cell("▶ ", "ok"), cell("taken by ", "dim"), cell(named), cell(", ", "dim"), room)


def numbers_line(queue: QueueStatus, flow: QueueFlow | None) -> Cell:
    """Rates, ages and times."""
    found = [("in", rate(flow.in_per_min) + "/min"), ("out", rate(flow.out_per_min) + "/min")] if flow else []
    if queue.oldest_ready_seconds is not None and queue.ready:
        found.append(("oldest", age(queue.oldest_ready_seconds * 1000)))
    if flow and flow.mean_ms is not None:
        found.append(("a run takes", duration(flow.mean_ms)))
    found += [("inbox", count(queue.inbox))] if queue.inbox else []
    found += [("dead letters", count(queue.dead))] if queue.dead else []
    found += [("to history", count(queue.outbox))] if queue.outbox else []
    out: list[Cell] = []
    for name, value in found:
        out += [cell(f"{name} ", "dim"), cell(value, "bad" if name == "dead letters" else ""), cell("   ")]
    return cells(*out)


def paused_by(what: str, pause: Pause) -> Cell:
    """The same for each of many runs: by whom and why."""
    why = cell(f": {pause.note}", "dim") if pause.note else ()
    return cells(cell(f"‖ {what} paused", "warn"), cell(" by ", "dim"), cell(pause.by or "somebody"), why)


# --- what lies in a queue ---------------------------------------------------------------------------------


def reason(run: QueuedRun, queue: QueueStatus, live: Overview, pauses: Mapping[str, Pause], now_ms: int) -> Cell:
    """Why a run is where it is."""
    if run.state == "running":
        heard = f", last heard of {age(run.seen_ms)} ago" if run.seen_ms is not None and run.seen_ms > 20_000 else ""
        return cells(cell("on ", "dim"), cell(run.engine, "" if not heard else "warn"), cell(heard, "warn"))
    if run.state == "later":
        left = (run.due_ms or now_ms) - now_ms
        again = ", tried again" if run.attempt > 1 else ""
        return cells(cell("due in " if left > 0 else "due ", "dim"),
                     cell(duration_words(left) if left > 0 else "now", "plan"), cell(again, "dim"))  # fmt: skip
    if run.waits_for.startswith("pause/"):
        pause = pauses.get(run.waits_for[6:])
        if pause is None:
            return cell("its job was paused; it comes back at once", "dim")
        return paused_by("job", pause)
    if run.state == "waiting":
        if not run.holder:
            return cells(cell("its turn comes: ", "dim"), cell(run.waits_for))
        return cells(cell("slot held by run ", "dim"), cell(f"…{run.holder[-8:]}", "accent"))
    if queue.paused:
        return paused_by("queue", queue.paused)
    if run.job in pauses:
        return paused_by("job", pauses[run.job])
    why = stuck(queue, live.engines)
    if why:
        return cell(why, "bad")
    full = all(e.busy >= e.slots for e in takers(queue.name, live.engines))
    if run.crashes:
        return cell(f"taken alone: it crashed an engine {run.crashes}×", "warn")
    return cell(FULL, "warn") if full else cell("taken next", "dim")


def duration_words(ms: float) -> str:
    """A length of time ahead, coarse."""
    return age(ms) if ms < 60_000 else duration(ms)


def started_ms(run_id: str, live: Overview) -> int | None:
    """When an engine began a run that it has in hand; None where none tells of it."""
    found = (now.started_ms for engine in live.engines for now in engine.running if now.run_id == run_id)
    return next(found, None)


def queued_row(
    run: QueuedRun, queue: QueueStatus, live: Overview, pauses: Mapping[str, Pause], now_ms: int, zone: tzinfo | None
) -> Row:
    """A run in a queue in one line; of one that runs, since when it does, as far as its engine has told."""
    at = {"later": run.due_ms, "running": started_ms(run.run_id, live)}.get(run.state, run.ready_ms)
    when = "" if at is None else soon(from_ms(at), now_ms, zone) if run.state == "later" else moment(
        from_ms(at), now_ms, zone
    )  # fmt: skip
    return Row(
        run.run_id,
        (
            cell("…" + run.run_id[-12:], "dim"), cell(run.job, "strong"),
            cell(run.attempt, "warn" if run.attempt > 1 else "faint"), cell(when, "dim"),
            reason(run, queue, live, pauses, now_ms), cell(run.payload, "faint"),
        ),
    )  # fmt: skip


def forecast_line(found: Forecast, queue: QueueStatus) -> Cell:
    """What will be, and what is assumed for it."""
    top, at = found.peak
    if queue.paused and found.paused_steps >= STEPS:
        will = f"{round(found.depth[-1])} in an hour unless resumed"
    elif not found.slots and not round(sum(found.runs)):
        will = f"stays at {round(found.depth[-1])}: nothing fires without an engine"
    elif not found.slots:
        will = f"{round(found.depth[-1])} in an hour: no engine takes it"
    elif found.drained is not None and found.drained > 1:
        will = f"empty in {found.drained} min" + (f", at most {round(top)} in {at} min" if at > 1 else "")
    elif found.drained is not None:
        will = "nothing piles up"
    else:
        will = f"{round(found.depth[-1])} in an hour" + (f", at most {round(top)} in {at} min" if at < STEPS else "")
    return cell(will, "warn" if top > max(50, 2 * (queue.ready + queue.inbox)) else "")


def assumed(found: Forecast) -> Cell:
    """What a forecast assumes, in a line."""
    skipped = f", {found.skipped} skipped" if found.skipped else ""
    parts = [f"{found.planned} planned fires{skipped}" if found.slots else "nothing fires without an engine"]
    parts += [f"{found.due} due from later"] if found.due else []
    parts.append(f"{rate(found.other_per_min)}/min from elsewhere")
    parts.append(f"{found.slots:.1f}".rstrip("0").rstrip(".") + " slots")
    parts.append(f"{duration(found.usual_ms)} a run" if found.usual_ms is not None else "1 s a run where none is known")
    parts += [f"paused for {found.paused_steps} min"] if 0 < found.paused_steps < STEPS else []
    return cell("assumes " + " · ".join(parts), "dim")
