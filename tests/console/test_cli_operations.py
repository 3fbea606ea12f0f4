"""Operations from the command line: selections, why, retry and purge with a receipt, edit, undo."""

from __future__ import annotations

from tests.console.cli_helpers import Cli


class TestLooks:
    """What changes nothing."""

    def test_dead_list_filters_and_both_directions(self, cli: Cli, world: list[str]) -> None:
        """Payload text, until; the page above a cursor."""
        assert [r["id"] for r in cli("dead", "--payload-text", "X-UNKNOWN", "--json").json["items"]] == [world[1]]
        assert cli("dead", "--until", "1h", "--json").json["total"] == 0
        assert cli("dead", "--since", "1h", "--json").json["total"] == 2
        cursor = cli("dead", "--limit", "1", "--json").json["next_cursor"]
        (below,) = cli("dead", "--limit", "1", "--cursor", cursor, "--json").json["items"]
        assert below["id"] == world[1]
        (above,) = cli("dead", "--newer", f"{int(cursor.partition('.')[0]) - 1}.mail", "--json").json["items"]
        assert above["id"] == world[2]
        assert cli("dead", "--newer", cursor, "--cursor", cursor).code == 2

    def test_why(self, cli: Cli, world: list[str]) -> None:
        """A line of where it is, then the reasons; JSON; an unknown run is bad input."""
        answer = cli("why", world[1])
        assert answer.out.startswith("attempt 1 of send_email is dead in the queue mail\n  it died")
        found = cli("why", world[1], "--json").json
        assert (found["run_id"], found["place"]["state"], len(found["reasons"])) == (world[1], "dead", 1)
        assert cli("why", world[0]).out.startswith("its attempt 1 ended")
        assert cli("why", world[0], "--json").json["place"] is None
        assert cli("why", "0190f7a0-0000-7000-8000-000000000000").code == 2
