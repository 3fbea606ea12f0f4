"""The base of every widget here: draws cells line by line, caches strips, repaints only lines that changed."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from widgets.named import named
from widgets.safe import Cell, width_of

TONES = ("dim", "faint", "ok", "bad", "warn", "accent", "plan", "strong", "head", "key")
"""What a run of text may look like, besides plain. Colour never carries the meaning alone: glyph or word does."""


class LineWidget(Widget):
    """A widget that draws itself from `Cell`s, with the shared tones as its component classes."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"tone--{tone}" for tone in TONES} | {"line--selected", "line--now"}
    DEFAULT_CSS = """
    LineWidget {
        height: 1fr; color: $foreground; background: $background;
        & > .tone--dim { color: $text-dim; }
        & > .tone--faint { color: $text-faint; }
        & > .tone--ok { color: $success; }
        & > .tone--bad { color: $error; }
        & > .tone--warn { color: $warning; }
        & > .tone--accent { color: $primary; }
        & > .tone--plan { color: $secondary; }
        & > .tone--strong { color: $text-strong; text-style: bold; }
        & > .tone--head { color: $text-dim; }
        & > .tone--key { color: $primary; text-style: bold; }
        & > .line--selected { background: $selected-blurred; }
        & > .line--now { background: $now; }
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

    def tone(self, name: str, over: str = "") -> Style:
        """The style of a tone; `over` names a component class whose background it sits on."""
        key = (name, over)
        style = self._styles_by_tone.get(key)
        if style is None:
            style = self.get_component_rich_style(f"tone--{name}") if name else self.rich_style
            if over:
                style += Style(bgcolor=self.get_component_rich_style(over).bgcolor)
            self._styles_by_tone[key] = style
        return style

    def forget_styles(self) -> None:
        """Theme or focus changed: every strip is drawn anew."""
        self._styles_by_tone.clear()

    def notify_style_update(self) -> None:
        """Textual's hook for changed styles."""
        self.forget_styles()
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

    def refresh_lines(self, first: int, count: int = 1) -> None:
        """Repaint lines of the content area, counted from its top."""
        self.refresh(Region(0, first, self.size.width, count))
