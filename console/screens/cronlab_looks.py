"""What the cron lab shows of a schedule, from a preview to rows and lines. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from backends.model import to_ms
from backends.schedule import ScheduleError
from backends.schedule.dialect import FIELDS
from backends.schedule.explain import FieldWords
from backends.schedule.hints import Hint
from backends.schedule.preview import NextFire, Preview
from console.times import ahead, offset, zone_word
from widgets.safe import Cell, cell, cells, width_of
from widgets.table import Column, Row

FIELD_COLUMNS = (Column("field", 7), Column("typed", 6, flex=1), Column("means", 22, flex=5))
FIRE_COLUMNS = (
    Column("", 1), Column("local", 17), Column("offset", 6, drop=3), Column("UTC", 12, drop=2),
    Column("", 13), Column("clock change", 12, flex=1, drop=1),
)  # fmt: skip
BRIEF_FIRE_COLUMNS = (Column("", 1), Column("local", 17), Column("", 8, flex=1))
"""Where there is no room for more than where a fire is on the wall."""
BRIEF = 34
"""Columns of a list that is narrower."""
SHORT_NAMES = {"day of the month": "day"}
MARKS = {"gap": "after a gap", "first": "first time", "second": "second time"}
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
    return [cells(cell(" ! ", "warn"), cell(f"{hint.code}: ", "warn"), cell(hint.message)) for hint in hints]


def fire_rows(fires: Sequence[NextFire], now: datetime, *, brief: bool, room: int) -> tuple[Row, ...]:
    """The next fires; `brief`: in the brief columns; `room`: columns for what a clock change did."""
    rows = []
    for fire in fires:
        near = abs(fire.at - now) < _YEAR
        day = f"{fire.local:%a %d %b  }" if near else f"{fire.local:%d %b %Y }"
        away = ahead(fire.at - now)
        tones = ("warn", "warn") if fire.mark else ("", "strong")
        found = [
            cell("!" if fire.mark else "", "warn"), cells(cell(day, tones[0]), cell(f"{fire.local:%H:%M}", tones[1])),
        ]  # fmt: skip
        if brief:
            found.append(cell(" ".join(away.split()[:3]) if away.startswith("in") else away))
        else:
            found += [
                cell(offset(fire.local), "dim"), cell(f"{fire.at:%d %b %H:%M}", "dim"), cell(away),
                cell(_mark(fire, room), "warn"),
            ]  # fmt: skip
        rows.append(Row(str(to_ms(fire.at)), tuple(found)))
    return tuple(rows)


def _mark(fire: NextFire, room: int) -> str:
    """In a word or two where the sentence has no room; the line above tells it of the chosen fire."""
    if fire.mark is None:
        return ""
    return fire.mark.text if len(fire.mark.text) <= room else MARKS[fire.mark.kind]


def mark_line(fire: NextFire) -> Cell:
    """What a clock change did to one fire, as a line of its own."""
    return cells(cell(" ! ", "warn"), cell(f"{fire.local:%d %b %H:%M}: {fire.mark.text}", "warn")) if fire.mark else ()


def wrong_text(error: ScheduleError) -> str:
    """The error in one line; the expression itself is in sight."""
    where = f"column {error.span[0] + 1}: " if error.span else ""
    return f"{where}{error.problem}; {error.remedy}"


def summary(found: Preview, fire: NextFire | None, day_count: int, now: datetime) -> Cell:
    """The next fire, and how many there are in a day."""
    if found.schedule.reboot:
        return cells(cell("✓ ", "ok"), cell("once an engine start; no time is known before", "dim"))
    if fire is None:
        return cells(cell("! ", "warn"), cell("no fire is ahead", "warn"))
    when = f"{fire.local:%a %d %b %Y %H:%M} {zone_word(fire.local)}"
    more = f" · {day_count} in the next 24 h" if day_count else ""
    return cells(cell("✓ ", "ok"), cell("next ", "dim"), cell(ahead(fire.at - now)), cell(f" · {when}{more}", "dim"))


def marks(before: str, typed: str, view: tuple[int, int], span: tuple[int, int], tone: str) -> Cell:
    """A line that marks columns of a text that stands in the line above it, behind `before`.

    `view`: how far the text is scrolled to the left, and how much room it has. Where the place is out of sight, an
    arrow says on which side.
    """
    scrolled, room = view
    start = width_of(cell(typed[: span[0]])) - scrolled
    end = max(start + 1, start + width_of(cell(typed[span[0] : span[1]])))
    left = " " * width_of(cell(before))
    if end <= 0:
        return cells(left, cell("‹", tone))
    if start >= room:
        return cells(left, " " * (room - 1), cell("›", tone))
    start, end = max(start, 0), min(end, room)
    return cells(left, " " * start, cell(("^" if tone == "bad" else "─") * (end - start), tone))


def field_at(fields: Sequence[FieldWords], column: int) -> FieldWords | None:
    """The field at a column of the text, or the last one before it."""
    found = [f for f in fields if f.span[0] <= column]
    return found[-1] if found else None


def field_words(field: FieldWords) -> str:
    """What the field is and what may stand in it."""
    limits = next((f"{f.low}–{f.high}" for f in FIELDS if f.name == field.name), "")
    return f"{field.name}{' ' if limits else ''}{limits} · {field.words}"
