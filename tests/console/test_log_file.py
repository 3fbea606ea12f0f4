"""The log of the console: a file with the first record, none without."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from console.settings import LogFile, SafeFormatter


def test_the_file_comes_with_the_first_record(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    handler, log = LogFile(path), logging.Logger("test")
    handler.setFormatter(SafeFormatter("%(levelname)s %(message)s"))
    log.addHandler(handler)
    assert not path.exists()
    log.warning("one \x1b[2J")
    log.error("two")
    assert path.read_text() == "WARNING one ␛[2J\nERROR two\n"


def test_a_file_that_can_not_be_written_hinders_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log = logging.Logger("test")
    log.addHandler(LogFile(tmp_path / "no such folder" / "console.log"))
    log.warning("lost")
