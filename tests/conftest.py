"""Real servers for every test: the embedded ones, in a directory a test process; a namespace and a database a test."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from backends.connect import Servers, Settings
from backends.embedded import Holder, acquire, status
from tests.support.debian import debian_servers

_numbers = itertools.count()
for _name in ("CI", "BUILD_NUMBER"):  # with these pytest prints two compared collections whole, however long
    os.environ.pop(_name, None)


@pytest.fixture(scope="session")
def embedded() -> Iterator[Holder]:
    """Both embedded servers, for as long as this test process lives; or Debian's, where these are asked for."""
    if os.environ.get("CRONSOLE_TEST_SERVERS") == "debian":
        with debian_servers() as servers:
            yield servers
        return
    root = Path(tempfile.mkdtemp(prefix="cs-"))
    root.chmod(0o711)
    holder = acquire(root / "d")
    yield holder
    holder.release()
    deadline = time.monotonic() + 15
    while (now := status(root / "d")).valkey_pid or now.postgres_pid:
        assert time.monotonic() < deadline, f"the servers of this run still live: {now}"
        time.sleep(0.01)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def template(embedded: Holder) -> str:
    """A database with the schema in place, cloned for each test."""
    assert embedded.postgres_url
    with psycopg.connect(embedded.postgres_url, autocommit=True) as c:
        c.execute("create database template_cronsole")
    url = embedded.postgres_url.replace("/cronsole?", "/template_cronsole?")

    async def make() -> None:
        from psycopg_pool import AsyncConnectionPool

        from backends.history import migrate

        async with AsyncConnectionPool(url, min_size=1, max_size=2, kwargs={"autocommit": True}, open=False) as pool:
            await migrate(pool)

    asyncio.run(make())
    return "template_cronsole"


@pytest.fixture
def settings(embedded: Holder, template: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a namespace and a database that only this test uses."""
    assert embedded.postgres_url
    name = f"t{next(_numbers)}"
    with psycopg.connect(embedded.postgres_url, autocommit=True) as c:
        c.execute(f"create database {name} template {template} strategy file_copy")  # type: ignore[arg-type]
    yield Settings(
        redis_url=embedded.redis_url,
        postgres_url=embedded.postgres_url.replace("/cronsole?", f"/{name}?"),
        namespace=name,
        data_dir=tmp_path / "data",
    )
    with psycopg.connect(embedded.postgres_url, autocommit=True) as c:
        c.execute(f"drop database {name} with (force)")  # type: ignore[arg-type]


@pytest.fixture
async def connected(settings: Settings) -> AsyncIterator[Servers]:
    """Open connections to both servers."""
    async with await Servers.open(settings, role="test") as servers:
        yield servers


@pytest.fixture
def redis(connected: Servers) -> Any:
    """The Redis client of `connected`."""
    return connected.redis
