"""The help dialog, made from the bindings themselves, and the meaning of the glyphs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeAlias

from textual.binding import Binding, BindingType
from textual.keys import key_to_character

from console.keymap import class_bindings, mapped
from console.screens.dialog import TextDialog
from console.screens.rows import outcome_cell
from widgets.rowlist import RowList
from widgets.safe import Cell, cell, cells, fit
from widgets.timeline_geometry import BAND, ENDS, PLANNED, PLANNED_MANY

if TYPE_CHECKING:
    from console.screens.base import ConsoleScreen

PanelKeys: TypeAlias = Sequence[tuple[str, Sequence[BindingType]]]
"""(where, bindings) of each panel that is no list."""
_NAMES = {
    "tab": "Tab", "enter": "Enter", "escape": "Esc", "space": "Space", "backspace": "Backspace", "delete": "Del",
    "left": "←", "right": "→", "up": "↑", "down": "↓", "pagedown": "PgDn", "pageup": "PgUp",
    "home": "Home", "end": "End", "plus": "+", "minus": "-", "slash": "/", "backslash": "\\",
    "at": "@", "underscore": "_", "colon": ":", "question_mark": "?", "equals_sign": "=",
    "less_than_sign": "<", "greater_than_sign": ">", "right_square_bracket": "]",
}  # fmt: skip
"""Those we use: to look one up among the names of Unicode brings half a megabyte of them into memory."""


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


def key_groups(screen: ConsoleScreen, shared: type) -> list[tuple[str, list[Binding]]]:
    """Every key that means something on a screen, each once. `shared`: the class whose keys every screen has."""
    keymap, everywhere = screen.shell.keymap, class_bindings(shared)
    here = [b for b in class_bindings(type(screen)) if b not in everywhere]
    app = class_bindings(type(screen.app))
    own = mapped(here, keymap)
    panels = [(title, mapped(bindings, keymap)) for title, bindings in screen.panel_keys()]
    taken = {b.key for group in (own, *(keys for _, keys in panels)) for b in group}
    general = mapped([b for b in everywhere if b not in here], keymap)
    general += mapped([b for b in app if not is_screen(b)], keymap)
    return [
        ("Here", own), *panels, ("In lists", mapped(RowList.BINDINGS, keymap)),
        ("Everywhere", [b for b in general if b.key not in taken]),
        ("Screens", mapped([b for b in app if is_screen(b)], keymap)),
    ]  # fmt: skip


def is_screen(binding: Binding) -> bool:
    """Whether its key leads to a screen."""
    return (binding.id or "").startswith("go_")


TWO_COLUMNS = 110
"""Columns of a terminal that has room for keys beside each other."""
HALF = 50
KEYS = 13
"""Columns for keys; a group with longer ones takes more."""


class HelpDialog(TextDialog):
    """Keys by group, side by side where there is room, then the glyphs."""

    def __init__(self, groups: Iterable[tuple[str, Iterable[BindingType]]]) -> None:
        self._groups = [_group(title, bindings) for title, bindings in groups]
        super().__init__("Help", ())

    def on_mount(self) -> None:
        """As wide as the terminal is."""
        super().on_mount()
        self._lay_out()

    def on_resize(self) -> None:
        """Another width."""
        self._lay_out()

    def _lay_out(self) -> None:
        if self.app.size.width >= TWO_COLUMNS:
            self.show([*_beside(self._groups), *_glyphs()])
        else:
            self.show([*(line for group in self._groups for line in group), *_glyphs()])


def _group(title: str, bindings: Iterable[BindingType]) -> list[Cell]:
    keys = [b for b in bindings if isinstance(b, Binding)]
    width = max([KEYS, *(len(key_names(b.key)) + 1 for b in keys)])
    shown = [cells("  ", fit(cell(key_names(b.key), "key"), width), cell(b.description)) for b in keys]
    return [cell(title, "strong"), *shown, ()]


def _beside(groups: Sequence[list[Cell]]) -> list[Cell]:
    """The first groups left, the others right of them, so that both sides are about as long."""
    lines = [sum(map(len, groups[:n])) for n in range(len(groups) + 1)]
    split = min(range(1, len(groups) + 1), key=lambda n: max(lines[n], lines[-1] - lines[n]))
    left, right = ([line for group in part for line in group] for part in (groups[:split], groups[split:]))
    return [cells(fit(one, HALF), other) for one, other in zip_longest(left, right, fillvalue=())]


def _glyphs() -> list[Cell]:
    lines: list[Cell] = [cell("On the time line", "strong")]
    for outcome in ENDS:
        glyph, tone, _ = ENDS[outcome]
        lines.append(cells("  ", fit(cell(glyph, tone), 4), outcome_cell(outcome)))
    for glyph, meaning in ((PLANNED, "planned fire"), (PLANNED_MANY, "several planned fires")):
        lines.append(cells("  ", fit(cell(glyph, "plan"), 4), cell(meaning)))
    band = "".join(glyph for _, glyph in reversed(BAND))
    told = "frequent fires: fewer than 4, 4 to 15, 16 or more a column"
    return [*lines, cells("  ", fit(cell(band, "plan"), 4), cell(told))]
