"""Time zones as stretches of constant UTC offset: where clocks change, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from heapq import nlargest
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from backends.schedule import abbreviations
from backends.schedule.errors import ScheduleError

FIRST_YEAR, LAST_YEAR = 1900, 2199
"""The years in which fires are looked for."""

MAX_JUMP = timedelta(hours=3)
"""A gap that is shorter is made up for; after a step back no longer than this nothing is done twice. Beyond that the
clock was corrected, and the new time counts as it is: cron(8), and to the minute Debian's daemon."""

_PROBE = timedelta(days=2)  # no zone changes its clock twice within (4 days in Freetown in 1939, 7 in Gaza)
_LOOK_BACK = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch ``[begin, end)`` of UTC in which local time is UTC + offset.

    `before` is the offset just before `begin`. `seen` is the latest wall time that had passed before `begin`:
    walls below it are met a second time in this segment. A clock set back by more than MAX_JUMP has seen nothing.
    """

    begin: datetime
    end: datetime
    offset: timedelta
    before: timedelta
    seen: datetime


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    return {name.lower(): name for name in sorted(available_timezones())}


@lru_cache(maxsize=1)
def _cities() -> dict[str, str]:
    return {key.rsplit("/", 1)[-1]: name for key, name in _names().items()}


@lru_cache(maxsize=2048)
def _pairs(text: str) -> frozenset[str]:
    return frozenset(map("".join, pairwise(text)))


def _nearest(wanted: str, spellings: dict[str, str]) -> str | None:
    """The name of the most similar spelling; compares only those of most common pairs of letters: about 1 ms."""
    pairs = frozenset(map("".join, pairwise(wanted)))

    def common(spelling: str) -> int:
        return 2 * len(pairs & _pairs(spelling)) - abs(len(spelling) - len(wanted))

    close = get_close_matches(wanted, nlargest(20, spellings, key=common), n=1, cutoff=0.7)
    return spellings[close[0]] if close else None


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name. Raises ScheduleError with the nearest name."""
    if name == "UTC":  # most schedules have no other, and to list all of them takes 10 to 30 ms
        return ZoneInfo(name)
    names = _names()
    if names.get(name.lower()) == name:
        return ZoneInfo(name)
    wanted = name[:100].lower().strip().replace(" ", "_")
    if wanted in names:
        raise ScheduleError(f"no time zone '{_clean(name)}'", f"did you mean '{names[wanted]}'?")
    short = abbreviations.remedy(name[:100])
    if short:
        raise ScheduleError(f"no time zone '{_clean(name)}'", short)
    close = _nearest(wanted, names) or _nearest(wanted, _cities())
    hint = f"did you mean '{close}'?" if close else "write an IANA name such as Europe/Berlin"
    raise ScheduleError(f"no time zone '{_clean(name)}'", hint)


def _clean(name: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in name[:61])
    return text if len(text) <= 60 else text[:57] + "…"


def _offset(tz: ZoneInfo, at: datetime) -> timedelta:
    offset = at.astimezone(tz).utcoffset()
    assert offset is not None
    return offset


def _changes(tz: ZoneInfo, begin: datetime, end: datetime) -> Iterator[tuple[datetime, timedelta, timedelta]]:
    """(instant, offset before, offset after) of each clock change in ``(begin, end]``."""
    at, offset = begin, _offset(tz, begin)
    while at < end:
        later = min(at + _PROBE, end)
        after = _offset(tz, later)
        if after != offset:
            low, high = at, later
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) / 2).replace(microsecond=0)
                if _offset(tz, middle) == offset:
                    low = middle
                else:
                    high = middle
            after = _offset(tz, high)
            yield high, offset, after
            later = high
        at, offset = later, after


@lru_cache(maxsize=8192)
def segments(tz: ZoneInfo, year: int) -> tuple[Segment, ...]:
    """The segments of one UTC year, cut at its ends; they touch each other."""
    start = datetime(year, 1, 1, tzinfo=UTC)
    stop = datetime(year + 1, 1, 1, tzinfo=UTC)
    changes = [*_changes(tz, start - _LOOK_BACK, stop - timedelta(seconds=1))]
    cuts = [c for c in changes if c[0] >= start]
    first = _offset(tz, start)
    if not cuts or cuts[0][0] != start:
        cuts.insert(0, (start, first, first))
    ends = [cut[0] for cut in cuts[1:]] + [stop]
    result = []
    for (begin, before, offset), end in zip(cuts, ends, strict=True):
        seen = _wall(begin, before)
        for at, old, new in changes:
            if begin - _LOOK_BACK <= at <= begin:
                seen = _wall(at, new) if old - new > MAX_JUMP else max(seen, _wall(at, old))
        result.append(Segment(begin, end, offset, before, seen))
    return tuple(result)


def _wall(at: datetime, offset: timedelta) -> datetime:
    return (at + offset).replace(tzinfo=None)


def forward(tz: ZoneInfo, at: datetime) -> Iterator[Segment]:
    """Segments from the one that holds `at` (UTC) to the last year."""
    for year in range(max(at.year, FIRST_YEAR), LAST_YEAR + 1):
        for segment in segments(tz, year):
            if segment.end > at:
                yield segment


def backward(tz: ZoneInfo, at: datetime) -> Iterator[Segment]:
    """Segments from the one that holds the instant before `at` (UTC) to the first year."""
    for year in range(min(at.year, LAST_YEAR), FIRST_YEAR - 1, -1):
        for segment in reversed(segments(tz, year)):
            if segment.begin < at:
                yield segment
