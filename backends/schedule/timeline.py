"""Fires of many schedules at once, from tables: minutes of the day, days, and stretches of constant UTC offset.

A day of 10,000 jobs is more than a million fires. Here equal schedules are computed once, zones that keep the same
offsets within the window share one list of days, and counting a stretch of time is two searches in a table of minutes
instead of a walk over its fires. The fires are those of `Schedule.between`; all instants are epoch ms.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from heapq import merge
from itertools import groupby, pairwise, repeat
from operator import itemgetter
from zoneinfo import ZoneInfo

from backends.model import PlannedFire, from_ms, to_ms
from backends.schedule.cron import MINUTE, Schedule, Walls
from backends.schedule.zones import Segment, forward

_DAY = timedelta(days=1)
_DAY_MINUTES = 1440
_MINUTE_MS = 60_000
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class _Span:
    """The minutes ``[low, high)`` of a day on the wall. `new`: the first one that is not met a second time."""

    day: date
    midnight_ms: int
    low: int
    new: int
    high: int


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A window as the wall clocks of a zone show it; `gaps` begin after a clock that was set forward."""

    spans: tuple[_Span, ...]
    gaps: tuple[Segment, ...]


def _stretch(tz: ZoneInfo, start: datetime, end: datetime) -> _Stretch:
    spans: list[_Span] = []
    gaps: list[Segment] = []
    for segment in forward(tz, start):
        if segment.begin >= end:
            break
        if segment.begin >= start and segment.offset > segment.before:
            gaps.append(segment)
        begin = (max(segment.begin, start) + segment.offset).replace(tzinfo=None)
        stop = (min(segment.end, end) + segment.offset).replace(tzinfo=None)
        new = max(begin, segment.seen)
        day = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        while day < stop:
            midnight = (day - segment.offset - _EPOCH) // timedelta(milliseconds=1)
            spans.append(_Span(day.date(), midnight, _minute(begin - day), _minute(new - day), _minute(stop - day)))
            day += _DAY
    return _Stretch(tuple(spans), tuple(gaps))


