"""What can be done to a run from its page: cancel, retry or replay, edit and replay, follow its replays."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from backends.model import NewRuns, RunRow
from console.screens import letter_acts
from console.screens.base import ConsoleScreen
from console.screens.dialog import AskDialog, PickDialog
from console.screens.editing import edit_letter, edit_run
from console.screens.engines import cancelled_words
from console.screens.rows import RUN_COLUMNS, moment, run_row
from widgets.safe import cell, cells
from widgets.table import Row

if TYPE_CHECKING:
    from backends.ops.output import RunPage

RUNS_AGAIN = "Its job runs again, with what it was given then."


class RunActs(ConsoleScreen):
    """The keys of a run's page. `page` is what is known of it, `replays` the runs that are replays of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "retry", "retry/replay"),
        Binding("e", "edit_replay", "edit & replay"),
        Binding("c", "cancel", "cancel"),
        Binding("l", "letter", "dead letter"),
        Binding("n", "replays", "its replays"),
        Binding("o", "original", "what it replays"),
        Binding("tab", "app.focus_next", "panels"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.page: RunPage | None = None
        self.replays: tuple[RunRow, ...] = ()
        self._sent: dict[str, str] = {}
        """Run id → the replay that was sent from here, which history does not know before it has ended."""

    def _state(self) -> str:
        """ "dead", "ended", where it is in its queue, or '' where nothing is known."""
        page = self.page
        return "" if page is None else page.place.state if page.place else "ended"

    @property
    def job(self) -> str:
        """Its job."""
        page = self.page
        if page is None:
            return ""
        return page.place.job if page.place else page.attempts[-1].job if page.attempts else ""

    def newest_replay(self) -> str | None:
        """The run that replays this one, as far as that is known."""
        return self._sent.get(self.subject or "") or (self.replays[0].run_id if self.replays else None)

    def own_bindings(self) -> list[Binding]:
        """Nothing is offered that a run that has ended can't do."""
        over = self._state() in ("dead", "ended")
        return [b for b in super().own_bindings() if not (over and b.id == "cancel")]

    def action_letter(self) -> None:
        """The dead letter it has become."""
        if self._state() == "dead":
            self.shell.open("letter", self.subject)
        else:
            self.lacks("it is no dead letter", self.page is not None)

    def action_retry(self) -> None:
        """A dead one goes back into its queue; one that has ended runs again, a succeeded one after a question."""
        if not self.may_act():
            return
        page, state = self.page, self._state()
        if page is None:
            self.lacks("no run to replay")
        elif state == "dead":
            tries = max((a.attempt for a in page.attempts), default=0)
            letter_acts.one(self, letter_acts.RETRY, [page.run_id], self.job, runs={page.run_id: tries})
        elif state != "ended":
            self.tell("it has not ended: there is nothing to replay", "warn")
        elif page.attempts and page.attempts[-1].outcome == "succeeded":
            lines = [
                cells(cell("job    ", "dim"), cell(self.job, "strong")),
                cells(cell("run    ", "dim"), cell(page.run_id)),
                cell(f"It succeeded. {RUNS_AGAIN}"),
            ]
            self.app.push_screen(
                AskDialog("Run it again?", lines, "run it again"), lambda yes: self._replay(page) if yes else None
            )
        else:
            self._replay(page)

    def job_in_hand(self) -> str | None:
        """That of the run."""
        return self.job or None

    def _replay(self, page: RunPage) -> None:
        job = self.job
        self.do(
            lambda ops: ops.replay(page.run_id), lambda new: self._replayed(page.run_id, job, new),
            f"{job} not replayed", back=f"the replay of {job}",
        )  # fmt: skip

    def _replayed(self, run_id: str, job: str, new: NewRuns) -> str:
        self._sent[run_id] = new.run_id
        self.replays_changed()
        return f"{self.new_run(job, new.run_id, 'runs again')} {self.key('replays')} opens it"

    def replays_changed(self) -> None:
        """There is another replay."""

    def action_edit_replay(self) -> None:
        """What it was given, in an editor; then it runs again."""
        page, state = self.page, self._state()
        if page is None:
            self.lacks("no run to replay")
        elif state == "dead":
            edit_letter(self, page.run_id, None, lambda _: None)
        elif state != "ended":
            self.tell("it has not ended: there is nothing to replay", "warn")
        else:
            job = self.job
            edit_run(self, page.run_id, job, lambda new: self._replayed(page.run_id, job, new))

    def action_replays(self) -> None:
        """The run that replays this one; of several, one is chosen."""
        found = {run.run_id: run for run in self.replays}
        sent = self._sent.get(self.subject or "")
        if sent and sent not in found and not found:
            self.shell.open("run", sent)
        elif not found:
            self.tell("it was not replayed", "warn")
        elif len(found) == 1 and sent in (None, *found):
            self.shell.open("run", next(iter(found)))
        else:
            self._choose_replay(sent, found)

    def _choose_replay(self, sent: str | None, found: dict[str, RunRow]) -> None:
        rows = [
            Row(run.run_id, run_row(run, moment(run.finished_at, self.now(), self.zone)).cells)
            for run in found.values()
        ]
        if sent and sent not in found:
            rows.insert(0, Row(sent, (cell("now", "accent"), cell("sent from here"), cell(self.job, "strong"))))

        def picked(run_id: str | None) -> None:
            if run_id is not None:
                self.shell.open("run", run_id)

        self.app.push_screen(PickDialog("Its replays", RUN_COLUMNS, rows, None, "open it"), picked)

    def action_original(self) -> None:
        """The run that this one replays."""
        page = self.page
        original = next((a.replay_of for a in reversed(page.attempts) if a.replay_of), None) if page else None
        if original:
            self.shell.open("run", original)
        else:
            self.tell("it replays no other run", "warn")

    def action_cancel(self) -> None:
        """Ask, then end it."""
        if not self.may_act():
            return
        page, state = self.page, self._state()
        if page is None or state in ("dead", "ended"):
            self.lacks("it has ended: there is nothing to cancel", page is not None)
            return
        what = "Its processes are ended" if state == "running" else "It leaves its queue"
        lines = [
            cells(cell("job    ", "dim"), cell(self.job, "strong")),
            cells(cell("run    ", "dim"), cell(page.run_id)),
            cell(f"{what}; it is not tried again."),
        ]

        def cancel(yes: bool | None) -> None:
            if yes:
                back = "" if state == "running" else f"the cancel of {self.job}"
                self.do(lambda ops: ops.cancel(page.run_id), cancelled_words, "not cancelled", back=back)

        self.app.push_screen(AskDialog("Cancel this run?", lines, "cancel it"), cancel)
