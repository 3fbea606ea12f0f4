"""The configuration file and its contexts: named pairs of Redis and Postgres, as kubectl has them.

``[contexts.NAME]`` holds `redis_url`, `postgres_url` (left out: the embedded server), `namespace`, `jobs`, `color` and
`read_only`. Which one is used: ``--context``, else ``CRONSOLE_CONTEXT``, else, where no variable names a server or a
namespace, ``default_context``, else the variables. A context is taken whole; ``--read-only`` and ``CRONSOLE_READ_ONLY``
only ever add to it, ``-j`` and ``CRONSOLE_JOBS`` name another job file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from backends import connect
from backends.errors import BadInputError

COLORS = ("red", "yellow", "green", "blue", "purple", "grey")
TABLES = ("contexts", "console", "themes", "keys")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,60}")
_TEXTS = ("redis_url", "postgres_url", "namespace", "jobs", "color")
_VARIABLES = ("CRONSOLE_REDIS_URL", "CRONSOLE_POSTGRES_URL", "CRONSOLE_NAMESPACE")


class Context(msgspec.Struct, frozen=True):
    """One of ``[contexts]``. What is None is not set; `jobs` is absolute or relative to where we are."""

    name: str
    redis_url: str | None = None
    postgres_url: str | None = None
    namespace: str | None = None
    jobs: str | None = None
    color: str = ""
    read_only: bool = False


class Config(msgspec.Struct, frozen=True):
    """The configuration file: its contexts checked, the tables of the console as they were read."""

    path: Path
    contexts: Mapping[str, Context] = msgspec.field(default_factory=dict)
    default: str | None = None
    tables: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)

    def table(self, name: str) -> Mapping[str, Any]:
        """One of the console's tables; empty where it is not there."""
        return self.tables.get(name, {})

    def wrong(self, what: str, remedy: str) -> BadInputError:
        """The error that says what is wrong in this file."""
        return BadInputError(f"{self.path}: {what}", remedy)


def config_file(env: Mapping[str, str] = os.environ) -> Path:
    """Where the configuration file is, or would be."""
    given = env.get("CRONSOLE_CONFIG")
    if given:
        return Path(os.path.expanduser(given))
    from platformdirs import user_config_path

    return user_config_path("cronsole") / "config.toml"


def load_config(env: Mapping[str, str] = os.environ) -> Config:
    """Read the configuration file; without one, an empty configuration. Raises BadInputError."""
    path = config_file(env)
    try:
        text = path.read_text(encoding="utf-8")
        import tomllib  # there may be no file to read

        read = tomllib.loads(text)
    except FileNotFoundError:
        return Config(path)
    except (OSError, ValueError) as error:  # no UTF-8, no TOML
        raise BadInputError(f"{path}: {error}", "mend or remove the file") from error
    bare = Config(path)
    known = ("default_context", *TABLES)
    for key, value in read.items():
        if key not in known:
            raise bare.wrong(f"unknown key {key[:60]!r}", known_instead(key, known))
        if key in TABLES and not isinstance(value, dict):
            raise bare.wrong(f"{key} is not a table", f"write [{key}] above its keys")
    contexts = {name: _context(bare, name, table) for name, table in read.get("contexts", {}).items()}
    default = read.get("default_context")
    if default is not None and (not isinstance(default, str) or default not in contexts):
        told = str(default)[:60]
        raise bare.wrong(f"default_context = {told!r} is no context", known_instead(told, contexts))
    return Config(path, contexts, default, {name: read[name] for name in TABLES[1:] if name in read})


def _context(config: Config, name: str, table: object) -> Context:
    if not _NAME.fullmatch(name):
        raise config.wrong(
            f"the context {name[:60]!r} can't be named so", "take letters, digits, '.', '_' and '-', at most 60"
        )
    where = f"[contexts.{name}]"
    if not isinstance(table, dict):
        raise config.wrong(f"{where} is not a table", f"write {where} above its keys")
    known = (*_TEXTS, "read_only")
    for key, value in table.items():
        if key not in known:
            raise config.wrong(f"unknown key {key[:60]!r} in {where}", known_instead(key, known))
        if not isinstance(value, bool if key == "read_only" else str):  # the value may be a password: it is not told
            wanted = "true or false" if key == "read_only" else "text"
            raise config.wrong(f"{key} in {where} has a wrong value", f"it must be {wanted}")
    color = table.get("color", "")
    if color and color not in COLORS:
        raise config.wrong(f"color = {color[:30]!r} in {where}", known_instead(color, COLORS))
    jobs = table.get("jobs")
    if jobs:
        table = {**table, "jobs": str(config.path.parent / Path(os.path.expanduser(jobs)))}
    return Context(name, **table)


def known_instead(word: str, known: Collection[str]) -> str:
    """The remedy for an unknown name: the nearest one, or all of them."""
    from backends.jobs.words import nearest

    close = nearest(word, known)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + ", ".join(sorted(known)) if known else "there is none: add [contexts.NAME]"


def chosen(config: Config, name: str | None = None, env: Mapping[str, str] = os.environ) -> Context | None:
    """The context that is meant; None: the variables alone. Raises BadInputError for one that is not there."""
    wanted, where = (name, "--context") if name else (env.get("CRONSOLE_CONTEXT"), "CRONSOLE_CONTEXT")
    if not wanted:
        if config.default is None or any(env.get(variable) for variable in _VARIABLES):
            return None
        return config.contexts[config.default]
    if wanted not in config.contexts:
        raise BadInputError(
            f"no context {wanted[:60]!r} ({where}) in {config.path}", known_instead(wanted, config.contexts)
        )
    return config.contexts[wanted]


def context_settings(
    context: Context | None,
    env: Mapping[str, str] = os.environ,
    *,
    jobs: str | None = None,
    read_only: bool = False,
) -> connect.Settings:
    """What to connect to for a context; for None, what the variables say. Raises BadInputError."""
    if context is None:
        return connect.settings_from_env(env, jobs=jobs, read_only=read_only)
    rest = {key: value for key, value in env.items() if key not in _VARIABLES}
    own = {
        "CRONSOLE_REDIS_URL": context.redis_url,
        "CRONSOLE_POSTGRES_URL": context.postgres_url,
        "CRONSOLE_NAMESPACE": context.namespace,
    }
    return connect.settings_from_env(
        rest | {key: value for key, value in own.items() if value},
        jobs=jobs or env.get("CRONSOLE_JOBS") or context.jobs,
        read_only=read_only or context.read_only,
        context=context.name,
    )


def current_settings(
    name: str | None = None, env: Mapping[str, str] = os.environ, *, jobs: str | None = None, read_only: bool = False
) -> connect.Settings:
    """Settings of a command line: of the context it names, or that is meant without a name. Raises BadInputError."""
    return context_settings(chosen(load_config(env), name, env), env, jobs=jobs, read_only=read_only)
