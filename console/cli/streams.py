"""The standard streams of a command: closed by whoever started it, full, or without a reader."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

NO_READER = 141
"""As a shell says it of a process that a broken pipe has ended."""
NOT_PRINTED = 74
"""What was to be printed could not be; what was to be done is done."""

_closed = False
_output: _Watched | None = None


def open_closed() -> None:
    """What is closed leads nowhere: else the next file or connection would become a standard stream.

    To be called before anything is opened.
    """
    global _closed
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest number there is
    _closed = sys.stdout is None
    sys.stdin, sys.stdout, sys.stderr = (
        stream or os.fdopen(fd, "w" if fd else "r", encoding="utf-8", closefd=False)
        for fd, stream in enumerate((sys.stdin, sys.stdout, sys.stderr))
    )


def need_output() -> None:
    """Raise BadInputError where standard output is closed: nothing is begun whose answer nobody would get."""
    from backends.errors import BadInputError

    if _closed:
        raise BadInputError("standard output is closed", "redirect it, to /dev/null if nobody reads it")


class _Watched:
    """A stream that remembers why it took nothing. One that `may_fail` is silent from then on."""

    def __init__(self, stream: TextIO, *, may_fail: bool) -> None:
        self._stream = stream
        self._may_fail = may_fail
        self.lost: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As the stream does."""
        return self._do(lambda: self._stream.write(text)) or 0

    def flush(self) -> None:
        """As the stream does."""
        self._do(self._stream.flush)

    def _do(self, act: Callable[[], int | None]) -> int | None:
        if self.lost is None:
            try:
                return act()
            except OSError as error:
                self.lost = error
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())  # so that nothing fails at exit
        if self._may_fail:
            return None
        raise self.lost  # each time: click tries what a stream takes, and passes over an error


@contextmanager
def watched() -> Iterator[None]:
    """Within, a failure of standard output is known as one, and standard error never fails: that nobody hears what a
    command has to say there is no reason not to end it well."""
    global _output
    before = sys.stdout, sys.stderr
    _output = _Watched(sys.stdout, may_fail=False)
    sys.stdout = cast(TextIO, _output)
    sys.stderr = cast(TextIO, _Watched(sys.stderr, may_fail=True))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def lost_output() -> OSError | None:
    """Why standard output took nothing, if so."""
    return _output.lost if _output else None
