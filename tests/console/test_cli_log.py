"""`cronsole runs log`: what a run has printed, live or kept, and followed to its end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest

from backends.connect import Settings
from backends.history.store import store
from backends.model import AttemptRecord, Outcome, new_run_id, now_ms
from backends.ops import Ops
from backends.queues.base import Delivery
from console.cli import log
from tests.console.cli_helpers import Answer, Cli
from tests.contract.helpers import dead, retry, take_one

Act = Callable[[Ops], Awaitable[object]]


@pytest.fixture
def act(settings: Settings) -> Callable[[Act], object]:
    """Does something to the servers."""

    async def do(what: Act) -> object:
        async with Ops.open(settings) as ops:
            return await what(ops)

    return lambda what: asyncio.run(do(what))


async def prints(ops: Ops, run_id: str, *texts: bytes, attempt: int = 1, queue: str = "mail") -> None:
    """As an engine writes it while a run runs."""
    for text in texts:
        key = f"{ops.live.queue(queue).prefix}log:{run_id}"
        await ops.servers.redis.xadd(key, {"d": text, "a": attempt})


async def ends(
    ops: Ops, run_id: str, output: str, *, attempt: int = 1, final: bool = True, queue: str = "mail"
) -> None:
    """As history has it."""
    at = now_ms() * 1000
    record = AttemptRecord(
        run_id=run_id, attempt=attempt, job="send_email", queue=queue, outcome=Outcome.FAILED, finished_us=at,
        output=output, final=final,
    )  # fmt: skip
    async with ops.history(), (await ops.servers.pool()).connection() as connection:
        await store(connection, [record], [])


def test_of_a_run_that_ended(cli: Cli, world: list[str]) -> None:
    """Nothing in it acts on a terminal; in JSON it is as it was."""
    answer = cli("runs", "log", world[0])
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("first\nbad \\x1b]0;owned")
    assert answer.out.endswith("\nline two\n")
    assert all(line.isprintable() for line in answer.out.split("\n"))
    found = cli("runs", "log", world[0], "--json").json
    assert list(found) == ["run_id", "attempt", "ended", "output"]
    assert (found["run_id"], found["attempt"], found["ended"]) == (world[0], 1, True)
    assert "\x1b" in found["output"]


def test_more_came_live_than_was_kept(cli: Cli, world: list[str], act: Callable[[Act], object]) -> None:
    """All of it is shown, and the end that came too late to come live."""
    run_id = new_run_id()
    lines = [f"line {n}\n" for n in range(300)]

    async def build(ops: Ops) -> None:
        await prints(ops, run_id, *[line.encode() for line in lines[:-1]])
        await ends(ops, run_id, "".join(lines[-20:]))

    act(build)
    assert cli("runs", "log", run_id).out == "".join(lines)


def test_of_one_that_has_not_ended(cli: Cli, world: list[str], act: Callable[[Act], object]) -> None:
    """It has not begun; it prints; an attempt before it."""
    run_id = cli("trigger", "send_email").out.strip()
    answer = cli("runs", "log", run_id)
    assert (answer.code, answer.out, answer.err) == (0, "", "it has not begun: it is ready\n")

    async def begin(ops: Ops) -> None:
        mail = ops.live.queue("mail")
        await mail.settle("w1", [retry(await take_one(mail))])
        await ends(ops, run_id, "of the first", final=False)
        await mail.promote()
        await take_one(mail)
        await prints(ops, run_id, b"of the \xe2\x82", b"\xac second", attempt=2)

    act(begin)
    assert cli("runs", "log", run_id).out == "of the € second\n"
    assert cli("runs", "log", run_id, "--json").json["ended"] is False
    assert cli("runs", "log", run_id, "--attempt", "1").out == "of the first\n"
    for argv in (
        [run_id, "--attempt", "3"],
        [new_run_id()],
        ["x"],
        [run_id, "--follow", "--json"],
        [run_id, "--attempt", "0"],
    ):
        answer = cli("runs", "log", *argv)
        assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1), argv


def test_only_the_end_was_kept(cli: Cli, world: list[str], act: Callable[[Act], object]) -> None:
    """It says so."""
    run_id = new_run_id()
    act(lambda ops: ends(ops, run_id, "x" * 64_000))
    assert "only the end" in cli("runs", "log", run_id).err


class Following:
    """A `runs log --follow` and what it has shown so far."""

    def __init__(self, cli: Cli, argv: Sequence[str]) -> None:
        self.answer: Answer | None = None
        self.shown: list[str] = []
        self._thread = threading.Thread(target=self._run, args=(cli, argv))

    def _run(self, cli: Cli, argv: Sequence[str]) -> None:
        self.answer = cli("runs", "log", "--follow", *argv)

    def __enter__(self) -> Following:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(30)

    def until(self, text: str) -> None:
        """It has shown this."""
        deadline = time.monotonic() + 15
        while text not in "".join(self.shown):
            assert time.monotonic() < deadline, (text, self.shown, self.answer)
            time.sleep(0.01)


@pytest.fixture
def follow(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Following]:
    """What is shown is seen at once."""
    monkeypatch.setattr(log, "POLL_S", 0.02)

    def begin(*argv: str) -> Following:
        following = Following(cli, argv)
        show = log._show

        def seen(text: str) -> None:
            following.shown.append(text)
            show(text)

        monkeypatch.setattr(log, "_show", seen)
        return following

    return begin


class TestFollow:
    """From its queue through its attempts to its end."""

    def test_through_a_retry(
        self, cli: Cli, world: list[str], act: Callable[[Act], object], follow: Callable[..., Following]
    ) -> None:
        """Each line once, as it comes; what was not live is told from what was kept."""
        run_id = cli("trigger", "send_email").out.strip()
        taken: list[Delivery] = []

        async def begin(ops: Ops) -> None:
            taken.append(await take_one(ops.live.queue("mail")))
            await prints(ops, run_id, b"one\n", attempt=len(taken))

        async def fail(ops: Ops) -> None:
            await ops.live.queue("mail").settle("w1", [retry(taken[0])])
            await ends(ops, run_id, "one\ntwo, not live", final=False)
            await ops.live.queue("mail").promote()

        async def die(ops: Ops) -> None:
            await ops.live.queue("mail").settle("w1", [dead(taken[1])])
            await ends(ops, run_id, "one\nthree\n", attempt=2)

        with follow(run_id) as following:
            act(begin)
            following.until("one\n")
            act(fail)
            following.until("not live\n")
            act(begin)
            following.until("not live\none\n")
            act(die)
        assert following.answer == Answer(0, "one\ntwo, not live\none\nthree\n", "cronsole: attempt 2\n")

    def test_one_attempt(
        self, cli: Cli, world: list[str], act: Callable[[Act], object], follow: Callable[..., Following]
    ) -> None:
        """It ends with that one; one that never comes is told when the run is over."""
        run_id = new_run_id()
        act(lambda ops: ends(ops, run_id, "first", final=False))
        act(lambda ops: ends(ops, run_id, "second", attempt=2))
        for number, shown in (("1", "first\n"), ("2", "second\n")):
            with follow(run_id, "--attempt", number) as following:
                pass
            assert following.answer == Answer(0, shown, "")
        with follow(run_id, "--attempt", "3") as following:
            pass
        assert following.answer is not None
        assert (following.answer.code, "it has no attempt 3" in following.answer.err) == (2, True)
        with follow(run_id) as following:
            pass
        assert following.answer == Answer(0, "second\n", "")

    def test_between_queue_and_history(
        self, cli: Cli, world: list[str], act: Callable[[Act], object], follow: Callable[..., Following],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        """A run that ended a moment ago is waited for, not for ever."""
        monkeypatch.setattr(log, "KNOWN_S", 0.2)
        run_id = cli("trigger", "send_email").out.strip()

        async def vanish(ops: Ops) -> None:
            mail = ops.live.queue("mail")
            await take_one(mail)
            await prints(ops, run_id, b"one\n")
            following.until("one\n")
            await ops.servers.redis.hdel(f"{mail.prefix}live", run_id)

        with follow(run_id) as following:
            act(vanish)
        assert following.answer is not None
        assert (following.answer.code, following.answer.out) == (2, "one\n")
