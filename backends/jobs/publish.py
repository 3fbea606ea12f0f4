"""The declared jobs, where every console and command line can see them: a Redis hash, name → JSON of the spec.

Several job files may serve one namespace (one a host, say). The last publisher of a name wins; a name goes only when
the file that published it no longer has it.
"""

from __future__ import annotations

import socket
from secrets import token_hex
from typing import Any

import msgspec

from backends.errors import BadInputError
from backends.jobs.spec import JobFile, JobSpec
from backends.queues.keys import jobs_key


class _Origin(msgspec.Struct):
    origin: str = ""


_origin = msgspec.json.Decoder(_Origin)


def revision_key(namespace: str) -> str:
    """String: changes with every publication, so that a reader fetches the hash only then."""
    return f"{jobs_key(namespace)}:rev"


def inboxes_key(namespace: str) -> str:
    """Hash: queue → the key of the plain list that feeds it."""
    return f"{jobs_key(namespace)}:inboxes"


async def publish_jobs(redis: Any, namespace: str, file: JobFile) -> None:
    """Put the jobs of a file into the hash and take out those this file had before, in one transaction."""
    origin = f"{socket.gethostname()}:{file.path.absolute() if file.path else ''}"
    key = jobs_key(namespace)
    rows = {name: msgspec.json.encode({**spec.to_row(), "origin": origin}) for name, spec in file.jobs.items()}
    gone = [
        name
        for name, value in (await redis.hgetall(key)).items()
        if name.decode("utf-8", "replace") not in rows and _published_by(value) == origin
    ]
    inboxes = {name: spec.inbox_key for name, spec in file.queues.items() if spec.inbox}
    plain = [name for name, spec in file.queues.items() if not spec.inbox]
    async with redis.pipeline(transaction=True) as pipe:
        if gone:
            pipe.hdel(key, *gone)
        if rows:
            pipe.hset(key, mapping=rows)
        if plain:
            pipe.hdel(inboxes_key(namespace), *plain)
        if inboxes:
            pipe.hset(inboxes_key(namespace), mapping=inboxes)
        pipe.set(revision_key(namespace), token_hex(8))
        await pipe.execute()


async def read_jobs(redis: Any, namespace: str) -> dict[str, JobSpec]:
    """The published jobs by name. What can't be read (a newer release, a stranger's value) is passed over."""
    return decode_jobs(await redis.hgetall(jobs_key(namespace)))


def decode_jobs(answer: dict[bytes, bytes]) -> dict[str, JobSpec]:
    """The jobs of what HGETALL answered, sorted by name."""
    found: dict[str, JobSpec] = {}
    for name, value in sorted(answer.items()):
        try:
            found[name.decode()] = JobSpec.from_row(value)
        except (BadInputError, UnicodeDecodeError):
            continue
    return found


def _published_by(value: bytes) -> str | None:
    try:
        return _origin.decode(value).origin
    except msgspec.MsgspecError:
        return None
