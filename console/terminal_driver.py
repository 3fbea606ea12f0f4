"""Textual's way to a terminal of Linux and macOS, but for what is pasted, for Esc, and for a line that is slow."""

from __future__ import annotations

import os
import selectors
import termios
import time
from codecs import getincrementaldecoder
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.events import CursorPosition, Key, Paste
from textual.message import Message

from console.line import Line, Watched
from console.paste_guard import Keys, Pasted, PasteGuard, Piece

POLL_S = 0.1
"""How long leaving may take, and a lone Esc to be known as one."""
KEPT = ("last_x", "last_y", "mouse_pixels", "terminal_size", "terminal_pixel_size")

ESC = "\x1b"
ONE_WITH_ESC = "[O\x7f"
"""The first two begin what a terminal sends for one key; the last one is Alt and Backspace, which every line knows."""


class PasteRefused(Message):
    """A paste tried to press keys; all that came with it is dropped."""


class EscapeFirst(XTermParser):
    """Esc and a key right behind it are these two keys.

    They look as Alt and that key does, and tmux makes them come together where half a second is between them. Taken for
    Alt, Esc is lost: a dialog that was to be left is there still, and an Enter behind it says yes.
    """

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[Key]:
        two = len(sequence) == 2 and sequence[0] == ESC and sequence[1] not in ONE_WITH_ESC
        if alt or two:
            yield Key("escape", ESC)
        yield from super()._sequence_to_key_events(sequence[1] if two else sequence)


class ConsoleDriver(LinuxDriver):
    """Bytes that are no UTF-8 are shown as such, and the end of the input ends the reading; see `PasteGuard`.

    `Line` is told what is written, and what the terminal answers.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self.line: Line = app.line
        self._began = False
        if self._file is not None:
            self._file = Watched(self._file, self.line.free)  # type: ignore[assignment]

    def start_application_mode(self) -> None:
        """Begin, or go on; the first question to the terminal has nothing before it."""
        if self._began:  # what another program left unread was for that one
            self._app.forget_typed()  # type: ignore[attr-defined]
            with suppress(termios.error):
                termios.tcflush(self.fileno, termios.TCIFLUSH)
        self._began = True
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._writer_thread is not None:
            self.line.begin(self._writer_thread.write, self._writer_thread._queue.qsize)  # noqa: SLF001

    def write(self, data: str) -> None:
        """Write, and count it."""
        super().write(data)
        self.line.written += len(data.encode())

    def process_message(self, message: Message) -> None:
        """An answer is the line's; everything else goes the usual way."""
        if isinstance(message, CursorPosition):
            self.line.answer(message.x)
        else:
            super().process_message(message)

    def stop_application_mode(self) -> None:
        """Give the terminal back, once it has said what it was asked for."""
        self.line.end()
        self.write("\x1b[0m")
        super().stop_application_mode()

    def run_input_thread(self) -> None:
        """Read until the app is left."""
        self._parser = EscapeFirst(self._debug)
        guard, decode = PasteGuard(), getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                now = time.monotonic()
                wait = guard.wait(now)
                if selector.select(POLL_S if wait is None else min(wait, POLL_S)):
                    try:
                        data = os.read(self.fileno, 4096)
                    except OSError:
                        return
                    if not data:
                        return
                    pieces = guard.take(decode(data), time.monotonic())
                else:
                    pieces = guard.nothing(time.monotonic())
                for piece in pieces:
                    self._pass_on(piece)
                for message in self._parser.tick():
                    self.process_message(message)

    def _pass_on(self, piece: Piece) -> None:
        if isinstance(piece, Pasted):
            self.process_message(Paste(piece.text.replace("\x00", "")))
        elif isinstance(piece, Keys):
            if piece.anew:
                fresh = EscapeFirst(self._debug)
                for name in KEPT:
                    setattr(fresh, name, getattr(self._parser, name))
                self._parser = fresh
            if piece.text:
                for message in self._parser.feed(piece.text):
                    self.process_message(message)
        else:
            self.process_message(PasteRefused())
