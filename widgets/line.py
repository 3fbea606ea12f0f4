"""The base of every widget here: draws cells line by line, caches strips, repaints only lines that changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from widgets.named import named
from widgets.safe import Cell, width_of

TONES: Mapping[str, tuple[str, bool]] = {
    "dim": ("text-dim", False),
    "faint": ("text-faint", False),
    "ok": ("success", False),
    "bad": ("error", False),
    "warn": ("warning", False),
    "accent": ("primary", False),
    "plan": ("secondary", False),
    "strong": ("text-strong", True),
    "head": ("text-dim", False),
    "key": ("primary", True),
}
"""What a run of text may look like, besides plain: (colour of the theme, bold). A glyph or a word says it too."""
BADGES: Mapping[str, str] = {
    "badge-red": "error",
    "badge-yellow": "warning",
    "badge-green": "success",
    "badge-blue": "primary",
    "badge-purple": "secondary",
    "badge-grey": "text-dim",
}
"""Tones of text on a ground of its own: the colour of the ground."""


class LineWidget(Widget):
    """A widget that draws itself from `Cell`s, in tones that the theme alone decides.

    They are no component classes: Textual makes a node of each, for each widget, at each change of style.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"line--selected"}
    DEFAULT_CSS = """
    LineWidget {
        height: 1fr; color: $foreground; background: $background;
        & > .line--selected { background: $selected-blurred; }
        &:focus > .line--selected { background: $selected; }
    }
    """

    def __init_subclass__(cls, **options: bool) -> None:
        """Every key of a widget can be mapped."""
        if "BINDINGS" in cls.__dict__:
            cls.BINDINGS = named(cls.BINDINGS)
        super().__init_subclass__(**options)

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes, markup=False)
        self._styles_by_tone: dict[tuple[str, str], Style] = {}
        self._theme = ""

    def tone(self, name: str, over: str = "") -> Style:
        """The style of a tone; `over` names a component class whose background it sits on.

        The chosen row is what is read: nothing in it is dim.
        """
        key = (name, over)
        style = self._styles_by_tone.get(key)
        if style is None:
            chosen = over == "line--selected" and self.has_focus
            seen = "" if chosen and name in ("dim", "faint") else name
            style = self.rich_style + self._look(seen) if seen else self.rich_style
            if over:
                style += Style(bgcolor=self.get_component_rich_style(over).bgcolor)
            self._styles_by_tone[key] = style
        return style

    def _look(self, name: str) -> Style:
        """What a tone adds to the widget's own style."""
        if name in BADGES:
            return Style(color=self._color("background"), bgcolor=self._color(BADGES[name]), bold=True)
        variable, bold = TONES[name]
        return Style(color=self._color(variable), bold=bold or None)

    def _color(self, variable: str) -> RichColor:
        return Color.parse(self.app.theme_variables[variable]).rich_color

    def forget_styles(self) -> None:
        """Theme or focus changed: every strip is drawn anew."""
        self._styles_by_tone.clear()

    def notify_style_update(self) -> None:
        """Textual's hook for changed styles; a theme may differ in tones alone."""
        self.forget_styles()
        if self._theme != self.app.theme:
            self._theme = self.app.theme
            self.refresh()
        super().notify_style_update()

    def strip(self, content: Cell, over: str = "") -> Strip:
        """`content` as a strip of the widget's width, one segment a style run."""
        width = self.size.width
        segments: list[Segment] = []
        text, style = "", None
        for piece, name in content:
            wanted = self.tone(name, over)
            if style is not None and wanted != style:
                segments.append(Segment(text, style))
                text = ""
            text += piece
            style = wanted
        if text:
            segments.append(Segment(text, style))
        base = self.tone("", over)
        return Strip(segments, width_of(content)).adjust_cell_length(width, base)

    def plain_text(self) -> str:
        """What the widget says, where that is a text and not a list of things: what is copied of it."""
        return ""

    def refresh_lines(self, first: int, count: int = 1) -> None:
        """Repaint lines of the content area, counted from its top."""
        self.refresh(Region(0, first, self.size.width, count))
