"""Where things are on the overview, and how its panels are framed."""

from __future__ import annotations

CSS = """
OverviewScreen {
    background: $background;
    & #banner { display: none; background: $panel; }
    & #banner.-on { display: block; }
    & #middle { height: 8; }
    & #queues { width: 45%; min-width: 41; max-width: 74; }
    & #dead { width: 1fr; }
    & RowList {
        border: round $line; border-title-color: $text-dim; border-subtitle-color: $text-dim; padding: 0;
        &:focus { border: round $line-focus; border-title-color: $text-strong; border-title-style: bold; }
    }
    &.-ascii RowList { border: ascii $line; &:focus { border: ascii $line-focus; } }
    &.-short RowList { border: none; border-top: solid $line; &:focus { border-top: solid $line-focus; } }
    &.-short.-ascii RowList { border: none; border-top: ascii $line; &:focus { border-top: ascii $line-focus; } }
    &.-short #dead { margin-left: 1; }
}
"""


def heights(total: int, jobs: int, frame: int) -> tuple[int, int]:
    """(time line, middle) in lines, for a screen of `total` lines; `frame` lines of each panel are its border."""
    body = total - 2
    timeline = min(max(jobs, 3) + 1 + frame, max(5 + frame, int(body * 0.47)))
    middle = max(5 + frame, min(int((body - timeline) * 0.46), 14))
    return timeline, middle
