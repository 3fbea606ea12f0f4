"""The key map of the configuration file: ``[keys]`` with ``action = "key"``, or ``"key,key"``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from textual.app import App
from textual.binding import Binding, BindingType
from textual.keys import KEY_NAME_REPLACEMENTS, Keys, _character_to_key
from textual.screen import Screen
from textual.widget import Widget

from backends.contexts import Config, known_instead

KeyMap = Mapping[str, str]
"""Names of bindings (`widgets.named`) → their keys as Textual calls them, separated by commas."""

CONFIRMING = ("y", "enter")
"""Keys that say yes in a dialog: nothing that asks may be on them, so that nobody confirms what he only asked for."""
ON_ENTER = ("open", "fold")
_NAMES = {key.value.rpartition("+")[2] for key in Keys} | set(KEY_NAME_REPLACEMENTS.values())


def class_bindings(owner: type) -> list[Binding]:
    """The bindings of a class and of those it is made from, nearest first, each key once."""
    found: dict[str, Binding] = {}
    for cls in owner.__mro__:
        if cls in (App, Screen, Widget):
            break
        for binding in cls.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding):
                found.setdefault(binding.key, binding)
    return list(found.values())


def mapped(bindings: Iterable[BindingType], keymap: KeyMap) -> list[Binding]:
    """The bindings with the keys they are on."""
    return [
        replace(b, key=keymap.get(b.id, b.key)) if b.id else b for b in bindings if isinstance(b, Binding)
    ]  # fmt: skip


def load_keymap(config: Config, screens: Mapping[str, type], everywhere: Iterable[type]) -> dict[str, str]:
    """Read ``[keys]``. `screens`: by name; `everywhere`: what has keys on each of them.

    Raises BadInputError for an action or a key that is not known, for one key with two meanings on a screen, and for a
    key that would both ask and confirm.
    """
    shared = [b for owner in everywhere for b in class_bindings(owner)]
    on = {name: [*class_bindings(screen), *shared] for name, screen in screens.items()}
    known = {b.id for bindings in on.values() for b in bindings if b.id}
    found: dict[str, str] = {}
    for action, value in config.table("keys").items():
        if action not in known:
            raise config.wrong(f"[keys] has the unknown action {action[:40]!r}", known_instead(action, known))
        if not isinstance(value, str) or not value.strip():
            raise config.wrong(f"[keys] {action} has a wrong value", 'write a key, as "f5", or keys, as "R,ctrl+r"')
        keys = [_key(config, action, part.strip()) for part in value.split(",")] if value != "," else ["comma"]
        if action not in ON_ENTER and (bad := next((key for key in keys if key in CONFIRMING), None)):
            raise config.wrong(f"[keys] {action} can't be on {bad}", "that key says yes in dialogs: take another one")
        found[action] = ",".join(keys)
    for name, bindings in on.items():
        _no_double(config, name, mapped(bindings, found), found)
    return found


def _key(config: Config, action: str, key: str) -> str:
    if len(key) == 1:
        return _character_to_key(key)
    *with_it, last = key.lower().split("+")
    good = all(part in ("ctrl", "shift", "alt") for part in with_it) and (last in _NAMES or len(last) == 1)
    if not good:
        raise config.wrong(f"[keys] {action} = {key[:30]!r} is no key", 'write "R", "f5", "ctrl+r", "space", "pageup"')
    return "+".join((*with_it, last))


def _no_double(config: Config, screen: str, bindings: list[Binding], changed: KeyMap) -> None:
    meaning: dict[str, str] = {}
    for binding in bindings:
        for key in binding.key.split(","):
            name = binding.id or binding.action
            other = meaning.setdefault(key, name)
            if other != name and (name in changed or other in changed):
                raise config.wrong(
                    f"[keys] puts {other} and {name} on one key, {key}, on the screen {screen}",
                    "give one of them another key",
                )
