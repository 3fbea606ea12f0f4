"""Dead letters as a screen lists them: without envelopes, over all queues at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from backends.errors import UnreachableError
from backends.history.archive import END, Archive, Stretch
from backends.model import DeadGroup, DeadLetter, Page
from backends.ops.archived import add_archived, as_letter, read_spilled
from backends.ops.letters import Place
from backends.ops.reads import Reads, unknown
from backends.ops.talk import redis_talk
from backends.queues.dead_heads import Heads, dead_groups, dead_heads


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
        oldest: bool = False,
    ) -> Page[DeadLetter]:
        """Newest first, without envelopes; `total` is exact. Two round trips, whatever lies there.

        `group`: only those of this group, in whichever queue; `groups`: only those of these, as (queue, group).
        `oldest`: the last page, or the one above the cursor; its `next_cursor` leads further up.
        """
        start = Place.read(cursor) or (Place(0) if oldest else None)
        prefixes = await self._prefixes(queue)
        ends = {name: start.after(name) if oldest else start.before(name) for name in prefixes} if start else None
        chosen = [(name, group) for name in prefixes] if group else groups
        before, after = (None, ends) if oldest else (ends, None)
        with redis_talk(self.servers.redis_url):
            heads = await dead_heads(self.servers.redis, prefixes, limit, before, chosen, after=after)
            heads = await self._with_archived(heads, prefixes, limit, ends or {}, chosen, oldest)
        more = f"{heads.last[0]}.{heads.last[1]}" if heads.last else None
        return Page(heads.letters, more, heads.total)

    async def _with_archived(
        self,
        heads: Heads,
        prefixes: Mapping[str, str],
        limit: int,
        ends: Mapping[str, int],
        chosen: Sequence[tuple[str, str]],
        oldest: bool,
    ) -> Heads:
        """The page with the letters that are in the archive. While Postgres is away it ends above them."""
        spilled = await read_spilled(self.servers.redis, prefixes)
        if not spilled:
            return heads
        lists = [(name, group) for name, group in chosen or [(name, "") for name in spilled] if name in spilled]
        if oldest:
            wanted = [Stretch(n, g, above=ends[n]) for n, g in lists if spilled[n][1] > ends[n]]
        else:
            low = heads.last[0] if heads.last else 0
            wanted = [Stretch(n, g, below=ends.get(n, END)) for n, g in lists if spilled[n][1] >= low]
        total = heads.total
        try:
            async with self._archive() as archive:
                if not chosen:
                    total += sum(spilled[name][0] for name in spilled)
                for name in dict.fromkeys(name for name, _ in lists) if chosen else ():
                    total += await archive.count(name, groups=[group for n, group in lists if n == name])
                cold = [as_letter(kept) for kept in await archive.walk(wanted, limit + 1, oldest=oldest)]
        except UnreachableError as error:
            self.warn_once(f"dead letters in the archive are not listed: {error}")
            return replace(heads, total=heads.total + sum(n for n, _ in spilled.values()) * (not chosen))
        letters = list({(d.queue, d.sequence): d for d in [*cold, *heads.letters]}.values())
        letters.sort(key=lambda letter: (-letter.sequence, letter.queue), reverse=oldest)
        more = len(letters) > limit or heads.last is not None
        page = letters[:limit]
        last = (page[-1].sequence, page[-1].queue) if more and page else None
        return Heads(tuple(page[::-1] if oldest else page), last, total)

    async def dead_group_page(self, limit: int = 100, queue: str = "") -> Page[DeadGroup]:
        """Dead letters by error, of all queues or one, the largest groups first; `total`: how many groups there are.

        While Postgres is away without those in the archive; a warning says so.
        """
        prefixes = await self._prefixes(queue)
        with redis_talk(self.servers.redis_url):
            groups, total = await dead_groups(self.servers.redis, prefixes, limit)
            spilled = await read_spilled(self.servers.redis, prefixes)
            try:
                if spilled:
                    async with self._archive() as archive:
                        groups, more = await add_archived(archive, [self.live.queue(n) for n in spilled], groups, limit)
                        total += more
            except UnreachableError as error:
                self.warn_once(f"dead letters in the archive are not counted: {error}")
        return Page(tuple(groups), None, total)

    @asynccontextmanager
    async def _archive(self) -> AsyncIterator[Archive]:
        async with self._pool() as pool:
            yield Archive(pool, self.namespace, lambda name, sequences: self.live.queue(name).dead_moved(sequences))

    async def _prefixes(self, queue: str = "") -> dict[str, str]:
        """Name → key prefix of one queue, or of all."""
        prefixes = {q.name: q.prefix for q in await self.all_queues()}
        if not queue:
            return prefixes
        if queue not in prefixes:
            raise unknown("queue", queue, list(prefixes), "queues")
        return {queue: prefixes[queue]}
