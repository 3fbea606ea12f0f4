"""`cronsole runs log`: what a run has printed, or prints."""

from __future__ import annotations

import asyncio
import codecs
from typing import TYPE_CHECKING

import click

from console.cli.common import json_option, with_ops
from console.cli.output import print_json, visible_lines, warn
from console.printed import SEAMS, TAIL_BYTES, after_seam, newest, queue_of

if TYPE_CHECKING:
    from backends.ops import Ops
    from backends.ops.output import RunPage

POLL_S = 0.5
KNOWN_S = 10.0
"""A run that ended a moment ago may be so long between its queue and history."""
BEGINNING = "0-0"


@click.command("log")
@click.argument("run_id")
@click.option("--attempt", type=click.IntRange(1, 1_000_000), metavar="N", help="Of this attempt; default: the newest.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what it prints until it has ended, retries too.")
@json_option
def log_command(run_id: str, attempt: int | None, follow: bool, as_json: bool) -> None:
    """What a run has printed: of a running one as it comes, of one that ended what was kept, at least the tail."""
    if follow and as_json:
        raise click.UsageError("--follow and --json exclude each other; give one of them")

    async def act(ops: Ops) -> None:
        if follow:
            await _Followed(ops, run_id, attempt).run()
            return
        page = await ops.run_page(run_id)
        number = attempt or newest(page)
        text = "" if number is None else await _printed(ops, page, number)
        ended = any(each.attempt == number for each in page.attempts)
        if as_json:
            print_json({"run_id": page.run_id, "attempt": number, "ended": ended, "output": text})
            return
        if number is None:
            click.echo(f"it has not begun: it is {page.place.state if page.place else 'gone'}", err=True)
        elif not text:
            click.echo("it printed nothing" if ended else "nothing printed yet", err=True)
        elif ended and len(text.encode()) >= TAIL_BYTES:
            warn(["only the end of what it printed may have been kept"])
        _show(text if not text or text.endswith("\n") else text + "\n")

    with_ops(act)


async def _printed(ops: Ops, page: RunPage, number: int) -> str:
    """What is known of the output of an attempt. Raises BadInputError where there is no such attempt."""
    from backends.errors import BadInputError

    live, _ = await _live(ops, queue_of(page), page.run_id, number, BEGINNING)
    came = live.decode("utf-8", "replace")
    if not any(each.attempt == number for each in page.attempts):
        if number != newest(page):
            raise BadInputError(f"it has no attempt {number}", f"`cronsole runs show {page.run_id}` lists them")
        return came
    stored = await ops.run_output(page.run_id, number) or ""
    rest = after_seam(stored, came)
    return stored if rest is None or len(came) < len(stored) else came + rest


async def _live(ops: Ops, queue: str, run_id: str, number: int, after: str) -> tuple[bytes, str]:
    """What an attempt printed live since `after`, and from where to go on."""
    chunks: list[bytes] = []
    more = True
    while more:
        part = await ops.run_log(queue, run_id, after, number)
        chunks += part.chunks
        after, more = part.last, part.more
    return b"".join(chunks), after


def _show(text: str) -> None:
    click.echo(visible_lines(text), nl=False)


class _Followed:
    """A run whose output is shown as it comes, attempt by attempt."""

    def __init__(self, ops: Ops, run_id: str, attempt: int | None) -> None:
        self._ops = ops
        self._run_id = run_id
        self._only = attempt
        self._done: int | None = None if attempt is None else attempt - 1
        self._missed = 0.0
        self._told = False
        self._shown: int | None = None  # the attempt
        self._after, self._came = BEGINNING, ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    async def run(self) -> None:
        """Until it has ended. A server that goes away meanwhile is told of once and waited for."""
        from backends.errors import UnreachableError
        from backends.ops.talk import stop_if_cancelled

        page: RunPage | None = await self._ops.run_page(self._run_id)
        while True:
            stop_if_cancelled()
            try:
                if page is not None and await self._look(page):
                    return
                await asyncio.sleep(POLL_S)
                page = await self._page()
                self._told = False
            except UnreachableError as error:
                if not self._told:
                    warn([f"still waiting for {self._run_id}: {error}"])
                self._told, page = True, None
                await asyncio.sleep(POLL_S)

    async def _page(self) -> RunPage | None:
        """None where a run that was there is nowhere just now: it is between its queue and history."""
        from backends.errors import BadInputError

        try:
            page = await self._ops.run_page(self._run_id)
        except BadInputError:
            self._missed += POLL_S
            if self._missed > KNOWN_S:
                raise
            return None
        self._missed = 0.0
        return page

    async def _look(self, page: RunPage) -> bool:
        """Show what is new; whether that was all."""
        from backends.errors import BadInputError

        ended = [each.attempt for each in page.attempts]
        running = [page.place.attempt] if page.place is not None and page.place.state == "running" else []
        if self._done is None and (begun := newest(page)) is not None:
            self._done = begun - 1
        for number in sorted({*ended, *running}):
            if number <= (self._done or 0) or (self._only is not None and number != self._only):
                continue
            await self._show_new(page, number)
            if number not in ended:
                return False
            await self._show_end(number)
            self._done = number
            if number == self._only:
                return True
        over = bool(page.attempts and page.attempts[-1].final) and (page.place is None or page.place.state == "dead")
        if over and self._only is not None:
            raise BadInputError(f"it has no attempt {self._only}", f"`cronsole runs show {self._run_id}` lists them")
        return over

    async def _show_new(self, page: RunPage, number: int) -> None:
        if number != self._shown:
            if self._shown is not None:
                click.echo(f"cronsole: attempt {number}", err=True)
            self._shown, self._after, self._came = number, BEGINNING, ""
            self._decoder.reset()
        live, self._after = await _live(self._ops, queue_of(page), self._run_id, number, self._after)
        self._show(self._decoder.decode(live))

    async def _show_end(self, number: int) -> None:
        """What has not come live of an attempt that ended."""
        stored = await self._ops.run_output(self._run_id, number) or ""
        rest = after_seam(stored, self._came)
        if rest is None and self._came and stored:
            warn(["not all of what it printed came live; this is what was kept of it"])
        self._show(stored if rest is None else rest)
        if self._came and not self._came.endswith("\n"):
            self._show("\n")

    def _show(self, text: str) -> None:
        if text:
            _show(text)
            self._came = (self._came + text)[-SEAMS[0] :]
