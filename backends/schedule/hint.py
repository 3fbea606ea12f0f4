"""What a hint is, and the facts that all of them are made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import pairwise

from backends.schedule.cron import Schedule
from backends.schedule.fields import Fields, Word, read_words
from backends.schedule.zones import zone

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Hint:
    """Something about a schedule that may surprise: a stable code, and a sentence that says what will happen."""

    code: str
    message: str


@dataclass(frozen=True)
class Facts:
    """A schedule that has fields, at an instant (aware)."""

    schedule: Schedule
    fields: Fields
    now: datetime

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The five fields as they are written."""
        return tuple(read_words(self.schedule.expression))

    @cached_property
    def today(self) -> date:
        return self.now.astimezone(UTC).astimezone(zone(self.schedule.timezone)).date()

    @cached_property
    def days(self) -> tuple[date, ...]:
        """The days of the next twelve months (365 or 366, from today) that have a fire, by the calendar."""
        return tuple(day for day in self.year if self.fields.on(day))

    @cached_property
    def year(self) -> tuple[date, ...]:
        first = self.today
        leap_day = first.month == 2 and first.day == 29
        last = date(first.year + 1, 3, 1) if leap_day else first.replace(year=first.year + 1)
        return tuple(first + DAY * n for n in range((last - first).days))

    @cached_property
    def days_in_a_row(self) -> bool:
        """Whether two of the days follow each other."""
        return self.fields.any_day or any(b - a == DAY for a, b in pairwise(self.days))

    def instead(self, place: int, text: str) -> str:
        """The expression with another field at that place."""
        words = [word.text for word in self.words]
        words[place] = text
        return " ".join(words)
