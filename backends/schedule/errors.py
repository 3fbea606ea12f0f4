"""What is wrong with a schedule."""

from __future__ import annotations

from backends.errors import BadInputError


class ScheduleError(BadInputError):
    """An expression or a time zone that can't be used; `remedy` says what to write instead."""
