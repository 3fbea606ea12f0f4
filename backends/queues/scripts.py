"""Loads the Lua scripts and calls them by their SHA.

EVALSHA and not Functions: the SHA is the version, so old and new code run side by side during a deploy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

Arg = str | bytes | int | float


class Script:
    """One script: its text and its SHA-1.

    The text is the header line, the common part, the parts that a second line ``-- needs: …`` names, and the body.
    """

    def __init__(self, name: str) -> None:
        folder = files("backends.queues") / "lua"
        header, _, body = (folder / f"{name}.lua").read_text("utf-8").partition("\n")
        needs, sign, rest = body.partition("\n")[0].partition("-- needs: ")
        parts = ["common", *(rest.split(", ") if sign and not needs else ())]
        self.name = name
        self.text = "\n".join([header, *[(folder / f"{part}.lua").read_text("utf-8") for part in parts], body])
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, client: Any, keys: list[str], args: list[Arg]) -> Any:
        """Run it; a server that does not know the script (restart, flush, failover) is sent its text."""
        from redis.exceptions import NoScriptError

        try:
            return await client.execute_command("EVALSHA", self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await client.execute_command("EVAL", self.text, len(keys), *keys, *args)

    async def many(self, client: Any, calls: Sequence[tuple[str, Sequence[Arg]]]) -> list[Any]:
        """Run it once for each key prefix and its arguments, in one round trip; each may be in another slot."""
        from redis.exceptions import NoScriptError

        answers: list[Any] = []
        for last in (False, True):
            pipe = client.pipeline(transaction=False)
            for prefix, args in calls:
                pipe.execute_command("EVALSHA", self.sha, 1, prefix, *args)
            answers = await pipe.execute(raise_on_error=False) if calls else []
            if last or not any(isinstance(a, NoScriptError) for a in answers):
                break
            await client.script_load(self.text)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def sync(self, client: Any, keys: list[str], args: list[Arg]) -> Any:
        """The same over a blocking client."""
        from redis.exceptions import NoScriptError

        try:
            return client.execute_command("EVALSHA", self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return client.execute_command("EVAL", self.text, len(keys), *keys, *args)


@cache
def script(name: str) -> Script:
    """The script of that name, read once."""
    return Script(name)
