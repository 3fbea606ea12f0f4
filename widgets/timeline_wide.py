"""A time line over any stretch of time: zoomed from ten minutes to thirty days, panned, with a cursor on a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import ClassVar, TypeAlias

from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from widgets.safe import Cell, cell, cells, fit
from widgets.timeline import Count, Timeline
from widgets.timeline_ahead import EACH_MOST, LENGTH, Glyphs, ahead, laid
from widgets.timeline_axis import HOUR, SPANS, midnights, next_span, scale, span_words, step_for, step_words, window_at
from widgets.timeline_geometry import NOW, Bar, Window, as_cell, edges, paint

_REVERSE = Style(reverse=True)
PAST = 0.5
"""The part of the columns left of now, while the window follows it."""
LEVELS = "▁▂▃▄▅▆▇█"
LEAST_TOP = 8
"""Fewer fires than this on a minute never look like a mountain."""
LEAST_LENGTH_MS = 1000
"""Of runs that usually take less, neither the length nor a meeting can be seen."""
MIDNIGHT, SILENT, CHANGE = ("┊", "faint"), ("╱", "faint"), ("┆", "warn")

Instants: TypeAlias = Callable[[Sequence[str], int, int], Mapping[str, Sequence[int]]]
"""(jobs, from, to in epoch ms) → by job, its fires, ascending."""


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of a stretch of time, by job. `silent`: (from, to) when no engine was at work, in epoch ms."""

    bars: Mapping[str, Sequence[Bar]] = field(default_factory=dict)
    silent: Sequence[tuple[int, int]] = ()
    usual_ms: Mapping[str, float] = field(default_factory=dict)


