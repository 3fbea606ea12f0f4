"""Cron expressions by chance, and zones with all kinds of clock changes."""

from __future__ import annotations

from hypothesis import strategies as st

FIRST, LAST = 2010, 2037
"""The years whose clock changes the tests visit."""

ZONES = (
    "Africa/Cairo",  # midnight gaps; four changes in 2010 and in 2014
    "Africa/Casablanca",  # summer time is the normal one, and Ramadan is the exception
    "Africa/Juba",
    "Africa/Sao_Tome",
    "America/Asuncion",  # midnight gaps
    "America/Bahia_Banderas",  # two hours at once in 2010
    "America/Caracas",  # half an hour back in 2007, forward in 2016
    "America/Havana",  # midnight gaps
    "America/New_York",
    "America/Nuuk",  # changes on a Saturday evening; changed its zone and kept its summer time
    "America/Santiago",  # midnight gaps
    "America/Sao_Paulo",  # midnight gaps
    "America/Scoresbysund",
    "America/St_Johns",  # half an hour off; changes at 00:01 until 2011
    "Antarctica/Casey",  # three hours, at midnight and at 00:01
    "Antarctica/Davis",
    "Antarctica/Troll",  # two hours
    "Asia/Beirut",  # midnight gaps
    "Asia/Gaza",  # midnight, 00:01 and others; four changes in many years
    "Asia/Kolkata",  # none at all
    "Asia/Pyongyang",  # half an hour back in 2015, forward in 2018
    "Asia/Tehran",  # midnight gaps
    "Australia/Lord_Howe",  # half an hour
    "Europe/Berlin",
    "Europe/Dublin",  # winter time is the exception
    "Europe/Istanbul",
    "Europe/Moscow",  # 2011 and 2014
    "Pacific/Apia",  # a date that never was: 30 December 2011
    "Pacific/Chatham",  # three quarters of an hour off
    "Pacific/Fakaofo",
    "Pacific/Fiji",
    "Pacific/Kiritimati",
    "Pacific/Norfolk",  # half an hour, then whole ones
    "UTC",
)


@st.composite
def field(draw: st.DrawFn, low: int, high: int, usual: tuple[str, ...]) -> str:
    """One field: half the time a usual one, so that the expressions fire at all in a short window."""
    if draw(st.booleans()):
        return draw(st.sampled_from(usual))
    items = []
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        step = draw(st.integers(1, high + 2))
        items.append(draw(st.sampled_from((f"{first}", f"{first}-{last}", f"{first}-{last}/{step}", f"*/{step}", "*"))))
    return ",".join(items)


EXPRESSIONS = st.tuples(
    field(0, 59, ("0", "1", "30", "59", "0,30", "15,45", "*/20", "*")),
    field(0, 23, ("0", "1", "2", "3", "23", "1-3", "0-4", "0-23", "*/2", "*")),
    field(1, 31, ("*", "*", "*", "1-31", "*/2", "28-31")),
    field(1, 12, ("*", "*", "*", "3,4,9-11", "1-12")),
    field(0, 7, ("*", "*", "*", "0-7", "0,6", "1-5", "*/2")),
).map(" ".join)
