"""What is wrong with a server is told in one line with the remedy."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace

from backends.connect import Servers, Settings, settings_from_env, without_password
from backends.embedded import acquire
from backends.embedded_servers import layout, valkey_binary
from backends.errors import BadInputError, CronsoleError, UnreachableError
from backends.ops import Ops
from tests.backends.embedded_helpers import folder, pids, stopped, until

__all__ = ["folder"]


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start a Valkey with settings of its own; gives its URL."""
    processes = []

    def start(*settings: str) -> str:
        path = Path("/tmp") / f"cs-{time.monotonic_ns()}.sock"
        args = [str(valkey_binary()), "--port", "0", "--unixsocket", str(path), "--dir", str(tmp_path), "--save", ""]
        processes.append((subprocess.Popen([*args, *settings], stdout=subprocess.DEVNULL), path))
        deadline = time.monotonic() + 10
        while not path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return f"unix://{path}"

    yield start
    for process, path in processes:
        process.kill()
        process.wait()
        path.unlink(missing_ok=True)


async def refused(settings: Settings) -> CronsoleError:
    with pytest.raises(CronsoleError) as caught:
        await Servers.open(settings, role="test")
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    return caught.value


async def test_good_servers_tell_their_versions(connected: Servers) -> None:
    assert connected.redis_version.startswith("Valkey 9")
    assert connected.postgres_version.startswith("PostgreSQL 18")
    assert connected.warnings == []


async def test_nobody_answers(settings: Settings) -> None:
    error = await refused(replace(settings, redis_url="redis://127.0.0.1:1/0"))
    assert isinstance(error, UnreachableError)
    assert "127.0.0.1:1" in str(error)
    error = await refused(replace(settings, postgres_url="postgresql://nobody@127.0.0.1:1/x"))
    assert isinstance(error, UnreachableError)
    assert "CRONSOLE_POSTGRES_URL" in error.remedy


async def test_a_wrong_password_is_not_shown(settings: Settings, valkey: Callable[..., str]) -> None:
    url = valkey("--requirepass", "right", "--maxmemory-policy", "noeviction", "--appendonly", "yes")
    for password in ("", "?password=wrong-secret"):
        error = await refused(replace(settings, redis_url=url + password))
        assert isinstance(error, UnreachableError)
        assert "wrong-secret" not in str(error)
    async with await Servers.open(replace(settings, redis_url=url + "?password=right"), role="test") as servers:
        assert servers.warnings == []


async def test_a_redis_that_evicts_is_refused(settings: Settings, valkey: Callable[..., str]) -> None:
    error = await refused(replace(settings, redis_url=valkey("--maxmemory-policy", "allkeys-lru")))
    assert "allkeys-lru" in str(error)
    assert "CONFIG SET maxmemory-policy noeviction" in error.remedy
    assert error.exit_code == 3


async def test_a_redis_that_forgets_is_warned_about(settings: Settings, valkey: Callable[..., str]) -> None:
    url = valkey("--maxmemory-policy", "noeviction", "--appendonly", "no")
    async with await Servers.open(replace(settings, redis_url=url), role="test") as servers:
        assert "append-only" in servers.warnings[0]


async def test_postgres_without_rights(settings: Settings) -> None:
    assert settings.postgres_url
    database = settings.postgres_url.partition("///")[2].partition("?")[0]
    with psycopg.connect(settings.postgres_url, autocommit=True) as c:
        c.execute("drop schema cronsole cascade")
        c.execute(f"create role poor_{database} login")  # type: ignore[arg-type]
    poor = settings.postgres_url.replace("user=cronsole", f"user=poor_{database}")
    error = await refused(replace(settings, postgres_url=poor))
    assert "GRANT CREATE ON DATABASE" in error.remedy
    assert error.exit_code == 3
    with psycopg.connect(settings.postgres_url, autocommit=True) as c:
        c.execute(f"drop role poor_{database}")  # type: ignore[arg-type]


async def test_a_database_that_is_not_there(settings: Settings) -> None:
    assert settings.postgres_url
    error = await refused(replace(settings, postgres_url=settings.postgres_url.replace("///t", "///no_t")))
    assert "does not exist" in str(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CRONSOLE_REDIS_URL", "localhost:6379"),
        ("CRONSOLE_REDIS_URL", "http://localhost"),
        ("CRONSOLE_REDIS_URL", "redis://host:port"),
        ("CRONSOLE_REDIS_URL", "unix://"),
        ("CRONSOLE_REDIS_URL", "redis://host/jobs"),
        ("CRONSOLE_REDIS_URL", "redis://host/0?decode_responses=true"),
        ("CRONSOLE_REDIS_URL", "redis+sentinel://a:26379,b:26379/main"),
        ("CRONSOLE_REDIS_URL", "redis+cluster://a:6379"),
        ("CRONSOLE_POSTGRES_URL", "mysql://localhost"),
        ("CRONSOLE_NAMESPACE", "a/b"),
        ("CRONSOLE_NAMESPACE", "a{b}"),
    ],
)
def test_malformed_settings_are_bad_input(name: str, value: str) -> None:
    with pytest.raises(BadInputError) as caught:
        settings_from_env({name: value})
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("CRONSOLE_REDIS_URL", "redis://:hush/hush@host:1"),
        ("CRONSOLE_REDIS_URL", "redis://u:hush#hush@host:1"),
        ("CRONSOLE_POSTGRES_URL", "postgresql://u:hush/hush@host/d"),
    ],
)
def test_a_piece_of_a_password_is_not_shown(name: str, url: str) -> None:
    with pytest.raises(BadInputError) as caught:
        settings_from_env({name: url})
    assert "hush" not in str(caught.value)
    assert "%2F" in caught.value.remedy


