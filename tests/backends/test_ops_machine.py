"""Two operators at once, crashes between any two steps, undos and new deaths, against a small model: all keys."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from backends.connect import Servers, Settings
from backends.errors import BadInputError
from backends.history.archive_trash import sweep_trash
from backends.jobs import JobFile
from backends.jobs.publish import publish_jobs
from backends.model import from_ms, now_ms
from backends.ops import Marked, Ops, Progress, Selection
from backends.ops.kinds import GONE_ON
from backends.ops.record import BEAT_MS, Stored
from backends.queues.base import Delivery
from backends.queues.streams import StreamQueue
from tests.backends.ops_helpers import to_archive
from tests.backends.ops_model import Act, Letter, Model, Run
from tests.contract.helpers import dead, done, run
from tests.contract.keyspace import keys_of, places

_numbers = itertools.count()
QUEUES = ("default", "mail")
ERRORS = {"boom": "a" * 16, "refused": "b" * 16}
FAR_MS = 1 << 45
NOTHING = "nothing left to take back"

fuses = st.sampled_from((None, None, None, 0, 1, 2, 3, 5))
"""After so many looks and steps the driver is killed; None: not at all."""
who = st.integers(0, 1)
meanings = st.sampled_from(("all", "mail", "boom", "boom in mail", "ids", "marked"))


class Killed(BaseException):
    """As by kill -9: nothing is tidied up."""


class Operator(Ops):
    """One that can be killed between any two steps."""

    fuse: int | None = None
    dead = False
    changed = 0
    saved = 0  # so many the record told of when it was written last
    receipt = ""

    def burn(self, changed: int, receipt: str) -> None:
        """Between two steps."""
        self.changed, self.receipt = changed, receipt
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.dead = True
                raise Killed

    async def _asked(self, op: Stored) -> bool:
        asked = await super()._asked(op)
        self.saved = op.changed
        self.burn(op.changed, op.id)
        return asked

    async def _end(self, op: Stored) -> None:
        if not self.dead:
            await super()._end(op)

    def tell(self, p: Progress) -> None:
        """After each step."""
        self.burn(p.changed, p.receipt)


class OpsMachine(RuleBasedStateMachine):
    """Ops and the model, side by side."""

    runner: asyncio.Runner
    servers: Servers
    file: JobFile

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        namespace = f"machine{next(_numbers)}"
        self.run_it(publish_jobs(self.servers.redis, namespace, self.file))
        servers = Servers(
            replace(self.servers.settings, namespace=namespace), self.servers.redis_url, self.servers.postgres_url,
            "test", self.servers.redis,
        )  # fmt: skip
        servers._pool = self.servers._pool
        self.namespace = namespace
        self.operators = [Operator(servers), Operator(servers)]
        self.queues = {name: self.operators[0].live.queue(name) for name in QUEUES}
        for queue in self.queues.values():
            self.run_it(queue.announce())
        self.hands: dict[str, Delivery] = {}
        self.lines = 0

    def teardown(self) -> None:
        """The next one scans a server that is empty."""
        self.run_it(self.servers.redis.flushdb())

    def run_it(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    # --- runs -----------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(QUEUES), errors=st.lists(st.sampled_from(tuple(ERRORS)), min_size=1, max_size=6))
    def bury(self, name: str, errors: list[str]) -> None:
        """New dead letters."""
        for error in errors:
            new = run("send_email")
            self.run_it(self.queues[name].enqueue([new]))
            self.model.runs[new.run_id] = Run(name, "queued")
            self.take(name, 50)
            self.end(name, error, 50)

    @rule(name=st.sampled_from(QUEUES), count=st.integers(1, 3))
    def take(self, name: str, count: int) -> None:
        """Some are handed out."""
        for d in self.run_it(self.queues[name].take("w1", count)).deliveries:
            assert self.model.runs[d.run_id].state == "queued"
            self.model.runs[d.run_id].state = "running"
            self.hands[d.run_id] = d

    @rule(name=st.sampled_from(QUEUES), how=st.sampled_from(("", *ERRORS)), count=st.integers(1, 3))
    def end(self, name: str, how: str, count: int) -> None:
        """They succeed, or die (again)."""
        for d in [d for d in self.hands.values() if d.queue == name][:count]:
            del self.hands[d.run_id]
            r = self.model.runs[d.run_id]
            self.run_it(self.queues[name].settle("w1", [dead(d, ERRORS[how], how) if how else done(d)]))
            r.state, r.by = "out", ""
            if how:
                letter = self.run_it(self.queues[name].dead_get(d.run_id))
                assert letter.sequence > r.sequence
                r.state, r.sequence, r.error = "dead", letter.sequence, how

    @rule(name=st.sampled_from(QUEUES), count=st.integers(1, 4))
    def archive(self, name: str, count: int) -> None:
        """An engine puts the oldest letters into the archive."""
        hot = StreamQueue(self.servers.redis, self.namespace, name)
        pairs = self.run_it(hot.dead_pairs(count, 0, FAR_MS << 10))
        assert self.run_it(to_archive(self.operators[0], self.queues[name], count)) == len(pairs)
        for run_id, _ in pairs:
            self.model.runs[run_id].cold = True

    # --- operations -----------------------------------------------------------------------------------------

    def chosen(self, meaning: str, picks: list[int]) -> tuple[Any, dict[str, object]]:
        """(what Ops takes, what the model takes)."""
        letters = self.model.dead()
        some = [letters[n % len(letters)] for n in picks] if letters else []
        gone = [(r.queue, name, r.sequence or 1) for name, r in self.model.runs.items() if r.state != "dead"][:1]
        match meaning:
            case "ids":
                return [name for _, name, _ in [*some, *gone]], {"ids": [(name, s) for _, name, s in some]}
            case "marked":
                return Marked((*some, *gone)), {"ids": [(name, s) for _, name, s in some]}
            case "mail":
                return Selection(queue="mail"), {"queue": "mail"}
            case "boom":
                return Selection(error="BOOM"), {"error": "boom"}
            case "boom in mail":
                return Selection(queue="mail", error="oom"), {"queue": "mail", "error": "boom"}
        return Selection(everything=True), {}

    @rule(
        verb=st.sampled_from(("dead_retry", "dead_purge")), meaning=meanings, operator=who, fuse=fuses,
        picks=st.lists(st.integers(0, 9), min_size=1, max_size=6), hold_s=st.sampled_from((0, 3600)),
        late=st.booleans(), then=st.sampled_from(("", "resume", "undo")),
    )  # fmt: skip
    def act(
        self, verb: str, meaning: str, operator: int, fuse: int | None, picks: list[int], hold_s: int, late: bool,
        then: str,
    ) -> None:  # fmt: skip
        """Retry or purge; `late`: some die between the count and the act. Killed, another one may go on."""
        mine = self.operators[operator]
        wanted, meant = self.chosen(meaning, picks)
        upto = self.model.tops()
        if isinstance(wanted, Selection):
            wanted = self.run_it(self.operators[operator].freeze(wanted))
            assert dict(wanted.upto or {}) == {q: s for q, s in upto.items() if wanted.queue in ("", q)}
        if late and isinstance(wanted, Selection):
            self.bury("mail", ["boom"])
        letters = self.model.select(meant, upto)
        how = {"hold_s": hold_s} if verb == "dead_retry" else {}
        assert self.run_it(self.operators[1 - operator].dead_count(wanted)) == len(letters)
        assert self.run_it(getattr(mine, verb)(wanted, dry_run=True)).matched == len(letters)
        act = Act(verb, meant=meant, upto=upto)
        whole = verb == "dead_purge" and not {"ids", "error"} & set(meant)
        if whole:  # what is archived goes after what is not
            letters.sort(key=lambda letter: (letter[0], self.model.runs[letter[1]].cold))
        mine.fuse, mine.receipt, mine.changed, mine.saved = fuse, "", 0, 0
        try:
            result = self.run_it(getattr(mine, verb)(wanted, progress=mine.tell, **how))
            assert result.changed == len(letters)
            assert result.matched >= len(letters)
            assert bool(result.receipt) is bool(letters)
            changed, receipt = result.changed, result.receipt or ""
        except Killed:
            changed, receipt, act.state, act.told = mine.changed, mine.receipt, "running", mine.saved
            self.left_alone(receipt)
        finally:
            mine.fuse, mine.dead = None, False
        if receipt:
            self.model.acts[receipt] = act
            if whole:
                act.renamed = {queue for queue, _, _ in letters[:changed]}
            self.model.take_away(receipt, act, letters[:changed])
            if then == "resume" and act.state == "running":
                self.resume(1 - operator, -1)
            if then == "undo":
                self.undo(1 - operator, 0, fuse, late)

    @rule(operator=who, which=st.integers(0, 5))
    def resume(self, operator: int, which: int) -> None:
        """One that a crash has left is gone on with by anybody."""
        left = [receipt for receipt, act in self.model.acts.items() if act.state == "running"]
        if not left:
            return
        receipt = left[which % len(left)]
        act = self.model.acts[receipt]
        rest = [
            letter for letter in self.model.select(act.meant, act.upto)
            if letter[0] not in act.renamed or self.model.runs[letter[1]].cold
        ]  # fmt: skip
        result = self.run_it(self.operators[operator].resume_operation(receipt))
        act.state = "done"
        assert result.changed == len(act.items) + len(rest)
        if not result.changed:
            del self.model.acts[receipt]
        self.model.take_away(receipt, act, rest)

    @rule(name=st.sampled_from(("tick", "send_email")), operator=who)
    def trigger(self, name: str, operator: int) -> None:
        """A new run."""
        new = self.run_it(self.operators[operator].trigger(name))
        queue = "mail" if name == "send_email" else "default"
        self.model.runs[new.run_id] = Run(queue, "queued", new.receipt)
        self.model.acts[new.receipt] = Act("trigger", [(queue, new.run_id, 1)])

    @rule(operator=who, which=st.integers(0, 9))
    def cancel(self, operator: int, which: int) -> None:
        """One that has not started is out, and can come back."""
        queued = [name for name, r in self.model.runs.items() if r.state == "queued"]
        if not queued:
            return
        name = queued[which % len(queued)]
        result = self.run_it(self.operators[operator].cancel(name))
        assert result.note == "cancelled"
        r = self.model.runs[name]
        r.state, r.by = f"in {result.receipt}", ""
        self.model.acts[result.receipt or ""] = Act("cancel", [(r.queue, name, 1)])

    @rule(operator=who, which=st.integers(0, 9), hold_s=st.sampled_from((0, 3600)), late=st.booleans())
    def edit(self, operator: int, which: int, hold_s: int, late: bool) -> None:
        """Edit and replay; refused when the other operator was faster."""
        letters = self.model.dead()
        if not letters:
            return
        mine, other = self.operators[operator], self.operators[1 - operator]
        queue, name, sequence = letters[which % len(letters)]
        letter = self.run_it(mine.dead_show(name))
        if late:
            result = self.run_it(other.dead_purge([name]))
            purge = Act("dead_purge")
            self.model.acts[result.receipt or ""] = purge
            self.model.take_away(result.receipt or "", purge, [(queue, name, sequence)])
            with pytest.raises(BadInputError, match="is not dead any more"):
                self.run_it(mine.dead_replay(letter, {"n": 2}, hold_s=hold_s))
            return
        new = self.run_it(mine.dead_replay(letter, {"n": 2}, hold_s=hold_s))
        self.model.runs[name].state, self.model.runs[name].cold = f"in {new.receipt}", False
        self.model.runs[new.run_id] = Run(queue, "queued", new.receipt)
        self.model.acts[new.receipt] = Act("dead_replay", [(queue, name, sequence)], new=new.run_id)

    @rule(operator=who, which=st.integers(0, 9), fuse=fuses, sweep=st.booleans())
    def undo(self, operator: int, which: int, fuse: int | None, sweep: bool) -> None:
        """Any operation is taken back, once. Killed, an engine or the other operator goes on."""
        if not self.model.acts:
            return
        mine, other = self.operators[operator], self.operators[1 - operator]
        receipt = list(self.model.acts)[-1 - which % len(self.model.acts)]
        act = self.model.acts[receipt]
        if act.state == "undone":
            with pytest.raises(BadInputError, match="was taken back already"):
                self.run_it(mine.undo(receipt))
            return
        had = bool(act.items or act.told) or act.state in ("done", GONE_ON)
        total, back = self.model.undo(receipt)
        mine.fuse = fuse
        try:
            result = self.run_it(mine.undo(receipt, mine.tell))
            assert (result.matched, result.changed) == (total, back)
            assert back or not had
        except BadInputError as error:
            assert (back, had, NOTHING in str(error)) == (0, True, True)  # noqa: PT017
            act.state = "done" if act.items else GONE_ON  # it was not taken back; what is kept may come back
        except Killed:
            self.left_alone(receipt)
            if sweep:
                self.sweep_all(now_ms())
            try:
                self.run_it(other.undo(receipt))
            except BadInputError as error:
                assert NOTHING in str(error)  # noqa: PT017
                act.state = "done" if act.items else GONE_ON
        finally:
            mine.fuse, mine.dead = None, False

    @rule(far=st.sampled_from((False, False, True)))
    def sweep(self, far: bool) -> None:
        """What engines do; `far`: when the time of every undo is over."""
        self.sweep_all(FAR_MS if far else now_ms())
        if far:
            self.model.forget()

    def sweep_all(self, at_ms: int) -> None:
        for queue in self.queues.values():
            while self.run_it(queue.sweep(at_ms)):
                pass
        self.run_it(sweep_trash(self.servers._pool, self.namespace, from_ms(at_ms)))

    def left_alone(self, receipt: str) -> None:
        """Nobody has heard of its driver for long."""
        redis, key, old = self.servers.redis, f"cronsole:{{{self.namespace}}}:ops", now_ms() - BEAT_MS - 1
        for name, field in ((key, "beat_ms"), (f"{key}:asked", "at_ms")):
            found = self.run_it(redis.hget(name, receipt))
            if found:
                self.run_it(redis.hset(name, receipt, msgspec.json.encode(msgspec.json.decode(found) | {field: old})))

    # --- all keys -------------------------------------------------------------------------------------------

    @invariant()
    def the_same(self) -> None:
        """Every run where the model has it, every letter with its sequence, every trash with what it holds."""
        for name, queue in self.queues.items():
            keys = self.run_it(keys_of(queue, self.servers.redis))
            where = places(keys)
            mine = {i: r for i, r in self.model.runs.items() if r.queue == name}
            hot = {i for i, r in mine.items() if r.state == "dead" and not r.cold}
            assert {i for i, w in where.items() if w == "dead"} == hot
            live = {i for i, r in mine.items() if r.state in ("queued", "running")}
            assert {i for i, w in where.items() if w != "dead"} == live
            cold = {(r.state, i) for i, r in mine.items() if r.cold}  # purged there: in no trash of Redis
            held = {
                receipt: {i for queue_of, i, _ in act.items if queue_of == name and (f"in {receipt}", i) not in cold}
                for receipt, act in self.model.acts.items()
            }
            trash = {k[6:]: {i.decode() for i in v} for k, v in keys.items() if k[:6] == "trash:" and k.count(":") == 1}
            assert trash == {receipt: ids for receipt, ids in held.items() if ids}
            for receipt, act in self.model.acts.items():
                size = sum(queue_of == name for queue_of, _, _ in act.items)
                assert self.run_it(queue.op_size(receipt)) == size
        listed = self.run_it(self.operators[0].dead_list(1000)).items
        letters: list[Letter] = [(letter.queue, letter.id, letter.sequence) for letter in listed]
        assert sorted(letters) == sorted(self.model.dead())
        assert len(letters) == self.run_it(self.operators[1].dead_count(Selection(everything=True)))
        known = {op.id: op.state for op in self.run_it(self.operators[0].operations(1000))}
        assert known == {receipt: act.state for receipt, act in self.model.acts.items()}
        open_ops = {op.id for op in self.run_it(self.operators[1].operations(1000, unfinished=True))}
        assert open_ops == {receipt for receipt, act in self.model.acts.items() if act.state == "running"}


@pytest.mark.timeout(300)
def test_operators_crashes_and_undos(
    settings: Settings, template: str, file: JobFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small steps, so that much lies between two of them."""
    for module in ("walk", "bulk", "undo"):
        monkeypatch.setattr(f"backends.ops.{module}.STEP", 2)
    monkeypatch.setattr("backends.ops.walk.READ_MOST", 3)
    with asyncio.Runner() as runner:
        servers = runner.run(Servers.open(settings, role="test"))
        runner.run(servers.pool())

        class Machine(OpsMachine):
            pass

        Machine.runner, Machine.servers, Machine.file = runner, servers, file
        try:
            run_state_machine_as_test(
                Machine,
                settings=hypothesis.settings(
                    max_examples=30, stateful_step_count=30, deadline=None,
                    phases=[hypothesis.Phase.generate],  # one that fails is short enough
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
                ),
            )  # fmt: skip
        finally:
            runner.run(servers.__aexit__())
