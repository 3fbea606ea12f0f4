"""A payload to walk through: nodes that open and close, drawn line by line, never parsed as markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.strip import Strip

from widgets.rowlist import RowList
from widgets.safe import Cell, cell, cells
from widgets.tree_data import Node, children

OPENED_FIRST = 40
"""So many rows are opened without being asked."""


class Tree(RowList):
    """Rows are nodes in sight; a node that is closed costs nothing, however much is in it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "fold", "open or close", show=False),
        Binding("l,right", "unfold", "open", show=False),
        Binding("h,left", "close", "close, or to the parent", show=False),
    ]
    HEAD = 0

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._tops: Sequence[Node] = ()
        self._open: set[str] = set()
        self._shown: list[tuple[Node, int]] = []

    def show(self, nodes: Sequence[Node]) -> None:
        """Show these nodes, opened from above as far as there is room."""
        self._tops, self._open = nodes, set()
        level = [node for node in nodes if node.foldable and node.kind != "lines"]
        used = len(nodes)
        while level:
            following: list[Node] = []
            for node in level:
                inside = list(children(node))
                if used + len(inside) > OPENED_FIRST:
                    continue
                used += len(inside)
                self._open.add(node.path)
                following += [child for child in inside if child.foldable and child.kind != "lines"]
            level = following
        self._strips.clear()
        self.set_keys((), set())
        self._lay_out()

    def _lay_out(self, changed: str | None = None) -> None:
        """Which rows there are; `changed`: the one that opened or closed, None for all."""
        self._shown = []
        stack = [(node, 0) for node in reversed(self._tops)]
        while stack:
            node, depth = stack.pop()
            self._shown.append((node, depth))
            if node.path in self._open:
                stack += [(child, depth + 1) for child in reversed(list(children(node)))]
        paths = [node.path for node, _ in self._shown]
        self.set_keys(paths, set(paths) if changed is None else {changed})

    def plain_text(self) -> str:
        """Every node, whether it is open or not, indented by its depth."""
        lines: list[str] = []
        stack = [(node, 0) for node in reversed(self._tops)]
        while stack:
            node, depth = stack.pop()
            text = cells(cell(node.label), ": " if node.label and node.text else "", cell(node.text))
            lines.append("  " * depth + "".join(piece for piece, _ in text) + "\n")
            stack += [(child, depth + 1) for child in reversed(list(children(node)))]
        return "".join(lines)

    @property
    def chosen(self) -> Node | None:
        """The node under the cursor."""
        return self._shown[self.cursor_index][0] if self.cursor_index >= 0 else None

    def action_fold(self) -> None:
        """Open what is closed, close what is open."""
        node = self.chosen
        if node is not None and node.foldable:
            self._open ^= {node.path}
            self._lay_out(node.path)

    def action_unfold(self) -> None:
        """Open; what is open already, or a leaf, moves on to the next row."""
        node = self.chosen
        if node is not None and node.foldable and node.path not in self._open:
            self.action_fold()
        else:
            self.action_move(1)

    def action_close(self) -> None:
        """Close; what is closed already leads to its parent."""
        node = self.chosen
        if node is None:
            return
        if node.path in self._open:
            self.action_fold()
            return
        depth = self._shown[self.cursor_index][1]
        for index in range(self.cursor_index - 1, -1, -1):
            if self._shown[index][1] < depth:
                self.choose(index)
                return

    def action_open(self) -> None:
        """A second click."""
        self.action_fold()

    def row_version(self, index: int) -> object:
        """A node never changes, but opens."""
        node, depth = self._shown[index]
        return depth, node.path in self._open, node.label, node.text

    def row_strip(self, index: int, over: str) -> Strip:
        """``▾ key: value``."""
        node, depth = self._shown[index]
        sign = ("▾ " if node.path in self._open else "▸ ") if node.foldable else "  "
        mark = cell("▌" if over else " ", "accent" if self.has_focus else "faint")
        label: Cell = ()
        if node.label:
            label = cells(cell(node.label, "accent"), cell(": " if node.text else "", "faint"))
        text = node.text[:500]
        return self.strip(cells(mark, "  " * min(depth, 20), cell(sign, "faint"), label, cell(text, node.tone)), over)
