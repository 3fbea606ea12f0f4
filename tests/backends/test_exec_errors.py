"""Fingerprints and the text helpers of executors."""

from __future__ import annotations

from hashlib import sha1

import pytest

from backends.engine.executors.base import Tail, last_line, one_line
from backends.fingerprint import fingerprint, normalise


def test_a_lost_worker_has_the_fingerprint_that_the_queue_computes() -> None:
    expected = sha1(b"job\0WorkerLost\0").hexdigest()[:16]
    assert fingerprint("job", "WorkerLost", (), "") == expected
    assert fingerprint("job", "WorkerLost", ("a:b",), "its engine died 3 times") == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no user 5", "no user 123456"),
        ("run 01a20a8e-9080-742d-b228-8018d91c8b9d gone", "run 01a20a8e-91d6-7071-ab42-39a377f19677 gone"),
        ("can't open /var/lib/x/1.txt: denied", "can't open /srv/y.txt: denied"),
        ("bad key 'alice' here", 'bad key "bob smith" here'),
        ("at 0x7f0f1a735c90", "at 0x7f0f1ab39d00"),
        ("commit 8f9f40a1b2 missing", "commit 41b074d3c4 missing"),
        ("GET https://a.example/x?y=1 failed", "GET http://b.example/z failed"),
        ("took 1.5 s\n of  2", "took 22.75 s of 3"),
    ],
)
def test_what_differs_from_run_to_run_does_not_count(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)
    assert fingerprint("j", "E", (), one) == fingerprint("j", "E", (), other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("disk full", "disk gone"), ("can't open it", "can't close it"), ("user 5 unknown", "group 5 unknown")],
)
def test_different_messages_differ(one: str, other: str) -> None:
    assert fingerprint("j", "E", (), one) != fingerprint("j", "E", (), other)


def test_frames_count_more_than_the_message_and_job_and_class_always() -> None:
    a = fingerprint("j", "E", ("m:f", "m:g"), "one")
    assert len(a) == 16
    assert a == fingerprint("j", "E", ("m:f", "m:g"), "two")
    others = {fingerprint("k", "E", ("m:f", "m:g"), ""), fingerprint("j", "F", ("m:f", "m:g"), "")}
    others |= {fingerprint("j", "E", ("m:f", "m:h"), ""), fingerprint("j", "E", (), "one")}
    assert a not in others
    assert len(others) == 4


def test_hostile_text_has_a_fingerprint_too() -> None:
    assert len(fingerprint("j\udc80", "E", (), "\0\udcff" + "'" * 100_000)) == 16


def test_one_line() -> None:
    assert one_line("a\n\tb \x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b1m\0\u0085c\udc80") == "a b red 1m c?"
    assert one_line("x" * 600) == "x" * 499 + "…"
    assert last_line("first\nlast\n \x1b[0m\n\n") == "last"
    assert last_line(None) == ""


def test_tail_never_cuts_a_character_in_half() -> None:
    for extra in range(4):
        tail = Tail(16)
        for byte in ("ä" * 40).encode() + b"x" * extra:
            tail.add(bytes([byte]))
        text = tail.text()
        assert text is not None
        assert len(text.encode()) <= 16
        assert set(text) <= {"ä", "x"}
    assert Tail().text() is None
    binary = Tail(16)
    binary.add(b"\xff" * 100)
    assert len((binary.text() or "").encode()) <= 16
