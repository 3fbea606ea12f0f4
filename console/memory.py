"""What is remembered of each context: the last screen, filters, zoom, what was said after ``:``. A small file each."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import platformdirs

log = logging.getLogger("cronsole.console")
VERSION = 1
LARGEST = 100_000


def memory_folder(env: Mapping[str, str] = os.environ) -> Path:
    """Where the files are."""
    given = env.get("CRONSOLE_DATA_DIR")
    return Path(os.path.expanduser(given)) / "state" if given else platformdirs.user_state_path("cronsole")


class Memory:
    """Reads and writes the files. Without a folder nothing is kept. A file that can't be read is as none."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def read(self, context: str) -> dict[str, Any]:
        """What was kept; empty for nothing, and for what is no such file."""
        path = self._path(context)
        if path is None:
            return {}
        try:
            if path.stat().st_size > LARGEST:
                return {}
            kept = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return kept if isinstance(kept, dict) and kept.get("version") == VERSION else {}

    def write(self, context: str, kept: Mapping[str, Any]) -> None:
        """Keep this: at once and whole, or not at all."""
        path = self._path(context)
        if path is None:
            return
        part = path.with_name(f"{path.name}.{uuid4().hex[:8]}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part.write_text(json.dumps({"version": VERSION, **kept}), encoding="utf-8")
            part.replace(path)
        except OSError as error:
            log.warning("the state of the console can't be kept: %s", error)
            with suppress(OSError):
                part.unlink()

    def _path(self, context: str) -> Path | None:
        good = self._folder is not None and re.fullmatch(r"[A-Za-z0-9._-]{1,60}", context)
        return self._folder / f"console-{context}.json" if good and self._folder else None


def table(kept: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A part of what was kept, if it is one."""
    found = kept.get(name)
    return found if isinstance(found, dict) else {}


def texts(kept: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts, if it is one."""
    found = kept.get(name)
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []
