"""What the cron lab knows: the two lines as typed, what they mean, and the last ones that meant something."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

from backends.schedule import Schedule, ScheduleError, zone
from backends.schedule.preview import NextFire, Preview, fires_from, fires_within, month_fires, preview
from widgets.calendar import Month

DAY = timedelta(days=1)
_MEANT = re.compile(r"did you mean '([\w/+-]+)'", re.ASCII)


class Lab:
    """A few milliseconds at every key. What is wrong is kept beside the last good result, which stays."""

    def __init__(self) -> None:
        self.good: Preview | None = None
        self.wrong: ScheduleError | None = None
        self.wrong_zone: ScheduleError | None = None
        self.fires: tuple[NextFire, ...] = ()
        self.counter: Callable[[int, int], Month] = _no_month
        """Fires of a month; another object whenever the schedule is another one."""

    def read(self, expression: str, timezone: str, now: datetime) -> bool:
        """Take what stands in the lines; whether that is good. `now` is aware."""
        self.wrong = self.wrong_zone = None
        found: Preview | None = None
        try:
            zone(timezone)
        except ScheduleError as error:
            self.wrong_zone = error
        try:
            found = preview(expression, "UTC" if self.wrong_zone else timezone, now)
        except ScheduleError as error:
            self.wrong = error
        if found is None or self.stale:
            return False
        if self.good is None or found.schedule is not self.good.schedule:
            self.counter = partial(_month, found.schedule)
        self.good = found
        return True

    @property
    def stale(self) -> bool:
        """Whether what is known is not what stands in the lines."""
        return not (self.wrong is None and self.wrong_zone is None)

    @property
    def meant(self) -> str | None:
        """The time zone that stands near the one that was typed."""
        found = _MEANT.match(self.wrong_zone.remedy) if self.wrong_zone else None
        return found[1] if found else None

    def find_fires(self, now: datetime, day: date | None) -> None:
        """Fires from the beginning of a day of the zone on; without one from now."""
        if self.good is not None:
            schedule = self.good.schedule
            start = now if day is None else datetime.combine(day, time(), schedule.tz).astimezone(UTC)
            self.fires = fires_from(schedule, start)

    def ahead(self, now: datetime) -> tuple[NextFire | None, int]:
        """The next fire and how many there are within a day, wherever `fires` begin."""
        if self.good is None or self.good.schedule.reboot:
            return None, 0
        schedule = self.good.schedule
        return next(iter(fires_from(schedule, now, 1)), None), fires_within(schedule, now, DAY)


def _month(schedule: Schedule, year: int, month: int) -> Month:
    found = month_fires(schedule, year, month)
    return Month(found.counts, found.changes)


def _no_month(year: int, month: int) -> Month:
    return Month(())
