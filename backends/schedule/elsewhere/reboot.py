"""What other systems make of ``@reboot``, which is no time at all."""

from __future__ import annotations

from backends.schedule.elsewhere.base import Difference, Known, Takes

REBOOT: dict[str, tuple[Takes, tuple[str, ...], Difference]] = {}


def _put(key: str, takes: Takes, written: tuple[str, ...], message: str, known: Known) -> None:
    REBOOT[key] = (takes, written, Difference("reboot", message, known))


_put("debian", "as_typed", ("@reboot",), "fires when the host starts; here when an engine starts", "documented")
_put("systemd", "rewritten", ("OnBootSec=0",), "fires when the host starts; here when an engine starts", "documented")
_put("kubernetes", "no", (), "rejects @reboot", "verified")
_put("github", "no", (), "does not know @reboot", "documented")
_put("eventbridge", "no", (), "has no schedule for a start", "documented")
