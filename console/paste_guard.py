"""Tells pasted text from keys. What is pasted may come from anywhere, and must never press a key.

A terminal puts ``ESC[200~`` before what is pasted and ``ESC[201~`` after it. Not every terminal (nor tmux 3.3) takes
these out of the text itself, so hostile text can end its own paste and go on with keys; and Textual reads other
escape sequences within a paste as keys. See docs/decisions/005-a-paste-is-no-key.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

START, END = "\x1b[200~", "\x1b[201~"
QUIET_S = 0.1
"""After the end of a paste nothing is a key until nothing has come for so long: nobody is that quick."""
CALM_S = 2.0
"""The same once a paste was found to hide keys; the rest of it may be slow to come."""
TYPED = 64
"""Characters that may wait for the quiet. More is no typing: the rest of what was pasted."""
LONGEST = 100_000
"""Characters of a paste that are kept."""
MOVE = re.compile(r"\x1b\[<(?:35|39|43|47|51|55|59|63);-?\d+;-?\d+[Mm]")
"""The mouse moved with no button down."""
TOLD = re.compile(r"\x1b\[(?:[IO]|\d+;\d+R)")
"""The terminal gained or lost the focus, or says where its cursor is: comes at any time, and is no key."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What the terminal sent for keys and the mouse. `anew`: what came just before belongs to no key."""

    text: str
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Pasted:
    """Text; not a key, whatever is in it."""

    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A paste that hid keys: from here on all is dropped until it is over."""


Piece: TypeAlias = Keys | Pasted | Refused


class PasteGuard:
    """Takes what a terminal sends and says what it is. `at`: seconds of a clock that only goes forward."""

    def __init__(self) -> None:
        self._state = "keys"  # keys, paste, held (after a paste), refused
        self._begun = ""  # the end of the keys that may be the beginning of START
        self._text = ""
        self._seen = 0
        self._heard = 0.0

    def wait(self, at: float) -> float | None:
        """Seconds after which `nothing` has something to say, if nothing comes; None: never."""
        patience = {"held": QUIET_S, "refused": CALM_S}.get(self._state)
        return None if patience is None else max(self._heard + patience - at, 0.0)

    def take(self, data: str, at: float) -> list[Piece]:
        """This has come."""
        out: list[Piece] = []
        while data:
            if self._state == "keys":
                data = self._keys(data, out)
            elif self._state == "paste":
                data = self._paste(data, out, at)
            else:
                data = self._after(data, out, at)
        return out

    def nothing(self, at: float) -> list[Piece]:
        """Nothing is there to be read. Only this ends the time after a paste: not a reader that was slow itself."""
        if self.wait(at) != 0.0:
            return []
        held, self._text = self._text, ""
        self._state, self._begun = "keys", ""
        out: list[Piece] = []
        if held:
            self._keys(held, out)
        return out

    def _keys(self, data: str, out: list[Piece]) -> str:
        """Keys up to the next paste; what is left after its start."""
        known = len(self._begun)
        whole = self._begun + data
        at = whole.find(START)
        if at < 0:
            out.append(Keys(data))
            size = next(n for n in range(min(len(whole), len(START) - 1), -1, -1) if whole.endswith(START[:n]))
            self._begun = START[:size]
            return ""
        if at < known:
            out.append(Keys("", anew=True))
        elif at > known:
            out.append(Keys(data[: at - known]))
        self._state, self._begun, self._text, self._seen = "paste", "", "", 0
        return whole[at + len(START) :]

    def _paste(self, data: str, out: list[Piece], at: float) -> str:
        """Text up to its end; what is left after it."""
        self._text += data
        end = self._text.find(END, max(self._seen - len(END), 0))
        if end < 0:
            if len(self._text) > LONGEST:
                self._text = self._text[:LONGEST] + "…" + self._text[-len(END) :]
            self._seen = len(self._text)
            return ""
        text, rest = self._text[:end], self._text[end + len(END) :]
        out += [Keys(found) for found in TOLD.findall(text)]  # an answer may fall between what is pasted
        out.append(Pasted(TOLD.sub("", text)[:LONGEST]))
        self._state, self._text, self._heard = "held", "", at
        return rest

    def _after(self, data: str, out: list[Piece], at: float) -> str:
        """A paste seems to be over: keys are held, another paste may begin, and nothing else may come at once."""
        out += [Keys(found) for found in TOLD.findall(data)]
        data = MOVE.sub("", TOLD.sub("", data))
        if not data:
            return ""
        self._heard = at
        if self._state == "refused":
            return ""
        self._text += data
        if self._text.startswith(START):
            self._state, rest = "paste", self._text[len(START) :]
            self._text, self._seen = "", 0
            return rest
        if len(self._text) > TYPED or START in self._text or END in self._text:
            self._state, self._text = "refused", ""
            out.append(Refused())
        return ""
