"""The scale of a time line that is panned and zoomed: spans, ticks on the wall clock, dates where the day changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo

from widgets.timeline_geometry import Window

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
SPANS = (
    10 * MINUTE, 20 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 3 * DAY,
    7 * DAY, 14 * DAY, 30 * DAY,
)  # fmt: skip
"""What zooming goes through, in ms."""
_TICKS_S = (
    5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800,
)  # fmt: skip
_MONDAY = datetime(1970, 1, 5)
_GAP = 9
"""Columns from one label to the next, at least."""


def span_words(span_ms: int) -> str:
    """A span as it is said: 10 min, 6 h, 2 d."""
    if span_ms < HOUR:
        return f"{span_ms // MINUTE} min"
    return f"{span_ms // HOUR} h" if span_ms <= DAY else f"{span_ms // DAY} d"


def step_words(step_ms: int) -> str:
    """What a column stands for: 6s, 16m, 4h05m."""
    seconds = step_ms // 1000
    if seconds < 60:
        return f"{seconds}s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{minutes}m" if not hours else f"{hours}h" + (f"{minutes:02d}m" if minutes else "")


def next_span(span_ms: int, by: int) -> int:
    """The neighbour of a span: a shorter one for `by` < 0, else a longer one; the ends stay where they are."""
    if by < 0:
        return max((span for span in SPANS if span < span_ms), default=SPANS[0])
    return min((span for span in SPANS if span > span_ms), default=SPANS[-1])


def step_for(span_ms: int, columns: int) -> int:
    """The step, in ms, with which `columns` just cover `span_ms`: whole seconds, minutes, or five minutes."""
    wanted = -(-span_ms // max(columns, 1))
    unit = 1000 if wanted <= MINUTE else MINUTE if wanted <= HOUR else 5 * MINUTE
    return -(-wanted // unit) * unit


def window_at(anchor_ms: int, column: int, step_ms: int, columns: int, now_ms: int) -> Window:
    """The window in which `anchor_ms` stands in `column`."""
    start = (anchor_ms // step_ms - column) * step_ms
    return Window(start, step_ms, columns, (now_ms - start) // step_ms)


def _instant(wall: datetime, zone: tzinfo | None) -> int | None:
    """Epoch ms of a wall time; None where the clock jumps over it."""
    at = wall.replace(tzinfo=zone).timestamp()
    return int(at * 1000) if datetime.fromtimestamp(at, zone).replace(tzinfo=None) == wall else None


def _ticks(view: Window, zone: tzinfo | None, every: timedelta) -> Iterator[tuple[int, datetime]]:
    """(column, wall time) of the multiples of `every` on the wall clock, from Monday's midnight on."""
    first = datetime.fromtimestamp(view.start_ms / 1000, zone).replace(tzinfo=None)
    wall = _MONDAY + (first - _MONDAY) // every * every
    end = datetime.fromtimestamp(view.end_ms / 1000, zone).replace(tzinfo=None)
    while wall <= end:
        at = _instant(wall, zone)
        if at is not None and view.start_ms <= at < view.end_ms:
            yield view.column(at), wall
        wall += every


def midnights(view: Window, zone: tzinfo | None) -> tuple[int, ...]:
    """The columns in which a day begins."""
    return tuple(column for column, _ in _ticks(view, zone, timedelta(days=1)))


def tick_s(view: Window, gap: int = _GAP) -> int:
    """Seconds from one labelled tick to the next."""
    wanted = gap * view.step_ms / 1000
    return next((tick for tick in _TICKS_S if tick >= wanted), _TICKS_S[-1])


def _put(line: list[str], column: int, text: str) -> bool:
    """Write where it is blank and fits, with a blank before it; whether it was written."""
    end = column + len(text)
    if column < 0 or end > len(line) or "".join(line[max(column - 1, 0) : end + 1]).strip():
        return False
    line[column:end] = text
    return True


def scale(view: Window, zone: tzinfo | None, now_from: int, now_to: int) -> tuple[Sequence[str], Sequence[str]]:
    """Two lines, a character a column: dates (or months), and beneath them times (or days).

    Of the second the columns from `now_from` up to `now_to` stay free.
    """
    upper, lower = [" "] * view.columns, [" "] * view.columns
    tick = tick_s(view)
    by_day = tick >= 86_400
    form = "%-d %b" if by_day else "%H:%M:%S" if tick < 60 else "%H:%M"
    for column, wall in _ticks(view, zone, timedelta(seconds=tick)):
        text = "╷" + wall.strftime(form)
        if column + len(text) <= now_from or column > now_to:
            _put(lower, column, text)
    start = datetime.fromtimestamp(view.start_ms / 1000, zone)
    if by_day:
        for column, wall in _ticks(view, zone, timedelta(days=1)):
            if wall.day == 1:
                _put(upper, column, "╷" + wall.strftime("%B %Y"))
        _put(upper, 0, start.strftime("%B %Y"))
    else:
        for column, wall in _ticks(view, zone, timedelta(days=1)):
            _put(upper, column, "╷" + wall.strftime("%a %-d %b"))
        _put(upper, 0, start.strftime("%a %-d %b"))
    return upper, lower
