"""Ctrl-C: what a command is at is cancelled, and what blocks is left at once."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from backends.ops import Ops
from console.cli import common
from console.cli.interrupts import blocking

Run = Callable[[Callable[[Ops], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """`with_ops` without servers; whoever runs the tests may ignore Ctrl-C."""

    @asynccontextmanager
    async def opened(*_: object, **__: object) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(warnings=[])

    monkeypatch.setattr(Ops, "open", opened)
    monkeypatch.setattr(common, "current_settings", lambda: None)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield common.with_ops
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, usual)


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_no_call_is_left_that_nobody_awaits(run: Run) -> None:
    """Ctrl-C between a call and its await, as the driver of Redis has many: Python would warn about it on stderr."""
    ended = []

    async def act(_: Ops) -> None:
        try:
            call = asyncio.sleep(10)
            press()
            await call
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(KeyboardInterrupt):
            run(act)
        gc.collect()
    assert not [str(each.message) for each in told]
    assert ended == [True]


def test_what_blocks_is_left_at_once(run: Run) -> None:
    """It would never notice that its task was cancelled."""

    async def act(_: Ops) -> None:
        with blocking():
            press()
            time.sleep(5)  # noqa: ASYNC251

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(act)
    assert time.monotonic() - began < 4


def test_nothing_is_begun_that_blocks_after_it(run: Run) -> None:
    """It came while a line was looked at: the next one is not read. What belongs to the end is done."""
    done = []

    async def act(_: Ops) -> None:
        press()
        with blocking(afterwards=True):
            done.append("told")
        with blocking():
            done.append("read")

    with pytest.raises(KeyboardInterrupt):
        run(act)
    assert done == ["told"]


def test_who_ignores_it_goes_on_ignoring_it(run: Run) -> None:
    """A job in the background of a shell script."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def act(_: Ops) -> str:
        press()
        with blocking():
            press()
        await asyncio.sleep(0)
        return "done"

    assert run(act) == "done"
    assert signal.signal(signal.SIGINT, signal.default_int_handler) is signal.SIG_IGN
