"""What the cron lab shows, from a preview of a schedule to rows and lines. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from backends.model import to_ms
from backends.schedule import ScheduleError
from backends.schedule.compare import Answer, Change, Comparison, Elsewhere
from backends.schedule.dialect import FIELDS
from backends.schedule.explain import FieldWords
from backends.schedule.hints import Hint
from backends.schedule.preview import NextFire, Preview
from console.times import ahead, offset, walls, zone_word
from widgets.safe import Cell, cell, cells, width_of
from widgets.table import Column, Row

FIELD_COLUMNS = (Column("field", 7), Column("typed", 6, flex=1), Column("means", 22, flex=5))
FIRE_COLUMNS = (
    Column("", 1), Column("local", 17), Column("offset", 6, drop=2), Column("UTC", 12, drop=1),
    Column("", 13), Column("clock change", 12, flex=1, drop=3),
)  # fmt: skip
BRIEF_FIRE_COLUMNS = (
    Column("", 1), Column("local", 17), Column("", 1, drop=3), Column("", 1, drop=2), Column("", 8, flex=1),
    Column("", 1, drop=1),
)  # fmt: skip
"""Where there is no room for more than where a fire is on the wall; the same cells."""
ELSEWHERE_COLUMNS = (Column("", 15), Column("", 20, flex=1), Column("", 20, flex=1))
SHORT_TITLES = {"kubernetes": "Kubernetes", "eventbridge": "AWS EventBridge"}
SHORT_NAMES = {"day of the month": "day"}
VERDICTS = {"same": ("=", "ok"), "differs": ("!", "warn"), "unclear": ("?", "plan"), "no": ("x", "bad")}
"""What another scheduler does, as a sign; the word stands beside it."""
_YEAR = timedelta(days=300)


def faint(content: Cell) -> Cell:
    """The same, as something that is not true any more."""
    return tuple((text, "faint") for text, _ in content)


def faint_rows(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The same rows, faint."""
    return tuple(Row(row.key, tuple(map(faint, row.cells))) for row in rows)


def field_rows(fields: Sequence[FieldWords]) -> tuple[Row, ...]:
    """The five fields; none for ``@reboot`` but itself."""
    return tuple(
        Row(f.name, (cell(SHORT_NAMES.get(f.name, f.name), "dim"), cell(f.text, "key"), cell(f.words))) for f in fields
    )


def hint_lines(hints: Sequence[Hint]) -> list[Cell]:
    """What may surprise: code and sentence."""
    if not hints:
        return [cells(cell(" ✓ ", "ok"), cell("nothing that may surprise", "dim"))]
    return [cells(cell(" ! ", "warn"), cell(hint.code, "warn"), " ", cell(hint.message)) for hint in hints]


def fire_rows(fires: Sequence[NextFire], now: datetime, *, brief: bool) -> tuple[Row, ...]:
    """The next fires; `brief`: how far away they are in one unit."""
    rows = []
    for fire in fires:
        near = abs(fire.at - now) < _YEAR
        day = f"{fire.local:%a %d %b  }" if near else f"{fire.local:%d %b %Y }"
        away = ahead(fire.at - now)
        marked = fire.mark is not None
        local = cells(cell(day, "warn" if marked else ""), cell(f"{fire.local:%H:%M}", "warn" if marked else "strong"))
        rows.append(
            Row(
                str(to_ms(fire.at)),
                (
                    cell("!" if marked else "", "warn"), local,
                    cell(offset(fire.local), "dim"), cell(f"{fire.at:%d %b %H:%M}", "dim"),
                    cell(" ".join(away.split()[:3]) if brief and away.startswith("in") else away),
                    cell(fire.mark.text if fire.mark else "", "warn"),
                ),
            )
        )  # fmt: skip
    return tuple(rows)


def wrong_text(error: ScheduleError) -> str:
    """The error in one line; the expression itself is in sight."""
    where = f"column {error.span[0] + 1}: " if error.span else ""
    return f"{where}{error.problem}; {error.remedy}"


def summary(found: Preview, fires: Sequence[NextFire], day_count: int, now: datetime) -> Cell:
    """The next fire, and how many there are in a day."""
    if found.schedule.reboot:
        return cells(cell("✓ ", "ok"), cell("once an engine start; no time is known before", "dim"))
    if not fires:
        return cells(cell("! ", "warn"), cell("no fire is ahead", "warn"))
    first = fires[0]
    when = f"{first.local:%a %d %b %Y %H:%M} {zone_word(first.local)}"
    more = f" · {day_count} in the next 24 h" if day_count else ""
    return cells(cell("✓ ", "ok"), cell("next ", "dim"), cell(ahead(first.at - now)), cell(f" · {when}{more}", "dim"))


