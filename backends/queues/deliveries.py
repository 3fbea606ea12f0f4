"""What a worker is handed, from the entries of the streams as the server answers them."""

from __future__ import annotations

from collections.abc import Sequence

from backends.queues.base import Delivery

Entry = tuple[bytes, bytes, Sequence[bytes]]
"""Place, entry id, field names and values in turn."""


def deliveries_of(queue: str, epoch: str, taken: Sequence[Entry]) -> tuple[Delivery, ...]:
    """One delivery an entry, in order."""
    try:
        return tuple(
            [
                Delivery(
                    queue, sid.decode(), place.decode(), v[1].decode(), int(v[3]), int(v[5]), int(v[7]),
                    v[11].decode(), v[13], v[15].decode(), epoch, int(v[9]),
                )
                for place, sid, v in taken
            ]
        )  # fmt: skip
    except (ValueError, IndexError):  # somebody else's entry: it must not keep the others from their worker
        return tuple([_of_any(queue, epoch, *entry) for entry in taken])


def _of_any(queue: str, epoch: str, place: bytes, sid: bytes, v: Sequence[bytes]) -> Delivery:
    """A delivery of an entry whose fields may be anything; what is missing is what the scripts take it for."""
    found = dict(enumerate(v[1:16:2]))

    def number(at: int, instead: int) -> int:
        digits = found.get(at, b"")
        return int(digits) if digits.isdigit() and len(digits) < 10 else instead

    def text(at: int, instead: bytes) -> str:
        return found.get(at, instead).decode("utf-8", "replace")

    return Delivery(
        queue, sid.decode(), place.decode(), text(0, sid), number(1, 1), number(2, 0), number(3, 0), text(5, b"?"),
        found.get(6, b""), text(7, b""), epoch, number(4, 1),
    )  # fmt: skip
