"""The line to the terminal: what is judged slow, when it is asked, when a frame is held back."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from contextvars import ContextVar

import pytest

import console.line as lines
from console.line import DEAF_AFTER, LEAVING_S, LONG_S, LOST_S, PROBE, PROBED, Line, LineSpeed


def judged(*answers: tuple[int, float]) -> bool:
    """Whether a line is slow after those (bytes, seconds)."""
    speed = LineSpeed()
    for size, seconds in answers:
        speed.answered(size, seconds)
    return speed.slow


def test_a_line_is_slow_when_bytes_take_long_and_not_when_the_way_is_long() -> None:
    assert judged((0, 0.05), *[(4000, 0.55)] * 4)  # 8 kB/s
    assert not judged((0, 0.6), *[(4000, 0.65)] * 9)  # a satellite: late but quick
    assert not judged((0, 0.05), *[(20_000, 0.75)] * 9)  # 28 kB/s: between the two
    assert not judged((0, 0.001), *[(2000, 0.2)] * 9)  # not felt
    assert not judged(*[(4000, 5.0)] * 9)  # the way is not known
    assert not judged((0, 0.001), *[(4000, 1.0)] * 3, (9000, 0.1), *[(4000, 1.0)] * 3)  # a busy machine
    assert not judged((0, 0.001), (60, 0.4), *[(4000, 0.6)] * 9)  # nothing to carry takes long as well, at times


def test_one_hiccup_changes_nothing_in_either_direction() -> None:
    slow = ((0, 0.05), *[(4000, 0.55)] * 4)
    assert not judged((0, 0.05), *[(4000, 0.55)] * 3, (9000, 0.06), (4000, 0.55))
    assert judged(*slow, (9000, 0.06), (4000, 0.55))
    assert judged(*slow, (100, 0.05), (100, 0.05), (1500, 0.06), (1500, 0.06))  # too little to be a proof
    assert not judged(*slow, (9000, 0.06), (9000, 0.06))


class Asked:
    """A line whose clock, terminal and queue are the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.sent, self.queued, self.changes = 100.0, [], 0, 0
        monkeypatch.setattr(lines, "monotonic", lambda: self.now)
        self.line = Line(asks=True, changed=self.change)
        self.line.begin(self.sent.append, lambda: self.queued)

    def change(self) -> None:
        self.changes += 1

    def frame(self, size: int) -> None:
        self.line.written += size
        self.line.frame_out()

    def answer(self, after: float = 0.0, question: int = -1) -> None:
        self.now += after
        place = re.search(r"\x1b\[1;(\d+)H\x1b\[6n", self.sent[question])
        self.line.answer(int(place[1]) - 1 if place else 1)


@pytest.fixture
async def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


@pytest.mark.parametrize("held_up", [True, False])
async def test_a_machine_that_holds_this_process_up_too_is_no_slow_line(held_up: bool) -> None:
    sent: list[str] = []
    line = Line(asks=True, changed=lambda: None)
    line.begin(sent.append, lambda: 0)
    line.answer(PROBED)
    for _ in range(5):
        line.written += 3000
        line.frame_out()
        if held_up:
            time.sleep(LONG_S + 0.1)  # noqa: ASYNC251 - the loop is to stand still
        else:
            await asyncio.sleep(LONG_S + 0.1)
        place = re.search(r"\x1b\[1;(\d+)H\x1b\[6n", sent[-1])
        line.answer(int(place[1]) - 1 if place else 0)
    assert line.speed.slow is not held_up


async def test_the_app_is_told_in_its_own_context_whatever_thread_hears_it() -> None:
    told: list[str] = []
    app = ContextVar("app", default="")
    app.set("this one")
    line = Line(asks=True, changed=lambda: told.append(app.get()))
    line.begin(lambda _: None, lambda: 9)
    assert line.busy
    line._queued = lambda: 0
    thread = threading.Thread(target=line.free)
    thread.start()
    thread.join()
    await asyncio.sleep(0)
    assert told == ["this one"]


async def test_it_is_asked_seldom_and_one_question_at_a_time(asked: Asked) -> None:
    assert asked.sent == [PROBE]
    asked.frame(8000)
    assert len(asked.sent) == 1
    asked.answer(0.02)
    for _ in range(2):
        asked.frame(100)
    assert len(asked.sent) == 2  # 8,100 bytes are unconfirmed
    asked.answer(0.02)
    asked.frame(100)
    assert len(asked.sent) == 3  # the way is measured again beside a large answer
    asked.answer(0.02)
    for _ in range(10):
        asked.frame(100)
    assert len(asked.sent) == 3
    asked.now += 11
    asked.frame(100)
    assert len(asked.sent) == 4


async def test_a_terminal_that_never_answers_is_left_alone_and_never_waited_for(asked: Asked) -> None:
    for _ in range(40):
        asked.frame(5000)
        asked.now += 1
        assert not asked.line.busy
    assert len(asked.sent) == DEAF_AFTER
    asked.line.end()


async def test_a_late_answer_holds_frames_back_until_it_comes(asked: Asked) -> None:
    asked.answer(0.02)
    asked.frame(8000)
    asked.now += 0.4
    assert not asked.line.busy
    asked.now += 0.2
    assert asked.line.busy
    asked.answer()
    await asyncio.sleep(0)
    assert not asked.line.busy
    assert asked.changes == 1


async def test_a_lost_answer_holds_them_back_for_a_moment_and_is_asked_for_again(asked: Asked) -> None:
    asked.answer(0.02)
    asked.frame(8000)
    asked.now += LOST_S + 0.1
    assert not asked.line.busy
    asked.frame(100)
    assert len(asked.sent) == 3
    asked.now += 1
    asked.answer(question=1)  # not lost but late: the newer one is still open
    assert asked.line.busy
    asked.answer(question=2)
    assert not asked.line.busy


async def test_writes_that_pile_up_hold_frames_back_until_they_are_out(asked: Asked) -> None:
    asked.queued = 4
    assert asked.line.busy
    asked.queued = 0
    asked.line.free()
    asked.line.free()
    await asyncio.sleep(0)
    assert asked.changes == 1
    assert not asked.line.busy


async def test_nothing_is_asked_where_the_operator_has_decided() -> None:
    sent: list[str] = []
    line = Line(asks=False, changed=lambda: None)
    line.begin(sent.append, lambda: 0)
    line.written = 50_000
    line.frame_out()
    line.end()
    assert not sent


async def test_the_terminal_is_not_given_back_before_it_has_answered(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(asked.line._quiet, "wait", waits.append)
    asked.answer(0.02)
    asked.line.end()
    asked.line.begin(asked.sent.append, lambda: 0)
    asked.line.end()
    assert waits == [LEAVING_S] * 2


@pytest.mark.parametrize(("column", "repeats"), [(4, True), (1, False), (6, False)])
async def test_a_terminal_shows_that_it_repeats_characters(asked: Asked, column: int, repeats: bool) -> None:
    asked.line.answer(column)
    assert asked.line.repeats is repeats
    asked.frame(8000)
    asked.answer()
    assert asked.line.repeats is repeats
