"""The console's own look: dark, calm, few colours. Text on background keeps a contrast of 4.5 and more."""

from __future__ import annotations

from textual.theme import Theme

VARIABLES = {
    "text-dim": "#8793a3",
    "text-faint": "#5d6978",
    "text-strong": "#e8edf4",
    "selected": "#24384f",
    "selected-blurred": "#0f141a",
    "now": "#18222d",
    "line": "#2f3b49",
    "line-focus": "#6ea8dc",
}

CALM = Theme(
    name="cronsole",
    primary="#7fb8ec",
    secondary="#b39ddb",
    accent="#7fb8ec",
    foreground="#c3ccd8",
    background="#0f141a",
    surface="#0f141a",
    panel="#151c24",
    success="#86b87f",
    warning="#dcb067",
    error="#ec7c80",
    dark=True,
    variables=VARIABLES,
)
