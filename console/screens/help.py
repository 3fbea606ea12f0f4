"""The help dialog, made from the bindings themselves, and the meaning of the glyphs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from textual.binding import Binding, BindingType
from textual.keys import key_to_character

from console.screens.dialog import TextDialog
from console.screens.rows import outcome_cell
from widgets.safe import Cell, cell, cells, fit
from widgets.timeline_geometry import BAND, ENDS, PLANNED, PLANNED_MANY

_NAMES = {
    "tab": "Tab", "enter": "Enter", "escape": "Esc", "space": "Space", "backspace": "Backspace", "delete": "Del",
    "left": "←", "right": "→", "up": "↑", "down": "↓", "pagedown": "PgDn", "pageup": "PgUp",
    "home": "Home", "end": "End", "plus": "+", "minus": "-", "slash": "/", "backslash": "\\",
    "at": "@", "underscore": "_",
}  # fmt: skip


def key_name(key: str) -> str:
    """A key, by Textual's name, as it is printed on a keyboard."""
    *with_it, last = key.split("+")
    shown = _NAMES.get(last) or key_to_character(last) or last
    if with_it or re.fullmatch(r"f\d+", last):
        shown = shown[:1].upper() + shown[1:]
    return "+".join((*(part.capitalize() for part in with_it), shown))


def key_names(keys: str) -> str:
    """A binding's keys as they are printed on a keyboard."""
    return " ".join(key_name(key) for key in keys.split(","))


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
