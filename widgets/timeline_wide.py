"""A time line over any stretch of time: zoomed from ten minutes to thirty days, panned, with a cursor on a moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import ClassVar

from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from widgets.safe import Cell, cell, cells, fit
from widgets.timeline import Timeline
from widgets.timeline_axis import HOUR, SPANS, next_span, scale, span_words, step_for, step_words, window_at
from widgets.timeline_geometry import Window, as_cell

_REVERSE = Style(reverse=True)
PAST = 0.5
"""The part of the columns left of now, while the window follows it."""
LEVELS = "▁▂▃▄▅▆▇█"


class WideTimeline(Timeline):
    """Follows now until it is panned. The cursor is on a job and on a moment, a column of the plot."""

    HEAD = 3
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "moment(-1)", "a column back", show=False, id="moment_back"),
        Binding("right", "moment(1)", "a column on", show=False, id="moment_on"),
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
        self._together: tuple[object, Sequence[int]] = (None, ())
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

    # --- the head ---

    def set_together(self, view: Window, peaks: Sequence[int]) -> None:
        """The most fires that fall on one minute, by column of `view`."""
        if (view, peaks) != self._together:
            self._together = (view, peaks)
            self.refresh_lines(2)

    def head_content(self, line: int) -> Cell:
        """Dates, times, and how many fires fall together."""
        view = self.view
        if line == 2:
            return cells(self._left("together", "", "dim"), self._peaks(view))
        now_to = view.now_column + 4
        upper, lower = scale(view, self.zone, view.now_column, now_to)
        if line == 0:
            left = fit(cells("   ", cell(span_words(self.span_ms), "strong"),
                             cell(f"  {step_words(view.step_ms)}/col", "faint")), self.label_width)  # fmt: skip
            return cells(left, as_cell([(glyph, "faint" if glyph == "╷" else "head") for glyph in upper]))
        toned = [(glyph, "faint" if glyph == "╷" else "head") for glyph in lower]
        if 0 <= view.now_column < view.columns:
            for column, glyph in enumerate("▼ now"[: view.columns - view.now_column], view.now_column):
                toned[column] = (glyph, "accent")
        self._axis = (None, self._axis_content())
        return cells(self._left("job", "next", "head"), as_cell(toned))

    def _axis_content(self) -> Cell:
        return cell(f"{self.view} {self.span_ms}")

    def _left(self, name: str, note: str, tone: str) -> Cell:
        width, note_width = self._widths
        return cells("   ", fit(cell(name, tone), width), " ", fit(cell(note, tone), note_width, "right"), "  ")

    def _peaks(self, view: Window) -> Cell:
        known, peaks = self._together
        if known != view or not peaks:
            return ()
        top = max(8, *peaks)
        toned = []
        for column, peak in enumerate(peaks):
            glyph = LEVELS[min(peak * len(LEVELS) // (top + 1), len(LEVELS) - 1)] if peak else " "
            toned.append((glyph, "dim" if column < view.now_column else "plan"))
        return as_cell(toned)

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
        marked = middle.apply_style(self.tone("accent", over) + _REVERSE)
        return Strip.join([strip.crop(0, at), marked, strip.crop(at + 1, self.size.width)])
