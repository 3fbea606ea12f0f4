"""What lies in a queue, a page at a time and without the envelopes: ready, running, later, and waiting for what."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from backends.errors import BadInputError
from backends.queues.base import BATCH
from backends.queues.scripts import Arg, script
from backends.queues.streams import PLACES

_ENTRY, _SCORED = re.compile(r"[0-9]{1,20}-[0-9]{1,20}"), re.compile(r"[0-9]+ .*", re.DOTALL)
"""What a cursor names in a stream, and in a list that is in the order of a number."""
_decoder = json.JSONDecoder()

STATES = ("ready", "running", "later", "waiting")


class QueuedRun(msgspec.Struct, frozen=True):
    """A run in a queue. `state`: one of STATES. Times in milliseconds since the epoch.

    `slot`: the overlap or concurrency limit it counts under, '' for none; `waits_for`: the slot it waits for, or
    ``pause/<job>``; `holder`: a run that holds that slot. `payload`: as it was written, of a long one its beginning.
    `cursor`: where it is in the list, to go on from there in either direction.
    """

    run_id: str
    state: str
    job: str
    attempt: int
    crashes: int = 0
    priority: int = 1
    slot: str = ""
    payload: str = ""
    ready_ms: int | None = None  # ready and running: since when it is there to be taken
    engine: str = ""
    seen_ms: int | None = None  # running: so long ago its engine was last heard of it
    due_ms: int | None = None
    waits_for: str = ""
    holder: str = ""
    cursor: str = ""


async def peek(
    client: Any,
    prefix: str,
    state: str,
    limit: int,
    cursor: str | None = None,
    wait_keys: Sequence[str] = (),
    *,
    last: bool = False,
) -> tuple[list[QueuedRun], str | None]:
    """(up to `limit` runs in that state in the order in which they go on, cursor behind them or None at the end).

    `wait_keys`: what runs may wait for, in the order in which waiting ones are listed (`wait_sizes` finds them).
    `last`: read from the other end, so the cursor is the one of the first run and leads to those before it.
    Raises BadInputError for a cursor that is none.
    """
    wheres: Sequence[str] = PLACES if state in ("ready", "running") else ("",) if state == "later" else wait_keys
    found: list[QueuedRun] = []
    limit = min(limit, BATCH - 1)
    position = _ENTRY if wheres is PLACES else _SCORED
    for where, after in _places(cursor, wheres, position, last):
        args: list[Arg] = [state, where, after, limit + 1 - len(found), "up" if last else "down"]
        found += [_run(state, where, row) for row in await script("peek")(client, [prefix], args)]
        if len(found) > limit:
            break
    more = len(found) > limit
    del found[limit:]
    end = found[-1].cursor if more else None
    return found[::-1] if last else found, end


def _places(cursor: str | None, wheres: Sequence[str], position: re.Pattern[str], last: bool) -> list[tuple[str, str]]:
    """Which of `wheres` are to be read, in that order, and behind what in each. One that is gone counts as read."""
    order = wheres[::-1] if last else wheres
    if cursor is None:
        return [(each, "") for each in order]
    where, sign, after = cursor.rpartition("|")
    if not sign or not position.fullmatch(after):
        raise BadInputError(f"{cursor[:60]!r} is not a cursor", "take `next_cursor` of the page before")
    if where in order:
        rest = [(each, "") for each in order[order.index(where) + 1 :]]
        return [(where, after), *rest]
    return [(each, "") for each in order if (each < where if last else each > where)]


def _run(state: str, where: str, row: Sequence[bytes]) -> QueuedRun:
    cursor, run, attempt, crashes, priority, job, slot, payload, rest = (v.decode("utf-8", "replace") for v in row)
    engine, _, idle = rest.rpartition(" ") if state == "running" else ("", "", "")
    return QueuedRun(
        run, state, job, int(float(attempt)), int(float(crashes)), int(float(priority)), slot.rpartition("|")[0],
        _alone(payload),
        ready_ms=int(cursor.partition("-")[0]) if state in ("ready", "running") else None,
        engine=engine, seen_ms=int(idle) if idle else None,
        due_ms=int(rest) if state == "later" else None,
        waits_for=where if state == "waiting" else "",
        cursor=f"{where}|{cursor}",
    )  # fmt: skip


def _alone(payload: str) -> str:
    """Without the rest of the envelope behind it; a long one does not end within what was read."""
    try:
        return payload[: _decoder.raw_decode(payload)[1]]
    except ValueError:
        return payload


async def wait_sizes(client: Any, prefix: str, jobs: Iterable[str]) -> dict[str, int]:
    """How many runs wait for what, of all that runs of these jobs may wait for; only what somebody waits for."""
    keys = [f"{kind}{job}" for job in jobs for kind in ("job:", "pause/", "backfill:")]
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.zcard(f"{prefix}wait:{key}")
    sizes: list[int] = await pipe.execute() if keys else []
    return {key: size for key, size in zip(keys, sizes, strict=True) if size}


async def holders(client: Any, prefix: str, slots: Sequence[str]) -> dict[str, str]:
    """Who holds each slot: the run that has had it longest."""
    pipe = client.pipeline(transaction=False)
    for slot in slots:
        pipe.zrange(f"{prefix}slot:{slot}", 0, 0)
    found: list[list[bytes]] = await pipe.execute() if slots else []
    return {slot: runs[0].decode() for slot, runs in zip(slots, found, strict=True) if runs}


class HeldSlot(msgspec.Struct, frozen=True):
    """Who holds a slot; `due_ms`: when, if it is later. `waiting`: how many wait for it."""

    run_id: str
    due_ms: int | None
    waiting: int


async def held_slots(client: Any, prefix: str, slots: Sequence[str]) -> dict[str, HeldSlot]:
    """Those of `slots` that a run holds."""
    held = await holders(client, prefix, slots)
    pipe = client.pipeline(transaction=False)
    for slot, run_id in held.items():
        pipe.zscore(f"{prefix}later", run_id)
        pipe.zcard(f"{prefix}wait:{slot}")
    found = await pipe.execute() if held else []
    return {
        slot: HeldSlot(run_id, None if due is None else int(due), size)
        for (slot, run_id), due, size in zip(held.items(), found[::2], found[1::2], strict=True)
    }


async def flows(client: Any, prefixes: Sequence[str]) -> list[tuple[int, int]]:
    """For each queue (entries that ever became ready, entries there now); one round trip."""
    answers = await script("flow").many(client, [(prefix, ()) for prefix in prefixes])
    return [(int(added), int(there)) for added, there in answers]


async def due_counts(client: Any, prefix: str, edges: Sequence[int]) -> list[int]:
    """How many runs of `later` are due in each stretch between two edges (milliseconds); what is overdue is in the
    first."""
    pipe = client.pipeline(transaction=False)
    for n, (low, high) in enumerate(itertools.pairwise(edges)):
        pipe.zcount(f"{prefix}later", "-inf" if n == 0 else low, f"({high}")
    return [int(n) for n in await pipe.execute()]
