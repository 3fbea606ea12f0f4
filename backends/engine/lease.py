"""Leases are renewed from a thread with its own connection, so that a busy event loop never loses one.

Why the lease may be trusted for shorter than it lasts: the last successful renewal was confirmed at some moment, the
server extended the lease at that moment or later, and other engines may reap it `lease_s` afterwards. So one renewal
before that, this process must not have a child alive: it kills them all and leaves, non-zero.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable

import psutil

from backends.queues.base import Delivery
from backends.queues.streams import StreamQueue

LEASE_S = 30.0
RENEWALS = 6
"""A lease is renewed this often before it would end; from the last but one on, its worker counts as cut off."""
EXIT_FENCED = 70
"""Exit code of an engine that could not renew its leases (sysexits.h: EX_SOFTWARE)."""

log = logging.getLogger("cronsole.engine")


def kill_children() -> int:
    """Kill every process below this one; returns how many there were."""
    killed = 0
    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
            killed += 1
        except psutil.NoSuchProcess:
            continue
    return killed


def _leave() -> None:
    killed = kill_children()
    log.critical("leases could not be renewed: children killed, leaving", extra={"action": "fenced", "killed": killed})
    logging.shutdown()
    os._exit(EXIT_FENCED)


class LeaseKeeper:
    """Renews what a worker has in hand. `add` and `remove` are called from the loop, the rest from the thread."""

    def __init__(
        self,
        worker: str,
        on_lost: Callable[[list[Delivery]], None],
        lease_s: float = LEASE_S,
        on_fenced: Callable[[], None] = _leave,
    ) -> None:
        self._every_s = lease_s / RENEWALS
        self._give_up_s = lease_s - 2 * self._every_s
        self._worker = worker
        self._on_lost = on_lost
        self._on_fenced = on_fenced
        self._held: dict[int, tuple[StreamQueue, Delivery, float]] = {}  # by id() of the delivery
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing. Call when nothing is in hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(self._every_s)

    def add(self, queue: StreamQueue, deliveries: Iterable[Delivery]) -> None:
        """These were just taken: their lease begins now."""
        now = time.monotonic()
        held = self._held
        for d in deliveries:
            held[id(d)] = (queue, d, now)

    def remove(self, delivery: Delivery) -> None:
        """This one is settled, or given up."""
        self._held.pop(id(delivery), None)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.renew_once()

    def renew_once(self) -> None:
        """Renew what was last confirmed a renewal ago or longer."""
        now = time.monotonic()
        due: dict[StreamQueue, list[tuple[int, Delivery]]] = {}
        for key, (queue, delivery, confirmed) in list(self._held.items()):
            if now - confirmed >= self._every_s * 0.9:
                due.setdefault(queue, []).append((key, delivery))
        for queue, held in due.items():
            began = time.monotonic()
            try:
                lost = queue.renew(self._worker, [d for _, d in held])
            except Exception as error:
                log.warning("leases not renewed: %s", error, extra={"action": "renew_failed", "queue": queue.name})
                continue
            for key, delivery in held:
                if key in self._held:
                    self._held[key] = (queue, delivery, began)
            if lost:
                self._on_lost(lost)
        still = min((c for _, _, c in list(self._held.values())), default=now)
        if time.monotonic() - still > self._give_up_s and not self._stop.is_set():
            self._on_fenced()
