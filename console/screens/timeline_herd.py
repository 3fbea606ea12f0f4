"""How many fires fall on one minute: counted once for each day, so that zoom and pan only look it up."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Any

from backends.model import from_ms
from backends.schedule import Schedule, fires_between
from widgets.timeline_geometry import Window

MINUTE = 60_000
CHUNK = 24 * 60
"""Minutes of a stretch."""
PART = 500
"""Schedules a step of counting: about 6 ms."""
MOST = 100
"""Stretches that are remembered."""


class Herd:
    """The fires of all `schedules` by minute."""

    def __init__(self, schedules: Mapping[str, Schedule]) -> None:
        equal: dict[tuple[int, str], tuple[str, int]] = {}  # jobs of one schedule are counted once
        for job, schedule in schedules.items():
            first, many = equal.get((id(schedule.walls), schedule.timezone), (job, 0))
            equal[id(schedule.walls), schedule.timezone] = (first, many + 1)
        self._many = dict(equal.values())
        names = list(self._many)
        self._parts = [{job: schedules[job] for job in names[n : n + PART]} for n in range(0, len(names), PART)]
        self._chunks: dict[int, array[int]] = {}

    @staticmethod
    def _chunk(at_ms: int) -> int:
        return at_ms // (CHUNK * MINUTE)

    def missing(self, view: Window) -> list[int]:
        """The stretches in sight that are not counted yet, those nearest to now first."""
        chunks = range(self._chunk(view.start_ms), self._chunk(view.end_ms - 1) + 1)
        now = self._chunk(view.start_ms + view.now_column * view.step_ms)
        return sorted((n for n in chunks if n not in self._chunks), key=lambda n: abs(n - now))

    def counting(self, chunk: int) -> Iterator[None]:
        """Count one of them, some schedules at each step."""
        start = chunk * CHUNK * MINUTE
        begin, end = from_ms(start), from_ms(start + CHUNK * MINUTE)
        minutes = array("L", bytes(array("L").itemsize * CHUNK))
        for part in self._parts:
            shared: dict[int, list[Any]] = {}
            for job, instants in fires_between(part, begin, end).items():
                if instants:
                    shared.setdefault(id(instants), [0, instants])[0] += self._many[job]
            for many, instants in shared.values():
                for at in instants:
                    minutes[(at - start) // MINUTE] += many
            yield
        if len(self._chunks) >= MOST:
            del self._chunks[max(self._chunks, key=lambda n: abs(n - chunk))]
        self._chunks[chunk] = minutes

    def peaks(self, view: Window) -> tuple[int, ...]:
        """By column, the most fires on one minute; 0 also where it is not counted yet."""
        first = -(-view.start_ms // MINUTE)
        last = -(-view.end_ms // MINUTE)
        line = array("L")
        for chunk in range(first // CHUNK, (last - 1) // CHUNK + 1):
            low, high = max(first - chunk * CHUNK, 0), min(last - chunk * CHUNK, CHUNK)
            counted = self._chunks.get(chunk)
            line.extend(counted[low:high] if counted is not None else array("L", [0] * (high - low)))
        found, low = [], 0
        for column in range(1, view.columns + 1):
            high = -(-(view.start_ms + column * view.step_ms) // MINUTE) - first
            found.append(max(line[low:high], default=0))
            low = high
        return tuple(found)

    def busiest(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """(the first minute of the stretch on which the most fires fall, how many), as far as they are counted."""
        best = (start_ms, 0)
        for minute in range(-(-start_ms // MINUTE), -(-end_ms // MINUTE)):
            counted = self._chunks.get(minute // CHUNK)
            if counted is not None and counted[minute % CHUNK] > best[1]:
                best = (minute * MINUTE, counted[minute % CHUNK])
        return best
