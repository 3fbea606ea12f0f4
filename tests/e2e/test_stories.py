"""What an operator comes for, in a real terminal over real servers and a real engine; with the keys of the guide."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.connect import Servers
from backends.history import History
from backends.history.store import store
from backends.model import AttemptRecord, Outcome, fire_run_id, new_run_id, to_ms
from backends.queues.base import NewRun
from backends.queues.streams import StreamQueue
from tests.support.engine import ROOT, EngineProcess, until
from tests.support.tmux import Tmux

pytestmark = pytest.mark.timeout(300)  # nothing here waits for a time; a machine may be slow
GUIDE = ROOT / "docs" / "guide" / "stories.md"
JOBS = """
[jobs.nightly_backup]
description = "Dump the shop's database to the vault"
schedule = "30 2 * * *"
command = "bin/backup.sh"

[jobs.nightly_invoices]
schedule = "0 3 * * *"
command = "bin/invoices"

[jobs.purge_sessions]
schedule = "0 3 * * *"
command = "bin/purge"

[jobs.reindex_search]
description = "Build the search index anew"
schedule = "0 3 * * *"
command = "for n in 1 2 3; do echo part $n of 3; done; while ! test -e index; do sleep 0.05; done; echo swapped"

[jobs.hourly]
schedule = "0 * * * *"
command = "true"

[jobs.send_email]
queue = "mail"
command = "while ! test -e sent; do sleep 0.05; done"

[jobs.send_order]
queue = "orders"
task = "mailer:send"
attempts = 1
"""
MAILER = """
import pathlib
import smtplib

def send(to, template):
    if template != "receipt":
        raise LookupError("no template " + template)
    if not pathlib.Path("smtp").exists():
        raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
    with pathlib.Path("outbox").open("a") as outbox:
        outbox.write(to + "\\n")
"""
EDITS = """
import pathlib
import sys

file = pathlib.Path(sys.argv[-1])
file.write_text(file.read_text().replace("reciept", "receipt"))
"""
FULL = "pg_dump: error: /mnt/vault/shop.dump: No space left on device"


def keys_of(title: str) -> tuple[str, ...]:
    """The keys that the guide gives for a story; it must count them right."""
    story = GUIDE.read_text("utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    found = re.search(r"^\*\*(\d+) keys:\*\* (.+)$", story, re.MULTILINE)
    assert found, f"the guide does not tell of: {title}"
    keys = tuple(re.findall(r"`([^`]+)`", found[2]))
    assert int(found[1]) == len(keys), f"the guide says {found[1]} keys and lists {len(keys)}: {title}"
    return keys


async def die(queue: StreamQueue, *payloads: bytes) -> None:
    """Mails that can't be sent: each becomes a dead letter."""
    await queue.enqueue(
        [NewRun(new_run_id(), "send_order", b'{"type":"send_order","payload":' + p + b"}") for p in payloads]
    )

    async def dead() -> bool:
        return (await queue.status()).dead == len(payloads)

    await until(dead, "all of them have died")


@pytest.fixture
async def engine(connected: Servers, tmp_path: Path) -> AsyncIterator[EngineProcess]:
    for name, text in (("jobs.toml", JOBS), ("mailer.py", MAILER), ("edit.py", EDITS)):
        (tmp_path / name).write_text(text)
    process = EngineProcess(connected.settings, tmp_path / "jobs.toml")
    yield process
    await process.stop()


@pytest.fixture
def console(connected: Servers, engine: EngineProcess, tmp_path: Path) -> Iterator[Tmux]:
    settings = connected.settings
    assert settings.redis_url
    assert settings.postgres_url
    env = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", "TERM": "tmux-256color", "TZ": "UTC",
        "PYTHONPATH": str(ROOT), "CRONSOLE_REDIS_URL": settings.redis_url,
        "CRONSOLE_POSTGRES_URL": settings.postgres_url, "CRONSOLE_NAMESPACE": settings.namespace,
        "CRONSOLE_DATA_DIR": str(settings.data_dir), "CRONSOLE_CONFIG": str(tmp_path / "none.toml"),
        "EDITOR": f"{sys.executable} {tmp_path / 'edit.py'}",
    }  # fmt: skip
    tmux = Tmux([sys.executable, "-m", "console"], env)
    try:
        tmux.until("1 engine", "reindex_search")
        yield tmux
    finally:
        tmux.close()


async def test_why_did_last_nights_backup_fail(connected: Servers, console: Tmux) -> None:
    planned = datetime.now(UTC).replace(hour=2, minute=30, second=0, microsecond=0)
    planned -= timedelta(days=planned > datetime.now(UTC))
    begun = to_ms(planned)
    attempts = [
        AttemptRecord(
            run_id=fire_run_id("t", "nightly_backup", begun), attempt=n, job="nightly_backup", queue="default",
            outcome=Outcome.FAILED, finished_us=(begun + n * 60_000) * 1000, final=n == 3,
            started_us=(begun + n * 60_000 - 9_000) * 1000, enqueued_ms=begun + n * 60_000 - 9_000, trigger="schedule",
            scheduled_ms=begun, worker="web-1:1", exit_code=1, error_class="Exit1", error="exit code 1",
            output=f"dumping shop\n{FULL}\n",
        )
        for n in (1, 2, 3)
    ]  # fmt: skip
    async with (await connected.pool()).connection() as connection:
        await store(connection, attempts, [])
    colon, *word, enter, again = keys_of("Why did last night's backup fail?")
    console.press(colon, *word)
    console.until("job nightly_backup")
    console.press(enter)
    console.until("Runs · 3", "exit code 1")
    console.press(again)
    console.until("planned 02:30:00", FULL)
    assert console.pressed == [colon, *word, enter, again]


