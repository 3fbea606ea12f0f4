"""What the five fields of an expression are, and the short forms: the dialect of Debian's cron (crontab(5), 3.0pl1)."""

from __future__ import annotations

from dataclasses import dataclass

MAX_LENGTH = 256
"""Characters of an expression. The longest sensible one is a list of all minutes, 169 characters."""
ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""In any case: Debian's cron wants small letters, cronie takes both."""
REBOOT = "@reboot"
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
DAYS_IN = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""The most days a month can have, by month."""


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five fields. `top` is the highest value that `*` stands for: weekday 7 is Sunday once more."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    @property
    def top(self) -> int:
        return min(self.high, 6) if self.names == DAYS else self.high

    def number(self, name: str) -> int:
        """The value of a three-letter name in small letters."""
        return self.names.index(name) + self.low


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("weekday", 0, 7, DAYS),
)
