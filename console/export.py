"""Out of the console: to the clipboard of the terminal (OSC 52), to a file (CSV, JSON), to a pager.

The clipboard is the terminal's own, so that copying works over SSH. What goes out is the text as it is shown, control
characters made visible: a payload copied from here can't act on the shell it is pasted into.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType

from console.records import Record, as_csv, as_json, record
from widgets.line import LineWidget
from widgets.rowlist import RowList
from widgets.safe import Cell, safe_line
from widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from backends.ops.kinds import Tell
    from console.console_ops import ConsoleOps
    from console.screens.base import ConsoleScreen

COPIED_MOST = 50_000
"""Bytes. Terminals take 75,000 of base64 and drop what is longer without a word."""
SCREEN_PIECE = 512
"""GNU screen passes on 768 bytes at a time at most."""
EXPORTED_MOST = 100_000
"""Rows of a file; of a longer list those that are read first."""
WRITTEN_MOST_TRIES = 100


def clipboard(text: str, env: Mapping[str, str] = os.environ) -> str:
    """The bytes that ask the terminal to copy `text`; within tmux or screen also for the terminal around it.

    tmux takes the first with ``set-clipboard on``, and passes the second on with ``allow-passthrough on``.
    """
    asked = f"\x1b]52;c;{base64.b64encode(text.encode('utf-8', 'replace')).decode()}\x07"
    if env.get("TMUX"):
        return asked + "\x1bPtmux;" + asked.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if env.get("STY"):
        pieces = [asked[i : i + SCREEN_PIECE] for i in range(0, len(asked), SCREEN_PIECE)]
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return asked


def plain(content: Cell) -> str:
    """The text of a cell."""
    return "".join(text for text, _ in content).strip()


def titles(columns: Sequence[Column]) -> list[str]:
    """A name for each column: none is empty, none comes twice."""
    found: list[str] = []
    for number, column in enumerate(columns, 1):
        name = column.title.strip() or f"column {number}"
        found.append(f"{name} {number}" if name in found else name)
    return found


def shown(columns: Sequence[Column], rows: Sequence[Row]) -> list[Record]:
    """The rows as they look, for a list that has no records."""
    names = titles(columns)
    return [
        {"key": row.key, **dict(zip(names, (plain(content) for content in row.cells), strict=False))} for row in rows
    ]


def write_new(folder: Path, name: str, ending: str, text: str) -> Path:
    """Write `text` to a new file of the operator's own; returns its path. Never overwrites. Raises OSError."""
    for number in range(WRITTEN_MOST_TRIES):
        path = folder / f"{name}{f'-{number}' if number else ''}.{ending}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            continue
        with open(fd, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
        return path
    raise FileExistsError(f"{folder} has {WRITTEN_MOST_TRIES} files named {name}")


def pager(env: Mapping[str, str] = os.environ) -> list[str]:
    """The program that shows a file: $PAGER, $EDITOR, less or more; empty where there is none."""
    for name in ("PAGER", "VISUAL", "EDITOR"):
        if words := shlex.split(env.get(name, "")):
            return words
    found = shutil.which("less") or shutil.which("more")
    return [found] if found else []


class Exports(App[int]):
    """Mixin of the app: keys that take out what is in focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("C", "copy_chosen", "copy the key of the row, or the text", show=False, id="copy"),
        Binding("w", "write('csv')", "write the list to a CSV file", show=False, id="write_csv"),
        Binding("W", "write('json')", "write the list to a JSON file", show=False, id="write_json"),
        Binding("v", "view", "the text in $PAGER", show=False, id="view"),
        Binding("ctrl+z", "suspend_process", "stop; fg comes back", show=False, id="suspend"),
    ]

    def on_mount(self) -> None:
        """Whatever the terminal shows after a pause, it is not what was there before."""
        self.app_resume_signal.subscribe(self, lambda _: self.action_redraw())

    def action_redraw(self) -> None:
        """Draw everything again."""
        raise NotImplementedError

    @property
    def _front(self) -> ConsoleScreen:
        screen: ConsoleScreen = self.screen  # type: ignore[assignment]
        return screen

    def text_in_focus(self) -> str:
        """The whole text of the pane in focus; of a table, its rows; empty for anything else."""
        pane = self.screen.focused
        if isinstance(pane, Table):
            lines = [titles(pane.columns), *([plain(content) for content in row.cells] for row in pane.rows)]
            return "".join("  ".join(line).rstrip() + "\n" for line in lines)
        return pane.plain_text() if isinstance(pane, LineWidget) else ""

    def action_copy_chosen(self) -> None:
        """Put the key of the chosen row, or the text of the pane, into the terminal's clipboard."""
        pane = self.screen.focused
        keyed = isinstance(pane, RowList) and not pane.plain_text()
        text = self._front.copied(pane) if isinstance(pane, RowList) and keyed else self.text_in_focus()
        size = len(text.encode("utf-8", "replace"))
        if not text:
            self._front.tell("nothing to copy: choose a row or a text (Tab)", "warn")
        elif size > COPIED_MOST:
            self._front.tell(f"{size // 1000} kB are too much for a terminal's clipboard; v shows them", "warn")
        elif self._driver is not None:
            self._driver.write(clipboard(text))
            lines = text.count("\n")
            self._front.tell("✓ copied: " + (safe_line(text[:60]) if keyed else f"{max(lines, 1)} lines"))

    def action_write(self, ending: str) -> None:
        """Write the list in focus to a new file in the working directory, or at home: all of it, not what was read."""
        screen, pane = self._front, self.screen.focused
        if not isinstance(pane, Table) or not pane.rows:
            screen.tell("no list to write: choose one (Tab)", "warn")
            return
        name, pager = pane.id or "list", screen.pagers.get(pane)
        if pager is None:
            found = screen.records(pane)
            held = [found.rows[row.key] for row in pane.rows if row.key in found.rows] if found else []
            self._write_here(screen, name, ending, held or shown(pane.columns, pane.rows), found.more if found else "")
            return

        async def read_and_write(ops: ConsoleOps, tell: Tell) -> str:
            items, more = await pager.read_all(ops, EXPORTED_MOST, tell)
            records = await asyncio.to_thread(lambda: [record(item, screen.zone) for item in items])
            return await self._written(screen, name, ending, records, "there is more than that" if more else "")

        screen.drive("reading all of it", read_and_write, str, "not written")

    @work(group="export")
    async def _write_here(
        self, screen: ConsoleScreen, name: str, ending: str, records: Sequence[Record], more: str
    ) -> None:
        try:
            screen.tell(await self._written(screen, name, ending, records, more))
        except OSError as error:
            screen.tell(f"✗ not written: {safe_line(str(error))}", "bad")

    async def _written(
        self, screen: ConsoleScreen, name: str, ending: str, records: Sequence[Record], more: str
    ) -> str:
        """Write them; what to tell of it. Raises OSError."""
        at = datetime.fromtimestamp(screen.now() / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        name = f"cronsole-{re.sub(r'[^a-z0-9]+', '-', name.casefold())}-{at}"
        folder = Path.cwd() if os.access(Path.cwd(), os.W_OK) else Path.home()
        text = await asyncio.to_thread(as_csv if ending == "csv" else as_json, records)
        path = await asyncio.to_thread(write_new, folder, name, ending, text)
        return f"✓ {len(records):,} rows in {safe_line(str(path))}" + (f" · {more}" if more else "")

    def action_view(self) -> None:
        """Show the text in focus with the operator's own pager; the console stands still meanwhile."""
        text, words = self.text_in_focus(), pager()
        if not text or not words:
            self._front.tell("nothing to view: choose a text (Tab)" if words else "no pager: set $PAGER", "warn")
            return
        with tempfile.TemporaryDirectory(prefix="cronsole-") as folder:
            path = write_new(Path(folder), "text", "txt", text)
            try:
                with self.suspend():
                    subprocess.run([*words, str(path)], check=False)
            except OSError as error:
                self._front.tell(f"✗ {safe_line(words[0])}: {safe_line(str(error))}", "bad")
