"""What is a key and what is pasted, in whatever pieces it comes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.paste_guard import CALM_S, END, LONGEST, QUIET_S, START, TOLD, TYPED, Keys, Pasted, PasteGuard, Refused
from tests.console.fake_ops import HOSTILE


@dataclass
class Heard:
    """All that a guard said, joined."""

    keys: str = ""
    pasted: tuple[str, ...] = ()
    refused: int = 0


def heard(*pieces: str | float, split: int = 0) -> Heard:
    """What a guard makes of these texts; a number is so many seconds of silence. `split`: so many characters a read."""
    guard, found, at = PasteGuard(), Heard(), 100.0

    def took(said: list[object]) -> None:
        for piece in said:
            if isinstance(piece, Keys):
                if piece.anew:
                    found.keys = found.keys[: found.keys.rindex("\x1b")]
                found.keys += piece.text
            elif isinstance(piece, Pasted):
                found.pasted += (piece.text,)
            else:
                assert isinstance(piece, Refused)
                found.refused += 1

    for piece in pieces:
        if isinstance(piece, float):
            at += piece
            took([*guard.nothing(at)])
        else:
            step = split or len(piece) or 1
            for start in range(0, len(piece), step):
                took([*guard.take(piece[start : start + step], at)])
    return found


@pytest.mark.parametrize("split", [0, 1, 2, 3, 5, 7])
def test_keys_are_keys_and_pastes_are_text(split: int) -> None:
    found = heard("jk\x1b[20~\x1b", f"{START}one\x1b[200~ two\x1b{END}", QUIET_S, "q\x1b[2", split=split)
    assert found == Heard("jk\x1b[20~\x1bq\x1b[2", ("one\x1b[200~ two\x1b",))


@pytest.mark.parametrize("split", [0, 1, 4])
def test_what_hides_in_a_paste_presses_nothing(split: int) -> None:
    sequence = "\x1b" + "x" * 40 + "\x1b\x1b[A\x1bq"
    assert heard(f"{START}a{sequence}b{END}", QUIET_S, split=split) == Heard("", (f"a{sequence}b",))
    for hidden in ("q", f"q{START}b", f"{START}{END}q{START}b", "\x1b[<0;3;3M\x1b[<0;3;3m", "x" * 1000):
        found = heard(f"{START}a{END}{hidden}{END}", split=split)
        assert (found.keys, found.pasted[0], found.refused) == ("", "a", 1), hidden


def test_the_rest_of_a_paste_that_hid_keys_is_dropped_however_slow_it_comes() -> None:
    first = f"{START}{END}q{END}"
    assert heard(first, CALM_S * 0.9, "qqq", CALM_S * 0.9, f"qqq{END}", CALM_S, "j") == Heard("j", ("",), 1)
    assert heard(f"{START}{END}" + "q" * (TYPED + 1), QUIET_S * 2, f"qqq{END}", CALM_S, "j") == Heard("j", ("",), 1)


def test_keys_right_after_a_paste_come_a_little_later() -> None:
    assert heard(f"{START}a{END}\r") == Heard("", ("a",))
    assert heard(f"{START}a{END}\r", QUIET_S * 0.5) == Heard("", ("a",))
    assert heard(f"{START}a{END}\r", QUIET_S) == Heard("\r", ("a",))
    assert heard(f"{START}a{END}", "\r", QUIET_S * 0.9, "j", QUIET_S * 0.9) == Heard("", ("a",))


def test_two_pastes_at_once_are_two() -> None:
    assert heard(f"{START}a{END}{START}b{END}", QUIET_S, "j") == Heard("j", ("a", "b"))


def test_the_mouse_may_move_meanwhile() -> None:
    moves = "\x1b[<35;10;10M" * 20
    assert heard(f"{START}a{END}", moves, QUIET_S * 0.9, moves + "\x1b[I", QUIET_S * 0.2, "j") == Heard(
        "\x1b[Ij", ("a",)
    )


def test_what_the_terminal_answers_meanwhile_is_heard() -> None:
    """The console draws nothing while it waits for an answer: none may be lost in a paste."""
    answer = "\x1b[12;40R"
    assert heard(f"{START}on{answer}e{END}", QUIET_S, "j") == Heard(f"{answer}j", ("one",))
    assert heard(f"{START}a{END}{answer}", f"q{END}", answer) == Heard(answer * 2, ("a",), 1)


def test_a_reader_that_was_slow_itself_ends_nothing() -> None:
    """The bytes wait in the terminal meanwhile: only an empty one says that nothing came."""
    guard = PasteGuard()
    guard.take(f"{START}a{END}", 1.0)
    assert guard.take("q", 50.0) == []
    assert guard.take(END, 90.0) == [Refused()]


def test_of_a_paste_without_end_only_so_much_is_kept() -> None:
    guard = PasteGuard()
    guard.take(START, 1.0)
    for _ in range(100):
        assert guard.take("x" * 4096, 1.0) == []
    assert guard.take("\x1b[201", 1.0) == []
    (piece,) = guard.take("~", 1.0)
    assert piece == Pasted("x" * LONGEST)


@given(st.text(st.sampled_from("\x1b[201~0q<35;1MIOR\r")), st.lists(st.integers(1, 9)))
def test_no_text_in_a_paste_is_ever_a_key(text: str, sizes: list[int]) -> None:
    """As the terminal sends it: the start, the text, the end, at one time, in any pieces."""
    whole, guard, said = f"{START}{text}{END}", PasteGuard(), []
    for size in [*sizes, len(whole)]:
        said += guard.take(whole[:size], 1.0)
        whole = whole[size:]
    keys = "".join(piece.text for piece in said if isinstance(piece, Keys) and not piece.anew)
    assert START.startswith(TOLD.sub("", keys))
    assert any(isinstance(piece, Pasted) for piece in said)


def test_the_corpus_stays_text() -> None:
    assert heard(f"{START}{HOSTILE}{END}", QUIET_S, "j") == Heard("j", (HOSTILE,))
