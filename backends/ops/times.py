"""Times in the sentences of operations."""

from __future__ import annotations

from backends.model import from_ms, now_ms

_LIFETIME_S = 100 * 365 * 86_400


def span(seconds: float) -> str:
    """A length of time in at most two units."""
    if seconds > _LIFETIME_S:
        return "more than 100 years"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    for size, unit, smaller, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            rest = int(seconds % size // smaller)
            return f"{int(seconds // size)} {unit}" + (f" {rest} {small}" if rest else "")
    return ""


def clock(ms: float | None) -> str:
    """A time of today as local clock time, another one with its date."""
    if ms is None:
        return "a time that is not known"
    at, now = from_ms(ms).astimezone(), from_ms(now_ms()).astimezone()
    return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S}"


def ago(ms: float | None) -> str:
    """How long ago."""
    return "some time ago" if ms is None else f"{span(max(0.0, (now_ms() - ms) / 1000))} ago"
