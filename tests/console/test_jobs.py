"""The jobs screen and a job's page: outcomes, numbers, order, trigger with a payload, fires with their reasons."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from backends.history.stats import JobFire, JobStats
from backends.model import JobStatus, LastRun, Pause, from_ms
from backends.schedule import parse
from backends.schedule.preview import fires_from
from console.screens import jobs_looks as look
from console.screens.cronlab import CronLabScreen
from console.screens.job import JobScreen
from console.screens.job_form import check
from console.screens.jobs import JobsScreen
from console.screens.queue import QueueScreen
from console.screens.rows import trouble
from console.screens.run import RunScreen
from tests.console.app_helpers import SIZES, Console, console
from tests.console.fake_ops import JOBS, T0, FakeOps
from widgets.safe import Cell
from widgets.table import Table

PAUSE = Pause("ana", "mail is down", T0)


def text(shown: Cell) -> str:
    return "".join(part for part, _ in shown)


def jobs(c: Console) -> Table:
    return c.app.screen.query_one("#jobs", Table)


async def to_jobs(c: Console) -> Table:
    await c.pilot.press("6")
    await c.until(lambda: c.app.screen.query("#jobs") and len(jobs(c).rows) >= len(JOBS))
    return jobs(c)


@pytest.mark.parametrize("size", SIZES)
async def test_jobs_tell_how_they_went(size: tuple[int, int]) -> None:
    async with console(size) as c:
        await to_jobs(c)
        await c.until(lambda: "✗✗✗" in c.screen() and "98%" in c.screen())
        for word in ("Jobs · 9", "1 went wrong last", "sync_prices", "22:45:00", "on call", "newest 20", "p50"):
            assert word in c.screen(), word


async def test_only_the_numbers_of_jobs_in_sight_that_ran_are_read_again() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        await to_jobs(c)
        await c.until(lambda: sum(map(len, ops.stats_asked)) == len(JOBS))
        asked = len(ops.stats_asked)
        newest = next(r for r in ops.ended if r.job == "cleanup_temp")
        ops.ended.insert(0, replace(newest, run_id="new", outcome="failed"))
        await c.until(lambda: len(ops.stats_asked) > asked)
        assert ops.stats_asked[asked:] == [("cleanup_temp",)]
        await c.until(lambda: "2 went wrong last" in c.screen())


async def test_trouble_comes_first_and_a_filter_narrows() -> None:
    async with console() as c:
        table = await to_jobs(c)
        c.ops.paused["job:send_email"] = PAUSE
        await c.pilot.press("s")
        await c.until(lambda: [row.key for row in table.rows[:2]] == ["sync_prices", "send_email"])
        await c.pilot.press("s")
        await c.until(lambda: table.rows[-1].key == "send_email")
        await c.pilot.press("slash", *"is:paused", "enter")
        await c.until(lambda: [row.key for row in table.rows] == ["send_email"])
        assert "1 of 9" in c.screen()


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("is:nonsense", "no job is nonsense; use paused, running,"),
        ("kind:xyz", "no job is of the kind xyz; use command"),
    ],
)
async def test_a_filter_for_what_no_job_can_be_says_so(typed: str, says: str) -> None:
    async with console((160, 36)) as c:
        table = await to_jobs(c)
        await c.pilot.press("slash", *typed, "enter")
        await c.until(lambda: says in c.screen())
        assert len(table.rows) == 9, "the list stays as it was"


async def test_a_filter_takes_several_states_and_kinds() -> None:
    async with console() as c:
        table = await to_jobs(c)
        c.ops.paused["job:send_email"] = PAUSE
        await c.pilot.press("slash", *"is:paused,fail kind:task,comm", "enter")
        await c.until(lambda: {row.key for row in table.rows} == {"sync_prices", "send_email"})
        await c.pilot.press("escape", "slash", *"is:never", "enter")
        await c.until(lambda: [row.key for row in table.rows] == ["nightly_invoices"])


async def test_a_job_is_triggered_after_a_question_and_with_a_payload() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        table = await to_jobs(c)
        table.choose([row.key for row in table.rows].index("send_email"))
        await c.pilot.press("t", "t")
        assert not ops.calls
        await c.pilot.press("y")
        await c.until(lambda: ops.calls == [("trigger", "send_email")])
        await c.pilot.press("T")
        await c.until(lambda: '{"to":"kunde@example.org","n":3}' in c.screen())
        assert "what the job file gives it" in c.screen()
        await c.pilot.press("backspace", "T", "enter")
        assert "✗ not JSON" in c.screen()
        assert len(ops.calls) == 1
        await c.pilot.press("backspace", "right_curly_bracket", "enter")
        await c.until(lambda: len(ops.calls) == 2)
        assert ops.payloads == [None, {"to": "kunde@example.org", "n": 3}]
        await c.pilot.press("T")
        await c.until(lambda: "what was sent from here last" in c.screen())


@pytest.mark.parametrize(
    ("line", "payload", "wrong"),
    [
        ("", {}, ""),
        (' {"a": [1, null]} ', {"a": [1, None]}, ""),
        ("{", None, "not JSON yet"),
        ("[1]", None, "a payload is an object"),
        ('{"a": NaN}', None, "not JSON yet"),
        ('{"a": 1} x', None, "not JSON yet"),
        ("[" * 5000, None, "n"),
    ],
)
def test_a_payload_is_checked(line: str, payload: object, wrong: str) -> None:
    found, said = check(line)
    assert found == payload
    assert said.startswith(wrong)
    assert bool(said) == bool(wrong)


async def test_a_job_is_paused_with_a_note() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        await to_jobs(c)
        await c.pilot.press("p", *"bug", "enter")
        await c.until(lambda: ops.calls == [("pause", "job:backup_history")])
        await c.until(lambda: "‖ backup_history" in c.screen() and ": bug" in c.screen())
        await c.pilot.press("p")
        await c.until(lambda: ops.calls[-1] == ("resume", "job:backup_history"))


# --- one job ------------------------------------------------------------------------------------------------


async def test_a_job_whose_queue_is_paused_is_shown_as_such_and_a_trigger_says_that_it_waits() -> None:
    ops = FakeOps()
    ops.paused["queue:mail"] = Pause("bob", "smtp is down", T0 - 60_000)
    async with console((120, 36), ops) as c:
        await c.until(lambda: "queue ‖" in c.screen())
        await to_jobs(c)
        await c.pilot.press("slash", *"is:paused", "enter")
        await c.until(lambda: "Jobs · 1 of 9 · 1 went wrong last · 1 paused" in c.screen())
        assert "‖ send_email" in c.screen()
        assert "‖ its queue mail is paused for 1 m by bob until it is resumed: smtp is down" in c.screen()
        await c.pilot.press("t", "enter")
        await c.until(lambda: ", its queue mail is paused by bob: F follows it" in c.screen())
        assert "✓ send_email is queued as …" in c.screen()
        await c.pilot.press("enter")
        await c.until(lambda: "‖ its queue mail is paused" in c.screen() and "Runs ·" in c.screen())


async def test_a_trigger_says_what_else_keeps_the_run_from_starting() -> None:
    ops = FakeOps()
    ops.paused["job:send_email"] = Pause("bob")
    async with console((120, 36), ops) as c:
        assert c.app.overview.started("send_email", "0" * 36).startswith(
            "✓ send_email is queued as …00000000, paused by bob"
        )
        ops.paused.clear()
        ops.silence = {"web-1:4711": 60_000, "web-2:991": 60_000}
        await c.ticked()
        assert ", no engine takes it: F" in c.app.overview.started("send_email", "0" * 36)


@pytest.mark.parametrize("size", SIZES)
async def test_a_job_shows_what_it_is_its_runs_and_its_fires(size: tuple[int, int]) -> None:
    async with console(size) as c:
        table = await to_jobs(c)
        table.choose(1)
        await c.pilot.press("enter")
        await c.until(lambda: "/srv/app/bin/cleanup_temp" in c.screen() and "overlap: run 0193" in c.screen())
        assert isinstance(c.app.screen, JobScreen)
        for word in ("Every 5 minutes", "Europe/Berlin", "Runs · 12", "Fires · 40", "» skipped", "newest 12: 100% ok"):
            assert word in c.screen(), word
        await c.pilot.press("enter")
        await c.until(lambda: isinstance(c.app.screen, RunScreen))
        await c.pilot.press("escape", "o")
        await c.until(lambda: isinstance(c.app.screen, QueueScreen))
        await c.pilot.press("escape", "c")
        await c.until(lambda: isinstance(c.app.screen, CronLabScreen) and "*/5 * * * *" in c.screen())
        await c.pilot.press("escape", "escape")
        await c.until(lambda: isinstance(c.app.screen, JobsScreen))


async def test_a_job_says_when_its_runs_take_longer_than_its_period() -> None:
    async with console((160, 50)) as c:
        c.app.open("job", "slow_export")
        await c.until(lambda: "Good to know" in c.screen() and "a run usually takes 4 minutes" in c.screen())


async def test_g_jumps_to_the_first_fire_of_a_job_at_once_and_the_way_up_has_no_gap() -> None:
    ops = FakeOps()
    ops.fires_of["sync_prices"] = [JobFire(from_ms(T0 - n * 60_000), "fired") for n in range(450)]
    keys = [fire.planned_at.isoformat() for fire in ops.fires_of["sync_prices"]]
    async with console(ops=ops) as c:
        c.app.open("job", "sync_prices")
        await c.until(lambda: "Fires · 100 read, older below" in c.screen())
        fires = c.app.screen.query_one("#fires", Table)
        fires.focus()
        await c.pilot.press("G")
        await c.until(lambda: fires.cursor_key == keys[-1])
        assert [row.key for row in fires.rows] == keys[350:]
        assert "Fires · the oldest 100, newer above" in c.screen()
        for held in (200, 300, 400, 450):
            fires.choose(0)
            await c.until(lambda held=held: [row.key for row in fires.rows] == keys[-held:])  # type: ignore[misc]
            assert fires.cursor_key == keys[-held + 100 if held < 450 else 50]
        await c.until(lambda: "Fires · 450" in c.screen())


async def test_a_fire_without_a_run_says_so() -> None:
    ops = FakeOps()
    ops.fires_of["cleanup_temp"] = [JobFire(from_ms(T0), "missed", "no engine ran")]
    async with console(ops=ops) as c:
        c.app.open("job", "cleanup_temp")
        await c.until(lambda: "◌ missed" in c.screen() and "no engine ran" in c.screen())
        await c.pilot.press("tab", "enter")
        await c.until(lambda: "became no run" in c.screen())


async def test_a_job_that_is_gone_and_servers_that_are_away_are_told() -> None:
    ops = FakeOps()
    async with console(ops=ops) as c:
        c.app.open("job", "nobody")
        await c.until(lambda: "no such job" in c.screen())
        await c.pilot.press("t", "p", "c", "o")
        ops.postgres_error = "postgres is away"
        c.app.open("job", "cleanup_temp")
        await c.until(lambda: "Every 5 minutes" in c.screen() and "✗ postgres is away" in c.screen())


# --- looks --------------------------------------------------------------------------------------------------


def test_the_strip_ends_with_the_newest() -> None:
    found = look.strip(["failed"] * 30 + ["succeeded", "timed_out", "mystery"])
    assert text(found) == "✗" * 17 + "✓◷?"
    assert [tone for _, tone in found] == ["bad", "ok", "bad", "warn"]


@pytest.mark.parametrize(
    ("judged", "good", "says"), [(50, 50, "100%"), (1000, 999, "99%"), (3, 1, "33%"), (5, 0, "0%"), (0, 0, "·")]
)
def test_a_hundred_percent_means_all(judged: int, good: int, says: str) -> None:
    assert text(look.success_cell(JobStats((), judged, judged, good))) == says


def test_trouble_is_what_went_wrong_then_what_is_paused() -> None:
    job = JobStatus("b", None, "UTC", "q", "command")
    wrong, fine = LastRun("1", "failed", None, 1.0), LastRun("1", "succeeded", None, 1.0)
    keys = [trouble(job, wrong), trouble(replace(job, paused=PAUSE), fine), trouble(job, None)]
    assert keys == sorted(keys)
    assert len(set(keys)) == 3


def test_fires_tell_the_wall_of_their_own_zone() -> None:
    schedule = parse("30 2 * * *", "Europe/Berlin")
    fire = fires_from(schedule, from_ms(T0), 1)[0]
    utc = fire.at.tzinfo
    assert text(look.fire_line(fire, "Europe/Berlin", utc)) == "  Tue 24 Nov 01:30  02:30 Europe/Berlin"
    assert text(look.fire_line(fire, "Europe/Berlin", schedule.tz)) == "  Tue 24 Nov 02:30"
    gap = fires_from(parse("30 2 28 3 *", "Europe/Berlin"), fire.at + timedelta(days=1), 1)[0]
    assert gap.mark is not None
    assert gap.mark.text in text(look.fire_line(gap, "Europe/Berlin", utc))


async def test_a_job_that_is_gone_is_not_taken_for_another() -> None:
    ops = FakeOps()
    async with console((120, 36), ops) as c:
        c.app.overview.ask_trigger("gone")
        await c.until(lambda: "no job gone is there any more" in c.screen())
        await c.pilot.press("enter")
        assert ops.calls == []
