"""Which dead letters are meant: selections, places in the merged list of all queues, what of a queue is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from backends.errors import BadInputError
from backends.model import DeadLetter, to_ms
from backends.ops.archived import WholeQueue
from backends.ops.matching import Matcher

GROUPS_MOST = 20
"""A filter that means more groups of a queue than these is tested letter by letter."""
_END = 1 << 53


class Selection(msgspec.Struct, frozen=True):
    """Which dead letters are meant. All given conditions must hold; with none given, `everything` must be set.

    `since` and `until` are about when a letter came to the dead ones, by the clock of Redis.
    """

    queue: str = ""
    job: str = ""
    group: str = ""
    error: str = ""  # text that the error contains, in any case
    payload: str = ""  # text that the envelope contains, in any case
    since: datetime | None = None
    until: datetime | None = None  # exclusive
    everything: bool = False
    words: tuple[str, ...] = ()  # each in job, error or run id, in any case: what is typed into the console's filter
    without: tuple[str, ...] = ()  # none of them there
    like: Mapping[str, str] = msgspec.field(default_factory=dict)  # job, queue, group → text in that name, in any case
    upto: Mapping[str, int] | None = None  # frozen: queue → highest sequence; what died later is not meant
    counted: int | None = None  # how many the operator was shown before acting

    @property
    def empty(self) -> bool:
        """True where nothing was selected, which is never taken to mean all."""
        return not (self.queue or self.group or self.everything or self.filters)

    @property
    def filters(self) -> bool:
        """Whether it is about more than a queue or a group."""
        return bool(self.job or self.since or self.until or self.like or self.texts)

    @property
    def texts(self) -> bool:
        """Whether letters have to be looked at one by one to find those that are meant."""
        return bool(self.error or self.payload or self.words or self.without)

    @property
    def whole(self) -> bool:
        """Whether all of a queue, or of all queues, is meant."""
        return not (self.group or self.filters)

    def matches(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant; the queue and what is frozen are not looked at."""
        return _span(self, _END)[0] < letter.sequence <= _span(self, _END)[1] and Matcher(self).letter(letter)


def _span(selection: Selection, upto: int) -> tuple[int, int]:
    """(above, up to) which sequence: it is the clock of Redis, in microseconds, made to rise."""
    above = to_ms(selection.since) * 1000 - 1 if selection.since else 0
    return above, min(upto, to_ms(selection.until) * 1000 - 1) if selection.until else upto


class Part(msgspec.Struct, frozen=True):
    """What of one queue is meant: after < sequence <= upto, of these groups (none: of all), if `test` agrees."""

    queue: WholeQueue
    after: int
    upto: int
    groups: tuple[str, ...]
    test: Matcher | None

    async def size(self) -> int:
        """How many letters have to be looked at."""
        return await self.queue.dead_count(self.upto, self.after + 1, self.groups)


async def parts(queues: Sequence[WholeQueue], selection: Selection) -> list[Part]:
    """What of each queue is meant; those in which there can't be any are left out."""
    found = []
    for queue in queues:
        if selection.queue and queue.name != selection.queue:
            continue
        upto = _END if selection.upto is None else selection.upto.get(queue.name, 0)
        after, upto = _span(selection, upto)
        if upto <= after:
            continue
        groups = await _groups(queue, selection)
        if groups is not None and not groups:
            continue
        listed = groups is not None and len(groups) <= GROUPS_MOST
        test = Matcher(selection, queue.name, kinds=not (listed or groups is None))
        found.append(Part(queue, after, upto, groups if listed and groups else (), None if test.needless else test))
    return found


async def _groups(queue: WholeQueue, selection: Selection) -> tuple[str, ...] | None:
    """The groups of a queue that are meant; None: all."""
    if selection.group and not (selection.job or selection.like):
        return (selection.group,)
    if not (selection.group or selection.job or selection.like):
        return None
    alike = Matcher(selection).alike
    return tuple([
        group for group, kind in (await queue.dead_kinds()).items()
        if selection.group in ("", group) and selection.job in ("", kind.job)
        and alike({"job": kind.job, "queue": queue.name, "group": group})
    ])  # fmt: skip


async def freeze(queues: Sequence[WholeQueue], selection: Selection) -> Selection:
    """The selection as of now; one that is frozen already stays as it is."""
    if selection.upto is not None:
        return selection
    meant = [queue for queue in queues if selection.queue in ("", queue.name)]
    tops = {queue.name: await queue.dead_top() for queue in meant}
    return replace(selection, upto={name: top for name, top in tops.items() if top})


class Place(msgspec.Struct, frozen=True):
    """A place between two letters of the merged list: below `sequence`, or equal to it in a queue that sorts later."""

    sequence: int
    queue: str = ""

    @classmethod
    def read(cls, cursor: str | None) -> Place | None:
        """The place of a cursor. Raises BadInputError."""
        if not cursor:
            return None
        sequence, _, queue = cursor.partition(".")
        if not sequence.isdecimal() or len(sequence) > 16:
            raise BadInputError(f"{cursor[:60]!r} is not a cursor", "take `next_cursor` of the page before")
        return cls(int(sequence), queue)

    @classmethod
    def of(cls, letter: DeadLetter) -> str:
        """The cursor of a letter: what is below it comes next."""
        return f"{letter.sequence}.{letter.queue}"

    def before(self, queue: str) -> int:
        """The exclusive upper sequence in one queue, of what is below."""
        return self.sequence + 1 if queue > self.queue else self.sequence

    def after(self, queue: str) -> int:
        """The exclusive lower sequence in one queue, of what is above."""
        return self.sequence - 1 if queue < self.queue else self.sequence
