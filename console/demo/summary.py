"""What the demo's jobs did, as a table, and whether that is what they must do. Pure."""

from __future__ import annotations

from collections.abc import Mapping

EMAILS = 200
COLUMNS = ("job", "fires", "skipped", "runs", "succeeded", "failed", "retries", "dead")

Counts = Mapping[str, int]


def table(counts: Mapping[str, Counts], jobs: list[str]) -> str:
    """Aligned columns, a row a job."""
    rows: list[tuple[str, ...]] = [COLUMNS]
    for job in jobs:
        c = counts.get(job, {})
        cells = ("fires_fired", "fires_skipped", "runs", "succeeded", "failed", "retries", "dead")
        rows.append((job, *(str(c.get(cell, 0)) for cell in cells)))
    widths = [max(len(row[n]) for row in rows) for n in range(len(COLUMNS))]
    lines = [
        "  ".join(c.ljust(w) if n == 0 else c.rjust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("─" * w for w in widths), *lines[1:]])


def problems(counts: Mapping[str, Counts]) -> list[str]:
    """What is not as it must be. The number of fires depends on how many minutes began; all else follows from it."""
    wrong: list[str] = []

    def expect(job: str, what: str, holds: bool) -> None:
        if not holds:
            wrong.append(f"{job}: {what}; it was {dict(counts.get(job, {}))}")

    def n(job: str, key: str) -> int:
        return counts.get(job, {}).get(key, 0)

    for job in ("backup", "disk_report", "clean_tmp", "health_check", "checksum"):
        expect(job, "at least one fire", n(job, "fires_fired") >= 1)
        expect(job, "every fire one run", n(job, "runs") == n(job, "fires_fired"))
        expect(job, "every run succeeds at once", n(job, "succeeded") == n(job, "runs") and not n(job, "retries"))
    expect(
        "send_email", f"{EMAILS} runs, all succeeded", n("send_email", "runs") == n("send_email", "succeeded") == EMAILS
    )
    expect("flaky", "at least one run", n("flaky", "runs") >= 1)
    expect("flaky", "two failures and a success a run",
           n("flaky", "failed") == n("flaky", "retries") == 2 * n("flaky", "runs")
           and n("flaky", "succeeded") == n("flaky", "runs"))  # fmt: skip
    expect("broken", "at least one run", n("broken", "runs") >= 1)
    expect("broken", "every run dead after three attempts",
           n("broken", "dead") == n("broken", "runs") and n("broken", "failed") == 3 * n("broken", "runs"))  # fmt: skip
    expect("slow", "at least one run, all succeeded", n("slow", "runs") == n("slow", "succeeded") >= 1)
    expect("slow", "fires skipped by overlap", n("slow", "fires_skipped") >= 2)
    return wrong
