"""The first lines of a screen: context, servers, engines, dead letters, clock; a banner when something is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

from backends.model import EngineStatus
from console.feed import Link
from console.screens.rows import age, count
from widgets.safe import Cell, cell, cells, fit, width_of

SILENT_MS = {"redis": 3_000, "postgres": 8_000}
"""A server that answered last longer ago than this is silent: about three looks at it."""

FULL, PLAIN, BRIEF, TERSE = range(4)
"""How many words there is room for."""
APART = 2
"""Columns between what stands left and the clock, at least."""


def silent_ms(link: Link, now_ms: int) -> int:
    """For how long a server that is not known to be down has not answered; 0 where that is as usual."""
    late = now_ms - link.last_ok_ms
    return late if link.state == "ok" and late > SILENT_MS[link.name] else 0


def is_late(link: Link, now_ms: int) -> bool:
    """Whether who asks it something now may have to wait."""
    return link.state == "down" or silent_ms(link, now_ms) > 0


def link_cell(link: Link, now_ms: int, words: int = PLAIN) -> Cell:
    """One server: a glyph, its name (its version, where there is room), and its latency or what is wrong."""
    brief = words >= BRIEF
    name = "pg" if brief and link.name == "postgres" else link.name
    if link.state == "ok":
        late = silent_ms(link, now_ms)
        if late:
            return cells(cell("◌ ", "warn"), cell(name), cell(f" silent {age(late)}", "warn"))
        ms = link.latency_ms
        shown = "" if ms is None or words == TERSE else " <1 ms" if ms < 1 else f" {ms:2.0f} ms"
        full = link.version[:24] if words == FULL else ""
        return cells(cell("● ", "ok"), cell(full or name), cell(shown, "dim"))
    if link.state == "connecting":
        return cells(cell("◌ ", "warn"), cell(name), cell(" …" if brief else " connecting", "dim"))
    return cells(cell("✗ ", "bad"), cell(name), cell(" down", "bad"))


def engines_cell(engines: Sequence[EngineStatus], words: int = PLAIN) -> Cell:
    """How many engines live, and how many of their slots are taken; of one that is silent nobody knows."""
    brief = words >= BRIEF
    if not engines:
        return cells(cell("✗ ", "bad"), cell("no engine", "warn"))
    alive = [engine for engine in engines if not engine.silent_ms]
    word = "eng" if brief else "engine" if len(alive or engines) == 1 else "engines"
    silent, since = len(engines) - len(alive), min((e.silent_ms for e in engines if e.silent_ms), default=0)
    if not alive:
        return cells(cell("◌ ", "warn"), cell(f"{silent} {word}"), cell(f" silent {age(since)}", "warn"))
    busy, slots = sum(e.busy for e in alive), sum(e.slots for e in alive)
    draining = sum(e.draining for e in alive)
    return cells(
        cell("◌ " if silent else "● ", "warn" if draining or silent else "ok"),
        cell(f"{len(alive)} {word}"),
        cell(f" {busy}/{slots}" + ("" if brief else " busy"), "dim"),
        cell(f" {draining} draining" if draining and not brief else "", "warn"),
        cell(f" {silent} silent" + ("" if brief else f" {age(since)}") if silent else "", "warn"),
    )


def context_cell(name: str, color: str) -> Cell:
    """A context's name, on a ground of its colour if it has one."""
    return cell(f" {name} ", f"badge-{color}") if color else cell(name, "strong")


def shorter(content: Cell, width: int) -> Cell:
    """`content` in at most `width` columns."""
    return fit(content, width) if width_of(content) > width else content


def header(
    context: Cell,
    read_only: bool,
    links: Mapping[str, Link],
    engines: Sequence[EngineStatus] | None,
    dead_total: int,
    now_ms: int,
    zone: tzinfo | None,
    width: int,
    *,
    slow: bool = False,
) -> tuple[Cell, Cell]:
    """(left, right) of the header line; in fewer words where `width` is small.

    `slow`: it is drawn seldom.
    """
    clock = datetime.fromtimestamp(now_ms / 1000, zone).astimezone(zone)
    for words in (FULL, PLAIN, BRIEF, TERSE):
        brief = words >= BRIEF
        gap = cell("  " if brief else "   ")
        parts = [
            cell(" cronsole ", "key"),
            shorter(context, 18 if brief else 32),
            cell(" read-only" if read_only else "", "warn"),
            cell(" slow line" if slow else "", "warn"),
        ]
        parts += [cells(gap, link_cell(links[name], now_ms, words)) for name in ("redis", "postgres")]
        if engines is not None:
            parts += [gap, engines_cell(engines, words)]
            if dead_total:
                parts += [gap, cell(f"✗ {count(dead_total)} dead", "bad")]
        left = cells(*parts)
        zone_name = cell(" " if brief else clock.strftime(" %Z "), "dim")
        right = cells(cell(clock.strftime("%H:%M:%S"), "strong"), zone_name)
        if width_of(left) + width_of(right) + APART <= width:
            break
    return left, right


def banner(links: Mapping[str, Link], now_ms: int, zone: tzinfo | None, width: int) -> Cell:
    """What is wrong with a server; empty when all is well. First how old what is shown is: it must be in sight."""
    down = [link for link in links.values() if link.state == "down"]
    parts: list[Cell | str] = []
    for link in down:
        parts += ["  " if parts else " ", cell(f"✗ {link.name}", "bad")]
        if link.last_ok_ms:
            shows = "queues" if link.name == "redis" else "history"
            at = datetime.fromtimestamp(link.last_ok_ms / 1000, zone).astimezone(zone).strftime("%H:%M:%S")
            since = f" as of {at}," if len(down) == 1 or width >= 100 else ""
            parts.append(cell(f" {shows}{since} {age(now_ms - link.last_ok_ms)} old", "warn"))
    errors = [cell(f" · {error}", "dim") for error in dict.fromkeys(link.error for link in down)]
    room = width - width_of(cells(*parts))
    if sum(map(width_of, errors)) > room:  # each has its share, and what one does not need is the other's
        first = max(room // len(errors), room - width_of(errors[-1]))
        errors = [shorter(errors[0], first), *errors[1:]]
    return cells(*parts, *errors)
