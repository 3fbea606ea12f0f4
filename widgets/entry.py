"""A line to type into. What is pasted may come from anywhere: only printable characters enter."""

from __future__ import annotations

from textual.widgets import Input

from widgets.safe import safe_line

LONGEST = 500


class Entry(Input):
    """One line high, no frame, no blinking: a blinking cursor costs kilobytes a second over SSH."""

    DEFAULT_CSS = """
    Entry {
        background: transparent; height: 1; border: none; padding: 0;
        &:focus { border: none; background: transparent; }
    }
    """

    def __init__(self, value: str = "", *, placeholder: str = "", id: str | None = None) -> None:  # noqa: A002
        super().__init__(
            printable(value), placeholder=placeholder, id=id, max_length=LONGEST, compact=True, select_on_focus=False
        )
        self.cursor_blink = False

    def replace(self, text: str, start: int, end: int) -> None:
        """Every way of entering text ends here; of what is too long the beginning enters, so that something is seen."""
        left = len(self.value) - len(self.value[min(start, end) : max(start, end)])
        super().replace(printable(text)[: max(LONGEST - left, 0)], start, end)


def printable(text: str) -> str:
    """`text` without what a terminal would act on: control and bidi characters, line ends, piles of marks."""
    return safe_line("".join(c for c in text if c.isprintable()), LONGEST)
