"""A long list a page at a time: what is in sight and near it is held, the rest is asked for again when it is wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from itertools import takewhile
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from backends.model import Page
from backends.ops.kinds import Progress
from console.console_ops import ConsoleOps
from console.screens.acting import KEYS_WAIT_S
from console.screens.base import ConsoleScreen
from console.screens.pages import Back, Part, with_kept
from widgets.table import Row, Table

if TYPE_CHECKING:
    from backends.ops.kinds import Tell

T = TypeVar("T")
U = TypeVar("U")
ROWS_HELD = 1000
NEAR = 40
"""So many rows before the end of what is held the next page is asked for."""
SEARCHED_MOST = 50
"""Pages read in a row for a filter that finds little; after them the operator moves on or narrows it."""
CLIMBED_MOST = 20
"""Pages read on the way up to what is held; where more came since, the list begins anew."""
RETRY_S = 1.0
"""After so long a list of which nothing could be read is asked for again."""
FAR = "far"
"""The end of a part that did not get where it should; no cursor is so short."""


class Pager(Generic[T]):
    """Fills `table` from `ask`, newest first. Give it `moved` and `edge` when the table tells them.

    Held are parts that follow each other, about `ROWS_HELD` rows; where a part above them was let go, its cursor is
    kept. A cursor names a row, so rows that arrive later change no part but the newest.
    """

    def __init__(
        self,
        screen: ConsoleScreen,
        table: Table,
        ask: Callable[[ConsoleOps, str | None], Awaitable[Page[T]]],
        fits: Callable[[T], bool],
        key: Callable[[T], str],
        row: Callable[[T], Row],
        told: Callable[[], None],
        keeps: Callable[[T], bool] = lambda _: False,
        back: Back[T] | None = None,
    ) -> None:
        """`fits`: whether an item is shown; `key`: of an item's row. `told` is called after each change, for titles.

        `keeps`: whether an item that is there no longer stays in its place, until it is `let_go`. `back`: how it is
        read from its other end; without it the oldest is reached page by page.
        """
        self._screen, self._table, self._ask, self._fits = screen, table, ask, fits
        self._key, self._row, self._told, self._keeps = key, row, told, keeps
        self._back = back
        screen.pagers[table] = self
        self.from_end = False
        """Whether it was read from the other end, and what is newer than all that is held is not known."""
        self._rows: dict[str, tuple[T, Row]] = {}
        self._parts: list[Part[T]] = []
        self._above: list[tuple[str | None, int]] = []
        self._newest: frozenset[str] = frozenset()
        self._asking = False
        self._again: Callable[[], None] | None = None
        self._generation = 0
        self._searched = 0
        self.looked_at = 0
        """Items read since the list began, whether they fit or not."""

    # --- what is known ---

    @property
    def items(self) -> list[T]:
        """What is held, newest first."""
        return [item for part in self._parts for item in part.items]

    @property
    def known(self) -> bool:
        """Whether anything was read: without it an empty list says nothing."""
        return bool(self._parts)

    @property
    def at_end(self) -> bool:
        """Whether the oldest there is is held."""
        return bool(self._parts) and self._parts[-1].end is None

    @property
    def first(self) -> int:
        """How many rows lie before what is held."""
        return sum(count for _, count in self._above)

    def item(self, key: str | None) -> T | None:
        """The item whose row has that key."""
        found = self._rows.get(key or "")
        return found[0] if found else None

    async def read_all(self, ops: ConsoleOps, most: int, tell: Tell) -> tuple[list[T], bool]:
        """All that fits from the newest on, at most `most`, and whether there is more. What is held stays as it is."""
        found: list[T] = []
        looked_at, cursor, began = 0, None, monotonic()
        while True:
            page = await self._ask(ops, cursor)
            looked_at += len(page.items)
            found += [item for item in page.items if self._fits(item)]
            tell(Progress(None, looked_at, looked_at, len(found), began))
            cursor = page.next_cursor
            if cursor is None or len(found) >= most:
                return found[:most], cursor is not None or len(found) > most

    # --- asking ---

    def restart(self) -> None:
        """From the beginning: the filter is another one."""
        self._generation += 1
        self._parts, self._above, self._newest, self._asking, self.from_end = [], [], frozenset(), False, False
        self._searched, self.looked_at, self._again = 0, 0, None
        self._draw()
        self.refresh()

    def read_again(self) -> None:
        """What is shown was changed: its end if that is what is shown, else from the newest row on."""
        if back := self._growing():
            self._read_end(back.ask, lambda page: self._take_end(back, page))
        elif self._back is not None and self.from_end and self.at_end:
            self._read_end(self._back.ask, self._take_oldest)
        else:
            self.begin_anew()

    def begin_anew(self) -> None:
        """The same list from the newest row; what is shown stays until that is there."""
        self._generation += 1
        self._searched, self.looked_at, self._again = 0, 0, None
        self._read(lambda ops: self._ask(ops, None), self._take_first)

    def refresh(self) -> None:
        """Look for what is new, where the newest rows are held, or the end if it grows; what else is shown stays."""
        if self._asking:
            self._again = self._again or self.refresh
        elif back := self._growing():
            self._read_end(back.ask, lambda page: self._take_end(back, page))
        elif not self._above and not self.from_end:
            self._read(lambda ops: self._ask(ops, None), self._take_newest)

    def moved(self, index: int) -> None:
        """The cursor is on that row of the table."""
        self._searched = 0
        if index >= len(self._table.rows) - NEAR:
            self._older()
        elif index < NEAR:
            self._newer()

    def edge(self, side: int) -> None:
        """To the newest (-1), with all that came since; or to the oldest (1), or at least further to it."""
        if side < 0:
            self.begin_anew()
        elif self._back is not None and self._back.may() and self._parts and (self._back.grows or not self.at_end):
            self._jump(self._back)
        elif not self._asking:
            self._searched = 0
            self._older()

    def redraw(self) -> None:
        """Rows look different now: ages, marks."""
        self._rows.clear()
        self._draw()

    def let_go(self, goes: Callable[[T], bool]) -> None:
        """Those that were kept and are not to be shown any more."""
        for part in self._parts:
            part.items = [item for item in part.items if not goes(item)]
        self._draw()

    def _draw(self) -> None:
        made: dict[str, tuple[T, Row]] = {}
        for item in self.items:
            key = self._key(item)
            known = self._rows.get(key)
            made[key] = known if known is not None and known[0] == item else (item, self._row(item))
        self._rows = made
        self._table.set_rows(tuple([row for _, row in made.values()]))
        self._table.set_unread("" if self._parts else self._screen.unread)
        self._told()

    def _retry(self, generation: int) -> None:
        if generation == self._generation and not self._parts:
            self.refresh()

    def _read(self, ask: Callable[[ConsoleOps], Awaitable[U]], take: Callable[[U], None]) -> None:
        self._asking = True
        generation = self._generation

        def ended() -> None:
            if generation == self._generation:
                self._asking = False
                if not self._parts:
                    self._table.set_unread(self._screen.unread)
                    self._screen.set_timer(RETRY_S, lambda: self._retry(generation))

        def show(found: U) -> None:
            if generation == self._generation:
                take(found)
                again, self._again = self._again, None
                if again is not None and not self._asking:
                    again()

        self._screen.read_once(ask, show, ended)

    # --- older ---

    def _older(self) -> None:
        if self._asking:
            self._again = self._older
        elif self._parts and self._parts[-1].end is not None:
            start = self._parts[-1].end
            self._read(lambda ops: self._ask(ops, start), lambda page: self._take_older(start, page))

    def _take_older(self, start: str, page: Page[T]) -> None:
        fitting = [item for item in page.items if self._fits(item)]
        self.looked_at += len(page.items)
        last = self._parts[-1]
        if len(last.items) < NEAR:  # a filter finds little: its parts are joined
            last.items += fitting
            last.end = page.next_cursor
        else:
            self._parts.append(Part(start, fitting, page.next_cursor))
        while len(self._parts) > 1 and self._held() > ROWS_HELD:
            gone = self._parts.pop(0)
            if not self.from_end:
                self._above.append((gone.start, len(gone.items)))
        self._draw()
        self._search_on()

    def _search_on(self) -> None:
        self._searched += 1
        if self._held() < NEAR and self._searched < SEARCHED_MOST and not self._asking:
            self._older()

    # --- newer ---

    def _newer(self) -> None:
        if self._asking:
            self._again = self._newer
        elif self.from_end and self._back is not None:
            back, above = self._back, self._back.cursor(self._parts[0].items[0])
            self._read(lambda ops: back.ask(ops, above), self._take_above)
        elif self._above:
            start, first = self._above[-1][0], self._parts[0]
            held = {self._key(item) for item in first.items}
            self._read(lambda ops: self._climb(ops, start, first.start, held), self._take_newer)

    async def _climb(self, ops: ConsoleOps, start: str | None, target: str | None, held: set[str]) -> Part[T]:
        """All from `start` to what is held; where that is too far, as far as it went, with another end."""
        found: list[T] = []
        cursor = start
        for _ in range(CLIMBED_MOST):
            page = await self._ask(ops, cursor)
            fresh = list(takewhile(lambda item: self._key(item) not in held, page.items))
            found += fresh
            cursor = page.next_cursor
            if len(fresh) < len(page.items) or (cursor is not None and cursor == target):
                return Part(start, found, target)
            if cursor is None:
                break
        return Part(start, found, cursor or FAR)

    def _take_newer(self, part: Part[T]) -> None:
        if part.end != self._parts[0].start:
            self.begin_anew()
            return
        if part.start is None:
            self._above, self._newest = [], frozenset(map(self._key, part.items))
        else:
            self._above.pop()
        part.items = [item for item in part.items if self._fits(item)]
        self._parts.insert(0, part)
        while len(self._parts) > 1 and self._held() > ROWS_HELD:
            self._parts.pop()
        self._draw()

    # --- from the other end ---

    def _growing(self) -> Back[T] | None:
        """How the end is read where no more than that is held, and it may have grown."""
        at_end = self.from_end and len(self._parts) == 1 and self.at_end
        return self._back if at_end and self._back is not None and self._back.grows else None

    def _read_end(self, ask: Callable[[ConsoleOps, None], Awaitable[Page[T]]], take: Callable[[Page[T]], None]) -> None:
        self._generation += 1
        self._again = None
        self._read(lambda ops: ask(ops, None), take)

    def _jump(self, back: Back[T]) -> None:
        """The cursor to the oldest. A key behind it is for that one; behind an answer that is late, for none."""
        late, hold = monotonic() + KEYS_WAIT_S, ExitStack()
        hold.enter_context(self._screen.shell.keys_wait(KEYS_WAIT_S))  # now: the next key may be taken before it asks

        async def ask(ops: ConsoleOps, cursor: None) -> Page[T]:
            with hold:
                return await back.ask(ops, cursor)

        def take(page: Page[T]) -> None:
            self._take_oldest(page)
            self._table.choose(len(self._table.rows) - 1)
            if monotonic() > late:
                self._table.slip()

        self._read_end(ask, take)

    def _take_end(self, back: Back[T], page: Page[T]) -> None:
        """What came at the end, below the row that the cursor is on; or that more came than can be followed."""
        part = self._parts[0]
        keys, fresh = [self._key(item) for item in part.items], {self._key(item) for item in page.items}
        self.from_end = page.next_cursor is not None
        meets = next((n for n, key in enumerate(keys) if key in fresh), None)  # what is above that lies there still
        above = part.items[:meets] if self.from_end else []
        if self.from_end and (meets is None or len(above) + len(fresh) > ROWS_HELD):
            part.end = back.cursor(part.items[-1])
        else:
            part.items = [*above, *page.items]
        self._all_is_known()
        self._draw()

    def _take_oldest(self, page: Page[T]) -> None:
        self._above, self._newest = [], frozenset()
        self.from_end = page.next_cursor is not None
        self._parts = [Part(None, list(page.items), None)]
        self.looked_at = len(page.items)
        self._all_is_known()
        self._draw()

    def _take_above(self, page: Page[T]) -> None:
        self.from_end = page.next_cursor is not None
        if page.items and self._back is not None:
            self._parts[0].start = end = self._back.cursor(page.items[-1])
            self._parts.insert(0, Part(None, list(page.items), end))
        while len(self._parts) > 1 and self._held() > ROWS_HELD:
            self._parts.pop()
        self._all_is_known()
        self._draw()

    def _all_is_known(self) -> None:
        """Read up to the newest row: from now on as if it had been read from there."""
        if not self.from_end:
            self._newest = frozenset(map(self._key, self._parts[0].items))

    def _take_first(self, page: Page[T]) -> None:
        self._parts, self._above, self._newest, self.from_end = [], [], frozenset(), False
        self._take_newest(page)

    def _take_newest(self, page: Page[T]) -> None:
        """The newest rows: what is new comes on top."""
        known = frozenset(map(self._key, page.items))
        if self._parts and known == self._newest and not any(map(self._differs, page.items)):
            return
        fitting = [item for item in page.items if self._fits(item)]
        anew = not self._parts or (page.next_cursor is None and len(self._parts) == 1)
        meets = bool(known & self._newest)
        read_on = self._table.cursor_index >= NEAR
        if anew or not (read_on or (meets and self._held() < ROWS_HELD)):
            self._parts = [Part(None, with_kept(fitting, self.items, self._keeps, self._key), page.next_cursor)]
            self.looked_at = len(page.items)
        elif meets:
            top = self._parts[0]
            old = [self._key(item) for item in top.items]
            kept = max((n for n, key in enumerate(old) if key in known), default=-1) + 1
            top.items = [*with_kept(fitting, top.items[:kept], self._keeps, self._key), *top.items[kept:]]
        else:  # more came than a page, while somebody reads further down: it is there on the way up
            self._above.append((None, len(page.items)))
        self._newest = known
        self._draw()
        self._search_on()

    def _differs(self, item: T) -> bool:
        """Whether its row shows something else: a run that has died again is the same run."""
        held = self._rows.get(self._key(item))
        return held is not None and held[0] != item

    def _held(self) -> int:
        return sum(len(part.items) for part in self._parts)
