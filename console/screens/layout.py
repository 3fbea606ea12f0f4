"""How small a terminal may be, and where things are on the overview."""

from __future__ import annotations

CSS = """
OverviewScreen {
    & #middle { height: 8; }
    & #queues { width: 45%; min-width: 41; max-width: 74; }
    & #dead { width: 1fr; }
    & #runs { height: 1fr; }
    &.-short #dead { margin-left: 1; }
    &.-narrow #queues { width: 27; min-width: 27; }
    &.-low #runs { display: none; }
}
"""


NARROW = 73
"""With fewer columns the queues have no room for what lies later."""
LEAST = (60, 12)
"""Columns and lines that every screen needs."""
LOW = 14
"""With fewer lines a screen does without its least panel: the overview without runs."""
ROOMY = 18


def heights(total: int, jobs: int, frame: int) -> tuple[int, int]:
    """(time line, middle) in lines, for a screen of `total` lines; `frame` lines of each panel are its border."""
    body = total - 2
    if total < LOW:
        return body // 2, body - body // 2
    if total < ROOMY:
        return min(max(jobs, 3) + 1 + frame, body - 2 * (body // 3)), body // 3
    timeline = min(max(jobs, 3) + 1 + frame, max(5 + frame, int(body * 0.47)))
    middle = max(5 + frame, min(int((body - timeline) * 0.46), 14))
    return timeline, middle
