"""A sparkline as text: one column a sample, the newest on the right."""

from __future__ import annotations

from collections.abc import Sequence

LEVELS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int, least_peak: float = 0) -> str:
    """The last `width` values, from zero to their greatest (or `least_peak`); only zero is on the lowest step.

    The highest step is not the full block: sparklines on lines beneath each other stay apart.
    """
    shown = list(values[-width:]) if width > 0 else []
    peak = max(*shown, least_peak) if shown else 0
    steps = len(LEVELS) - 2
    drawn = "".join(LEVELS[max(1, round(value / peak * steps)) if value > 0 else 0] for value in shown)
    return drawn.rjust(max(width, 0))
