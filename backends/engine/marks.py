"""What is known of the marks of jobs outside the queue that a job is in now."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from backends.queues.streams import StreamQueue

log = logging.getLogger("cronsole.scheduler")


async def known_marks(
    jobs: Sequence[str],
    queues: Sequence[StreamQueue],
    history: Callable[[], Awaitable[Mapping[str, int]]],
    now_ms: int,
) -> dict[str, tuple[int, str]]:
    """The newest mark of each job, with the rule it stood under ('' where that is not known).

    From all queues of the namespace, because a job may have been in another one and come back; and from history, for
    when Redis lost its own. A mark that history has of the future was set under a wrong clock and is not taken.
    """
    found: dict[str, tuple[int, str]] = {}
    try:
        found = {job: (at, "") for job, at in (await history()).items() if at <= now_ms}
    except Exception as error:
        log.warning("marks in history not read: %s", error, extra={"action": "marks_unread"})
    for queue in queues:
        for job, (at, rule) in (await queue.marks(jobs)).items():
            if job not in found or at >= found[job][0]:
                found[job] = (at, rule)
    return found
