"""What servers say when something is wrong, as one line with the remedy."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from backends.connect import without_password
from backends.errors import UnreachableError

REDIS_REMEDY = "check the server and CRONSOLE_REDIS_URL; `cronsole status` shows both servers"
POSTGRES_REMEDY = "check the server and CRONSOLE_POSTGRES_URL; `cronsole status` shows both servers"


def stop_if_cancelled() -> None:
    """Raise CancelledError if this task was cancelled; to be called between the steps of a long action.

    On Python 3.11 `asyncio.wait_for`, which the Redis client sends with, loses a cancellation that comes while its
    inner call has just ended; the count of cancellations stays.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@contextmanager
def redis_talk(url: str) -> Iterator[None]:
    """Errors of Redis inside come out as UnreachableError."""
    import redis.exceptions as errors

    try:
        yield
    except errors.ResponseError as error:
        if "OOM" in str(error):
            raise UnreachableError(
                "Redis is full and takes no new jobs", "raise its maxmemory, or let engines drain the queues"
            ) from error
        raise UnreachableError(f"Redis at {without_password(url)} refuses: {error}", REDIS_REMEDY) from error
    except (errors.RedisError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise UnreachableError(f"Redis at {without_password(url)} can't be reached: {reason}", REDIS_REMEDY) from error


@contextmanager
def postgres_talk(url: str) -> Iterator[None]:
    """Errors of Postgres inside come out as UnreachableError."""
    import psycopg
    import psycopg_pool

    try:
        yield
    except (psycopg.Error, psycopg_pool.PoolTimeout, OSError) as error:
        reason = without_password(str(error) or type(error).__name__)
        shown = without_password(url)
        raise UnreachableError(f"Postgres at {shown} can't be used: {reason}", POSTGRES_REMEDY) from error
