"""Schedules: the next 24 hours of 1,000 and 10,000 jobs, and single operations, beside croniter and cronsim.

    python benchmarks/schedules.py [--rounds 5]

The jobs are a mix with a fixed seed: about 140 fires a job and day, 28 zones, three of four jobs in the zone of the
house, and of 10,000 jobs about 4,600 that differ in expression or zone. Schedules are parsed beforehand; the others'
iterators are made within their time, as they can't be shared. Each round computes everything anew; what stays known are
the zones' clock changes, so the first round is printed as "cold". The others are counted up by the number of fires from
a sample of the jobs, as the table says.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from croniter import croniter  # noqa: E402
from cronsim import CronSim  # noqa: E402

from backends.schedule import Schedule, density, fires_between, next_fires, parse  # noqa: E402
from backends.schedule.hints import hints  # noqa: E402

START = datetime(2026, 7, 1, 9, 17, 30, tzinfo=UTC)
END = START + timedelta(days=1)
HOUSE = "Europe/Berlin"
ZONES = (
    "UTC", "Europe/London", "Europe/Paris", "Europe/Madrid", "Europe/Warsaw", "Europe/Helsinki", "Europe/Istanbul",
    "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Sao_Paulo",
    "America/Mexico_City", "America/St_Johns", "Asia/Tokyo", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Dubai",
    "Asia/Singapore", "Asia/Shanghai", "Asia/Seoul", "Asia/Tehran", "Africa/Cairo", "Africa/Johannesburg",
    "Africa/Lagos", "Australia/Sydney", "Australia/Lord_Howe",
)  # fmt: skip
SAMPLE = 250


def mix(count: int, seed: int = 1) -> list[tuple[str, str]]:
    """(expression, zone) of `count` jobs: shares in thousandths beside each kind."""
    rng = random.Random(seed)
    minute, hour = lambda: rng.randrange(60), lambda: rng.randrange(24)
    kinds: tuple[tuple[int, Callable[[], str]], ...] = (
        (50, lambda: "* * * * *"),
        (120, lambda: "*/5 * * * *"),
        (40, lambda: f"*/{rng.choice((2, 3, 10))} * * * *"),
        (100, lambda: f"*/{rng.choice((15, 20, 30))} * * * *"),
        (130, lambda: f"{minute()} * * * *"),
        (50, lambda: f"{minute()} */{rng.choice((2, 3, 4, 6))} * * *"),
        (40, lambda: f"*/{rng.choice((5, 10, 15))} {rng.randrange(6, 10)}-{rng.randrange(16, 20)} * * 1-5"),
        (280, lambda: f"{minute()} {hour()} * * *"),
        (90, lambda: f"{minute()} {hour()} * * 1-5"),
        (60, lambda: f"{minute()} {hour()} * * {rng.randrange(7)}"),
        (35, lambda: f"{minute()} {hour()} {rng.randrange(1, 29)} * *"),
        (5, lambda: f"{minute()} {hour()} {rng.randrange(1, 29)} {rng.randrange(1, 13)} *"),
    )
    makers = rng.choices([make for _, make in kinds], [share for share, _ in kinds], k=count)
    return [(make(), HOUSE if rng.random() < 0.75 else rng.choice(ZONES)) for make in makers]


def best(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Seconds of the best round and of the one in the middle."""
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return min(taken), sorted(taken)[len(taken) // 2]


def croniter_day(jobs: list[tuple[str, str]]) -> int:
    """All fires of the window, as croniter finds them."""
    fires = 0
    for text, zone in jobs:
        line = croniter(text, START.astimezone(ZoneInfo(zone)), ret_type=datetime)
        while line.get_next(datetime) < END:
            fires += 1
    return fires


def cronsim_day(jobs: list[tuple[str, str]]) -> int:
    """All fires of the window, as cronsim finds them."""
    fires = 0
    for text, zone in jobs:
        for at in CronSim(text, START.astimezone(ZoneInfo(zone))):
            if at >= END:
                break
            fires += 1
    return fires


def days(count: int, rounds: int) -> None:
    """One table: a day of `count` jobs."""
    jobs = mix(count)
    schedules = {f"job{n}": parse(text, zone) for n, (text, zone) in enumerate(jobs)}
    cold, _ = best(lambda: fires_between(schedules, START, END), 1)
    fires = fires_between(schedules, START, END)
    number = sum(map(len, fires.values()))
    shared = sum(map(len, {id(instants): instants for instants in fires.values()}.values()))
    ours, middle = best(lambda: fires_between(schedules, START, END), rounds)
    print(
        f"\n{count:,} jobs, {len(set(jobs)):,} differ, {number:,} fires in 24 h, {shared:,} after equal ones are shared"
    )
    print(
        f"  fires_between     {ours * 1000:9.1f} ms   "
        f"best of {rounds}; middle {middle * 1000:.1f}, cold {cold * 1000:.1f}"
    )
    for name, work in (
        ("density, 96 parts", lambda: density(schedules, START, END, 96)),
        ("next_fires", lambda: next_fires(schedules, int(START.timestamp() * 1000))),
        ("one by one", lambda: [s.between(START, END) for s in schedules.values()]),
    ):
        took, middle = best(work, rounds if name != "one by one" else 1)
        print(f"  {name:<17} {took * 1000:9.1f} ms   ratio to fires_between {took / ours:.2f}")
    sample = random.Random(2).sample(jobs, SAMPLE) if count > SAMPLE else jobs
    expected = sum(len(parse(text, zone).between(START, END)) for text, zone in sample)
    for name, day in (("croniter", croniter_day), ("cronsim", cronsim_day)):
        begin = time.perf_counter()
        found = day(sample)
        # counted up by fires: what these two cost is a fire's price
        took = (time.perf_counter() - begin) * number / found
        same = "" if found == expected else f"; finds {found:,} fires where we find {expected:,}"
        print(f"  {name:<17} {took * 1000:9.0f} ms   ratio {took / ours:.0f}; from {len(sample)} of the jobs{same}")


def each(work: Callable[[], object], least_s: float = 0.2) -> float:
    """µs a call, the best of three batches."""
    batch, took = 1, 0.0
    while took < least_s / 10:
        batch *= 4
        took = _batch(work, batch)
    return min(_batch(work, batch) for _ in range(3)) / batch * 1e6


def _batch(work: Callable[[], object], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        work()
    return time.perf_counter() - begin


def _parse_cold(text: str) -> Schedule:
    from backends.schedule.cron import _parse, _walls

    _parse.cache_clear()
    _walls.cache_clear()
    return parse(text, HOUSE)


def singles() -> None:
    """One table: µs of single operations."""
    tz = ZoneInfo(HOUSE)
    local = START.astimezone(tz)
    print(f"\nµs a call, {HOUSE}")
    print(f"  {'':<16}{'parse':>8}{'known':>8}{'after':>8}{'before':>8}{'describe':>9}{'hints':>8}"
          f"{'croniter':>10}{'its next':>9}{'cronsim':>9}{'its next':>9}")  # fmt: skip
    for text in ("*/5 * * * *", "30 2 * * *", "*/10 9-17 * * 1", "0 0 1 1 *", "0 0 29 2 *", "0 0 31 * 1"):
        schedule, line = parse(text, HOUSE), croniter(text, local)
        columns = [
            (8, each(lambda text=text: _parse_cold(text))), (8, each(lambda text=text: parse(text, HOUSE))),
            (8, each(lambda s=schedule: s.after(START))), (8, each(lambda s=schedule: s.before(START))),
            (9, each(schedule.describe)), (8, each(lambda s=schedule: hints(s, START))),
            (10, each(lambda text=text: croniter(text, local))),
            (9, each(lambda c=line: (c.set_current(local, force=True), c.get_next(datetime)))),
            (9, each(lambda text=text: CronSim(text, local))), (9, each(lambda text=text: next(_sim(text, local)))),
        ]  # fmt: skip
        print(f"  {text:<16}" + "".join(f"{value:>{width}.1f}" for width, value in columns))


def _sim(text: str, local: datetime) -> Iterator[datetime]:
    return CronSim(text, local)


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for count in (1_000, 10_000):
        days(count, rounds)
    singles()


if __name__ == "__main__":
    main()
