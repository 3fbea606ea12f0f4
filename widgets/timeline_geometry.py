"""Where things are on a time line: pure functions from times to columns. Times are milliseconds since the epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from itertools import groupby
from typing import NamedTuple

from widgets.safe import Cell, SafeText

STEPS_S = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 90, 120, 180, 300, 450, 600, 900, 1800, 3600)
"""Seconds a column may stand for."""
_TICKS_S = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)

ENDS = {
    "succeeded": ("•", "ok", 1),
    "running": ("▶", "accent", 3),
    "skipped": ("»", "dim", 2),
    "missed": ("◌", "warn", 4),
    "cancelled": ("⊗", "warn", 5),
    "lost": ("⊘", "bad", 6),
    "timed_out": ("◷", "bad", 7),
    "failed": ("✗", "bad", 8),
}
"""Outcome → (glyph, tone, rank). Where several share a column the highest rank shows: trouble is never painted over."""
BODY, PLANNED, PLANNED_MANY, NOW = "━", "·", "○", "│"
BAND = ((16, "▓"), (4, "▒"), (0, "░"))
"""(fires a column, on average, at least; glyph) where a job fires more often than there are columns."""


class Bar(NamedTuple):
    """One attempt: when it began and ended, and how (an outcome, or ``running``)."""

    start_ms: int
    end_ms: int
    outcome: str


class Window(NamedTuple):
    """The visible stretch of time. Its start is a multiple of the step, so it moves one column at a time."""

    start_ms: int
    step_ms: int
    columns: int
    now_column: int

    def column(self, at_ms: int) -> int:
        """The column of an instant; may lie outside."""
        return (at_ms - self.start_ms) // self.step_ms

    @property
    def end_ms(self) -> int:
        """The first instant that is not visible any more."""
        return self.start_ms + self.columns * self.step_ms


def window(now_ms: int, step_ms: int, columns: int, past_share: float = 0.62) -> Window:
    """The window around now, with `past_share` of its columns left of the "now" column."""
    now_column = min(max(int(columns * past_share), 0), max(columns - 1, 0))
    return Window(now_ms // step_ms * step_ms - now_column * step_ms, step_ms, columns, now_column)


def fitting_step(span_ms: float, columns: int) -> int:
    """The smallest step, in ms, with which `columns` cover `span_ms`."""
    for step in STEPS_S:
        if step * 1000 * columns >= span_ms:
            return step * 1000
    return STEPS_S[-1] * 1000


def zoomed(step_ms: int, by: int) -> int:
    """The step one notch finer (`by` < 0) or coarser, in ms: by half as much again, at least."""
    step_s = step_ms / 1000
    if by < 0:
        return max((s for s in STEPS_S if s * 1.5 <= step_s), default=STEPS_S[0]) * 1000
    return min((s for s in STEPS_S if s >= step_s * 1.5), default=STEPS_S[-1]) * 1000


def edges(view: Window, now_ms: int) -> tuple[int, tuple[int, ...]]:
    """The column where the future begins, and the instants between which fires are counted, from it to the right.

    Fires are on full minutes: the first count begins with the next one, so it stays true for a minute.
    """
    begin = (now_ms // 60_000 + 1) * 60_000
    first = max(view.column(begin), 0)
    if first >= view.columns:
        return view.columns, (begin,)
    rest = range(view.start_ms + (first + 1) * view.step_ms, view.end_ms + 1, view.step_ms)
    return first, (max(begin, view.start_ms), *rest)


def plan(counts: Sequence[int]) -> tuple[str, ...]:
    """The glyphs of a job's coming fires, from their number in each column: marks, or a band where they are denser.

    A run of filled columns with more fires than columns is a band. Numbers that differ by one are one level: that is
    how a steady job falls into columns. A column that is cut, by now or by the end of its hours, has its own level.
    """
    glyphs: list[str] = []
    for filled, group in groupby(counts, bool):
        run = list(group)
        if not filled:
            glyphs += " " * len(run)
        elif len(run) == 1 or sum(run) == len(run):
            glyphs += [PLANNED if n == 1 else PLANNED_MANY for n in run]
        else:
            inner = run[1:-1] or run  # the ends of a run may be cut: they don't say how steady it is
            steady = sum(inner) / len(inner) if max(inner) - min(inner) <= 1 else None
            levels = [n if steady is None or abs(n - steady) > 1 else steady for n in run]
            glyphs += [next(glyph for least, glyph in BAND if level >= least) for level in levels]
    return tuple(glyphs)


def paint(bars: Iterable[Bar], begin: int, planned: Sequence[str], view: Window) -> tuple[tuple[str, str], ...]:
    """A lane: (glyph, tone) for each column. Bars end in their outcome's glyph; a bar is never painted over.

    `planned`: a glyph for each column from `begin` on.
    """
    lane: list[tuple[str, str, int]] = [(" ", "", 0)] * view.columns
    for bar in bars:
        first, last = view.column(bar.start_ms), view.column(max(bar.end_ms, bar.start_ms))
        if last < 0 or first >= view.columns:
            continue
        glyph, tone, rank = ENDS.get(bar.outcome, ENDS["failed"])
        last_shown = min(last, view.columns - 1)
        for column in range(max(first, 0), last_shown + 1):
            mine = (glyph, tone, rank) if column == last else (BODY, tone, 1)
            if mine[2] >= lane[column][2]:
                lane[column] = mine
    for column, glyph in enumerate(planned, begin):
        if glyph != " " and lane[column][2] == 0:
            lane[column] = (glyph, "plan", 1)
    if 0 <= view.now_column < view.columns and lane[view.now_column][2] == 0:
        lane[view.now_column] = (NOW, "plan", 0)
    return tuple((glyph, tone) for glyph, tone, _ in lane)


def as_cell(lane: Sequence[tuple[str, str]]) -> Cell:
    """Neighbours of one tone joined into runs. The glyphs are ours, so they need no gate."""
    out: list[tuple[SafeText, str]] = []
    for glyph, tone in lane:
        if out and (out[-1][1] == tone or glyph == " "):
            out[-1] = (SafeText(out[-1][0] + glyph), out[-1][1])
        else:
            out.append((SafeText(glyph), tone))
    return tuple(out)


def axis(view: Window, zone: tzinfo | None, gap: int = 11) -> tuple[str, ...]:
    """One character a column: labels begin at their tick, "now" is marked with ``▼``."""
    line = [" "] * view.columns
    wanted = gap * view.step_ms / 1000
    tick_s = next((tick for tick in _TICKS_S if tick >= wanted), _TICKS_S[-1])
    with_seconds = tick_s < 60
    start = datetime.fromtimestamp(view.start_ms / 1000, zone).astimezone(zone)
    offset = int((start.utcoffset() or start - start).total_seconds())
    at = ((view.start_ms // 1000 + offset) // tick_s + 1) * tick_s - offset
    now_from, now_to = view.now_column - 1, view.now_column + 5
    while (column := view.column(at * 1000)) < view.columns:
        label = datetime.fromtimestamp(at, zone).strftime("%H:%M:%S" if with_seconds else "%H:%M")
        text = "╷" + label
        end = column + len(text)
        if end <= view.columns and (end < now_from or column > now_to):
            line[column:end] = text
        at += tick_s
    if 0 <= view.now_column < view.columns:
        text = "▼ now"
        line[view.now_column : view.now_column + len(text)] = text
    return tuple(line[: view.columns])
