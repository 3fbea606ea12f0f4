"""Where things are on the overview."""

from __future__ import annotations

CSS = """
OverviewScreen {
    & #middle { height: 8; }
    & #queues { width: 45%; min-width: 41; max-width: 74; }
    & #dead { width: 1fr; }
    & #runs { height: 1fr; }
    &.-short #dead { margin-left: 1; }
}
"""


def heights(total: int, jobs: int, frame: int) -> tuple[int, int]:
    """(time line, middle) in lines, for a screen of `total` lines; `frame` lines of each panel are its border."""
    body = total - 2
    timeline = min(max(jobs, 3) + 1 + frame, max(5 + frame, int(body * 0.47)))
    middle = max(5 + frame, min(int((body - timeline) * 0.46), 14))
    return timeline, middle
