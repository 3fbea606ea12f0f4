"""The pure parts of the widgets: the gate, columns, sparklines, and the geometry of the time line."""

from __future__ import annotations

from datetime import UTC

import pytest
from rich.cells import cell_len

from widgets.heading import with_sign
from widgets.safe import Cell, cell, cells, fit, fitting, safe_line, safe_lines, to_ascii, width_of
from widgets.sparkline import sparkline
from widgets.table import Column, column_widths
from widgets.textpane import wrapped_lines
from widgets.timeline_geometry import Bar, Window, axis, edges, fitting_step, paint, plan, window, zoomed

MINUTE = 60_000
VIEW = Window(0, MINUTE, 20, 10)


def drawn(bars: list[Bar], planned: str = "", view: Window = VIEW) -> str:
    return "".join(glyph for glyph, _ in paint(bars, view.now_column, planned, view))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [b]text[/]", "plain [b]text[/]"),
        ("a\x1b]52;c;x\x07b", "a␛]52;c;x␇b"),
        ("a\x9b2Jb", "a‹9B›2Jb"),
        ("user\u202etxt.exe", "user‹202E›txt.exe"),
        ("ad\u200bmin", "ad‹200B›min"),
        ("a\tb\nc\r\x00\x7f", "a→b⏎c␍␀␡"),
        ("a\udc80b", "a‹DC80›b"),
        ("wide 日本", "wide 日本"),
        ("e" + "\u0301" * 9, "e" + "\u0301" * 2),
        ("\u0301start", "start"),
        ("no\u00a0break", "no break"),
    ],
)
def test_foreign_text_becomes_visible(text: str, shown: str) -> None:
    assert safe_line(text) == shown


def test_long_text_is_cut_and_lines_are_kept() -> None:
    assert len(safe_line("x" * 9999)) == 4097
    assert safe_lines("a\r\n\tb\n") == ["a", "    b", ""]


@pytest.mark.parametrize("width", range(14))
@pytest.mark.parametrize("align", ["left", "right", "tail"])
@pytest.mark.parametrize("text", ["", "short", "much longer than that", "日本語のテキスト", "e\u0301日x日"])
def test_fit_is_exact(text: str, align: str, width: int) -> None:
    content = cells(cell(text[:3], "ok"), cell(text[3:], "bad"))
    assert width_of(fit(content, width, align)) == width


def test_fitting_counts_characters_by_columns() -> None:
    assert fitting("abcdef", 4) == 4
    assert fitting("日本語", 5) == 2
    assert fitting("日", 1) == 0


def test_ascii_keeps_the_width() -> None:
    for text in ("✓ ━━• │ ▼ now", "日本語", "␛[2J‹9B›", "naïve"):
        assert to_ascii(text).isascii()
        assert len(to_ascii(text)) == cell_len(text)


JOBS = cells(
    "   ", fit(cell("job", "head"), 8), " ", fit(cell("next", "head"), 5, "right"), "  ", cell("22:00", "head")
)


@pytest.mark.parametrize(
    ("head", "sign", "room", "shown"),
    [
        (cells("job", "    ", "error", "       "), " ↑ 12", 19, "job    error   ↑ 12"),
        (cells("job", "       ", "took", " ", "error"), " ↑ 12", 20, "job  ↑ 12 took error"),
        (cells("job", "      ", "took", "  ", "error"), " ↑ 12", 20, "job ↑ 12 took  error"),
        (cells("job", "     ", "took", "  ", "a word"), " ↑ 12", 20, "job     took    ↑ 12"),
        (cells("job", " ", "a word", " ", "try"), " ↑ 123,456", 14, "job  ↑ 123,456"),
        (cells("job", " ", "try"), " ↑ 12", 7, "   ↑ 12"),
        (cells("job"), " ↑ 12", 3, " ↑ "),
        (JOBS, " ↑ 9", 18, "   job   ↑ 9 next  22:00"),
        (JOBS, " ↑ 12345", 18, "   job     ↑ 12345 22:00"),
        ((), " ↑ 1", 10, "       ↑ 1"),
        (cells("job"), " ↑ 1", 0, "job"),
    ],
)
def test_what_a_heading_tells_besides_covers_no_word(head: Cell, sign: str, room: int, shown: str) -> None:
    found = "".join(text for text, _ in with_sign(head, cell(sign), room))
    assert found == shown


def test_columns_fill_the_width_and_drop_the_least_wanted() -> None:
    columns = (Column("a", 5, flex=1), Column("b", 5, drop=1), Column("c", 5, flex=2, drop=2))
    assert column_widths(columns, 26) == [8, 5, 11]
    assert column_widths(columns, 12) == [6, 5, 0]
    assert column_widths(columns, 5) == [5, 0, 0]
    assert column_widths(columns, 3) == [5, 0, 0]


@pytest.mark.parametrize(
    ("line", "rows"),
    [
        ("could not write: disk full", ["could not ", "write: ", "disk full"]),
        ("0123456789abc", ["0123456789", "abc"]),
        ("  File shop/mail.py", ["  File ", "shop/mail.", "py"]),
        ("          x", ["          ", "x"]),
        ("exactly te", ["exactly te"]),
    ],
)
def test_a_word_that_does_not_fit_goes_down_whole(line: str, rows: list[str]) -> None:
    assert ["".join(text for text, _ in row) for row in wrapped_lines(cell(line), 10)] == rows


def test_sparkline_scales_to_its_peak() -> None:
    assert sparkline([0, 1, 50, 100], 6) == "  ▁▂▄▇"
    assert sparkline([1], 1, least_peak=8) == "▂"
    assert sparkline([], 3) == "   "
    assert sparkline([1, 2], 0) == ""


