"""`cronsole next`: fires of an expression or a job, marked, compared, printed for people and programs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.schedule import parse
from console.cli.root import run as run_cli
from console.times import ahead
from tests.console.cli_helpers import ROOT

Cli = Callable[..., tuple[int, str, str]]
BERLIN = ("--tz", "Europe/Berlin")
NIGHT = ("30 2 * * *", *BERLIN, "--from", "2027-03-27")


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs `next` in an empty directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("CRONSOLE_JOBS", "CRONSOLE_REDIS_URL", "CRONSOLE_POSTGRES_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CRONSOLE_DATA_DIR", str(tmp_path / "data"))

    def call(*argv: str) -> tuple[int, str, str]:
        capsys.readouterr()
        return (run_cli(("next", *argv)), *capsys.readouterr())

    return call


def test_the_contract(cli: Cli) -> None:
    """Exactly these keys, local times with their offset, across a clock change."""
    argv = ["0 4 * * *", "-n", "3", *BERLIN, "--from", "2027-03-27T00:00"]
    code, out, err = cli(*argv, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "expression": "0 4 * * *",
        "description": "At 04:00, every day",
        "timezone": "Europe/Berlin",
        "warnings": [],
        "fires": ["2027-03-27T04:00:00+01:00", "2027-03-28T04:00:00+02:00", "2027-03-29T04:00:00+02:00"],
    }
    found = json.loads(cli(*argv, "--json", "--prev")[1])
    assert found["fires"] == ["2027-03-26T04:00:00+01:00", "2027-03-25T04:00:00+01:00", "2027-03-24T04:00:00+01:00"]


def test_the_table(cli: Cli) -> None:
    """Local time with offset and name, the same in UTC, how far away, and what a clock change did."""
    code, out, err = cli(*NIGHT, "-n", "3")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "30 2 * * *  At 02:30, every day  (Europe/Berlin)"
    assert re.fullmatch(r"Sat 2027-03-27 02:30 \+01:00 CET   2027-03-27 01:30  (in \d+ .*|.* ago)", lines[2])
    assert re.fullmatch(
        r"Sun 2027-03-28 03:00 \+02:00 CEST  2027-03-28 01:00  (in|\d+) .*  02:30 does not exist that night", lines[3]
    )
    assert [line.index("2027-03-2", 10) for line in lines[2:]] == [34, 34, 34]
    assert err.count("cronsole: warning: ") == len(err.splitlines()) == 2


def test_both_passes_of_a_repeated_hour_are_told_apart(cli: Cli) -> None:
    """First and second, each with its offset."""
    out = cli("0 * * * *", *BERLIN, "--from", "2026-10-25T02:00+02:00", "-n", "2")[1]
    first, second = out.splitlines()[2:]
    assert "02:00 +02:00 CEST  2026-10-25 00:00" in first
    assert "first time" in first
    assert "02:00 +01:00 CET   2026-10-25 01:00" in second
    assert "second time" in second


def test_from_is_inclusive_and_prev_is_not(cli: Cli) -> None:
    """So that the two halves meet without a gap and without a fire in both."""
    argv = ("0 3 * * *", "--from", "2026-05-05T03:00", "-n", "1", "--json")
    assert json.loads(cli(*argv)[1])["fires"] == ["2026-05-05T03:00:00+00:00"]
    assert json.loads(cli(*argv, "--prev")[1])["fires"] == ["2026-05-04T03:00:00+00:00"]


def test_utc_needs_one_column(cli: Cli) -> None:
    """Local time is UTC."""
    assert cli("0 3 * * *", "--from", "2026-05-05")[1].splitlines()[1] == "TIME"


@pytest.mark.parametrize("expression", ["* * * * *", "*/7 3 * * *", "0 0 29 2 *", "0 0 1 1 *", "30 2 * * 0"])
def test_thousands_of_fires_are_those_one_by_one(cli: Cli, expression: str) -> None:
    """Forwards and backwards, however frequent or rare."""
    schedule = parse(expression, "Europe/Berlin")
    argv = (expression, *BERLIN, "--from", "2027-03-26T12:00", "-n", "3000", "--json")
    for extra, step in (((), schedule.after), (("--prev",), schedule.before)):
        fires = [datetime.fromisoformat(fire) for fire in json.loads(cli(*argv, *extra)[1])["fires"]]
        expected, fire = [], step(datetime(2027, 3, 26, 11, tzinfo=UTC))
        while fire is not None and len(expected) < 3000:
            expected.append(fire)
            fire = step(fire)
        if expected and not extra and schedule.before(expected[0]) == datetime(2027, 3, 26, 11, tzinfo=UTC):
            expected = [datetime(2027, 3, 26, 11, tzinfo=UTC), *expected[:-1]]
        assert fires == expected


def test_a_job_of_the_job_file(cli: Cli) -> None:
    """In the job's own zone, or another; a slip of the fingers starts no servers."""
    Path("jobs.toml").write_text(
        '[jobs.a]\nschedule = "@daily"\ntimezone = "Asia/Tokyo"\ncommand = "true"\n[jobs.b]\ncommand="x"'
    )
    argv = ("a", "-n", "1", "--from", "2026-01-01T12:00", "--json")
    found = json.loads(cli(*argv)[1])
    assert (found["expression"], found["fires"]) == ("@daily", ["2026-01-02T00:00:00+09:00"])
    assert json.loads(cli(*argv, "--tz", "UTC")[1])["fires"] == ["2026-01-02T00:00:00+00:00"]
    Path("jobs.toml").rename("other.toml")
    assert json.loads(cli(*argv, "-j", "other.toml")[1]) == found
    assert "no job file at missing.toml" in cli("a", "-j", "missing.toml")[2]
    Path("other.toml").rename("jobs.toml")
    assert cli("b")[0] == 2
    assert "did you mean" in cli("aa")[2]
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["0 25 * * *"], "column 3"),
        (["* * * *"], "has 4 fields"),
        (["*/5"], "has 1 field"),
        ([""], "empty"),
        (["@often"], "@"),
        (["@daily", "--tz", "Mars/Base"], "Mars/Base"),
        (["@daily", "--from", "noon"], "write 2026-11-23T03:00"),
        (["@daily", "--from", "9999-12-31T23:59"], "1900 to 2199"),
        (["@daily", "--from", "0001-01-01"], "1900 to 2199"),
        (["@daily", "-n", "0"], "1<=x<=10000"),
        (["0", "3", "*", "*", "*"], 'quote it: cronsole next "0 3 * * *"'),
        (["0", "3", "jobs.toml", "notes", "src"], "quote it: cronsole next"),
        (["*/5", "*", "*", "*", "mon"], 'quote it: cronsole next "*/5 * * * mon"'),
        ([], "EXPR|JOB"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, argv: list[str], words: str) -> None:
    """Exit 2, and what to write."""
    code, out, err = cli(*argv)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize(("expression", "code"), [("0 0 30 2 *", "never"), ("@reboot", "reboot")])
