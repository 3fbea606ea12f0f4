"""Numbers, lengths and times that make no sense are refused; where they stand already they are shown."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from backends.connect import Settings
from backends.model import Pause, from_ms, new_run_id
from backends.ops import Ops
from tests.console.cli_helpers import Cli

ID = "0190f7a0-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "line",
    [
        "dead retry --all --yes --rate 1e-300/s", "dead retry --all --yes --rate 0.9/h",
        "dead retry --all --yes --rate 1000001/s", "dead retry --all --yes --rate 1e400/s",
        "dead retry --all --yes --rate nan/s", "dead retry --all --yes --rate -5/s",
        "dead retry --all --yes --hold 25h", "dead retry --all --yes --hold 9999999999999999999999",
        "dead retry --all --yes --hold -1", f"dead edit {ID} --set a=1 --hold 25h", "pause queue:mail --for 0",
        "pause queue:mail --for 0.0000001", "pause queue:mail --for 11y", "pause queue:mail --for 3661d",
        f"pause queue:mail --for {'9' * 400}", "engine --grace 8d", "engine --grace 1e9", "dead --since 0001-01-01",
        "dead --until 1969-12-31", "runs --since 1960-01-01", "dead --since 9999-12-31T23:59:59-12:00",
        "dead --since 99999999d", "dead --cursor 99999999999999999999.mail", "dead --cursor 99999999999999999.mail",
        f"runs --cursor {ID}.99999999999999999999", f"runs --cursor {ID}.9999999999",
        "audit --cursor 9999999999999999999",
        "next @daily --from 0001-01-01", "next @daily -n 10001", "runs --limit 0", "ops --limit 99999999999999999999",
        "backfill tick --from 0001-01-01 --to 0001-01-02",
        "backfill tick --from 2026-01-01 --to 9999-12-31T23:59-12:00",
        "enqueue mail send_email --payload 1e999", "undo zzzzzzzzzzzz",
    ],
)  # fmt: skip
def test_what_makes_no_sense(cli: Cli, world: list[str], line: str) -> None:
    """Exit 2, one line with what is allowed, and nothing has happened."""
    answer = cli(*line.split())
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1), answer
    assert "; " in answer.err
    assert "bug" not in answer.err
    assert cli("ops", "--json").json == []


def test_the_edges_are_taken(cli: Cli, world: list[str]) -> None:
    """Each of them, and read again by everybody."""
    assert cli("dead", "retry", world[1], "--rate", "1/h", "--hold", "24h").code == 0
    assert cli("dead", "retry", world[2], "--rate", "1000000/s", "--hold", "0").code == 0
    assert cli("pause", "queue:mail", "--for", "3660d").code == 0
    assert cli("pause", "job:tick", "--for", "1").code == 0
    for line in (
        "ops", "jobs", "queues", "audit", f"why {world[1]}", "dead --since 1970-01-01", "runs --since 1970-01-01",
        "dead --cursor 9999999999999999.mail", f"runs --cursor {ID}.999999999",
    ):  # fmt: skip
        assert cli(*line.split()).code == 0, line


async def spoil(settings: Settings, run_id: str) -> None:
    """As an older release has left it: operations and due times beyond every calendar."""
    async with Ops.open(settings) as ops:
        redis, key = ops.servers.redis, f"cronsole:{{{ops.namespace}}}:ops"
        for receipt, stored in (await redis.hgetall(key)).items():
            op = msgspec.json.decode(stored)
            far = 10**303
            await redis.hset(
                key, receipt, msgspec.json.encode(op | {"until_ms": far, "due_ms": 1e303, "beat_ms": -far})
            )
            await redis.zadd(f"{key}:until", {receipt: 1e303})
        await redis.zadd(f"{ops.live.queue('mail').prefix}later", {run_id: 1e303})
        await ops.live.queue("mail").pause(Pause("me", "", -(10**18), 10**18))


def test_what_stands_there_already_is_shown(cli: Cli, world: list[str], settings: Settings) -> None:
    """And hides nothing else; it can be taken back as any other."""
    receipt = cli("dead", "retry", world[1], "--json").json["receipt"]
    asyncio.run(spoil(settings, world[1]))
    assert "9999-12-30" in cli("ops").out
    assert cli("ops", "--json").json[0]["until"].startswith("9999-12-30T")
    told = cli("why", world[1])
    assert told.code == 0
    assert "it is due in more than 100 years, at 9999-12-30" in told.out
    for line in ("audit", "queues", "jobs", "status", "queues --json", f"why {world[1]} --json", "ops --unfinished"):
        assert cli(*line.split()).code == 0, line
    assert cli("undo", receipt).out == "1 of 1 taken back\n"
    assert cli("ops").code == 0


@pytest.mark.parametrize("ms", [1e308, float("inf"), 10**400, 253_402_300_800_000, -(10**400), float("-inf"), -1e18])
def test_every_instant_has_a_day_in_every_zone(ms: float) -> None:
    """Also at its edges."""
    from zoneinfo import ZoneInfo

    for zone in ("Pacific/Kiritimati", "Etc/GMT+12", "UTC"):
        assert from_ms(ms).astimezone(ZoneInfo(zone)).year == (9999 if ms > 0 else 1)


def test_the_run_ids_there_can_be(cli: Cli, world: list[str]) -> None:
    """Of no time that ever comes: unknown, no bug."""
    for run_id in ("ffffffff-ffff-7fff-bfff-ffffffffffff", "00000000-0000-7000-8000-000000000000", new_run_id()):
        for words in ("runs show", "why", "dead show", "cancel", "runs replay"):
            answer = cli(*words.split(), run_id)
            assert (answer.code, answer.err.count("\n"), "bug" in answer.err) == (2, 1, False), (words, answer)