def test_a_bar_is_as_long_as_its_run_and_ends_in_its_outcome() -> None:
    assert drawn([Bar(2 * MINUTE, 5 * MINUTE, "failed")]) == "  ━━━✗    │         "
    assert drawn([Bar(3 * MINUTE, 3 * MINUTE + 5, "succeeded")]) == "   •      │         "
    assert drawn([Bar(8 * MINUTE, 10 * MINUTE, "running")]) == "        ━━▶         "


def test_bars_are_clipped_at_both_ends() -> None:
    assert drawn([Bar(-9 * MINUTE, 2 * MINUTE, "timed_out")]) == "━━◷       │         "
    assert drawn([Bar(-9 * MINUTE, -1, "failed"), Bar(20 * MINUTE, 21 * MINUTE, "failed")]) == "          │         "


def test_trouble_is_never_painted_over() -> None:
    both = [Bar(4 * MINUTE, 4 * MINUTE, "failed"), Bar(4 * MINUTE, 4 * MINUTE + 9, "succeeded")]
    assert drawn(both) == drawn(both[::-1]) == "    ✗     │         "


def test_a_plan_is_drawn_from_now_on_and_over_no_bar() -> None:
    assert drawn([], "  ·  ○") == "          │ ·  ○    "
    assert drawn([Bar(8 * MINUTE, 11 * MINUTE, "running")], "░░░░") == "        ━━━▶░░      "
    assert drawn([Bar(10 * MINUTE, 10 * MINUTE, "failed")], "▓▓") == "          ✗▓        "


@pytest.mark.parametrize(
    ("counts", "glyphs"),
    [
        ([], ""),
        ([0, 1, 0, 3, 0], " · ○ "),
        ([1, 1, 1, 1], "····"),  # as many fires as columns: one mark each
        ([1, 2, 1, 2, 1], "░░░░░"),  # a steady job, told once
        ([3, 4, 3, 4, 4, 3], "░░░░░░"),
        ([4, 5, 4, 5, 1], "▒▒▒▒░"),  # the last column is cut off by the end of its hours
        ([3, 4, 4, 4, 3], "▒▒▒▒▒"),  # one less is how a steady job falls into columns
        ([1, 16, 1], "░▓░"),
        ([2, 60, 60, 60], "░▓▓▓"),  # the first one is nearly past
        ([0, 0, 20, 20, 20, 0, 1], "  ▓▓▓ ·"),
        ([2, 6, 20, 6, 2], "░▒▓▒░"),
        ([15, 15, 16, 15], "▒▒▒▒"),
    ],
)
def test_fires_denser_than_columns_are_a_band_that_tells_how_dense(counts: list[int], glyphs: str) -> None:
    assert "".join(plan(counts)) == glyphs
    assert to_ascii(glyphs).isascii()
    assert "?" not in to_ascii(glyphs)
    assert len({to_ascii(glyph) for glyph in " ·○░▒▓"}) == 6


@pytest.mark.parametrize("step_ms", [1000, 40_000, MINUTE, 7 * MINUTE, 60 * MINUTE])
@pytest.mark.parametrize("now_ms", [1_795_473_790_000, 1_795_473_780_000, 1_795_473_779_999])
def test_fires_are_counted_from_the_next_minute_to_the_end_of_the_window(step_ms: int, now_ms: int) -> None:
    view = window(now_ms, step_ms, 80)
    first, cuts = edges(view, now_ms)
    if first == view.columns:  # the window ends before the next minute
        assert len(cuts) == 1
        assert view.end_ms <= now_ms // MINUTE * MINUTE + MINUTE
        return
    assert len(cuts) == view.columns - first + 1
    assert now_ms < cuts[0] <= now_ms + MINUTE
    assert cuts[0] % MINUTE == 0
    assert cuts[-1] == view.end_ms
    assert [view.column(cut) for cut in cuts[:-1]] == [*range(first, view.columns)]


def test_the_window_moves_one_column_at_a_time() -> None:
    first = window(1_000_000, 10_000, 50)
    assert window(1_009_999, 10_000, 50) == first
    moved = window(1_010_000, 10_000, 50)
    assert moved.start_ms == first.start_ms + 10_000
    assert moved.now_column == first.now_column
    assert first.column(1_000_000) == first.now_column


def test_the_scale_fits_and_zooms() -> None:
    assert fitting_step(3_600_000, 60) == 60_000
    assert fitting_step(3_600_000, 61) == 60_000
    assert fitting_step(1, 60) == 1000
    assert fitting_step(10**12, 60) == 3_600_000
    assert zoomed(60_000, 1) == 90_000
    assert zoomed(60_000, -1) == 40_000
    assert zoomed(1000, -1) == 1000
    assert zoomed(3_600_000, 1) == 3_600_000


def test_the_axis_labels_round_times_at_their_column() -> None:
    view = Window(1_795_471_200_000, MINUTE, 60, 40)  # 22:00:00
    line = "".join(axis(view, UTC))
    assert len(line) == 60
    assert line[15:21] == "╷22:15"
    assert line[30:36] == "╷22:30"
    assert line[40:45] == "▼ now"
    assert "22:45" not in line  # would touch the mark of now


@pytest.mark.parametrize("columns", [1, 2, 7, 11])
def test_narrow_windows_still_work(columns: int) -> None:
    view = window(1_795_473_790_000, MINUTE, columns)
    assert len(axis(view, UTC)) == columns
    assert len(paint([Bar(0, 2**43, "lost")], columns - 1, "·", view)) == columns


def test_at_most_is_no_less_than_in_ascii() -> None:
    assert to_ascii("together  ≤ 5 · ≥ 12") == "together  <=5 . >=12"
