"""The cell diff: whatever changes into whatever, the terminal shows what plain Textual would have shown."""

from __future__ import annotations

import random
import sys

import pytest
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from tests.console.terminal import PLAIN, Terminal, look_after
from widgets import celldiff
from widgets.celldiff import CellDiff, RunsUpdate
from widgets.pens import UNSURE, Pen, Piece, change, move, pen, write

WIDTH, HEIGHT = 30, 8
STYLES = [
    Style.parse(words)
    for words in (
        "", "red", "#aabbcc on #102030", "bold #aabbcc on #102030", "on #102030",
        "underline #aabbcc on #102030", "reverse", "#aabbcc on #405060", "dim italic",
    )
]  # fmt: skip
TEXTS = ("a", "hello", " ", "            ", "1000", "日本", "é\u0301", "━━", "x y", "👍", "─")


def frame(rng: random.Random) -> LayoutUpdate:
    """Lines of a given width, made of pieces at random; some frames have a box around them, or a column."""
    strips = []
    side, at, boxed = rng.choice(STYLES), rng.choice((0, 7)), rng.random() < 0.5
    for _ in range(HEIGHT):
        parts = [Segment(rng.choice(TEXTS), rng.choice(STYLES)) for _ in range(rng.randrange(9))]
        if not boxed:
            strips.append([Strip(parts).adjust_cell_length(WIDTH, STYLES[4])])
            continue
        inner = Strip([Segment(" " * at, STYLES[4]), Segment("│", side), *parts]).adjust_cell_length(
            WIDTH - 1, STYLES[4]
        )
        strips.append([inner, Strip([Segment("│", side)])])
    return LayoutUpdate(strips, Region(0, 0, WIDTH, HEIGHT))


@pytest.mark.parametrize("clears", [True, False])
@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize("erasing", [True, False])
@pytest.mark.parametrize("colors", ["truecolor", "256", "standard"])
def test_any_frame_after_any_other_leaves_the_same_cells(
    colors: str, erasing: bool, columns: bool, clears: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celldiff, "erases", lambda term: erasing)
    monkeypatch.setattr(celldiff, "columns", lambda term: columns)
    console = Console(color_system=colors, force_terminal=True, width=WIDTH)
    for style in STYLES:
        style._ansi = None  # Rich keeps the bytes of the first terminal that a style was written to
    rng = random.Random(5)
    app: CellDiff = CellDiff()
    plain, diffed = Terminal(WIDTH, HEIGHT), Terminal(WIDTH, HEIGHT)
    held = None
    for n in range(150):
        update = frame(rng)
        plain.feed(update.render_segments(console))
        runs = RunsUpdate(app.changed_runs(update, WIDTH, HEIGHT, clears=clears), held=held)
        diffed.feed(runs.render_segments(console))
        held = runs.held if n % 7 else None
        assert plain.text() == diffed.text(), f"frame {n}"
        different = [(y, x) for y in range(HEIGHT) for x in range(WIDTH) if plain.cells[y][x] != diffed.cells[y][x]]
        assert not different, (
            f"frame {n}: {different[0]}: {[t.cells[different[0][0]][different[0][1]] for t in (plain, diffed)]}"
        )


def test_what_the_terminal_shows_is_not_sent_again() -> None:
    app: CellDiff = CellDiff()
    update = frame(random.Random(1))
    assert app.changed_runs(update, WIDTH, HEIGHT)
    assert app.changed_runs(update, WIDTH, HEIGHT) == []
    app.forget_screen()
    assert app.changed_runs(update, WIDTH, HEIGHT)


def test_no_control_character_passes_even_where_a_widget_forgot_the_gate() -> None:
    strip = Strip([Segment("a\x1b]2;t\x07\x9b2J\x00b\x7f", STYLES[1])])
    assert "".join(char for char, _ in celldiff.explode(strip)) == "a�]2;t��2J�b�"


