"""Whether a dead letter is meant by a selection: tested on its stored bytes, many thousand a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from backends.model import DeadLetter
from backends.queues.dead_index import DeadHeader, read_head

if TYPE_CHECKING:
    from backends.ops.letters import Selection


class _Head(msgspec.Struct, gc=False):
    """What is tested of a header; the rest of it is not decoded."""

    job: str
    error_class: str
    error: str
    group: str


_head = msgspec.json.Decoder(_Head)


class Matcher:
    """The conditions of a selection that need a look at the letter. Without any, `needless` is True.

    `kinds`: also those on job and group, which else are looked up in the index.
    """

    def __init__(self, selection: Selection, queue: str = "", *, kinds: bool = True) -> None:
        self._queue = queue
        self._error = selection.error.casefold()
        self._words = [word.casefold() for word in selection.words]
        self._without = [word.casefold() for word in selection.without]
        self._job = selection.job if kinds else ""
        self._group = selection.group if kinds else ""
        self._like = {name: text.casefold() for name, text in selection.like.items()} if kinds else {}
        self._payload = Needle(selection.payload) if selection.payload else None
        self._heads = bool(self._error or self._words or self._without or self._job or self._group or self._like)
        self.needless = not (self._heads or self._payload)

    def record(self, run_id: str, record: bytes) -> bool:
        """Whether a stored letter is meant: header line, envelope."""
        cut = record.find(b"\n")
        if self._heads:
            line = record[:cut] if cut >= 0 else record
            try:
                head: _Head | DeadHeader = _head.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                head = read_head(line, 0)
            if not self._named(run_id, head.job, head.error_class, head.error, head.group, self._queue):
                return False
        return self._payload is None or self._payload.found_in(record[cut + 1 :] if cut >= 0 else b"")

    def letter(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        named = self._named(letter.id, letter.job, letter.error_class, letter.error, letter.group, letter.queue)
        return named and (self._payload is None or self._payload.found_in(letter.envelope))

    def _named(self, run_id: str, job: str, error_class: str, error: str, group: str, queue: str) -> bool:
        if self._job and job != self._job:
            return False
        if self._group and group != self._group:
            return False
        if self._error and self._error not in f"{error_class}: {error}".casefold():
            return False
        if self._words or self._without:
            hay = f"{job}\n{error_class}\n{error}\n{run_id}".casefold()
            if not all(word in hay for word in self._words) or any(word in hay for word in self._without):
                return False
        return not self._like or self.alike({"job": job, "queue": queue, "group": group})

    def alike(self, names: Mapping[str, str]) -> bool:
        """Whether these names contain what is wanted of them."""
        return all(text in names[name].casefold() for name, text in self._like.items() if name in names)


class Needle:
    """Text that is looked for in envelopes, in any case: as they were written, or as JSON without its escapes."""

    def __init__(self, text: str) -> None:
        self._text = text.casefold()
        self._bytes = self._text.encode("utf-8", "surrogatepass") if self._text.isascii() else b""

    def found_in(self, envelope: bytes) -> bool:
        """Whether it is there. An envelope is decoded only where bytes can't tell."""
        if self._bytes and self._bytes in envelope.lower():
            return True
        plain = envelope.isascii()
        if not plain and self._text in envelope.decode("utf-8", "replace").casefold():
            return True
        return b"\\" in envelope and self._text in _unescaped(envelope)


def _unescaped(envelope: bytes) -> str:
    try:
        return msgspec.json.encode(msgspec.json.decode(envelope)).decode().casefold()
    except (ValueError, RecursionError):
        return ""


def picked(test: Matcher, pairs: Sequence[tuple[str, int]], records: Sequence[bytes | None]) -> list[tuple[str, int]]:
    """The pairs whose records are meant; those without a record are gone."""
    matches = test.record
    return [
        pair for pair, record in zip(pairs, records, strict=True) if record is not None and matches(pair[0], record)
    ]
