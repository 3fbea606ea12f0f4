"""The Redis side of the recorder: the group of an outbox, and how entries leave it.

Scripts, and allowed when Redis is full: taking entries off the outbox is what frees memory then, and XGROUP CREATE and
XADD as plain commands would be refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from backends.model import OutboxRecord

GROUP = "history"
MOST_ITEMS = 200
"""Items a script call (DESIGN.md §6)."""

_OPEN = """#!lua flags=allow-oom
-- KEYS[1]: the outbox. ARGV: group, the consumer that stays. Those with nothing pending go; here, because between a
-- look and a DELCONSUMER from outside one could have read something, which would be lost with it.
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if type(made) == 'table' and made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local c = {}
  for i = 1, #flat, 2 do c[flat[i]] = flat[i + 1] end
  if c.pending == 0 and c.name ~= ARGV[2] then redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], c.name) end
end
return 1
"""

_FINISH = """#!lua flags=allow-oom
-- KEYS: the outbox, where bad records are parked. ARGV: group, number of entries, their ids, then of each bad record
-- its entry's id, the bytes, the reason. What another recorder has finished is not parked again.
local n, ours = tonumber(ARGV[2]), {}
for i = 3, n + 2 do
  ours[ARGV[i]] = redis.call('XACK', KEYS[1], ARGV[1], ARGV[i]) == 1
  redis.call('XDEL', KEYS[1], ARGV[i])
end
for i = n + 3, #ARGV, 3 do
  if ours[ARGV[i]] then redis.call('XADD', KEYS[2], '*', 'r', ARGV[i + 1], 'why', ARGV[i + 2]) end
end
return n
"""

_PUT = """#!lua flags=allow-oom
-- KEYS[1]: the outbox. ARGV: the JSON of a list of records.
return redis.call('XADD', KEYS[1], '*', 'r', ARGV[1])
"""

Parked = Mapping[tuple[str, bytes], Sequence[tuple[bytes, str]]]


async def open_group(redis: Any, key: str, consumer: str) -> None:
    """Make the group of an outbox if it is missing, from its first entry on; remove idle consumers but `consumer`."""
    await redis.register_script(_OPEN)(keys=[key], args=[GROUP, consumer])


async def put(redis: Any, key: str, records: Sequence[OutboxRecord]) -> None:
    """Put records into an outbox, from where they go into history as soon as it can be reached."""
    await redis.register_script(_PUT)(keys=[key], args=[msgspec.json.encode(list(records))])


async def finish(redis: Any, entries: Sequence[tuple[str, bytes]], parked: Parked) -> None:
    """Acknowledge and delete entries (stream, id), and park what of them is bad, in the same step."""
    script = redis.register_script(_FINISH)
    ids: dict[str, list[bytes]] = {}
    bad: dict[str, list[bytes | str]] = {}

    async def flush(key: str) -> None:
        await script(keys=[key, f"{key}:bad"], args=[GROUP, len(ids[key]), *ids.pop(key), *bad.pop(key, [])])

    for key, entry in entries:
        ids.setdefault(key, []).append(entry)
        for raw, why in parked.get((key, entry), ()):
            bad.setdefault(key, []).extend((entry, raw, why))
        if len(ids[key]) + len(bad.get(key, ())) >= MOST_ITEMS:
            await flush(key)
    for key in list(ids):
        await flush(key)
