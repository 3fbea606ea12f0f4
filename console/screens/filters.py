"""What an operator types after ``/``: words, words that must not be there, fields such as ``job:backup since:2h``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from backends.errors import BadInputError


class Filter(msgspec.Struct, frozen=True):
    """All conditions must hold. Texts are compared in any case."""

    text: str = ""
    words: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    fields: Mapping[str, str] = msgspec.field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.words or self.without or self.fields)

    def get(self, name: str) -> str | None:
        """The value of a field; None where it is not asked for."""
        return self.fields.get(name)

    def matches(self, *texts: str) -> bool:
        """Whether the words, and none of those that must not be there, are in one of the texts."""
        hay = "\n".join(texts).casefold()
        return all(word in hay for word in self.words) and not any(word in hay for word in self.without)

    def since(self, now: datetime) -> datetime | None:
        """What ``since:`` means: a length of time before `now`."""
        return self._before(now, "since")

    def until(self, now: datetime) -> datetime | None:
        """What ``until:`` means, likewise."""
        return self._before(now, "until")

    def _before(self, now: datetime, name: str) -> datetime | None:
        value = self.fields.get(name)
        return None if value is None else now - timedelta(seconds=_seconds(value))


def meant(asked: str | None, known: Iterable[str]) -> list[str]:
    """Those of `known` that a field means by a part of their name, several of them with commas between."""
    parts = [part.casefold() for part in (asked or "").split(",") if part]
    return [name for name in known if any(part in name for part in parts)]


def check_meant(asked: str | None, known: Sequence[str], says: str) -> None:
    """Raises BadInputError where a part means none of them; `says`: what nothing does, as "no run ends as"."""
    for part in (asked or "").split(","):
        if part and not meant(part, known):
            raise BadInputError(f"{says} {part[:20]}", "use " + ", ".join(known))


def parse_filter(text: str, fields: Iterable[str] = ()) -> Filter:
    """Read a filter; what is not typed to its end (``job:``, ``!``) asks for nothing yet.

    Raises BadInputError for a field that is not one of `fields`, or a ``since`` that is no time.
    """
    known = tuple(fields)
    words: list[str] = []
    without: list[str] = []
    found: dict[str, str] = {}
    parts = [part for part in text.split() if part != "!" and not (part[-1] == ":" and part[:-1] in known)]
    for part in parts:
        name, colon, value = part.partition(":")
        if colon and value and name.isalpha() and known:
            if name not in known:
                from backends.jobs.words import nearest  # as in `_seconds`

                close = nearest(name, known)
                raise BadInputError(
                    f"nothing here has a {name[:30]}",
                    f"did you mean {close[0]}:?" if close else "use " + ", ".join(known),
                )
            found[name] = value
        elif part.startswith("!"):
            without.append(part[1:].casefold())
        else:
            words.append(part.casefold())
    for name in ("since", "until"):
        try:
            _seconds(found.get(name, ""))
        except ValueError as error:
            raise BadInputError(
                f"{name}:{found[name][:20]} is no length of time", f"write {name}:30m or {name}:2d"
            ) from error
    return Filter(" ".join(parts), tuple(words), tuple(without), found)


def _seconds(text: str) -> float:
    """Of a length of time; raises ValueError. Its parser is loaded with the first: it brings what reads job files."""
    if not text:
        return 0.0
    from backends.jobs.words import duration

    return duration(text)
