"""What becomes of fires that were missed: which of them run after all, and what is recorded of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backends.jobs.spec import JobSpec
from backends.model import Catchup, from_ms, to_ms
from backends.schedule import Schedule

LISTED_MOST = 10_000
"""Missed fires of a job that are recorded one by one. Where there are more, the oldest record stands for the rest."""
_STEP = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Planned instants in ms: `run` to be fired, `missed` to be recorded with the reason. Each in order of time.

    All of `missed` lie before all of `run`.
    """

    run: tuple[int, ...]
    missed: tuple[tuple[int, str], ...]


def catch_up(spec: JobSpec, schedule: Schedule, first_ms: int, now: int) -> CatchUp:
    """Decide about all fires from `first_ms`, which is one, to `now`, inclusive, by the job's policy and window."""
    late, more = _latest(schedule, from_ms(first_ms), from_ms(now + 1))
    opens = now - int(spec.catchup_window_s * 1000)
    most = {Catchup.NONE: 0, Catchup.LATEST: 1, Catchup.ALL: spec.catchup_max}[spec.catchup]
    fresh = [at for at in late if at >= opens]
    run = fresh[-most:] if most else []
    missed = [(at, _why(spec, at >= opens)) for at in late[: len(late) - len(run)]]
    if more:
        reason = f"{_why(spec, False)}; stands for every fire before {from_ms(late[0]).isoformat()}"
        missed.insert(0, (first_ms, reason))
    return CatchUp(tuple(run), tuple(missed))


def _why(spec: JobSpec, in_window: bool) -> str:
    if not in_window and spec.catchup is not Catchup.NONE:
        return "no scheduler had it then; older than the catch-up window"
    if spec.catchup is Catchup.ALL:
        return f"no scheduler had it then; more than catchup_max = {spec.catchup_max}"
    return f'no scheduler had it then; catchup = "{spec.catchup.value}"'


def _latest(schedule: Schedule, start: datetime, end: datetime) -> tuple[Sequence[int], bool]:
    """The last fires in ``[start, end)``, at most `LISTED_MOST`, and whether there are earlier ones."""
    found: list[int] = []
    while end > start and len(found) <= LISTED_MOST:
        begin = max(start, end - _STEP)
        found[:0] = [to_ms(at) for at in schedule.between(begin, end)]
        end = begin
    return found[-LISTED_MOST:], end > start or len(found) > LISTED_MOST