def test_no_fires_are_a_warning(cli: Cli, expression: str, code: str) -> None:
    """Exit 0; JSON has the code, people read the sentence."""
    found = json.loads(cli(expression, "--json")[1])
    assert (found["fires"], found["warnings"][0]["code"]) == ([], code)
    status, out, err = cli(expression, "--compare")
    assert (status, err.count("cronsole: warning: ")) == (0, 1)
    assert "TIME" not in out


def test_the_end_of_the_calendar(cli: Cli) -> None:
    """Years outside it have no fires, and no traceback."""
    for start in ("2199-12-31T23:59", "2199-12-31T23:59-12:00", "1900-01-01", "1900-01-01T00:00+14:00"):
        for extra in ((), ("--prev",), ("--compare",)):
            code, _, err = cli("* * * * *", "--from", start, "-n", "3", *BERLIN, *extra)
            assert (code, "bug" in err) == (0, False)
    assert "no fire in the years 1900 to 2199" in cli("0 0 1 1 *", "--from", "2199-05-05")[2]
    assert "no fire in the years 1900 to 2199" in cli("0 0 1 2 *", "--from", "1900-01-02", "--prev")[2]


def test_compare_as_data(cli: Cli) -> None:
    """One key more; each system on each clock change, and at any time of the year."""
    found = json.loads(cli(*NIGHT, "--compare", "--json")[1])
    assert list(found) == ["expression", "description", "timezone", "warnings", "fires", "compare"]
    systems = found["compare"]["systems"]
    assert [s["system"] for s in systems] == ["debian", "systemd", "kubernetes", "github", "eventbridge"]
    assert list(systems[1]) == ["system", "title", "known", "takes", "written", "differences"]
    assert systems[1]["written"] == ["OnCalendar=*-*-* 02:30:00 Europe/Berlin"]
    assert list(systems[1]["differences"][0]) == ["code", "message", "known"]
    spring, autumn = found["compare"]["changes"]
    assert list(spring) == ["at", "jump_seconds", "start", "end", "fires", "systems"]
    assert (spring["at"], spring["jump_seconds"], autumn["jump_seconds"]) == ("2027-03-28T03:00:00+02:00", 3600, -3600)
    assert spring["fires"] == ["2027-03-28T03:00:00+02:00"]
    assert spring["systems"][1] == {
        "system": "systemd",
        "verdict": "differs",
        "note": "skipped: 02:30 does not exist",
        "fires": [],
        "missing": ["2027-03-28T03:00:00+02:00"],
        "extra": [],
        "unclear": [],
    }
    assert autumn["systems"][2]["extra"] == ["2027-10-31T02:30:00+01:00"]


