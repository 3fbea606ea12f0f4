"""Stops the embedded servers when nobody holds them any more: ``python -m backends.embedded_watch DATA_DIR LOCK_FD``.

Whoever starts it has locked ``watch.lock`` already and hands the descriptor down; the lock lives as long as this does.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from pathlib import Path

from backends import embedded_places, embedded_servers
from backends.embedded import open_lock


def watch(root: Path, lock: int) -> None:
    """Wait until there is no holder, then stop the servers."""
    at = embedded_servers.layout(root)
    holders, start = open_lock(root / "holders.lock"), open_lock(root / "start.lock")
    try:
        os.write(1, b"1")  # whoever started this waits for it
    except BrokenPipeError:  # or was killed meanwhile: then the servers are ours to stop
        pass
    os.dup2(2, 1)
    while True:
        fcntl.flock(holders, fcntl.LOCK_EX)
        fcntl.flock(holders, fcntl.LOCK_UN)
        fcntl.flock(start, fcntl.LOCK_EX)
        try:
            fcntl.flock(holders, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody came while we were on the way
            fcntl.flock(start, fcntl.LOCK_UN)
            continue
        if _same(start, root / "start.lock"):
            embedded_servers.stop(at)
        else:  # the directory was deleted; what is there now, if anything, is not ours
            embedded_places.end_orphans(at)
        os.close(lock)  # before the start lock goes: whoever waits for that must not take us for alive
        os.close(start)
        return


def _same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    watch(Path(sys.argv[1]), int(sys.argv[2]))
