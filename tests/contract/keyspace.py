"""Every key of a queue with what it holds: an undo leaves nothing behind, and no key is ever leaked."""

from __future__ import annotations

from typing import Any

from backends.queues.streams import StreamQueue

Keys = dict[str, Any]

STREAMS = ("ready:", "out", "log:")
KNOWN = ("ready:", "slot:", "wait:", "dead:#", "trash:", "log:")
"""What names of keys may begin with, apart from the fixed ones."""
FIXED = {
    "live", "later", "held", "dead", "dead:index", "dead:groups", "dead:kinds", "dead:seq", "ops", "ops:what",
    "ops:restoring", "ops:told", "dead:moved", "dead:spilled", "dead:trashed", "moving", "arrived", "marks", "rules",
    "out", "out:bad", "ctl", "epoch",
}  # fmt: skip


async def keys_of(queue: StreamQueue, redis: Any) -> Keys:
    """All keys of the queue, without its prefix, with their contents."""
    names = [key async for key in redis.scan_iter(match=f"{queue.prefix.translate(_GLOB)}*", count=1000)]
    kinds = await _all(redis, [("type", key) for key in names])
    asked = [(_READ[kind][0], key, *_READ[kind][1:]) for key, kind in zip(names, kinds, strict=True)]
    values = await _all(redis, asked)
    found: Keys = {}
    for key, value in zip(names, values, strict=True):
        name = key.decode()[len(queue.prefix) :]
        assert name in FIXED or name.startswith(KNOWN), f"an unknown key: {name}"
        found[name] = value
        if isinstance(value, list):  # a stream or a zset
            stream = name.startswith(STREAMS)
            found[name] = [tuple(sorted(fields.items())) for _, fields in value] if stream else dict(value)
    return found


_READ: dict[bytes, tuple[Any, ...]] = {
    b"string": ("get",), b"hash": ("hgetall",), b"zset": ("zrange", 0, -1), b"stream": ("xrange",),
}  # fmt: skip


async def _all(redis: Any, calls: list[tuple[Any, ...]]) -> list[Any]:
    pipe = redis.pipeline(transaction=False)
    for name, *args in calls:
        getattr(pipe, name)(*args, **({"withscores": True} if name == "zrange" else {}))
    return list(await pipe.execute()) if calls else []


def places(keys: Keys) -> dict[str, str]:
    """Where each run is; fails where one is in two places, indexes differ, or a record has no owner."""
    where: dict[str, str] = {}
    for run, word in keys.get("live", {}).items():
        where[run.decode()] = {"r": "ready", "l": "later", "w": "waiting", "m": "moving"}[word.decode()[0]]
    streamed = {dict(e)[b"i"] for name in keys if name.startswith("ready:") for e in keys[name]}
    held = set(keys.get("held", {}))
    assert {r for r, w in where.items() if w == "ready"} == {r.decode() for r in streamed}
    assert {r for r, w in where.items() if w in ("later", "waiting")} == {r.decode() for r in held}
    assert {r for r, w in where.items() if w == "moving"} == {r.decode() for r in keys.get("moving", {})}
    assert {r.decode() for r in keys.get("later", {})} == {r for r, w in where.items() if w == "later"}
    for run in keys.get("dead", {}):
        assert run.decode() not in where, f"{run!r} is dead and {where[run.decode()]}"
        where[run.decode()] = "dead"
    owned: set[int] = set()
    trashes = [k for k in keys if k.startswith("trash:") and (k.count(":") == 1 or k.endswith(":kept"))]
    for name in ["dead", *trashes]:
        if name.startswith("trash:") and not _of_letters(keys, name.split(":")[1]):
            continue
        letters = {(run.decode(), int(seq)) for run, seq in keys.get(name, {}).items()}
        assert not owned & {seq for _, seq in letters}, "a record has two owners"
        owned |= {seq for _, seq in letters}
        if f"{name}:index" in keys or name == "dead":
            _check_index(keys, name, letters)
    assert owned == {int(k[6:]) for k in keys if k.startswith("dead:#")}, "records and their owners differ"
    for name in keys:
        if name.startswith("trash:"):
            assert name.split(":")[1].encode() in keys["ops"], f"{name} belongs to no operation"
    assert set(keys.get("ops", {})) == set(keys.get("ops:what", {}))
    assert set(keys.get("ops:restoring", {})) <= set(keys.get("ops", {}))
    return where


def _of_letters(keys: Keys, op: str) -> bool:
    what = keys["ops:what"][op.encode()]
    return b'"purge"' in what or b'"retry"' in what


def _check_index(keys: Keys, name: str, letters: set[tuple[str, int]]) -> None:
    members = [m.decode().split(":", 2) for m in keys.get(f"{name}:index", {})]
    assert {(run, int(seq)) for _, seq, run in members} == letters, f"{name}:index"
    counts: dict[bytes, int] = {}
    for group, _, _ in members:
        counts[group.encode()] = counts.get(group.encode(), 0) + 1
    groups = {g: int(n) for g, n in keys.get(f"{name}:groups", {}).items()}
    assert groups == counts, f"{name}:groups"
    assert set(keys.get(f"{name}:kinds", {})) == set(counts), f"{name}:kinds"


def without(keys: Keys, *names: str) -> Keys:
    """The keys that don't begin with one of these."""
    return {k: v for k, v in keys.items() if not k.startswith(names)}


_GLOB = str.maketrans({c: f"\\{c}" for c in "*?[]\\"})