def marks(before: str, typed: str, scrolled: int, span: tuple[int, int], tone: str) -> Cell:
    """A line that marks columns of a text that stands in the line above it, behind `before`."""
    start = width_of(cell(before)) + width_of(cell(typed[: span[0]])) - scrolled
    end = max(start + 1, start + width_of(cell(typed[span[0] : span[1]])))
    start = max(start, width_of(cell(before)))
    return cells(" " * start, cell(("^" if tone == "bad" else "─") * max(end - start, 0), tone))


def field_at(fields: Sequence[FieldWords], column: int) -> FieldWords | None:
    """The field at a column of the text, or the last one before it."""
    found = [f for f in fields if f.span[0] <= column]
    return found[-1] if found else None


def field_words(field: FieldWords) -> str:
    """What the field is and what may stand in it."""
    limits = next((f"{f.low}–{f.high}" for f in FIELDS if f.name == field.name), "")
    return f"{field.name}{' ' if limits else ''}{limits} · {field.words}"


# --- elsewhere ---


def elsewhere_rows(comparison: Comparison) -> tuple[Row, ...]:
    """A line for cronsole, one for each other system: what it does on the next clock changes."""
    tz = comparison.schedule.tz
    ours = [cell(walls(change.fires, change, tz)) for change in comparison.changes]
    rows = [Row("cronsole", (cell("cronsole", "key"), *ours, *[()] * (2 - len(ours))))]
    for number, system in enumerate(comparison.systems):
        said = [_said(change.answers[number]) for change in comparison.changes]
        if not said:
            said = [_always(system)]
        rows.append(
            Row(
                system.system,
                (cell(SHORT_TITLES.get(system.system, system.title), "strong"), *said, *[()] * (2 - len(said))),
            )
        )
    return tuple(rows)


def _said(answer: Answer) -> Cell:
    glyph, tone = VERDICTS[answer.verdict]
    return cells(cell(f"{glyph} {answer.verdict}", tone), cell(f": {answer.note}" if answer.note else "", ""))


def _always(system: Elsewhere) -> Cell:
    if system.takes == "no":
        return _said(Answer(system.system, "no", "can't express this schedule"))
    words = "takes it as it is" if system.takes == "as_typed" else "takes it in other words"
    return cells(cell(f"= {words}", "dim"))


def change_titles(comparison: Comparison) -> tuple[str, str, str]:
    """The heads of the columns."""
    changes = [change_title(change) for change in comparison.changes]
    if not changes:
        none = "" if comparison.schedule.reboot else f"{comparison.schedule.timezone} has no clock changes ahead"
        return ("at any time", none, "")
    return ("on the night of", changes[0], changes[1] if len(changes) > 1 else "")


def change_title(change: Change) -> str:
    """Day and jump: "Sun 28 Mar 2027, 02:00 → 03:00"."""
    before, after = change.clock.walls
    return f"{before:%a %d %b %Y}, {before:%H:%M} → {after:%H:%M}"


def elsewhere_lines(comparison: Comparison, key: str) -> list[Cell]:
    """Everything about one system."""
    tz = comparison.schedule.tz
    if key == "cronsole":
        told = [cells(cell(change_title(c), "head"), "  ", cell(walls(c.fires, c, tz))) for c in comparison.changes]
        rules = "the rules of Debian's cron: docs/reference/schedules.md"
        return [*told, (), cell(f"cronsole keeps {rules}", "dim")]
    number = next(n for n, system in enumerate(comparison.systems) if system.system == key)
    system = comparison.systems[number]
    lines: list[Cell] = []
    for change in comparison.changes:
        answer = change.answers[number]
        lines += [cell(change_title(change), "head"), cells("  ", _said(answer))]
        if answer.fires and answer.fires != change.fires:
            lines.append(cells("  ", cell(walls(answer.fires, change, tz), "dim")))
        lines.append(())
    lines.append(cell("How it stands there", "head"))
    lines += [cells("  ", cell(line, "key")) for line in system.written] or [cell("  not at all", "bad")]
    lines += [(), cell("At any time of the year", "head")]
    for found in system.differences:
        known = {"verified": "", "documented": " (documented)", "not_stated": " (not stated)"}[found.known]
        lines.append(cells("  ", cell(found.message), cell(known, "dim")))
    if not system.differences:
        lines.append(cell("  as here", "dim"))
    if system.known == "documented":
        lines += [(), cell("By its documents; the program itself was not asked.", "dim")]
    return lines
