"""The help dialog, made from the bindings themselves, and the meaning of the glyphs."""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding, BindingType

from console.screens.dialog import TextDialog
from console.screens.rows import outcome_cell
from widgets.safe import Cell, cell, cells, fit
from widgets.timeline_geometry import BAND, ENDS, PLANNED, PLANNED_MANY

_NAMES = {
    "question_mark": "?", "slash": "/", "colon": ":", "plus": "+", "equals_sign": "=", "minus": "-",
    "enter": "Enter", "tab": "Tab", "shift+tab": "Shift+Tab",
    "right_square_bracket": "]", "less_than_sign": "<", "greater_than_sign": ">", "f1": "F1", "ctrl+o": "Ctrl+O",
    "left": "←", "right": "→",
    "pagedown": "PgDn", "pageup": "PgUp", "escape": "Esc", "down": "↓", "up": "↑", "home": "Home", "end": "End",
    "ctrl+c": "Ctrl+C", "ctrl+d": "Ctrl+D", "ctrl+u": "Ctrl+U", "ctrl+l": "Ctrl+L",
    "space": "Space", "backspace": "Backspace", "delete": "Del", "left_square_bracket": "[",
}  # fmt: skip


def key_names(keys: str) -> str:
    """A binding's keys as they are printed on a keyboard."""
    return " ".join(_NAMES.get(key, key) for key in keys.split(","))


class HelpDialog(TextDialog):
    """Keys by group, then the glyphs."""

    def __init__(self, groups: Iterable[tuple[str, Iterable[BindingType]]]) -> None:
        lines: list[Cell] = []
        for title, bindings in groups:
            lines += [cell(title, "strong")]
            for binding in bindings:
                if isinstance(binding, Binding):
                    lines.append(cells("  ", fit(cell(key_names(binding.key), "key"), 16), cell(binding.description)))
            lines.append(())
        lines.append(cell("On the time line", "strong"))
        for outcome in ENDS:
            glyph, tone, _ = ENDS[outcome]
            lines.append(cells("  ", fit(cell(glyph, tone), 4), outcome_cell(outcome)))
        for glyph, meaning in ((PLANNED, "planned fire"), (PLANNED_MANY, "several planned fires")):
            lines.append(cells("  ", fit(cell(glyph, "plan"), 4), cell(meaning)))
        band = "".join(glyph for _, glyph in reversed(BAND))
        lines.append(
            cells("  ", fit(cell(band, "plan"), 4), cell("frequent fires: fewer than 4, 4 to 15, 16 or more a column"))
        )
        super().__init__("Help", lines)
