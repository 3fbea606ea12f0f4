"""Debian's cron 3.0pl1: how its main loop, which looks at the clock every minute, takes a clock that moved.

It reads the offset of its zone at every minute (3.0pl1-162, patch Check_for_timezone_changes), so that a change that is
no change of summer time is like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from backends.schedule.elsewhere.base import HOUR, MINUTE, Clock, Difference, Fires, System
from backends.schedule.fields import Fields

_SMALL, _LARGE = 5, 180  # minutes: up to the first, cron woke up late; beyond the second, somebody set the clock


class Debian(System):
    """cron(8) and crontab(5) of Debian."""

    key = "debian"
    title = "Debian cron"
    known = "verified"

    def __init__(self, expression: str, fields: Fields, timezone: str, clock: Clock) -> None:
        super().__init__(expression, fields, timezone, clock)
        items = self.words[4].items
        self.backwards = [item.text for item in items if "-sun" in item.text.lower() and item.low > 0]
        if self.backwards:  # Sunday is 0 there: such a range is accepted and holds no day
            rest = {day % 7 for item in items if item.text not in self.backwards for day in item.values}
            super().__init__(expression, replace(fields, weekdays=tuple(sorted(rest))), timezone, clock)

    def written(self) -> tuple[str, ...]:
        return (self.expression,)

    def differences(self) -> Iterator[Difference]:
        for text in self.backwards:
            yield Difference("name_range", f"accepts {text} but finds no day in it", "verified")
        yield Difference("host_zone", "fires in the host's time zone; it ignores CRON_TZ", "verified")

    def fires(self, start: int, end: int) -> Fires:
        found = Fires()

        def due(minute: int) -> bool:
            at = minute * MINUTE
            return minute % 60 in self.fields.minutes and at // HOUR % 24 in self.fields.hours and self.on(at)

        virtual = self.clock.wall(start - MINUTE) // MINUTE
        for at in range(-(-start // MINUTE) * MINUTE, end, MINUTE):
            runs, virtual = _wake(virtual, self.clock.wall(at) // MINUTE, self.fields.wildcard, due)
            found.sure += [at] * runs
        return found


def _wake(virtual: int, now: int, wildcard: bool, due: Callable[[int], bool]) -> tuple[int, int]:
    """One round of the loop at the wall minute `now`: how often the job runs, and the new virtual time."""
    ahead = now - virtual
    if 0 < ahead <= _SMALL:
        return sum(due(minute) for minute in range(virtual + 1, now + 1)), now
    if _SMALL < ahead <= _LARGE:  # the minutes that were left out: jobs tied to the wall only
        return (due(now) if wildcard else sum(due(minute) for minute in range(virtual + 1, now + 1))), now
    if -_LARGE < ahead <= 0:  # minutes that have been before: the others only, until the wall has caught up
        return (due(now) if wildcard else 0), virtual
    return due(now), now
