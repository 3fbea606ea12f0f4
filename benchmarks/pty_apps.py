"""The programs that benchmarks/console.py runs in a terminal.

python benchmarks/pty_apps.py empty | table WHAT | console WHAT

`table` is Textual's DataTable with 50 rows, `console` is cronsole in front of data in memory: 50 queues, 30 jobs. WHAT
changes: ``still`` nothing, ``one`` one row a second, ``spread`` 50 rows a second, each at a time of its own. With
``many`` there are 10,000 jobs, as in benchmarks/schedules.py.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

ROWS = 50
COLUMNS = ("queue", "ready", "running", "waiting", "later", "dead", "oldest", "state")


def steps(what: str, row: int) -> int:
    """How often a row has changed by now."""
    if what == "spread":
        return int(time.time() + row / ROWS)
    return int(time.time()) if what == "one" and row == 3 else 0


def empty() -> None:
    """The least there is."""
    from textual.app import App, ComposeResult
    from textual.widgets import Static

    class Empty(App[None]):
        def compose(self) -> ComposeResult:
            yield Static("READY")

    Empty().run()


def table(what: str) -> None:
    """Textual's own table."""
    from textual.app import App, ComposeResult
    from textual.widgets import DataTable, Static

    class Stock(App[None]):
        CSS = "DataTable { height: 1fr; }"

        def compose(self) -> ComposeResult:
            yield Static("READY", id="mark", markup=False)
            yield DataTable(cursor_type="row")

        def on_mount(self) -> None:
            rows = self.query_one(DataTable)
            rows.add_columns(*COLUMNS)
            for n in range(ROWS):
                rows.add_row(f"queue-{n:02}", *(["0"] * (len(COLUMNS) - 1)), key=str(n))
            self.column = list(rows.columns)[1]
            self.turn = 0
            rows.focus()
            if what != "still":
                self.set_interval(1.0 if what == "one" else 1 / ROWS, self.change)

        def change(self) -> None:
            self.turn += 1
            row = 3 if what == "one" else self.turn % ROWS
            self.query_one(DataTable).update_cell(str(row), self.column, str(1000 + self.turn % 9000))

        def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
            self.query_one("#mark", Static).update(f"\u258c{event.cursor_row}")

    Stock().run()


def console(what: str) -> None:
    """cronsole on data in memory."""
    from backends.model import JobStatus, QueueStatus, now_ms
    from backends.overview import Overview
    from backends.schedule import parse
    from console.app import run_console
    from tests.console.fake_ops import FakeOps

    jobs = [
        JobStatus(f"job-{n:02}", f"{n}-59/{2 + n % 9} * * * *", "UTC", "default", "command", "", None, None, None)
        for n in range(30)
    ]
    if what == "many":
        from benchmarks.schedules import mix

        jobs = [
            JobStatus(f"job-{n:05}", expression, zone, "default", "command", "", None, None, None)
            for n, (expression, zone) in enumerate(mix(10_000))
        ]
    schedules = {job.name: parse(job.schedule or "", job.timezone) for job in jobs}

    class BenchOps(FakeOps):
        async def overview(self) -> Overview:
            queues = tuple(
                QueueStatus(f"queue-{n:02}", ready=1000 + steps(what, n) % 9000, running=0) for n in range(ROWS)
            )
            seen = await super().overview()
            engines = tuple(replace(engine, running=()) for engine in seen.engines)
            return replace(seen, queues=queues, jobs=tuple(jobs), schedules=schedules, engines=engines, events=())

    @asynccontextmanager
    async def open_ops() -> AsyncIterator[BenchOps]:
        yield BenchOps(now_ms)

    sys.exit(run_console(open_ops, "bench"))


if __name__ == "__main__":
    {"empty": lambda *_: empty(), "table": table, "console": console}[sys.argv[1]](*sys.argv[2:])
