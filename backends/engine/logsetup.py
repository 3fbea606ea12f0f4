"""Logs of the engine on stderr: readable, or one JSON object a line. Each record has a stable `action`."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {k: v for k, v in vars(record).items() if k not in _STANDARD}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, action, and what belongs to the action."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; values that JSON does not know are written as text."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class TextFormatter(logging.Formatter):
    """Time, level, message: one line a record, control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line; a traceback follows on lines of its own."""
        at = datetime.fromtimestamp(record.created).astimezone().isoformat(sep=" ", timespec="milliseconds")
        message = (
            record.getMessage().encode("unicode_escape").decode("ascii") if _unsafe(record) else record.getMessage()
        )
        line = f"{at} {record.levelname.lower():8} {message}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _unsafe(record: logging.LogRecord) -> bool:
    return not record.getMessage().isprintable()


def set_up(log_format: str, level: int = logging.INFO) -> None:
    """Send the logs of this process to stderr, as 'text' or 'json'."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("cronsole").setLevel(level)
