"""What a queue does with runs and dead letters, in plain Python; `test_dead_machine` compares all keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from backends.queues.base import Pair

FAR = 4_000_000_000_000
PLACES = ("solo", "front", "0", "1", "2")


@dataclass(frozen=True)
class Entry:
    """A run in the queue: what of it is kept wherever it lies. `due`: FAR, or 0 for at once."""

    attempt: int
    prio: int
    job: str
    env: bytes
    slot: str = ""
    due: int = 0
    failures: int = 0
    crashes: int = 0


@dataclass(frozen=True)
class Letter:
    """A record: of which run, in which group; `entry`: as it died."""

    run: str
    group: str
    entry: Entry
    packed: bytes


@dataclass
class Trash:
    """What an operation took: run → score; `whole`: a purge of all whose indexes were renamed."""

    kind: str
    until: int
    runs: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)  # `as`
    held: dict[str, Entry] = field(default_factory=dict)
    whole: bool = False
    restoring: int | None = None
    gone: bool = False
    kept: dict[str, int] = field(default_factory=dict)  # by an undo, as their runs are not there
    told: list[int] | None = None  # of an undo: back, left, at work


class Model:
    """The state, and each transition as one method of the same name as the queue's."""

    def __init__(self) -> None:
        self.live: dict[str, tuple[str, Entry]] = {}  # run → ('r<place>' | 'l' | 'w<slot>', what it is)
        self.streams: dict[str, list[str]] = {p: [] for p in PLACES}
        self.running: set[str] = set()
        self.slots: dict[str, str] = {}  # each of one run
        self.lines: dict[str, list[str]] = {}
        self.asked: set[str] = set()
        self.dead: dict[str, int] = {}
        self.records: dict[int, Letter] = {}
        self.ops: dict[str, Trash] = {}

    # --- runs -----------------------------------------------------------------------------------------------

    def push(self, run: str, e: Entry, place: str = "") -> None:
        place = place or ("solo" if e.crashes else str(e.prio))
        self.streams[place].append(run)
        self.live[run] = (f"r{place}", e)

    def let_in(self, run: str, e: Entry) -> None:
        if e.slot and e.slot in self.slots:
            self.lines.setdefault(e.slot, []).append(run)
            self.live[run] = (f"w{e.slot}", e)
            return
        if e.slot:
            self.slots[e.slot] = run
        self.go_on(run, e)

    def go_on(self, run: str, e: Entry) -> None:
        if e.due:
            self.live[run] = ("l", e)
        else:
            self.push(run, e)

    def release(self, run: str, slot: str) -> None:
        if slot and self.slots.get(slot) == run:
            del self.slots[slot]
            if self.lines.get(slot):
                following = self.lines[slot].pop(0)
                self.slots[slot] = following
                self.go_on(following, self.live[following][1])

    def leave(self, run: str) -> Entry:
        """Out of the queue, wherever it is."""
        where, e = self.live.pop(run)
        if where[0] == "r":
            self.streams[where[1:]].remove(run)
            self.running.discard(run)
        elif where[0] == "w":
            self.lines[where[1:]].remove(run)
        return e

    def pull(self, run: str, attempt: int = 0) -> Entry | None:
        if run not in self.live or run in self.running or attempt not in (0, self.live[run][1].attempt):
            return None
        self.asked.discard(run)
        e = self.leave(run)
        self.release(run, e.slot)
        return e

    def take(self, count: int) -> list[str]:
        taken: list[str] = []
        for place in PLACES:
            ready = [r for r in self.streams[place] if r not in self.running]
            taken += ready[: 1 if place == "solo" else count - len(taken)]
            if place == "solo" and taken:
                break
        self.running |= set(taken)
        return taken

    def retry(self, run: str, due: int) -> None:
        e = replace(self.leave(run), due=due)
        self.go_on(run, replace(e, attempt=e.attempt + 1, failures=e.failures + 1))

    def back(self, run: str) -> None:
        place = self.live[run][0][1:]
        self.push(run, self.leave(run), "front" if place == "front" else "")

    def end(self, run: str) -> Entry:
        e = self.leave(run)
        self.asked.discard(run)
        self.release(run, e.slot)
        return e

    def reap(self, run: str) -> None:
        """The lease ended, not for the third time."""
        if run in self.asked:
            self.end(run)
            return
        e = self.leave(run)
        self.push(run, replace(e, attempt=e.attempt + 1, crashes=e.crashes + 1, due=0))

    def bump(self, run: str) -> None:
        where, e = self.live[run]
        e = replace(e, due=0)
        if where[0] == "w":
            line = self.lines[where[1:]]
            line.insert(0, line.pop(line.index(run)))
            self.live[run] = (where, e)
        elif where not in ("rsolo", "rfront") and run not in self.running:
            self.leave(run)
            self.push(run, e, "solo" if e.crashes else "front")

    # --- operations -----------------------------------------------------------------------------------------

    def op(self, name: str, kind: str, until: int) -> Trash | None:
        """The operation, where it may act."""
        trash = self.ops.get(name) or Trash(kind, until)
        return None if trash.gone or trash.restoring is not None or trash.kind != kind else trash

    def throw_away(self, name: str, kind: str, until: int, pairs: Sequence[Pair]) -> list[str]:
        """Letters into the trash; the runs of those that were dead."""
        trash, thrown = self.op(name, kind, until), []
        for run, sequence in pairs:
            if trash and self.dead.get(run) == sequence:
                self.ops[name] = trash
                trash.whole &= bool(trash.runs)  # its indexes are gone with the last letter
                trash.until = max(trash.until, until)
                self.records.pop(trash.runs.get(run, 0), None)
                trash.runs[run] = self.dead.pop(run)
                thrown.append(run)
        return thrown

    def dead_retry(self, name: str, until: int, pairs: Sequence[Pair], due: int) -> list[str]:
        thrown = self.throw_away(name, "retry", until, pairs)
        for run in thrown:
            e = self.records[self.ops[name].runs[run]].entry
            self.let_in(run, replace(e, attempt=e.attempt + 1, failures=0, crashes=0, due=due))
        return thrown

    def purge_all(self, name: str, until: int, upto: int) -> None:
        if name not in self.ops and self.dead:
            gone = {r: s for r, s in self.dead.items() if s <= upto}
            self.ops[name] = Trash("purge", until, gone, whole=True)
            self.dead = {r: s for r, s in self.dead.items() if s > upto}

    def put_back(self, run: str, sequence: int) -> bool:
        if run in self.live or run in self.dead:
            del self.records[sequence]
            return False
        self.dead[run] = sequence
        return True

    def restore(self, name: str, limit: int) -> tuple[int, int, bool]:
        """One step: (back, left, more)."""
        trash = self.ops.get(name)
        if trash is None or trash.gone:
            return 0, 0, False
        trash.restoring = 0
        told = trash.told = trash.told or [0, 0, 0]
        back = left = 0
        if trash.whole and len(trash.runs) > len(self.dead):
            back = len(trash.runs) - len(self.dead)
            trash.runs, self.dead = self.dead, trash.runs
        order = sorted(trash.runs.items(), key=lambda item: item[1], reverse=trash.kind != "cancel")
        for run, score in order[:limit]:
            del trash.runs[run]
            if self._undo(trash, run, score):
                back += 1
            else:
                left += 1
        told[0] += back
        told[1] += left
        if trash.runs:
            return back, left, True
        trash.runs, trash.kept, trash.restoring = trash.kept, {}, None
        if trash.runs and not told[0]:
            trash.told = None
        else:
            trash.gone = True
        return back, left, False

    def _left(self, trash: Trash, run: str, entered: str, score: int) -> bool:
        """Whether what was let in by it is known not to come back."""
        if entered in self.live:
            assert trash.told
            trash.told[2] += 1
        elif entered not in self.dead:
            trash.kept[run] = score
            return False
        return True

    def _undo(self, trash: Trash, run: str, score: int) -> bool:
        if trash.kind == "purge":
            return self.put_back(run, score)
        if trash.kind == "enter":
            return self.pull(run, 1) is not None or (self._left(trash, run, run, score) and False)
        if trash.kind == "cancel":
            e = trash.held.pop(run)
            if run in self.live or run in self.dead:
                return False
            self.let_in(run, replace(e, attempt=e.attempt + 1))
            return True
        new = trash.replaced.get(run)
        if self.pull(new or run, 1 if new else self.records[score].entry.attempt + 1) is None:
            if self._left(trash, run, new or run, score):
                del self.records[score]
            return False
        return self.put_back(run, score)

    def sweep(self, now: int) -> None:
        """All steps: undos that have begun are finished, operations whose time is over forgotten."""
        for name, trash in self.ops.items():
            while trash.restoring is not None:
                self.restore(name, 1)
        for name in [n for n, t in self.ops.items() if t.until <= now]:
            trash = self.ops.pop(name)
            for sequence in trash.runs.values() if trash.kind in ("purge", "retry") else ():
                self.records.pop(sequence, None)
