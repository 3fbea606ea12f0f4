"""Dead letters of many queues as one list, without their envelopes: two round trips a page, however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import nsmallest
from typing import Any, TypeVar

import msgspec

from backends.model import DeadGroup, DeadLetter
from backends.queues.base import STEP, chunks
from backends.queues.dead_index import ask_count, ask_page, letter_from, read_pairs
from backends.queues.scripts import script

T = TypeVar("T")

GROUPS_READ = 5_000
"""So many groups of a queue are counted; where there are more, errors are not told apart by their kind."""
FEW_LISTS = 8
"""Up to so many lists are each asked for a whole page."""

Where = tuple[int, str, str]
"""A letter in the merged list: sequence, queue, run id."""


class Heads(msgspec.Struct, frozen=True):
    """Letters without envelopes, newest first; `last`: (sequence, queue) to go on from, in the direction in which the
    page was asked for; None at the end."""

    letters: tuple[DeadLetter, ...]
    last: tuple[int, str] | None
    total: int


async def dead_heads(
    client: Any,
    prefixes: Mapping[str, str],
    limit: int,
    before: Mapping[str, int] | None = None,
    groups: Sequence[tuple[str, str]] = (),
    *,
    after: Mapping[str, int] | None = None,
) -> Heads:
    """A page over the queues `prefixes` (name → key prefix), each below its sequence in `before`.

    With `after` the page next above that sequence of each. `groups`: only these, as (queue, group).
    """
    lists = [(name, group) for name, group in groups if name in prefixes]
    if not groups:
        lists = [(name, "") for name in prefixes]
    source = _Lists(client, prefixes, before, after)
    found, total = await source.read(lists, limit + 1)
    page = found[:limit]
    last = (page[-1][0], page[-1][1]) if len(found) > limit else None
    letters = await _load(client, prefixes, page if after is None else page[::-1])
    return Heads(tuple(letters), last, total)


class _Lists(msgspec.Struct, frozen=True):
    """Several lists of letters, (queue, group) each, to be merged in the direction that was asked for."""

    client: Any
    prefixes: Mapping[str, str]
    before: Mapping[str, int] | None
    after: Mapping[str, int] | None

    async def read(self, lists: Sequence[tuple[str, str]], wanted: int) -> tuple[list[Where], int]:
        """(the first `wanted` letters of all lists or more, how many there are in all).

        Of many lists a few letters each are read at first; then more of those that ran out within the page.
        """
        first = wanted if len(lists) <= FEW_LISTS else max(2, 4 * wanted // len(lists))
        answers, total = await self._ask(lists, first, count=True)
        if first < wanted:
            found = self._in_order([where for answer in answers for where in answer])
            end = found[wanted - 1] if len(found) >= wanted else None
            short = [
                n
                for n, answer in enumerate(answers)
                if len(answer) == first and (end is None or self._key(answer[-1]) < self._key(end))
            ]
            more, _ = await self._ask([lists[n] for n in short], wanted, count=False)
            for n, answer in zip(short, more, strict=True):
                answers[n] = answer
        return self._in_order([where for answer in answers for where in answer]), total

    async def _ask(self, lists: Sequence[tuple[str, str]], limit: int, *, count: bool) -> tuple[list[list[Where]], int]:
        if not lists:
            return [], 0
        pipe = self.client.pipeline(transaction=False)
        for name, group in lists:
            before, after = (None if ends is None else ends[name] for ends in (self.before, self.after))
            ask_page(pipe, self.prefixes[name], group, limit, before, after)
        if count:
            for name, group in lists:
                ask_count(pipe, self.prefixes[name], group)
        answers = await pipe.execute()
        pages = [
            [(sequence, name, run) for run, sequence in read_pairs(answer, group)]
            for (name, group), answer in zip(lists, answers[: len(lists)], strict=True)
        ]
        return pages, sum(answers[len(lists) :])

    def _in_order(self, found: list[Where]) -> list[Where]:
        return sorted(found, key=self._key, reverse=self.after is not None)

    def _key(self, where: Where) -> tuple[int, str]:
        return -where[0], where[1]


async def dead_groups(client: Any, prefixes: Mapping[str, str], limit: int) -> tuple[list[DeadGroup], int]:
    """(the largest groups of these queues, how many groups there are)."""
    pipe = client.pipeline(transaction=False)
    for prefix in prefixes.values():
        pipe.hlen(f"{prefix}dead:groups")
        pipe.hscan(f"{prefix}dead:groups", 0, count=GROUPS_READ)
    answers: list[Any] = await pipe.execute() if prefixes else []
    counted = nsmallest(
        limit,
        [
            (-int(n), name, group)
            for name, (_, some) in zip(prefixes, answers[1::2], strict=True)
            for group, n in some.items()
        ],
    )
    chosen: dict[str, list[bytes]] = {}
    for _, name, group in counted:
        chosen.setdefault(name, []).append(group)
    parts = _parts(chosen)
    told = await script("group_ends").many(client, [(prefixes[name], part) for name, part in parts])
    ends = {
        (name, group): answer[4 * n : 4 * n + 4]
        for (name, part), answer in zip(parts, told, strict=True)
        for n, group in enumerate(part)
    }
    groups = []
    for count, name, group in counted:
        oldest, oldest_head, newest, head = ends[name, group]
        if head is None:  # the group was emptied meanwhile
            continue
        letter = letter_from("", name, int(newest), head)
        # when they failed is told by the engines' clocks; the order in which they died is that of the server
        first = letter if oldest_head is None else letter_from("", name, int(oldest), oldest_head)
        failed = sorted((first.failed_at, letter.failed_at))
        groups.append(
            DeadGroup(
                group.decode(), name, letter.job, letter.error_class, letter.error, -count, failed[0], failed[1],
                int(oldest),
            )
        )  # fmt: skip
    return groups, sum(answers[::2])


async def _load(client: Any, prefixes: Mapping[str, str], page: Sequence[Where]) -> list[DeadLetter]:
    """The letters at these places; one whose record is gone meanwhile is left out."""
    chosen: dict[str, list[int]] = {}
    for sequence, name, _ in page:
        chosen.setdefault(name, []).append(sequence)
    parts = _parts(chosen)
    told = await script("heads").many(client, [(prefixes[name], part) for name, part in parts])
    heads = {
        (name, sequence): head
        for (name, part), answer in zip(parts, told, strict=True)
        for sequence, head in zip(part, answer, strict=True)
    }
    return [
        letter_from(run, name, sequence, head)
        for sequence, name, run in page
        if (head := heads[name, sequence]) is not None
    ]


def _parts(chosen: Mapping[str, Sequence[T]]) -> list[tuple[str, Sequence[T]]]:
    """What was chosen of each queue, as much as a script call takes."""
    return [(name, part) for name, some in chosen.items() for part in chunks(some, 2 * STEP)]