def test_the_home_directory_is_understood() -> None:
    assert settings_from_env({"CRONSOLE_DATA_DIR": "~/x"}).data_dir == Path.home() / "x"


async def test_a_parameter_nobody_knows(settings: Settings) -> None:
    error = await refused(replace(settings, redis_url="redis://127.0.0.1:1/0?bogus=1"))
    assert isinstance(error, BadInputError)
    assert "bogus" in str(error)
    error = await refused(replace(settings, postgres_url="postgresql://127.0.0.1:1/x?bogus=1"))
    assert isinstance(error, BadInputError)


async def test_a_host_that_can_not_be_one(settings: Settings) -> None:
    assert isinstance(await refused(replace(settings, redis_url="redis://a..b:1")), UnreachableError)
    assert isinstance(await refused(replace(settings, postgres_url="postgresql://a..b/x")), UnreachableError)


async def test_history_is_read_while_redis_is_away(settings: Settings) -> None:
    async with Ops.open(replace(settings, redis_url="redis://127.0.0.1:1/0"), need_redis=False) as ops:
        with pytest.raises(UnreachableError, match="can't be reached"):
            await ops.overview()
        assert (await ops.history_overview()).postgres.ok


async def test_what_was_not_checked_when_it_was_opened_is_checked_by_the_first_look(
    settings: Settings, valkey: Callable[..., str]
) -> None:
    url = valkey("--maxmemory-policy", "allkeys-lru")
    async with Ops.open(replace(settings, redis_url=url), need_redis=False) as ops:
        for _ in range(2):
            with pytest.raises(UnreachableError, match="may evict jobs"):
                await ops.overview()
    async with Ops.open(settings, need_redis=False) as ops:
        assert (await ops.overview()).redis.detail.startswith("Valkey")


async def test_a_replica_is_for_reading_only(settings: Settings, valkey: Callable[..., str]) -> None:
    replica = replace(settings, redis_url=valkey("--replicaof", "127.0.0.1 1"))
    error = await refused(replica)
    assert "127.0.0.1:1" in error.remedy
    async with await Servers.open(replace(replica, read_only=True), role="test") as servers:
        assert servers.redis_version


async def test_part_of_a_cluster_is_refused(settings: Settings, valkey: Callable[..., str]) -> None:
    error = await refused(replace(settings, redis_url=valkey("--cluster-enabled", "yes")))
    assert "cluster mode" in str(error)


async def test_something_else_answers(settings: Settings) -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(web, "127.0.0.1", 0) as server:
        at = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert isinstance(await refused(replace(settings, redis_url=f"redis://{at}")), UnreachableError)
        assert isinstance(await refused(replace(settings, postgres_url=f"postgresql://{at}/x")), UnreachableError)


async def test_a_wrong_postgres_password(settings: Settings, folder: Path) -> None:
    """On servers of its own, made to ask for one."""
    holder = await asyncio.to_thread(acquire, folder, redis=False)
    url = holder.postgres_url or ""
    with psycopg.connect(url, autocommit=True) as c:
        c.execute("alter role cronsole password 'right'")
        (layout(folder).postgres_data / "pg_hba.conf").write_text("local all all scram-sha-256\n")
        c.execute("select pg_reload_conf()")
    deadline = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            break
        assert time.monotonic() < deadline
    error = await refused(replace(settings, postgres_url=f"{url}&password=wrong-secret"))
    assert isinstance(error, UnreachableError)
    assert "password authentication failed" in str(error)
    assert "wrong-secret" not in str(error)
    async with await Servers.open(replace(settings, postgres_url=f"{url}&password=right"), role="test") as servers:
        assert servers.postgres_version
    holder.release()


async def test_who_gives_up_while_they_start_holds_nothing(settings: Settings, folder: Path) -> None:
    alone = replace(settings, redis_url=None, postgres_url=None, data_dir=folder)
    opening = asyncio.create_task(Servers.open(alone, role="test"))
    while not pids(folder)[0]:
        assert not opening.done()
        await asyncio.sleep(0.005)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await asyncio.to_thread(until, lambda: pids(folder)[1] is not None or stopped(folder), "the start goes on")
    await asyncio.to_thread(until, lambda: stopped(folder), "nobody holds them")


async def test_a_refused_open_holds_nothing(settings: Settings, folder: Path) -> None:
    await refused(replace(settings, redis_url="redis://127.0.0.1:1/0", postgres_url=None, data_dir=folder))
    await asyncio.to_thread(until, lambda: stopped(folder), "nobody holds them")


def test_passwords_are_taken_out() -> None:
    assert without_password("redis://u:pa@ss@h:1/0") == "redis://u:***@h:1/0"
    assert without_password("postgresql:///d?sslpassword=secret&x=1") == "postgresql:///d?sslpassword=***&x=1"
    assert without_password("redis://u:secret@h:1/0") == "redis://u:***@h:1/0"
    assert without_password("at postgresql://u:p@h/d: no") == "at postgresql://u:***@h/d: no"
    assert without_password("unix:///a.sock?password=secret") == "unix:///a.sock?password=***"
