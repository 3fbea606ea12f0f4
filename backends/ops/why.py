"""Why is this not running? Where a run is, and every reason that keeps it there."""

from __future__ import annotations

from collections.abc import Sequence

from backends.errors import BadInputError
from backends.model import EngineStatus, Pause, as_run_id, now_ms
from backends.ops.kinds import Why
from backends.ops.output import OutputReads
from backends.ops.talk import redis_talk
from backends.ops.times import ago, clock, span
from backends.queues.ahead import AHEAD_MOST, ahead_of, held_by
from backends.queues.keys import queue_prefix
from backends.queues.live import Fleet, fleet
from backends.queues.where import RunPlace


class WhyReads(OutputReads):
    """Explains."""

    async def why(self, run_id: str) -> Why:
        """Where a run is and why it does not run; the first reason is the one that holds it. BadInputError: unknown."""
        run_id = as_run_id(run_id)
        place = await self.run_place(run_id)
        if place is None:
            return Why(None, (await self._ended(run_id),))
        reasons: list[str] = []
        with redis_talk(self.servers.redis_url):
            found = await fleet(self.servers.redis, self.namespace)
            alive = found.alive
            if place.state == "dead":
                return Why(place, (f"it died {ago(place.since_ms)}: `cronsole dead retry {run_id}` puts it back",))
            if place.state == "moving":
                return Why(place, (f"it is on its way to the queue {place.waits_for}",))
            if place.state == "running":
                return Why(place, (_running(place, alive),))
            prefix = queue_prefix(self.namespace, place.queue)
            if place.state == "later":
                reasons += _due(place)
            if place.state == "waiting":
                reasons += await self._slot(place, prefix, alive)
            reasons += await self._pauses_of(place)
            reasons += _engines(place, found)
            ahead = await ahead_of(self.servers.redis, prefix, run_id)
        if ahead:
            many = f"{AHEAD_MOST} or more runs go" if ahead >= AHEAD_MOST else _runs(ahead)
            reasons.append(f"{many} before it")
        return Why(place, tuple(reasons) or ("it is ready: an engine takes it next",))

    async def _ended(self, run_id: str) -> str:
        attempts = (await self.run_page(run_id)).attempts
        last = attempts[-1] if attempts else None
        if last is None:
            raise BadInputError("it is in no queue and has not ended", "it may just be on its way; ask again")
        how = f"its attempt {last.attempt} ended {ago(round(last.finished_at.timestamp() * 1000))}: {last.outcome}"
        return f"{how}; `cronsole runs replay {run_id}` runs it again" if last.final else f"{how}; it is in no queue"

    async def _pauses_of(self, place: RunPlace) -> list[str]:
        pauses = await self.live.queue(place.queue).pauses()
        reasons = []
        if "" in pauses:
            reasons.append(f"queue {place.queue} is paused {_pause(pauses[''])}")
        if place.job in pauses:
            reasons.append(f"job {place.job} is paused {_pause(pauses[place.job])}")
        return reasons

    async def _slot(self, place: RunPlace, prefix: str, alive: Sequence[EngineStatus]) -> list[str]:
        if place.waits_for.startswith("pause/"):
            return []  # its pause says the rest; without one it is put back any moment
        holder = await held_by(self.servers.redis, prefix, place.waits_for)
        if holder is None:
            return [f"it waits for the slot {place.waits_for}, which nobody holds: it is put back any moment"]
        run, since = holder
        there = await self.run_place(run)
        where = f" on {there.engine}" if there and there.engine else f", which is {there.state}" if there else ""
        job = f" of {there.job}" if there else ""
        started = [row for engine in alive for row in engine.running if row.run_id == run]
        when = f"runs since {clock(started[0].started_ms)}" if started else f"holds it since {clock(since)}"
        return [f"the slot {place.waits_for} is held by run {run}{job}, which {when}{where}"]


def _due(place: RunPlace) -> list[str]:
    if place.due_ms is None:
        return []
    left = place.due_ms - now_ms()
    if left > 0:
        return [f"it is due in {span(left / 1000)}, at {clock(place.due_ms)}"]
    return [f"it was due {ago(place.due_ms)}: an engine that takes {place.queue} puts it into line"]


def _running(place: RunPlace, alive: Sequence[EngineStatus]) -> str:
    if any(engine.id == place.engine for engine in alive):
        return f"it runs on {place.engine}, attempt {place.attempt}"
    return f"{place.engine} had it and is gone: another engine takes it when its lease has ended"


def _pause(pause: Pause) -> str:
    note = f" ({pause.note})" if pause.note else ""
    until = f" until {clock(pause.until_ms)}" if pause.until_ms else ""
    return f"by {pause.by or 'somebody'}{until}{note}"


def _engines(place: RunPlace, found: Fleet) -> list[str]:
    alive = found.alive
    takers = [engine for engine in alive if place.queue in engine.queues]
    if not alive:
        last = next(iter(found.gone), None)
        heard = f"; {last.id} was last heard of at {clock(last.beat_ms)}" if last else ""
        return [f"no engine is alive: start `cronsole engine`{heard}"]
    if not takers:
        return [f"no engine takes the queue {place.queue}: {len(alive)} alive, none with it in --queues"]
    if all(engine.draining for engine in takers):
        return [f"every engine that takes {place.queue} is stopping"]
    working = [engine for engine in takers if not (engine.draining or engine.silent_ms)]
    if not working:
        heard_ms = max(engine.beat_ms for engine in takers)
        return [f"every engine that takes {place.queue} is silent, the last one was heard of {ago(heard_ms)}"]
    busy, slots = sum(e.busy for e in working), sum(e.slots for e in working)
    return [f"the engines that take {place.queue} are full: {busy} of {slots} slots busy"] if busy >= slots else []


def _runs(count: int) -> str:
    return "1 run goes" if count == 1 else f"{count} runs go"
