"""How many fires fall on one minute: counted once for each day, so that zoom and pan only look it up.

Ahead it is what is planned, behind what fired: a schedule says nothing of a time in which no engine was there.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from backends.model import from_ms
from backends.schedule import Schedule, fires_between
from console.console_ops import ConsoleOps
from widgets.timeline_geometry import Window

MINUTE = 60_000
CHUNK = 24 * 60
"""Minutes of a stretch."""
PART = 500
"""Schedules a step of counting: about 6 ms."""
MOST = 100
"""Stretches that are remembered."""


LATE = 3 * MINUTE
"""So long it may take until a fire is in the record: such minutes are read again."""


def fired_between(start_ms: int, end_ms: int) -> Callable[[ConsoleOps], Awaitable[Mapping[int, int]]]:
    """Asks for what fired then."""
    return lambda ops: ops.fired_minutes(start_ms, end_ms)


class Fired:
    """The fires that became runs by minute, as far as they were read."""

    def __init__(self) -> None:
        self._chunks: dict[int, array[int]] = {}
        self._until: dict[int, int] = {}

    def missing(self, view: Window, now_ms: int) -> list[tuple[int, int]]:
        """The stretches of what is in sight that are to be read, the newest first."""
        found = []
        for chunk in range((view.end_ms - 1) // (CHUNK * MINUTE), view.start_ms // (CHUNK * MINUTE) - 1, -1):
            begin = self._until.get(chunk, chunk * CHUNK * MINUTE)
            end = min((chunk + 1) * CHUNK * MINUTE, now_ms)
            if begin < end:
                found.append((begin, end))
        return found

    def take(self, start_ms: int, end_ms: int, minutes: Mapping[int, int], now_ms: int) -> None:
        """What was read of such a stretch."""
        chunk = start_ms // (CHUNK * MINUTE)
        line = self._chunks.setdefault(chunk, array("L", bytes(array("L").itemsize * CHUNK)))
        for at in range(start_ms // MINUTE, -(-end_ms // MINUTE)):
            line[at % CHUNK] = minutes.get(at * MINUTE, 0)
        settled = min(end_ms, (now_ms - LATE) // MINUTE * MINUTE)
        self._until[chunk] = max(self._until.get(chunk, start_ms), settled)
        if len(self._chunks) > MOST:
            far = max(self._chunks, key=lambda n: abs(n - chunk))
            del self._chunks[far], self._until[far]

    def minutes(self, chunk: int) -> array[int] | None:
        """Of one stretch; None where nothing of it was read."""
        return self._chunks.get(chunk)


class Herd:
    """The fires of all `schedules` by minute, and those that `fired` before now."""

    def __init__(self, schedules: Mapping[str, Schedule], fired: Fired, clock: Callable[[], int]) -> None:
        equal: dict[tuple[int, str], tuple[str, int]] = {}  # jobs of one schedule are counted once
        for job, schedule in schedules.items():
            first, many = equal.get((id(schedule.walls), schedule.timezone), (job, 0))
            equal[id(schedule.walls), schedule.timezone] = (first, many + 1)
        self._many = dict(equal.values())
        names = list(self._many)
        self._parts = [{job: schedules[job] for job in names[n : n + PART]} for n in range(0, len(names), PART)]
        self._chunks: dict[int, array[int]] = {}
        self._fired, self._clock = fired, clock

    @staticmethod
    def _chunk(at_ms: int) -> int:
        return at_ms // (CHUNK * MINUTE)

    def missing(self, view: Window) -> list[int]:
        """The stretches in sight that are not over and not counted yet, those nearest to now first."""
        chunks = range(max(self._chunk(view.start_ms), self._chunk(self._clock())), self._chunk(view.end_ms - 1) + 1)
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

    def _line(self, first: int, last: int) -> array[int]:
        """The minutes from `first` to before `last`; 0 also where it is not known yet."""
        now, line = self._clock() // MINUTE + 1, array("L")  # the minute that has begun is of the past
        for chunk in range(first // CHUNK, (last - 1) // CHUNK + 1):
            start = chunk * CHUNK
            low, high = max(first - start, 0), min(last - start, CHUNK)
            cut = min(max(now - start, low), high)
            for counted, begin, end in ((self._fired.minutes(chunk), low, cut), (self._chunks.get(chunk), cut, high)):
                line.extend(counted[begin:end] if counted is not None else array("L", [0] * (end - begin)))
        return line

    def peaks(self, view: Window) -> tuple[int, ...]:
        """By column, the most fires on one minute; 0 also where it is not counted yet."""
        first = -(-view.start_ms // MINUTE)
        line = self._line(first, -(-view.end_ms // MINUTE))
        found, low = [], 0
        for column in range(1, view.columns + 1):
            high = -(-(view.start_ms + column * view.step_ms) // MINUTE) - first
            found.append(max(line[low:high], default=0))
            low = high
        return tuple(found)

    def busiest(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """(the first minute of the stretch on which the most fires fall, how many), as far as they are counted."""
        first = -(-start_ms // MINUTE)
        line = self._line(first, -(-end_ms // MINUTE))
        most = max(line, default=0)
        return ((first + line.index(most)) * MINUTE, most) if most else (start_ms, 0)
