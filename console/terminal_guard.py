"""Leave the terminal and the process in order when the connection drops; Textual does neither by itself."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import threading
from typing import Any

from textual.app import App


def guard(app: App[Any], fd: int = 0) -> None:
    """Call from ``App.on_mount``.

    SIGTERM and SIGHUP would kill the process with the alternate screen and mouse reporting left on. With a dead
    terminal and SIGHUP ignored (nohup, some supervisors) the input thread would spin on end-of-file for ever.
    """
    loop = asyncio.get_running_loop()

    def leave(number: int) -> None:
        app.exit(return_code=128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, leave, number)

    def gone() -> None:
        timer = threading.Timer(10.0, os._exit, (129,))  # the writer thread may block for ever on a dead terminal
        timer.daemon = True
        timer.start()
        app.exit(return_code=129)

    def watch() -> None:
        poller = select.poll()
        poller.register(fd, 0)  # only hang-up and errors are reported
        while True:
            if any(event for _, event in poller.poll(1000)):
                loop.call_soon_threadsafe(gone)
                return

    threading.Thread(target=watch, name="terminal-guard", daemon=True).start()
