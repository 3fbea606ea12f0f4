"""Bindings get names, so that a key map can put them on other keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from textual.binding import Binding, BindingType


def name_of(binding: Binding) -> str:
    """Its id; else its action ("retry", "open" of "open_selected"); else, for one with arguments, its description."""
    if binding.id is not None:
        return binding.id
    if "(" in binding.action:
        return re.sub(r"\W+", "_", binding.description.casefold()).strip("_")
    return binding.action.rpartition(".")[2].removesuffix("_selected")


def named(bindings: Iterable[BindingType]) -> list[BindingType]:
    """The bindings with their names as ids. Of several for one action the first has it; the others stay as they are."""
    found: list[BindingType] = []
    taken: set[str] = set()
    actions: set[str] = set()
    for binding in bindings:
        if isinstance(binding, Binding) and binding.action not in actions and (name := name_of(binding)) not in taken:
            taken.add(name)
            actions.add(binding.action)
            found.append(replace(binding, id=name))
        else:
            found.append(binding)
    return found
