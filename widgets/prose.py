"""Sentences to read: wrapped between words, the lines after the first one indented."""

from __future__ import annotations

from rich.cells import cell_len

from widgets.safe import Cell, SafeText, cells
from widgets.textpane import TextPane, wrapped_lines

INDENT = 3


class Prose(TextPane):
    """A `TextPane` for text that has words."""

    def wrapped(self, paragraph: Cell, width: int) -> list[Cell]:
        """Between words, as `prose_lines`."""
        return prose_lines(paragraph, width)


def prose_lines(paragraph: Cell, width: int) -> list[Cell]:
    """`paragraph` between words; a word that is longer than a line is cut as `TextPane` cuts."""
    return [line for part in word_lines(paragraph, width - 1) for line in wrapped_lines(part, width)]


def word_lines(paragraph: Cell, width: int) -> list[Cell]:
    """`paragraph` in lines of whole words."""
    lines: list[list[tuple[SafeText, str]]] = [[]]
    used = 0
    for text, tone in paragraph:
        for number, word in enumerate(text.split(" ")):
            gap = 1 if number else 0
            size = cell_len(word)
            if used > INDENT and used + gap + size > width and word:
                lines.append([(SafeText(" " * INDENT), "")])
                used, gap = INDENT, 0
            if gap:
                lines[-1].append((SafeText(" "), tone))
            lines[-1].append((SafeText(word), tone))
            used += gap + size
    return [cells(tuple(line)) for line in lines]
