"""Checks a TOML table against its struct, table by table and key by key, and goes on after a mistake."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from backends.jobs.lines import Path
from backends.jobs.shape import DECODERS, HintedError
from backends.jobs.words import kind_of, nearest, show, suggestion

S = TypeVar("S", bound=msgspec.Struct)
Report = Callable[[Path, str, str], None]
"""Takes a key's path, what is wrong, and a hint."""


@lru_cache(maxsize=32)
def _keys(struct: type[msgspec.Struct]) -> dict[str, tuple[str, Any, bool]]:
    """Key in the file → attribute, declared type, required."""
    hints = get_type_hints(struct, include_extras=True)
    return {f.encode_name: (f.name, _core(hints[f.name]), f.required) for f in msgspec.structs.fields(struct)}


def _core(kind: Any) -> Any:
    """A declared type without `| UnsetType` and `| None`: TOML has neither."""
    if get_origin(kind) in (Union, types.UnionType):
        (core,) = (arm for arm in get_args(kind) if arm not in (UnsetType, type(None)))
        return core
    return kind


def check(struct: type[S], table: dict[str, Any], path: Path, report: Report) -> S:
    """The table as a struct, with the keys that are right; the others are reported and left unset.

    A required key that is missing or wrong is UNSET in the result, whatever its type says.
    """
    keys = _keys(struct)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in keys:
            report((*path, key), "unknown key", suggestion(key, keys))
            continue
        attribute, kind, _ = keys[key]
        try:
            values[attribute] = _value(kind, value, (*path, key), report)
        except HintedError as error:
            report((*path, key), str(error), error.hint)
    for key, (attribute, _, required) in keys.items():
        if required and attribute not in values:
            values[attribute] = UNSET
            if key not in table and not _misspelt(key, table, keys):
                report((*path, key), "is missing", "")
    return struct(**values)


def _misspelt(key: str, table: dict[str, Any], keys: dict[str, Any]) -> bool:
    return any(written not in keys and nearest(written, keys) == [key] for written in table)


def misspellings(table: dict[str, Any], struct: type[msgspec.Struct]) -> set[str]:
    """The known keys that the unknown ones of `table` were probably meant to be."""
    keys = _keys(struct)
    return {name for written in table if written not in keys for name in nearest(written, keys)}


def _value(kind: Any, value: Any, path: Path, report: Report) -> Any:
    """One value as `kind`. Raises HintedError; what is inside of a table is reported under its own path."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return check(kind, _table(value), path, report)
    if get_origin(kind) is dict and isinstance(inner := get_args(kind)[1], type) and issubclass(inner, msgspec.Struct):
        result = {}
        for name, table in _table(value).items():
            try:
                result[name] = check(inner, _table(table), (*path, name), report)
            except HintedError as error:
                report((*path, name), str(error), error.hint)
        return result
    if any("\0" in text for text in _texts(value)):
        raise HintedError("has a NUL character in it", "leave it out: neither programs nor databases take it")
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _choice(kind, [str(member.value) for member in kind], value)
    if get_origin(kind) is Literal:
        return _choice(kind, list(get_args(kind)), value)
    if kind in DECODERS:
        return DECODERS[kind](value)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise HintedError(_plain(kind, value, error)) from None


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise HintedError(f"expected a table, got {kind_of(value)}")
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)


def _choice(kind: Any, choices: list[str], value: Any) -> Any:
    if value not in choices:
        close = nearest(value, choices) if isinstance(value, str) else []
        raise HintedError(
            f"{show(value)} is not one of {', '.join(choices)}", f"did you mean '{close[0]}'?" if close else ""
        )
    return msgspec.convert(value, kind)


def _plain(kind: Any, value: Any, error: msgspec.ValidationError) -> str:
    """msgspec's complaint in the words of a job file."""
    limits = next((m for m in get_args(kind) if isinstance(m, msgspec.Meta)), None)
    base = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if base is int:
        range_ = f" from {limits.ge} to {limits.le}" if limits else ""
        got = show(value) if isinstance(value, int) and not isinstance(value, bool) else kind_of(value)
        return f"expected a whole number{range_}, got {got}"
    if base is bool:
        return f"expected true or false, got {kind_of(value)}"
    if base is str:
        return f"expected text, got {kind_of(value)}"
    if get_origin(base) is list:
        inside = ", got a list with something else in it" if isinstance(value, list) else f", got {kind_of(value)}"
        return f"expected a list of texts{inside}"
    if get_origin(base) is dict:
        return f"expected a table, got {kind_of(value)}"
    return str(error)
