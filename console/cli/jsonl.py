"""The payloads of a JSONL file."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import IO, Any

from console.cli.common import payload_object
from console.cli.interrupts import blocking


class Payloads:
    """The payloads of a JSONL file, one by one: it may be larger than memory, and so may a line of it.

    `line`: the number of the one that is being used, else 0.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.line = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        from backends.errors import BadInputError
        from backends.queues.lists import MAX_ENVELOPE

        number = 0
        while line := self._read(MAX_ENVELOPE + 1):
            number += 1
            if len(line) > MAX_ENVELOPE:
                raise BadInputError(
                    f"line {number} is longer than {MAX_ENVELOPE:,} bytes",
                    "write one payload a line; send large data by reference",
                )
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)  # so a text begins on Windows
            if line.strip():
                payload = payload_object(line, f"line {number}")
                self.line = number
                yield payload
                self.line = 0

    def _read(self, most: int) -> bytes:
        with blocking():
            return self._file.readline(most)