def test_compare_for_people(cli: Cli) -> None:
    """A paragraph a clock change, then what always differs."""
    out = cli(*NIGHT, "--compare")[1]
    spring, autumn, always = out.split("\n\n")[1:]
    assert spring.splitlines()[0] == "Sun 2027-03-28, when the clock goes forward from 02:00 to 03:00"
    assert re.search(r"^  systemd timer +differs: skipped: 02:30 does not exist$", spring, re.MULTILINE)
    assert re.search(r"^  GitHub Actions +same, by its documents$", spring, re.MULTILINE)
    assert re.search(r"differs: fires twice: 02:30 comes twice \(02:30 CEST, 02:30 CET\)$", autumn, re.MULTILINE)
    assert re.search(r"^  GitHub Actions +unclear: ", autumn, re.MULTILINE)
    assert always.startswith("At any time of the year\n  Debian cron")
    assert "UTC has no clock changes ahead." in cli("0 3 * * *", "--compare")[1]
    assert "2x 03:00" in cli("0,30 2 * * *", *BERLIN, "--from", "2027-03-01", "--compare")[1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "in 5 s"), (-5, "5 s ago"), (60, "in 1 min"), (90, "in 1 min 30 s"), (10_800, "in 3 h"),
     (7_500, "in 2 h 5 min"), (180_000, "in 2 d 2 h"), (-40 * 86_400, "40 d ago"), (400 * 86_400, "in 1 y 35 d")],
)  # fmt: skip
def test_how_far_away(seconds: int, text: str) -> None:
    """Two units at most."""
    assert ahead(timedelta(seconds=seconds)) == text


def screen(*argv: str, columns: int = 80, **env: str) -> str:
    """What a terminal of that width gets from a command, raw."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
    program = subprocess.Popen(
        [sys.executable, "-c", "from console.cli import main; main()", "next", *argv],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env={**clean, "TERM": "xterm-256color", **env},
    )  # fmt: skip
    os.close(theirs)
    found = b""
    with contextlib.suppress(OSError):  # what Linux answers when the other side is closed
        while data := os.read(ours, 65_536):
            found += data
    os.close(ours)
    assert program.wait(60) == 0
    return found.decode()


def test_a_narrow_terminal_wraps_no_row() -> None:
    """What does not fit beside a row stands below it; words on a wide one, no colours where they are not wanted."""
    often = ("0,10,20,30,40,50 1-2 * * *", *BERLIN, "--from", "2027-03-28T01:30", "-n", "5", "--compare")
    narrow = screen(*often)
    assert "    \x1b[33m02:00, 02:10 to" in narrow
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in narrow.split("\r\n")]
    rows = [line for line in lines[1:] if not line.startswith("cronsole: warning")]
    assert max(map(len, rows)) <= 80
    assert any(line.startswith("    02:00, 02:10") for line in rows)
    wide = screen(*often, columns=160, NO_COLOR="1")
    assert "\x1b" not in wide
    assert re.search(r"Sun 2027-03-28 03:00 .* 02:00, 02:10 to 02:50 \(6 times\) do not exist", wide)


def test_nothing_heavy_is_imported() -> None:
    """No Textual, no clients of servers, no event loop: a preview is quick to start."""
    code = (
        "import sys; from console.cli.root import run; run(['next', '0 3 * * *', '--compare'])\n"
        "print([m for m in ('textual', 'redis', 'psycopg', 'asyncio', 'httpx', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
