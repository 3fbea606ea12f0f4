"""What can be done to the runs of a queue from its page: cancel, to the front, to another queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from backends.model import ActionResult
from backends.queues.peek import QueuedRun
from console.screens import by_one
from console.screens import queues_looks as look
from console.screens.base import ConsoleScreen
from console.screens.bulk_dialog import BulkDialog, Yes
from console.screens.by_one import Each
from console.screens.dialog import AskDialog, PickDialog
from console.screens.engines import cancelled_words
from console.screens.rows import count
from widgets.rowlist import RowList
from widgets.safe import Cell, cell, cells
from widgets.table import Row

JOBS_TOLD = 6
MARKED = ("cancel", "bump", "move")


def runs_words(number: int) -> str:
    """``1 run``, ``1,200 runs``."""
    return f"{number:,} run{'' if number == 1 else 's'}"


def cancelled_many(found: Each) -> str:
    """What became of the cancels of many."""
    words = {
        "cancelled": ("cancelled before it started", "cancelled before they started"),
        "asked": ("is ended by its engine", "are ended by their engines"), "unknown": ("had ended already",) * 2,
    }  # fmt: skip
    parts = [
        f"{found.notes[note]:,} {some[found.notes[note] > 1]}" for note, some in words.items() if found.notes[note]
    ]
    return " · ".join(parts) or "none cancelled"


def bumped_many(found: Each) -> str:
    """What became of the bumps of many."""
    of = f" of {found.matched:,}" if found.changed != found.matched else ""
    notes = ""
    for note, number in found.notes.items():
        who = "" if number == found.changed else f"{number:,}: "
        notes += f" · {who}{note if number == 1 else note.replace('it starts', 'they start')}" if note else ""
    return f"{found.changed:,}{of} {'is' if found.changed == 1 and not of else 'are'} next{notes}"


def _question(title: str, done: str, meant: Sequence[QueuedRun], what: Sequence[str], verb: str) -> BulkDialog:
    jobs = Counter(run.job for run in meant).most_common()
    many = runs_words(len(meant))
    lines: list[Cell] = [
        cells(cell(many, "strong"), cell(f"  will be {done}", "dim")), cell("the marked runs, by job", "dim"),
        *(cells(cell(f"{number:>9,} ", "strong"), cell(job)) for job, number in jobs[:JOBS_TOLD]),
    ]  # fmt: skip
    lines += [cell(f"          and {len(jobs) - JOBS_TOLD} more jobs", "dim")] if len(jobs) > JOBS_TOLD else []
    return BulkDialog(title.format(many), [*lines, (), *map(cell, what)], verb)


class QueueActs(ConsoleScreen):
    """What the keys of a queue's page do to the chosen run, or to those that are marked."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: dict[str, QueuedRun] = {}
        """By run id, in the order in which they were marked."""

    # --- what the page provides ---

    def chosen(self) -> QueuedRun | None:
        """The run under the cursor."""
        raise NotImplementedError

    def go_down(self) -> None:
        """To the next row."""
        raise NotImplementedError

    def show_marks(self) -> None:
        """The marks are other ones."""
        raise NotImplementedError

    def read_anew(self) -> None:
        """Runs have come or gone."""
        raise NotImplementedError

    # --- marks ---

    def rows_meant(self, action: str) -> RowList | None:
        """Not where marks are meant, nor where the queue is."""
        return None if action == "pause" or (self.marks and action in MARKED) else super().rows_meant(action)

    def action_mark(self) -> None:
        """Mark the chosen run, or take its mark away; then the next one."""
        run = self.chosen()
        if run is None:
            self.lacks("no run to mark")
            return
        if self.marks.pop(run.run_id, None) is None:
            self.marks[run.run_id] = run
        self.show_marks()
        self.go_down()

    def action_drop_marks(self) -> None:
        """No run is marked any more."""
        self.marks.clear()
        self.show_marks()

    def _meant(self, verb: str) -> list[QueuedRun]:
        """The marked runs, else the chosen one; none, and told, where nothing can be done."""
        if not self.may_act():
            return []
        run = self.chosen()
        meant = list(self.marks.values()) or ([run] if run else [])
        if not meant:
            self.lacks(f"no run to {verb}")
        elif verb != "cancel" and [each.state for each in meant] == ["running"]:
            self.tell("it runs already", "warn")
            return []
        return meant

    def _one(self, words: Callable[[ActionResult], str]) -> Callable[[ActionResult], str]:
        """`words`, and the list is read anew."""

        def told(result: ActionResult) -> str:
            self.action_drop_marks()
            self.read_anew()
            return words(result)

        return told

    def _many(self, found: Each | None) -> None:
        """What was asked for is not marked any more."""
        for run_id in found.done if found else ():
            self.marks.pop(run_id, None)
        self.show_marks()
        self.read_anew()

    # --- cancel ---

    def action_cancel(self) -> None:
        """Ask, then cancel the marked runs, else the chosen one."""
        meant = self._meant("cancel")
        if len(meant) > 1:
            self._cancel_many(meant)
        elif meant:
            self._cancel_one(meant[0])

    def _cancel_one(self, run: QueuedRun) -> None:
        running = run.state == "running"
        what = "Its processes are ended; it is not tried again."
        if not running:
            what = "It leaves the queue without having run; it is not tried again."
        lines = [
            cells(cell("job    ", "dim"), cell(run.job, "strong")), cells(cell("run    ", "dim"), cell(run.run_id)),
            cell(what),
        ]  # fmt: skip

        def cancel(yes: bool | None) -> None:
            if yes:
                self.do(
                    lambda ops: ops.cancel(run.run_id), self._one(cancelled_words), "not cancelled",
                    back="" if running else f"the cancel of {run.job}",
                )  # fmt: skip

        self.app.push_screen(AskDialog("Cancel this run?", lines, "cancel it"), cancel)

    def _cancel_many(self, meant: list[QueuedRun]) -> None:
        running = sum(run.state == "running" for run in meant)
        what = ["Those that wait leave the queue; undo brings them back."] if running < len(meant) else []
        what += [f"{running:,} at work: the processes are ended for good."] if running else []

        def cancel(yes: Yes | None) -> None:
            if yes is not None:
                by_one.drive(
                    self, "cancelling", [run.run_id for run in meant], lambda ops, run_id: ops.cancel(run_id),
                    cancelled_many, "not cancelled", self._many,
                    back=lambda number: f"the cancel of {runs_words(number)}",
                )  # fmt: skip

        self.app.push_screen(_question("Cancel {}?", "cancelled", meant, what, "cancel them"), cancel)

    # --- to the front ---

    def action_bump(self) -> None:
        """The marked runs, after a question, else the chosen one go before all others of their queue."""
        meant = self._meant("put in front")
        if len(meant) > 1:
            self._bump_many(meant)
        elif meant:
            (run,) = meant
            told = self._one(lambda r: f"✓ {run.job} is next" + (f" · {r.note}" if r.note else ""))
            self.do(
                lambda ops: ops.bump(run.run_id), told, f"{run.job} not put in front", back=f"the bump of {run.job}"
            )

    def _bump_many(self, meant: list[QueuedRun]) -> None:
        # in front each goes behind those before it, but at the head of the line for a slot before them
        in_turn = [run.run_id for run in meant if run.state != "waiting"]
        in_turn += [run.run_id for run in reversed(meant) if run.state == "waiting"]

        def bump(yes: Yes | None) -> None:
            if yes is not None:
                by_one.drive(
                    self, "putting in front", in_turn,
                    lambda ops, run_id: ops.bump(run_id), bumped_many, "not put in front", self._many,
                    back=lambda number: f"the bump of {runs_words(number)}",
                )  # fmt: skip

        what = ["They go before all others, in the order in which they were marked."]
        question = _question("Put {} in front?", "put in front", meant, what, "put them in front")
        self.app.push_screen(question, bump)

    # --- to another queue ---

    def action_move(self) -> None:
        """The marked runs, else the chosen one, go to another queue: asks to which."""
        live, meant = self.state.live, self._meant("move")
        if live is None or not meant:
            return
        others = [q for q in live.queues if q.name != self.subject]
        if not others:
            self.tell("there is no other queue", "warn")
            return
        run_ids = [run.run_id for run in meant]
        what = meant[0].job if len(meant) == 1 else f"{len(meant):,} marked runs"
        rows = [
            Row(
                q.name, (cell(q.name, "warn" if q.paused else "strong"), cell(count(q.ready)), look.taken_cell(q, live))
            )
            for q in others
        ]

        def words(result: ActionResult) -> str:
            some = f"{result.changed} of {result.matched} are" if result.matched > 1 else f"{what} is"
            return f"✓ {some} in another queue" + (f" · {result.note}" if result.note else "")

        def move(name: str | None) -> None:
            if name is not None:
                self.do(
                    lambda ops: ops.move(run_ids, name), self._one(words), f"{what} not moved",
                    back=f"the move of {what} to {name}",
                )  # fmt: skip

        verb = "move it" if len(meant) == 1 else "move them"
        self.app.push_screen(PickDialog(f"Move {what} to which queue?", look.MOVE_COLUMNS, rows, None, verb), move)
