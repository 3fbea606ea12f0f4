"""Where a list tells how many rows lie above what is in sight: in its heading, where no word stands."""

from __future__ import annotations

from itertools import groupby

from widgets.safe import Cell, SafeText


def with_sign(head: Cell, sign: Cell, room: int) -> Cell:
    """`head` with `sign` in the last of its first `room` columns that are blank.

    Where no blank is wide enough, the last title is left out: half a word would be another word. The characters of a
    heading are one column wide each.
    """
    glyphs = [(char, tone, n) for n, (text, tone) in enumerate(head) for char in text]
    wanted = [(char, tone, -1) for text, tone in sign for char in text][: max(room, 0)]
    blank = {n for n, (text, _) in enumerate(head) if not text.strip()}
    while True:
        shown = "".join(char for char, _, _ in glyphs[:room]).ljust(room)
        at = room - len(wanted) if shown.endswith(" " * len(wanted)) else shown.rfind(" " * (len(wanted) + 1))
        if at >= 0:
            break
        end = len(shown.rstrip())
        start = end
        while start and glyphs[start - 1][2] not in blank:
            start -= 1
        glyphs[start:end] = [(" ", "", -1)] * (end - start)
    glyphs += [(" ", "", -1)] * (at - len(glyphs))
    glyphs[at : at + len(wanted)] = wanted
    groups = groupby(glyphs, lambda glyph: glyph[1:])
    return tuple((SafeText("".join(char for char, _, _ in group)), tone) for (tone, _), group in groups)
