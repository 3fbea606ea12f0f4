"""Dead letters of many queues as one list, without their envelopes: two round trips a page, however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.model import DeadGroup, DeadLetter, from_ms
from backends.queues.dead import letter_from

HEAD_BYTES = 2_048
"""So much of a letter is read first: its header, and not an envelope that may be a megabyte."""
HEAD_MOST = 65_536
"""A header with a long error in it; it is at most 4 kB of text, which JSON may write in six times as many bytes."""
GROUPS_READ = 5_000
"""So many groups of a queue are counted; where there are more, errors are not told apart by their kind."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Letters without envelopes, newest first; `last`: (sequence, queue) to go on below; None at the end."""

    letters: tuple[DeadLetter, ...]
    last: tuple[int, str] | None
    total: int


async def dead_heads(
    client: Any,
    prefixes: Mapping[str, str],
    limit: int,
    before: Mapping[str, int] | None = None,
    groups: Sequence[tuple[str, str]] = (),
) -> Heads:
    """A page over the queues `prefixes` (name → key prefix), each below its sequence in `before`.

    `groups`: only these, as (queue, group).
    """
    lists = [(name, f"{prefixes[name]}dead:{group}") for name, group in groups if name in prefixes]
    if not groups:
        lists = [(name, f"{prefix}dead") for name, prefix in prefixes.items()]
    pipe = client.pipeline(transaction=False)
    for name, index in lists:
        top = "+inf" if before is None else f"({before[name]}"
        pipe.zrange(index, top, "-inf", desc=True, byscore=True, offset=0, num=limit + 1, withscores=True)
        pipe.zcard(index)
    answers: list[Any] = await pipe.execute() if lists else []
    found = [
        (int(score), name, run.decode())
        for (name, _), pairs in zip(lists, answers[::2], strict=True)
        for run, score in pairs
    ]
    found.sort(key=lambda item: (-item[0], item[1]))
    page = found[:limit]
    letters = await _load(client, prefixes, page)
    last = (page[-1][0], page[-1][1]) if len(found) > limit else None
    return Heads(tuple(letters), last, sum(answers[1::2]))


async def dead_groups(client: Any, prefixes: Mapping[str, str], limit: int) -> tuple[list[DeadGroup], int]:
    """(the largest groups of these queues, how many groups there are)."""
    pipe = client.pipeline(transaction=False)
    for prefix in prefixes.values():
        pipe.hlen(f"{prefix}dead:groups")
        pipe.hscan(f"{prefix}dead:groups", 0, count=GROUPS_READ)
    answers: list[Any] = await pipe.execute() if prefixes else []
    counted = [
        (int(n), name, group.decode())
        for name, (_, some) in zip(prefixes, answers[1::2], strict=True)
        for group, n in some.items()
    ]
    counted.sort(key=lambda item: (-item[0], item[1], item[2]))
    counted = counted[:limit]
    pipe = client.pipeline(transaction=False)
    for _, name, group in counted:
        pipe.zrange(f"{prefixes[name]}dead:{group}", 0, 0, withscores=True)
        pipe.zrange(f"{prefixes[name]}dead:{group}", 0, 0, desc=True, withscores=True)
    ends: list[Any] = await pipe.execute() if counted else []
    newest = [
        (int(e[0][1]), name, e[0][0].decode()) if e else None
        for (_, name, _), e in zip(counted, ends[1::2], strict=True)
    ]
    letters = {letter.id: letter for letter in await _load(client, prefixes, [n for n in newest if n])}
    groups = []
    for (count, name, group), oldest, place in zip(counted, ends[::2], newest, strict=True):
        letter = letters.get(place[2]) if place else None
        if letter is None or not oldest:  # the group was emptied meanwhile
            continue
        groups.append(
            DeadGroup(
                group, name, letter.job, letter.error_class, letter.error, count, from_ms(oldest[0][1] / 1000),
                letter.failed_at,
            )
        )  # fmt: skip
    return groups, sum(answers[::2])


async def _load(client: Any, prefixes: Mapping[str, str], page: Sequence[tuple[int, str, str]]) -> list[DeadLetter]:
    """The letters at (sequence, queue, run id); one that was retried between the two reads is left out."""
    heads = await _first_bytes(client, [f"{prefixes[name]}dead:{run}" for _, name, run in page], HEAD_BYTES)
    short = [n for n, head in enumerate(heads) if head and b"\n" not in head]
    longer = await _first_bytes(client, [f"{prefixes[page[n][1]]}dead:{page[n][2]}" for n in short], HEAD_MOST)
    for n, head in zip(short, longer, strict=True):
        heads[n] = head
    return [
        letter_from(run, name, sequence, head.partition(b"\n")[0])
        for (sequence, name, run), head in zip(page, heads, strict=True)
        if head
    ]


async def _first_bytes(client: Any, keys: Sequence[str], count: int) -> list[bytes]:
    if not keys:
        return []
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.getrange(key, 0, count - 1)
    return list(await pipe.execute())
