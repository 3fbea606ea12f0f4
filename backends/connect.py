"""How everybody reaches Redis and Postgres: settings from the environment, embedded servers where none are set, checks.

What is wrong with a server is told in one line with the remedy (`UnreachableError`, exit 3; a malformed URL: exit 2).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

import msgspec

from backends.errors import BadInputError, CronsoleError, UnreachableError

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool
    from redis import Redis as SyncRedis
    from redis.asyncio import Redis as AsyncRedis

    from backends.embedded import Holder

REDIS_SCHEMES = ("redis", "rediss", "unix")
CONNECT_S = 5.0
SOCKET_S = 5.0
BLOCKING_S = 30.0
"""Socket time-out of a client that waits: above every BLOCK we send, so that a silent network is noticed."""
LEASE_SOCKET_S = 3.0
POOL_MOST = 6
POOL_S = 2.0
"""So long one who looks waits for a connection of the pool, so that a dead server is told of within seconds. An engine
waits `CONNECT_S`: it has nothing to show, and its work goes on without."""
KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""Without them a network that was cut silently holds a write for as long as the kernel retransmits."""

_TAKEN = {"decode_responses", "encoding", "encoding_errors", "protocol", "client_name"}
"""What a URL may not change, because every reply is read in one way."""
_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,60}")


class Settings(msgspec.Struct, frozen=True):
    """What to connect to. A URL that is None means: the embedded server. `context`: its name; "" for the variables."""

    redis_url: str | None
    postgres_url: str | None
    namespace: str
    data_dir: Path
    jobs_file: Path | None = None
    read_only: bool = False
    context: str = ""

    def named(self, variable: str) -> str:
        """Where the operator sets what `variable` (CRONSOLE_REDIS_URL, …) sets elsewhere."""
        key = variable.removeprefix("CRONSOLE_").lower()
        return f"{key} of the context {self.context}" if self.context else variable

    def remedy(self, variable: str) -> str:
        """What to do about a server that can't be used."""
        drop = "leave it out" if self.context else "unset it"
        return f"check {self.named(variable)}, or {drop} to use the embedded server"


def settings_from_env(
    env: Mapping[str, str] = os.environ, *, jobs: str | None = None, read_only: bool = False, context: str = ""
) -> Settings:
    """Settings of this process, from the CRONSOLE_* variables; for a context, `env` holds what it sets."""
    namespace = env.get("CRONSOLE_NAMESPACE") or "default"
    named = Settings(None, None, "", Path(), context=context).named
    if not _NAMESPACE.fullmatch(namespace):
        raise BadInputError(
            f"the namespace {namespace!r} can't be used",
            f"take letters, digits, '.', '_' and '-' in {named('CRONSOLE_NAMESPACE')}",
        )
    jobs_file = jobs or env.get("CRONSOLE_JOBS")
    return Settings(
        redis_url=_checked(env.get("CRONSOLE_REDIS_URL"), named("CRONSOLE_REDIS_URL"), REDIS_SCHEMES),
        postgres_url=_checked(
            env.get("CRONSOLE_POSTGRES_URL"), named("CRONSOLE_POSTGRES_URL"), ("postgresql", "postgres")
        ),
        namespace=namespace,
        data_dir=Path(os.path.expanduser(env["CRONSOLE_DATA_DIR"]))
        if env.get("CRONSOLE_DATA_DIR")
        else default_data_dir(),
        jobs_file=Path(jobs_file) if jobs_file else None,
        read_only=read_only or env.get("CRONSOLE_READ_ONLY", "") not in ("", "0", "false"),
        context=context,
    )