def test_from_any_pen_to_any_other_by_what_differs() -> None:
    pens = [pen(style, ColorSystem.TRUECOLOR) for style in STYLES]
    for before in pens:
        for after in pens:
            begun = look_after(PLAIN, change(None, before)[2:-1])
            sent = change(before, after)
            assert (look_after(begun, sent[2:-1]) if sent else begun) == look_after(PLAIN, change(None, after)[2:-1])
    bold, thin = (pen(Style.parse(f"{word}#aabbcc on #102030"), ColorSystem.TRUECOLOR) for word in ("bold ", ""))
    assert change(bold, thin) == "\x1b[22m"
    assert change(thin, bold) == "\x1b[1m"


def test_a_frame_is_written_pen_by_pen() -> None:
    one, other = (pen(Style.parse(color), ColorSystem.TRUECOLOR) for color in ("#010101", "#020202"))
    pieces = [Piece(0, 0, "a", 1, one), Piece(0, 1, "b", 1, other), Piece(1, 0, "c", 1, one)]
    assert write(pieces, ColorSystem.TRUECOLOR, erases=False)[0] == (
        "\x1b[1H\x1b[0;38;2;1;1;1ma\v\rc\x1b[1;2H\x1b[38;2;2;2;2mb"
    )


def looks(*words: str) -> list[Pen]:
    return [pen(Style.parse(word), ColorSystem.TRUECOLOR) for word in words]


def test_what_two_grounds_have_in_common_is_written_where_they_meet() -> None:
    """The ground that is held comes first, with its colour first; green stays when the ground changes."""
    plain, green, grey = looks("#010101 on #828282", "#00fe00 on #828282", "#999999 on #828282")
    chosen, green_too = looks("#010101 on #909090", "#00fe00 on #909090")
    pieces = [Piece(0, x, "a", 1, look) for x, look in enumerate((plain, green, grey))]
    pieces += [Piece(1, x, "b", 1, look) for x, look in enumerate((chosen, green_too))]
    sent, held = write(pieces, ColorSystem.TRUECOLOR, erases=False, held=chosen)
    assert sent == (
        "\x1b[2Hb\x1b[38;2;0;254;0mb\x1b[1;2H\x1b[48;2;130;130;130ma\r\x1b[38;2;1;1;1ma\x1b[C\x1b[38;2;153;153;153ma"
    )
    assert held == grey


def test_what_is_erased_has_the_colour_of_what_follows() -> None:
    """The colour of nothing can't be seen, and two style sequences are more than one."""
    (held,), (look,) = looks("#010101 on #828282"), looks("#00fe00 on #909090")
    pieces = [Piece(0, 0, " " * 20, 20, look._replace(color=""), erases=True), Piece(0, 5, "a", 1, look)]
    sent = write(pieces, ColorSystem.TRUECOLOR, erases=True, held=held)[0]
    assert sent == "\x1b[1H\x1b[38;2;0;254;0;48;2;144;144;144m\x1b[20X\x1b[5Ca"


def test_what_is_seen_in_blanks_is_not_erased_with() -> None:
    (line,) = looks("underline #00fe00 on #909090")
    ground = line._replace(color="", attributes="")
    pieces = [Piece(0, 0, " " * 20, 20, ground, erases=True), Piece(0, 5, "a", 1, line)]
    sent = write(pieces, ColorSystem.TRUECOLOR, erases=True)[0]
    assert sent == "\x1b[1H\x1b[0;48;2;144;144;144m\x1b[20X\x1b[5C\x1b[4;38;2;0;254;0ma"


def test_the_hidden_cursor_has_a_place_where_there_is_something_to_type_into() -> None:
    console = Console(color_system="truecolor", force_terminal=True, width=WIDTH)
    runs = CellDiff().changed_runs(frame(random.Random(1)), WIDTH, HEIGHT)
    plain = RunsUpdate(runs).render_segments(console)
    for cursor, end in ((None, ""), ((3, 1), "\x1b[2;4H")):
        assert console._render_buffer(console.render(RunsUpdate(runs, cursor=cursor))) == plain + end


def test_of_a_terminal_that_nobody_knows_nothing_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "curses", None)  # as on Windows
    assert not celldiff.erases("unknown")
    assert not celldiff.columns("unknown")


