"""What operations do to runs and dead letters, in plain Python; `test_ops_machine` compares."""

from __future__ import annotations

from dataclasses import dataclass, field

Letter = tuple[str, str, int]
"""Queue, run id, sequence."""


@dataclass
class Run:
    """`state`: queued, running, dead, out, or 'in ' and the operation that took it. `by`: what let it in."""

    queue: str
    state: str
    by: str = ""
    sequence: int = 0
    error: str = ""
    cold: bool = False  # in the archive, dead or purged


@dataclass
class Act:
    """An operation: what it took or let in, in that order."""

    verb: str
    items: list[Letter] = field(default_factory=list)
    meant: dict[str, object] = field(default_factory=dict)  # the selection
    upto: dict[str, int] = field(default_factory=dict)
    new: str = ""  # edit: the run in place of the letter
    state: str = "done"
    told: int = 0  # one a crash has left: so many its record tells of
    renamed: set[str] = field(default_factory=set)  # purge of all: queues that are done


class Model:
    """All runs and operations."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.acts: dict[str, Act] = {}

    def dead(self) -> list[Letter]:
        """By queue, the oldest first."""
        return sorted(
            ((r.queue, name, r.sequence) for name, r in self.runs.items() if r.state == "dead"),
            key=lambda letter: (letter[0], letter[2]),
        )

    def tops(self) -> dict[str, int]:
        """Queue → the highest sequence."""
        return {queue: sequence for queue, _, sequence in self.dead()}

    def select(self, meant: dict[str, object], upto: dict[str, int]) -> list[Letter]:
        """What a frozen selection means now."""
        ids = meant.get("ids")
        return [
            letter for letter in self.dead()
            if (ids is None or letter[1:] in ids or letter[1] in ids)  # type: ignore[operator]
            and (ids is not None or letter[2] <= upto.get(letter[0], 0))
            and meant.get("queue") in (None, letter[0])
            and str(meant.get("error", "")) in self.runs[letter[1]].error
        ]  # fmt: skip

    def take_away(self, receipt: str, act: Act, letters: list[Letter]) -> None:
        """Retry, purge: letters leave."""
        for queue, name, sequence in letters:
            run = self.runs[name]
            run.cold = run.cold and act.verb == "dead_purge"
            run.state, run.by = ("queued", receipt) if act.verb == "dead_retry" else (f"in {receipt}", "")
            act.items.append((queue, name, sequence))

    def undo(self, receipt: str) -> tuple[int, int]:
        """(how many it holds, how many come back)."""
        act = self.acts[receipt]
        total, back = len(act.items), 0
        kept = []
        for letter in reversed(act.items):
            entered = self.runs[act.new or letter[1]]
            if self._back(receipt, act, letter):
                back += 1
            elif entered.state[:3] in ("out", "in ") or (entered.state == "dead" and entered.cold):
                kept.append(letter)  # its run is not there: it may come back
            elif act.verb == "dead_replay":
                self.runs[letter[1]].state = "out"
        act.items, act.state = kept[::-1], "undone"
        return total, back

    def _back(self, receipt: str, act: Act, letter: Letter) -> bool:
        queue, name, sequence = letter
        run = self.runs[name]
        if act.verb == "trigger":
            if (run.state, run.by) != ("queued", receipt):
                return False
            run.state = "out"
            return True
        if act.verb == "cancel":
            run.state, run.by = "queued", ""
            return True
        if act.verb == "dead_replay":
            new = self.runs[act.new]
            if (new.state, new.by) != ("queued", receipt):
                return False
            new.state = "out"
        elif act.verb == "dead_retry" and (run.state, run.by) != ("queued", receipt):
            return False
        run.state, run.sequence, run.by, run.queue = "dead", sequence, "", queue
        return True

    def forget(self) -> None:
        """The time of every undo is over."""
        for receipt, act in self.acts.items():
            for _, name, _ in act.items:
                if self.runs[name].state == f"in {receipt}":
                    self.runs[name].state = "out"
            act.items, act.renamed = [], set()
