"""What is to come on a lane: planned fires, how long their runs usually take, and where one meets the run before it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from widgets.timeline_geometry import Window, plan

LENGTH, MEETS = "─", "◉"
EACH_MOST = 400
"""Up to so many fires of a job are taken one by one; more are a band, and their mean distance counts."""

Glyphs = dict[int, tuple[str, str]]
"""Column → (glyph, tone)."""


def ahead(
    view: Window,
    begin: int,
    counts: Sequence[int],
    instants: Sequence[int] | None = None,
    usual_ms: float | None = None,
    busy_until_ms: float = 0,
) -> Glyphs:
    """The coming part of a lane. `counts`: fires by column from `begin` on; `instants`: each of them, in epoch ms.

    `usual_ms`: how long a run takes; `busy_until_ms`: when the run in hand will be over, if it takes so long. A fire
    that comes before the run before it is over is marked, and does not make that one longer.
    """
    out: Glyphs = {c: (g, "plan") for c, g in enumerate(plan(counts), begin) if g != " "}
    if not usual_ms:
        return out
    if instants is None:
        _bands(out, view, begin, counts, usual_ms)
        return out
    until = busy_until_ms
    _length(out, view, begin, until)
    for at in instants:
        if at < until:
            out[view.column(at)] = (MEETS, "warn")
        else:
            until = at + usual_ms
            _length(out, view, max(view.column(at), begin), until)
    return out


def _length(out: Glyphs, view: Window, first: int, until_ms: float) -> None:
    for column in range(first, min(view.column(int(until_ms) - 1) + 1, view.columns)):
        out.setdefault(column, (LENGTH, "plan"))


def _bands(out: Glyphs, view: Window, begin: int, counts: Sequence[int], usual_ms: float) -> None:
    column = begin
    for filled, group in groupby(counts, bool):
        run = list(group)
        if filled and usual_ms * sum(run) > len(run) * view.step_ms:
            out[column] = (MEETS, "warn")
            for c in range(column + 1, column + len(run)):
                out[c] = (out[c][0], "warn")
        column += len(run)


def laid(lane: Sequence[tuple[str, str]], now: str, *under: Glyphs) -> list[tuple[str, str]]:
    """A painted lane with what lies under it, the uppermost first. Only marks go over the line of `now`."""
    out = list(lane)
    for layer in under:
        for column, (glyph, tone) in layer.items():
            if out[column][0] == " " or (out[column][0] == now and tone in ("plan", "warn") and glyph != LENGTH):
                out[column] = (glyph, tone)
    return out
