"""Leave the terminal and the process in order, whatever ends the console; let nothing that is pasted press a key."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from textual import constants
from textual.app import App
from textual.driver import Driver

from console.settings import log_file
from widgets.safe import safe_line, to_ascii

log = logging.getLogger("cronsole.console")
PATIENCE_S = 10.0
"""How long leaving may take: what is written to a terminal that is dead, or that nobody reads, may wait for ever."""


def guard(app: App[Any], redraw: Callable[[], None], fd: int = 0) -> Callable[[], None]:
    """Call from ``App.on_mount``, and what it returns when the app has ended.

    `redraw`: something else may have written to the terminal.

    SIGTERM and SIGHUP would kill the process with the alternate screen and mouse reporting left on. With a dead
    terminal and SIGHUP ignored (nohup, some supervisors) the input thread would spin on end-of-file for ever.
    """
    loop = asyncio.get_running_loop()
    codes: list[int] = []
    over = threading.Event()

    def leave(code: int) -> None:
        if not over.is_set():
            codes.append(code)
            loop.call_soon_threadsafe(lambda: app.exit(return_code=code))

    def let_go() -> None:
        over.set()
        # A terminal that hangs up sends SIGCONT as well: Textual would start to read it again, and never stop.
        signal.signal(signal.SIGCONT, signal.SIG_DFL)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)

    def on_signal(number: int, frame: FrameType | None) -> None:
        leave(128 + number)

    def on_continue(number: int, frame: FrameType | None) -> None:
        if getattr(app._driver, "_must_signal_resume", False) and callable(resume):  # noqa: SLF001
            resume(number, frame)
        else:  # not after Ctrl+Z: Textual would start to read the terminal a second time
            loop.call_soon_threadsafe(redraw)

    resume = signal.signal(signal.SIGCONT, on_continue)
    # not loop.add_signal_handler: the loop itself stands still while a terminal reads nothing
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)

    def watch() -> None:
        poller = select.poll()
        poller.register(fd, 0)  # only hang-up and errors are reported
        while not codes and not over.is_set():
            if any(event for _, event in poller.poll(500)):
                leave(128 + signal.SIGHUP)
        if codes and not over.wait(PATIENCE_S):
            os._exit(codes[0])

    threading.Thread(target=watch, name="terminal-guard", daemon=True).start()
    return let_go


class Guarded(App[int]):
    """Mixin of the app: reads the terminal through `PasteGuard`, and a crash is one line.

    Textual would print the traceback with the variables of its frames: payloads as they are, and passwords.
    """

    ascii_only = False

    def get_driver_class(self) -> type[Driver]:
        """The one that tells pasted text from keys, where there is one."""
        if sys.platform == "win32" or constants.DRIVER is not None:
            return super().get_driver_class()
        from console.terminal_driver import ConsoleDriver

        return ConsoleDriver

    def _handle_exception(self, error: Exception) -> None:
        """A screen that was on its way when the console was left finds nothing where it looks: that is no crash."""
        if self._exit or self._closing:
            log.warning("while the console was left", exc_info=error)
        else:
            super()._handle_exception(error)

    def _fatal_error(self) -> None:
        log.critical("the console crashed", exc_info=self._exception)
        self._exit_renderables.append("")  # that there is something to print
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        if self._exit_renderables and sys.__stderr__ is not None:
            error = self._exception
            what = f"{type(error).__name__}: {error}" if error else "its input can't be read"
            line = f"the console crashed ({safe_line(what, 200)}); the whole of it is in {safe_line(str(log_file()))}"
            sys.__stderr__.write((to_ascii(line) if self.ascii_only else line) + "\n")
        self._exit_renderables.clear()
