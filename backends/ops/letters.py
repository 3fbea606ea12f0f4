"""Dead letters of all queues as one list, newest first; selections of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from backends.errors import BadInputError
from backends.model import DeadLetter, to_ms
from backends.queues.base import BATCH
from backends.queues.streams import StreamQueue

_CLOCK_SLACK_US = 3_600_000_000
"""The sequence is Redis's clock, `failed_at` the engine's: they may disagree by this much."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant. All given conditions must hold; with none given, `everything` must be set."""

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
    like: Mapping[str, str] = field(default_factory=dict)  # job, queue, group → text in that name, in any case
    upto: Mapping[str, int] | None = None  # frozen: queue → highest sequence; what died later is not meant

    @property
    def empty(self) -> bool:
        """True where nothing was selected, which is never taken to mean all."""
        return not (self.queue or self.group or self.everything or self.filters)

    @property
    def filters(self) -> bool:
        """Whether letters have to be looked at one by one to find those that are meant."""
        return bool(
            self.job or self.error or self.payload or self.since or self.until or self.words or self.without
            or self.like
        )  # fmt: skip

    def matches(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant; queue and group are looked up, not filtered."""
        return (
            (not self.job or letter.job == self.job)
            and (self.since is None or letter.failed_at >= self.since)
            and (self.until is None or letter.failed_at < self.until)
            and (not self.error or self.error.casefold() in f"{letter.error_class}: {letter.error}".casefold())
            and self._named(letter)
            and (not self.payload or self.payload.casefold() in letter.envelope.decode("utf-8", "replace").casefold())
        )

    def _named(self, letter: DeadLetter) -> bool:
        hay = f"{letter.job}\n{letter.error_class}\n{letter.error}\n{letter.id}".casefold()
        names = {"job": letter.job, "queue": letter.queue, "group": letter.group}
        return (
            all(word.casefold() in hay for word in self.words)
            and not any(word.casefold() in hay for word in self.without)
            and all(part.casefold() in names[name].casefold() for name, part in self.like.items())
        )


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two letters of the merged list: below `sequence`, or equal to it in a queue that sorts later."""

    sequence: int
    queue: str = ""

    @classmethod
    def read(cls, cursor: str | None) -> Place | None:
        """The place of a cursor. Raises BadInputError."""
        if not cursor:
            return None
        sequence, _, queue = cursor.partition(".")
        if not sequence.isdecimal() or len(sequence) > 20:
            raise BadInputError(f"{cursor[:60]!r} is not a cursor", "take `next_cursor` of the page before")
        return cls(int(sequence), queue)

    def before(self, queue: str) -> int:
        """The exclusive upper sequence in one queue."""
        return self.sequence + 1 if queue > self.queue else self.sequence


async def freeze(queues: Sequence[StreamQueue], selection: Selection) -> Selection:
    """The selection as of now; one that is frozen already stays as it is."""
    if selection.upto is not None:
        return selection
    upto: dict[str, int] = {}
    for queue in queues:
        if top := await queue.dead_top():
            upto[queue.name] = top
    return replace(selection, upto=upto)


async def walk(
    queues: Sequence[StreamQueue], selection: Selection, start: Place | None = None, step: int = BATCH
) -> AsyncIterator[DeadLetter]:
    """The selected letters of all queues, merged, newest first. `step`: letters a read."""
    heads: list[tuple[DeadLetter, AsyncIterator[DeadLetter]]] = []
    for queue in queues:
        if selection.queue and queue.name != selection.queue:
            continue
        before = start.before(queue.name) if start else None
        if selection.upto is not None:
            last = selection.upto.get(queue.name, -1) + 1
            before = last if before is None else min(before, last)
        source = _one(queue, selection, before, step)
        first = await anext(source, None)
        if first:
            heads.append((first, source))
    while heads:
        heads.sort(key=lambda head: (-head[0].sequence, head[0].queue))
        letter, source = heads.pop(0)
        yield letter
        following = await anext(source, None)
        if following:
            heads.append((following, source))


async def _one(queue: StreamQueue, selection: Selection, before: int | None, step: int) -> AsyncIterator[DeadLetter]:
    floor = to_ms(selection.since) * 1000 - _CLOCK_SLACK_US if selection.since else 0
    while True:
        page = await queue.dead_page(step, before, selection.group)
        for letter in page.items:
            if letter.sequence < floor:
                return
            if selection.matches(letter):
                yield letter
        if page.next_cursor is None:
            return
        before = int(page.next_cursor)
