"""How `cronsole next` prints a schedule: its fires with what a clock change did to them, and the same job elsewhere."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from console.cli.output import coloured, columns, print_json, visible, warn
from console.times import ahead, offset, walls

if TYPE_CHECKING:
    from backends.schedule import Schedule
    from backends.schedule.compare import Answer, Change, Comparison, Elsewhere
    from backends.schedule.hints import Hint

_NAME = 27


def as_data(
    schedule: Schedule, hints: Sequence[Hint], fires: Sequence[datetime], comparison: Comparison | None
) -> None:
    """Print the JSON of the contract; `compare` is there where it was asked for."""
    tz = ZoneInfo(schedule.timezone)
    data: dict[str, Any] = {
        "expression": schedule.expression,
        "description": schedule.describe(),
        "timezone": schedule.timezone,
        "warnings": [{"code": hint.code, "message": hint.message} for hint in hints],
        "fires": _iso(fires, tz),
    }
    if comparison is not None:
        data["compare"] = {
            "systems": [
                {
                    "system": system.system,
                    "title": system.title,
                    "known": system.known,
                    "takes": system.takes,
                    "written": list(system.written),
                    "differences": [
                        {"code": d.code, "message": d.message, "known": d.known} for d in system.differences
                    ],
                }
                for system in comparison.systems
            ],
            "changes": [_change_data(change, tz) for change in comparison.changes],
        }
    print_json(data)


def _change_data(change: Change, tz: ZoneInfo) -> dict[str, Any]:
    return {
        "at": change.clock.at.astimezone(tz).isoformat(),
        "jump_seconds": int(change.clock.jump.total_seconds()),
        "start": change.start.astimezone(tz).isoformat(),
        "end": change.end.astimezone(tz).isoformat(),
        "fires": _iso(change.fires, tz),
        "systems": [
            {
                "system": answer.system,
                "verdict": answer.verdict,
                "note": answer.note,
                "fires": _iso(answer.fires, tz),
                "missing": _iso(answer.missing, tz),
                "extra": _iso(answer.extra, tz),
                "unclear": _iso(answer.unclear, tz),
            }
            for answer in change.answers
        ],
    }


def _iso(fires: Sequence[datetime], tz: ZoneInfo) -> list[str]:
    return [fire.astimezone(tz).isoformat() for fire in fires]


def show(schedule: Schedule, hints: Sequence[Hint], fires: Sequence[datetime], comparison: Comparison | None) -> None:
    """Print the description, the warnings (on stderr), a table of the fires, and the comparison."""
    click.echo(f"{visible(schedule.expression)}  {schedule.describe()}  ({schedule.timezone})")
    warn(hint.message for hint in hints)
    if fires:
        click.echo("\n".join(_table(schedule, fires)))
    elif not any(hint.code in ("never", "reboot") for hint in hints):
        warn(["no fire in the years 1900 to 2199"])
    if comparison is not None:
        click.echo("\n".join(_comparison(comparison)))


def _table(schedule: Schedule, fires: Sequence[datetime]) -> Iterator[str]:
    """Rows that fit into the terminal: the word on a clock change follows on a line of its own where it does not."""
    from backends.schedule.dst import mark

    tz, now = ZoneInfo(schedule.timezone), datetime.now(UTC)
    apart = schedule.timezone != "UTC"
    head = ("TIME", "UTC", "") if apart else ("TIME", "")
    rows = []
    for fire in fires:
        local = fire.astimezone(tz)
        name = local.tzname() or ""
        when = f"{local:%a %Y-%m-%d %H:%M} {offset(local)} {name if name.isalpha() else ''}".rstrip()
        rows.append((when, f"{fire:%Y-%m-%d %H:%M}", ahead(fire - now)) if apart else (when, ahead(fire - now)))
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    room = _width() - sum(widths) - 2 * len(widths)
    for row, at in zip((head, *rows), (None, *fires), strict=True):
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        found = mark(schedule, at) if at is not None else None
        if found is None:
            yield line.rstrip()
        elif len(found.text) <= room:
            yield f"{line}  {coloured('differs', found.text)}"
        else:
            yield line.rstrip()
            for text in textwrap.wrap(found.text, max(20, min(_width(), 400) - 4)):
                yield f"    {coloured('differs', text)}"


def _comparison(comparison: Comparison) -> Iterator[str]:
    tz = ZoneInfo(comparison.schedule.timezone)
    systems = {system.system: system for system in comparison.systems}
    for change in comparison.changes:
        before, after = change.clock.walls
        verb = "goes forward" if change.clock.jump > timedelta(0) else "goes back"
        yield ""
        yield f"{before:%a %Y-%m-%d}, when the clock {verb} from {before:%H:%M} to {after:%H:%M}"
        yield from _entry("cronsole", [walls(change.fires, change, tz)])
        for answer in change.answers:
            system = systems[answer.system]
            yield from _entry(system.title, [_said(answer, change, system, tz)], answer.verdict)
    if not comparison.changes and not comparison.schedule.reboot:
        yield ""
        yield f"{comparison.schedule.timezone} has no clock changes ahead."
    yield ""
    yield "At any time of the year"
    for system in comparison.systems:
        yield from _entry(system.title, list(_facts(system)))


def _said(answer: Answer, change: Change, system: Elsewhere, tz: ZoneInfo) -> str:
    text: str = answer.verdict
    if system.known == "documented" and text in ("same", "differs"):
        text += ", by its documents"
    if answer.note:
        text += f": {answer.note}"
    if answer.verdict == "differs" and answer.fires and answer.fires != change.fires:
        text += f" ({walls(answer.fires, change, tz)})"
    return text


def _facts(system: Elsewhere) -> Iterator[str]:
    yield from system.written
    for difference in system.differences:
        said = {"verified": "", "documented": " (documented)", "not_stated": " (not stated)"}[difference.known]
        yield f"- {difference.message}{said}"


def _entry(name: str, lines: Sequence[str], word: str = "") -> Iterator[str]:
    """A name, and what is said of it beside it, wrapped to the terminal."""
    label = f"  {name}".ljust(2 + _NAME)
    for line in lines or ["-"]:
        parts = textwrap.wrap(visible(line), max(30, _width() - columns(label)), break_on_hyphens=False) or [""]
        for part in parts:
            yield label + (coloured(word, part) if word else part)
            label = " " * len(label)


def _width() -> int:
    """Columns of the terminal; no limit in a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 100_000
