"""Cron expressions in time zones: what they mean, when they fire."""

from backends.schedule.cron import Schedule, parse
from backends.schedule.errors import ScheduleError
from backends.schedule.timeline import counts, density, fires_between, merged, next_fires
from backends.schedule.zones import zone

__all__ = [
    "Schedule", "ScheduleError", "counts", "density", "fires_between", "merged", "next_fires", "parse", "zone",
]  # fmt: skip
