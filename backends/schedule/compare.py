"""The same job elsewhere: what other schedulers would do with a schedule of ours, above all when the clock changes.

Each system is a model of its own algorithm (`backends.schedule.elsewhere`). Debian's cron, systemd and Kubernetes are
"verified": their models were compared with the programs. GitHub Actions and AWS EventBridge Scheduler are "documented":
what their documents leave open is "unclear" here, never guessed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from backends.schedule.cron import Schedule
from backends.schedule.dst import ClockChange, clock_changes
from backends.schedule.elsewhere import SYSTEMS, Clock, Difference, Known, System, Takes
from backends.schedule.elsewhere.notes import Facts, note
from backends.schedule.elsewhere.reboot import REBOOT
from backends.schedule.fields import Fields
from backends.schedule.zones import zone

Verdict = Literal["same", "differs", "unclear", "no"]
"""Of one system on one clock change; "no" where it can't express the schedule."""

SHOWN = timedelta(hours=3)
"""So much before and after a clock change (or the length of its jump, if that is more) its fires are listed."""
_BEFORE, _AFTER = timedelta(hours=6), timedelta(hours=24)  # where differences are looked for


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What one system makes of the schedule at any time of the year.

    `written`: how it stands there, a line each. `differences`: what differs from cronsole whatever the clock does.
    """

    system: str
    title: str
    known: Known
    takes: Takes
    written: tuple[str, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one system does about one clock change. Times are aware, in UTC, sorted.

    `fires`: those in the change's stretch ``[start, end)``; one that runs twice stands twice. `missing` and `extra`:
    ours that it lacks and its own that we lack, also a day later. `unclear`: it may fire there, its documents don't
    say. `note`: how it differs, in one sentence; empty where it does not.
    """

    system: str
    verdict: Verdict
    note: str
    fires: tuple[datetime, ...] = ()
    missing: tuple[datetime, ...] = ()
    extra: tuple[datetime, ...] = ()
    unclear: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One clock change: our fires in ``[start, end)`` around it, and each system's answer."""

    clock: ClockChange
    start: datetime
    end: datetime
    fires: tuple[datetime, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A schedule here and elsewhere. `changes` is empty for ``@reboot`` and in a zone without clock changes."""

    schedule: Schedule
    systems: tuple[Elsewhere, ...]
    changes: tuple[Change, ...]


def compare(schedule: Schedule, now: datetime, changes: int = 2) -> Comparison:
    """What other systems would do with this schedule, and on the next clock changes of its zone after `now` (aware)."""
    fields = schedule.fields
    if fields is None:
        return Comparison(schedule, tuple(_reboot(kind) for kind in SYSTEMS), ())
    clock = Clock(zone(schedule.timezone))
    systems = [kind(schedule.expression, fields, schedule.timezone, clock) for kind in SYSTEMS]
    return Comparison(
        schedule,
        tuple(Elsewhere(s.key, s.title, s.known, s.takes(), s.written(), tuple(s.differences())) for s in systems),
        tuple(
            _change(schedule, fields, clock, systems, change)
            for change in clock_changes(schedule.timezone, now, changes)
        ),
    )


def _reboot(kind: type[System]) -> Elsewhere:
    takes, written, difference = REBOOT[kind.key]
    return Elsewhere(kind.key, kind.title, kind.known, takes, written, (difference,))


def _change(schedule: Schedule, fields: Fields, clock: Clock, systems: list[System], change: ClockChange) -> Change:
    around = max(SHOWN, abs(change.jump))
    start, end = change.at - around, change.at + around
    ours = schedule.between(min(start, change.at - _BEFORE), max(end, change.at + _AFTER))
    shown = tuple(at for at in ours if start <= at < end)
    answers = tuple(_answer(fields, clock, system, change, (start, end), ours) for system in systems)
    return Change(change, start, end, shown, answers)


def _answer(
    fields: Fields,
    clock: Clock,
    system: System,
    change: ClockChange,
    shown: tuple[datetime, datetime],
    fires: list[datetime],
) -> Answer:
    if system.takes() == "no":
        return Answer(system.key, "no", "can't express this schedule")
    low, high = min(shown[0], change.at - _BEFORE), max(shown[1], change.at + _AFTER)
    theirs = system.fires(int(low.timestamp()), int(high.timestamp()))
    ours = [int(at.timestamp()) for at in fires]
    missing = sorted(set(ours) - set(theirs.sure) - set(theirs.unclear))
    extra = sorted((Counter(theirs.sure) - Counter(ours)).elements())
    verdict: Verdict = "differs" if missing or extra else "unclear" if theirs.unclear else "same"
    facts = Facts(change, fields, clock, system, ours, theirs, missing, extra)
    begin, end = (int(at.timestamp()) for at in shown)
    return Answer(
        system.key,
        verdict,
        note(facts),
        _instants([at for at in theirs.sure if begin <= at < end]),
        _instants(missing),
        _instants(extra),
        _instants(theirs.unclear),
    )


def _instants(seconds: list[int]) -> tuple[datetime, ...]:
    return tuple(datetime.fromtimestamp(at, UTC) for at in seconds)
