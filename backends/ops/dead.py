"""Dead letters as a screen lists them: without envelopes, over all queues at once."""

from __future__ import annotations

from collections.abc import Sequence

from backends.model import DeadGroup, DeadLetter, Page
from backends.ops.letters import Place
from backends.ops.reads import Reads, unknown
from backends.ops.talk import redis_talk
from backends.queues.dead_heads import dead_groups, dead_heads


class DeadReads(Reads):
    """The dead letters screen."""

    async def dead_heads(
        self,
        limit: int = 100,
        cursor: str | None = None,
        *,
        queue: str = "",
        group: str = "",
        groups: Sequence[tuple[str, str]] = (),
    ) -> Page[DeadLetter]:
        """Newest first, without envelopes; `total` is exact. Two round trips, whatever lies there.

        `group`: only those of this group, in whichever queue; `groups`: only those of these, as (queue, group).
        """
        start = Place.read(cursor)
        prefixes = await self._prefixes(queue)
        before = {name: start.before(name) for name in prefixes} if start else None
        chosen = [(name, group) for name in prefixes] if group else groups
        with redis_talk(self.servers.redis_url):
            heads = await dead_heads(self.servers.redis, prefixes, limit, before, chosen)
        more = f"{heads.last[0]}.{heads.last[1]}" if heads.last else None
        return Page(heads.letters, more, heads.total)

    async def dead_group_page(self, limit: int = 200) -> Page[DeadGroup]:
        """Dead letters by error, the largest groups first; `total`: how many groups there are."""
        prefixes = await self._prefixes()
        with redis_talk(self.servers.redis_url):
            groups, total = await dead_groups(self.servers.redis, prefixes, limit)
        return Page(tuple(groups), None, total)

    async def _prefixes(self, queue: str = "") -> dict[str, str]:
        """Name → key prefix of one queue, or of all."""
        prefixes = {q.name: q.prefix for q in await self.all_queues()}
        if not queue:
            return prefixes
        if queue not in prefixes:
            raise unknown("queue", queue, list(prefixes), "queues")
        return {queue: prefixes[queue]}
