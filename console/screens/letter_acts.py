"""Retry and purge dead letters from a screen: one, those that are marked, or all that a selection means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from backends.model import ActionResult
from backends.ops.kinds import Chosen, Marked
from console.console_ops import ConsoleOps
from console.screens.acts_looks import left_words
from console.screens.bulk_dialog import BulkDialog, Yes
from widgets.safe import Cell, cell, cells

if TYPE_CHECKING:
    from backends.ops.kinds import Tell
    from backends.ops.letters import Selection
    from console.screens.acting import ActingScreen

HOLD_S = 5.0
"""So long a retry waits before anything of it starts, and can be taken back whole."""


class Deed(msgspec.Struct, frozen=True):
    """What is done to letters, in words. `state`: of a letter that stays on the screen, while it is done and after."""

    verb: str
    does: str
    doing: str
    done: str
    state: tuple[str, str]
    hold_s: float

    async def run(
        self, ops: ConsoleOps, chosen: Chosen, tell: Tell | None = None, rate: float | None = None
    ) -> ActionResult:
        """Do it."""
        if self.verb == "purge":
            return await ops.dead_purge(chosen, progress=tell)
        return await ops.dead_retry(chosen, rate=rate, hold_s=self.hold_s, progress=tell)


RETRY = Deed("retry", "retries", "retrying", "retried", ("→ retrying", "→ back in its queue"), HOLD_S)
PURGE = Deed("purge", "purges", "purging", "purged", ("→ purging", "→ purged"), 0.0)


class _Counted(msgspec.Struct, frozen=True):
    selection: Selection
    number: int


def letters_words(number: int) -> str:
    """``1 letter``, ``12,000 letters``."""
    return f"{number:,} letter{'' if number == 1 else 's'}"


def one(
    screen: ActingScreen, deed: Deed, chosen: Chosen, job: str, mark: Callable[[str], None] = lambda _: None,
    runs: Mapping[str, int] | None = None,
) -> None:  # fmt: skip
    """One letter, without a question. `mark` gets what to show of it meanwhile and afterwards; '' where it failed.

    `runs`: its run → the attempts that it had.
    """
    if not screen.may_act():
        return
    doing, done = deed.state
    what = f"1 letter of {job}" if job else "the marked letter"
    mark(doing)

    def told(result: ActionResult) -> str:
        mark(done if result.changed else "no longer dead")
        if not result.changed:
            return f"{what} was not there any more"
        return f"✓ {what} is back in its queue" if deed is RETRY else f"✓ {what} is purged"

    screen.do(
        lambda ops: deed.run(ops, chosen), told, f"{what} not {deed.done}", lambda: mark(""),
        back=f"the {deed.verb} of {what}", hold_s=deed.hold_s, runs=runs if deed is RETRY else None,
    )  # fmt: skip


def tell_already(screen: ActingScreen, verb: str, state: str) -> None:
    """Why nothing is done: the letter that is still shown was acted on before."""
    screen.tell(f"nothing to {verb}: {state.removeprefix('→ ')} already", "warn")


def marked(
    screen: ActingScreen, deed: Deed, letters: Sequence[tuple[str, str, int]], ended: Callable[[], None]
) -> None:
    """Those that are marked: asks with their count."""
    if not screen.may_act():
        return
    queues: dict[str, int] = {}
    for queue, _, _ in letters:
        queues[queue] = queues.get(queue, 0) + 1
    lines = [cells(cell(f"{number:>9,} ", "strong"), cell(queue)) for queue, number in list(queues.items())[:6]]
    lines += [cell(f"          and {len(queues) - 6} more queues", "dim")] if len(queues) > 6 else []

    def answered(yes: Yes | None) -> None:
        if yes is not None:
            _go(screen, deed, Marked(tuple(letters)), len(letters), ended, yes.rate)

    screen.app.push_screen(_dialog(deed, len(letters), ["the marked letters, by queue", *lines], ""), answered)


def selected(
    screen: ActingScreen, deed: Deed, selection: Selection, lines: Sequence[Cell | str], name: str,
    ended: Callable[[], None],
) -> None:  # fmt: skip
    """All that is meant as of now: counted first, then asked. `lines` say what is meant; `name` is to be typed."""
    if not screen.may_act():
        return

    driving = screen.shell.acts.driving
    if driving is not None:
        screen.tell(f"{driving.doing} is under way: Esc stops it", "warn")
        return
    dialog = _dialog(deed, None, lines, name)
    found: list[_Counted] = []

    async def count(ops: ConsoleOps, tell: Tell) -> _Counted:
        frozen = await ops.freeze(selection)
        number = await ops.dead_count(frozen, tell)
        return _Counted(replace(frozen, counted=number), number)

    def counted(is_: _Counted | None) -> None:
        if screen.app.screen is not dialog:
            return  # it was left
        if is_ is None or is_.number == 0:
            if name:  # it stays: the rest of the name must not hit what is behind it
                dialog.refuse(f"there is nothing to {deed.verb}" if is_ else "they could not be counted")
                return
            dialog.dismiss(None)
            if is_ is not None:
                screen.tell(f"there is nothing to {deed.verb}", "warn")
            return
        found.append(is_)
        dialog.counted(*_words(deed, is_.number, lines))

    def answered(yes: Yes | None) -> None:
        if yes is not None:
            _go(screen, deed, found[0].selection, found[0].number, ended, yes.rate)
        elif not found:
            screen.stop_driving()

    screen.app.push_screen(dialog, answered)
    screen.drive("counting", count, lambda _: "", "not counted", lambda is_: dialog.call_later(counted, is_))


def _words(deed: Deed, number: int | None, lines: Sequence[Cell | str]) -> tuple[str, list[Cell], str]:
    if deed is RETRY:
        what = "Each goes back into its queue with a fresh budget of attempts, the oldest first."
    else:
        what = "They leave the list; undo brings them back."
    if number is None:
        number_line, many = cell("counting …", "strong"), "letters"
    else:
        many = letters_words(number)
        number_line = cells(cell(many, "strong"), cell(f"  will be {deed.done}", "dim"))
    told = [number_line, *(cell(line, "dim") if isinstance(line, str) else line for line in lines), (), cell(what)]
    return f"{deed.verb.capitalize()} {many}?", told, f"{deed.verb} {'it' if number == 1 else 'them'}"


def _dialog(deed: Deed, number: int | None, lines: Sequence[Cell | str], name: str) -> BulkDialog:
    title, told, verb = _words(deed, number, lines)
    return BulkDialog(title, told, verb, name=name, rate=deed is RETRY, counting=number is None)


def _go(
    screen: ActingScreen, deed: Deed, chosen: Chosen, number: int, ended: Callable[[], None], rate: float | None = None
) -> None:
    def told(result: ActionResult) -> str:
        missing = number - result.changed
        some = f" of {number:,}" if missing else ""
        note = f" · {result.note}" if result.note else ""
        if rate:
            over = left_words(result.changed / rate)
            note += f" · they start over the next {over}; {screen.key('undo')} takes the rest back"
        return f"✓ {result.changed:,}{some} {deed.done}{note}"

    screen.drive(
        deed.doing, lambda ops, tell: deed.run(ops, chosen, tell, rate), told, f"not {deed.done}", lambda _: ended(),
        back=f"the {deed.verb} of {letters_words(number)}", hold_s=deed.hold_s,
    )  # fmt: skip