class WideTimeline(Timeline):
    """Follows now until it is panned. The cursor is on a job and on a moment, a column of the plot."""

    KEEPS_FIRST = True
    HEAD = 3
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "moment(-1)", "a column back", show=False, id="moment_back"),
        Binding("right", "moment(1)", "a column on", show=False, id="moment_on"),
        Binding("b", "mark(-1)", "the run or fire before", show=False, id="mark_back"),
        Binding("w", "mark(1)", "the next run or fire", show=False, id="mark_on"),
    ]

    class Viewed(Message):
        """Another stretch of time is in sight, or other jobs."""

        def __init__(self, timeline: WideTimeline) -> None:
            super().__init__()
            self.timeline = timeline

        def can_replace(self, message: Message) -> bool:
            """Only what is in sight now matters."""
            return isinstance(message, WideTimeline.Viewed)

    def __init__(self, *, zone: tzinfo | None = None, id: str | None = None) -> None:  # noqa: A002
        super().__init__(zone=zone, id=id)
        self.span_ms = 6 * HOUR
        self._start_ms: int | None = None
        self._moment_ms: int | None = None
        self._together: tuple[object, Sequence[int], int] = (None, (), 0)
        self._past = Past()
        self._changes: Mapping[str, Sequence[tuple[int, str]]] = {}
        self._instants: Instants | None = None
        self._coming: dict[str, Glyphs] = {}
        self._coming_for: object = None
        self._ground: tuple[object, Glyphs] = (None, {})
        self._seen: object = None

    # --- where it looks ---

    @property
    def follows(self) -> bool:
        """Whether the window moves with now."""
        return self._start_ms is None

    @property
    def view(self) -> Window:
        """The visible stretch of time."""
        columns = max(1, self.size.width - self.label_width)
        step = step_for(self.span_ms, columns)
        if self._start_ms is None:
            return window_at(self._now_ms, int(columns * PAST), step, columns, self._now_ms)
        return window_at(self._start_ms, 0, step, columns, self._now_ms)

    @property
    def moment_ms(self) -> int:
        """The instant under the cursor: now, until it is moved."""
        return self._now_ms if self._moment_ms is None else self._moment_ms

    @property
    def moment_column(self) -> int:
        """The column of the cursor."""
        return min(max(self.view.column(self.moment_ms), 0), self.view.columns - 1)

    @property
    def in_sight(self) -> tuple[str, ...]:
        """The jobs whose rows are visible."""
        return tuple(self.keys[self.top : self.top + self.page_rows])

    def zoom(self, by: int) -> None:
        """A longer or shorter (`by` < 0) span; the moment stays in its column."""
        self.zoom_to(next_span(self.span_ms, by))

    def zoom_to(self, span_ms: int) -> None:
        """This span."""
        if span_ms not in SPANS or span_ms == self.span_ms:
            return
        column = self.moment_column
        follows = self._start_ms is None and self._moment_ms is None
        self.span_ms = span_ms
        view = self.view
        if not follows:
            self._start_ms = window_at(self.moment_ms, column, view.step_ms, view.columns, self._now_ms).start_ms
        self._looked()

    def pan(self, parts: float) -> None:
        """Move the window by a part of its width; the moment keeps its column."""
        view = self.view
        by = int(view.columns * parts) * view.step_ms
        self._moment_ms = self.moment_ms + by
        self._start_ms = view.start_ms + by
        self._looked()

    def to_now(self) -> None:
        """Follow now again."""
        self._start_ms = self._moment_ms = None
        self._looked()

    def go_to(self, at_ms: int) -> None:
        """Put the cursor on an instant; the window moves if it is out of sight."""
        view = self.view
        self._moment_ms = at_ms
        if not 0 <= view.column(at_ms) < view.columns:
            self._start_ms = window_at(at_ms, view.columns // 2, view.step_ms, view.columns, self._now_ms).start_ms
        self._looked()

    def action_moment(self, by: int) -> None:
        """The cursor a column on; at the edge the window moves."""
        view = self.view
        column = view.column(self.moment_ms) + by
        self._moment_ms = view.start_ms + column * view.step_ms + view.step_ms // 2
        if not 0 <= column < view.columns:
            self._start_ms = view.start_ms + (view.columns // 4 * view.step_ms) * by
        self._looked()

    def action_mark(self, by: int) -> None:
        """The cursor on the next run or fire of its row; out of sight, half a window on."""
        if (key := self.cursor_key) is None:
            return
        at, view = self.moment_column, self.view
        beyond = [c for c in self.marks(key) if (c - at) * by > 0]
        if not beyond:
            self.pan(0.5 * by)
            return
        column = min(beyond, key=lambda c: abs(c - at))
        self._moment_ms = view.start_ms + column * view.step_ms + view.step_ms // 2
        self._looked()

    def _looked(self) -> None:
        """Draw what changed, and tell."""
        self._repaint()
        self.refresh_lines(0, self.HEAD)
        if (index := self.cursor_index) >= 0:
            self.refresh_lines(self.HEAD + index - self.top)
        self._tell()

    def _tell(self) -> None:
        seen = (self.view, self.in_sight, self.moment_column)
        if seen != self._seen:
            self._seen = seen
            self.post_message(self.Viewed(self))

    def set_now(self, now_ms: int) -> None:
        """The time."""
        super().set_now(now_ms)
        self._tell()

    def set_keys(self, keys: Sequence[str], changed: set[str]) -> None:
        """Other jobs may be in sight."""
        super().set_keys(keys, changed)
        self._tell()

    def choose(self, index: int) -> None:
        """The cursor may have scrolled."""
        super().choose(index)
        self._tell()

    def on_resize(self) -> None:
        """More or less is in sight."""
        super().on_resize()
        self._tell()

    # --- what is drawn ---

    def set_plan(self, schedules: object, count: Count, instants: Instants | None = None) -> None:
        """As `Timeline.set_plan`; `instants` gives the fires one by one."""
        if schedules is not self._plan_of:
            self._coming.clear()
            self._instants = instants
        super().set_plan(schedules, count)

    def set_past(self, past: Past) -> None:
        """Everything that is read of the stretch in sight."""
        if past == self._past:
            return
        if past.usual_ms != self._past.usual_ms:
            self._coming.clear()
        if past.silent != self._past.silent:
            self._ground = (None, {})
            self.refresh_lines(0, self.HEAD)
        self._past = past
        self.set_bars(past.bars, 0)

    def set_running(self, running: Mapping[str, Sequence[Bar]]) -> None:
        """Attempts in hand."""
        if running != self._in_hand:
            self._coming.clear()
        super().set_running(running)

    def set_changes(self, changes: Mapping[str, Sequence[tuple[int, str]]]) -> None:
        """Clock changes (instant, words) in the zone of each job; under an empty name those of the console's zone."""
        if changes != self._changes:
            self._changes = changes
            self._repaint()
            self.refresh_lines(0, self.HEAD)

    def set_together(self, view: Window, peaks: Sequence[int], slots: int) -> None:
        """The most fires that fall on one minute, by column of `view`; `slots`: so many runs can work at once."""
        if (view, peaks, slots) != self._together:
            self._together = (view, peaks, slots)
            self.refresh_lines(2)

    def marks(self, key: str) -> list[int]:
        """The columns of a lane in which something begins, ends, or came to nothing."""
        view = self.view
        ends = {view.column(bar.end_ms) for bar in (*self._past.bars.get(key, ()), *self._in_hand.get(key, ()))}
        fires = {c for c, (glyph, _) in self._ahead(key, view).items() if glyph != LENGTH}
        return sorted(c for c in ends | fires if 0 <= c < view.columns)

    def _ahead(self, key: str, view: Window) -> Glyphs:
        """What is to come; counted for all lanes in sight at once."""
        begin, cuts = edges(view, self._now_ms)
        if (view, cuts) != self._coming_for:
            self._coming_for = (view, cuts)
            self._coming.clear()
        if key not in self._coming:
            sight = [key, *(k for k in self.in_sight if k != key and k not in self._coming)]
            counts = self._count(sight, cuts) if self._count is not None and len(cuts) > 1 else {}
            usual = self._past.usual_ms
            each = [k for k in sight if usual.get(k, 0) >= LEAST_LENGTH_MS and 0 < sum(counts.get(k, ())) <= EACH_MOST]
            instants = self._instants(each, cuts[0], cuts[-1]) if self._instants and each else {}
            for k in sight:
                known = instants.get(k) if sum(counts.get(k, ())) else ()
                until = max((bar.start_ms + usual.get(k, 0) for bar in self._in_hand.get(k, ())), default=0)
                self._coming[k] = ahead(view, begin, counts.get(k, ()), known, usual.get(k), until)
        return self._coming[key]

    def _lane_cell(self, key: str) -> Cell:
        view = self.view
        running = [Bar(b.start_ms, max(self._now_ms, b.start_ms), "running") for b in self._in_hand.get(key, ())]
        lane = paint([*self._past.bars.get(key, ()), *running], view.columns, (), view)
        if (view, self._past.silent) != self._ground[0]:
            self._ground = ((view, self._past.silent), self._grid(view))
        changes = {view.column(at): CHANGE for at, _ in self._changes.get(key, ()) if self._shown(view, at)}
        return as_cell(laid(lane, NOW, self._ahead(key, view), changes, self._ground[1]))

    @staticmethod
    def _shown(view: Window, at_ms: int) -> bool:
        return 0 <= view.column(at_ms) < view.columns

    def _grid(self, view: Window) -> Glyphs:
        """What lies under every lane: midnights, and when no engine was at work."""
        out: Glyphs = dict.fromkeys(midnights(view, self.zone), MIDNIGHT)
        for start, end in self._past.silent:
            for column in range(max(view.column(start), 0), min(view.column(end) + 1, view.columns)):
                out[column] = SILENT
        return out

    # --- the head ---

    def head_content(self, line: int) -> Cell:
        """Dates, times, and how many fires fall together."""
        view = self.view
        if line == 0:
            upper = scale(view, self.zone, 0, 0)[0]
            left = cells(
                "   ", cell(span_words(self.span_ms), "strong"), cell(f"  {step_words(view.step_ms)}/col", "faint")
            )
            return cells(fit(left, self.label_width), as_cell([(g, "faint" if g == "╷" else "head") for g in upper]))
        if line == 1:
            self._axis = (None, self._axis_content())
            return self._axis[1]
        return self._herd(view)

    @property
    def count_line(self) -> int:
        """That of the titles."""
        return 1

    def _axis_content(self) -> Cell:
        """Times, now, and clock changes."""
        view = self.view
        lower = scale(view, self.zone, view.now_column, view.now_column + 4)[1]
        toned = [(glyph, "faint" if glyph == "╷" else "head") for glyph in lower]
        for at, words in self._changes.get("", ()):
            self._over(toned, view.column(at), "┆" + words, "warn")
        self._over(toned, view.now_column, "▼ now", "plan")
        return cells(self._left("job", "next", "head"), as_cell(toned))

    @staticmethod
    def _over(toned: list[tuple[str, str]], first: int, text: str, tone: str) -> None:
        if 0 <= first < len(toned):
            for column, glyph in enumerate(text[: len(toned) - first], first):
                toned[column] = (glyph, tone)

    def _left(self, name: str, note: str, tone: str) -> Cell:
        width, note_width = self._widths
        return cells("   ", fit(cell(name, tone), width), " ", fit(cell(note, tone), note_width, "right"), "  ")

    def _herd(self, view: Window) -> Cell:
        known, peaks, slots = self._together
        if known != view or not peaks:
            return self._left("together", "", "dim")
        most, out = max(peaks), []
        top = max(LEAST_TOP, most)
        for column, peak in enumerate(peaks):
            tone = "faint" if column < view.now_column else "warn" if slots and peak > slots else "plan"
            out.append((LEVELS[min(peak * len(LEVELS) // (top + 1), len(LEVELS) - 1)] if peak else " ", tone))
        for start, end in self._past.silent:
            for column in range(max(view.column(start), 0), min(view.column(end) + 1, view.columns)):
                out[column] = ("╱", "warn")
        return cells(self._left("together", f"≤ {most}" if most else "", "dim"), as_cell(out))

    # --- rows ---

    def row_version(self, index: int) -> object:
        """Also where the cursor is, on its row."""
        version = super().row_version(index)
        return version, self.moment_column if index == self.cursor_index else None

    def row_strip(self, index: int, over: str) -> Strip:
        """The row; the cell of the moment is reversed on the row of the cursor."""
        strip = super().row_strip(index, over)
        if not over:
            return strip
        at = self.label_width + self.moment_column
        middle = strip.crop(at, at + 1)
        marked = middle.apply_style(_REVERSE)
        return Strip.join([strip.crop(0, at), marked, strip.crop(at + 1, self.size.width)])
