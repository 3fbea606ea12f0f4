"""Where in a TOML text a key stands: tomllib parses, but gives no line numbers."""

from __future__ import annotations

import re
import tomllib
from typing import Any

Path = tuple[str, ...]

_SIMPLE = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DOTTED = rf"{_SIMPLE}(?:[ \t]*\.[ \t]*{_SIMPLE})*"
_HEADER = re.compile(rf"[ \t]*\[\[?[ \t]*({_DOTTED})[ \t]*\]")
_KEY = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*|[\[\]{}\n]"
)


def _parts(dotted: str) -> Path:
    value: Any = tomllib.loads(f"{dotted} = 0")
    parts: list[str] = []
    while isinstance(value, dict):
        key, value = next(iter(value.items()))
        parts.append(key)
    return tuple(parts)


class Lines:
    """Line numbers of the tables and keys of one valid TOML text."""

    def __init__(self, text: str) -> None:
        self._at: dict[Path, int] = {}
        table: Path = ()
        line, position = 1, 0
        while position < len(text):
            if header := _HEADER.match(text, position):
                table = _parts(header[1])
                self._note(table, line)
                position = header.end()
            elif key := _KEY.match(text, position):
                self._note(table + _parts(key[1]), line)
                position = key.end()
            end = self._statement_end(text, position)
            line += text.count("\n", position, end)
            position = end

    @staticmethod
    def _statement_end(text: str, position: int) -> int:
        """The index after the newline that ends the statement: one outside of strings and brackets."""
        depth = 0
        for token in _TOKEN.finditer(text, position):
            match token[0]:
                case "[" | "{":
                    depth += 1
                case "]" | "}":
                    depth = max(0, depth - 1)
                case "\n" if depth == 0:
                    return token.end()
        return len(text)

    def _note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self._at.setdefault(path[:length], line)

    def find(self, path: Path) -> int:
        """The line of `path`, or of the nearest thing around it; 0 where nothing of it is in the text."""
        for length in range(len(path), 0, -1):
            if (line := self._at.get(path[:length])) is not None:
                return line
        return 0


def dotted(path: Path) -> str:
    """A path as TOML writes it: parts that are no bare keys are quoted."""
    return ".".join(
        part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for part in path
    )
