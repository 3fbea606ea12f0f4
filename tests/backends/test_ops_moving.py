"""Runs to the front, and to another queue."""

from __future__ import annotations

import pytest

from backends.errors import BadInputError
from backends.model import new_run_id, now_ms
from backends.ops import Ops
from backends.queues.base import OnFull
from backends.queues.streams import StreamQueue
from tests.backends.ops_helpers import bury, there
from tests.contract.helpers import run, take_one


class TestBump:
    """To the front."""

    async def test_and_back(self, ops: Ops, queue: StreamQueue) -> None:
        """It is next; undone, it is last of its priority."""
        first, second = run(), run()
        await queue.enqueue([first, second])
        result = await ops.bump(second.run_id)
        assert (await ops.why(first.run_id)).reasons[-1] == "1 run goes before it"
        assert (await ops.undo(result.receipt or "")).note == "it is at the end of its priority"
        assert (await ops.why(second.run_id)).reasons[-1] == "1 run goes before it"
        again = await ops.bump(second.run_id)
        assert (await take_one(queue)).run_id == second.run_id
        with pytest.raises(BadInputError, match=r"nothing left to take back: run .* has started"):
            await ops.undo(again.receipt or "")
        with pytest.raises(BadInputError, match="has started"):
            await ops.bump(second.run_id)

    async def test_later_and_waiting(self, ops: Ops, queue: StreamQueue) -> None:
        """Due now; next in line. The undo says what it can't bring back."""
        later = run(due_ms=now_ms() + 90_000)
        slots = [run("tick", slot="s", on_full=OnFull.WAIT) for _ in range(3)]
        await queue.enqueue([later, *slots])
        receipts = [(await ops.bump(r.run_id)).receipt or "" for r in (later, slots[2])]
        assert await there(queue) == {"ready": 2, "waiting": 2}
        assert (await ops.undo(receipts[0])).note.endswith("when it was due is not kept")
        assert (await ops.undo(receipts[1])).note.startswith("it stays at the head")

    async def test_what_holds_it_in_front(self, ops: Ops, queue: StreamQueue) -> None:
        """All of it: the run that has its slot, and a pause."""
        first, second = (run("tick", slot="job:tick", on_full=OnFull.WAIT) for _ in range(2))
        await queue.enqueue([first, second])
        held = f"it starts when run {first.run_id}, which has its slot, ends"
        assert (await ops.bump(second.run_id)).note == held
        await ops.pause("job:tick")
        assert (await ops.bump(second.run_id)).note == f"{held} and the pause of the job tick ends"
        await ops.pause("queue:mail")
        both = "the pause of the queue mail ends and the pause of the job tick ends"
        assert (await ops.bump(second.run_id)).note == f"{held} and {both}"
        assert (await ops.bump(first.run_id)).note == f"it starts when {both}"

    async def test_what_is_in_no_queue(self, ops: Ops, queue: StreamQueue) -> None:
        """A dead letter is not, either."""
        (died,) = await bury(queue, 1)
        for run_id in (new_run_id(), died, "nonsense"):
            with pytest.raises(BadInputError, match="is in no queue"):
                await ops.bump(run_id)
        assert await ops.operations() == ()


class TestMove:
    """To another queue."""

    async def test_and_back(self, ops: Ops, queue: StreamQueue) -> None:
        """Ready, later and waiting ones; what can't go is told; what has started stays."""
        other = ops.live.queue("default")
        runs = [run(), run(due_ms=now_ms() + 90_000), *(run("tick", slot="s", on_full=OnFull.WAIT) for _ in range(2))]
        await queue.enqueue([run("first")])
        started = await take_one(queue)
        await queue.enqueue(runs)
        elsewhere = run()
        await other.enqueue([elsewhere])
        ids = [r.run_id for r in runs]
        result = await ops.move([*ids, ids[0], started.run_id, elsewhere.run_id, new_run_id()], "default")
        assert (result.matched, result.changed) == (7, 4)
        assert result.note == "1 runs already, 1 is there already, 1 is in no queue"
        assert await there(queue) == {"running": 1}
        assert sum((await there(other)).values()) == 5
        for _ in range(2):
            taken = await take_one(other)
        assert taken.run_id in ids
        back = await ops.undo(result.receipt or "")
        assert (back.matched, back.changed, back.note) == (4, 3, "1 had started and goes on")
        assert sum((await there(queue)).values()) == 4

    async def test_refused(self, ops: Ops, queue: StreamQueue) -> None:
        """No such queue, nothing to move, too much."""
        await queue.enqueue([first := run()])
        with pytest.raises(BadInputError, match="did you mean 'default'"):
            await ops.move([first.run_id], "defualt")
        with pytest.raises(BadInputError, match="nothing was moved: 1 is there already"):
            await ops.move([first.run_id], "mail")
        with pytest.raises(BadInputError, match="0 runs can't be moved"):
            await ops.move([], "mail")
        with pytest.raises(BadInputError, match="10,001 runs can't be moved"):
            await ops.move([str(n) for n in range(10_001)], "mail")
        assert await ops.operations() == ()

    async def test_no_job_overlaps_itself_by_it(self, ops: Ops, queue: StreamQueue) -> None:
        """One that waits for a run of its job stays with it, and so does one that others wait for."""
        runs = [run("tick", slot="job:tick", on_full=OnFull.WAIT) for _ in range(3)]
        await queue.enqueue(runs)
        ids = [r.run_id for r in runs]
        for part in (ids[:1], ids[1:2], ids[1:]):
            with pytest.raises(BadInputError, match="turns with other runs of"):
                await ops.move(part, "default")
        other = ops.live.queue("default")
        moved = await ops.move(ids, "default")
        assert (moved.changed, await there(queue), await there(other)) == (3, {}, {"ready": 1, "waiting": 2})
        assert (await take_one(other)).run_id == ids[0]
        with pytest.raises(BadInputError, match="1 runs already, 2 stay"):
            await ops.move(ids, "mail")
        with pytest.raises(BadInputError, match="nothing left to take back: 1 had started and goes on, 2 stay: they"):
            await ops.undo(moved.receipt or "")
        assert await there(other) == {"running": 1, "waiting": 2}

    async def test_what_takes_turns_goes_together(self, ops: Ops, queue: StreamQueue) -> None:
        """As many as a call takes; others go, too, and an undo says what it leaves where it is."""
        runs = [run("tick", slot="job:tick", on_full=OnFull.WAIT) for _ in range(120)]
        free = run()
        await queue.enqueue([*runs[:60], free, *runs[60:]])
        ids = [r.run_id for r in runs]
        result = await ops.move([*ids[:119], free.run_id], "default")
        assert (result.changed, result.note[:18]) == (1, "119 stay: they tak")
        moved = await ops.move(ids, "default")
        other = ops.live.queue("default")
        assert (moved.changed, await there(other)) == (120, {"ready": 2, "waiting": 119})
        assert (await ops.undo(moved.receipt or "")).changed == 120
        assert await there(queue) == {"ready": 1, "waiting": 119}

    async def test_many(self, ops: Ops, queue: StreamQueue) -> None:
        """In steps, in their order, back as well."""
        runs = [run() for _ in range(450)]
        await queue.enqueue(runs)
        other = ops.live.queue("default")
        result = await ops.move([r.run_id for r in runs], "default")
        assert (result.changed, await there(queue), await there(other)) == (450, {}, {"ready": 450})
        assert (await take_one(other)).run_id == runs[0].run_id
        assert (await ops.undo(result.receipt or "")).changed == 449
        assert await there(queue) == {"ready": 449}
