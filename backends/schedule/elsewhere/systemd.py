"""systemd timers: OnCalendar= with explicit lists. A time that a gap swallowed is skipped, a repeated hour met once.

calendar_spec_next_usec looks for the next wall time that exists and turns it into an instant by mktime, which takes the
first pass of a repeated hour; it goes on from there on the wall, so the second pass is never seen (issues 5595, 8647).
Lists are written out because a step without an end (``00/2``) fails where a gap is at midnight. Compared with
systemd-analyze 252. Not modelled: gaps that begin within an hour (Chatham; Newfoundland until 2011), where a list can
fail too ("Resource deadlock avoided", as 02:50 in Chatham does), and changes of a zone's offset that are no change of
summer time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from backends.schedule.elsewhere.base import DAY, HOUR, MINUTE, Difference, Fires, System, Takes

_ROUNDS = 4000  # days that are looked at, and a few steps within them
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Systemd(System):
    """systemd.timer(5), systemd.time(7)."""

    key = "systemd"
    title = "systemd timer"
    known = "verified"

    def takes(self) -> Takes:
        return "rewritten"

    def written(self) -> tuple[str, ...]:
        fields = self.fields
        clock = f"{_list(fields.hours, 24)}:{_list(fields.minutes, 60)}:00 {self.timezone}"
        months = _list(fields.months, 12)
        numbers = f"*-{months}-{_list(fields.days, 31)} {clock}"
        if fields.any_day:
            return (f"OnCalendar=*-{months}-* {clock}",)
        weekdays = _weekdays(fields.weekdays)
        if fields.day_and:
            return (f"OnCalendar={weekdays}{numbers}",)
        return (f"OnCalendar={numbers}", f"OnCalendar={weekdays}*-{months}-* {clock}")

    def differences(self) -> Iterator[Difference]:
        if len(self.written()) > 1:
            yield Difference("two_lines", "needs two OnCalendar lines, one a day field; they add up", "verified")
        if self.expression == "@weekly":
            yield Difference("week_start", "its own 'weekly' is Monday; @weekly is Sunday", "verified")
        yield Difference("accuracy", "fires up to 1 min late unless AccuracySec=1s is set", "documented")

    def fires(self, start: int, end: int) -> Fires:
        if self.fields.day_and or self.fields.any_day:
            tests = [self.on]
        else:  # two lines, each on its own
            tests = [self.days(lambda number, _: number), self.days(lambda _, weekday: weekday)]
        found: set[int] = set()
        for on in tests:
            at = self._next(start - 1, on)
            while at is not None and at < end:
                found.add(at)
                at = self._next(at, on)
        return Fires(sorted(found))

    def _next(self, at: int, on: Callable[[int], bool]) -> int | None:
        """The first fire after an instant, found on the wall: from field to field, each checked to exist."""
        wall = -(-self.clock.wall(at + 1) // MINUTE) * MINUTE
        for _ in range(_ROUNDS):
            wall = self._real(wall)
            if not on(wall):
                wall = (wall // DAY + 1) * DAY
                continue
            place = bisect_left(self.fields.hours, wall % DAY // HOUR)
            if place == len(self.fields.hours):
                wall = (wall // DAY + 1) * DAY
                continue
            hour = wall // DAY * DAY + self.fields.hours[place] * HOUR
            if hour > wall:
                wall = hour
                if not self._exists(hour):
                    if self._thrown_back(hour):
                        wall = (wall // DAY + 1) * DAY
                    continue
            place = bisect_left(self.fields.minutes, wall % HOUR // MINUTE)
            if place == len(self.fields.minutes):
                wall = (wall // HOUR + 1) * HOUR
                continue
            wall = wall // HOUR * HOUR + self.fields.minutes[place] * MINUTE
            if self._exists(wall):
                return self.clock.instants(wall)[0]
        return None

    def _exists(self, wall: int) -> bool:
        return self.clock.gap(wall) == 0

    def _thrown_back(self, wall: int) -> bool:
        """Whether mktime goes back from a swallowed time: it prefers the side that is called summer time.

        That is the earlier one where winter time is the exception, as in Dublin. A step back is taken for the end of
        the day, so the rest of the day is left out.
        """
        after = self.clock.after_gap(wall)
        return after is not None and self.clock.summer(after - 1) and not self.clock.summer(after)

    def _real(self, wall: int) -> int:
        """What mktime makes of a wall time: one that a gap swallowed is as much later as the gap is long."""
        return wall + self.clock.gap(wall)


def _list(values: Sequence[int], full: int) -> str:
    if len(values) == full:
        return "*"
    return ",".join(f"{value:02d}" for value in values)


def _weekdays(values: Sequence[int]) -> str:
    if len(values) == 7:
        return ""
    return ",".join(_DAYS[day] for day in sorted((value - 1) % 7 for value in values)) + " "
