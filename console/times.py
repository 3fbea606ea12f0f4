"""Instants and lengths of time in words, alike on the command line and on the screens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.schedule.compare import Change

MANY = 8
"""So many fires around a clock change are named; of more, their number."""


def ahead(delta: timedelta) -> str:
    """How far away an instant is, in at most two units: "in 3 h 20 min", "12 d ago"."""
    seconds = round(abs(delta.total_seconds()))
    text = f"{seconds} s"
    units = ((365 * 86_400, "y", 86_400, "d"), (86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
    for size, unit, smaller, small in units:
        if seconds >= size:
            rest = seconds % size // smaller if seconds < 3 * size else 0
            text = f"{seconds // size} {unit}" + (f" {rest} {small}" if rest else "")
            break
    return f"in {text}" if delta >= timedelta(0) else f"{text} ago"


def offset(local: datetime) -> str:
    """The UTC offset of an aware time: "+01:00"."""
    text = f"{local:%z}"
    return f"{text[:3]}:{text[3:5]}"


def zone_word(local: datetime) -> str:
    """What its zone calls its offset, "CEST"; the offset itself where it has no name."""
    name = local.tzname() or ""
    return name if name.isalpha() else offset(local)


def walls(fires: Sequence[datetime], change: Change, tz: tzinfo) -> str:
    """Fires by their wall times; in a repeated hour with the zone's name or offset, where they run more often "2x"."""
    if not fires:
        return "no fire"
    if len(fires) > MANY:
        return f"{len(fires)} fires from {change.start.astimezone(tz):%H:%M} to {change.end.astimezone(tz):%H:%M}"
    shown = [fire.astimezone(tz) for fire in fires]
    names = [f"{fire:%H:%M}" for fire in shown]
    if change.clock.jump < timedelta(0):
        later, earlier = change.clock.walls
        names = [
            f"{name} {zone_word(fire)}" if earlier <= fire.replace(tzinfo=None) < later else name
            for name, fire in zip(names, shown, strict=True)
        ]
    return ", ".join(f"{names.count(n)}x {n}" if names.count(n) > 1 else n for n in dict.fromkeys(names))
