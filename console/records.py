"""Rows as values, for files: ISO times with their zone, plain words, numbers; not what a screen makes of them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

import msgspec

from backends.model import from_ms
from widgets.safe import safe_line

Record = dict[str, Any]
"""Name → text, number, truth value, None, or a list of them."""
EPOCH_MS = 1_000_000_000_000
"""Milliseconds that are more are an instant and no length of time."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
NUMBER = re.compile(r"[+-]?\d[\d,.]*%?")


class Records(NamedTuple):
    """What a list holds. `rows`: by the key of the row; `more`: what there is besides, in words."""

    rows: Mapping[str, Record]
    more: str = ""


def record(item: object, zone: tzinfo | None, prefix: str = "") -> Record:
    """A noun of the backend as a record. What is bytes, or holds further nouns, is left out, and so is a cursor."""
    if isinstance(item, msgspec.Struct):
        fields = {name: getattr(item, name) for name in item.__struct_fields__}
    else:
        fields = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}  # type: ignore[arg-type]
    found: Record = {}
    fields.pop("cursor", None)
    for name, value in fields.items():
        if isinstance(value, msgspec.Struct) or dataclasses.is_dataclass(value):
            found |= record(value, zone, f"{prefix}{name}_")
        elif isinstance(value, datetime):
            found[prefix + name] = value.astimezone(zone).isoformat()
        elif name.endswith("_ms") and isinstance(value, int) and value >= EPOCH_MS:
            found[prefix + name.removesuffix("_ms")] = from_ms(value).astimezone(zone).isoformat()
        elif isinstance(value, Mapping):
            found[prefix + name] = json.dumps(value, ensure_ascii=False, default=str)
        elif isinstance(value, (tuple, list)):
            if all(isinstance(part, (str, int, float)) for part in value):
                found[prefix + name] = list(value)
        elif not isinstance(value, bytes):
            found[prefix + name] = round(value, 3) if isinstance(value, float) else value
    return found


def guarded(text: str) -> str:
    """`text` for a spreadsheet: what it would take for a formula is put behind an apostrophe (OWASP, CSV injection)."""
    return "'" + text if text.startswith(FORMULA) and not NUMBER.fullmatch(text) else text


def _plain(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def as_csv(records: Sequence[Record]) -> str:
    """As CSV (RFC 4180); the columns are those of all records, in the order in which they first come."""
    names = list(dict.fromkeys(name for one in records for name in one))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([guarded(safe_line(_plain(one.get(name)))) for name in names] for one in records)
    return out.getvalue()


def as_json(records: Sequence[Record]) -> str:
    """As a list of objects; no text in it does anything to a terminal."""
    return json.dumps([{k: _safe(v) for k, v in one.items()} for one in records], ensure_ascii=False, indent=1) + "\n"


def _safe(value: object) -> object:
    if isinstance(value, list):
        return [_safe(part) for part in value]
    return safe_line(value) if isinstance(value, str) else value
