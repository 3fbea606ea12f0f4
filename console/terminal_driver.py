"""Textual's way to read a terminal of Linux and macOS, but for what is pasted."""

from __future__ import annotations

import os
import selectors
import time
from codecs import getincrementaldecoder

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Paste
from textual.message import Message

from console.paste_guard import Keys, Pasted, PasteGuard, Piece

POLL_S = 0.1
"""How long leaving may take, and a lone Esc to be known as one."""
KEPT = ("last_x", "last_y", "mouse_pixels", "terminal_size", "terminal_pixel_size")


class PasteRefused(Message):
    """A paste tried to press keys; all that came with it is dropped."""


class ConsoleDriver(LinuxDriver):
    """Bytes that are no UTF-8 are shown as such, and the end of the input ends the reading; see `PasteGuard`."""

    def run_input_thread(self) -> None:
        """Read until the app is left."""
        self._parser = XTermParser(self._debug)
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
                fresh = XTermParser(self._debug)
                for name in KEPT:
                    setattr(fresh, name, getattr(self._parser, name))
                self._parser = fresh
            if piece.text:
                for message in self._parser.feed(piece.text):
                    self.process_message(message)
        else:
            self.process_message(PasteRefused())
