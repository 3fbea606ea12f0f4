"""Snapshots of screens: a text file each, ``dev.py test --snapshot-update`` writes them anew."""

from __future__ import annotations

import random

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from tests.console import fake_ops, fake_queues
from tests.console.conftest import keys_without_waiting as keys_without_waiting


class ScreenFiles(SingleFileSnapshotExtension):
    """Plain text, readable as it is and in a diff."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"
    snapshot_dirname = "shown"


@pytest.fixture
def shown(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """``assert text == shown(name="overview")``."""
    return snapshot.use_extension(ScreenFiles)


@pytest.fixture(autouse=True)
def a_terminal_of_24_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the one who runs the tests sits at."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "LC_TERMINAL", "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


@pytest.fixture(autouse=True)
def same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run ids are made of a time and of chance; here chance is the same each time."""
    rng = random.Random(1)

    def new_run_id(ms: int) -> str:
        text = f"{ms:012x}{7:x}{rng.randrange(16**3):03x}{8 + rng.randrange(4):x}{rng.randrange(16**15):015x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    for module in (fake_ops, fake_queues):
        monkeypatch.setattr(module, "new_run_id", new_run_id)
