"""Acts that the servers take one at a time, done to many: told as one, and taken back as one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from backends.errors import BadInputError, CronsoleError
from backends.model import ActionResult
from backends.ops.kinds import Progress
from console.console_ops import ConsoleOps
from console.feed import one_line
from console.screens.acts_looks import taken_back

if TYPE_CHECKING:
    from backends.ops.kinds import Tell
    from console.screens.acting import ActingScreen

RUN = re.compile(r"\brun '[^']*' ")


class Each(msgspec.Struct):
    """What became of many: `notes` and `refused` count what was answered, `broke` says why it ended before the last."""

    matched: int
    changed: int = 0
    done: list[str] = []
    """Those that were asked for, whatever was answered."""
    receipts: tuple[str, ...] = ()
    """In the order in which they were given."""
    notes: Counter[str] = msgspec.field(default_factory=Counter)
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    broke: str = ""

    @property
    def rest(self) -> str:
        """What was not done, and why, to follow what was."""
        left = self.matched - len(self.done)
        parts = [f"{number:,} not: {why}" for why, number in self.refused.items()]
        parts += [f"{left:,} left as {'it was' if left == 1 else 'they were'}"] if left else []
        return "".join(f" · {part}" for part in parts)


def why_not(error: CronsoleError, key: str) -> str:
    """The reason without whom it is about, so that equal ones are told once."""
    return RUN.sub("", error.message.replace(f"{key} ", "")).removeprefix("nothing left to take back: ")


async def each(
    ops: ConsoleOps, keys: Sequence[str], act: Callable[[ConsoleOps, str], Awaitable[ActionResult]], tell: Tell,
    stopped: Callable[[], bool],
) -> Each:  # fmt: skip
    """One after the other. A refusal is counted; where a server is gone, the rest is left; raises where that is all."""
    found = Each(len(keys))
    began = monotonic()
    for key in keys:
        if stopped():
            break
        tell(Progress(len(keys), len(found.done), len(found.done), found.changed, began))
        try:
            result = await act(ops, key)
        except BadInputError as error:
            found.refused[why_not(error, key)] += 1
        except (CronsoleError, OSError) as error:
            if not found.done:
                raise
            found.broke = one_line(error)
            break
        else:
            found.changed += result.changed
            found.notes[result.note] += 1
            found.receipts += (result.receipt,) if result.receipt else ()
        found.done.append(key)
    return found


def drive(
    screen: ActingScreen, doing: str, keys: Sequence[str], act: Callable[[ConsoleOps, str], Awaitable[ActionResult]],
    words: Callable[[Each], str], failed: str, ended: Callable[[Each | None], None], *,
    back: Callable[[int], str] = lambda _: "",
) -> None:  # fmt: skip
    """Do it in the background with progress; Esc stops after the one under way. As `ActingScreen.drive` otherwise.

    `back`: what it was, of so many that can be taken back.
    """
    stops: list[bool] = []

    def told(found: Each) -> str:
        text = f"{words(found)}{found.rest}"
        if not found.broke and found.changed:
            return f"✓ {text}"
        screen.shell.front().tell(*((f"✗ {text} · {found.broke}", "bad") if found.broke else (text, "warn")))
        return ""

    screen.drive(
        doing, lambda ops, tell: each(ops, keys, act, tell, lambda: bool(stops)), told, failed, ended,
        back=lambda found: back(len(found.receipts)), stop=lambda: stops.append(True),
    )  # fmt: skip


def take_back(screen: ActingScreen, receipts: Sequence[str], words: str) -> None:
    """Undo several operations, what was done last first. What can't be taken back any more is not offered again."""
    shell = screen.shell

    async def undo(ops: ConsoleOps, receipt: str) -> ActionResult:
        try:
            result = await ops.undo(receipt)
        except BadInputError:
            shell.acts.forget(receipt)
            raise
        shell.acts.forget(receipt)
        return result

    def told(found: Each) -> str:
        text = taken_back(ActionResult(found.matched, found.changed), words)
        return text.removeprefix("✓ ") if found.changed else f"not taken back: {words}"

    drive(
        screen, "taking back", receipts[::-1], undo, told, "undo", lambda found: shell.undone() if found else None
    )  # fmt: skip
