"""Random deaths, retries, purges, edits, cancels, bumps and undos, broken off anywhere, against a model: all keys."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Coroutine
from typing import Any

import msgspec
import redis.asyncio
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from backends.embedded import Holder
from backends.model import now_ms
from backends.queues.base import Delivery, NewRun, Op, Pair, Settle, Settlement
from backends.queues.dead_index import record_key
from backends.queues.streams import StreamQueue
from tests.contract.helpers import WORKER, dead, done, retry
from tests.contract.keyspace import Keys, keys_of, places
from tests.contract.model import FAR, Entry, Letter, Model, Trash

_numbers = itertools.count()
_OVER = 1_000
"""Operations of this end, in ms since 1970, are forgotten by the next sweep."""
JOBS = ("a", "b")
ERRORS = ("0", "1", "2")
OPS = {kind: tuple([f"{kind}-{n}" for n in range(3)]) for kind in ("purge", "retry", "enter", "cancel")}
ALL = tuple([f"all-{n}" for n in range(3)])

some = st.lists(st.integers(0, 5), min_size=1, max_size=4)
"""Which of what there is, counted from the newest, around the end."""
ends = st.sampled_from((_OVER, FAR))
shapes = st.tuples(
    st.sampled_from(JOBS), st.sampled_from(("", "", "k", "l")), st.sampled_from((0, 0, FAR)), st.integers(0, 2)
)
"""Job, slot, due, priority of a run."""


class DeadMachine(RuleBasedStateMachine):
    """The queue and the model, side by side."""

    runner: asyncio.Runner
    client: Any

    def __init__(self) -> None:
        super().__init__()
        self.queue = StreamQueue(self.client, "machine", f"q{next(_numbers)}")
        self.model = Model()
        self.deliveries: dict[str, Delivery] = {}
        self.stale: list[Pair] = []
        self.top = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def new_runs(self, wanted: list[tuple[str, str, int, int]]) -> list[tuple[NewRun, Entry]]:
        made = []
        for job, slot, due, prio in wanted:
            run, env = f"run-{next(_numbers)}", b'{"type":"%s","payload":{"n":1}}' % job.encode()
            made.append((NewRun(run, job, env, prio, due, slot), Entry(1, prio, job, env, slot and f"{slot}|1", due)))
        return [(new, Entry(e.attempt, e.prio, e.job, e.env, new.slot, e.due)) for new, e in made]

    def pick(self, which: list[int], of: list[Any]) -> list[Any]:
        return [of[-1 - n % len(of)] for n in which] if of else []

    def pairs(self, which: list[int]) -> list[Pair]:
        """Letters that are dead, and some that are not any more."""
        known = sorted(self.model.dead.items(), key=lambda pair: pair[1])
        return self.pick(which, [*self.stale[-2:], *known])

    def died(self, run: str, group: str, entry: Entry) -> None:
        """The queue says which sequence it has; it rises."""
        letter = self.run(self.queue.dead_get(run))
        assert letter.sequence > self.top
        self.top = letter.sequence
        packed = self.run(self.client.get(record_key(self.queue.prefix, letter.sequence)))
        assert packed.endswith(b"\n" + entry.env)
        self.model.dead[run] = letter.sequence
        self.model.records[letter.sequence] = Letter(run, letter.group, entry, packed)
        assert group in ("", letter.group)

    # --- runs come, are handed out, and end -----------------------------------------------------------------

    @rule(wanted=st.lists(shapes, min_size=1, max_size=4))
    def enqueue(self, wanted: list[tuple[str, str, int, int]]) -> None:
        made = self.new_runs(wanted)
        self.run(self.queue.enqueue([new for new, _ in made]))
        for new, entry in made:
            self.model.let_in(new.run_id, entry)

    @rule(count=st.integers(1, 5))
    def take(self, count: int) -> None:
        taken = self.run(self.queue.take(WORKER, count)).deliveries
        assert [d.run_id for d in taken] == self.model.take(count)
        self.deliveries |= {d.run_id: d for d in taken}

    @initialize(wanted=st.lists(shapes, min_size=4, max_size=10))
    def begin(self, wanted: list[tuple[str, str, int, int]]) -> None:
        self.many_die(wanted)

    @rule(wanted=st.lists(shapes, min_size=1, max_size=6))
    def many_died(self, wanted: list[tuple[str, str, int, int]]) -> None:
        self.many_die(wanted)

    def many_die(self, wanted: list[tuple[str, str, int, int]]) -> None:
        """New runs that die as soon as they are handed out, and whatever else is in hand."""
        self.enqueue([(job, slot, 0, prio) for job, slot, _, prio in wanted])
        for n in range(4):
            self.take(5)
            self.die(list(range(5)), ERRORS[n % len(ERRORS)])

    @rule(which=some, error=st.sampled_from(ERRORS))
    def die(self, which: list[int], error: str) -> None:
        for run in dict.fromkeys(self.pick(which, list(self.deliveries))):
            d = self.deliveries.pop(run)
            group = d.job * 15 + error  # a group is of one job
            self.settle(dead(d, group))
            self.died(run, group, self.model.end(run))

    @rule(which=some, how=st.sampled_from(("done", "back", "retry", "later")))
    def end(self, which: list[int], how: str) -> None:
        for run in dict.fromkeys(self.pick(which, list(self.deliveries))):
            d = self.deliveries.pop(run)
            if how == "done":
                self.settle(done(d))
                self.model.end(run)
            elif how == "back":
                self.settle(Settlement(d, Settle.BACK))
                self.model.back(run)
            else:
                due = FAR if how == "later" else 0
                self.settle(retry(d, due))
                self.model.retry(run, due)

    def settle(self, item: Settlement) -> None:
        assert self.run(self.queue.settle(WORKER, [item]))[0].value == "ok"

    @rule()
    def crash(self) -> None:
        """The worker dies with all it has."""
        self.run(self.queue.reap(0, 3))
        lost = [r for place in list(self.model.streams.values()) for r in place if r in self.model.running]
        for run in lost:
            entry = self.model.live[run][1]
            if entry.crashes < 2 or run in self.model.asked:
                self.model.reap(run)
            else:
                self.died(run, "", self.model.end(run))
        self.deliveries.clear()

    # --- operations -----------------------------------------------------------------------------------------

    @rule(op=st.sampled_from(OPS["retry"]), which=some, due=st.sampled_from((0, FAR)), until=ends)
    def retry_letters(self, op: str, which: list[int], due: int, until: int) -> None:
        pairs = self.pairs(which)
        answers = self.run(self.queue.dead_retry(Op(op, "retry", "me", until), pairs, [due] * len(pairs)))
        self.acted(pairs, answers, self.model.dead_retry(op, until, pairs, due))

    @rule(op=st.sampled_from((*OPS["purge"], *ALL, OPS["retry"][0])), which=some, until=ends)
    def purge_letters(self, op: str, which: list[int], until: int) -> None:
        pairs = self.pairs(which)
        answers = self.run(self.queue.dead_purge(Op(op, "purge", "me", until), pairs))
        self.acted(pairs, answers, self.model.throw_away(op, "purge", until, pairs))

    def acted(self, pairs: list[Pair], answers: list[bool], runs: list[str]) -> None:
        assert [run for (run, _), answer in zip(pairs, answers, strict=True) if answer] == runs
        self.stale += [pair for pair, answer in zip(pairs, answers, strict=True) if answer]

    @rule(op=st.sampled_from(ALL), which=st.integers(0, 3), until=ends)
    def purge_all(self, op: str, which: int, until: int) -> None:
        sequences = sorted(self.model.dead.values())
        upto = sequences[-1 - which % len(sequences)] if sequences else 0
        self.run(self.queue.dead_purge_all(Op(op, "purge", "me", until), upto))
        self.model.purge_all(op, until, upto)

    @rule(op=st.sampled_from(OPS["retry"]), which=some, shape=shapes, until=ends)
    def replace(self, op: str, which: list[int], shape: tuple[str, str, int, int], until: int) -> None:
        for pair in self.pairs(which)[:1]:
            ((new, entry),) = self.new_runs([shape])
            word = self.run(self.queue.dead_replace(Op(op, "retry", "me", until), pair, new))
            thrown = self.model.throw_away(op, "retry", until, [pair])
            assert (word == "ok") is bool(thrown)
            if thrown:
                self.model.ops[op].replaced[pair[0]] = new.run_id
                self.model.let_in(new.run_id, entry)

    @rule(op=st.sampled_from(OPS["enter"]), wanted=st.lists(shapes, min_size=1, max_size=3), until=ends)
    def enter(self, op: str, wanted: list[tuple[str, str, int, int]], until: int) -> None:
        made = self.new_runs(wanted)
        self.run(self.queue.enter(Op(op, "enter", "me", until), [new for new, _ in made]))
        trash = self.model.op(op, "enter", until)
        if trash:
            self.model.ops[op] = trash
            trash.until = max(trash.until, until)
            for new, entry in made:
                self.model.let_in(new.run_id, entry)
                trash.runs[new.run_id] = len(trash.runs) + 1

    @rule(op=st.sampled_from((*OPS["cancel"], "")), which=some, until=ends)
    def cancel(self, op: str, which: list[int], until: int) -> None:
        for run in self.pick(which, list(self.model.live)):
            word = self.run(self.queue.cancel(run, "me", Op(op, "cancel", "me", until) if op else None))
            if run in self.model.running:
                assert word == "asked"
                self.model.asked.add(run)
                continue
            entry = self.model.pull(run)
            assert (word == "cancelled") is (entry is not None)
            trash = self.model.op(op, "cancel", until) if op and entry else None
            if trash and entry:
                self.model.ops[op] = trash
                trash.until = max(trash.until, until)
                trash.held[run], trash.runs[run] = entry, len(trash.runs) + 1

    @rule(which=some)
    def bump(self, which: list[int]) -> None:
        for run in self.pick(which, list(self.model.live)):
            assert self.run(self.queue.bump(run)) == ("running" if run in self.model.running else "ok")
            if run not in self.model.running:
                self.model.bump(run)

    @rule(which=st.integers(0, 20), limit=st.integers(1, 4), steps=st.integers(1, 9))
    def undo(self, which: int, limit: int, steps: int) -> None:
        """So many steps, and perhaps the console dies with the rest undone."""
        known = sorted(self.model.ops)
        for _ in range(steps if known else 0):
            name = known[which % len(known)]
            step = self.run(self.queue.restore(name, limit))
            assert (step.back, step.left, step.more) == self.model.restore(name, limit)
            told = self.model.ops[name].told
            assert told is None or [step.all_back, step.all_left, step.at_work] == told

    @rule()
    def sweep(self) -> None:
        while self.run(self.queue.sweep(now_ms())):
            pass
        self.model.sweep(now_ms())

    # --- all keys -------------------------------------------------------------------------------------------

    @invariant()
    def the_same(self) -> None:
        keys = self.run(keys_of(self.queue, self.client))
        places(keys)
        found, expected = seen(keys), foreseen(self.model)
        assert found == expected


def seen(keys: Keys) -> dict[str, Any]:
    """What the keys say, without times that nobody can foresee."""
    found: dict[str, Any] = {}
    for name, value in keys.items():
        if name in ("out", "epoch", "dead:seq"):
            continue
        if name.startswith("dead:#"):
            found[name] = value
        elif name.startswith("ready:"):
            if value:
                found[name] = [_stream_entry(dict(e)) for e in value]
        elif name.startswith(("wait:", "slot:")):
            found[name] = [run.decode() for run in value]
        elif name == "live":
            found[name] = {run.decode(): _where(w.decode()) for run, w in value.items()}
        elif name == "held" or name.endswith(":held"):
            found[name] = {run.decode(): _packed(v) for run, v in value.items()}
        elif name in ("ops:what", "dead:kinds") or name.endswith(":kinds"):
            found[name] = {key.decode(): json.loads(v) for key, v in value.items()}
        elif name in ("ctl", "dead:index") or name.endswith(":index"):
            found[name] = sorted(key.decode() for key in value)
        else:
            found[name] = {key.decode(): v.decode() if isinstance(v, bytes) else int(v) for key, v in value.items()}
    return found


def foreseen(m: Model) -> dict[str, Any]:
    """What the keys should say."""
    keys: dict[str, Any] = {
        "live": {run: where for run, (where, _) in m.live.items()},
        "later": {run: e.due for run, (where, e) in m.live.items() if where == "l"},
        "held": {run: _held(e, waits=where[0] == "w") for run, (where, e) in m.live.items() if where[0] != "r"},
        "ctl": sorted(f"cancel:{run}" for run in m.asked),
        "ops": {name: t.until for name, t in m.ops.items()},
        "ops:what": {name: _what(t) for name, t in m.ops.items()},
        "ops:restoring": {name: str(t.restoring) for name, t in m.ops.items() if t.restoring is not None},
        "ops:told": {
            f"{name}{part}": str(n)
            for name, t in m.ops.items()
            if t.told
            for part, n in zip(("", ":left", ":work"), t.told, strict=True)
        },
    }
    for place, runs in m.streams.items():
        keys[f"ready:{place}"] = [_entry(run, m.live[run][1]) for run in runs]
    for slot, run in m.slots.items():
        keys[f"slot:{slot}"] = [run]
    for slot, line in m.lines.items():
        keys[f"wait:{slot}"] = line
    for sequence, letter in m.records.items():
        keys[f"dead:#{sequence}"] = letter.packed
    _indexes(keys, "dead", m.dead, m)
    for name, trash in m.ops.items():
        if trash.whole:
            _indexes(keys, f"trash:{name}", trash.runs, m)
        keys[f"trash:{name}"] = trash.runs
        keys[f"trash:{name}:kept"] = trash.kept
        if not trash.gone:
            keys[f"trash:{name}:as"] = trash.replaced
            keys[f"trash:{name}:held"] = {run: _held(e, waits=True) for run, e in trash.held.items()}
    return {name: value for name, value in keys.items() if value}


def _indexes(keys: dict[str, Any], name: str, runs: dict[str, int], m: Model) -> None:
    letters = {sequence: m.records[sequence] for sequence in runs.values()}
    keys[name] = runs
    keys[f"{name}:index"] = sorted(f"{d.group}:{sequence:016}:{d.run}" for sequence, d in letters.items())
    groups = [d.group for d in letters.values()]
    keys[f"{name}:groups"] = {group: str(groups.count(group)) for group in groups}
    keys[f"{name}:kinds"] = _kinds(letters)


def _what(trash: Trash) -> dict[str, Any]:
    return {"kind": trash.kind, "by": "me"} | ({"gone": True} if trash.gone else {})


def _kinds(letters: dict[int, Letter]) -> dict[str, Any]:
    heads = [json.loads(d.packed.partition(b"\n")[0]) for d in letters.values()]
    return {h["group"]: {"job": h["job"], "error_class": h["error_class"]} for h in heads}


def _where(text: str) -> str:
    return text.partition(":")[0] if text[0] == "r" else text


def _entry(run: str, e: Entry) -> tuple[Any, ...]:
    return run, e.attempt, e.failures, e.crashes, e.prio, e.job, e.env, f"{e.slot}|1" if e.slot else ""


def _stream_entry(v: dict[bytes, bytes]) -> tuple[Any, ...]:
    return (
        v[b"i"].decode(), int(v[b"a"]), int(v[b"f"]), int(v[b"k"]), int(v[b"p"]), v[b"j"].decode(), v[b"e"],
        v[b"c"].decode(),
    )  # fmt: skip


def _held(e: Entry, *, waits: bool) -> tuple[Any, ...]:
    return (*_entry("", e)[1:], e.due if waits else 0)


def _packed(value: bytes) -> tuple[Any, ...]:
    a, f, k, p, job, env, slot, due = msgspec.msgpack.decode(value)
    return int(a), int(f), int(k), int(p), job, env.encode(), slot, int(float(due))


def test_all_keys_are_as_the_model_says(embedded: Holder) -> None:
    with asyncio.Runner() as runner:

        class Machine(DeadMachine):
            pass

        Machine.runner = runner
        Machine.client = runner.run(_connect(embedded.redis_url))
        try:
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    phases=[Phase.generate],  # to shrink a failure takes longer than a test may
                    max_examples=40, stateful_step_count=40, deadline=None,
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
                ),
            )  # fmt: skip
        finally:
            runner.run(Machine.client.aclose())


async def _connect(url: str) -> Any:
    return redis.asyncio.from_url(url)