async def test_retry_only_the_smtp_failures(connected: Servers, console: Tmux, tmp_path: Path) -> None:
    queue = StreamQueue(connected.redis, connected.settings.namespace, "orders")
    mails = [b'{"to":"customer%d@example.org","template":"receipt"}' % n for n in range(3)]
    await die(queue, b'{"to":"ada@example.org","template":"reciept"}', *mails)
    keys = keys_of("Retry only the SMTP failures")
    screen, panel, down, retry, yes = keys
    console.press(screen)
    console.until("Dead letters · 4", "Groups by error · 2")
    console.press(panel, down)
    console.until("send_order: smtplib.SMTPServerDisconnected · 3")
    (tmp_path / "smtp").touch()
    console.press(retry)
    console.until("3 letters")
    console.press(yes)
    console.until("Groups by error · 1")

    async def sent() -> bool:
        outbox = tmp_path / "outbox"
        return outbox.exists() and len(outbox.read_text().splitlines()) == 3

    await until(sent, "the three mails have gone out")
    assert (await queue.status()).dead == 1
    assert console.pressed == list(keys)


async def test_replay_one_letter_with_a_corrected_payload(connected: Servers, console: Tmux, tmp_path: Path) -> None:
    queue = StreamQueue(connected.redis, connected.settings.namespace, "orders")
    (tmp_path / "smtp").touch()
    await die(queue, b'{"to":"ada@example.org","template":"reciept"}')
    keys = keys_of("Replay one letter with a corrected payload")
    screen, edit, yes = keys
    console.press(screen)
    console.until("Dead letters · 1", "no template reciept")
    console.press(edit)
    console.until('-  "template": "reciept"', '+  "template": "receipt"')
    console.press(yes)

    async def sent() -> bool:
        outbox = tmp_path / "outbox"
        return outbox.exists() and outbox.read_text() == "ada@example.org\n"

    await until(sent, "the mail has gone out")
    console.until("Dead letters · 0")
    assert console.pressed == list(keys)


async def test_what_fires_at_three_and_who_collides(console: Tmux) -> None:
    keys = keys_of("What fires at 03:00, and who collides?")
    screen, *coarser, busiest, who = keys
    console.press(screen)
    console.until("together")
    console.press(*coarser)
    console.until("2 d")
    console.press(busiest)
    console.until("4 together 03:00")
    console.press(who)
    told = console.until("jobs fire", "4 of them at 03:00")
    for job in ("nightly_invoices", "purge_sessions", "reindex_search", "hourly"):
        assert any(job in line and "03:00" in line for line in told.splitlines()), told
    assert console.pressed == list(keys)


async def test_pause_a_queue_let_it_drain_and_resume_it(connected: Servers, console: Tmux, tmp_path: Path) -> None:
    queue = StreamQueue(connected.redis, connected.settings.namespace, "mail")
    await queue.enqueue([NewRun(new_run_id(), "send_email", b'{"type":"send_email"}') for _ in range(9)])

    async def counts() -> tuple[int, int]:
        status = await queue.status()
        return status.ready, status.running

    async def busy() -> bool:
        return await counts() == (5, 4)

    async def drained() -> bool:
        return await counts() == (5, 0)

    async def empty() -> bool:
        return await counts() == (0, 0)

    await until(busy, "four run, five wait")
    keys = keys_of("Pause a queue, let it drain, resume it")
    screen, down, pause, *note, enter, resume = keys
    console.press(screen)
    console.until("Queues · 3", "5 ready")
    console.press(down, pause)
    console.until("Pause queue mail")
    console.press(*note, enter)
    console.until("1 paused", "".join(note))
    (tmp_path / "sent").touch()
    await until(drained, "what ran has ended and nothing else has begun")
    console.until("‖ mail")
    console.press(resume)
    console.gone("1 paused")
    await until(empty, "the rest has run")
    assert console.pressed == list(keys)


async def test_trigger_a_job_and_follow_its_output(connected: Servers, console: Tmux, tmp_path: Path) -> None:
    keys = keys_of("Trigger a job and follow its output")
    *down, trigger, yes, follow = keys
    console.press(*down)
    console.press(trigger)
    console.until("Run a job now")
    console.press(yes)
    console.until("u takes back the run of reindex_search")  # the notice itself goes after some seconds
    console.press(follow)
    console.until("part 3 of 3", "live")
    (tmp_path / "index").touch()
    console.until("swapped", "✓ succeeded")
    (run,) = (await History(await connected.pool()).runs(job="reindex_search")).items
    assert run.trigger == "manual"
    assert console.pressed == list(keys)
