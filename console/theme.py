"""How the console looks: five themes of its own, and those of the configuration file.

Text on its background keeps a contrast of 4.5 and more (7 in the theme `high-contrast`), what only decorates 3. In
`colour-blind` the colours are those of Okabe and Ito, which stay apart with every kind of colour blindness. No theme
carries a meaning by colour alone: a glyph or a word does.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from textual.theme import Theme

from backends.contexts import Config, known_instead

COLORS = ("background", "panel", "foreground", "primary", "secondary", "success", "warning", "error")
"""What widgets draw with, under Textual's names: running and keys, planned, succeeded, waiting, failed."""


def _theme(name: str, *, dark: bool, variables: dict[str, str], **colors: Any) -> Theme:
    variables = colors | variables  # Textual's own way from one to the other is inexact
    return Theme(name, dark=dark, variables=variables, surface=colors["background"], accent=colors["primary"], **colors)


DARK = _theme(
    "dark",
    dark=True,
    background="#0f141a",
    panel="#151c24",
    foreground="#dadada",
    primary="#87afd7",
    secondary="#d7afff",
    success="#87af87",
    warning="#d7af5f",
    error="#ff8787",
    variables={
        "text-dim": "#9e9e9e",
        "text-faint": "#6c6c6c",
        "text-strong": "#dadada",
        "selected": "#24384f",
        "selected-blurred": "#0f141a",
        "line": "#3a3a3a",
        "line-focus": "#5fafd7",
        "heat-1": "#15222f",
        "heat-2": "#192d40",
        "heat-3": "#1f3c57",
        "heat-4": "#274e72",
    },
)
LIGHT = _theme(
    "light",
    dark=False,
    background="#fbfaf7",
    panel="#f1efe9",
    foreground="#2b3440",
    primary="#1f5f9c",
    secondary="#6b4ea8",
    success="#2c6a2a",
    warning="#855600",
    error="#b3262b",
    variables={
        "text-dim": "#5a6470",
        "text-faint": "#848c96",
        "text-strong": "#10161d",
        "selected": "#cfe2f5",
        "selected-blurred": "#fbfaf7",
        "line": "#c8ccd1",
        "line-focus": "#2f6fab",
        "heat-1": "#e6eff7",
        "heat-2": "#d2e4f3",
        "heat-3": "#b9d5ec",
        "heat-4": "#9cc4e4",
    },
)
HIGH_CONTRAST = _theme(
    "high-contrast",
    dark=True,
    background="#000000",
    panel="#101010",
    foreground="#ffffff",
    primary="#7cc8ff",
    secondary="#e3b0ff",
    success="#5ef070",
    warning="#ffd84a",
    error="#ff8a8a",
    variables={
        "text-dim": "#d0d0d0",
        "text-faint": "#a8a8a8",
        "text-strong": "#ffffff",
        "selected": "#0a3a6e",
        "selected-blurred": "#000000",
        "line": "#909090",
        "line-focus": "#ffff00",
        "heat-1": "#0c1c2e",
        "heat-2": "#12304e",
        "heat-3": "#194570",
        "heat-4": "#205a92",
    },
)
COLOUR_BLIND = _theme(
    "colour-blind",
    dark=True,
    background="#0f141a",
    panel="#151c24",
    foreground="#c9d1db",
    primary="#dfe7f0",
    secondary="#cc79a7",
    success="#56b4e9",
    warning="#f0e442",
    error="#ee7733",
    variables={**DARK.variables, "text-dim": "#8f9aa9", "line-focus": "#dfe7f0"},
)
SIXTEEN = _theme(
    "sixteen",
    dark=True,
    background="#000000",
    panel="#000000",
    foreground="#ffffff",
    primary="#55ffff",
    secondary="#ff55ff",
    success="#55ff55",
    warning="#ffff55",
    error="#ff5555",
    variables={
        "text-dim": "#aaaaaa",
        "text-faint": "#aaaaaa",
        "text-strong": "#ffffff",
        "selected": "#0000aa",
        "selected-blurred": "#000000",
        "now": "#000000",
        "line": "#555555",
        "line-focus": "#55ffff",
        "heat-1": "#000000",
        "heat-2": "#0000aa",
        "heat-3": "#0000aa",
        "heat-4": "#0000aa",
    },
)
"""The sixteen colours of a terminal that has no more, each by its very value: what is only near one becomes grey."""
BUILT_IN = {theme.name: theme for theme in (DARK, LIGHT, HIGH_CONTRAST, COLOUR_BLIND, SIXTEEN)}
VARIABLES = {key: value for key, value in DARK.variables.items() if key not in COLORS}


def theme_for(wanted: str, color_system: str | None) -> str:
    """The theme a console begins with: `wanted`, but for the default one on a terminal of sixteen colours."""
    return SIXTEEN.name if wanted == DARK.name and color_system == "standard" else wanted


def load_themes(config: Config) -> dict[str, Theme]:
    """Our themes, and those of ``[themes.NAME]``: a `base` (by default dark), and colours as ``#rrggbb`` that differ.

    Raises BadInputError.
    """
    found = dict(BUILT_IN)
    for name, table in config.table("themes").items():
        where = f"[themes.{name}]"
        if not re.fullmatch(r"[a-z0-9-]{1,40}", name) or name in BUILT_IN:
            raise config.wrong(f"the theme {name[:40]!r} can't be named so", "take a new name of small letters and '-'")
        if not isinstance(table, dict):
            raise config.wrong(f"{where} is not a table", f"write {where} above its colours")
        base = table.get("base", DARK.name)
        if base not in BUILT_IN:
            raise config.wrong(f"base = {str(base)[:40]!r} in {where}", known_instead(str(base), BUILT_IN))
        found[name] = _changed(config, where, BUILT_IN[base], name, {k: v for k, v in table.items() if k != "base"})
    return found


def _changed(config: Config, where: str, base: Theme, name: str, table: dict[str, Any]) -> Theme:
    known = (*COLORS, *VARIABLES)
    for key, value in table.items():
        if key not in known:
            raise config.wrong(f"unknown colour {key[:40]!r} in {where}", known_instead(key, known))
        if not isinstance(value, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
            raise config.wrong(f"{key} = {str(value)[:40]!r} in {where}", "write a colour as '#7fb8ec'")
    changed: dict[str, Any] = {key: table[key] for key in COLORS if key in table}
    changed["surface"] = changed.get("background", base.surface)
    changed["accent"] = changed.get("primary", base.accent)
    variables = {**base.variables, **{key: table[key] for key in known if key in table}}
    return replace(base, name=name, variables=variables, **changed)
