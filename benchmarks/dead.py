"""Dead letters by the million: pages, groups, purge, retry, and the undo of all of it, against Valkey itself.

python benchmarks/dead.py [--letters 1000000] [--retried 100000] [--rounds 9]

An embedded Valkey, filled by itself: once with all letters in one queue, once in 8; 300 error groups, one of them a
tenth of all, 100 jobs. Each figure beside its budget and its ratio to the nearest bare commands over the same
connection. At the end the slowest call of each script by the server's own slow log, in which none may be over 10 ms.
The slow log is by the clock on the wall: on a busy machine run it with `chrt -f 10`.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

from msgspec.structs import replace

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from backends.connect import Servers, Settings  # noqa: E402
from backends.ops import Ops, Progress, Selection  # noqa: E402
from backends.queues.base import BATCH, Op, Pair  # noqa: E402
from backends.queues.dead_heads import dead_groups, dead_heads  # noqa: E402
from backends.queues.scripts import script  # noqa: E402
from backends.queues.streams import StreamQueue  # noqa: E402

GROUPS, JOBS, LARGE = 300, 100, f"{0:016x}"
FAR = 4_000_000_000_000
CALL_MS = 10
"""No call may hold the server for longer."""
OWN = (b"EVAL", b"INFO", b"SLOWLOG", b"SCRIPT", b"MEMORY")
"""What only this program sends: to fill the server and to measure; EVAL is also the first call of each script."""
QUICK = (
    b"HGET",
    b"HSET",
    b"HDEL",
    b"HEXISTS",
    b"HINCRBY",
    b"GET",
    b"GETRANGE",
    b"XPENDING",
    b"XDEL",
    b"TIME",
    b"EXISTS",
)
"""Commands that touch one thing."""
SCRIPTS = (
    "dead_retry", "dead_purge", "dead_purge_all", "dead_drop", "dead_return", "restore", "sweep", "heads", "group_ends",
)  # fmt: skip
FILL = """
local P, first, count, at = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
for n = first, first + count - 1 do
  local kind = n % 10 == 0 and 0 or n % tonumber(ARGV[4])
  local job = string.format('job%03d', kind % tonumber(ARGV[5]))
  local fp, seq = string.format('%016x', kind), string.format('%.0f', at + n)
  local run = string.format('%08x-%04x-7000-8000-%012x', at / 65536000, (at / 1000) % 65536, n)
  local head = string.format('{"job":"%s","attempts":3,"error_class":"SMTPServerDisconnected","error":"connection %d '
    .. 'to smtp.example.org closed: 421 4.7.0 try again later","failed_ms":%.0f,"group":"%s","worker":"web-1:4711:ab"}',
    job, n, at / 1000, fp)
  local envelope = string.format('{"id":"%d","type":"%s","payload":{"to":"user%d@example.org","template":"welcome",'
    .. '"values":{"name":"Ada","plan":"team","seats":12}},"createdAt":"2026-11-26T10:00:00.000Z","attempts":0}',
    n, job, n)
  redis.call('SET', P .. 'dead:#' .. seq, head .. '\\n' .. envelope)
  redis.call('ZADD', P .. 'dead', seq, run)
  redis.call('ZADD', P .. 'dead:index', 0, string.format('%s:%016.0f:%s', fp, at + n, run))
  redis.call('HINCRBY', P .. 'dead:groups', fp, 1)
  redis.call('HSET', P .. 'dead:kinds', fp, '{"job":"' .. job .. '","error_class":"SMTPServerDisconnected"}')
  redis.call('SET', P .. 'dead:seq', seq)
