"""A run's page: the waterfall, the chosen attempt, its output, live and stored; the widgets beneath it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from backends.model import fire_run_id, from_ms
from backends.queues.where import RunPlace
from console.printed import TAIL_BYTES, after_tail
from console.screens.dialog import AskDialog
from console.screens.letter import LetterScreen
from console.screens.run import RunScreen
from console.screens.run_looks import error_lines, waits_words
from console.screens.runs import RunsScreen
from tests.console.app_helpers import SIZES, Console, console
from tests.console.fake_ops import HOSTILE, T0, FakeOps
from tests.console.fake_pages import as_attempt
from widgets.logpane import LINES_HELD, LogPane
from widgets.safe import Cell
from widgets.waterfall import Waterfall


def output(c: Console) -> LogPane:
    return c.app.screen.query_one("#output", LogPane)


def seen(pane: LogPane) -> str:
    return "\n".join("".join(text for text, _ in row) for row in pane._in_sight()[: pane.size.height])


def words(cells: list[Cell]) -> str:
    return "\n".join("".join(text for text, _ in line) for line in cells)


def in_hand(ops: FakeOps) -> str:
    """A run whose third attempt is at work on web-1."""
    run_id = fire_run_id("fake", "b", T0)
    failed = next(r for r in ops.ended if r.outcome == "failed")
    ops.attempts[run_id] = [
        as_attempt(
            replace(failed, attempt=n, started_at=from_ms(T0 - back), finished_at=from_ms(T0 - back + 20_000)), False
        )
        for n, back in ((1, 90_000), (2, 45_000))
    ]
    ops.places[run_id] = RunPlace("default", "running", "sync_prices", 3, engine="web-1:4711", trigger="schedule")
    return run_id


def end(ops: FakeOps, run_id: str, stored: str) -> None:
    """The third attempt ends well."""
    model = ops.attempts[run_id][1]
    del ops.places[run_id]
    ops.outputs[run_id, 3] = stored
    ops.attempts[run_id].append(
        replace(model, attempt=3, outcome="succeeded", final=True, error=None, finished_at=from_ms(T0))
    )


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_of_the_list_opens_with_its_attempts_and_output(size: tuple[int, int]) -> None:
    ops = FakeOps()
    run = next(r for r in ops.ended if r.job == "sync_prices" and r.attempt == 3)
    ops.ended = [run, *[r for r in ops.ended if r is not run]]
    async with console(size, ops) as c:
        await c.pilot.press("5")
        await c.until(lambda: c.app.screen.query("#runs") and "sync_prices" in c.screen().splitlines()[3])
        await c.pilot.press("enter")
        await c.until(lambda: "attempt 3 begins" in c.screen())
        assert isinstance(c.app.screen, RunScreen)
        text = c.screen()
        for word in (
            "✗ failed",
            "sync_prices",
            run.run_id,
            "Attempts · 3 ended",
            "waited",
            "Attempt 3",
            run.error[:30],
        ):
            assert word in text, word
        await c.pilot.press("k")
        await c.until(lambda: "attempt 2 begins" in c.screen())
        assert "Attempt 2" in c.screen()
        for _ in range(2):
            await c.ticked()
        assert c.app.screen.query_one(Waterfall).cursor_key == "2", "the chosen attempt stays chosen"
        await c.pilot.press("escape")
        assert isinstance(c.app.screen, RunsScreen)


async def test_output_follows_while_the_run_works_and_only_what_is_new_is_read() -> None:
    ops = FakeOps()
    run_id = in_hand(ops)
    lines = ops.logs[run_id] = [b"line %d\n" % n for n in range(70)] + ["ü".encode()[:1]]
    async with console(ops=ops) as c:
        c.app.open("run", run_id)
        await c.until(lambda: "70 lines · live" in c.screen())
        assert "line 69" in seen(output(c))
        lines.append("ü".encode()[1:] + b" is whole\nhalf a")
        await c.until(lambda: "half a" in seen(output(c)))
        assert "ü is whole" in seen(output(c))
        lines.append(b" line\xff\x00\x1b]2;x\x07\n")
        await c.until(lambda: "half a line\\xff␀␛]2;x␇" in seen(output(c)))
        assert ops.log_reads[0] == "", "the first look has no place to go on from"
        assert set(ops.log_reads[3:]) <= {"64", "71", "72", "73"}, "then only what is new is asked for"
        await c.pilot.press("shift+tab", "k", "k")
        lines += [b"more\n"] * 5
        await c.until(lambda: "77 lines · live, G follows" in c.screen())
        assert "more" not in seen(output(c)), "a reader is not pulled away"
        await c.pilot.press("G")
        await c.until(lambda: "more" in seen(output(c)))
        end(ops, run_id, "more\n" * 5 + "the last words\n")
        await c.until(lambda: "✓ succeeded" in c.screen() and "· live" not in c.screen())
        shown = seen(output(c)).splitlines()
        assert (shown[-1], shown[-2], len(shown)) == ("the last words", "more", output(c).size.height)
        reads = len(ops.log_reads)
        for _ in range(3):
            await c.ticked()
        assert len(ops.log_reads) <= reads + 1, "what has ended is not read again"


async def test_what_ended_shows_the_stored_tail_where_that_is_more() -> None:
    ops = FakeOps()
    run_id = in_hand(ops)
    async with console(ops=ops) as c:
        c.app.open("run", run_id)
        await c.until(lambda: "nothing printed yet" in c.screen())
        end(ops, run_id, "all of it came at the end\n")
        await c.until(lambda: "all of it came at the end" in c.screen())
        await c.pilot.press("k")
        await c.until(lambda: "attempt 2 begins" in c.screen())


def test_the_end_that_did_not_come_live_is_found() -> None:
    assert after_tail("a\nb\nc\n", "b\n") == "c\n"
    assert after_tail("a\nb", "x") is None
    assert after_tail("a", "") is None


async def test_cancel_asks_first_and_retry_is_for_dead_ones() -> None:
    ops = FakeOps()
    run_id = in_hand(ops)
    async with console(ops=ops) as c:
        c.app.open("run", run_id)
        await c.until(lambda: "▶ running" in c.screen())
        await c.pilot.press("r")
        await c.until(lambda: "it has not ended: there is nothing to replay" in c.screen())
        await c.pilot.press("c")
        await c.until(lambda: isinstance(c.app.screen, AskDialog))
        await c.pilot.press("c")
        assert not ops.calls, "the key that asked does not confirm"
        await c.pilot.press("y")
        await c.until(lambda: ops.calls == [("cancel", run_id)])
        end(ops, run_id, "x")
        await c.until(lambda: "✓ succeeded" in c.screen())
        await c.pilot.press("c")
        await c.until(lambda: "nothing to cancel" in c.screen())


async def test_a_dead_run_leads_to_its_letter_and_back_into_the_queue() -> None:
    ops = FakeOps()
    letter = ops.dead[4]
    async with console(ops=ops) as c:
        c.app.open("run", letter.id)
        await c.until(lambda: "✗ dead letter" in c.screen())
        await c.pilot.press("l")
        await c.until(lambda: isinstance(c.app.screen, LetterScreen))
        await c.pilot.press("escape", "r")
        await c.until(lambda: ops.calls == [("dead_retry", [letter.id])])


async def test_what_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.screens.run.LOOK_S", 0.02)
    ops = FakeOps()
    run_id = in_hand(ops)
    async with console(ops=ops) as c:
        c.app.open("run", "nobody")
        await c.until(lambda: "no such run" in c.screen())
        c.app.open("run", run_id)
        await c.until(lambda: "▶ running" in c.screen())
        c.app.open("run")
        await c.until(lambda: "no run" in c.screen())
        reads = len(ops.log_reads)
        for _ in range(5):
            await c.ticked()
        assert len(ops.log_reads) <= reads + 1, "what is not shown is not read"
        ops.postgres_error = "postgres is away"
        c.app.open("run", run_id)
        await c.until(lambda: "▶ running" in c.screen() and "✗ postgres is away" in c.screen())
        ops.postgres_error = ""
        await c.until(lambda: "Attempts · 2 ended" in c.screen(), 8)


def test_why_a_run_does_not_run_is_in_words() -> None:
    def said(**more: object) -> str:
        return waits_words(RunPlace("q", **more), from_ms(0).tzinfo)  # type: ignore[arg-type]

    assert said(state="later", due_ms=T0) == "due at 22:43:10"
    assert said(state="waiting", waits_for="job:tick") == "waits for another run of tick"
    assert said(state="waiting", waits_for="pause/tick") == "tick is paused"
    assert said(state="ready") == "no engine has taken it yet"
    assert said(state="running") == ""


@pytest.mark.parametrize(
    ("error", "frames", "loud"),
    [
        ('Traceback (most recent call last):\n  File "a.py", line 3\n    boom()\nValueError: no', 2, "ValueError: no"),
        ("java.lang.X: no\n\tat com.a.B(B.java:7)\nCaused by: y\n\tat c.d", 3, "java.lang.X: no"),
        ("just words", 0, "just words"),
    ],
)
def test_frames_of_an_error_are_set_off(error: str, frames: int, loud: str) -> None:
    lines = error_lines("", error)
    assert sum(line[0][1] == "plan" for line in lines) == frames
    assert [line[0][0] for line in lines if line[0][1] == "bad"] == [loud]
    assert words(error_lines("Class", "text")) == "Class\ntext"
    assert words(error_lines("Class", "Class: text")) == "Class: text"


def bars(c: Console) -> list[str]:
    fall = c.app.screen.query_one(Waterfall)
    width, _ = fall._widths()
    return ["".join(text for text, _ in fall._bar(fall._spans[key], width, first=False)) for key in fall.keys]


async def test_bars_follow_each_other_on_one_scale() -> None:
    ops = FakeOps()
    run_id = in_hand(ops)
    async with console(ops=ops) as c:
        c.app.open("run", run_id)
        await c.until(lambda: len(c.app.screen.query(Waterfall)) and len(c.app.screen.query_one(Waterfall).keys) == 3)
        first, second, third = bars(c)
        assert len({len(first), len(second), len(third)}) == 1
        assert first.index("✗") < second.index("━") < second.index("✗") < third.index("━")
        assert set(second[first.index("✗") + 1 : second.index("━")]) == {"·"}
        assert third.rstrip().endswith("▶")
        assert len(third.rstrip()) == len(third), "what runs reaches now"
        row = c.screen().splitlines()[4]
        assert row.index("22:41:39") < row.index("now")
        c.clock.ms += 600_000
        await c.until(lambda: bars(c)[2].count("━") > third.count("━"))


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_much_output_is_shown_quickly_and_safely(size: tuple[int, int]) -> None:
    ops = FakeOps()
    run = ops.ended[0]
    texts = {
        "many lines": "\n".join(f"line {n} " + "x" * 480 for n in range(10_000)),
        "long lines": "\n".join("wörter " * 15_000 for _ in range(20)),
        "one line": "y" * 5_000_000,
        "binary": bytes(range(256)).decode("latin-1") * 400,
        "hostile": HOSTILE * 100,
    }
    async with console(size, ops) as c:
        for name, text in texts.items():
            ops.outputs[run.run_id, run.attempt] = f"{name}\n{text}\nlast of {name}"
            c.app.open("run", run.run_id)
            await c.until(lambda name=name: f"last of {name}" in c.screen())
            assert ("· the tail" in c.screen()) == (len(text.encode()) > TAIL_BYTES)
            pane = output(c)
            pane.focus()
            await c.pilot.press("g")
            cut = len(text.encode()) > TAIL_BYTES
            assert seen(pane).startswith(f"… {name}" if cut else name), "a line that was cut says so"
            pane.action_scroll_by(7)
            before = pane._top, seen(pane)
            pane.action_page(1)
            assert pane._top > before[0]
            pane.action_page(-1)
            assert (pane._top, seen(pane)) == before
            await c.pilot.pause()
            assert not any(not ch.isprintable() for ch in c.screen().replace("\n", ""))


async def test_output_that_never_ends_is_held_to_a_limit_and_says_so() -> None:
    ops = FakeOps()
    run_id = in_hand(ops)
    async with console(ops=ops) as c:
        c.app.open("run", run_id)
        await c.until(lambda: "nothing printed yet" in c.screen())
        pane = output(c)
        for n in range(30):
            pane.append("".join(f"{n}-{i}\n" for i in range(1_000)))
        assert pane.line_count <= LINES_HELD
        assert pane.line_count + pane.dropped == 30_000
        assert seen(pane).endswith("29-999")
        pane.action_edge(-1)
        assert f"{pane.dropped:,} earlier lines are not held" in seen(pane)
        pane.action_scroll_by(9_000)
        before, dropped = seen(pane), pane.dropped
        pane.append("new\n" * 1_000)
        assert pane.dropped > dropped
        assert seen(pane) == before, "a reader keeps his place"
