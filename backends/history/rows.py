"""From outbox records to the binary COPY format, by hand: psycopg's row writer costs three times as much CPU.

The format is that of the PostgreSQL documentation, chapter "COPY", section "Binary Format": a field count of 16 bits,
then for each field its length of 32 bits (-1: null) and its bytes, big-endian.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from typing import Any

from backends.model import AttemptRecord

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
PG_EPOCH_US = 946_684_800_000_000
YEAR_10000_US = 253_402_300_800_000_000

COLUMNS = (
    "run_id", "attempt", "job", "queue", "outcome", "final", "orphan", "trigger", "scheduled_for", "enqueued_at",
    "started_at", "finished_at", "duration_ms", "worker", "exit_code", "error_class", "error", "fingerprint", "result",
    "producer_id", "operator", "replay_of", "max_rss_kb", "cpu_ms",
)  # fmt: skip

_NULL = b"\xff\xff\xff\xff"
_count = struct.pack(">h", len(COLUMNS))
_length = struct.Struct(">i").pack
_int4 = struct.Struct(">ii").pack
_int8 = struct.Struct(">iq").pack
_float8 = struct.Struct(">id").pack
_uuid_head = struct.pack(">i", 16)
_bools = (b"\x00\x00\x00\x01\x00", b"\x00\x00\x00\x01\x01")


def clean(text: str) -> str:
    """Postgres text has no NUL; show it instead of losing the rest."""
    return text.replace("\0", "␀") if "\0" in text else text


def _uuid(text: str) -> bytes:
    data = bytes.fromhex(text.replace("-", ""))
    if len(data) != 16:
        raise ValueError(f"not a run id: {text[:60]!r}")
    return data


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    data = (value.replace("\0", "␀") if "\0" in value else value).encode("utf-8", "replace")
    return _length(len(data)) + data


def _time(us: int | None) -> bytes:
    if us is None:
        return _NULL
    if not 0 <= us < YEAR_10000_US:  # Postgres would take it, and no reader could read it back
        raise ValueError(f"a time out of range: {us} µs")
    return _int8(8, us - PG_EPOCH_US)


def attempt_row(r: AttemptRecord) -> bytes:
    """One row of `attempt`. Raises ValueError, OverflowError or struct.error for what no column can hold."""
    started, scheduled, enqueued = r.started_us, r.scheduled_ms, r.enqueued_ms
    return b"".join(
        (
            _count,
            _uuid_head, _uuid(r.run_id),
            _int4(4, r.attempt),
            _text(r.job), _text(r.queue), _text(r.outcome.value),
            _bools[r.final], _bools[r.orphan],
            _text(r.trigger),
            _time(None if scheduled is None else scheduled * 1000),
            _time(None if enqueued is None else enqueued * 1000),
            _time(started), _time(r.finished_us),
            _NULL if started is None else _float8(8, max(0, r.finished_us - started) / 1000),  # clocks step back
            _text(r.worker),
            _NULL if r.exit_code is None else _int4(4, r.exit_code),
            _text(r.error_class), _text(r.error), _text(r.fingerprint), _text(r.result), _text(r.producer_id),
            _text(r.by), _text(r.replay_of),
            _NULL if r.max_rss_kb is None else _int8(8, r.max_rss_kb),
            _NULL if r.cpu_ms is None else _int8(8, r.cpu_ms),
        )
    )  # fmt: skip


_of_attempt = struct.Struct(">hi16siii").pack
"""Three fields: run id, attempt, and the length of what belongs to them."""


def log_row(r: AttemptRecord) -> bytes:
    """One row of `run_log`."""
    data = clean(r.output or "").encode("utf-8", "replace")
    return _of_attempt(3, 16, _uuid(r.run_id), 4, r.attempt, len(data)) + data


def envelope_of(r: AttemptRecord) -> bytes:
    """The envelope that came with a final attempt; empty where there is none."""
    raw = bytes(r.envelope)
    if raw[:1] != b'"':
        return raw
    try:
        text = json.loads(raw.decode("utf-8", "surrogateescape"), strict=False)
        return str(text).encode("utf-8", "surrogateescape")
    except ValueError:  # nobody of ours wrote this; better odd than gone
        return raw


def envelope_row(r: AttemptRecord) -> bytes:
    """One row of `run_envelope`."""
    envelope = envelope_of(r)
    return _of_attempt(3, 16, _uuid(r.run_id), 4, r.attempt, len(envelope)) + envelope


def copy_data(rows: Iterable[bytes]) -> bytes:
    """A whole COPY stream."""
    return b"".join((SIGNATURE, *rows, TRAILER))


def rollup_rows(records: Iterable[AttemptRecord]) -> list[tuple[Any, ...]]:
    """The rollup of a set of attempts: (minute in s, job, queue, outcome, n, sum ms, max ms, histogram), sorted.

    The histogram is the text of an array of up to 32 counts, without the zeros at its end.
    """
    groups: dict[tuple[int, str, str, str], list[Any]] = {}
    for r in records:
        key = (r.finished_us // 60_000_000, clean(r.job), clean(r.queue), r.outcome.value)
        group = groups.get(key)
        if group is None:
            group = groups[key] = [0, 0.0, 0.0, [0] * 32]
        ms = 0.0 if r.started_us is None else max(0, r.finished_us - r.started_us) / 1000
        group[0] += 1
        group[1] += ms
        if ms > group[2]:
            group[2] = ms
        group[3][min(31, int(ms).bit_length())] += 1
    rows = []
    for key in sorted(groups):
        (minute, job, queue, outcome), (n, total, most, counts) = key, groups[key]
        while not counts[-1]:
            counts.pop()
        hist = "{" + ",".join(map(str, counts)) + "}"
        rows.append((minute * 60, job, queue, outcome, n, total, most, hist))
    return rows
