"""Which dead letters are meant by what is on the screen: the chosen group, the filter, or all there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from backends.model import DeadGroup
from backends.ops.letters import Selection
from console.screens.filters import Filter
from console.screens.runs import whole

FIELDS = ("job", "queue", "group", "error", "payload", "since", "until")


class Scope(msgspec.Struct, frozen=True):
    """`selection`: exactly what the list shows. `words`: the same to be read; `name`: what has to be typed, if it is
    all of a queue, or all there are."""

    selection: Selection
    words: tuple[str, ...]
    name: str = ""


def filtered(chosen: Filter, queues: Sequence[str], now: datetime) -> Selection:
    """The filter as a selection. `queues`: the names of those there are, so that one named in part is looked up."""
    queue = whole(chosen.get("queue"), queues) or ""
    like = {
        name: part
        for name in ("job", "queue", "group")
        if (part := chosen.get(name)) and not (name == "queue" and queue)
    }
    return Selection(
        queue=queue, error=chosen.get("error") or "", payload=chosen.get("payload") or "", since=chosen.since(now),
        until=chosen.until(now), words=chosen.words, without=chosen.without, like=like,
    )  # fmt: skip


def scope(selection: Selection, text: str, group: DeadGroup | None) -> Scope:
    """What R and X mean: the filter `selection`, typed as `text`, within the chosen group."""
    if group is not None:
        words = [f"{group.job}: {group.error_class or group.error[:60]}", f"in the queue {group.queue}"]
        words += [f"that match /{text}"] if selection.filters else []
        return Scope(replace(selection, queue=group.queue, group=group.group), tuple(words))
    if selection.filters:
        return Scope(selection, (f"all that match /{text}",))
    if selection.queue:
        return Scope(selection, (f"all of the queue {selection.queue}",), selection.queue)
    return Scope(replace(selection, everything=True), ("all there are, in every queue",), "all")
