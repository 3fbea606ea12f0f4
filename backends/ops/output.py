"""One run: its attempts, where it is now, and what it prints, as it prints it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import msgspec

from backends.errors import BadInputError, UnreachableError
from backends.history.attempts import Attempt, read_attempts, read_output
from backends.history.originals import read_originals
from backends.jobs.words import show
from backends.model import DeadLetter, RunRow, as_run_id
from backends.ops.archived import as_letter, read_spilled
from backends.ops.dead import DeadReads
from backends.ops.talk import redis_talk
from backends.queues.dead_index import letter_from
from backends.queues.keys import queue_prefix
from backends.queues.where import LogPart, RunPlace, find_run, read_log

HISTORY_S = 2.0
"""So long the page of a run waits for its attempts."""


class RunPage(msgspec.Struct, frozen=True):
    """A run. `attempts`: those that ended, oldest first, the newest 200; `place`: where it is, None where it has ended.

    `missing`: what could not be asked, in words.
    """

    run_id: str
    attempts: tuple[Attempt, ...]
    place: RunPlace | None
    missing: str = ""


class Original(msgspec.Struct, frozen=True):
    """A dead letter as it was before it was edited. `replaced_by`: the run that went in its place; '' is not known."""

    letter: DeadLetter
    edited_at: datetime
    receipt: str
    replaced_by: str = ""


class OutputReads(DeadReads):
    """The page of a run."""

    async def run_page(self, run_id: str) -> RunPage:
        """What is known of a run. With one server away, what the other knows. Raises BadInputError for no known run."""
        run_id = as_run_id(run_id)
        missing: list[UnreachableError] = []
        attempts: tuple[Attempt, ...] = ()
        place = None
        try:
            place = await self.run_place(run_id)
        except UnreachableError as error:
            missing.append(error)
        try:
            # what a run prints now must not wait for a history that does not answer
            async with asyncio.timeout(HISTORY_S), self.history():
                attempts = await read_attempts(await self.servers.pool(), run_id)
        except UnreachableError as error:
            missing.append(error)
        except TimeoutError:
            missing.append(UnreachableError(f"Postgres: no answer within {HISTORY_S:g} s", "the queue answers"))
        if len(missing) == 2:
            raise missing[0]
        if not attempts and place is None:
            if missing:
                raise missing[0]
            raise BadInputError(f"no run {show(run_id)}", "`cronsole runs list` lists the finished ones")
        return RunPage(run_id, attempts, place, str(missing[0]) if missing else "")

    async def run_replays(self, run_id: str) -> tuple[RunRow, ...]:
        """The runs that are replays of this one, as far as they have ended, newest first."""
        async with self.history() as history:
            return await history.replays_of(run_id)

    async def originals(self, run_id: str) -> tuple[Original, ...]:
        """The dead letter of a run as it was before it was edited, and that of the run it went in place of."""
        async with self._pool() as pool:
            found = await read_originals(pool, self.namespace, as_run_id(run_id))
        return tuple(
            Original(
                letter_from(kept.run_id, kept.queue, kept.sequence, kept.head, kept.envelope),
                kept.edited_at, kept.receipt, kept.replaced_by,
            )
            for kept in found
        )  # fmt: skip

    async def run_place(self, run_id: str) -> RunPlace | None:
        """Where a run is now; None where it is in no queue."""
        run_id = as_run_id(run_id)
        prefixes = await self._prefixes()
        with redis_talk(self.servers.redis_url):
            place = await find_run(self.servers.redis, prefixes, run_id)
            if place is None and (spilled := await read_spilled(self.servers.redis, prefixes)):
                return await self._archived_place(run_id, list(spilled))
        return place

    async def _archived_place(self, run_id: str, queues: Sequence[str]) -> RunPlace | None:
        """Where a run is that may be a dead letter of the archive. While Postgres is away nobody knows."""
        try:
            async with self._archive() as archive:
                found = [each for each in await archive.find([run_id]) if each.queue in queues]
        except UnreachableError as error:
            self.warn_once(f"dead letters in the archive are not looked for: {error}")
            return None
        for letter in map(as_letter, found):
            died = round(letter.failed_at.timestamp() * 1000)
            return RunPlace(letter.queue, "dead", letter.job, letter.attempts, died, engine=letter.worker)
        return None

    async def run_output(self, run_id: str, attempt: int) -> str | None:
        """The tail of what an attempt printed that has ended."""
        async with self.history():
            return await read_output(await self.servers.pool(), run_id, attempt)

    async def run_log(self, queue: str, run_id: str, after: str = "", attempt: int | None = None) -> LogPart:
        """What a run, or one attempt of it, has printed since `after`, while it runs and a day longer."""
        prefix = queue_prefix(self.namespace, queue)
        with redis_talk(self.servers.redis_url):
            return await read_log(self.servers.redis, prefix, as_run_id(run_id), after, attempt)
