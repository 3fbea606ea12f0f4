"""How the console behaves in this terminal: the operator's preferences and what the terminal can do."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import platformdirs
from msgspec.structs import replace

from backends.contexts import Config, known_instead
from widgets.safe import safe_lines

COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
"""What Python puts into LC_CTYPE where the locale is `PLAIN`."""
PLAIN = ("C", "POSIX")


class Preferences(msgspec.Struct, frozen=True):
    """The table ``[console]`` of the configuration file.

    `ascii`: draw without UTF-8; None asks the locale. `low_bandwidth`: repaint once a second at most; None does so
    while the line is slow.
    `timezone`: IANA name for the clock and the time line; None is the machine's own. `theme`: its name.
    """

    cell_diff: bool = True
    ascii: bool | None = None
    low_bandwidth: bool | None = None
    timezone: str | None = None
    theme: str = "dark"

    @property
    def zone(self) -> tzinfo | None:
        """The zone to show times in; None is local time."""
        if self.timezone is None:
            return None
        return UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)


def local_zone_name(env: Mapping[str, str] = os.environ, link: Path = Path("/etc/localtime")) -> str:
    """The IANA name of the machine's own zone; "UTC" where it does not say."""
    given = env.get("TZ", "").removeprefix(":")
    name = given or str(link.resolve()).rpartition("/zoneinfo/")[2]
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"


def log_file(env: Mapping[str, str] = os.environ) -> Path:
    """Where the console logs to."""
    given = env.get("CRONSOLE_DATA_DIR")
    return (Path(given) if given else Path(platformdirs.user_data_dir("cronsole"))) / "log" / "console.log"


def load_preferences(config: Config) -> Preferences:
    """The table ``[console]`` of the configuration file, or the defaults where there is none. Raises BadInputError."""
    table, known = config.table("console"), set(Preferences.__struct_fields__)
    for key, value in table.items():
        if key not in known:
            raise config.wrong(f"unknown key {key[:40]!r} in [console]", known_instead(key, known))
        wanted = str if key in ("timezone", "theme") else bool
        if not isinstance(value, wanted):
            must = "text" if wanted is str else "true or false"
            raise config.wrong(f"{key} = {str(value)[:40]!r} in [console]", f"it must be {must}")
    chosen = replace(Preferences(), **table)
    try:
        _ = chosen.zone
    except (ZoneInfoNotFoundError, ValueError):
        raise config.wrong(f"no time zone {str(chosen.timezone)[:40]!r}", "use one such as 'Europe/Berlin'") from None
    return chosen


def locale_of(env: Mapping[str, str]) -> str:
    """The locale that characters are to be written in, as setlocale finds it; "" where the environment names none.

    Not asked of Python: in the locale C it writes UTF-8 all the same (PEP 540), and says so in LC_CTYPE (PEP 538).
    """
    found = [env.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    if found[1] in COERCED and found[2] in PLAIN:
        found[1] = ""
    return next(filter(None, found), "")


def speaks_utf8(env: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal is to get UTF-8: what Textual writes to is encoded so, and no locale says otherwise."""
    encoding = getattr(sys.__stderr__, "encoding", None) or "ascii"
    locale = locale_of(env).lower().replace("-", "")
    return "utf" in encoding.lower() and (not locale or "utf8" in locale)


def has_terminal(env: Mapping[str, str] = os.environ) -> bool:
    """Whether there is a terminal that can be drawn on."""
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    return env.get("TERM", "") not in ("", "dumb") and all(s is not None and s.isatty() for s in streams)


class SafeFormatter(logging.Formatter):
    """A log is read in a terminal too: nothing in it that a terminal acts on."""

    def format(self, record: logging.LogRecord) -> str:
        """The record in lines."""
        return "\n".join(safe_lines(super().format(record)))


class LogFile(logging.Handler):
    """Opens the file with the first record: most sessions log nothing, and a file that rotates takes much to load."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._file: logging.Handler | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Pass it on to the file."""
        if self._file is None:
            from logging.handlers import RotatingFileHandler

            self._file = RotatingFileHandler(self.path, maxBytes=2_000_000, backupCount=2, encoding="utf-8", delay=True)
            self._file.setFormatter(self.formatter)
        self._file.handle(record)


def log_to_file(env: Mapping[str, str] = os.environ) -> None:
    """Send every log record to a file: the screen is drawn on standard error. Without a writable file, drop them."""
    path = log_file(env)
    handler: logging.Handler
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = LogFile(path)
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
