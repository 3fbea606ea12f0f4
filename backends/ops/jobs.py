"""The jobs screen and a job's page: how its newest runs went, what became of its fires, what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from backends.errors import BadInputError
from backends.history.stats import JobFire, JobStats, job_fires, job_stats
from backends.jobs.spec import JobSpec
from backends.model import Page
from backends.ops.reads import Reads

STATS_MOST = 200
"""Jobs a call: a page of a screen, not all there are."""


class JobReads(Reads):
    """What the screens of the jobs ask for."""

    async def job_stats(self, jobs: Sequence[str]) -> Mapping[str, JobStats]:
        """The newest attempts of these jobs (at most 200 a call) in numbers; one without attempts is left out."""
        async with self.history():
            return await job_stats(await self.servers.pool(), list(jobs)[:STATS_MOST])

    async def job_fires(
        self, job: str, limit: int = 100, cursor: str | None = None, *, oldest: bool = False
    ) -> Page[JobFire]:
        """What became of a job's fires, the newest first. Raises BadInputError for a cursor that is none.

        `oldest`: the last page; its cursor, and that of each such page, leads to the one above.
        """
        start = None
        if cursor is not None:
            try:
                start = datetime.fromisoformat(cursor).astimezone(UTC)
            except ValueError:
                raise BadInputError(
                    f"{cursor[:60]!r} is not a cursor", "take `next_cursor` of the page before"
                ) from None
        async with self.history():
            items = await job_fires(await self.servers.pool(), job, limit, start, oldest=oldest)
        return Page(tuple(items), items[0 if oldest else -1].cursor if len(items) == limit else None)

    async def job_spec(self, job: str) -> JobSpec | None:
        """What is published of a job; None where it is not published any more."""
        return self.live.specs.get(job) or (await self.specs()).get(job)
