"""Abbreviations of time zones: several zones share one, and the IANA database has few of them as names."""

from __future__ import annotations

import re

PLACES = {
    "ACST": "Australia/Darwin", "ACDT": "Australia/Adelaide", "AEST": "Australia/Brisbane",
    "AEDT": "Australia/Sydney", "AWST": "Australia/Perth", "ADT": "America/Halifax", "AKST": "America/Anchorage",
    "AKDT": "America/Anchorage", "AST": "America/Halifax or Asia/Riyadh", "BRT": "America/Sao_Paulo",
    "BST": "Europe/London", "CAT": "Africa/Maputo", "CDT": "America/Chicago", "CEST": "Europe/Berlin",
    "CST": "America/Chicago or Asia/Shanghai", "EAT": "Africa/Nairobi", "EDT": "America/New_York",
    "EEST": "Europe/Athens", "GST": "Asia/Dubai", "HKT": "Asia/Hong_Kong", "IDT": "Asia/Jerusalem",
    "IST": "Asia/Kolkata, Europe/Dublin or Asia/Jerusalem", "JST": "Asia/Tokyo", "KST": "Asia/Seoul",
    "MDT": "America/Denver", "MSK": "Europe/Moscow", "NDT": "America/St_Johns", "NST": "America/St_Johns",
    "NZDT": "Pacific/Auckland", "NZST": "Pacific/Auckland", "PDT": "America/Los_Angeles", "PHT": "Asia/Manila",
    "PKT": "Asia/Karachi", "PST": "America/Los_Angeles or Asia/Manila", "SAST": "Africa/Johannesburg",
    "SGT": "Asia/Singapore", "WAT": "Africa/Lagos", "WEST": "Europe/Lisbon", "WIB": "Asia/Jakarta",
}  # fmt: skip
"""Abbreviations that are no names, with places whose clock shows them."""
NAMES = {
    "EST": "America/New_York", "MST": "America/Denver", "CET": "Europe/Berlin", "MET": "Europe/Berlin",
    "EET": "Europe/Athens", "WET": "Europe/Lisbon",
}  # fmt: skip
"""Abbreviations that are names too, of zones that may be other than what was meant."""
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?", re.ASCII)


def remedy(name: str) -> str | None:
    """What to write for an abbreviation or an offset such as UTC+2; None where it is neither."""
    text = name.strip().upper()
    if text in PLACES:
        return f"{text} is an abbreviation, write the name of a place: {PLACES[text]}"
    offset = _OFFSET.fullmatch(text)
    if offset is None:
        return None
    sign, hours, minutes = offset.groups()
    turned = f"Etc/GMT{'-' if sign == '+' else '+'}{int(hours)}"
    if int(minutes or 0) or int(hours) > (14 if sign == "+" else 12):
        return "an offset is no zone, write the name of a place such as Europe/Berlin"
    return f"write the name of a place such as Europe/Berlin, or {turned} for UTC{sign}{int(hours):02d}:00 all the year"
