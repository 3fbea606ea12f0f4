"""Stops the embedded servers when nobody holds them any more: ``python -m backends.embedded_watch DATA_DIR``."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from pathlib import Path


def watch(root: Path) -> int:
    """Wait until there is no holder, then stop the servers. 0: done; 1: another watcher is there."""
    from backends.embedded import open_lock

    alive = open_lock(root / "watch.lock")
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 1
    holders = open_lock(root / "holders.lock")
    while True:
        fcntl.flock(holders, fcntl.LOCK_EX)
        fcntl.flock(holders, fcntl.LOCK_UN)
        start = open_lock(root / "start.lock")
        fcntl.flock(start, fcntl.LOCK_EX)
        try:
            fcntl.flock(holders, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody came while we were on the way
            os.close(start)
            continue
        from backends import embedded_servers

        embedded_servers.stop(embedded_servers.layout(root))
        os.close(alive)  # before the start lock goes: whoever waits for that must not take us for alive
        os.close(start)
        return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.exit(watch(Path(sys.argv[1])))
