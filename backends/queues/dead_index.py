"""What a dead letter is made of, and how the indexes of a queue's dead letters are asked.

`dead` orders run ids by sequence; `dead:index` has ``<group>:<sequence, 16 digits>:<run id>``, so that a group is a
range of it. Each question costs the logarithm of what lies there plus what it returns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from backends.model import UNREADABLE, DeadLetter, from_ms
from backends.queues.base import Pair


class DeadHeader(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is known of a dead letter, besides its envelope. Stored as one line of JSON before the envelope's bytes."""

    job: str
    attempts: int
    error_class: str
    error: str
    failed_ms: int
    group: str
    priority: int = 1
    slot: str = ""
    worker: str = ""


CLASS_MOST = 200
ERROR_MOST = 4_000
NAME_MOST = 200

_header = msgspec.json.Decoder(DeadHeader)
_encode = msgspec.json.Encoder().encode
_GROUP = re.compile(rb'"group":"([\w.-]{1,64})"', re.ASCII)


def packed_head(h: DeadHeader) -> bytes:
    """A header as it is stored. Its texts end where nobody would read on, whoever has written them."""
    h.job, h.worker = h.job[:NAME_MOST], h.worker[:NAME_MOST]
    h.error_class, h.error = h.error_class[:CLASS_MOST], h.error[:ERROR_MOST]
    return _encode(h)


def read_head(line: bytes, sequence: int) -> DeadHeader:
    """A header, whoever has written it: one that can't be read is what there is to tell of its letter."""
    try:
        head = _header.decode(line)
        from_ms(head.failed_ms)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, OverflowError, OSError):
        group = _GROUP.search(line)
        shown = line[:500].decode("ascii", "replace").replace("\N{REPLACEMENT CHARACTER}", "?")
        return DeadHeader(
            job="?", attempts=0, error_class="BadHeader", error=f"what it died of is not readable: {shown}",
            failed_ms=sequence // 1000, group=group[1].decode() if group else UNREADABLE,
        )  # fmt: skip
    return head


def letter_from(run_id: str, queue: str, sequence: int, head: bytes, envelope: bytes = b"") -> DeadLetter:
    """A dead letter from what is stored of it."""
    h = read_head(head, sequence)
    return DeadLetter(
        run_id, queue, h.job, h.attempts, h.error, h.error_class, from_ms(h.failed_ms), h.group, sequence, envelope,
        h.worker,
    )  # fmt: skip


def record_key(prefix: str, sequence: int) -> str:
    """Where the record of a letter lies: header line and envelope."""
    return f"{prefix}dead:#{sequence}"


def ask_page(
    pipe: Any, prefix: str, group: str, limit: int, before: int | None = None, after: int | None = None
) -> None:
    """Put the question for `limit` letters into a pipeline: the newest below `before`, or the oldest above `after`.

    `group`: '' for all. `read_pairs` reads the answer.
    """
    up = after is not None
    if group:
        low, high = _ends(group, after, before)
        start, end = (low, high) if up else (high, low)
        pipe.zrange(f"{prefix}dead:index", start, end, desc=not up, bylex=True, offset=0, num=limit)
    else:
        low, high = "-inf" if after is None else f"({after}", "+inf" if before is None else f"({before}"
        start, end = (low, high) if up else (high, low)
        pipe.zrange(f"{prefix}dead", start, end, desc=not up, byscore=True, offset=0, num=limit, withscores=True)


def ask_count(pipe: Any, prefix: str, group: str, before: int | None = None, after: int | None = None) -> None:
    """Put the question how many letters lie above `after` and below `before` into a pipeline; the answer is exact."""
    if group:
        pipe.zlexcount(f"{prefix}dead:index", *_ends(group, after, before))
    else:
        low, high = "-inf" if after is None else f"({after}", "+inf" if before is None else f"({before}"
        pipe.zcount(f"{prefix}dead", low, high)


def read_pairs(answer: Sequence[Any], group: str) -> list[Pair]:
    """The pairs of an answer to `ask_page`, in the order in which they were asked for."""
    if not group:
        return [(run.decode(), int(score)) for run, score in answer]
    pairs = []
    for member in answer:
        _, sequence, run = member.decode().split(":", 2)
        pairs.append((run, int(sequence)))
    return pairs


def _ends(group: str, after: int | None, before: int | None) -> tuple[str, str]:
    low = f"[{group}:" if after is None else f"[{group}:{after + 1:016}"
    high = f"({group};" if before is None else f"({group}:{before:016}"
    return low, high