def test_after_a_character_whose_width_is_not_sure_the_cursor_is_placed_anew() -> None:
    look = pen(None, ColorSystem.TRUECOLOR)
    for piece in (Piece(0, 0, "👍", 2, look), Piece(0, 0, "é\u0301", 1, look)):
        sent = write([piece, Piece(0, 4, "x", 1, look)], ColorSystem.TRUECOLOR, erases=False)[0]
        assert "\x1b[1;5Hx" in sent


def test_after_the_last_column_the_cursor_starts_from_the_first() -> None:
    """Terminals differ on where it is then, but not on the line."""
    look = pen(None, ColorSystem.TRUECOLOR)
    sent = write(
        [Piece(0, 9, "|", 1, look, last=True), Piece(1, 4, "x", 1, look)], ColorSystem.TRUECOLOR, erases=False
    )[0]
    assert "|\r\v\x1b[4Cx" in sent or "|\v\r\x1b[4Cx" in sent


@pytest.mark.parametrize(
    ("here", "there", "way"),
    [
        ((3, 10), (3, 12), "\x1b[2C"), ((3, 10), (3, 10), ""), ((3, 10), (4, 8), "\v\b\b"), ((3, 90), (4, 0), "\v\r"),
        ((3, 90), (4, 5), "\v\r\x1b[5C"), ((3, 9), (2, 9), "\x1b[3;10H"), ((-1, 0), (4, 0), "\x1b[5H"),
        ((3, UNSURE), (3, 20), "\r\x1b[20C"), ((0, 0), (30, 7), "\x1b[31;8H"),
    ],
)  # fmt: skip
def test_the_shortest_way_is_taken(here: tuple[int, int], there: tuple[int, int], way: str) -> None:
    assert move(*here, *there) == way


@pytest.mark.parametrize(
    ("here", "there", "way"),
    [
        ((3, 90), (3, 38), "\x1b[39G"), ((3, 90), (4, 5), "\v\x1b[6G"), ((3, UNSURE), (3, 20), "\x1b[21G"),
        ((3, 90), (3, 0), "\r"), ((3, 10), (3, 12), "\x1b[2C"), ((3, 9), (2, 9), "\x1b[3;10H"),
    ],
)  # fmt: skip
def test_to_a_column_where_the_terminal_goes_to_one(here: tuple[int, int], there: tuple[int, int], way: str) -> None:
    assert move(*here, *there, True) == way


def test_a_blank_between_words_is_sent_and_not_stepped_over() -> None:
    app: CellDiff = CellDiff()
    for before in ("aaa bbb ccc", "xxx yyy zzz"):
        update = LayoutUpdate([[Strip([Segment(before, STYLES[2])])]], Region(0, 0, 11, 1))
        runs = app.changed_runs(update, 11, 1)
    assert len(runs) == 1


def test_a_line_that_becomes_another_one_is_erased_first_where_that_is_less() -> None:
    app: CellDiff = CellDiff()
    far = "a      b      c      d      e      f"
    lines = [far, far[:-1] + "g", "ab" + far[2:]]
    updates = [
        LayoutUpdate([[Strip([Segment(line, STYLES[2])]).adjust_cell_length(40, STYLES[2])]], Region(0, 0, 40, 1))
        for line in lines
    ]
    firsts = [[run.erases for run in app.changed_runs(update, 40, 1, clears=True)] for update in updates]
    assert [any(first) for first in firsts] == [True, False, False]


def test_a_character_is_repeated_by_a_terminal_that_can() -> None:
    look = pen(Style.parse("red"), ColorSystem.TRUECOLOR)
    pieces = [Piece(0, 0, "╭" + "─" * 30 + "╮", 32, look), Piece(1, 0, "--  aaa ...........", 19, look)]
    sent = write(pieces, ColorSystem.TRUECOLOR, erases=False, repeats=True)[0]
    assert "╭─\x1b[29b╮" in sent
    assert "--  aaa .\x1b[10b" in sent
    one, other = Terminal(40, 2), Terminal(40, 2)
    one.feed(sent)
    other.feed(write(pieces, ColorSystem.TRUECOLOR, erases=False)[0])
    assert one.cells == other.cells
    wide = [Piece(0, 0, "日日日日日日日日日日日日", 24, look)]
    assert "日" * 12 in write(wide, ColorSystem.TRUECOLOR, erases=False, repeats=True)[0]
