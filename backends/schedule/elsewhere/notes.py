"""One sentence on how a system's fires around a clock change differ from ours, made from the two lists of fires."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from backends.schedule.dst import ClockChange, swallowed, times
from backends.schedule.elsewhere.base import HOUR, MINUTE, Clock, Fires, System
from backends.schedule.fields import Fields


@dataclass(frozen=True)
class Facts:
    """A clock change, our fires and another system's around it (POSIX seconds), and where they differ."""

    change: ClockChange
    fields: Fields
    clock: Clock
    system: System
    ours: list[int]
    theirs: Fires
    missing: list[int]
    extra: list[int]

    @property
    def at(self) -> int:
        return int(self.change.at.timestamp())

    def wall(self, at: int) -> datetime:
        return datetime.fromtimestamp(self.clock.wall(at), UTC).replace(tzinfo=None)

    def repeated(self, at: int) -> bool:
        """Whether its time on the wall comes twice because of this change."""
        later, earlier = (self.at + int(offset.total_seconds()) for offset in (self.change.before, self.change.after))
        return earlier <= self.clock.wall(at) < later


def note(facts: Facts) -> str:
    """The sentence, without a full stop; empty where nothing differs."""
    parts = list(_parts(facts))
    return "; ".join(parts)


def _parts(facts: Facts) -> Iterator[str]:
    if facts.theirs.stuck:
        yield "finds no further fire after the clock change: its search goes in circles"
        return
    missing, extra = list(facts.missing), list(facts.extra)
    yield from _day_rule(facts, missing, extra)
    if facts.change.jump > timedelta(0):
        yield from _gap(facts, missing, extra)
    else:
        yield from _overlap(facts, missing, extra)
    if missing:
        yield f"no fire at {_times(facts, missing)}"
    if extra:
        yield f"fires at {_times(facts, extra)} too"
    if facts.theirs.unclear:
        yield facts.system.doubt(any(facts.repeated(at) for at in facts.theirs.unclear))


def _day_rule(facts: Facts, missing: list[int], extra: list[int]) -> Iterator[str]:
    """Fires on days that only one of the two day rules takes; one after a gap stands for the days in the gap too."""
    gone = [_seconds(wall) for wall in swallowed(facts.fields, facts.change)]

    def theirs(at: int) -> bool:
        walls = [facts.clock.wall(at), *(gone if at == facts.at else ())]
        return any(facts.system.on(wall) for wall in walls)

    def ours(at: int) -> bool:
        return (at == facts.at and bool(gone)) or facts.fields.on(facts.wall(at).date())

    if _take(extra, lambda at: not ours(at)):
        yield "fires on this day by its own day rule"
    if _take(missing, lambda at: not theirs(at)):
        yield "no fire on this day by its own day rule"


def _seconds(wall: datetime) -> int:
    return int(wall.replace(tzinfo=UTC).timestamp())


def _gap(facts: Facts, missing: list[int], extra: list[int]) -> Iterator[str]:
    gone = swallowed(facts.fields, facts.change)
    if not gone:
        return
    told, only = times(gone), "does" if len(gone) == 1 else "do"
    if _take(missing, lambda at: at == facts.at):
        yield f"skipped: {told} {only} not exist"
    runs = len(_take(extra, lambda at: at == facts.at))
    if not runs:
        return
    at = f"{facts.wall(facts.at):%H:%M}"
    if facts.at in facts.ours:
        yield f"{runs + 1} runs at {at}, one for each of {told}"
    else:
        yield f"fires at {at} for {told}, which {only} not exist"


def _overlap(facts: Facts, missing: list[int], extra: list[int]) -> Iterator[str]:
    twice = _take(extra, facts.repeated)
    if twice:
        yield f"fires twice: {_times(facts, twice)} come{'s' if len(twice) == 1 else ''} twice"
    once = _take(missing, facts.repeated)
    if once:
        hole = _hole(facts, once)
        yield "fires in the first pass of the repeated hour only" + (f": {hole} without a fire" if hole else "")


def _hole(facts: Facts, missing: Sequence[int]) -> str:
    """The time without a fire round the missing ones; empty where it has none on both sides."""
    before = [at for at in facts.theirs.sure if at < missing[0]]
    after = [at for at in facts.theirs.sure if at > missing[-1]]
    if not before or not after:
        return ""
    hours, minutes = divmod((after[0] - before[-1]) // MINUTE, HOUR // MINUTE)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part)


def _take(fires: list[int], wanted: Callable[[int], bool]) -> list[int]:
    """Takes what is wanted out of the list, and returns it."""
    taken: list[int] = []
    rest: list[int] = []
    for at in fires:
        (taken if wanted(at) else rest).append(at)
    fires[:] = rest
    return taken


def _times(facts: Facts, fires: Sequence[int]) -> str:
    return times(sorted({facts.wall(at) for at in fires}))
