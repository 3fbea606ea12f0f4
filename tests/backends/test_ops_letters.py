"""Selections: what is meant, found the same way by lists, counts and actions; pages in both directions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backends.model import from_ms, now_ms
from backends.ops import Ops, Selection
from backends.ops.letters import GROUPS_MOST
from backends.ops.matching import Matcher, Needle
from tests.backends.ops_helpers import bury


async def found(ops: Ops, **more: Any) -> list[str]:
    """Run ids that are listed, having made sure that a count and a dry run say the same number."""
    selection = Selection(**more)
    ids = [d.id for d in (await ops.dead_list(1000, selection=selection)).items]
    assert (await ops.dead_retry(selection, dry_run=True)).matched == len(ids)
    return ids


class TestNeedle:
    """Text in envelopes."""

    @pytest.mark.parametrize(
        ("text", "envelope"),
        [
            ("ADA@", b'{"payload":{"to":"ada@example.org"}}'),
            ("müller", '{"payload":{"n":"MÜLLER"}}'.encode()),
            ("Müller", b'{"payload":{"n":"M\\u00fcller"}}'),
            ("http://x", b'{"payload":{"u":"http:\\/\\/X"}}'),
            ("a\\u0041", b'{"payload":"A\\u0041"}'),
            ("straße", b'{"payload":"STRASSE"}'),
            ("kelvin", '{"payload":"\u212aelvin"}'.encode()),
            ("broken", b"\xff\x00 Broken \\"),
        ],
    )
    def test_found(self, text: str, envelope: bytes) -> None:
        """In any case; as it was written or without escapes; in what is no JSON as well."""
        assert Needle(text).found_in(envelope)

    @pytest.mark.parametrize("envelope", [b"", b'{"payload":{"to":"bob"}}', b"\xff\\", b'"\\u0061d"'])
    def test_not_found(self, envelope: bytes) -> None:
        """Not what is not there."""
        assert not Needle("ada").found_in(envelope)

    async def test_bytes_and_letters_agree(self, ops: Ops) -> None:
        """What a list shows and what a bulk action takes."""
        queue = ops.live.queue("mail")
        await bury(queue, 1, error='quote " back\\slash / ünïcode')
        (letter,) = (await ops.dead_list()).items
        record = await ops.servers.redis.get(f"{queue.prefix}dead:#{letter.sequence}")
        for words in ({"error": 'VALUEERROR: QUOTE " BACK\\SLASH / ÜNÏ'}, {"error": "nope"}, {"words": (letter.id,)},
                      {"without": ("quote",)}, {"payload": "X-UNKNOWN"}, {"like": {"group": "aaaa"}},
                      {"like": {"queue": "ai"}}, {"job": "send_email"}, {"job": "send"}):  # fmt: skip
            test = Matcher(Selection(**words), "mail")  # type: ignore[arg-type]
            assert test.record(letter.id, record) == test.letter(letter) == Selection(**words).matches(letter), words  # type: ignore[arg-type]


class TestSelection:
    """Every condition, alone and together."""

    async def test_payload_error_and_time(self, ops: Ops) -> None:
        """The time is that of the death by Redis's clock; `until` is exclusive."""
        queue = ops.live.queue("mail")
        one = await bury(queue, 2, error="Connection refused")
        middle = from_ms((await queue.dead_top()) / 1000) + timedelta(milliseconds=1)
        while now_ms() <= middle.timestamp() * 1000 + 1:
            pass
        two = await bury(queue, 2, job="tick")
        assert await found(ops, since=middle) == two[::-1]
        assert await found(ops, until=middle) == one[::-1]
        assert await found(ops, since=middle, until=middle) == []
        assert await found(ops, payload='"TYPE":"TICK"') == two[::-1]
        assert await found(ops, payload="n", error="REFUSED", job="send_email", queue="mail") == one[::-1]
        assert await found(ops, payload="n", error="refused", job="tick") == []

    async def test_a_job_of_a_few_groups_and_of_many(self, ops: Ops) -> None:
        """Few are read from the index, many are tested letter by letter: the same letters."""
        queue = ops.live.queue("mail")
        few = [(await bury(queue, 1, job="few", group=f"{n:016x}"))[0] for n in range(3)]
        many = [(await bury(queue, 1, job="many", group=f"{n:016x}"))[0] for n in range(100, 101 + GROUPS_MOST)]
        assert await found(ops, job="few") == few[::-1]
        assert await found(ops, job="many") == many[::-1]
        assert await found(ops, like={"job": "an"}, without=(many[0],)) == many[:0:-1]
        assert await found(ops, job="few", group=f"{1:016x}") == [few[1]]
        assert await found(ops, job="few", group=f"{100:016x}") == []
        assert await found(ops, job="nobody") == []

    async def test_pages_up_and_down(self, ops: Ops) -> None:
        """The page above a cursor ends where the page below it begins, over queues and filters."""
        a, b = ops.live.queue("default"), ops.live.queue("mail")
        made: list[str] = []
        for n in range(9):
            made += await bury(a if n % 3 else b, 1, error=f"e{n % 2}")
        for selection in (None, Selection(error="e1"), Selection(queue="default")):
            whole = (await ops.dead_list(50, selection=selection)).items
            for n, letter in enumerate(whole):
                cursor = f"{letter.sequence}.{letter.queue}"
                assert (await ops.dead_list(3, cursor, selection)).items == whole[n + 1 : n + 4]
                above = await ops.dead_list(3, selection=selection, newer=cursor)
                assert above.items == whole[max(0, n - 3) : n]
                assert (above.next_cursor is None) == (n <= 3)
