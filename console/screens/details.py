"""Pieces of a page's text: a field, a heading, JSON as lines."""

from __future__ import annotations

import json
import re

from widgets.safe import Cell, SafeText, cell, cells, safe_lines

_KEY = re.compile(r'^(\s*)("(?:[^"\\]|\\.)*")(:.*)$')
_LABEL = 14


def field(label: str, value: object, tone: str = "") -> Cell:
    """``label  value`` on one line."""
    return cells(cell(label.ljust(_LABEL), "dim"), cell(value, tone))


def json_lines(text: str) -> list[Cell]:
    """JSON, indented, with its keys set off; what is not JSON as it is."""
    try:
        pretty = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return [cell(line) for line in safe_lines(text)]
    out: list[Cell] = []
    for line in safe_lines(pretty):
        found = _KEY.match(line)
        if found:
            lead, key, rest = (SafeText(part) for part in found.groups())
            out.append(((lead, ""), (key, "accent"), (rest, "")))
        else:
            out.append(((line, ""),))
    return out
