"""Cron expressions in time zones: what they mean, when they fire."""

from backends.schedule.cron import Schedule, fires_between, parse
from backends.schedule.errors import ScheduleError
from backends.schedule.zones import zone

__all__ = ["Schedule", "ScheduleError", "fires_between", "parse", "zone"]