def _minute(since_midnight: timedelta) -> int:
    """The first full minute of the day at or after that time, within the day."""
    return min(max(-(-since_midnight // MINUTE), 0), _DAY_MINUTES)


_Group = tuple[Schedule, Walls, _Stretch, list[str]]


def _groups(schedules: Mapping[str, Schedule], start: datetime, end: datetime) -> Iterable[_Group]:
    """Jobs that fire at the same instants of ``[start, end)``, together."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    stretches: dict[str, _Stretch] = {}
    equal: dict[_Stretch, _Stretch] = {}
    groups: dict[tuple[int, int], _Group] = {}
    for job, schedule in schedules.items():
        walls = schedule.walls
        if walls is None:
            continue
        stretch = stretches.get(schedule.timezone)
        if stretch is None:
            stretch = _stretch(schedule.tz, start, end)
            stretch = stretches[schedule.timezone] = equal.setdefault(stretch, stretch)
        key = (id(walls), id(stretch))
        group = groups.get(key)
        if group is None:
            groups[key] = (schedule, walls, stretch, [job])
        else:
            group[3].append(job)
    return groups.values()


def _made_up(schedule: Schedule, stretch: _Stretch) -> list[int]:
    return [to_ms(segment.begin) for segment in stretch.gaps if schedule.makes_up(segment)]


def fires_between(schedules: Mapping[str, Schedule], start: datetime, end: datetime) -> dict[str, Sequence[int]]:
    """The fires of each job from `start`, inclusive, to `end`, exclusive: epoch ms, ascending.

    Jobs that fire at the same instants share one sequence. A job without fires has an empty one.
    """
    _aware(start, end)
    found: dict[str, Sequence[int]] = dict.fromkeys(schedules, ())
    tables: dict[int, list[int]] = {}
    for schedule, walls, stretch, jobs in _groups(schedules, start, end):
        fires = _expand(schedule, walls, stretch, tables)
        for job in jobs:
            found[job] = fires
    return found


def _expand(schedule: Schedule, walls: Walls, stretch: _Stretch, tables: dict[int, list[int]]) -> tuple[int, ...]:
    times, fields = walls.times, walls.fields
    table = tables.get(id(walls))
    if table is None:
        table = tables[id(walls)] = [minute * _MINUTE_MS for minute in times]
    fires: list[int] = []
    for span in stretch.spans:
        if fields.on(span.day):
            low, high, midnight = span.low if fields.wildcard else span.new, span.high, span.midnight_ms
            if low or high < _DAY_MINUTES:
                fires += [midnight + ms for ms in table[bisect_left(times, low) : bisect_left(times, high)]]
            else:
                fires += [midnight + ms for ms in table]
    if stretch.gaps and (made_up := _made_up(schedule, stretch)):
        fires = sorted([*fires, *made_up])
    return tuple(fires)


def merged(fires: Mapping[str, Sequence[int]]) -> Iterator[PlannedFire]:
    """The fires of all jobs one after the other, by time and name; lazily, so the first few cost little."""
    same: dict[int, tuple[Sequence[int], list[str]]] = {}
    for job, instants in fires.items():
        same.setdefault(id(instants), (instants, []))[1].append(job)
    lines = [zip(instants, repeat(jobs)) for instants, jobs in same.values()]
    for at_ms, together in groupby(merge(*lines, key=itemgetter(0)), key=itemgetter(0)):
        for job in sorted(job for _, jobs in together for job in jobs):
            yield PlannedFire(job, at_ms)


@dataclass(frozen=True, slots=True)
class Density:
    """Fires per bucket: of each job (jobs that fire together share a tuple), and of all jobs together."""

    jobs: Mapping[str, tuple[int, ...]]
    total: tuple[int, ...]


def density(schedules: Mapping[str, Schedule], start: datetime, end: datetime, buckets: int) -> Density:
    """How many fires each job has in each of `buckets` equal parts of ``[start, end)``; none is expanded.

    Buckets are cut at full ms. Raises ValueError for less than one bucket or a window that is not ahead.
    """
    _aware(start, end)
    low, high = _ceil_ms(start), _ceil_ms(end)
    if buckets < 1 or high <= low:
        raise ValueError("a density needs a bucket and a window")
    return counts(schedules, [low + (high - low) * n // buckets for n in range(buckets + 1)])


def counts(schedules: Mapping[str, Schedule], edges: Sequence[int]) -> Density:
    """How many fires each job has between neighbouring `edges` (epoch ms, ascending): one number less than edges."""
    found: dict[str, tuple[int, ...]] = dict.fromkeys(schedules, (0,) * (len(edges) - 1))
    total = [0] * (len(edges) - 1)
    cuts: dict[int, list[tuple[_Span, int, list[int]]]] = {}
    for schedule, walls, stretch, jobs in _groups(schedules, from_ms(edges[0]), from_ms(edges[-1])):
        cut = cuts.get(id(stretch))
        if cut is None:
            cut = cuts[id(stretch)] = [_cut(span, edges) for span in stretch.spans]
        numbers = _count(schedule, walls, stretch, cut, edges)
        many = len(jobs)
        total = [a + b * many for a, b in zip(total, numbers, strict=True)]
        for job in jobs:
            found[job] = numbers
    return Density(found, tuple(total))


def _cut(span: _Span, edges: Sequence[int]) -> tuple[_Span, int, list[int]]:
    """The first bucket that reaches into the span, and the minutes of the day where the buckets after it begin."""
    low, high = span.midnight_ms + span.low * _MINUTE_MS, span.midnight_ms + span.high * _MINUTE_MS
    first = max(bisect_left(edges, low + 1) - 1, 0)
    last = min(bisect_left(edges, high), len(edges) - 1)  # the last minute may be cut by the last edge
    inner = edges[first + 1 : last]
    return span, first, [-((span.midnight_ms - edge) // _MINUTE_MS) for edge in inner]


def _count(
    schedule: Schedule, walls: Walls, stretch: _Stretch, cut: list[tuple[_Span, int, list[int]]], edges: Sequence[int]
) -> tuple[int, ...]:
    times, fields = walls.times, walls.fields
    numbers = [0] * (len(edges) - 1)
    for span, first, minutes in cut:
        if fields.on(span.day):
            low = bisect_left(times, span.low if fields.wildcard else span.new)
            high = bisect_left(times, span.high)
            if high - low <= len(minutes):
                for minute in times[low:high]:
                    numbers[first + bisect_right(minutes, minute)] += 1
            else:
                places = [low, *[min(max(bisect_left(times, minute), low), high) for minute in minutes], high]
                for bucket, (a, b) in enumerate(pairwise(places), first):
                    numbers[bucket] += b - a
    for at in _made_up(schedule, stretch) if stretch.gaps else ():
        numbers[bisect_left(edges, at + 1) - 1] += 1
    return tuple(numbers)


def next_fires(schedules: Mapping[str, Schedule], at_ms: int) -> dict[str, int | None]:
    """The first fire of each job after `at_ms`, exclusive; None where there is none."""
    at = from_ms(at_ms)
    found: dict[str, int | None] = dict.fromkeys(schedules)
    for _, walls, stretch, jobs in _groups(schedules, from_ms(at_ms + 1), at + _DAY):
        fire = None if stretch.gaps else _first(walls, stretch)
        later: dict[str, int | None] = {}  # the zones of a group may differ beyond the window
        for job in jobs:
            if fire is None:
                zone = schedules[job].timezone
                if zone not in later:
                    after = schedules[job].after(at)
                    later[zone] = to_ms(after) if after else None
            found[job] = later[schedules[job].timezone] if fire is None else fire
    return found


def _first(walls: Walls, stretch: _Stretch) -> int | None:
    times, fields = walls.times, walls.fields
    for span in stretch.spans:
        if fields.on(span.day):
            place = bisect_left(times, span.low if fields.wildcard else span.new)
            if place < len(times) and times[place] < span.high:
                return span.midnight_ms + times[place] * _MINUTE_MS
    return None


def _aware(*instants: datetime) -> None:
    if any(at.tzinfo is None for at in instants):
        raise ValueError("a time line needs aware datetimes")


def _ceil_ms(at: datetime) -> int:
    return -((datetime(1970, 1, 1, tzinfo=UTC) - at) // timedelta(milliseconds=1))
