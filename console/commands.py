"""What can be typed after ``:``, and which of it is meant by a few letters."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from widgets.entry import printable


@dataclass(frozen=True, slots=True)
class Command:
    """`text` is typed, and what Tab completes to; `about` says what it does; `key` is the key that does the same.

    `also`: what hands of other programs type for it.
    """

    text: str
    about: str
    run: Callable[[], object]
    key: str = ""
    also: tuple[str, ...] = ()
    folded: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folded", printable(self.text).casefold())


SAME, BEGINS, WORDS, INSIDE, LETTERS = range(5)


def matching(typed: str, commands: Sequence[Command], most: int) -> list[Command]:
    """The `most` commands that fit best, best first; without a word, the first ones.

    Better is: the very text, its beginning, beginnings of its words, words inside it, its letters in this order. Equal
    ones stay in their order, but letters that stand closer together come first.
    """
    wanted = typed.casefold().split()
    if not wanted:
        return list(commands[:most])
    whole = " ".join(wanted)
    letters = re.compile(".*?".join(re.escape(char) for char in "".join(wanted)))
    starts = [re.compile(rf"(?:^|[^a-z0-9]){re.escape(word)}") for word in wanted]
    found: list[tuple[int, int, int]] = []
    for index, command in enumerate(commands):
        text, span = command.folded, 0
        if whole in command.also:
            found.append((SAME, span, index))
            continue
        if not all(word in text for word in wanted):
            hit = letters.search(text)
            if hit is None:
                continue
            kind, span = LETTERS, hit.end() - hit.start()
        elif text == whole:
            kind = SAME
        elif text.startswith(whole):
            kind = BEGINS
        elif all(start.search(text) for start in starts):
            kind = WORDS
        else:
            kind = INSIDE
        found.append((kind, span, index))
    return [commands[index] for _, _, index in heapq.nsmallest(most, found)]


NAMED = {
    "trigger": "no job", "job": "no job", "queue": "no queue", "ctx": "no other context", "theme": "no other theme",
    "pause": "nothing to pause named", "resume": "nothing paused named",
}  # fmt: skip
"""What is missing where the first word is a command and nothing fits."""
LIKE_MOST = 2000
"""Among more names none is looked for that is like what was typed: it is done at every key."""


def why_none(typed: str, commands: Sequence[Command]) -> str:
    """Why no command fits, in words."""
    verb, _, name = " ".join(typed.split()).partition(" ")
    missing = NAMED.get(verb.casefold())
    if missing is None or not name:
        return "no such command"
    from backends.jobs.words import nearest  # after the first frame: it brings what reads job files

    known = [c.text.partition(" ")[2] for c in commands if c.text.startswith(f"{verb.casefold()} ")]
    close = nearest(name, known) if len(known) <= LIKE_MOST else ()
    hint = f": did you mean {close[0]}?" if close else "" if known else ": there is none"
    return f"{missing} {name}{hint}"


class History:
    """What was run, oldest first; up and down walk through it, as in a shell."""

    LONGEST = 50

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self.lines = list(lines)[-self.LONGEST :]
        self._at = len(self.lines)

    def add(self, line: str) -> None:
        """The newest; said twice, it is kept once."""
        self.lines = [*(old for old in self.lines if old != line), line][-self.LONGEST :]
        self.leave()

    def leave(self) -> None:
        """Begin at the newest again."""
        self._at = len(self.lines)

    def walk(self, step: int) -> str | None:
        """The line before (-1) or after (1); "" past the newest; None where there is no older one."""
        at = self._at + step
        if at < 0 or not self.lines:
            return None
        self._at = min(at, len(self.lines))
        return self.lines[self._at] if self._at < len(self.lines) else ""
