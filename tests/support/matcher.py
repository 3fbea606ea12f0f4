"""Debian's cron as its manual tells it: a daemon that looks at the clock on the wall once a minute. Test use only.

Shares nothing with the code under test: its own reading of a line, a walk over every minute of UTC, and nothing but
`zoneinfo` for what the wall shows. Sources: crontab(5) for the fields; cron(8), on clock changes of less and of more
than three hours; the main loop's four cases (on time, a little late, clock set forward, clock set back).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = date(1970, 1, 1).toordinal()
LATE = 5
"""Up to so many minutes the daemon is only late."""
JUMP = 180
"""More minutes than these from one look to the next: somebody corrected the clock, nothing is made up for."""
LEAD = 240
"""So many minutes the daemon runs before a window: after a repeated hour the wall needs as long to be new again."""


class Line:
    """The five fields of a crontab line, in numbers: ``*``, lists, ranges and steps."""

    def __init__(self, expression: str) -> None:
        words = expression.split()
        minutes, hours, self.days, self.months, weekdays = (
            self.numbers(word, low, high)
            for word, (low, high) in zip(words, ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7)), strict=True)
        )
        self.times = {hour * 60 + minute for hour in hours for minute in minutes}
        self.weekdays = {weekday % 7 for weekday in weekdays}
        self.star_time = words[0].startswith("*") or words[1].startswith("*")
        self.star_day = words[2].startswith("*") or words[4].startswith("*")
        self._known: dict[int, bool] = {}

    @staticmethod
    def numbers(word: str, low: int, high: int) -> set[int]:
        found: set[int] = set()
        for item in word.split(","):
            span, _, step = item.partition("/")
            first, _, last = span.partition("-")
            begin, end = (low, high) if span == "*" else (int(first), int(last or first))
            found.update(range(begin, end + 1, int(step or 1)))
        return found

    def on(self, day: int) -> bool:
        """Whether the day with that number, counted from 1 January 1970, is one of the line's."""
        if day not in self._known:
            there = date.fromordinal(day + EPOCH_DAY)
            number, weekday = there.day in self.days, there.isoweekday() % 7 in self.weekdays
            self._known[day] = there.month in self.months and (
                (number and weekday) if self.star_day else (number or weekday)
            )
        return self._known[day]

    def fires(self, watch: Watch) -> list[datetime]:
        """When the daemon starts it. What it starts several times in one minute, to make up for a gap, is one fire."""
        minutes = {
            minute
            for minute, wall in (watch.star if self.star_time else watch.fixed)
            if wall % 1440 in self.times and self.on(wall // 1440)
        }
        return [EPOCH + MINUTE * minute for minute in sorted(minutes)]


@dataclass(frozen=True)
class Watch:
    """What the daemon does with each minute of UTC in ``[begin, end)``: the minutes on the wall it runs lines for.

    Pairs (minute of UTC, minute on the wall), counted from 1970; `star` for lines whose minute or hour starts with
    ``*``, `fixed` for all others.
    """

    begin: datetime
    end: datetime
    star: tuple[tuple[int, int], ...]
    fixed: tuple[tuple[int, int], ...]


@lru_cache(maxsize=8)
def watch(zone: str, begin: datetime, minutes: int) -> Watch:
    """A daemon in `zone` that has been running for a while at `begin`, a full minute of UTC."""
    first = (begin - EPOCH) // MINUTE
    walls = walk(zone, first - LEAD, first + minutes)
    star: list[tuple[int, int]] = []
    fixed: list[tuple[int, int]] = []
    done = next(walls)[1]  # the daemon's own clock: all lines of this minute on the wall have had their turn
    for now, wall in walls:
        late = wall - done
        if 0 < late <= LATE:  # on time, or only just late
            star += [(now, minute) for minute in range(done + 1, wall + 1)]
            fixed += [(now, minute) for minute in range(done + 1, wall + 1)]
            done = wall
        elif LATE < late <= JUMP:  # set forward
            star.append((now, wall))
            fixed += [(now, minute) for minute in range(done + 1, wall + 1)]
            done = wall
        elif -JUMP < late <= 0:  # set back
            star.append((now, wall))
        else:  # corrected
            star.append((now, wall))
            fixed.append((now, wall))
            done = wall
    return Watch(
        begin,
        begin + MINUTE * minutes,
        tuple(pair for pair in star if pair[0] >= first),
        tuple(pair for pair in fixed if pair[0] >= first),
    )


@lru_cache(maxsize=256)
def clock_changes(zone: str, first_year: int, last_year: int) -> tuple[datetime, ...]:
    """Every instant of those years (UTC) from which on the zone's offset is another one; no zone has two in a day."""
    first, end = ((datetime(year, 1, 1, tzinfo=UTC) - EPOCH) // MINUTE for year in (first_year, last_year + 1))
    found: list[datetime] = []
    for begin, later in pairwise(walk(zone, first, end + 1440, 1440)):
        if later[1] - begin[1] != 1440:
            minutes = pairwise(walk(zone, begin[0], later[0] + 1))
            found += [EPOCH + MINUTE * now for (_, wall), (now, next_wall) in minutes if next_wall != wall + 1]
    return tuple(found)


def walk(zone: str, first: int, end: int, step: int = 1) -> Iterator[tuple[int, int]]:
    """Every minute of UTC and the minute the wall shows then."""
    tz = ZoneInfo(zone)
    for minute in range(first, end, step):
        offset = datetime.fromtimestamp(minute * 60, tz).utcoffset()
        assert offset is not None
        yield minute, (minute * 60 + offset // timedelta(seconds=1)) // 60
