"""Models of other schedulers, each of that system's own algorithm: what they make of an expression of ours."""

from backends.schedule.elsewhere.base import Clock, Difference, Fires, Known, System, Takes
from backends.schedule.elsewhere.debian import Debian
from backends.schedule.elsewhere.eventbridge import EventBridge
from backends.schedule.elsewhere.github import GitHub
from backends.schedule.elsewhere.kubernetes import Kubernetes
from backends.schedule.elsewhere.systemd import Systemd

SYSTEMS: tuple[type[System], ...] = (Debian, Systemd, Kubernetes, GitHub, EventBridge)

__all__ = ["SYSTEMS", "Clock", "Difference", "Fires", "Known", "System", "Takes"]
