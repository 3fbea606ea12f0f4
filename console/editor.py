"""A payload in the operator's own editor: out as text, back as JSON, and what differs. Knows no screen."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.errors import BadInputError

LARGEST = 1_000_000
"""Bytes that are read back; no envelope may be as large."""
FOUND = ("sensible-editor", "nano", "vim", "vi")


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a text, and where: lines and columns count from 1, 0 where there is no one place."""

    text: str
    line: int = 0
    column: int = 0


def editor(env: Mapping[str, str] = os.environ) -> list[str]:
    """The words of $VISUAL or $EDITOR, else an editor that is there. Raises BadInputError."""
    for name in ("VISUAL", "EDITOR"):
        try:
            words = shlex.split(env.get(name, ""))
        except ValueError as error:
            raise BadInputError(
                f"${name} can't be read: {error}", "set it to a program, as 'vim' or 'code -w'"
            ) from None
        if words:
            return words
    found = next((path for name in FOUND if (path := shutil.which(name))), None)
    if found is None:
        raise BadInputError("no editor was found", "set $EDITOR")
    return [found]


def payload_of(envelope: bytes) -> dict[str, Any] | None:
    """The payload of an envelope; None where it is no JSON object with one."""
    try:
        found = json.loads(envelope.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    payload = found.get("payload", {}) if isinstance(found, dict) else None
    return payload if isinstance(payload, dict) else None


def pretty(payload: Mapping[str, Any]) -> str:
    """A payload to edit. What can't be seen or acts on a terminal stands there as ``\\uXXXX``."""
    text = json.dumps(payload, indent=2, ensure_ascii=False)
    return "".join(c if c == "\n" or c.isprintable() else _escaped(c) for c in text) + "\n"


def _escaped(char: str) -> str:
    return "".join(
        f"\\u{int.from_bytes(pair, 'big'):04x}" for pair in _pairs(char.encode("utf-16-be", "surrogatepass"))
    )


def _pairs(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), 2):
        yield data[at : at + 2]


class _TwiceError(ValueError):
    """A key that stands twice in an object: one of its values would be lost."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return found


def _no_number(text: str) -> Any:
    raise _NoNumberError(text)


class _NoNumberError(ValueError):
    """NaN and infinities are no JSON."""


def check(text: str) -> tuple[dict[str, Any] | None, Wrong | None]:
    """(the payload, None) or (None, what is wrong with it and where)."""
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        return None, Wrong(f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}", error.lineno, error.colno)
    except _TwiceError as error:
        return None, Wrong(f'the key "{error}" stands twice in one object')
    except _NoNumberError as error:
        return None, Wrong(f"{error} is no JSON")
    except RecursionError:
        return None, Wrong("nested too deep")
    except ValueError as error:  # a number of more digits than Python reads
        return None, Wrong(f"not JSON: {error}")
    if not isinstance(found, dict):
        return None, Wrong('a payload is an object: {"key": "value"}', 1, 1)
    return found, None


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two payloads say the same. For Python ``True`` is 1 and 1.0 is 1; for JSON they are not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def diff(before: Mapping[str, Any], after: Mapping[str, Any], context: int = 3) -> list[str]:
    """What differs, line by line: each begins with ``+``, ``-``, a blank, or ``@@`` where lines are left out."""
    lines = difflib.unified_diff(pretty(before).splitlines(), pretty(after).splitlines(), n=context, lineterm="")
    return [line for n, line in enumerate(lines) if n > 1]  # not the names of the files


def edit(text: str, name: str, words: list[str] | None = None) -> str:
    """Let the operator edit `text`; it waits until the editor ends. `name` becomes a part of the file's name.

    The file is the operator's own (0600, in a directory of its own) and gone afterwards. Raises BadInputError where
    there is no editor, it fails (as vim's ``:cq`` does), or what it left is too large or no UTF-8.
    """
    words = words or editor()
    with tempfile.TemporaryDirectory(prefix="cronsole-") as folder:
        path = Path(folder) / f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)[:60] or 'payload'}.json"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        try:
            with _interrupts_are_the_editors():
                code = subprocess.run([*words, str(path)], check=False).returncode
        except OSError as error:
            raise BadInputError(f"{words[0]} can't be started: {error.strerror}", "set $EDITOR") from error
        if code:
            raise BadInputError(f"{words[0]} ended with {code}: nothing is sent", "leave it without an error to go on")
        try:
            if path.stat().st_size > LARGEST:
                raise BadInputError("what the editor left is too large", "send a reference to it")
            return path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise BadInputError(f"what the editor left is no UTF-8 (byte {error.start})", "save it as UTF-8") from error
        except OSError as error:
            raise BadInputError(
                f"what the editor left can't be read: {error.strerror}", "save under its own name"
            ) from None


@contextlib.contextmanager
def _interrupts_are_the_editors() -> Iterator[None]:
    """Ctrl-C goes to every process of the terminal: here it means the editor, not us."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN: the editor would inherit that
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
