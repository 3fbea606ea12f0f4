"""A terminal of cells, enough to compare two byte streams by what they leave on the screen."""

from __future__ import annotations

import re

from rich.cells import cell_len

_TOKEN = re.compile(
    r"\x1b\[(?P<at>\d+(?:;\d+)?)H|(?P<rest>\x1b\[K)|\x1b\[(?P<column>\d+)G|\x1b\[(?P<right>\d*)C|\x1b\[(?P<erased>\d+)X|\x1b\[(?P<sgr>[\d;]*)m|\x1b\[(?P<left>\d+)D|\x1b\[(?P<again>\d+)b|(?P<char>[^\x1b])",
    re.DOTALL,
)
_SEEN_IN_BLANKS = {"4", "7", "9"}
ENDED_BY = {
    "22": {"1", "2"}, "23": {"3"}, "24": {"4", "21"}, "25": {"5", "6"}, "27": {"7"}, "28": {"8"}, "29": {"9"},
    "55": {"53"},
}  # fmt: skip
Look = tuple[frozenset[str], str, str]
PLAIN: Look = (frozenset(), "", "")


def in_full(color: str) -> str:
    """One of xterm's 256 colours as its red, green and blue, but for the 16 that every terminal has its own of."""
    kind, _, number = color.partition(";")
    if kind != "5" or int(number) < 16:
        return color
    n = int(number) - 16
    if n >= 216:
        return f"2;{8 + 10 * (n - 216)};{8 + 10 * (n - 216)};{8 + 10 * (n - 216)}"
    red, green, blue = ((55 + 40 * level if level else 0) for level in (n // 36, n // 6 % 6, n % 6))
    return f"2;{red};{green};{blue}"


def look_after(look: Look, codes: str) -> Look:
    """(attributes, colour, background) after a style sequence."""
    attributes, color, background = look
    parts = codes.split(";") if codes else ["0"]
    while parts:
        code = parts.pop(0)
        if code in ("38", "48"):
            count = 4 if parts[0] == "2" else 2
            value = in_full(";".join(parts[:count]))
            del parts[:count]
            color, background = (value, background) if code == "38" else (color, value)
        elif code == "0":
            attributes, color, background = PLAIN
        elif code == "39":
            color = ""
        elif code == "49":
            background = ""
        elif 30 <= int(code) <= 37 or 90 <= int(code) <= 97:
            color = code
        elif 40 <= int(code) <= 47 or 100 <= int(code) <= 107:
            background = code
        elif code in ENDED_BY:
            attributes -= ENDED_BY[code]
        else:
            attributes |= {code}
    return attributes, color, background


class Terminal:
    """Understands cursor moves, styles and text; anything else is an error, so nothing foreign can slip by."""

    def __init__(self, width: int, height: int) -> None:
        self.cells: list[list[tuple[str, Look]]] = [[(" ", PLAIN)] * width for _ in range(height)]
        self.written = 0
        self.look = PLAIN
        """As it was left."""

    def feed(self, data: str) -> None:
        """Write bytes, so to speak. Raises ValueError for a sequence it does not know."""
        x = y = 0
        look = self.look
        self.written += len(data)
        position = 0
        while position < len(data):
            token = _TOKEN.match(data, position)
            if token is None:
                raise ValueError(f"unknown sequence: {data[position : position + 20]!r}")
            position = token.end()
            if token["sgr"] is None and (token["char"] is None or token["char"] in "\b\v"):
                x = min(x, len(self.cells[0]) - 1)  # it does not wrap: it has stayed in the last column
            if token["at"]:
                y, x = (int(part) - 1 for part in f"{token['at']};1".split(";")[:2])
            elif token["rest"]:
                self._erase(y, x, len(self.cells[y]), look)
            elif token["column"]:
                x = int(token["column"]) - 1
            elif token["right"] is not None:
                x += int(token["right"] or 1)
            elif token["left"]:
                x -= int(token["left"])
            elif token["char"] == "\v":
                y += 1
            elif token["char"] == "\r":
                x = 0
            elif token["again"]:
                start, x = x, x + int(token["again"])
                for column in range(start, x):
                    self._put(y, column, self.cells[y][start - 1][0], look)
            elif token["char"] == "\b":
                x -= 1
            elif token["erased"]:
                self._erase(y, x, min(x + int(token["erased"]), len(self.cells[y])), look)
            elif token["sgr"] is not None:
                look = look_after(look, token["sgr"])
            elif token["char"] == "\n":
                x, y = 0, y + 1
            elif y < len(self.cells):
                size = cell_len(token["char"])
                if size == 0:
                    text, kept = self.cells[y][x - 1]
                    self.cells[y][x - 1] = (text + token["char"], kept)
                for i in range(size):
                    if x + i < len(self.cells[y]):
                        self._put(y, x + i, token["char"] if i == 0 else "", look)
                x += size
        self.look = look

    def _erase(self, y: int, start: int, end: int, look: Look) -> None:
        """What is erased has the background and nothing else (bce)."""
        for column in range(start, end):
            self.cells[y][column] = (" ", (frozenset(), "", look[2]))

    def _put(self, y: int, x: int, char: str, look: Look) -> None:
        if char == " " and not look[0] & _SEEN_IN_BLANKS:
            look = (frozenset(), "", look[2])  # what colour nothing has can't be seen
        self.cells[y][x] = (char, look)

    def text(self) -> str:
        """What can be read."""
        return "\n".join("".join(char for char, _ in line) for line in self.cells)
