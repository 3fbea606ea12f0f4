"""A payload as a tree: every value as it was written, double keys and broken bytes included. Pure data, no drawing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BRANCH = 100
"""So many children a node shows at most; more of them stand in ranges, so that opening any node costs little."""
PIECE = 100
"""Characters of a text that stand on one line."""


@dataclass(frozen=True, slots=True)
class Node:
    """`label`: the key it has in its parent; `text`: what is shown of its value; `tone` of the value.

    `children`: an object's pairs, a list's items, a text's lines; `start`, `end`: which of them this node stands for.
    """

    path: str
    label: str
    text: str
    tone: str = ""
    children: Any = ()
    kind: str = "leaf"  # leaf, object, list, lines
    start: int = 0
    end: int = 0

    @property
    def foldable(self) -> bool:
        """Whether there is something in it."""
        return self.end > self.start


class Literal(str):
    """A number as it was written: 1.0, 1e400 and 12345678901234567890 stay what they are."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """An object whose keys may come twice."""


def parse(raw: bytes) -> tuple[list[Node], str]:
    """(the nodes at the top, what is wrong with `raw` where it is not JSON)."""
    if not raw:
        return [Node("0", "", "(empty)", "dim")], ""
    try:
        text = raw.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=Pairs, parse_int=Literal, parse_float=Literal, parse_constant=Literal
        )
    except UnicodeDecodeError as error:
        return _lines_of(raw), f"not UTF-8: {error.reason} at byte {error.start}"
    except (ValueError, RecursionError) as error:
        return _lines_of(raw), f"not JSON: {error}"
    top = node("", "", value)
    return (list(children(top)) if top.foldable else [top]), ""


def _lines_of(raw: bytes) -> list[Node]:
    pieces = text_lines(raw.decode("utf-8", "backslashreplace"))
    return list(children(Node("", "", "", children=pieces, kind="lines", end=len(pieces))))


def node(path: str, label: str, value: Any) -> Node:
    """The node of a JSON value as `parse` reads it."""
    if isinstance(value, Pairs):
        text = f"{{{len(value)} keys}}" if len(value) != 1 else "{1 key}"
        return Node(path, label, text if value else "{}", "faint", value, "object", 0, len(value))
    if isinstance(value, list):
        text = f"[{len(value)} items]" if len(value) != 1 else "[1 item]"
        return Node(path, label, text if value else "[]", "faint", value, "list", 0, len(value))
    if isinstance(value, Literal):
        return Node(path, label, value, "plan")
    if isinstance(value, str):
        lines = text_lines(value)
        if len(lines) == 1:
            return Node(path, label, json_text(value), "ok")
        return Node(path, label, json_text(value[:PIECE]) + " …", "ok", lines, "lines", 0, len(lines))
    return Node(path, label, {True: "true", False: "false"}.get(value, "null"), "warn")


def json_text(text: str) -> str:
    """A string in its quotes, as JSON writes it, but readable beyond ASCII."""
    return json.dumps(text, ensure_ascii=False)


def text_lines(text: str) -> list[str]:
    """A text in lines, and long lines in pieces."""
    return [
        line[at : at + PIECE]
        for line in text.replace("\r\n", "\n").split("\n")
        for at in range(0, max(len(line), 1), PIECE)
    ]


def children(parent: Node) -> Iterator[Node]:
    """What stands in a node; ranges of it where it is much."""
    size = parent.end - parent.start
    if size > BRANCH:
        step = BRANCH
        while size > step * BRANCH:
            step *= BRANCH
        for at in range(parent.start, parent.end, step):
            end = min(at + step, parent.end)
            yield Node(
                f"{parent.path}/{at}-{end}", f"{at} … {end - 1}", "", "faint", parent.children, parent.kind, at, end
            )
        return
    for n in range(parent.start, parent.end):
        item = parent.children[n]
        if parent.kind == "object":
            yield node(f"{parent.path}/{n}", item[0], item[1])
        elif parent.kind == "list":
            yield node(f"{parent.path}/{n}", str(n), item)
        else:
            yield Node(f"{parent.path}/{n}", "", item)
