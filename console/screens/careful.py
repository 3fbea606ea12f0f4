"""A key that would hit something else than what was meant does nothing, and says so."""

from __future__ import annotations

from typing import ClassVar

from console.screens.acting import ActingScreen
from widgets.rowlist import RowList

SLIPPED_S = 0.7
"""So long after the chosen row has gone a key may be meant for it: to see, and to stop a finger that is on its way."""
DRAWN_LATE_S = 1.0
"""So much later it may be seen where it is drawn once a second."""
ON_A_ROW = frozenset((
    "retry", "purge", "edit_replay", "mark", "bump", "move", "cancel", "pause", "trigger", "trigger_with", "go_on",
    "stop", "open_selected",
))  # fmt: skip
"""Actions on the row under the cursor."""
ON_THE_LAST = frozenset(("undo", "follow"))
"""Actions on what was done last."""


class CarefulScreen(ActingScreen):
    """What a key means must be what the operator saw when he pressed it."""

    OFFERS_UNDO: ClassVar[bool] = True
    """Whether its undo takes back what was done last, so that the foot may say so."""

    def rows_meant(self, action: str) -> RowList | None:
        """The list whose chosen row the action is on; None where it is on something else."""
        focused = self.focused
        return focused if action in ON_A_ROW and isinstance(focused, RowList) else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Textual asks before it runs the action of a key, and a list before it opens a row."""
        rows = self.rows_meant(action)
        if rows is not None and rows.slipped(self._slipped_s()):
            self.tell("the chosen row is gone, and this is another one: nothing is done", "warn")
            return False
        asked = [what for what in self.shell.acts.asked if what] if action in ON_THE_LAST else []
        if asked and (self.OFFERS_UNDO or action != "undo"):
            self.tell(f"{asked[-1]} is still under way: once more when it is done", "warn")
            return False
        return super().check_action(action, parameters)

    def _slipped_s(self) -> float:
        """How long after the cursor went to another row by itself the operator may not have seen it."""
        shell = self.shell
        return SLIPPED_S + (shell.line.speed.way_s or 0.0) + (DRAWN_LATE_S if shell.low_bandwidth else 0.0)