def default_data_dir() -> Path:
    """Where the embedded servers keep their data; for root a place that PostgreSQL's other user can pass through."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/cronsole")
    from platformdirs import user_data_path

    return user_data_path("cronsole")


def _checked(url: str | None, name: str, schemes: tuple[str, ...]) -> str | None:
    if not url:
        return None
    remedy = f"write it as {schemes[0]}://host:port/… in {name}"
    try:
        parts = urlsplit(url)
        _ = parts.port
        query = parse_qs(parts.query)
    except ValueError as error:  # its text may hold a piece of the password
        raise BadInputError(
            f"{name} is not a URL: its host or port can't be read",
            f"{remedy}; in a password write / as %2F, @ as %40, # as %23, : as %3A",
        ) from error
    if re.fullmatch(r"rediss?\+(sentinel|cluster)|sentinel|redis-sentinel|redis-cluster", parts.scheme):
        raise BadInputError(
            f"{name}: Sentinel and Cluster URLs are not supported yet",
            "give the address of the primary: redis://host:port",
        )
    if parts.scheme not in schemes:
        raise BadInputError(f"{name} does not begin with {' or '.join(s + '://' for s in schemes)}", remedy)
    if not (parts.netloc or parts.path.strip("/") or parts.query):
        raise BadInputError(f"{name} names no server", remedy)
    if parts.scheme in ("redis", "rediss") and not re.fullmatch(r"/?\d*/?", parts.path):
        raise BadInputError(
            f"{name}: the database {parts.path!r} is not a number", f"{remedy}, with a number such as /0 at the end"
        )
    if parts.scheme in REDIS_SCHEMES and (taken := _TAKEN & query.keys()):
        raise BadInputError(f"{name}: {', '.join(sorted(taken))} can't be set", "leave it out of the URL")
    return url


def without_password(text: str) -> str:
    """URLs and what servers say about them, as they may be shown: up to the last @ before the path, and in queries."""
    shown = re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", text)
    return re.sub(r"((?:password|passwd|secret)=)[^&\s]*", r"\1***", shown, flags=re.IGNORECASE)


@dataclass
class Servers:
    """Connections to both servers. Close it: with embedded servers that is what lets them stop."""

    settings: Settings
    redis_url: str
    postgres_url: str
    role: str
    redis: AsyncRedis
    warnings: list[str] = field(default_factory=list)
    redis_version: str = ""
    redis_checked: bool = False
    postgres_version: str = ""
    _holder: Holder | None = None
    _pool: AsyncConnectionPool[Any] | None = None
    _closing: asyncio.Task[None] | None = None
    _pool_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _clients: list[Any] = field(default_factory=list)

    @classmethod
    async def open(cls, settings: Settings, *, role: str, need_redis: bool = True, need_postgres: bool = True) -> Self:
        """Connect and check what is needed. Starts the embedded servers where no URL is set."""
        holder = None
        if settings.redis_url is None or settings.postgres_url is None:
            holder = await _hold(settings)
        redis_url = settings.redis_url or (holder and holder.redis_url) or ""
        postgres_url = settings.postgres_url or (holder and holder.postgres_url) or ""
        try:
            client = _async_client(redis_url, settings, f"cronsole:{role}", SOCKET_S)
        except BaseException:
            if holder is not None:
                holder.release()
            raise
        self = cls(settings, redis_url, postgres_url, role, client, _holder=holder)
        try:
            if need_redis:
                await self.check_redis()
            if need_postgres:
                await self.check_postgres()
        except BaseException:
            await self.close()
            raise
        return self

    def redis_client(self, role: str) -> AsyncRedis:
        """Another async client, with a time-out long enough for blocking reads. Closed with these servers."""
        client = _async_client(self.redis_url, self.settings, f"cronsole:{self.role}:{role}", BLOCKING_S)
        self._clients.append(client)
        return client

    def redis_sync(self, role: str) -> SyncRedis:
        """A blocking client for a thread of its own; one that gives up quickly."""
        import redis

        return redis.Redis.from_url(
            self.redis_url,
            client_name=f"cronsole:{self.role}:{role}",
            socket_timeout=LEASE_SOCKET_S,
            **({} if self.redis_url.startswith("unix") else {"socket_connect_timeout": LEASE_SOCKET_S}),
        )

    async def pool(self) -> AsyncConnectionPool[Any]:
        """The Postgres pool, opened when first asked for. Its connections are in autocommit mode."""
        async with self._pool_lock:
            if self._pool is None:
                from psycopg_pool import AsyncConnectionPool

                self._pool = AsyncConnectionPool(
                    self.postgres_url,
                    min_size=0,
                    max_size=POOL_MOST,
                    timeout=CONNECT_S if self.role == "engine" else POOL_S,
                    check=AsyncConnectionPool.check_connection,
                    kwargs={
                        "autocommit": True,
                        "application_name": f"cronsole {self.role}",
                        "connect_timeout": int(CONNECT_S),
                        "client_encoding": "UTF8",
                        **KEEPALIVE,
                    },
                    open=False,
                )
                await self._pool.open()
        return self._pool

    async def drop_connections(self) -> None:
        """Connect anew: after a sleep nobody knows which connections the other side still has.

        What waits for an answer on an old one fails at once (Redis), or is left to its own time limit (Postgres).
        """
        for client in (*self._clients, self.redis):
            await client.connection_pool.disconnect(inuse_connections=True)
        pool, self._pool = self._pool, None
        if pool is not None:
            self._closing = asyncio.create_task(pool.close())  # it waits for what is under way

    async def close(self) -> None:
        """Close everything and let go of the embedded servers."""
        try:
            if self._closing is not None:
                await self._closing
            if self._pool is not None:
                await self._pool.close()
            for client in (*self._clients, self.redis):
                await client.aclose()
        finally:
            if self._holder is not None:
                self._holder.release()

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    # --- checks ---------------------------------------------------------------------------------------------

    async def check_redis(self) -> None:
        """Reachable, new enough, and it never evicts: an evicted key is a lost job."""
        import redis.exceptions as errors

        shown = without_password(self.redis_url)
        check = self.settings.remedy("CRONSOLE_REDIS_URL")
        try:
            info: Any = await self.redis.info()
        except TypeError as error:  # the client passes parameters of the URL on, unseen
            raise BadInputError(
                f"{self.settings.named('CRONSOLE_REDIS_URL')} has a parameter that is not known: {error}", check
            ) from error
        except errors.AuthenticationError as error:
            raise UnreachableError(f"Redis at {shown} refuses the password: {_reason(error)}", check) from error
        except (errors.NoPermissionError, errors.ResponseError) as error:
            remedy = "give this user the rights of the guide (INFO, EVAL, and the keys cronsole:*)"
            if "NOAUTH" in str(error) or "WRONGPASS" in str(error):
                remedy = check
            raise UnreachableError(f"Redis at {shown} refuses: {_reason(error)}", remedy) from error
        except (errors.RedisError, OSError, UnicodeError) as error:
            raise UnreachableError(f"Redis at {shown} can't be reached: {_reason(error)}", check) from error
        name, least = ("Valkey", (7, 2)) if "valkey_version" in info else ("Redis", (7, 0))
        version = str(info.get("valkey_version") or info.get("redis_version", "0"))
        self.redis_version = f"{name} {version}"
        if tuple(int(n) for n in re.findall(r"\d+", version)[:2]) < least:
            raise UnreachableError(f"{name} {version} at {shown} is too old", "use Redis 7.0, Valkey 7.2 or newer")
        self._check_part(info, shown)
        policy = info.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            raise UnreachableError(
                f"Redis at {shown} may evict jobs (maxmemory-policy is {policy})",
                "set it to noeviction: CONFIG SET maxmemory-policy noeviction",
            )
        if not info.get("aof_enabled"):
            self.warnings.append(f"Redis at {shown} has no append-only file: a restart loses jobs")
        self.redis_checked = True

    def _check_part(self, info: Mapping[str, Any], shown: str) -> None:
        """It is one server that takes writes, not a part of something larger."""
        mode = info.get("redis_mode") or info.get("server_mode")
        if mode in ("sentinel", "cluster"):
            raise UnreachableError(
                f"the server at {shown} runs in {mode} mode, which is not supported yet",
                "give the address of a primary that runs alone",
            )
        if info.get("role") == "slave" and not self.settings.read_only:
            raise UnreachableError(
                f"Redis at {shown} is a replica and takes no writes",
                f"use its primary, {info.get('master_host')}:{info.get('master_port')}",
            )

    async def check_postgres(self) -> None:
        """Reachable, new enough, and we may create our schema."""
        import psycopg

        shown = without_password(self.postgres_url)
        remedy = self.settings.remedy("CRONSOLE_POSTGRES_URL")
        try:
            async with await psycopg.AsyncConnection.connect(
                self.postgres_url, autocommit=True, connect_timeout=int(CONNECT_S), client_encoding="UTF8"
            ) as connection:
                version = connection.info.server_version
                cursor = await connection.execute(
                    "select current_user, has_database_privilege(current_database(), 'create'), current_database(),"
                    " coalesce((select has_schema_privilege(n.oid, 'create, usage')"
                    "   from pg_namespace n where nspname = 'cronsole'), false),"
                    " pg_is_in_recovery(), current_setting('server_encoding')"
                )
                row = await cursor.fetchone()
        except (psycopg.OperationalError, OSError, UnicodeError) as error:
            raise UnreachableError(f"Postgres at {shown} can't be used: {_reason(error)}", remedy) from error
        except psycopg.Error as error:
            raise BadInputError(
                f"{self.settings.named('CRONSOLE_POSTGRES_URL')} can't be used: {_reason(error)}", remedy
            ) from error
        assert row is not None
        self.postgres_version = f"PostgreSQL {version // 10000}.{version % 10000}"
        if version < 140000:
            raise UnreachableError(f"{self.postgres_version} at {shown} is too old", "use PostgreSQL 14 or newer")
        user, may_create, database, has_schema, standby, encoding = row
        if standby and not self.settings.read_only:
            raise UnreachableError(f"Postgres at {shown} is a standby and takes no writes", "use its primary")
        if encoding != "UTF8":
            self.warnings.append(f"the database {database} stores {encoding}: output it has no letters for is lost")
        if not may_create and not has_schema:
            raise UnreachableError(
                f"Postgres user {user} may not create tables in {database}",
                f'run: GRANT CREATE ON DATABASE "{database}" TO "{user}"',
            )


async def _hold(settings: Settings) -> Holder:
    """Hold the embedded servers that are wanted. A cancelled caller leaves no holder behind."""
    from backends.embedded import acquire

    start = asyncio.ensure_future(
        asyncio.to_thread(
            acquire, settings.data_dir, redis=settings.redis_url is None, postgres=settings.postgres_url is None
        )
    )
    try:
        return await asyncio.shield(start)
    except asyncio.CancelledError:
        start.add_done_callback(_release)
        raise


def _release(start: asyncio.Future[Holder]) -> None:
    if not start.cancelled() and start.exception() is None:
        start.result().release()


def _reason(error: BaseException) -> str:
    return without_password(str(error) or type(error).__name__)


def _async_client(url: str, settings: Settings, name: str, timeout_s: float) -> AsyncRedis:
    import redis.asyncio
    from redis.asyncio.retry import Retry
    from redis.backoff import ExponentialBackoff

    more: dict[str, Any] = {} if url.startswith("unix") else {"socket_connect_timeout": CONNECT_S}
    try:
        return redis.asyncio.Redis.from_url(
            url, client_name=name, socket_timeout=timeout_s, retry=Retry(ExponentialBackoff(0.5, 0.05), 1), **more
        )
    except (ValueError, CronsoleError) as error:
        variable = "CRONSOLE_REDIS_URL"
        raise BadInputError(
            f"{settings.named(variable)} can't be used: {_reason(error)}", settings.remedy(variable)
        ) from error