end
return count
"""


class Bench:
    """One filling of the server and what is measured on it."""

    def __init__(self, servers: Servers, queues: int, letters: int, rounds: int) -> None:
        self.redis: Any = servers.redis
        self.queues = [StreamQueue(servers.redis, "bench", f"q{queues}-{n}") for n in range(queues)]
        self.prefixes = {q.name: q.prefix for q in self.queues}
        self.letters, self.rounds = letters, rounds
        self.failed: list[str] = []

    async def fill(self) -> None:
        """All letters, and what they take."""
        began, before = time.perf_counter(), await self._memory()
        each = self.letters // len(self.queues)
        at = int(time.time() * 1e6) - 2 * self.letters
        for n, queue in enumerate(self.queues):
            for first in range(0, each, 2000):
                step = min(2000, each - first)
                await self.redis.eval(FILL, 1, queue.prefix, n * each + first, step, at, GROUPS, JOBS)
        record = await self.redis.execute_command("MEMORY", "USAGE", f"{self.queues[0].prefix}dead:#{at}")
        size = (await self._memory() - before) / self.letters
        print(f"  {self.letters:,} letters in {time.perf_counter() - began:.0f} s; {size:.0f} bytes a letter, "
              f"{record} of them its record", flush=True)  # fmt: skip

    async def _memory(self) -> int:
        return int((await self.redis.info("memory"))["used_memory"])

    def tell(
        self, name: str, value: float, unit: str, budget: float | None, bare: float | None, note: str = ""
    ) -> None:
        """One line: the figure, its budget (at most; per second: at least), its ratio to bare commands."""
        holds = budget is None or (value >= budget if unit == "/s" else value <= budget)
        if not holds:
            self.failed.append(f"{name}: {value:,.1f} {unit}")
        budgeted = "" if budget is None else f"{'budget' if holds else 'OVER ITS BUDGET OF'} {budget:,.0f}"
        ratio = "" if bare is None else f"ratio {value / bare:5.2f}"
        print(f"  {name:44} {value:10,.1f} {unit:3} {budgeted:16} {ratio:12} {note}", flush=True)

    async def reads(self) -> None:
        """Pages in both directions, groups, counts."""
        queue = self.queues[0]
        first = await dead_heads(self.redis, self.prefixes, 100)
        newest, step = first.letters[0].sequence, self.letters // 2
        middle = dict.fromkeys(self.prefixes, newest - step)
        kinds = {q.name: await q.dead_kinds() for q in self.queues}
        of_job = [(name, group) for name, each in kinds.items() for group, kind in each.items() if kind.job == "job007"]
        large = [(name, LARGE) for name in self.prefixes]

        async def bare() -> None:
            found = await self.redis.zrange(f"{queue.prefix}dead", 0, 99, desc=True, withscores=True)
            await self.redis.mget([f"{queue.prefix}dead:#{int(score)}" for _, score in found])

        async def heads(*args: Any, **more: Any) -> Any:
            return await dead_heads(self.redis, self.prefixes, 100, *args, **more)

        base, _ = await self.timed(bare)
        self.tell("bare ZRANGE and MGET of 100", base, "ms", None, base)
        cases: list[tuple[str, Callable[[], Awaitable[Any]]]] = [
            ("page: first", heads),
            ("page: from the middle down", lambda: heads(middle)),
            ("page: from the middle up", lambda: heads(None, after=middle)),
            ("page: of a large group", lambda: heads(None, large)),
            ("page: of a large group, middle, up", lambda: heads(None, large, after=middle)),
            (f"page: of a job ({len(of_job)} lists)", lambda: heads(None, of_job)),
            (f"page: of a job, middle, up ({len(of_job)} lists)", lambda: heads(None, of_job, after=middle)),
            ("page with envelopes, of a queue", lambda: queue.dead_page(100, newest - step)),
            (f"groups: the largest 100 of {GROUPS * len(self.queues):,}, as the screen asks",
             lambda: dead_groups(self.redis, self.prefixes, 100)),
            ("count of a group above the middle", lambda: queue.dead_count(None, newest - step, [LARGE])),
            ("200 pairs of a group", lambda: queue.dead_pairs(200, newest - step, newest, [LARGE])),
        ]  # fmt: skip
        for name, ask in cases:
            middle_ms, worst = await self.timed(ask)
            self.tell(name, middle_ms, "ms", 10, base, f"worst {worst:.1f}")

    async def timed(self, ask: Callable[[], Awaitable[Any]]) -> tuple[float, float]:
        """(middle, worst) in ms; asked once before."""
        await ask()
        took = []
        for _ in range(self.rounds):
            began = time.perf_counter()
            await ask()
            took.append(1000 * (time.perf_counter() - began))
        return median(took), max(took)

    async def purge_all(self, newer: int) -> None:
        """All of it and its undo, with `newer` letters that died in between."""
        tops = [await q.dead_top() for q in self.queues]
        began = time.perf_counter()
        for n, queue in enumerate(self.queues):
            await queue.dead_purge_all(Op(f"all{newer}", "purge", "bench", FAR), tops[n])
        took = 1000 * (time.perf_counter() - began)
        if newer:
            await self.redis.eval(FILL, 1, self.queues[0].prefix, self.letters, newer, tops[0], GROUPS, JOBS)
        began = time.perf_counter()
        for queue in self.queues:
            while (await queue.restore(f"all{newer}")).more:
                pass
        back = 1000 * (time.perf_counter() - began)
        total = sum([await q.dead_count() for q in self.queues])
        note = f"and {newer} new deaths" if newer else ""
        self.tell("purge of all", took, "ms", 100, None)
        self.tell(f"its undo {note}", back, "ms", 100, None, f"{total:,} letters again")

    async def acts(self, retried: int) -> None:
        """Retry of many, a group purged in steps, their undo, and forgetting them."""
        queue = self.queues[0]
        retried = min(retried, self.letters // len(self.queues))
        base = await self.bare_adds(retried)
        for name, due in (("at once", 0), ("held", FAR)):

            async def retry(op: Op, pairs: list[Pair], due: int = due) -> list[bool]:
                return await queue.dead_retry(op, pairs, [due] * len(pairs))

            rate = await self.walk(queue, retried, [], retry, f"retry{due}")
            self.tell(f"retry of {retried:,}, {name}", rate, "/s", 10_000, base)
            self.tell("its undo", await self.undo(queue, f"retry{due}", retried), "/s", None, base)
        count = await queue.dead_count(groups=[LARGE])
        rate = await self.walk(queue, count, [LARGE], queue.dead_purge, "group")
        self.tell(f"purge of a group of {count:,}", rate, "/s", None, base)
        self.tell("its undo", await self.undo(queue, "group", count), "/s", None, base)
        await self.walk(queue, count, [LARGE], queue.dead_purge, "forgotten")
        began = time.perf_counter()
        while await queue.sweep(FAR + 1):
            pass
        self.tell(f"forgetting {count:,}", count / (time.perf_counter() - began), "/s", None, base)
        await self.archive(queue, base)

    async def by_ops(self, ops: Ops, retried: int) -> None:
        """As an operator does it, with records, progress and the audit: counts by text, a retry, a purge by text."""
        for queue in self.queues:
            await queue.announce()
        total = sum([await q.dead_count() for q in self.queues])
        steps: list[Progress] = []
        for name, meant in (
            ("error", Selection(error="connection 77777 TO")), ("payload", Selection(payload="USER77777@")),
            ("payload, not ASCII", Selection(payload="M\u00fcller")), ("both", Selection(error="421", payload="seats")),
        ):  # fmt: skip
            began, busy = time.perf_counter(), time.process_time()
            found = await ops.dead_count(meant, steps.append)
            rate = total / (time.perf_counter() - began)
            cpu = total / (time.process_time() - busy)
            self.tell(
                f"scan by text in the {name}", rate, "/s", 50_000, None, f"{found:,} found; {cpu:,.0f} a CPU-second"
            )
        ids = await self.queues[0].dead_pairs(1, 0, FAR * 1000)
        upto = {self.queues[0].name: ids[0][1] + min(retried, total // len(self.queues)) - 1}
        oldest = Selection(queue=self.queues[0].name, upto=upto)
        for name, act in (
            ("retry", ops.dead_retry), ("purge of a selection", lambda s: ops.dead_purge(replace(s, error="421"))),
        ):  # fmt: skip
            began, busy = time.perf_counter(), time.process_time()
            result = await act(oldest)
            rate = result.changed / (time.perf_counter() - began)
            cpu = result.changed / (time.process_time() - busy)
            note = f"{cpu:,.0f} a CPU-second of the console"
            self.tell(
                f"{name} of {result.changed:,} by Ops", rate, "/s", 10_000 if name == "retry" else None, None, note
            )
            began = time.perf_counter()
            back = await ops.undo(result.receipt or "")
            self.tell("its undo", back.changed / (time.perf_counter() - began), "/s", None, None)

    async def archive(self, queue: StreamQueue, base: float) -> None:
        """The oldest to the archive and back, without the archive."""
        pairs = await queue.dead_pairs(20_000, 0, FAR * 1000)
        packed = await queue.dead_packed(pairs)
        began = time.perf_counter()
        await queue.dead_drop(pairs)
        self.tell("20,000 dropped for the archive", len(pairs) / (time.perf_counter() - began), "/s", None, base)
        began = time.perf_counter()
        await queue.dead_return([(*pair, text or b"") for pair, text in zip(pairs, packed, strict=True)])
        self.tell("and returned", len(pairs) / (time.perf_counter() - began), "/s", None, base)

    async def bare_adds(self, count: int) -> float:
        """Entries of the same size added to a stream, 200 in a pipeline, per second."""
        body = b"x" * 260
        began = time.perf_counter()
        for _ in range(count // BATCH):
            pipe = self.redis.pipeline(transaction=False)
            for _ in range(BATCH):
                pipe.xadd("bare", {b"i": b"0" * 36, b"e": body})
            await pipe.execute()
        rate = count / (time.perf_counter() - began)
        await self.redis.unlink("bare")
        self.tell(f"bare XADD of {count:,}", rate, "/s", None, rate)
        return rate

    async def walk(self, queue: StreamQueue, count: int, groups: list[str], act: Any, name: str) -> float:
        """Act on the oldest `count` letters in steps, as a driver does; letters a second."""
        kind = "retry" if name.startswith("retry") else "purge"
        op, top, after, done = Op(name, kind, "bench", FAR), await queue.dead_top(), 0, 0
        began = time.perf_counter()
        while done < count:
            pairs = await queue.dead_pairs(min(BATCH, count - done), after, top, groups)
            done += sum(await act(op, pairs))
            after = pairs[-1][1]
        return done / (time.perf_counter() - began)

    async def undo(self, queue: StreamQueue, name: str, count: int) -> float:
        """Letters a second that come back."""
        began, back, more = time.perf_counter(), 0, True
        while more:
            step = await queue.restore(name)
            back, more = back + step.back, step.more
        if back != count:
            raise SystemExit(f"{back} of {count} came back")
        return count / (time.perf_counter() - began)


async def slow_calls(redis: Any) -> list[str]:
    """The slowest call of each script and command; those that held the server for too long.

    The log has the commands within a script too, before it. Where one that takes a microsecond took more than one
    millisecond, the machine stood still: that is counted apart and not as the script's.
    """
    names = {script(name).sha: name for name in SCRIPTS}
    worst: dict[str, int] = {}
    stalls: list[int] = []
    stood = 0
    for entry in sorted(await redis.slowlog_get(100_000), key=lambda e: e["id"]):
        words, took = entry["command"].split(), entry["duration"]
        if words[0] in OWN:
            continue
        if words[0] in QUICK:
            stalls.append(took)
            stood += took
            continue
        name = words[0].decode()
        if name == "EVALSHA":
            name = names.get(words[1].decode(), words[1].decode()[:8])
            took, stood = max(0, took - stood), 0
        worst[name] = max(worst.get(name, 0), took)
    for name, us in sorted(worst.items(), key=lambda item: -item[1]):
        print(f"  {name:20} {us / 1000:6.1f} ms")
    spread = (await redis.info("latencystats")).get("latency_percentiles_usec_evalsha", {})
    print("  of all script calls, ms: " + ", ".join(f"{p} {float(us) / 1000:.1f}" for p, us in spread.items()))
    if stalls:
        print(f"  the machine stood still {len(stalls)} times, {max(stalls) / 1000:.1f} ms at most")
    return [f"{name}: a call of {us / 1000:.1f} ms" for name, us in worst.items() if us > 1000 * CALL_MS]


async def bench(folder: Path, letters: int, retried: int, rounds: int) -> list[str]:
    """Fill, measure, empty; twice."""
    failed: list[str] = []
    async with await Servers.open(Settings(None, None, "bench", folder / "data"), role="bench") as servers:
        redis: Any = servers.redis
        await redis.config_set("slowlog-max-len", 100_000)
        await redis.config_set("slowlog-log-slower-than", 1_000)
        for queues in (1, 8):
            print(f"{queues} queue{'s' if queues > 1 else ''}")
            measured = Bench(servers, queues, letters, rounds)
            await measured.fill()
            await redis.slowlog_reset()
            await redis.config_resetstat()
            await measured.reads()
            for newer in (0, 100):
                await measured.purge_all(newer)
            await measured.by_ops(Ops(servers), retried)
            await measured.acts(retried)
            failed += measured.failed
            print("slowest calls")
            failed += await slow_calls(redis)
            await redis.execute_command("FLUSHALL", "SYNC")
    return failed


def main() -> None:
    """Parse the options and run; fails where a budget is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--letters", type=int, default=1_000_000)
    parser.add_argument("--retried", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cs-dead-"))
    folder.chmod(0o711)
    try:
        failed = asyncio.run(bench(folder, options.letters, options.retried, options.rounds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if failed:
        sys.exit("over budget:\n  " + "\n  ".join(failed))


if __name__ == "__main__":
    main()
