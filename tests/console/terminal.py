"""A terminal of cells, enough to compare two byte streams by what they leave on the screen."""

from __future__ import annotations

import re

from rich.cells import cell_len

_TOKEN = re.compile(r"\x1b\[(?P<at>\d+;\d+)H|\x1b\[(?P<sgr>[\d;]*)m|(?P<char>[^\x1b])", re.DOTALL)


class Terminal:
    """Understands cursor moves, styles and text; anything else is an error, so nothing foreign can slip by."""

    def __init__(self, width: int, height: int) -> None:
        self.cells: list[list[tuple[str, str]]] = [[(" ", "")] * width for _ in range(height)]
        self.written = 0

    def feed(self, data: str) -> None:
        """Write bytes, so to speak. Raises ValueError for a sequence it does not know."""
        x = y = 0
        style = ""
        self.written += len(data)
        position = 0
        while position < len(data):
            token = _TOKEN.match(data, position)
            if token is None:
                raise ValueError(f"unknown sequence: {data[position : position + 20]!r}")
            position = token.end()
            if token["at"]:
                y, x = (int(part) - 1 for part in token["at"].split(";"))
            elif token["sgr"] is not None:
                style = "" if token["sgr"] in ("", "0") else token["sgr"]
            elif token["char"] == "\n":
                x, y = 0, y + 1
            elif y < len(self.cells):
                size = cell_len(token["char"])
                if size == 0:
                    text, kept = self.cells[y][x - 1]
                    self.cells[y][x - 1] = (text + token["char"], kept)
                for i in range(size):
                    if x + i < len(self.cells[y]):
                        self.cells[y][x + i] = (token["char"] if i == 0 else "", style)
                x += size

    def text(self) -> str:
        """What can be read."""
        return "\n".join("".join(char for char, _ in line) for line in self.cells)
