"""The gate for text from outside is not walked around: read from the source, so that a new screen is held to it too.

A plain string that Textual gets may hold markup, and ``[@click=app.quit]`` in it runs on a click.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from widgets.safe import to_ascii

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for folder in ("console", "widgets") for path in (ROOT / folder).rglob("*.py"))
PARSING = {
    "Static", "Label", "Button", "Tab", "TabPane", "Option", "OptionList", "DataTable", "RichLog", "Log", "Tree",
    "Markdown", "Select", "Collapsible", "Header", "Footer", "TextArea", "Rule", "ListItem", "Checkbox", "Toast",
}  # fmt: skip
"""Widgets of Textual that take strings and read markup in them, or let control characters through."""
TITLES = ("border_title", "border_subtitle", "tooltip", "sub_title")
SAFE = ("Content", "cells_title")
"""What may be a title: `Content` reads no markup."""


def problems(source: str) -> Iterator[str]:
    """What in a file may hand text from outside to a parser."""
    for node in ast.walk(ast.parse(source)):
        line = f"line {getattr(node, 'lineno', 0)}: "
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            if name == "notify" and not (isinstance(off := named.get("markup"), ast.Constant) and off.value is False):
                yield line + "notify() without markup=False"
            if name in PARSING and not all(isinstance(value, ast.Constant) for value in node.args):
                yield line + f"{name}() with something that is no literal"
            if name in ("from_markup", "from_ansi", "render_markup"):
                yield line + f"{name}() parses"
            if name == "write" and "_driver" in ast.dump(node.func) and "clipboard" not in ast.dump(node.args[0]):
                yield line + "writes to the terminal by itself"
            if name == "Content" and not (node.args and len(node.args) == 1):
                yield line + "Content() with more than a text"
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            made = node.value.func if isinstance(node.value, ast.Call) else None
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr in TITLES and getattr(made, "id", "") not in SAFE:
                    yield line + f"{target.attr} that is no Content"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_walks_around_the_gate(path: Path) -> None:
    assert not list(problems(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "bad",
    [
        "self.notify(text)", "self.app.notify(text, markup=True)", "self.notify(text, markup=flag)",
        "yield widgets.Label(f'{name}')", "Content.from_markup(text)", "Text.from_markup(text)", "Text.from_ansi(text)",
        "self.border_title = text", "self.query_one('#a').border_title = f'x {name}'",
        "yield Static(text)", "pane.border_subtitle = safe_line(text)",
        "pane.tooltip = name", "yield Button(name)", "self.app._driver.write(text)",
    ],
)  # fmt: skip
def test_what_is_forbidden_is_found(bad: str) -> None:
    assert list(problems(bad))


def test_what_is_allowed_is_not() -> None:
    good = "self.notify(text, markup=False)\nyield Static('a')\npane.border_title = Content(safe_line(text))"
    assert not list(problems(good))


def test_every_glyph_of_ours_has_a_stand_in() -> None:
    """On a terminal without UTF-8 what has none is a question mark."""
    found: dict[str, str] = {}
    for path in (path for path in SOURCES if "demo" not in path.parts):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
                found |= {char: path.name for char in node.value if not char.isascii() and not char.isalpha()}
    del found["�"], found["⺀"]  # never shown: what a wide character is known by
    unknown = {char: name for char, name in found.items() if to_ascii(f"{char} ").startswith("?")}
    assert len(found) > 40
    assert not unknown
