"""Kubernetes CronJobs: robfig/cron 3, which advances field by field in local time.

Its SpecSchedule.Next goes from month to day to hour to minute; hours and minutes are added as elapsed time, months and
days on the calendar, and whenever a field turns over, it starts again. Dates are made into instants as Go's time.Date
does it. So a swallowed time is skipped and a repeated one comes twice, and a gap at midnight can lead it astray.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from backends.schedule.elsewhere.base import (
    DAY,
    DAY_RULES,
    EPOCH,
    HOUR,
    MINUTE,
    Clock,
    Difference,
    Fires,
    System,
    Takes,
    both,
    either,
)
from backends.schedule.fields import Fields

_YEARS = 5  # Next looks no further
_ROUNDS = 100_000  # far more than five years take: a search that goes in circles


class Kubernetes(System):
    """CronJob.spec.schedule with spec.timeZone."""

    key = "kubernetes"
    title = "Kubernetes CronJob"
    known = "verified"

    def __init__(self, expression: str, fields: Fields, timezone: str, clock: Clock) -> None:
        super().__init__(expression, fields, timezone, clock)
        self.refused = [item.text for item in self.words[4].items if item.high == 7]
        """The weekday items that its parser rejects: there is no 7, and Sunday comes before every other day."""
        self._star = any(item.star and item.step == 1 for word in (self.words[2], self.words[4]) for item in word.items)
        self.on = self.days(both if self._star else either)
        self._months, self._hours, self._minutes = set(fields.months), set(fields.hours), set(fields.minutes)

    def takes(self) -> Takes:
        return "rewritten" if self.refused else "as_typed"

    def written(self) -> tuple[str, ...]:
        text = self.with_weekdays() if self.refused else self.expression
        return (f'schedule: "{text}"', f'timeZone: "{self.timezone}"')

    def differences(self) -> Iterator[Difference]:
        for text in self.refused:
            code = "dow7" if "7" in text else "name_range"
            yield Difference(code, f"rejects the weekday {text}", "verified")
        if self.both_days and self._star != self.fields.day_and:
            yield Difference("day_rule", f"reads the two day fields otherwise: {DAY_RULES[self._star]}", "verified")

    def fires(self, start: int, end: int) -> Fires:
        found = Fires()
        try:
            at = self._next(start - 1)
            while at is not None and at < end:
                found.sure.append(at)
                later = self._next(at)
                if later is not None and later <= at:  # thrown back over midnight, to the fire it comes from
                    raise _EndlessError
                at = later
        except _EndlessError:
            found.stuck = True
        return found

    def _next(self, at: int) -> int | None:
        """The first fire after an instant. Raises _EndlessError where the search goes in circles."""
        search = _Search(self.clock, at + 1)
        last_year = search.year + _YEARS
        while search.year <= last_year:
            if self._fits(search):
                return search.at
        return None

    def _fits(self, search: _Search) -> bool:
        """One way down the fields; False where one turned over, and all of them must be looked at again."""
        while search.month not in self._months:
            search.reset("month")
            search.date(search.year, search.month + 1, search.day, search.seconds)
            if search.month == 1:
                return False
        while not self.on(search.wall):
            search.reset("day")
            search.date(search.year, search.month, search.day + 1, search.seconds)
            hour = search.hour
            if hour:  # midnight does not exist, it thinks
                search.add((24 - hour if hour > 12 else -hour) * HOUR)
            if search.day == 1:
                return False
        while search.hour not in self._hours:
            search.reset("hour")
            search.add(HOUR)
            if search.hour == 0:
                return False
        while search.minute not in self._minutes:
            search.reset("minute")
            search.add(MINUTE)
            if search.minute == 0:
                return False
        if search.wall % MINUTE:
            search.started = True
            search.add(MINUTE - search.wall % MINUTE)
            return False
        return True


class _EndlessError(Exception):
    """The search for the next fire never ends."""


class _Search:
    """An instant on its way to the next fire, and what the wall shows there."""

    def __init__(self, clock: Clock, at: int) -> None:
        self._clock, self._rounds, self.started = clock, 0, False
        self._set(at)

    def _set(self, at: int) -> None:
        self._rounds += 1
        if self._rounds > _ROUNDS:
            raise _EndlessError
        self.at, self.wall = at, self._clock.wall(at)
        day, self.seconds = divmod(self.wall, DAY)
        when = date.fromordinal(EPOCH + day)
        self.year, self.month, self.day = when.year, when.month, when.day
        self.hour, self.minute = self.seconds // HOUR, self.seconds // MINUTE % 60

    def add(self, seconds: int) -> None:
        """Elapsed time."""
        self._set(self.at + seconds)

    def date(self, year: int, month: int, day: int, seconds: int) -> None:
        """A time on the calendar; months and days may be one too many. Made into an instant as Go's time.Date does."""
        year, month = (year + 1, 1) if month > 12 else (year, month)
        wall = (date(year, month, 1).toordinal() + day - 1 - EPOCH) * DAY + seconds
        offset = self._clock.offset(wall)
        self._set(wall - (self._clock.offset(wall - offset) if offset else 0))

    def reset(self, name: str) -> None:
        """Before the first step of the search: everything below the field starts from its lowest value."""
        if self.started:
            return
        self.started = True
        if name == "month":
            self.date(self.year, self.month, 1, 0)
        elif name == "day":
            self.date(self.year, self.month, self.day, 0)
        elif name == "hour":
            self.date(self.year, self.month, self.day, self.hour * HOUR)
        else:
            self._set(self.at - self.wall % MINUTE)
