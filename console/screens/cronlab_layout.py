"""Where things are in the cron lab. No panel's size depends on what it shows, so nothing jumps at a key."""

from __future__ import annotations

from dataclasses import dataclass

LABEL, ZONE_LABEL = " cron  ", "  zone  "
ZONE_WIDTH, LEAST_ZONE, LEAST_EXPRESSION = 26, 8, 24
SYSTEMS = 6
CSS = f"""
CronLabScreen {{
    & #lab {{ height: 6; }}
    & #line {{ height: 1; }}
    & #line Entry {{ width: 1fr; color: $text-strong; }}
    & #line #expression {{ max-width: 90; }}
    & #expression-label {{ width: {len(LABEL)}; }}
    & #zone-label {{ width: {len(ZONE_LABEL)}; }}
    & #meaning, & #ahead {{ height: 1fr; }}
    & #fields, & #fires {{ width: 1fr; }}
    & #warnings {{ width: 1fr; }}
    & #lab:focus-within {{ border: round $line-focus; border-title-color: $text-strong; border-title-style: bold; }}
    &.-ascii #lab:focus-within {{ border: ascii $line-focus; }}
    &.-short #lab {{ height: 5; }}
    &.-short #lab:focus-within {{ border: none; border-top: solid $line-focus; }}
    &.-short.-ascii #lab:focus-within {{ border: none; border-top: ascii $line-focus; }}
    &.-short #warnings, &.-short #calendar {{ margin-left: 1; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """What has room at the same time. `meaning`: lines of fields and warnings, 0 where they have none."""

    meaning: int
    calendar: bool
    elsewhere: bool
    calendar_width: int
    elsewhere_height: int = 0
    zone_width: int = ZONE_WIDTH


def layout(width: int, height: int, frame: int) -> Layout:
    """For a screen of that size; `frame` lines of each panel are its border.

    The expression comes first, then the fires, then fields and warnings, the calendar, and other schedulers.
    """
    rest = height - 2 - (4 + frame)
    meaning = 5 + frame + (3 if height >= 50 else 0)
    if rest - meaning < 4:
        meaning = 0
    rest -= meaning
    elsewhere = 1 + SYSTEMS + frame
    side = 0 if frame == 1 else 2
    months = max(1, min(2, (width - 60) // 52))
    line = width - side - len(LABEL) - len(ZONE_LABEL)
    return Layout(
        meaning,
        width >= 78,
        rest - elsewhere >= 7 + frame and width >= 78,
        months * 52 - 3 + side,
        elsewhere,
        max(LEAST_ZONE, min(ZONE_WIDTH, line - LEAST_EXPRESSION)),
    )
