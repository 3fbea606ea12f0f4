"""The time line: a row a job, past runs as bars left of "now", planned fires as marks right of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import NamedTuple, TypeAlias

from textual.strip import Strip

from widgets.rowlist import RowList
from widgets.safe import Cell, SafeText, cell, cells, fit, width_of
from widgets.timeline_geometry import (
    STEPS_S,
    Bar,
    Window,
    as_cell,
    axis,
    edges,
    fitting_step,
    paint,
    plan,
    window,
    zoomed,
)

LEAST_SPAN_MS = 180_000
"""The past that is shown at least: with less, the next fires would not be in sight."""

Count: TypeAlias = Callable[[Sequence[str], Sequence[int]], Mapping[str, Sequence[int]]]
"""(jobs, edges in epoch ms) → by job, how many fires lie between neighbouring edges. Asked for jobs in sight only."""


class Lane(NamedTuple):
    """What stands left of a job's plot: its name, a state glyph, and when it fires next."""

    key: str
    name: Cell
    state: Cell
    note: Cell


class Timeline(RowList):
    """Give it lanes, bars and a plan as they arrive and the time as it passes; it repaints the lines that change."""

    EMPTY = "no jobs yet"
    KEEPS_FIRST = False  # trouble comes first; what is done to a job names it before

    def __init__(self, *, zone: tzinfo | None = None, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.zone = zone
        self.lanes: tuple[Lane, ...] = ()
        self._label_widths = self._label(())
        self._bars: Mapping[str, Sequence[Bar]] = {}
        self._in_hand: Mapping[str, Sequence[Bar]] = {}
        self._count: Count | None = None
        self._plan_of: object = None
        self._planned: dict[str, tuple[str, ...]] = {}
        self._planned_for: object = None
        self._now_ms = 0
        self._span_ms = 0.0
        self._zoom: int | None = None
        self._painted: dict[str, tuple[object, Cell]] = {}
        self._versions: dict[str, int] = {}
        self._axis: tuple[object, Cell] = (None, ())

    # --- data ---

    def set_lanes(self, lanes: tuple[Lane, ...]) -> None:
        """The jobs, in their order."""
        self.set_unread("")
        if lanes is self.lanes or lanes == self.lanes:
            return
        before = {lane.key: lane for lane in self.lanes}
        changed = {lane.key for lane in lanes if before.get(lane.key) != lane}
        label_widths = self._label(lanes)
        if label_widths != self._label_widths:
            changed = {lane.key for lane in lanes}
            self._painted.clear()
            self._strips.clear()
            self.refresh_lines(0)
        self.lanes, self._label_widths = lanes, label_widths
        self.set_keys([lane.key for lane in lanes], changed)

    def set_bars(self, bars: Mapping[str, Sequence[Bar]], span_ms: float) -> None:
        """Finished attempts by job. `span_ms`: how far back they reach; the scale follows it until someone zooms."""
        self._bars = bars
        self._span_ms = span_ms
        self._repaint()

    def set_plan(self, schedules: object, count: Count) -> None:
        """How to count coming fires. Counts are asked again when `schedules` is another object."""
        if schedules is not self._plan_of or self._count is None:
            self._plan_of, self._count = schedules, count
            self._planned.clear()
            self._repaint()

    def set_running(self, running: Mapping[str, Sequence[Bar]]) -> None:
        """Attempts in hand, by job."""
        if running != self._in_hand:
            self._in_hand = running
            self._repaint()

    def set_now(self, now_ms: int) -> None:
        """The time. Costs nothing until the window moves by a column, or the next minute's fires become the past."""
        before = self.view, self._now_ms // 60_000
        self._now_ms = now_ms
        if (self.view, now_ms // 60_000) != before:
            self._repaint()

    def zoom(self, by: int) -> None:
        """Finer (negative) or coarser (positive) columns; stays until `zoom_to_fit`."""
        self._zoom = zoomed(self.view.step_ms, by)
        self._repaint()

    @property
    def chosen_step_ms(self) -> int | None:
        """What a column stands for; None while the scale follows the data."""
        return self._zoom

    def zoom_to(self, step_ms: int) -> None:
        """A scale that was chosen before; one that there is not changes nothing."""
        if step_ms // 1000 in STEPS_S and not step_ms % 1000:
            self._zoom = step_ms
            self._repaint()

    def zoom_to_fit(self) -> None:
        """Let the scale follow the data again."""
        self._zoom = None
        self._repaint()

    # --- geometry ---

    @staticmethod
    def _label(lanes: tuple[Lane, ...]) -> tuple[int, int]:
        name = max((width_of(lane.name) for lane in lanes), default=8)
        note = max((width_of(lane.note) for lane in lanes), default=0)
        return name, note

    @property
    def _widths(self) -> tuple[int, int]:
        name, note = self._label_widths
        return min(name, max(8, self.size.width // 5)), min(max(note, 5), 9)

    @property
    def label_width(self) -> int:
        """Columns before the plot."""
        name, note = self._widths
        return 3 + name + 1 + note + 2

    @property
    def count_room(self) -> int:
        """Beside the plot: what stands over it are times."""
        return self.label_width - 1

    @property
    def view(self) -> Window:
        """The visible stretch of time."""
        columns = max(1, self.size.width - self.label_width)
        past = max(1, int(columns * 0.62))
        step = self._zoom or fitting_step(max(self._span_ms, LEAST_SPAN_MS), past)
        return window(self._now_ms, step, columns)

    def _plan(self, key: str, view: Window) -> tuple[int, Sequence[str]]:
        """The column where the future begins, and the glyphs from there on; counted for all lanes in sight at once."""
        begin, cuts = edges(view, self._now_ms)
        if (view, cuts) != self._planned_for:
            self._planned_for = (view, cuts)
            self._planned.clear()
        if key not in self._planned:
            sight = [key, *(k for k in self.keys[self.top : self.top + self.page_rows] if k not in self._planned)]
            found = self._count(sight, cuts) if self._count is not None and len(cuts) > 1 else {}
            self._planned |= {k: plan(found.get(k, ())) for k in sight}
        return begin, self._planned[key]

    def _lane_cell(self, key: str) -> Cell:
        view = self.view
        begin, planned = self._plan(key, view)
        running = [Bar(b.start_ms, max(self._now_ms, b.start_ms), "running") for b in self._in_hand.get(key, ())]
        return as_cell(paint([*self._bars.get(key, ()), *running], begin, planned, view))

    def _repaint(self) -> None:
        """Draw the visible lanes anew and refresh the lines of those that look different."""
        for line, key in enumerate(self.keys[self.top : self.top + self.page_rows]):
            drawn = self._lane_cell(key)
            if self._painted.get(key, (None, ()))[1] != drawn:
                self._painted[key] = (self.view, drawn)
                self.refresh_lines(self.HEAD + line)
        if self._axis_content() != self._axis[1]:
            self.refresh_lines(0)

    def on_resize(self) -> None:
        """Another width is another window."""
        super().on_resize()
        self._painted.clear()

    # --- drawing ---

    def _axis_content(self) -> Cell:
        view = self.view
        step = view.step_ms // 1000
        scale = f"{step}s" if step < 60 else f"{step // 60}m" if step < 3600 else f"{step // 3600}h"
        name, note = self._widths
        label = cells(
            "   ", fit(cell("job", "head"), name), " ", fit(cell("next", "head"), note, "right"), "  ",
        )  # fmt: skip
        line = axis(view, self.zone)
        toned = [(glyph, "faint" if glyph == "╷" else "head") for glyph in line]
        for column in range(view.now_column, min(view.now_column + 5, view.columns)):
            toned[column] = (line[column], "plan")
        hint = f" {scale}/col"
        if len(toned) >= 40 and not "".join(line[-len(hint) :]).strip():
            toned[-len(hint) :] = [(glyph, "faint") for glyph in hint]
        return cells(label, as_cell(toned))

    def head_content(self, line: int) -> Cell:
        """The axis."""
        self._axis = (None, self._axis_content())
        return self._axis[1]

    def row_version(self, index: int) -> object:
        """The label and the painted lane."""
        key = self.keys[index]
        painted = self._painted.get(key)
        if painted is None or painted[0] != self.view:
            painted = self._painted[key] = (self.view, self._lane_cell(key))
        return self.lanes[index], painted[1]

    def row_strip(self, index: int, over: str) -> Strip:
        """Mark, state, name, next fire, plot."""
        lane = self.lanes[index]
        name, note = self._widths
        return self.strip(
            cells(
                cell("▌" if over else " ", "" if self.has_focus else "faint"),
                fit(lane.state, 1), " ", fit(lane.name, name), " ",
                fit(lane.note, note, "right"), ((SafeText("  "), ""),), self._painted[lane.key][1],
            ),
            over,
        )  # fmt: skip
