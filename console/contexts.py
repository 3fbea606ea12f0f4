"""The contexts an operator can switch to while the console runs, and how each is opened."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from backends.connect import Settings
from backends.contexts import Config, Context, context_settings
from console.console_ops import ConsoleOps, OpenOps

if TYPE_CHECKING:
    from backends.ops import Ops


class Choice(NamedTuple):
    """A context: its name, how it is opened, how the header shows it. `color`: of `backends.contexts.COLORS`."""

    name: str
    opens: OpenOps
    color: str = ""
    read_only: bool = False


def choices(
    config: Config, started: Settings, env: Mapping[str, str] = os.environ, *, read_only: bool = False
) -> tuple[Choice, ...]:
    """The context the console begins with, then the others. `read_only`: all of them are.

    A context is checked when it is opened: one with a bad URL is told about there, and hinders no other.
    """
    mine = config.contexts.get(started.context) if started.context else None
    first = Choice(
        started.context or started.namespace, partial(open_ops, started), mine.color if mine else "", started.read_only
    )
    others = [
        Choice(c.name, partial(_open_named, c, env, read_only), c.color, c.read_only or read_only)
        for c in config.contexts.values()
        if c.name != first.name
    ]
    return (first, *others)


@asynccontextmanager
async def open_ops(settings: Settings) -> AsyncIterator[ConsoleOps]:
    """The actions and reads of a context, for the console."""
    ops = await asyncio.to_thread(_ops)
    async with ops.open(settings, role="console", need_redis=False) as opened:
        yield opened


def _ops() -> type[Ops]:
    """`Ops` and the clients below it: a tenth of a second and 20 MB, which the first frame does not wait for."""
    for client in ("redis.asyncio", "psycopg_pool"):
        import_module(client)
    from backends.ops import Ops

    return Ops


def _open_named(context: Context, env: Mapping[str, str], read_only: bool) -> AbstractAsyncContextManager[ConsoleOps]:
    return open_ops(context_settings(context, env, read_only=read_only))
