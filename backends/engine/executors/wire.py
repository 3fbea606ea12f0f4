"""Frames over a socket inside the event loop: a 4-byte little-endian length and a body."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import msgspec

_LENGTH = struct.Struct("<I")
_READ = 1 << 18
_decode = msgspec.json.Decoder().decode


class Wire:
    """The engine's end of a socket pair. Sends bytes, receives JSON objects."""

    def __init__(
        self, sock: socket.socket, on_frame: Callable[[dict[str, Any]], None], on_nonsense: Callable[[], None]
    ) -> None:
        """`on_nonsense`: a frame was not what it should be; `on_frame` says so by raising TypeError or the like."""
        sock.setblocking(False)
        self._sock = sock
        self._on_frame = on_frame
        self._on_nonsense = on_nonsense
        self._received = bytearray()
        self._unsent = bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self.read)

    def write(self, body: bytes) -> None:
        """Send one frame, later if need be. When the other side is gone, nothing happens."""
        frame = _LENGTH.pack(len(body)) + body
        if not self._unsent:
            try:
                sent = self._sock.send(frame)
            except BlockingIOError:
                sent = 0
            except OSError:
                return
            if sent == len(frame):
                return
            frame = frame[sent:]
            self._loop.add_writer(self._sock.fileno(), self._on_writable)
        self._unsent += frame

    def _on_writable(self) -> None:
        try:
            del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()
        if not self._unsent:
            self._loop.remove_writer(self._sock.fileno())

    def read(self) -> bool:
        """Read once and act on whole frames; False when there is nothing more."""
        try:
            data = self._sock.recv(_READ)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._sock.fileno())
            return False
        received = self._received
        received += data
        at = 0
        while len(received) - at >= 4:
            end = at + 4 + _LENGTH.unpack_from(received, at)[0]
            if len(received) < end:
                break
            body = bytes(received[at + 4 : end])
            at = end
            try:
                self._on_frame(_decode(body))
            except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, ValueError, LookupError):
                self._on_nonsense()
        del received[:at]
        return True

    def close(self) -> None:
        """Hear and say no more."""
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
