"""Hints about clock changes and time zones, with the next date on which each matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from backends.schedule import abbreviations
from backends.schedule.dst import ClockChange, clock_changes, swallowed, times, walls_within
from backends.schedule.hint import DAY, Facts, Hint
from backends.schedule.words import date_words, even
from backends.schedule.zones import MAX_JUMP, zone

CHANGES = 12
"""So many clock changes ahead are looked at: six years in most zones. What first matters later is no news now."""
_MINUTE, _ZERO = timedelta(minutes=1), timedelta(0)


def gap(facts: Facts) -> Iterator[Hint]:
    """The next time that does not exist, if something becomes of it: ``dst_gap`` or ``midnight_gap``."""
    for change in clock_changes(facts.schedule.timezone, facts.now, CHANGES):
        if _even(facts, change):
            continue
        walls = swallowed(facts.fields, change)
        if walls and (not facts.fields.wildcard or _hole(facts, change, walls)):
            begin, end = change.walls
            midnight = any(wall.hour == 0 for wall in walls) and begin.time() == datetime.min.time()
            does = "does" if len(walls) == 1 else "do"
            where = f"{times(walls)} {does} not exist in {facts.schedule.timezone}"
            text = f"on {date_words(walls[0])} {where}: {_instead(facts, change, walls)}"
            if midnight:
                text = f"{date_words(begin)} begins at {end:%H:%M}, {where}: {_instead(facts, change, walls)}"
            yield Hint("midnight_gap" if midnight else "dst_gap", text)
            return


def _instead(facts: Facts, change: ClockChange, walls: Sequence[datetime]) -> str:
    """What becomes of the times in a gap."""
    _, end = change.walls
    if facts.fields.wildcard or change.jump >= MAX_JUMP:
        return "it does not fire then"
    at = f"{end:%H:%M}" + ("" if end.date() == walls[0].date() else " on the day after")
    if walls_within(facts.fields, end, end + _MINUTE):
        return f"the fire at {at} stands for {'it' if len(walls) == 1 else 'them'} too"
    return f"it fires at {at} instead" if len(walls) == 1 else f"it fires once, at {at}, instead"


def _even(facts: Facts, change: ClockChange) -> bool:
    """Whether a job that follows elapsed time just goes on in its steps over the change."""
    fields = facts.fields
    step = timedelta(minutes=even(fields.minutes, 60) or 60)
    return fields.wildcard and len(fields.hours) == 24 and change.jump % step == _ZERO


def _hole(facts: Facts, change: ClockChange, walls: Sequence[datetime]) -> bool:
    """Whether a job that follows elapsed time waits longer over the gap than it does on the days around."""
    before, after = facts.schedule.before(change.at), facts.schedule.after(change.at - _MINUTE)
    if before is None or after is None:
        return True
    around = [(before + change.before).replace(tzinfo=None), *walls, (after + change.after).replace(tzinfo=None)]
    return after - before > max(b - a for a, b in pairwise(around))


def overlap(facts: Facts) -> Iterator[Hint]:
    """The next time that comes twice, if it is one of the schedule's: ``dst_overlap``."""
    for change in clock_changes(facts.schedule.timezone, facts.now, CHANGES):
        if change.jump > _ZERO or _even(facts, change):
            continue
        first, again = change.walls[1], change.walls[0]
        walls = walls_within(facts.fields, first, again)
        if not walls or (facts.fields.wildcard and not _extra(facts, change, walls)):
            continue
        once = not facts.fields.wildcard and -change.jump <= MAX_JUMP
        what = "it fires the first time only" if once else "it fires both times"
        come = "comes" if len(walls) == 1 else "come"
        where = f"{times(walls)} {come} twice in {facts.schedule.timezone}"
        yield Hint("dst_overlap", f"on {date_words(walls[0])} {where}: {what}")
        return


def _extra(facts: Facts, change: ClockChange, walls: Sequence[datetime]) -> bool:
    """Whether a job that follows elapsed time does more than go on: all its fires of the day double, or come closer."""
    day = walls[0].replace(hour=0, minute=0)
    if len(walls_within(facts.fields, day, day + DAY)) == len(walls):
        return True
    back = facts.schedule.before(change.at)
    again = facts.schedule.after(change.at - _MINUTE)
    if back is None or again is None:
        return True
    wall = (back + change.before).replace(tzinfo=None)
    usual = walls_within(facts.fields, wall + _MINUTE, wall + DAY)
    return again - back < (usual[0] - wall if usual else DAY)


def abbreviation(facts: Facts) -> Iterator[Hint]:
    """A zone name that is not what it seems: ``EST`` has no summer time, ``Etc/GMT+5`` is behind UTC."""
    name = facts.schedule.timezone
    offset = facts.now.astimezone(zone(name)).utcoffset()
    assert offset is not None
    if name.startswith(("Etc/GMT+", "Etc/GMT-")) and offset:
        yield Hint("zone_name", f"{name} is UTC{_signed(offset)}: the sign is turned round in these names")
    elif name in abbreviations.NAMES:
        city = abbreviations.NAMES[name]
        changes = clock_changes(name, facts.now, 1)
        if changes:
            day = (changes[0].at + changes[0].before).date()
            then = f"UTC{_signed(changes[0].after)} from {date_words(day)}"
            text = f"{name} has summer time, UTC{_signed(offset)} now and {then}"
            yield Hint("zone_name", f"{text}; a place says it plainly, such as {city}")
        else:
            text = f"{name} is UTC{_signed(offset)} all the year, without summer time"
            yield Hint("zone_name", f"{text}; for the clock of a place write its name, such as {city}")


def _signed(offset: timedelta) -> str:
    minutes = abs(offset) // _MINUTE
    return f"{'-' if offset < _ZERO else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
